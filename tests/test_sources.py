"""Data sets by name, from small files in the formats of the real ones; what is said of damaged ones; and the real ones where they are."""

import gzip
import io
import os
import struct
import tarfile
import wave
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile
from test_data import put_mnist

import steepest as sp
from steepest.core.errors import SettingError
from steepest.core.objectives import IGNORED
from steepest.data import DataError, cifar10, fsdd, gather, language, windows
from steepest.data.archive import members
from steepest.data.cifar import BATCHES, CIFAR10_CLASSES, read_cifar
from steepest.data.delimited import rows
from steepest.data.mnist_like import idx_files
from steepest.data.places import File, find, obtain, remembered
from steepest.data.sounds import read_wav, resampled
from steepest.data.sources import SOURCES
from steepest.data.split import labelled


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch) -> None:
    """An empty cache, and no network."""
    monkeypatch.setenv("STEEPEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STEEPEST_OFFLINE", "1")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty folder of data sets."""
    monkeypatch.setenv("STEEPEST_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def tar(path: Path, files: dict[str, bytes], packing: str = "gz") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, f"w:{packing}") as archive:
        for name, raw in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return path


def put(folder: Path, files: dict[str, bytes]) -> None:
    for name, raw in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)


def put_zip(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)


def parts(data: sp.data.Data) -> list:
    return [column for part in (data.train, data.test) for column in part.columns]


# --- what each of them gives ---------------------------------------------------------------------------------


def records(n: int, labels: int = 1, classes: int = 10, seed: int = 0) -> bytes:
    table = np.random.default_rng(seed).integers(0, 256, (n, labels + 3072), dtype=np.uint8)
    table[:, :labels] = 0
    table[:, labels - 1] = np.arange(n) % classes
    return table.tobytes()


def put_cifar10(folder: Path) -> None:
    put(folder, {name: records(10, seed=k) for k, name in enumerate(BATCHES)})


def reviews(n: int = 4) -> dict[str, bytes]:
    texts = {"neg": "Bad.<br /><br />Really bad {} é", "pos": "Good {}"}
    names = [(part, kind, k) for part in ("train", "test") for kind in ("neg", "pos") for k in range(n)]
    found = {f"aclImdb/{part}/{kind}/{k}_{9 if kind == 'pos' else 1}.txt": texts[kind].format(k).encode() for part, kind, k in names}
    return found | {"aclImdb/README": b"read me", "aclImdb/train/unsup/0_0.txt": b"of no kind"}


def wav(samples: np.ndarray, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    wavfile.write(file, rate, samples)
    return file.getvalue()


def recordings(rate: int = 8000, n: int = 8) -> dict[str, bytes]:
    found = {}
    for digit in range(10):
        for k in range(n):
            time = np.arange(int(0.4 * rate)) / rate
            tone = np.sin(2 * np.pi * (200 + 100 * digit) * time)
            found[f"recordings/{digit}_ann_{k}.wav"] = wav((20_000 * tone).astype(np.int16), rate)
    return found


NEWS_ROWS = b'"3","Wall St. rises","Short, ""sharp"" gain"\n"1","World","News\\here"\n"2","A","b"\n"4","C","d"\n'
SST_ROWS = b"sentence\tlabel\n\"gorgeous , witty film \t1\n dull 'and' slow \t0\n"
ADULT_ROWS = (
    b"39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, 2174, 0, 40, United-States, <=50K\n"
    b"50, ?, 83311, HS-grad, 9, Divorced, Sales, Husband, Black, Female, 0, 0, 13, Cuba, >50K\n\n"
)
ADULT_TEST = b"|1x3 Cross validator\n" + ADULT_ROWS.replace(b"50K", b"50K.").replace(b"Cuba", b"Atlantis")
HOUSING_ROWS = b"".join(f"-122.2,37.8,{k + 1}.0,880.0,129.0,322.0,126.0,8.3,{k + 1}00000.0\n".encode() for k in range(10))


def put_glue(folder: Path) -> None:
    put_zip(folder / "SST-2.zip", {"SST-2/train.tsv": SST_ROWS, "SST-2/dev.tsv": SST_ROWS, "SST-2/original/x/SST-2/dev.tsv": b"?"})


# Each form in which a data set is accepted.
FORMS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "mnist": ("mnist", put_mnist),
    "fashion_mnist": ("fashion_mnist", put_mnist),
    "kmnist": ("kmnist", put_mnist),
    "cifar10, files": ("cifar10", put_cifar10),
    "cifar10, packed files": (
        "cifar10",
        lambda folder: put(folder, {f"{name}.gz": gzip.compress(records(10, seed=k)) for k, name in enumerate(BATCHES)}),
    ),
    "cifar10, archive": (
        "cifar10",
        lambda folder: tar(
            folder / "cifar-10-binary.tar.gz", {f"cifar-10-batches-bin/{name}": records(10, seed=k) for k, name in enumerate(BATCHES)}
        ),
    ),
    "cifar10, folder": ("cifar10", lambda folder: put_cifar10(folder / "cifar-10-batches-bin")),
    "cifar100, archive": (
        "cifar100",
        lambda folder: tar(
            folder / "cifar-100-binary.tar.gz", {f"cifar-100-binary/{name}.bin": records(100, 2, 100) for name in ("train", "test")}
        ),
    ),
    "cifar100, folder": (
        "cifar100",
        lambda folder: put(folder / "cifar-100-binary", {f"{name}.bin": records(100, 2, 100) for name in ("train", "test")}),
    ),
    "imdb, archive": ("imdb", lambda folder: tar(folder / "aclImdb_v1.tar.gz", reviews())),
    "imdb, of labelled ones": ("imdb", lambda folder: tar(folder / "aclImdb_labeled.tar.xz", reviews(), "xz")),
    "imdb, bzip2 under another name": ("imdb", lambda folder: tar(folder / "aclImdb.tar", reviews(), "bz2")),
    "imdb, folder": ("imdb", lambda folder: put(folder, reviews())),
    "ag_news": ("ag_news", lambda folder: put(folder, {"train.csv": NEWS_ROWS, "test.csv": NEWS_ROWS})),
    "ag_news, packed": ("ag_news", lambda folder: put(folder, {f"{x}.csv.gz": gzip.compress(NEWS_ROWS) for x in ("train", "test")})),
    "sst2": ("sst2", put_glue),
    "sst2, folder": ("sst2", lambda folder: put(folder / "SST-2", {"train.tsv": SST_ROWS, "dev.tsv": SST_ROWS})),
    "tinyshakespeare": ("tinyshakespeare", lambda folder: put(folder, {"input.txt": b"To be, or not to be.\n" * 200})),
    "fsdd": ("fsdd", lambda folder: tar(folder / "recordings.tar", recordings(), "")),
    "fsdd, of GitHub": (
        "fsdd",
        lambda folder: tar(
            folder / "free-spoken-digit-dataset-1.0.10.tar.gz",
            {f"free-spoken-digit-dataset-1.0.10/{k}": v for k, v in recordings().items()},
        ),
    ),
    "fsdd, folder": ("fsdd", lambda folder: put(folder, recordings())),
    "adult": ("adult", lambda folder: put(folder, {"adult.data": ADULT_ROWS, "adult.test": ADULT_TEST})),
    "california_housing": (
        "california_housing",
        lambda folder: tar(folder / "cal_housing.tgz", {"CaliforniaHousing/cal_housing.data": HOUSING_ROWS}),
    ),
    "california_housing, file": ("california_housing", lambda folder: put(folder, {"cal_housing.data": HOUSING_ROWS})),
}

SHAPES = {
    "mnist": ((40, 1, 28, 28), (9, 1, 28, 28), torch.uint8),
    "cifar10": ((50, 3, 32, 32), (10, 3, 32, 32), torch.uint8),
    "cifar100": ((100, 3, 32, 32), (100, 3, 32, 32), torch.uint8),
    "tinyshakespeare": ((29, 128), (1, 128), torch.int64),
    "fsdd": ((30, 8000), (50, 8000), torch.float32),
    "adult": ((2, 108), (2, 108), torch.float32),
    "california_housing": ((8, 8), (2, 8), torch.float32),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_every_data_set(form, home):
    name, place = FORMS[form]
    place(home / name)
    data = SOURCES[name]()()
    x, y, test_x, test_y = parts(data)
    if name in ("imdb", "ag_news", "sst2"):
        assert all(isinstance(text, str) for text in [*x, *test_x]) and len(x) == len(y) == len(test_x) == len(test_y)
    else:
        wanted = SHAPES[{"fashion_mnist": "mnist", "kmnist": "mnist"}.get(name, name)]
        assert (tuple(x.shape), tuple(test_x.shape), x.dtype) == wanted
    assert y.dtype == (torch.float32 if name == "california_housing" else torch.int64)
    again = parts(SOURCES[name]()())  # the second time from what was remembered
    assert all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in zip(parts(data), again, strict=True))


def test_forms_of_one_data_set_hold_the_same(tmp_path, monkeypatch):
    for name in ("cifar10", "imdb", "fsdd", "california_housing", "sst2"):
        found = []
        for form in [form for form, (of, _) in FORMS.items() if of == name]:
            folder = tmp_path / form
            monkeypatch.setenv("STEEPEST_DATA", str(folder))
            monkeypatch.setenv("STEEPEST_CACHE", str(folder / "cache"))
            FORMS[form][1](folder / name)
            columns = parts(SOURCES[name]()())
            # A folder has its files in the order of their names.
            found.append([sorted(x.tolist() if isinstance(x, torch.Tensor) else x) for x in columns])
        assert len(found) > 1 and all(other == found[0] for other in found), name


def test_reviews_and_news_and_sentences(home):
    for name in ("imdb", "ag_news", "sst2"):
        FORMS[name if name in FORMS else f"{name}, archive"][1](home / name)
    x, y, *_ = parts(sp.data.imdb()())
    assert x[0] == "Bad.\n\nReally bad 0 é" and y.tolist() == [0] * 4 + [1] * 4
    x, y, *_ = parts(sp.data.ag_news()())
    assert x[:2] == ['Wall St. rises Short, "sharp" gain', "World News\\here"] and y.tolist() == [2, 0, 1, 3]
    x, y, *_ = parts(sp.data.sst2()())
    assert x == ['"gorgeous , witty film', "dull 'and' slow"] and y.tolist() == [1, 0]


def test_tables(home):
    for name in ("adult", "california_housing"):
        FORMS[name][1](home / name)
    x, y, test_x, test_y = parts(sp.data.adult()())
    assert x.shape == (2, 108) and y.tolist() == [0, 1] == test_y.tolist()
    figures = [39, 77516, 13, 2174, 0, 40]
    assert x[0][x[0] > 1].tolist() == [k for k in figures if k > 1] and x[0].sum() == sum(figures) + 8  # a 1 for each of eight words
    assert torch.equal(x[0], test_x[0]) and x[1].sum() - test_x[1].sum() == 1  # Atlantis is no country that they have
    x, y, *_ = parts(sp.data.california_housing()())
    income, age, rooms, bedrooms, people, occupancy, latitude, longitude = x[0].tolist()
    assert (income, people, latitude, longitude) == pytest.approx((8.3, 322, 37.8, -122.2))
    assert (rooms, bedrooms, occupancy) == pytest.approx((880 / 126, 129 / 126, 322 / 126)) and age == float(y[0])


def test_spoken_digits_of_another_rate_are_resampled_and_that_is_said(home):
    tar(home / "fsdd" / "recordings.tar", recordings(16_000, 6), "")
    with pytest.warns(RuntimeWarning, match=r"60 recordings of recordings.tar were resampled from 16,000 to 8,000 Hz"):
        x, y, *_ = parts(fsdd()())
    # What was a tone of 200 + 100 digit Hz is one still.
    peaks = torch.fft.rfft(x[:, :3200]).abs().argmax(1) * 8000 / 3200
    assert torch.allclose(peaks, 200.0 + 100 * y, atol=3) and float(x[:, 3300:].abs().max()) < 1e-3
    assert float(x.abs().max()) == pytest.approx(20_000 / 2**15, rel=0.02)


def test_spoken_digits_of_another_length(home):
    FORMS["fsdd"][1](home / "fsdd")
    assert parts(fsdd(seconds=0.25)())[0].shape == (30, 2000)
    for wrong in ({"seconds": 0.0}, {"rate": 10}):
        with pytest.raises(SettingError, match="above 0 and at most 60"):
            gather(fsdd(**wrong))


def jpegs() -> dict[str, bytes]:
    from PIL import Image

    found = {}
    for part in ("train", "test"):
        for k, label in enumerate(CIFAR10_CLASSES):
            file = io.BytesIO()
            Image.new("RGB", (32, 32), (25 * k, 0, 255 - 25 * k)).save(file, "JPEG", quality=95)
            found[f"{part}/{label}/000{k}.jpg"] = file.getvalue()
    return found


def test_cifar10_from_jpeg_is_said_to_be(home):
    tar(home / "cifar10" / "CIFAR-10-images.tar.xz", jpegs(), "xz")
    with pytest.warns(RuntimeWarning, match="cifar10 is read from JPEG, which is not exact"):
        x, y, *_ = parts(cifar10()())
    chosen = parts(cifar10("jpeg")())  # what was asked for needs no warning
    assert torch.equal(chosen[0], x) and y.tolist() == [*range(10)]
    assert abs(int(x[4, 0].float().mean()) - 100) < 4 and abs(int(x[4, 2].float().mean()) - 155) < 4
    with pytest.raises(DataError, match=r"put cifar-10-binary.tar.gz into .*cifar10"):
        cifar10("exact")()
    put_cifar10(home / "cifar10")
    assert not torch.equal(parts(cifar10()())[0][:10], x)  # exact ones come first
    with pytest.raises(SettingError, match=r"cifar10\(pixels='png'\): any, exact, jpeg or part"):
        cifar10("png")


def test_the_exact_part_of_cifar10(home):
    put(home / "cifar10", {"data_batch_1.first4000.bin.gz": gzip.compress(records(20)), "test_batch.first1000.bin": records(10, seed=1)})
    x, y, test_x, _ = parts(cifar10("part")())
    raw = np.frombuffer(records(20), np.uint8).reshape(20, 3073)
    assert torch.equal(x.flatten(1), torch.from_numpy(raw[:, 1:].copy())) and y.tolist() == raw[:, 0].tolist() and len(test_x) == 10


def test_digits_and_python_docs_are_always_there(monkeypatch):
    monkeypatch.delenv("STEEPEST_DATA", raising=False)
    assert len(gather("digits").train) > 1000
    data = gather(sp.data.python_docs(64))
    x, y = data.train.columns
    assert x.shape[1] == 64 and len(x) > 1000 and torch.equal(x[:, 1:], y[:, :-1]) and torch.equal(x[1:, 0], y[:-1, -1])
    text = sp.data.characters(64).text(x[:20].flatten())
    assert "Assertion" in text or "assert" in text.lower()


# --- made up -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["two_moons", "teacher_student", "copy", "parity"])
def test_made_up_data_are_known_from_their_seed(name):
    make = SOURCES[name]
    state = torch.get_rng_state()
    first, same, other = (parts(make(n=40, seed=seed)()) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True)) and not torch.equal(first[0], other[0])
    assert len(first[0]) == 40 and len(first[2]) == 10 and not torch.equal(first[0][:10], first[2])
    with pytest.raises(SettingError, match=f"{name} of n = 3: at least 8"):
        make(n=3)()


def test_two_moons_lie_on_two_half_circles():
    x, y, *_ = parts(sp.data.two_moons(n=200, noise=0.0)())
    centers = torch.tensor([[0.0, 0.0], [1.0, 0.5]])[y]
    assert torch.allclose((x - centers).norm(dim=1), torch.ones(200), atol=1e-5) and torch.bincount(y).tolist() == [100, 100]
    assert bool((x[y == 0, 1] >= -1e-6).all()) and bool((x[y == 1, 1] <= 0.5 + 1e-6).all())


def test_a_student_can_know_what_the_teacher_knows():
    x, y, test_x, test_y = parts(sp.data.teacher_student(n=2000, inputs=4, width=3)())
    noisy = parts(sp.data.teacher_student(n=2000, inputs=4, width=3, noise=0.5)())
    assert torch.equal(x, noisy[0]) and float((y - noisy[1]).std()) == pytest.approx(0.5, rel=0.1)
    # It is odd, and smooth: near neighbors have near values, what lies opposite has the opposite.
    near = torch.cdist(test_x, x).argmin(1)
    assert float((test_y - y[near]).abs().mean()) < 0.6 * float((test_y - y[torch.randperm(2000)[:500]]).abs().mean())


def test_copy_asks_for_what_was_said():
    x, y, *_ = parts(sp.data.copy(n=30, length=3, symbols=5, delay=2)())
    assert x.shape == y.shape == (30, 8) and bool((y[:, :5] == IGNORED).all()) and torch.equal(y[:, 5:], x[:, :3])
    assert bool(((x[:, :3] >= 1) & (x[:, :3] <= 5)).all()) and bool(
        (x[:, 3:5] == 0).all() and (x[:, 5] == 6).all() and (x[:, 6:] == 0).all()
    )
    with pytest.raises(SettingError, match=r"copy\(length=0, symbols=8, delay=0\): at least 1, 2 and 0"):
        sp.data.copy(length=0)()


def test_parity():
    x, y, *_ = parts(sp.data.parity(n=64, bits=5)())
    assert torch.equal(y, x.sum(1).long() % 2) and x.dtype == torch.float32 and 0.3 < float(y.float().mean()) < 0.7
    with pytest.raises(SettingError, match=r"parity\(bits=0\): at least 1"):
        sp.data.parity(bits=0)()


# --- long texts ----------------------------------------------------------------------------------------------


def test_windows_do_not_overlap_and_name_what_comes_next():
    x, y = windows("abcdefghij", 3)
    assert x.tolist() == [[68, 69, 70], [71, 72, 73], [74, 75, 76]] and y.tolist() == [[69, 70, 71], [72, 73, 74], [75, 76, 77]]
    assert windows("abcdefghi", 3)[0].shape == (2, 3)  # after the last there is nothing to name
    own = sp.data.Vocabulary(tokens="words", length=2).fit(["b a b"])
    assert windows("b a b c b", 2, own)[0].tolist() == [[2, 3], [2, 1]]
    with pytest.raises(DataError, match="a text of 3 tokens has no window of 3 with a token after it"):
        windows("abc", 3)
    with pytest.raises(SettingError, match="windows of length 0: at least 1"):
        windows("abc", 0)


def test_long_texts_are_cut_by_place():
    content = "".join(chr(33 + k // 100) for k in range(6000))
    data = language(content, 10)
    columns: list = [part.columns for part in (data.train, data.valid, data.test)]
    train, valid, test = (sorted(set(x.flatten().tolist())) for x, _ in columns)
    assert train[-1] < valid[0] and valid[-1] < test[0] and len(train) == 54 and len(valid) == 3 and len(test) == 3
    assert gather(data).valid is data.valid  # nothing more is carved


# --- what cannot be read -------------------------------------------------------------------------------------


def test_what_is_missing_is_named_with_its_place(home):
    with pytest.raises(DataError) as found:
        gather("kmnist")
    names = "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz"
    assert str(found.value) == f"kmnist is not complete, and STEEPEST_OFFLINE is set: put {names} into {home / 'kmnist'}"
    for name in SOURCES:
        if name not in ("digits", "python_docs", "two_moons", "teacher_student", "copy", "parity"):
            with pytest.raises(DataError, match=f"{name} is not complete, and STEEPEST_OFFLINE is set: put .* into .*{name}"):
                SOURCES[name]()()


def test_files_of_the_mnist_family_are_not_taken_for_each_other():
    checksums = [file.checksum for name in ("mnist", "fashion_mnist", "kmnist") for file in idx_files(name)]
    assert len(set(checksums)) == 12 and all(len(c or "") == 7 + 64 for c in checksums)


def test_traversal_reads_and_writes_nothing_elsewhere(home, tmp_path):
    names = ["../../escaped.txt", str(tmp_path / "escaped.txt"), "aclImdb/train/neg/0_1.txt"]
    path = tar(home / "x.tar.gz", dict.fromkeys(names, b"x"))
    before = set(tmp_path.rglob("*"))
    assert [name for name, _ in members(path, lambda name: True)] == names
    assert set(tmp_path.rglob("*")) == before


def test_links_in_archives_are_not_followed(home):
    secret = home / "secret"
    secret.write_text("secret")
    with tarfile.open(home / "x.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo("link.txt")
            info.type, info.linkname = kind, str(secret)
            archive.addfile(info)
    assert list(members(home / "x.tar", lambda name: True)) == []


TORN = {
    "cut": lambda raw: raw[: len(raw) // 2],
    "cut before its checksum": lambda raw: raw[:-6],
    "empty": lambda raw: b"",
    "no archive": lambda raw: b"<html>404</html>",
    "a flipped byte": lambda raw: raw[: len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 0xFF]) + raw[len(raw) // 2 + 1 :],
}


@pytest.mark.parametrize("packing", ["gz", "xz", "bz2", "zip"])
@pytest.mark.parametrize("damage", TORN)
def test_damaged_archives(damage, packing, home):
    path = home / f"x.{packing}"
    files = {f"{k}.txt": np.random.default_rng(k).bytes(3000) for k in range(5)}
    put_zip(path, files) if packing == "zip" else tar(path, files, packing)
    assert len(list(members(path, lambda name: True))) == 5
    path.write_bytes(TORN[damage](path.read_bytes()))
    with pytest.raises(DataError, match=f"{path} cannot be read: .*; it is damaged"):
        list(members(path, lambda name: True))


def test_a_tar_that_ends_within_a_file(home):
    path = tar(home / "x.tar", {"a": b"a" * 5000, "b": b"b" * 5000}, "")
    path.write_bytes(path.read_bytes()[:8000])
    with pytest.raises(DataError, match="cannot be read"):
        list(members(path, lambda name: True))


def test_texts_that_are_not_utf8(home):
    files = reviews() | {"aclImdb/test/pos/1_9.txt": "schön".encode("latin-1")}
    path = tar(home / "imdb" / "aclImdb_v1.tar.gz", files)
    with pytest.raises(DataError, match=f"aclImdb/test/pos/1_9.txt of {path} is not UTF-8: byte 3 is 0xf6; convert it"):
        gather("imdb")
    put(home / "ag_news", {"train.csv": NEWS_ROWS, "test.csv": NEWS_ROWS.decode().encode("utf-16")})
    with pytest.raises(DataError, match=r"test.csv is not UTF-8: byte 0 is 0xff"):
        gather("ag_news")


def test_an_archive_without_what_is_wanted(home):
    tar(home / "imdb" / "aclImdb_v1.tar.gz", {"README": b"read me"})
    tar(home / "cifar10" / "cifar-10-binary.tar.gz", {"cifar-10-batches-bin/data_batch_1.bin": records(10)})
    tar(home / "fsdd" / "recordings.tar", {"recordings/0_ann_0.wav": wav(np.zeros(9, np.int16))}, "")
    tar(home / "california_housing" / "cal_housing.tgz", {"README": b""})
    put_zip(home / "sst2" / "SST-2.zip", {"README": b""})
    for name, message in {
        "imdb": "has no reviews under train/ and test/, in neg/ and pos/",
        "cifar10": "has no data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, data_batch_5.bin, test_batch.bin",
        "fsdd": "has no recordings/{digit}_{speaker}_{index}.wav with index 0 to 4, and from 5 on",
        "california_housing": "has no cal_housing.data",
        "sst2": "has no SST-2/train.tsv and SST-2/dev.tsv",
    }.items():
        with pytest.raises(DataError) as found:
            gather(name)
        assert message in str(found.value)


def test_records_that_are_none():
    for raw in (b"", records(2)[:-1], b"x" * 100):
        with pytest.raises(DataError, match=f"x.bin has {len(raw)} bytes, which are no whole number of records of 3073"):
            read_cifar(raw, "x.bin")
    x, y = read_cifar(records(3, 2), "x.bin", 2)
    assert x.shape == (3, 3, 32, 32) and y.tolist() == [0, 1, 2]


def test_classes_that_are_missing_or_too_many():
    x, y = torch.zeros(6, 2), torch.tensor([0, 1, 3, 0, 1, 3])
    with pytest.raises(DataError, match="class 2 of it has no training sample; the files are not complete"):
        labelled("it", (x, y), (x, y), 4)
    with pytest.raises(DataError, match="the training labels of it go from 0 to 3; they must be 0 to 2"):
        labelled("it", (x, y), (x, y), 3)
    with pytest.raises(DataError, match="it has no test samples"):
        labelled("it", (x, torch.arange(6) % 4), (x[:0], y[:0]), 4)
    assert len(labelled("it", (x, torch.arange(6) % 4), (x[:1], y[:1]), 4).train) == 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\na,b,c\n", r"t.csv, line 2: 3 columns, and there should be 2"),
        ('a,"b\n', "t.csv, line 1: unexpected end of data"),
        ("", "t.csv has no rows"),
        ("\n\n", "t.csv has no rows"),
        ('a,"b"x\n', "t.csv, line 1: ',' expected after '\"'"),
    ],
)
def test_tables_that_are_none(content, message):
    with pytest.raises(DataError, match=message):
        rows(content, "t.csv", 2)


def test_rows():
    assert rows('a, b\n"c ""d""","e\nf"\n\n', "t", 2) == [["a", "b"], ['c "d"', "e\nf"]]
    assert rows('"a b\tc", d\n', "t", 2, "\t") == [['"a b', 'c", d']]


