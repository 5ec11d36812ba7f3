"""Regularizers by name, in order of where the training loop meets them: model, batch, loss, gradient, weights, end."""

from steepest.regularizers.adversarial import FGSM, PGD
from steepest.regularizers.augment import AUGMENTATIONS
from steepest.regularizers.base import Mixed, Regularizer, mixed_loss
from steepest.regularizers.dropout import Dropout, DropPath
from steepest.regularizers.mixing import CutMix, Mixup
from steepest.regularizers.noise import Cutout, GradientNoise, InputNoise
from steepest.regularizers.norms import BatchNorm, GroupNorm, LayerNorm
from steepest.regularizers.penalties import L1, L2, ElasticNet, Orthogonality, Spectral
from steepest.regularizers.projection import MaxNorm
from steepest.regularizers.stopping import EarlyStopping
from steepest.regularizers.targets import ConfidencePenalty, LabelSmoothing

REGULARIZERS: dict[str, type[Regularizer]] = {
    "dropout": Dropout,
    "drop_path": DropPath,
    "batch_norm": BatchNorm,
    "layer_norm": LayerNorm,
    "group_norm": GroupNorm,
    **AUGMENTATIONS,
    "input_noise": InputNoise,
    "cutout": Cutout,
    "mixup": Mixup,
    "cutmix": CutMix,
    "fgsm": FGSM,
    "pgd": PGD,
    "label_smoothing": LabelSmoothing,
    "confidence_penalty": ConfidencePenalty,
    "l1": L1,
    "l2": L2,
    "elastic_net": ElasticNet,
    "orthogonality": Orthogonality,
    "spectral": Spectral,
    "gradient_noise": GradientNoise,
    "max_norm": MaxNorm,
    "early_stopping": EarlyStopping,
}

__all__ = ["REGULARIZERS", "Mixed", "mixed_loss"]
