"""Tasks: losses and metrics by name against their formulas, what a task may say, files that hold one, and the reference networks."""

import subprocess
import sys
from math import nan
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from training import last, points, recipe, small, task

from steepest.core.errors import SettingError, SteepestError
from steepest.core.objectives import LOSSES, METRICS
from steepest.core.task import Task, keywords
from steepest.data import gather
from steepest.train import taskfile
from steepest.train.fit import folds
from steepest.train.run import train
from steepest.train.taskfile import TaskError
from steepest.train.use import measure

# --- losses by name against literal formulas -----------------------------------------------------------


def dice(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def whole_numbers(high: int, *shape: int) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(high))


def log_softmax(z: list[float]) -> list[Tensor]:
    total = sum(torch.tensor(x, dtype=torch.float64).exp() for x in z)
    return [torch.tensor(x, dtype=torch.float64) - total.log() for x in z]  # type: ignore[union-attr]


def literal_cross_entropy(output: Tensor, target: Tensor, weight: Tensor | None, smoothing: float) -> Tensor:
    """Sample by sample: sum of w[y] (-(1 - s) log p[y]) - s / C sum of w[c] log p[c], over the sum of w[y]."""
    total, terms = torch.tensor(0.0, dtype=torch.float64), 0.0
    w = [1.0] * output.shape[1] if weight is None else weight.tolist()
    flat = output.movedim(1, -1).reshape(-1, output.shape[1])
    for z, y in zip(flat.tolist(), target.flatten().tolist(), strict=True):
        if y == -100:
            continue
        logs = log_softmax(z)
        total = total - (1 - smoothing) * w[y] * logs[y] - smoothing / len(z) * sum(a * b for a, b in zip(w, logs, strict=True))
        terms += w[y]
    return total / terms


LABELS = torch.tensor([0, 3, -100, 1, 2, 2, -100, 3, 0, 1, 1])
WEIGHT = torch.tensor([0.5, 1.0, 3.0, 0.0], dtype=torch.float64)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("shape", [(11, 4), (11, 4, 3), (11, 4, 2, 2)])
def test_cross_entropy(shape, weight, smoothing):
    output = dice(*shape)
    target = LABELS.reshape(-1, *[1] * (len(shape) - 2)).expand(11, *shape[2:]).contiguous()
    found = LOSSES["cross_entropy"].mean(output, target, weight, label_smoothing=smoothing)
    assert abs(found - literal_cross_entropy(output, target, weight, smoothing)) < 1e-12
    assert torch.equal(found, LOSSES["cross_entropy"].mean(output, target.int(), weight, label_smoothing=smoothing))
    if not smoothing:
        assert abs(LOSSES["nll"].mean(output.log_softmax(1), target, weight) - found) < 1e-12


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_cross_entropy_with_shares_of_classes(weight):
    output, target = dice(7, 4), dice(7, 4).softmax(1)
    w = torch.ones(4) if weight is None else weight
    literal = -sum(w[c] * target[n, c] * log_softmax(output[n].tolist())[c] for n in range(7) for c in range(4)) / 7
    assert abs(LOSSES["cross_entropy"].mean(output, target, weight) - literal) < 1e-12
    assert LOSSES["cross_entropy"].terms(target, weight) == 7
    hard = F.one_hot(whole_numbers(4, 7), 4).double()
    assert abs(LOSSES["cross_entropy"].mean(output, hard) - LOSSES["cross_entropy"].mean(output, hard.argmax(1))) < 1e-12