def test_tables_with_words_for_numbers(home):
    put(home / "adult", {"adult.data": ADULT_ROWS.replace(b"39", b"old"), "adult.test": ADULT_TEST})
    with pytest.raises(DataError, match=r"adult.data: could not convert string to float: .*old.*; the columns must be numbers"):
        gather("adult")
    put(home / "adult", {"adult.data": ADULT_ROWS.replace(b">50K", b"rich")})
    with pytest.raises(DataError, match=r"adult.data: the income 'rich' is neither <=50K nor >50K"):
        gather("adult")
    put(home / "california_housing", {"cal_housing.data": HOUSING_ROWS.replace(b"880.0", b"nan", 1)})
    with pytest.raises(DataError, match="row 0 has a NaN or Inf"):
        gather("california_housing")
    put(home / "ag_news", {"train.csv": NEWS_ROWS.replace(b'"1"', b'"World"'), "test.csv": NEWS_ROWS})
    with pytest.raises(DataError, match="the class 'World' is no whole number"):
        gather("ag_news")


# --- WAV -----------------------------------------------------------------------------------------------------

TONE = np.sin(np.arange(400) / 9)


def bits24(x: np.ndarray) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 3, 8000, len(x), "NONE", ""))
        out.writeframes(b"".join(int(v).to_bytes(3, "little", signed=True) for v in x))
    return file.getvalue()


