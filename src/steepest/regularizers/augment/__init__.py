"""Augmentation: whole batches at once, each sample by a draw of its own."""

from steepest.regularizers.augment.audio import AudioNoise, Gain, SpecAugment, TimeShift
from steepest.regularizers.augment.chain import Chain
from steepest.regularizers.augment.common import Augmentation
from steepest.regularizers.augment.geometry import Rotate, Scale, Shear, Translate
from steepest.regularizers.augment.images import Crop, Erase, Flip
from steepest.regularizers.augment.light import Brightness, Contrast
from steepest.regularizers.augment.policies import RandAugment, TrivialAugment
from steepest.regularizers.augment.text import TokenDropout, TokenSwap

AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "flip": Flip,
    "crop": Crop,
    "rotate": Rotate,
    "scale": Scale,
    "translate": Translate,
    "shear": Shear,
    "brightness": Brightness,
    "contrast": Contrast,
    "erase": Erase,
    "randaugment": RandAugment,
    "trivialaugment": TrivialAugment,
    "time_shift": TimeShift,
    "gain": Gain,
    "audio_noise": AudioNoise,
    "specaugment": SpecAugment,
    "token_dropout": TokenDropout,
    "token_swap": TokenSwap,
}

__all__ = ["AUGMENTATIONS", "Augmentation", "Chain"]
