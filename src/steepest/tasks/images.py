"""Built-in tasks on images."""

from collections.abc import Callable
from functools import partial

from steepest.core.task import Task
from steepest.data import cifar10, digits, gather, mnist
from steepest.models import cnn, cnn5, lenet5, mlp, resnet20

PIXELS = ["scale", "standardize"]
# Color images of 32 x 32.
COLOR = {"channels": 3, "size": 32}


def digits_mlp() -> Task:
    """Digits of 8 x 8, which every installation has: seconds."""
    return Task(model=mlp, data=digits(), metrics=["accuracy"], name="digits-mlp")


def lenet5_mnist() -> Task:
    """LeNet-5 on the 60,000 digits it was made for (LeCun et al., 1998: 0.95 % errors, 0.8 % with distorted digits)."""
    return Task(model=lenet5, data=mnist(), metrics=["error", "accuracy"], preprocess=PIXELS, name="lenet5-mnist")


def cnn_mnist() -> Task:
    """Convolution, pooling, one dense layer on MNIST, a fifth of which validates: what clipping each gradient's own norm does."""
    return Task(model=cnn, data=partial(gather, mnist(), 0.2), metrics=["accuracy"], preprocess=["scale"], name="cnn-mnist")


def cnn5_mnist() -> Task:
    """Five layers on MNIST: tutorials say "95 %, and far above the plain model" of their regularized one."""
    return Task(model=cnn5, data=mnist(), metrics=["accuracy"], preprocess=PIXELS, name="cnn5-mnist")


def cnn5_cifar10() -> Task:
    """Five layers on CIFAR-10: where regularization has something to do."""
    return Task(model=knobs(cnn5, **COLOR), data=cifar10(), metrics=["accuracy"], preprocess=PIXELS, name="cnn5-cifar10")


def cnn_cifar10() -> Task:
    """Two convolutions and one dense layer on CIFAR-10: what momentum and augmentation do."""
    model = knobs(cnn, **COLOR, depth=2, dense=64)
    return Task(model=model, data=cifar10(), metrics=["accuracy"], preprocess=["scale"], name="cnn-cifar10")


def resnet_cifar10() -> Task:
    """ResNet-20 on CIFAR-10 (He et al., 2016: 91.25 % after 180 epochs)."""
    return Task(model=resnet20, data=cifar10(), metrics=["accuracy"], preprocess=PIXELS, name="resnet-cifar10")


def deep_relu_30() -> Task:
    """30 layers without normalization: He's initialization learns, Xavier's does not (He et al., 2015, figure 3)."""
    return Task(model=knobs(mlp, depth=30), data=digits(), metrics=["accuracy"], name="deep-relu-30")


def knobs(factory: Callable, **defaults: int | str) -> Callable:
    """The factory with other defaults, under its own name."""
    made = partial(factory, **defaults)
    made.__name__ = factory.__name__  # type: ignore[attr-defined]
    return made


IMAGES: dict[str, Callable[[], Task]] = {
    "digits-mlp": digits_mlp,
    "deep-relu-30": deep_relu_30,
    "lenet5-mnist": lenet5_mnist,
    "cnn-mnist": cnn_mnist,
    "cnn5-mnist": cnn5_mnist,
    "cnn-cifar10": cnn_cifar10,
    "cnn5-cifar10": cnn5_cifar10,
    "resnet-cifar10": resnet_cifar10,
}
