"""Data in every form it may have: cut, read from disk, preprocessed; and what is said of data that cannot be learned from."""

import gzip
import struct
from math import nan
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from training import last, points, recipe, small, task

import steepest as sp
from steepest.core.errors import SettingError, SteepestError
from steepest.core.task import Task
from steepest.data import SOURCES, Columns, Data, DataError, Level, Scale, Standardize, Vocabulary, gather
from steepest.data.idx import TYPES, read_idx
from steepest.data.parts import Arrays, Loader, Rows, Samples, part
from steepest.data.preprocess import NUMBERS, fit, restored
from steepest.data.sources import Source
from steepest.data.split import balanced, carve, fold, strata
from steepest.train.run import train
from steepest.train.trained import load
from steepest.train.use import measure

X, Y = points(60)


class Own(Dataset):
    """A Dataset of one's own, which counts how often it was asked."""

    def __init__(self, x: Tensor = X, y: Tensor = Y) -> None:
        self.x, self.y, self.asked = x, y, 0

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i):
        self.asked += 1
        return self.x[i], self.y[i]


class Frame:
    """What a data frame has of an array."""

    def __init__(self, array) -> None:
        self.array = np.asarray(array)

    def __len__(self) -> int:
        return len(self.array)

    def __array__(self, dtype=None, copy=None):
        return self.array

    def __iter__(self):
        return iter(["column names"])


def mapped(path: Path, array: np.ndarray) -> np.memmap:
    np.save(path, array)
    return np.load(path, mmap_mode="r")


# --- what data may be --------------------------------------------------------------------------------

VALID = (X[:9], Y[:9])
FORMS = {
    "tensors": lambda: (X, Y),
    "arrays": lambda: (X.numpy(), Y.numpy()),
    "float64": lambda: (X.numpy().astype(np.float64), Y.numpy().astype(np.int16)),
    "float64 tensors": lambda: (X.double(), Y.int()),
    "float16": lambda: (X.half().numpy(), Y.numpy()),
    "big-endian": lambda: (X.numpy().astype(">f4"), Y.numpy().astype(">i4")),
    "not to be written": lambda: (np.frombuffer(X.numpy().tobytes(), np.float32).reshape(60, 2), Y.numpy()),
    "backwards": lambda: (X.numpy()[::-1], Y.numpy()[::-1]),
    "lists": lambda: (X.tolist(), Y.tolist()),
    "frames": lambda: (Frame(X.numpy()), Frame(Y.numpy())),
    "one of each": lambda: (X, Y.tolist()),
    "bool labels": lambda: (X, Y.bool()),
    "byte labels": lambda: (X, Y.to(torch.uint8)),
    "TensorDataset": lambda: TensorDataset(X.double(), Y),
    "Dataset": Own,
    "Dataset of float64": lambda: Own(X.double(), Y.int()),
    "DataLoader": lambda: DataLoader(TensorDataset(X, Y), batch_size=16),
    "list of batches": lambda: [(X[k : k + 20], Y[k : k + 20]) for k in range(0, 60, 15)],
    "train and valid": lambda: ((X, Y), VALID),
    "three": lambda: ((X, Y), VALID, (X[9:20], Y[9:20])),
    "list of two": lambda: [(X, Y), VALID],
    "Datasets": lambda: (Own(), TensorDataset(*VALID)),
    "loader and arrays": lambda: (DataLoader(TensorDataset(X, Y), batch_size=16), VALID),
    "dict": lambda: {"train": (X, Y), "test": VALID},
    "Data": lambda: Data((X, Y), valid=VALID),  # type: ignore[arg-type]
    "function": lambda: lambda: (X, Y),
    "function of a function": lambda: lambda: lambda: {"train": (X, Y)},
}


@pytest.mark.parametrize("form", FORMS)
def test_whatever_holds_it_is_learned_from(form):
    step = last(train(task(data=FORMS[form]()), recipe(stop__epochs=2)))
    assert step.loss < 1.0 and step.number == step.steps - 1


def test_memory_maps_are_learned_from(tmp_path):
    data = mapped(tmp_path / "x.npy", X.numpy().astype(np.float64)), mapped(tmp_path / "y.npy", Y.numpy().astype(np.int32))
    step = last(train(task(data=data, preprocess=["standardize"]), recipe(stop__epochs=2)))
    same = last(train(task(data=(X, Y), preprocess=["standardize"]), recipe(stop__epochs=2)))
    assert step.loss == pytest.approx(same.loss, abs=1e-6) and step.evaluation == pytest.approx(same.evaluation)


