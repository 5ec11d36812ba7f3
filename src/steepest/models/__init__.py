"""Small reference networks: each a function whose arguments are knobs of a recipe's [model]."""

from collections.abc import Callable

from torch import nn

from steepest.models.autoencoder import autoencoder, vae
from steepest.models.cnn import cnn, cnn5, vgg
from steepest.models.dqn import dqn
from steepest.models.gan import gan
from steepest.models.lenet import lenet5
from steepest.models.mlp import mlp
from steepest.models.recurrent import recurrent, recurrent_language
from steepest.models.resnet import resnet18, resnet20
from steepest.models.speech import crnn, speech_cnn
from steepest.models.textcnn import textcnn
from steepest.models.transformer import gpt, transformer

MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp, "lenet5": lenet5, "cnn": cnn, "cnn5": cnn5, "vgg": vgg, "resnet20": resnet20, "resnet18": resnet18,
    "recurrent": recurrent, "textcnn": textcnn, "transformer": transformer,
    "recurrent_language": recurrent_language, "gpt": gpt,
    "speech_cnn": speech_cnn, "crnn": crnn,
    "autoencoder": autoencoder, "vae": vae, "gan": gan, "dqn": dqn,
}  # fmt: skip

__all__ = [
    "MODELS", "autoencoder", "cnn", "cnn5", "crnn", "dqn", "gan", "gpt", "lenet5", "mlp", "recurrent", "recurrent_language",
    "resnet18", "resnet20", "speech_cnn", "textcnn", "transformer", "vae", "vgg",
]  # fmt: skip