@pytest.mark.parametrize(
    ("raw", "exact"),
    [
        (wav((TONE * 127 + 128).round().astype(np.uint8)), 1 / 127),
        (wav((TONE * 2**15 * 0.9).astype(np.int16)), 1e-4),
        (bits24(TONE * 2**23 * 0.9), 1e-6),
        (wav((TONE * 2**31 * 0.9).astype(np.int32)), 1e-6),
        (wav((TONE * 0.9).astype(np.float32)), 1e-6),
        (wav(TONE * 0.9), 1e-6),
        (wav(np.stack([TONE * 0.9, TONE * 0.9], 1).astype(np.float32)), 1e-6),
        (wav(np.stack([TONE * 1.8, TONE * 0], 1).astype(np.float32)), 1e-6),
    ],
)
def test_wav_of_every_kind(raw, exact):
    x, rate = read_wav(raw, "x.wav")
    assert rate == 8000 and x.dtype == np.float32
    scale = 1.0 if exact == 1 / 127 else 0.9
    assert np.abs(x - TONE * scale).max() <= exact * 1.5


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "x.wav is no WAV file that can be read"),
        (b"RIFF", "x.wav is no WAV file that can be read: its header is damaged"),
        (b"ID3 an MP3" * 99, "x.wav is no WAV file that can be read: File format b'ID3 ' not understood"),
        (wav(np.zeros(400, np.int16))[:100], "x.wav is no WAV file that can be read: .*EOF"),
        (wav(np.zeros(0, np.int16)), "x.wav has no samples"),
        (wav(np.full(9, np.nan, np.float32)), "x.wav holds NaN or Inf"),
        (wav(np.zeros(9, np.int16), 8), "x.wav says that it has 8 samples in a second; they are 1,000 to 768,000"),
        (wav(np.zeros(9, np.int16))[:20] + struct.pack("<H", 85) + wav(np.zeros(9, np.int16))[22:], "x.wav is no WAV file"),
    ],
)
def test_wav_files_that_are_none(raw, message):
    with pytest.raises(DataError, match=message):
        read_wav(raw, "x.wav")


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 500))
def test_a_wav_is_read_or_refused_whatever_is_wrong_with_it(changes, cut):
    raw = bytearray(wav(np.stack([TONE, TONE], 1).astype(np.float32)))
    for place, byte in changes:
        raw[place] = byte
    with suppress(DataError):
        x, rate = read_wav(bytes(raw[: len(raw) - cut]), "x.wav")
        assert len(x) and rate and x.dtype == np.float32 and np.isfinite(x).all()


