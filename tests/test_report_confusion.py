"""confusion.json: what a finished training of classes writes for its report, and when it writes none."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pages import seen
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from training import last, points, recipe, small, task

from steepest.data.split import gather
from steepest.train import confusion
from steepest.train.recipe import Recipe
from steepest.train.run import resume, train
from steepest.train.use import subject


def asked(epochs: int) -> Recipe:
    """27 steps an epoch."""
    return recipe(stop__epochs=epochs, run__checkpoint_every="150 steps")


def matrix_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "confusion.json").read_text())


def parts(valid: int = 120) -> tuple[Any, ...]:
    x, y = points(240 + valid)
    return (x[:240], y[:240]), (x[240:], y[240:])


def test_a_finished_run_says_what_it_confuses(tmp_path):
    of = task(data=parts())
    last(train(of, asked(40), folder=tmp_path / "run"))
    found = matrix_of(tmp_path / "run")
    assert found["counts"] == confusion.confusion(subject(tmp_path / "run", "valid", of)).tolist()
    assert found["labels"] == [0, 1] and found["of"] == sum(map(sum, found["counts"])) == 120
    right = 100 * sum(found["counts"][k][k] for k in range(2)) / 120
    assert f"On validation data: {right:.4g} % lie on the diagonal" in seen(tmp_path / "run").text
    assert not list((tmp_path / "run").glob(".*tmp"))


def test_a_short_run_asks_about_few_samples_evenly(tmp_path):
    (x, y), _ = parts()
    order = torch.arange(4000) % 240
    valid = (x[order], torch.arange(4000) // 2000)  # half of one class, then half of the other
    last(train(task(data=((x, y), valid)), asked(20), folder=tmp_path / "run"))
    found = matrix_of(tmp_path / "run")
    count = int(confusion.SHARE * 20 * 27 * 9)  # 27 steps of 9 an epoch
    assert sum(map(sum, found["counts"])) == count and [sum(row) for row in found["counts"]] == [-(-count // 2), count // 2]
    assert f"On {count} of 4,000 samples of validation data:" in seen(tmp_path / "run").text
    last(train(task(data=((x, y), valid)), asked(2), folder=tmp_path / "short"))
    assert not (tmp_path / "short" / "confusion.json").exists()


def test_a_resumed_run_writes_the_same(tmp_path):
    of, how = task(data=parts()), asked(20)
    last(train(of, how, folder=tmp_path / "whole"))
    steps = train(of, how, folder=tmp_path / "broken")
    for _ in range(300):
        next(steps)
    steps.close()
    assert not (tmp_path / "broken" / "confusion.json").exists()
    last(resume(tmp_path / "broken", of))
    assert (tmp_path / "broken" / "confusion.json").read_bytes() == (tmp_path / "whole" / "confusion.json").read_bytes()
    (tmp_path / "whole" / "confusion.json").unlink()
    last(resume(tmp_path / "whole", of))
    assert (tmp_path / "broken" / "confusion.json").read_bytes() == (tmp_path / "whole" / "confusion.json").read_bytes()


def whole_loss(model: nn.Module, batch: Any) -> torch.Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def wide() -> nn.Module:
    return nn.Linear(2, 101)


(X, Y), VALID = parts()
NONE = {
    "numbers, not classes": dict(data=((X, X[:, :1]), (X, X[:, :1])), model=lambda: nn.Linear(2, 1), loss="mse", metrics=[]),
    "too many classes": dict(data=((X, Y), VALID), model=wide),
    "a loader": dict(data=((X, Y), DataLoader(TensorDataset(*VALID), batch_size=40))),
    "its own loss": dict(data=((X, Y), VALID), batch_loss=whole_loss, metrics=[]),
}  # fmt: skip


@pytest.mark.parametrize("why", NONE)
def test_where_there_is_none_the_run_ends_as_any(why, tmp_path):
    last(train(task(**NONE[why]), asked(20), folder=tmp_path / "run"))
    assert not (tmp_path / "run" / "confusion.json").exists() and (tmp_path / "run" / "summary.json").exists()


def test_without_validation_data_there_is_none(tmp_path):
    last(train(task(), asked(20), folder=tmp_path / "run", data=gather((X, Y), valid=0)))
    assert not (tmp_path / "run" / "confusion.json").exists() and (tmp_path / "run" / "summary.json").exists()


def test_a_model_that_fails_costs_the_matrix_alone(tmp_path, monkeypatch):
    def failing(*_: Any) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(confusion, "columns", failing)
    last(train(task(data=parts()), asked(20), folder=tmp_path / "run"))
    assert not (tmp_path / "run" / "confusion.json").exists() and (tmp_path / "run" / "summary.json").exists()


def test_no_random_number_is_drawn(tmp_path, monkeypatch):
    states = []

    def watched(*given: Any) -> None:
        states.append(torch.get_rng_state())
        kept(*given)
        states.append(torch.get_rng_state())

    kept = confusion.keep
    monkeypatch.setattr(confusion, "keep", watched)
    last(train(task(data=parts(), model=lambda: small(dropout=0.5)), asked(20), folder=tmp_path / "run"))
    assert torch.equal(*states) and (tmp_path / "run" / "confusion.json").exists()
