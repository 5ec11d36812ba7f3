"""Long texts, cut into windows for models that say what comes next."""

from itertools import pairwise

from torch import Tensor

from steepest.core.errors import SettingError
from steepest.data.archive import text, unpacked
from steepest.data.parts import Arrays, DataError
from steepest.data.places import File, obtain
from steepest.data.split import Data
from steepest.data.vocabulary import Vocabulary

SHAKESPEARE = File(
    "input.txt",
    ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
    "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)

# The line break and the 95 printable characters of ASCII. With padding and unknown, 98 numbers.
ASCII = ("\n", *map(chr, range(32, 127)))


def characters(length: int) -> Vocabulary:
    """The characters of ASCII, known beforehand: nothing is learned from any text, and models know how many there are."""
    return Vocabulary(tokens="characters", size=len(ASCII) + 2, length=length).knowing(ASCII)


def tinyshakespeare(length: int) -> Data:
    (path,) = obtain("tinyshakespeare", [SHAKESPEARE])
    return language(text(unpacked(path), str(path)), length)


def python_docs(length: int) -> Data:
    """The topics of `help()`, in alphabetical order: another text with each version of Python."""
    from pydoc_data.topics import topics

    return language("\n\n".join(topics[name] for name in sorted(topics)), length)


def language(content: str, length: int = 128, vocabulary: Vocabulary | None = None) -> Data:
    """A long text for a model that says what comes next: the first 90 % to learn from, then 5 % to validate, then 5 % to test."""
    cuts = [0, len(content) * 90 // 100, len(content) * 95 // 100, len(content)]
    pieces = [content[lo:hi] for lo, hi in pairwise(cuts)]
    return Data(*(Arrays(windows(piece, length, vocabulary)) for piece in pieces))


def windows(content: str, length: int, vocabulary: Vocabulary | None = None) -> tuple[Tensor, Tensor]:
    """Windows that do not overlap, (N, length), and for each place the token that comes next; what is left over at the end is left out."""
    if length < 1:
        raise SettingError(f"windows of length {length}: at least 1")
    ids = (vocabulary or characters(length)).numbered(content)
    count = (len(ids) - 1) // length
    if count < 1:
        raise DataError(
            f"a text of {len(ids)} tokens has no window of {length} with a token after it; give a longer text, or a shorter window"
        )
    return ids[: count * length].reshape(count, length), ids[1 : count * length + 1].reshape(count, length)