def test_a_wav_with_notes_in_it():
    raw = wav((TONE * 1000).astype(np.int16))
    noted = raw[:36] + b"LIST" + struct.pack("<I", 4) + b"INFO" + b"bext" + struct.pack("<I", 2) + b"hi" + raw[36:]
    noted = noted[:4] + struct.pack("<I", len(noted) - 8) + noted[8:]
    assert np.array_equal(read_wav(noted, "x")[0], read_wav(raw, "x")[0])


def test_resampling_keeps_the_tone():
    x = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100).astype(np.float32)
    y = resampled(x, 44_100, 8000)
    assert len(y) == 8000 and y.dtype == np.float32 and np.abs(np.fft.rfft(y)).argmax() == 440
    assert resampled(x, 8000, 8000) is x


# --- what is remembered --------------------------------------------------------------------------------------


def test_what_was_decoded_is_remembered_by_contents(home, tmp_path):
    asked = []

    def decode():
        asked.append(1)
        return {"x": torch.arange(3)}

    (home / "a").write_bytes(b"1")
    for _ in range(2):
        assert torch.equal(remembered("it", [home / "a"], decode)["x"], torch.arange(3))
    assert len(asked) == 1
    (home / "a").write_bytes(b"2")
    remembered("it", [home / "a"], decode)
    assert len(asked) == 2
    for kept in (tmp_path / "cache" / "data" / "decoded").iterdir():
        kept.write_bytes(b"torn")
    remembered("it", [home / "a"], decode)
    assert len(asked) == 3
    remembered("it", [home], decode)  # a folder
    assert len(asked) == 4


