"""Data sets by name. Read when first asked for: from `$STEEPEST_DATA/<name>/`, else downloaded; or made up from a seed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from steepest.core.errors import SettingError
from steepest.data import cifar, longtext, mnist_like, sounds, synthetic, tables, texts
from steepest.data.split import Data


@dataclass(frozen=True)
class Source:
    """A data set by name, read when called."""

    name: str
    read: Callable[[], Data]

    def __call__(self) -> Data:
        return self.read()


# --- images ----------------------------------------------------------------------------------------------


def digits() -> Source:
    """1,797 digits of 8 x 8 from scikit-learn: one in five is the test part. Always there."""
    return Source("digits", mnist_like.digits)


def mnist() -> Source:
    """60,000 + 10,000 digits of 28 x 28 (LeCun et al., 1998)."""
    return Source("mnist", partial(mnist_like.read, "mnist"))


def fashion_mnist() -> Source:
    """60,000 + 10,000 pieces of clothing of 28 x 28 (Xiao et al., 2017)."""
    return Source("fashion_mnist", partial(mnist_like.read, "fashion_mnist"))


def kmnist() -> Source:
    """60,000 + 10,000 Kuzushiji characters of 28 x 28 (Clanuwat et al., 2018)."""
    return Source("kmnist", partial(mnist_like.read, "kmnist"))


def cifar10(pixels: str = "any") -> Source:
    """50,000 + 10,000 color images of 32 x 32 (Krizhevsky, 2009).

    `pixels`: "exact"; "jpeg", which lost some of them; "any" takes exact ones where they are, else those from JPEG, and says so;
    "part" takes the exact ones of the first 4,000 + 1,000 images.
    """
    if pixels not in ("any", "exact", "jpeg", "part"):
        raise SettingError(f"cifar10(pixels={pixels!r}): any, exact, jpeg or part")
    return Source("cifar10", partial(cifar.cifar10, pixels))


def cifar100() -> Source:
    """50,000 + 10,000 color images of 32 x 32 in 100 classes (Krizhevsky, 2009)."""
    return Source("cifar100", cifar.cifar100)


# --- text ------------------------------------------------------------------------------------------------


def imdb() -> Source:
    """25,000 + 25,000 film reviews, bad (0) or good (1) (Maas et al., 2011). 123 texts are in both parts, as they were published."""
    return Source("imdb", texts.imdb)


def ag_news() -> Source:
    """120,000 + 7,600 news of four kinds: world, sports, business, science (Zhang et al., 2015)."""
    return Source("ag_news", texts.ag_news)


def sst2() -> Source:
    """67,349 phrases and 872 sentences of film reviews, bad (0) or good (1) (Socher et al., 2013; GLUE).

    Many phrases are parts of one sentence, also across the cut that carves validation data.
    """
    return Source("sst2", texts.sst2)


def tinyshakespeare(length: int = 128) -> Source:
    """1.1 million characters of Shakespeare (Karpathy, 2015), in windows of `length`: each character, and the one after it."""
    return Source("tinyshakespeare", partial(longtext.tinyshakespeare, length))


def python_docs(length: int = 128) -> Source:
    """The reference that ships with every Python, in windows of `length`: each character, and the one after it. Always there."""
    return Source("python_docs", partial(longtext.python_docs, length))


# --- sound -----------------------------------------------------------------------------------------------


def fsdd(seconds: float = 1.0, rate: int = 8000) -> Source:
    """2,700 + 300 spoken digits of six speakers (Jackson et al.), each cut or filled up to so many seconds."""
    return Source("fsdd", partial(sounds.fsdd, seconds, rate))


# --- tables ----------------------------------------------------------------------------------------------


def california_housing() -> Source:
    """20,640 districts: 8 features, and what a house there costs (Pace & Barry, 1997). One in five is the test part."""
    return Source("california_housing", tables.california_housing)


def adult() -> Source:
    """32,561 + 16,281 people, and whether they earned more than 50,000 dollars (Kohavi, 1996)."""
    return Source("adult", tables.adult)


# --- made up ---------------------------------------------------------------------------------------------


def two_moons(n: int = 1000, noise: float = 0.1, seed: int = 0) -> Source:
    """Two half circles that reach into each other."""
    return Source("two_moons", partial(synthetic.two_moons, n, noise, seed))


def teacher_student(n: int = 4000, inputs: int = 16, width: int = 8, noise: float = 0.0, seed: int = 0) -> Source:
    """What a random network says of random inputs."""
    return Source("teacher_student", partial(synthetic.teacher_student, n, inputs, width, noise, seed))


def copy(n: int = 4000, length: int = 8, symbols: int = 8, delay: int = 0, seed: int = 0) -> Source:
    """Symbols to say again: tokens 0 to `symbols` + 1, (N, 2 `length` + `delay`)."""
    return Source("copy", partial(synthetic.copy, n, length, symbols, delay, seed))


def parity(n: int = 4000, bits: int = 8, seed: int = 0) -> Source:
    """Whether an odd number of bits is 1."""
    return Source("parity", partial(synthetic.parity, n, bits, seed))


SOURCES: dict[str, Callable[..., Source]] = {
    "digits": digits, "mnist": mnist, "fashion_mnist": fashion_mnist, "kmnist": kmnist, "cifar10": cifar10, "cifar100": cifar100,
    "imdb": imdb, "ag_news": ag_news, "sst2": sst2, "tinyshakespeare": tinyshakespeare, "python_docs": python_docs,
    "fsdd": fsdd, "california_housing": california_housing, "adult": adult,
    "two_moons": two_moons, "teacher_student": teacher_student, "copy": copy, "parity": parity,
}  # fmt: skip