def test_named_data():
    assert len(gather("digits").train) == len(gather(sp.data.digits()).train)
    with pytest.raises(DataError, match="unknown data set 'digit'; did you mean digits"):
        gather("digit")
    assert all(isinstance(make(), Source) and make().name == name for name, make in SOURCES.items())


def test_parts_are_what_was_given():
    kinds = {
        "arrays": Arrays,
        "TensorDataset": Arrays,
        "lists": Arrays,
        "Dataset": Samples,
        "DataLoader": Loader,
        "list of batches": Loader,
    }
    for form, kind in kinds.items():
        assert isinstance(gather(FORMS[form](), valid=0).train, kind), form
    found = gather(FORMS["three"]())
    assert [len(x) for x in (found.train, found.valid, found.test)] == [60, 9, 11]  # type: ignore[arg-type]
    assert gather(FORMS["DataLoader"]()).valid is None  # a stream is not cut
    # Numbers in a list are an array; a tuple of arrays are columns.
    assert gather([[1.0, 2.0], [3.0, 4.0]], valid=0).train.columns[0].shape == (2, 2)
    assert len(gather(([1.0, 2.0], [3, 4]), valid=0).train.columns) == 2


def test_types():
    x, y = gather((X.numpy().astype(np.float64), Y.numpy().astype(np.uint16)), valid=0).train.columns
    assert x.dtype == torch.float32 and y.dtype == torch.int64
    assert gather(torch.zeros(4, 2, dtype=torch.uint8), valid=0).train.columns[0].dtype == torch.uint8
    kept = torch.zeros(4, 2)
    assert gather(kept, valid=0).train.columns[0] is kept  # no copy of what is right
    array = np.zeros((4, 2), np.float32)
    assert np.shares_memory(gather(array, valid=0).train.columns[0].numpy(), array)