@pytest.mark.parametrize("shape", [(9,), (9, 1), (9, 3)])
def test_binary_cross_entropy(shape):
    output, target = dice(*shape), whole_numbers(2, *shape).double()
    p = 1 / (1 + (-output).exp())
    each = -(target * p.log() + (1 - target) * (1 - p).log())
    assert abs(LOSSES["binary_cross_entropy"].mean(output, target) - each.mean()) < 1e-12
    assert torch.equal(LOSSES["binary_cross_entropy"].mean(output, target.bool()), LOSSES["binary_cross_entropy"].mean(output, target))
    if shape == (9, 3):
        weight = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)  # on the positive cases of each output
        literal = -(weight * target * p.log() + (1 - target) * (1 - p).log()).mean()
    else:
        weight = torch.tensor([0.5, 3.0], dtype=torch.float64)  # of 0 and of 1, as for two outputs
        w = torch.where(target > 0, 3.0, 0.5).double()
        literal = (w * each).sum() / w.sum()
        logits = torch.stack([torch.zeros(9, dtype=torch.float64), output.flatten()], 1)
        assert abs(literal - F.cross_entropy(logits, target.flatten().long(), weight)) < 1e-12
    assert abs(LOSSES["binary_cross_entropy"].mean(output, target, weight) - literal) < 1e-12


@pytest.mark.parametrize(("shape", "wanted"), [((8,), (8,)), ((8, 1), (8,)), ((8, 3), (8, 3)), ((8, 2, 3), (8, 2, 3))])
def test_distances(shape, wanted):
    output, target = dice(*shape), dice(*wanted) * 3
    d = output.reshape(wanted) - target
    literal = {"mse": (d * d).mean(), "l1": d.abs().mean(), "huber": torch.where(d.abs() < 1, d * d / 2, d.abs() - 0.5).mean()}
    for name, value in literal.items():
        assert abs(LOSSES[name].mean(output, target) - value) < 1e-12
    assert torch.equal(LOSSES["mse"].mean(output, target.round().long()), LOSSES["mse"].mean(output, target.round()))


def test_ctc():
    output, target = dice(5, 12, 6), torch.tensor([[1, 2, 0, 0], [3, 3, 4, 5], [1, 0, 0, 0], [5, 4, 3, 0], [0, 0, 0, 0]])
    lengths = torch.tensor([2, 4, 1, 3, 0])
    logs = output.log_softmax(2).transpose(0, 1)
    each = F.ctc_loss(logs, target, torch.full((5,), 12), lengths, reduction="none")
    literal = (each / lengths.clamp(min=1)).mean()
    assert abs(LOSSES["ctc"].mean(output, target) - literal) < 1e-12
    # One label, by hand: all ways to say 1 with blanks around it.
    p = output[2:3].softmax(2)[0]
    ways = sum(p[:a, 0].prod() * p[a:b, 1].prod() * p[b:, 0].prod() for a in range(12) for b in range(a + 1, 13))
    assert abs(LOSSES["ctc"].mean(output[2:3], target[2:3]) + ways.log()) < 1e-12