def test_where_nothing_can_be_kept_nothing_is_remembered(home, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("STEEPEST_CACHE", str(tmp_path / "file"))
    (home / "a").write_bytes(b"1")
    assert remembered("it", [home / "a"], lambda: {"x": torch.ones(1)})["x"].tolist() == [1.0]


def test_files_in_the_given_folder_come_before_downloads(home, tmp_path):
    put(tmp_path / "cache" / "data" / "it", {"a.csv": b"downloaded", "b.csv.gz": b"packed"})
    assert find("it", ["a.csv"]) == tmp_path / "cache" / "data" / "it" / "a.csv"
    assert find("it", ["b.csv"]) == tmp_path / "cache" / "data" / "it" / "b.csv.gz"
    put(home / "it", {"a.csv": b"given"})
    assert obtain("it", [File("a.csv")]) == [home / "it" / "a.csv"] and find("it", ["c"]) is None


# --- the real ones -------------------------------------------------------------------------------------------

REAL = Path(os.environ["STEEPEST_DATA"]) if os.environ.get("STEEPEST_DATA") else None


def real(name: str) -> pytest.MarkDecorator:
    there = REAL is not None and (REAL / name).is_dir()
    return pytest.mark.skipif(not there, reason=f"needs the real files in $STEEPEST_DATA/{name}/")


@real("tinyshakespeare")
def test_the_real_shakespeare():
    data = sp.data.tinyshakespeare(100)()
    x, _ = data.train.columns
    assert len(x) == (1_115_394 * 9 // 10 - 1) // 100 and int((x == 1).sum()) == 0 and len(x.unique()) == 65


@real("mnist")
def test_the_real_mnist():
    x, y, test_x, test_y = parts(sp.data.mnist()())
    assert x.shape == (60_000, 1, 28, 28) and test_x.shape == (10_000, 1, 28, 28)
    assert torch.bincount(y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949] and int(test_y[0]) == 7
    assert float(x.float().mean() / 255) == pytest.approx(0.1307, abs=1e-4)


@real("cifar10")
def test_the_real_part_of_cifar10():
    x, y, test_x, test_y = parts(cifar10("part")())
    assert torch.bincount(y).tolist() == [396, 366, 420, 384, 422, 393, 414, 385, 407, 413] and x[0, 0, 0, :5].tolist() == [
        59,
        43,
        50,
        68,
        98,
    ]
    assert int(test_y[0]) == 3 and test_x.shape == (1000, 3, 32, 32)


@real("fsdd")
def test_the_real_digits_are_spoken():
    x, y, test_x, test_y = parts(fsdd()())
    assert x.shape == (2700, 8000) and torch.bincount(y).tolist() == [270] * 10 and torch.bincount(test_y).tolist() == [30] * 10
    assert float(test_x.abs().amax(1).min()) > 0.005


@real("imdb")
def test_the_real_reviews():
    x, y, test_x, test_y = parts(sp.data.imdb()())
    assert torch.bincount(y).tolist() == [12_500] * 2 == torch.bincount(test_y).tolist()
    assert len(set(x)) <= 24_904 and not any("<br" in text for text in x) and len(set(x) & set(test_x)) >= 123