def test_double_precision_where_torch_has_it(float64):
    assert gather((X.numpy().astype(np.float64), Y), valid=0).train.columns[0].dtype == torch.float64
    last(train(task(data=(X, Y), preprocess=["standardize"], class_weights="balanced"), recipe(stop__epochs=1)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "the data is NoneType; give arrays"),
        (3, "the data is int; give arrays"),
        ({"train": (X, Y), "vaild": VALID}, "they are train, and if you like valid and test"),
        ({"valid": (X, Y)}, "they are train"),
        ((X, None), "the data holds NoneType beside arrays"),
        ((X, object()), "the data holds object beside arrays"),
        (([[1.0, 2.0], [3.0]], [0, 1]), "lists of unequal length"),
        ((np.array(["a", None], dtype=object), [0, 1]), "the data holds object, which is no number"),
        ((X, Y[:7]), "columns of 60 and 7 rows"),
        ((X.numpy(), Y.numpy(), X.numpy()[:5], Y.numpy()[:5]), "columns of 60 and 60 and 5 and 5 rows"),
        (((X, Y), (X[:0], Y[:0])), "the valid data is empty"),
        (((X, Y), VALID, (X[:5] * nan, Y[:5])), "the inputs of the test data hold NaN or Inf in 5 samples, first in sample 0"),
        ((X, torch.where(torch.arange(60) == 7, nan, 1.0)), "the targets of the data hold NaN or Inf in 1 samples, first in sample 7"),
        (torch.tensor(3.0), "a single number"),
        ((["a", "b", 3.5] * 9, [0, 1, 0] * 9), "text 2 is float"),
        (((X, Y), (X[:, :1], Y)), r"the validation data look like \(N, 1\) float32, .* and the training data like \(N, 2\) float32"),
        (((X, Y), VALID, (X.to(torch.uint8), Y)), r"the test data look like \(N, ...\) uint8"),
        (((X, Y), (X[:5],)), "the validation data look like"),
        ((X[:1], Y[:1]), "1 samples are too few to hold out"),
        ([], "the data is empty"),
        (lambda: 1 / 0, r"the data: <lambda>\(\) failed: ZeroDivisionError: division by zero"),
        (lambda: gather("x"), "unknown data set 'x'"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_learned_from(data, message):
    with pytest.raises(DataError, match=message):
        gather(data)


# --- on disk -----------------------------------------------------------------------------------------


class Watched(np.memmap):
    """A memory map that counts the rows it is asked for."""

    rows = 0

    def __getitem__(self, index):
        if isinstance(index, np.ndarray):
            Watched.rows += index.size
        return super().__getitem__(index)


def test_a_memory_map_stays_on_disk(tmp_path):
    """1.6 TB by its shape (a file with holes): whoever reads more of it than was asked for does not come back."""
    n, width = 2_000_000, 100_000
    array = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float64, shape=(n, width))
    array[5] = 7.0
    watched = array.view(Watched)
    Watched.rows = 0
    data = gather((watched, np.arange(n) % 2))
    assert len(data.train) == n * 9 // 10 and Watched.rows < 10
    place = {kind: (part.columns[0].places == 5).nonzero().flatten() for kind, part in (("train", data.train), ("valid", data.valid))}
    chosen, at = (data.train, place["train"]) if len(place["train"]) else (data.valid, place["valid"])
    (x, y) = chosen.take(at)
    assert x.dtype == torch.float32 and bool((x == 7).all()) and y.tolist() == [1] and Watched.rows < 20


def test_the_rows_of_a_memory_map_are_those_of_the_array(tmp_path):
    array = np.random.default_rng(0).normal(size=(50, 3, 4))
    rows = Rows(mapped(tmp_path / "x.npy", array))
    some = torch.tensor([3, 1, 40, 1])
    assert torch.equal(rows.take(some), torch.from_numpy(array).float()[some])
    part_of_it = rows.subset(torch.arange(10, 20)).subset(torch.tensor([2, 0]))
    assert torch.equal(part_of_it.take(torch.tensor([1, 0])), torch.from_numpy(array).float()[[10, 12]])
    assert len(part_of_it) == 2 and part_of_it.shape == (2, 3, 4) and rows.dtype == torch.float32
    assert Rows(mapped(tmp_path / "b.npy", array.astype(np.uint8))).dtype == torch.uint8
    assert Rows(mapped(tmp_path / "i.npy", array.astype(np.int16))).dtype == torch.int64


def test_labels_on_disk_are_read_and_split_by_class(tmp_path):
    x, y = mapped(tmp_path / "x.npy", X.numpy()), mapped(tmp_path / "y.npy", Y.numpy().astype(np.int32))
    found, same = gather((x, y)), gather((X, Y))
    assert torch.equal(found.train.target, same.train.target) and torch.equal(found.valid.target, same.valid.target)
    assert isinstance(found.train.columns[0], Rows)
    with pytest.raises(DataError, match="on disk with validation data of its own"):
        fold(found, 3, 0)
    assert len(fold(gather((x, y), valid=0), 3, 0).valid) == 20


# --- splits ------------------------------------------------------------------------------------------


def test_the_split_is_disjoint_whole_and_stratified():
    y = torch.tensor([0] * 700 + [1] * 250 + [2] * 50)
    x = torch.arange(1000.0).unsqueeze(1)
    data = gather((x, y))
    train, valid = data.train.columns[0].flatten(), data.valid.columns[0].flatten()
    assert sorted(torch.cat([train, valid]).tolist()) == x.flatten().tolist()
    assert torch.bincount(data.valid.target).tolist() == [70, 25, 5]
    assert valid.tolist() != sorted(valid.tolist())[: len(valid)] or valid[0] > 0  # not simply the first or every tenth
    assert len(set(valid.diff().tolist())) > 5
    assert torch.equal(valid, gather((x, y)).valid.columns[0].flatten())


def test_the_split_does_not_depend_on_the_seed_of_the_run():
    seen = []
    for seed in (0, 1):
        torch.manual_seed(seed + 100)
        step = next(train(task(), recipe(run__seed=seed)))
        seen.append((step.session.data.valid.columns[0], step.session.course.index(0)))
    assert torch.equal(seen[0][0], seen[1][0]) and not torch.equal(seen[0][1], seen[1][1])


def test_test_data_are_never_cut():
    test = (X[:13], Y[:13])
    data = gather({"train": (X, Y), "test": test})
    assert torch.equal(data.test.columns[0], test[0]) and len(data.train) + len(data.valid) == 60
    assert all(len(fold(data, 4, k).test) == 13 for k in range(4))


@pytest.mark.parametrize("target", [None, torch.randn(37), torch.arange(37) % 3, torch.zeros(37, dtype=torch.int64)])
def test_carving_keeps_every_sample_once(target):
    held, kept = carve(37, target, 0.1)
    assert sorted([*held.tolist(), *kept.tolist()]) == list(range(37)) and len(held) in (3, 4)
    assert sorted(strata(37, target).tolist()) == list(range(37))


@pytest.mark.parametrize("form", ["tensors", "three", "Dataset"])
def test_folds_are_disjoint_and_whole(form):
    data = gather(FORMS[form](), valid=0)
    cuts = [fold(data, 4, k) for k in range(4)]

    def seen(part) -> list:
        return sorted(map(tuple, part.take(torch.arange(len(part)))[0].tolist()))

    whole = sorted(x for cut in cuts for x in seen(cut.valid))
    every = seen(data.train) + (seen(data.valid) if data.valid else [])
    assert whole == sorted(every)
    for cut in cuts:
        assert sorted(seen(cut.train) + seen(cut.valid)) == sorted(every)
    if form == "tensors":  # stratified: each within one of its share
        assert all(abs(torch.bincount(cut.valid.target) - torch.bincount(Y) / 4).max() <= 1 for cut in cuts)


def test_folds_that_cannot_be():
    for folds, number in ((1, 0), (3, 3), (3, -1)):
        with pytest.raises(DataError, match=f"fold {number} of {folds}"):
            fold(gather((X, Y), valid=0), folds, number)
    with pytest.raises(DataError, match="60 samples are too few for 61 folds"):
        fold(gather((X, Y), valid=0), 61, 0)
    with pytest.raises(DataError, match="give the Dataset instead"):
        fold(gather(FORMS["DataLoader"]()), 2, 0)
    with pytest.raises(DataError, match="of a Dataset with validation data of its own"):
        fold(gather(FORMS["Datasets"]()), 2, 0)


def test_balanced_weights():
    y = torch.tensor([0] * 6 + [1] * 3 + [2])
    assert balanced(Arrays((torch.zeros(10, 1), y))).tolist() == pytest.approx([10 / 18, 10 / 9, 10 / 3])
    unknown = torch.cat([y, torch.full((5,), -100)])
    assert balanced(Arrays((torch.zeros(15, 1), unknown))).tolist() == pytest.approx([10 / 18, 10 / 9, 10 / 3])
    assert balanced(Arrays((torch.zeros(10, 1), (y > 0).float()))).tolist() == pytest.approx([10 / 12, 10 / 8])
    with pytest.raises(DataError, match="class 1 has no training sample"):
        balanced(Arrays((torch.zeros(2, 1), torch.tensor([0, 2]))))
    for target in (torch.randn(5), torch.rand(5, 2).round()):
        with pytest.raises(DataError, match="needs targets that are class numbers"):
            balanced(Arrays((torch.zeros(5, 1), target)))


# --- preprocessing -----------------------------------------------------------------------------------


def test_standardize():
    x = torch.randn(50, 3) * torch.tensor([1.0, 10.0, 0.0]) + torch.tensor([5.0, -3.0, 0.1])
    step = Standardize()
    z = step.apply(x, step.fit(x))
    assert torch.allclose(z.mean(0), torch.zeros(3), atol=1e-5) and torch.allclose(z.std(0, correction=0)[:2], torch.ones(2), atol=1e-5)
    assert bool((z[:, 2] == 0).all())
    # A constant column is no reason to divide by rounding errors: what differs later differs as it is.
    assert float(step.apply(x + 1, step.fit(x))[0, 2]) == pytest.approx(1.0)
    images = torch.randn(20, 3, 5, 5) * torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    fitted = step.fit(images)
    assert fitted["mean"].shape == (3, 1, 1) and torch.allclose(step.apply(images, fitted).std((0, 2, 3), correction=0), torch.ones(3))
    assert step.fit(torch.arange(5.0))["mean"].shape == ()
    for n in (7, 1000, 9999):
        assert bool((step.fit(torch.full((n, 3, 2, 2), 0.1))["deviation"] == 1).all())


def test_standardizing_other_shapes_is_refused():
    step = Standardize()
    fitted = step.fit(torch.randn(9, 4))
    for x in (torch.randn(9, 1), torch.randn(9, 5), torch.randn(9, 4, 4), torch.randn(4)):
        with pytest.raises(DataError, match=r"cannot be standardized: what was learned is for \(N, 4\)"):
            step.apply(x, fitted)
    with pytest.raises(DataError, match=r"is for \(N, 3, ..., ...\)"):
        step.apply(torch.randn(9, 1, 2, 2), step.fit(torch.randn(9, 3, 2, 2)))


def test_scale():
    step = Scale()
    x = torch.tensor([[2.0, 4.0], [3.0, 6.0]])
    assert step.apply(x, step.fit(x)).tolist() == [[0.0, 0.5], [0.25, 1.0]]
    raw = torch.tensor([[0, 100, 255]], dtype=torch.uint8)
    assert torch.equal(step.apply(raw, step.fit(raw[:, :1])), raw.float() / 255)  # by the range of bytes, not of these
    constant = torch.full((4, 2), 0.5)
    assert float(step.apply(constant + 0.25, step.fit(constant)).max()) == 0.25


def test_level():
    x = torch.randn(8, 100) * torch.arange(1, 9).unsqueeze(1)
    x[3] = 0  # silence stays silence
    each = Level(level=0.2, each=True)
    found = each.apply(x, each.fit(x)).square().mean(1).sqrt()
    assert torch.allclose(found, torch.where(torch.arange(8) == 3, 0.0, 0.2), atol=1e-6)
    whole = Level()
    z = whole.apply(x, whole.fit(x))
    assert float(z.square().mean().sqrt()) == pytest.approx(0.1) and torch.allclose(z[5] / z[4], x[5] / x[4], rtol=1e-4)
    with pytest.raises(SettingError, match=r"Level\.level = 0 is outside"):
        Level(level=0.0)


def test_bytes_stay_bytes_until_they_are_used():
    x = torch.randint(0, 256, (60, 2), dtype=torch.uint8)
    seen = []

    class Spy(nn.Linear):
        def forward(self, x):
            seen.append((x.dtype, float(x.max()) <= 1))
            return super().forward(x)

    step = last(train(task(model=lambda: Spy(2, 2), data=(x, Y)), recipe(stop__epochs=1)))
    assert step.session.data.train.columns[0].dtype == torch.uint8
    assert set(seen) == {(torch.float32, True)}


LEAKY = 1000.0


@pytest.mark.parametrize("steps", [["standardize"], ["scale"], [Level()]])
def test_nothing_is_learned_from_validation_data(steps):
    """Validation and test data far away from the training data: what they would teach could not be overlooked."""
    far = (X + LEAKY, Y)
    alone = fit(steps, part((X, Y)))
    session = next(train(task(data=((X, Y), far, far), preprocess=steps), recipe())).session
    assert all(torch.equal(x, session.preprocess.tensors()[name]) for name, x in alone.tensors().items())
    assert float(session.data.valid.columns[0].min()) > 10  # and they are changed by what was learned, not by their own
    # Where the data are cut by the loop, too: the last samples are as they are, whatever is held out.
    data = gather((X, Y))
    session = next(train(task(data=(X, Y), preprocess=steps), recipe())).session
    cut = fit(steps, data.train)
    assert all(torch.equal(x, session.preprocess.tensors()[name]) for name, x in cut.tensors().items())
    assert any(not torch.equal(x, alone.tensors()[name]) for name, x in cut.tensors().items()) or steps == ["scale"]


@pytest.mark.parametrize("kind", ["arrays", "bytes", "Dataset", "DataLoader"])
def test_training_evaluation_and_use_see_the_same(kind, tmp_path):
    """The validation metrics of the loop, of `measure`, and by hand from the loaded model."""
    x = X * 50 + 100
    if kind == "bytes":
        x = x.clamp(0, 255).to(torch.uint8)
    given = {"arrays": (x, Y), "bytes": (x, Y), "Dataset": Own(x, Y), "DataLoader": DataLoader(TensorDataset(x, Y), batch_size=20)}[kind]
    valid = {"Dataset": Own(x[:30], Y[:30])}.get(kind, (x[:30], Y[:30]))
    chosen = task(data=(given, valid), preprocess=["standardize"] if kind != "bytes" else ["scale", "standardize"])
    last(train(chosen, recipe(stop__epochs=3), folder=tmp_path))
    found, _ = measure(tmp_path, "valid", chosen)
    best = max(line["metrics"]["accuracy"] for line in sp.records.run(tmp_path).lines("evaluation"))
    output = load(tmp_path, chosen)(x[:30]).detach()
    assert found["accuracy"] == pytest.approx(best)
    assert float((output.argmax(1) == Y[:30]).double().mean()) == pytest.approx(best)
    assert float(nn.functional.cross_entropy(output, Y[:30])) == pytest.approx(found["loss"], rel=1e-5)


@pytest.mark.parametrize("kinds", ["arrays Dataset", "Dataset arrays", "DataLoader arrays", "mapped arrays", "arrays mapped"])
def test_parts_of_different_kinds_see_the_same_preprocessing(kinds, tmp_path):
    x, seen = X * 50 + 100, []

    def given(kind: str):
        made = {"Dataset": lambda: Own(x, Y), "DataLoader": lambda: DataLoader(TensorDataset(x, Y), batch_size=20)}
        return made.get(kind, lambda: (mapped(tmp_path / "x.npy", x.numpy()) if kind == "mapped" else x, Y))()

    class Spy(nn.Linear):
        def forward(self, x):
            seen.append(float(x.abs().max()))
            return super().forward(x)

    data = tuple(map(given, kinds.split()))
    last(train(task(model=lambda: Spy(2, 2), data=data, preprocess=["standardize"]), recipe(stop__epochs=2)))
    assert max(seen) < 5  # of 100 and more, where one part goes without


def test_of_many_samples_some_teach(tmp_path):
    own = Own(torch.randn(60, 2), Y)
    fit([], part(own))
    assert own.asked == 1  # to see whether they are bytes
    wide = mapped(tmp_path / "x.npy", np.random.default_rng(0).normal(3.0, 2.0, (500, 2000)).astype(np.float32))
    import steepest.data.preprocess as room

    before = room.NUMBERS
    try:
        room.NUMBERS = 2000 * 100
        fitted = fit(["standardize"], part(wide)).fitted[0]
    finally:
        room.NUMBERS = before
    assert float(fitted["mean"].mean()) == pytest.approx(3.0, abs=0.1) and before == NUMBERS
    chosen = wide[np.linspace(0, 499, 100).astype(int)]
    assert np.allclose(fitted["mean"].numpy(), chosen.mean(0), atol=1e-5)


def test_a_stream_teaches_by_more_than_its_first_batch():
    x = torch.arange(60.0).unsqueeze(1)
    fitted = fit(["standardize"], part(DataLoader(TensorDataset(x), batch_size=7))).fitted[0]
    assert float(fitted["mean"]) == pytest.approx(29.5)


class Center:
    """A step of one's own."""

    def fit(self, x):
        return {"center": x.float().mean(0)}

    def apply(self, x, fitted):
        return x.float() - fitted["center"]


def test_a_step_of_ones_own_comes_back(tmp_path):
    last(train(task(preprocess=[Center()]), recipe(stop__epochs=1), folder=tmp_path))
    model = load(tmp_path, task(preprocess=[Center()]))
    assert torch.allclose(model.preprocess(points()[0]).mean(0), torch.zeros(2), atol=0.1)
    with pytest.raises(SettingError, match=r"preprocessed by Center; the task now says Standardize\(\)"):
        load(tmp_path, task(preprocess=["standardize"]))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (["standardise"], "unknown step 'standardise'; did you mean standardize"),
        ([Standardize], r"Standardize is a class; give an object, Standardize\(\)"),
        ([3], r"preprocess: 3 has no fit\(x\) and apply\(x, fitted\)"),
        (["scale", Vocabulary()], "a vocabulary is the first step"),
        (["scale", Columns()], "so are the columns of a table"),
        ([Columns()], "a Columns, and the data is no text"),
        ([Vocabulary()], "a Vocabulary, and the data is no text"),
    ],
)
def test_steps_that_are_none(steps, message):
    with pytest.raises(SteepestError, match=message):
        fit(steps, part((X, Y)))