CASES = {
    "cross_entropy": (dice(11, 4), LABELS, WEIGHT),
    "cross_entropy of positions": (dice(11, 4, 3), LABELS.unsqueeze(1).expand(11, 3), WEIGHT),
    "cross_entropy of shares": (dice(11, 4), dice(11, 4).softmax(1), WEIGHT),
    "nll": (dice(11, 4).log_softmax(1), LABELS, WEIGHT),
    "binary_cross_entropy": (dice(11), whole_numbers(2, 11), torch.tensor([0.3, 4.0], dtype=torch.float64)),
    "binary_cross_entropy of several": (dice(11, 4), whole_numbers(2, 11, 4), WEIGHT),
    "mse": (dice(11, 1), dice(11), None),
    "l1": (dice(11, 2), dice(11, 2), None),
    "huber": (dice(11, 2), dice(11, 2), None),
    "ctc": (dice(11, 8, 4), whole_numbers(3, 11, 2) + 1, None),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_unequal_parts_add_up_to_the_whole(case, weighted):
    """Also a part in which nothing counts: sample 2 and sample 6 are unlabeled."""
    output, target, weight = CASES[case]
    output = output.clone().requires_grad_()
    loss, weight = LOSSES[case.split()[0]], weight if weighted else None
    whole, count = loss.mean(output, target, weight), loss.terms(target, weight)
    wanted = torch.autograd.grad(whole, output)[0]
    total, counts = torch.zeros((), dtype=torch.float64), 0.0
    for lo, hi in ((0, 2), (2, 3), (3, 6), (6, 7), (7, 11)):
        n = loss.terms(target[lo:hi], weight)
        total, counts = total + loss.mean(output[lo:hi], target[lo:hi], weight) * n, counts + n
    assert counts == pytest.approx(count, abs=1e-12) and abs(total / count - whole) < 1e-12
    assert torch.allclose(torch.autograd.grad(total / count, output)[0], wanted, rtol=0, atol=1e-12)


def test_every_loss_has_a_case():
    assert {case.split()[0] for case in CASES} == LOSSES.keys()


def test_a_nan_is_never_taken_for_nothing():
    for target in (torch.tensor([1, 0]), torch.tensor([-100, -100])):
        assert LOSSES["cross_entropy"].mean(torch.full((2, 3), nan), target).isnan()


# --- metrics -------------------------------------------------------------------------------------------


def value(name: str, output: Tensor, target: Tensor) -> float:
    total, count = METRICS[name].sums(output, target)
    return float(total) / count


def test_metrics():
    output = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 1.0], [1.0, 2.0, 9.0], [4.0, 1.0, 0.0]])
    target = torch.tensor([0, 1, 0, -100])
    assert value("accuracy", output, target) == pytest.approx(2 / 3) and value("error", output, target) == pytest.approx(1 / 3)
    wide = torch.arange(20.0).repeat(3, 1)
    assert value("top5", wide, torch.tensor([19, 15, 14])) == pytest.approx(2 / 3)
    assert value("top5", output, torch.tensor([2, 2, 2, 2])) == 1.0  # of three classes
    positions = torch.stack([output, -output], 2)
    assert value("accuracy", positions, torch.tensor([[0, 1], [1, 0], [2, 0], [0, 2]])) == 1.0
    sign = torch.tensor([1.5, -0.5, 0.1, -3.0])
    assert value("accuracy", sign, torch.tensor([1, 1, 0, 0])) == 0.5 == value("accuracy", sign.unsqueeze(1), torch.tensor([1.0, 1, 0, 0]))
    assert value("accuracy", sign.reshape(2, 2), torch.tensor([[1.0, 0.0], [0.0, 0.0]])) == 0.75
    x, y = dice(6, 2), dice(6, 2)
    assert value("mse", x, y) == pytest.approx(float(((x - y) ** 2).mean())) and value("mae", x, y) == pytest.approx(
        float((x - y).abs().mean())
    )
    assert {name for name, metric in METRICS.items() if metric.more} == {"accuracy", "top5"}