# --- text --------------------------------------------------------------------------------------------

HOSTILE = [
    "",
    " \t\n",
    "a" * 10_000,
    "İstanbul ß ﬁ",
    "日本語 テスト",
    "e\u0301 é",
    "\ud800 torn",
    "\x00\x1f",
    "🙂🙂 ok",
    "don't stop!",
    "\u2028line",
    "<script>",
]


@pytest.mark.parametrize("tokens", ["words", "characters"])
def test_hostile_texts(tokens):
    vocabulary = Vocabulary(tokens=tokens, length=7).fit(HOSTILE)
    ids = vocabulary(HOSTILE)
    assert ids.shape == (len(HOSTILE), 7) and ids.dtype == torch.int64
    assert bool((ids[0] == 0).all()) and int(ids.max()) < len(vocabulary.words) + 2 and int(ids.min()) == 0
    assert bool((ids != 1).all())  # all of them are known
    assert bool((vocabulary(["никогда не видел"]) <= 1).all()) or tokens == "characters"
    assert torch.equal(Vocabulary(tokens=tokens, length=7).knowing(vocabulary.words)(HOSTILE), ids)


def test_the_most_frequent_are_kept_whatever_the_order():
    texts = ["b a c", "c b", "c"]
    assert Vocabulary().fit(texts).words == ["c", "b", "a"] == Vocabulary().fit(texts[::-1]).words
    assert Vocabulary(size=4).fit(texts).words == ["c", "b"]
    assert Vocabulary(size=4, length=5).fit(texts)(["a b c d"]).tolist() == [[1, 3, 2, 1, 0]]
    assert Vocabulary(length=2).fit(texts)(["a b c", "A"]).tolist() == [[4, 3], [4, 0]]


def test_mistakes_with_vocabularies():
    for settings in ({"size": 2}, {"length": 0}):
        with pytest.raises(SettingError, match="at least 3 and 1"):
            Vocabulary(**settings)
    with pytest.raises(SettingError, match="knows no words yet"):
        Vocabulary()(["a"])
    with pytest.raises(SettingError, match=r"give \[text\]"):
        Vocabulary().fit(["a"])("a")
    with pytest.raises(DataError, match=r"the data is text; give preprocess=\[Vocabulary"):
        next(train(task(data=(["a b", "b"] * 20, [0, 1] * 20)), recipe()))


PEOPLE = ["39, State-gov, 2.5", "50, ?, -1e3", '7, "Self, or not", 0']


def test_columns():
    columns = Columns().fit(PEOPLE)
    assert columns.words == [[], ["?", "Self, or not", "State-gov"], []]
    assert columns(PEOPLE).tolist() == [[39, 0, 0, 1, 2.5], [50, 1, 0, 0, -1000], [7, 0, 1, 0, 0]]
    assert columns(["1,Elsewhere,2"]).tolist() == [[1, 0, 0, 0, 2]]
    assert torch.equal(Columns().knowing(columns.words)(PEOPLE), columns(PEOPLE)) and columns(PEOPLE).dtype == torch.float32
    with pytest.raises(DataError, match="line 2: 2 columns, and there should be 3"):
        columns([PEOPLE[0], "1, State-gov"])
    with pytest.raises(DataError, match="could not convert string to float: 'old'; the columns must be numbers"):
        columns(["old, State-gov, 1"])
    with pytest.raises(DataError, match="NaN"):
        columns(["nan, State-gov, 1"])
    for texts in (["", PEOPLE[0]], ["\n".join(PEOPLE)]):
        with pytest.raises(SettingError, match="give a row each"):
            columns(texts)
    for unknown in (Columns(), Columns().fit([])):
        with pytest.raises(SettingError, match="know no words yet"):
            unknown(PEOPLE)