Z = torch.zeros
MISFITS = [
    ("cross_entropy", Z(4, 3), Z(4), None, r"do not fit targets of shape \(4,\) \(float32\).*; they must be whole numbers: y.long\(\)"),
    ("cross_entropy", Z(4, 3), Z(4, 1).long(), None, r"do not fit targets of shape \(4, 1\) \(int64\): class numbers"),
    ("cross_entropy", Z(4), Z(4).long(), None, "need one output per class"),
    ("cross_entropy", Z(4, 3), torch.tensor([0, 1, 2, 3]), None, "a target is none of the 3 classes"),
    ("cross_entropy", Z(4, 3), torch.tensor([0, 1, 2, -1]), None, "a target is none of the 3 classes"),
    ("cross_entropy", Z(4, 3), Z(4).long(), torch.ones(2), "class_weights has 2 numbers, and the model has 3 outputs"),
    ("cross_entropy", (Z(4, 3), Z(4)), Z(4).long(), None, "the model returned tuple"),
    ("nll", Z(4, 3), Z(4, 3), None, "are no class numbers, which are whole"),
    ("nll", Z(4, 3), torch.tensor([0, 1, 2, 3]), None, "a target is none of the 3 classes"),
    ("binary_cross_entropy", Z(4, 2), Z(4), None, r"outputs of shape \(4, 2\) do not fit targets of shape \(4,\): they must be equal"),
    ("binary_cross_entropy", Z(4), Z(4), torch.ones(3), "class_weights has 3 numbers; a single output"),
    ("binary_cross_entropy", Z(4, 3), Z(4, 3), torch.ones(2), "class_weights has 2 numbers, and the targets 3 columns"),
    ("mse", Z(4, 2), Z(4), None, "they must be equal"),
    ("mse", Z(4), Z(4, 1), None, "they must be equal"),
    ("mse", Z(4), Z(4), torch.ones(1), "mse has no classes"),
    ("ctc", Z(4, 5, 3), Z(4, 2).long(), torch.ones(3), "ctc has no classes"),
    ("ctc", Z(4, 5), Z(4, 2).long(), None, "ctc needs outputs"),
    ("ctc", Z(4, 5, 3), torch.full((4, 2), 3), None, "the labels go from 3 to 3, and the model has 3 outputs"),
    ("ctc", Z(4, 5, 3), torch.full((4, 2), -100), None, "the labels go from -100"),
    ("metric accuracy", Z(4, 3), Z(4, 3) + 0.3, None, "accuracy and error need targets that are class numbers, or 0 and 1"),
    ("metric accuracy", Z(4, 5, 3), Z(4, 2).long(), None, "do not fit targets"),
    ("metric accuracy", Z(4, 3), Z(4), None, "whole numbers"),
    ("metric accuracy", [Z(4, 3)], Z(4), None, "the model returned list"),
    ("metric top5", Z(4), Z(4).long(), None, "need one output per class"),
    ("metric top5", Z(4, 3), Z(4, 3), None, "are no class numbers"),
    ("metric mae", Z(4, 2), Z(4), None, "they must be equal"),
]


@pytest.mark.parametrize(("name", "output", "target", "weight", "message"), MISFITS)
def test_what_does_not_fit_says_so(name, output, target, weight, message):
    metric = METRICS.get(name.removeprefix("metric "))
    with pytest.raises(SteepestError, match=message):
        metric.sums(output, target) if name.startswith("metric ") and metric else LOSSES[name].mean(output, target, weight)


def test_losses_by_name_in_training():
    """Each is trained with, and its sum over evaluation batches is that of the whole."""
    x, y = points()
    fits = {
        "cross_entropy": (small, torch.where(torch.arange(240) % 7 == 0, -100, y)),
        "nll": (lambda: nn.Sequential(small(), nn.LogSoftmax(1)), y),
        "binary_cross_entropy": (lambda: nn.Sequential(small(), nn.Linear(2, 1)), y.float()),
        "mse": (lambda: nn.Sequential(small(), nn.Linear(2, 1)), x.sum(1)),
        "l1": (small, x), "huber": (small, x),
    }  # fmt: skip
    for name, (model, target) in fits.items():
        weights = "balanced" if name in ("cross_entropy", "nll", "binary_cross_entropy") else None
        steps = list(train(Task(model=model, data=(x, target), loss=name, class_weights=weights), recipe(stop__epochs=6)))
        found = [step.evaluation["loss"] for step in steps if step.evaluation]
        assert found[-1] < found[0], name