def test_rows_of_words_through_a_run_and_back(tmp_path):
    rows, y = [f"{k}, {'up' if k % 3 else 'down'}" for k in range(40)], [int(k % 3 > 0) for k in range(40)]
    chosen = Task(
        model=lambda: nn.Linear(3, 2), data=((rows, y), (["5, up", "7, sideways"], [1, 1])), preprocess=[Columns(), "standardize"]
    )
    last(train(chosen, recipe(stop__epochs=20), folder=tmp_path))
    model = load(tmp_path, chosen)
    assert model.preprocess.vocabulary.words == [[], ["down", "up"]]
    assert model(["100, up", "100, down"]).argmax(1).tolist() == [1, 0]
    with pytest.raises(SettingError, match=r"preprocessed by Columns\(\), .*; the task now says"):
        load(tmp_path, chosen.replace(preprocess=["standardize"]))


def reader(width: int = 8) -> nn.Module:
    return nn.Sequential(nn.Embedding(100, width), nn.Flatten(), nn.Linear(6 * width, 2))


def test_text_through_a_run_and_back(tmp_path):
    good, bad = ["a fine day 🙂", "fine, really fine"], ["a bad day", "bad bad é"]
    texts, y = (good + bad) * 10, ([0, 0, 1, 1]) * 10
    held = (["a fine unseen word", "bad zzz", ""] * 3, [0, 1, 1] * 3)
    chosen = Task(model=reader, data=((texts, y), held), metrics=["accuracy"], preprocess=[Vocabulary(size=100, length=6)])
    last(train(chosen, recipe(stop__epochs=20), folder=tmp_path))
    model = load(tmp_path, chosen)
    assert "unseen" not in model.preprocess.vocabulary.words and "fine" in model.preprocess.vocabulary.words
    assert model(["a fine day 🙂", "a bad day", ""]).argmax(1).tolist()[:2] == [0, 1]
    assert measure(tmp_path, "valid", chosen)[0]["accuracy"] >= 2 / 3
    with pytest.raises(SettingError, match=r"preprocessed by Vocabulary\(size=100, length=6\); the task now says"):
        load(tmp_path, chosen.replace(preprocess=[Vocabulary(size=100, length=7)]))