# --- what a task may say -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(loss="crossentropy"), r"Task\.loss: unknown loss 'crossentropy'; did you mean cross_entropy"),
        (dict(loss=3), r"Task\.loss: 3 is neither a name \(.*\) nor a function"),
        (dict(loss=nn.CrossEntropyLoss), r"CrossEntropyLoss is a class; give an object, CrossEntropyLoss\(\)"),
        (dict(metrics="accuracy"), r"Task\.metrics = 'accuracy'; give a list, \['accuracy'\]"),
        (dict(preprocess="scale"), r"give a list, \['scale'\]"),
        (dict(metrics=["acuracy"]), "did you mean accuracy"),
        (dict(metrics=[None]), "None is neither a name"),
        (dict(metrics=["accuracy", "accuracy"]), "accuracy is there twice"),
        (dict(metrics=[lambda o, t: 0, lambda o, t: 1]), "<lambda> is there twice"),
        (dict(model=small()), "is a finished module"),
        (dict(model={"a": small, "b": small()}), "b is a finished module"),
        (dict(model={"a": 3}), "a is int; give a function"),
        (dict(model=None), "model is NoneType"),
        (dict(model={}), "names no factory"),
        (dict(class_weights="blanced"), 'give one number per class, or "balanced"'),
        (dict(class_weights=[1.0, -1.0]), "numbers from 0 on, and not all 0"),
        (dict(class_weights=[0.0, 0.0]), "not all 0"),
        (dict(class_weights=[1.0, nan]), "numbers from 0 on"),
        (dict(class_weights=[]), "numbers from 0 on"),
        (dict(class_weights=[1.0, 2.0], loss=lambda o, t: 0), "for losses by name"),
        (dict(folds=1), "at least 2, and 0 is none"),
        (dict(folds=-3), "at least 2"),
        (dict(folds=2.5), "at least 2"),
        (dict(folds=True), "at least 2"),
        (dict(batch_loss=lambda m, b: 0, losses={"a": ("*", lambda m, b: 0)}, metrics=()), "several players have a loss each"),
        (dict(batch_loss=lambda m, b: 0), "leave metrics out"),
        (
            dict(losses={"critic": lambda m, b: 0}),
            r'critic must be \(pattern, function of \(model, batch\)\), such as \("critic\.\*", loss\)',
        ),
        (dict(losses={"critic": (lambda m, b: 0, "critic.*")}), "critic must be"),
    ],
)
def test_tasks_that_cannot_be(changes, message):
    with pytest.raises(SettingError, match=message):
        task(**changes)


def test_a_task_is_a_value():
    one = task()
    assert one.replace(folds=3).folds == 3 and one.folds == 0
    with pytest.raises(AttributeError):
        one.folds = 3  # type: ignore[misc]
    assert keywords(small) == {"width": 8, "norm": False, "dropout": 0.0}
    assert keywords(lambda a, *, b=2, **more: None) == {"a": ..., "b": 2}


def test_metrics_of_ones_own():
    def spread(output, target):
        return output.std()

    found = last(train(task(metrics=["accuracy", spread]), recipe(stop__epochs=1))).evaluation
    assert found.keys() == {"loss", "accuracy", "spread"}


def test_cross_validation(tmp_path):
    runs = folds(task(folds=3), recipe(stop__epochs=2), folder=tmp_path)
    assert [run.folder.name for run in runs] == ["fold-0", "fold-1", "fold-2"]
    assert len({run.metrics["loss"] for run in runs}) == 3
    from steepest.data.split import fold

    whole = gather(task().data, valid=0)
    for number, run in enumerate(runs):
        found, _ = measure(run.folder, "valid", task(), data=fold(whole, 3, number))
        assert found["accuracy"] == pytest.approx(run.metrics["accuracy"])
    with pytest.raises(SettingError, match=r"Task\.folds = 0: say in how many parts"):
        folds(task(), recipe())


# --- task files ----------------------------------------------------------------------------------------

GOOD = """
import steepest as sp
task = sp.Task(model=sp.models.mlp, data="digits")
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "my_task.py") -> str:
        Path(name).parent.mkdir(exist_ok=True, parents=True)
        Path(name).write_text(text, encoding="utf-8")
        return name

    before, modules = list(sys.path), set(sys.modules)
    yield write
    assert sys.path == before
    for name in sys.modules.keys() - modules:
        if name.startswith(("steepest_task_", "neighbor", "inside")):
            del sys.modules[name]


def test_a_task_is_found_again(write):
    found, facts = taskfile.find(write(GOOD))
    assert isinstance(found, Task) and facts["name"] == "my_task"
    again, warning = taskfile.again(facts)
    assert again.data == "digits" and warning is None
    write(GOOD + "# changed\n")
    assert taskfile.again(facts)[1] == f"{facts['file']} has changed since the run began"
    Path("my_task.py").unlink()
    with pytest.raises(TaskError, match=r"my_task\.py does not exist"):
        taskfile.again(facts)
    with pytest.raises(TaskError, match="only its caller knows its task"):
        taskfile.again({"name": "x"})
    assert taskfile.again(taskfile.find("digits-mlp")[1])[0].name == "digits-mlp"


def test_tasks_by_other_names_and_from_functions(write):
    write(GOOD + "other = task.replace(folds=4)\ndef made():\n    return task.replace(folds=5)\n")
    assert taskfile.find("my_task.py:other")[0].folds == 4
    assert taskfile.find("my_task.py:made")[0].folds == 5
    assert taskfile.find("./my_task.py")[0].folds == 0
    assert taskfile.find(str(Path("my_task.py").resolve()) + ":other")[0].folds == 4
    write(GOOD + 'if __name__ == "__main__":\n    raise SystemExit("never")\n', "deep/er/a task.py")
    assert taskfile.find("deep/er/a task.py")[0].folds == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "my_task.py: no task named 'task'; write task = steepest.Task(model=..., data=...)"),
        ("task = 3", "my_task.py: 'task' is int, not a Task; write task = steepest.Task(model=..., data=...)"),
        (GOOD.replace("task =", "other ="), "my_task.py: no task named 'task'; it has other: my_task.py:other"),
        (
            "import steepest\ntask = steepest.Task",
            "my_task.py: TypeError: Task.__init__() missing 2 required positional arguments: 'model' and 'data'",
        ),
        ("x = 1\ny = 1 / 0\n", "my_task.py, line 2: ZeroDivisionError: division by zero"),
        ("def f():\n    raise ValueError('no')\n\nf()\n", "my_task.py, line 2: ValueError: no"),
        ("def task():\n    raise ValueError('no')\n", "my_task.py, line 2: ValueError: no"),
        ("def task(data):\n    pass\n", "my_task.py: TypeError: task() missing 1 required positional argument: 'data'"),
        ("import json\njson.loads('{')\n", "my_task.py, line 2: JSONDecodeError: Expecting property name"),
        ("x = 1\ndef (\n", "my_task.py, line 2: SyntaxError: invalid syntax"),
        ("  x = 1\n", "my_task.py, line 1: IndentationError: unexpected indent"),
        ("import sys\nsys.exit(3)\n", "my_task.py, line 2: SystemExit: 3"),
        ("quit()\n", "my_task.py, line 1: SystemExit"),
        ("import nothing_of_that_name\n", "my_task.py, line 1: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("from . import neighbor\n", "my_task.py, line 1: ImportError: attempted relative import"),
        (
            "import steepest as sp\n\ntask = sp.Task(model=sp.models.mlp, data=1, loss='mee')\n",
            "my_task.py, line 3: Task.loss: unknown loss 'mee'",
        ),
        ("x = '\0'\n", "my_task.py"),
        ("raise BaseException('odd')\n", "my_task.py, line 1: BaseException: odd"),
        ("import sys\nsys.path.insert(0, '/nowhere')\nsys.path.remove(sys.path[1])\n1 / 0\n", "my_task.py, line 4: ZeroDivisionError"),
    ],
)
def test_files_without_a_task(text, message, write):
    with pytest.raises(TaskError) as found:
        taskfile.find(write(text))
    assert str(found.value).startswith(message) and "\n" not in str(found.value)
    assert not any(name == "steepest_task_my_task" for name in sys.modules) or "no task" in message or "not a Task" in message


def test_what_is_no_task_file(write):
    for said, message in {
        "nothing.py": "nothing.py does not exist",
        "digits-mpl": "'digits-mpl' is neither a Python file nor a built-in task; did you mean digits-mlp?",
        "recipe.toml": "is neither a Python file nor",
        "": "is neither a Python file nor",
        "nothing.py:x": "nothing.py does not exist",
    }.items():
        with pytest.raises(TaskError, match=message):
            taskfile.find(said)
    Path("folder.py").mkdir()
    with pytest.raises(TaskError, match=r"folder\.py does not exist"):
        taskfile.find("folder.py")
    write(GOOD)
    with pytest.raises(TaskError, match="no task named ''"):
        taskfile.find("my_task.py:")


def test_bytes_that_are_no_text(write):
    write(GOOD)
    Path("my_task.py").write_bytes(b"x = '\xff'\n")
    with pytest.raises(TaskError, match=r"my_task\.py.*(SyntaxError|UnicodeDecodeError)"):
        taskfile.find("my_task.py")


def test_neighbors(write):
    """A module beside the task's file; another file's neighbor of the same name is another module."""
    write("folds = 3\n", "a/neighbor.py")
    write("folds = 4\n", "b/neighbor.py")
    write("from inside.deep import folds\n", "c/neighbor.py")
    write("folds = 5\n", "c/inside/deep.py")
    for folder in "abc":
        write("import neighbor\n" + GOOD + "task = task.replace(folds=neighbor.folds)\n", f"{folder}/my_task.py")
    assert [taskfile.find(f"{folder}/my_task.py")[0].folds for folder in "abcab"] == [3, 4, 5, 3, 4]
    write("x = (\n", "d/neighbor.py")
    write("import neighbor\n", "d/my_task.py")
    with pytest.raises(TaskError, match=r"d/neighbor\.py, line 1: SyntaxError"):
        taskfile.find("d/my_task.py")


CHANCE = """
import random
import numpy as np, torch, steepest as sp
def some():
    return torch.randn(40, 2), torch.tensor([random.random() < 0.5 for _ in range(40)]).long()