def test_what_was_learned_comes_back():
    given = ["scale", Standardize(), Level(each=True)]
    fitted = fit(given, part((X, Y)))
    again = restored(given, fitted.tensors(), fitted.facts())
    assert torch.equal(again(X[:5]), fitted(X[:5])) and again.facts() == fitted.facts()
    with pytest.raises(SettingError, match="the task now says nothing"):
        restored([], fitted.tensors(), fitted.facts())


# --- files -------------------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    kind = next(key for key, name in TYPES.items() if np.dtype(name) == array.dtype.newbyteorder(">"))
    header = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("name", ["x-idx", "x.idx.gz"])
@pytest.mark.parametrize("kind", sorted(TYPES.values()))
def test_idx_files(kind, name, tmp_path):
    array = np.arange(24).reshape(2, 3, 4).astype(np.dtype(kind).newbyteorder("="))
    raw = idx(array)
    (tmp_path / name).write_bytes(gzip.compress(raw, mtime=0) if name.endswith("gz") else raw)
    assert np.array_equal(read_idx(tmp_path / name).numpy(), array)


GOOD = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
PACKED = gzip.compress(GOOD, mtime=0)


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("x", GOOD[:-1], "has 39 bytes, but its header speaks of 40"),
        ("x", GOOD + b"\0", "has 41 bytes, but its header speaks of 40"),
        ("x", GOOD[:10], "ends within its header"),
        ("x", b"\0\0", "is no IDX file: it begins with 0000"),
        ("x", b"", "begins with nothing"),
        ("x", b"\x89PNG" + GOOD, "begins with 89504e47"),
        ("x", b"\0\0\x0a\x03" + GOOD[4:], "is no IDX file"),
        ("x", b"\0\0\x08\0" + b"\0", "it says that it has 0 dimensions"),
        ("x", b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"\0", "it says that it has 255 dimensions"),
        ("x", b"\0\0\x08\x03" + b"\xff" * 12, "its header speaks of 79228162458924105385300197391"),
        ("x", PACKED, "is no IDX file: it begins with 1f8b"),
        ("x.gz", GOOD, "cannot be read: Not a gzipped file"),
        ("x.gz", PACKED[:-12], "cannot be read"),
        ("x.gz", PACKED[:12] + b"\xff\xff\xff" + PACKED[15:], "cannot be read"),
        ("x.gz", PACKED[:-8] + b"\0" * 8, "cannot be read: CRC"),
    ],
)
def test_damaged_idx_files(name, raw, message, tmp_path):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(DataError, match=message) as found:
        read_idx(tmp_path / name)
    assert str(tmp_path / name) in str(found.value)


NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def put_mnist(folder: Path, names=NAMES) -> None:
    folder.mkdir()
    for name, n in zip(NAMES, (40, 40, 9, 9), strict=True):
        shape = (n, 28, 28) if "images" in name else (n,)
        array = (np.arange(np.prod(shape)) % 10).astype(np.uint8).reshape(shape)
        if name in names:
            spelled = name.replace("-idx", ".idx") if n == 9 else name + ".gz"
            (folder / spelled).write_bytes(idx(array) if n == 9 else gzip.compress(idx(array), mtime=0))


def test_mnist_from_its_files(tmp_path, monkeypatch):
    monkeypatch.setenv("STEEPEST_DATA", str(tmp_path))
    put_mnist(tmp_path / "mnist")
    data = gather("mnist")
    assert data.train.columns[0].shape == (36, 1, 28, 28) and data.train.columns[0].dtype == torch.uint8
    assert len(data.valid) == 4 and data.test.target.tolist() == [*range(9)]


def test_files_that_are_missing_are_named_once_with_their_place(tmp_path, monkeypatch):
    monkeypatch.delenv("STEEPEST_DATA", raising=False)
    monkeypatch.setenv("STEEPEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STEEPEST_OFFLINE", "1")
    with pytest.raises(DataError) as found:
        gather("mnist")
    assert "set STEEPEST_DATA to the folder around it" in str(found.value) and all(name in str(found.value) for name in NAMES)
    monkeypatch.setenv("STEEPEST_DATA", str(tmp_path))
    put_mnist(tmp_path / "mnist", NAMES[1:3])
    with pytest.raises(DataError) as found:
        gather("mnist")
    missing = f"{NAMES[0]}.gz, {NAMES[3]}.gz"
    assert str(found.value) == f"mnist is not complete, and STEEPEST_OFFLINE is set: put {missing} into {tmp_path / 'mnist'}"


def test_files_that_were_mixed_up(tmp_path, monkeypatch):
    monkeypatch.setenv("STEEPEST_DATA", str(tmp_path))
    put_mnist(tmp_path / "mnist")
    (tmp_path / "mnist" / (NAMES[0] + ".gz")).write_bytes((tmp_path / "mnist" / (NAMES[1] + ".gz")).read_bytes())
    with pytest.raises(DataError, match=r"hold \(40,\) and \(40,\); they must be \(N, rows, columns\) and \(N,\)"):
        gather("mnist")


def test_a_stream_without_a_length_is_no_data():
    class Endless(IterableDataset):
        def __iter__(self):
            return iter(())

    with pytest.raises(SteepestError):
        next(train(Task(model=small, data=Endless()), recipe()))