noise = np.random.rand(3)
early = sp.Task(lambda: torch.nn.Linear(2, 2), some())
late = sp.Task(lambda: torch.nn.Linear(2, 2), some)
"""


@pytest.mark.parametrize("name", ["early", "late"])
def test_data_made_by_chance_are_made_again(write, name):
    """A resumed run, and each worker of a study, reads the file anew: without a seed in it they would train on other data."""
    path = write(CHANCE)
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    one, two = (gather(taskfile.find(f"{path}:{name}")[0].data).train for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.columns, two.columns, strict=True)) and one.columns[0].unique().numel() > 40
    assert torch.equal(torch.rand(2), expected)


def test_what_a_file_prints_is_no_answer(write, capsys):
    taskfile.find(write("print('hello')\n" + GOOD))
    out, err = capsys.readouterr()
    assert out == "" and err == "hello\n"


def test_ctrl_c_in_a_task_file_is_ctrl_c(write):
    with pytest.raises(KeyboardInterrupt):
        taskfile.find(write("raise KeyboardInterrupt\n"))


def test_classes_of_a_task_file_can_be_pickled(write):
    write("import steepest as sp\nfrom torch import nn\nclass Net(nn.Linear):\n    pass\ntask = sp.Task(model=lambda: Net(2, 2), data=1)\n")
    import pickle

    model = taskfile.find("my_task.py")[0].factories["model"]()
    assert type(pickle.loads(pickle.dumps(model))) is type(model)


def test_importing_tasks_reads_no_data():
    code = "import sys, steepest as sp; sp.tasks.TASKS; assert not {'sklearn', 'numba'} & sys.modules.keys(), 'read'"
    subprocess.run([sys.executable, "-c", code], check=True)
