"""Training: what a recipe says happens, and whatever happens to a run, it ends as if nothing had."""

import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from math import nan
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from training import RICH, begin_or_resume, last, lines, points, recipe, small, task, weights

from steepest.core.errors import SettingError, SteepestError
from steepest.core.objectives import LOSSES
from steepest.core.rng import generator
from steepest.core.task import Task
from steepest.data.parts import DataError
from steepest.data.split import gather
from steepest.train import threads
from steepest.train.feed import Feed
from steepest.train.folder import RunError
from steepest.train.guard import TrainingError
from steepest.train.recipe import Recipe
from steepest.train.run import resume, train
from steepest.train.trained import load

# --- exact resume ------------------------------------------------------------------------------------

RECIPES = {
    "plain": {},
    "rich": RICH,
    "schedule free": {"optimizer.rule": "schedule_free_adamw", "model.norm": True},
    "accumulated": {"batch.micro": 4},
    "sam": {"driver.name": "sam"},
    "plateau": {"schedule.lr": {"shape": "plateau", "patience": 1}, "stop.patience": 3},
    "noise": {"regularize.gradient_noise": 0.1, "regularize.input_noise": 0.1, "run.evaluate_every": "10 steps"},
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_that_was_left_ends_as_an_unbroken_one(name, tmp_path):
    chosen = recipe(**RECIPES[name])
    whole = last(train(task(), chosen, folder=tmp_path / "whole", health=10))
    dice = random.Random(name)
    steps = train(task(), chosen, folder=tmp_path / "broken", health=10)
    for _ in range(5):
        for _ in steps:
            if dice.random() < 0.03:
                break
        steps.close()
        steps = resume(tmp_path / "broken", task(), health=10)
    broken = last(steps) or whole
    assert lines(tmp_path / "whole") == lines(tmp_path / "broken")
    a, b = weights(whole.model), weights(broken.model)
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == (tmp_path / "broken" / "model.safetensors").read_bytes()


def test_killed_at_random_moments(tmp_path):
    """A real SIGKILL of a real process, ten times: the record, the weights and the metrics are those of an unbroken run."""
    begin_or_resume(str(tmp_path / "whole"))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training"])
    dice = random.Random(0)
    kills = 0
    while kills < 10:
        child = context.Process(target=begin_or_resume, args=(str(tmp_path / "killed"),))
        child.start()
        child.join(dice.uniform(0.05, 1.2))
        if child.exitcode is not None:
            shutil.rmtree(tmp_path / "killed")  # it came to its end: once more from the start
            continue
        child.kill()
        child.join()
        kills += 1
    begin_or_resume(str(tmp_path / "killed"))
    assert lines(tmp_path / "whole") == lines(tmp_path / "killed")
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == (tmp_path / "killed" / "model.safetensors").read_bytes()


def test_a_corrupt_checkpoint_is_passed_over(tmp_path):
    last(train(task(), recipe(), folder=tmp_path / "whole"))
    steps = train(task(), recipe(), folder=tmp_path / "run")
    for _, _ in zip(range(50), steps, strict=False):
        pass
    steps.close()
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    state = bytearray((newest / "state.safetensors").read_bytes())
    state[len(state) // 2] ^= 1
    (newest / "state.safetensors").write_bytes(state)
    going = resume(tmp_path / "run", task())
    with pytest.warns(RuntimeWarning, match="its hash differs"):
        assert next(going).number < int(newest.name.removeprefix("step-"))
    last(going)
    assert lines(tmp_path / "whole") == lines(tmp_path / "run")


@pytest.mark.parametrize(("extended", "rate"), [("stretch", None), ("hold", 0.0)])
def test_a_finished_run_can_be_extended(extended, rate, tmp_path):
    chosen = recipe(**{"schedule.lr": {"shape": "linear"}, "stop.extended": extended})
    first = last(train(task(), chosen, folder=tmp_path))
    assert first.rate == 0.0
    step = None
    for step in resume(tmp_path, task(), ["stop.epochs=6"]):
        if step.number == first.number + 1:
            assert step.rate == (pytest.approx(0.02 * (1 - step.number / (step.steps - 1))) if rate is None else rate)
    assert step.number == 6 * 24 - 1 and step.rate == 0.0
    for step in resume(tmp_path, task(), ["stop.epochs=8"]):  # once more: what was held is held
        if step.number == 6 * 24:
            assert step.rate == (pytest.approx(0.02 * (1 - step.number / (step.steps - 1))) if rate is None else rate)
    with pytest.raises(RunError, match=r"another optimizer\.lr"):
        last(resume(tmp_path, task(), ["optimizer.lr=1.0"]))


def test_a_finished_run_has_nothing_to_go_on_with(tmp_path):
    last(train(task(), recipe(), folder=tmp_path))
    before = lines(tmp_path)
    assert last(resume(tmp_path, task())) is None
    assert [x for x in lines(tmp_path) if x["kind"] != "end"] == [x for x in before if x["kind"] != "end"]


def test_one_process_at_a_time(tmp_path):
    steps = train(task(), recipe(), folder=tmp_path / "run")
    next(steps)
    with pytest.raises(RunError, match="is being written by another process"):
        next(resume(tmp_path / "run", task()))
    with pytest.raises(RunError, match="exists already; go on with it: steepest resume"):
        next(train(task(), recipe(), folder=tmp_path / "run"))
    steps.close()


def test_a_run_that_nobody_closes_ends_with_the_interpreter(tmp_path):
    """At exit torch is half gone; the process must not abort."""
    code = "from training import *; it = train(task(), recipe(), folder='run'); [next(it) for _ in range(30)]"
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": here}, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    last(resume(tmp_path / "run", task()))
    last(train(task(), recipe(), folder=tmp_path / "whole"))
    assert lines(tmp_path / "whole") == lines(tmp_path / "run")


# --- what goes wrong ---------------------------------------------------------------------------------


class Planted(Dataset):
    """Points, of which one is NaN: in data of one's own nothing can be looked at beforehand."""

    def __init__(self, bad: int) -> None:
        self.x, self.y = points()
        self.x[bad, 0] = nan

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Moody(nn.Module):
    """Gives NaN, once or always, in its output (`forward`) or in its gradient (`backward`), from the n-th call in training."""

    def __init__(self, where: str, at: int, times: int) -> None:
        super().__init__()
        self.where, self.at, self.times = where, at, times
        self.calls = 0

    def forward(self, x):
        if not self.training:
            return x
        self.calls += 1
        hit = self.at <= self.calls < self.at + self.times
        if hit and self.where == "forward":
            return x * nan
        if hit and self.where == "backward":
            x = x.clone()
            x.register_hook(lambda g: g * nan)
        return x


def moody(where: str, at: int = 60, times: int = 10**9):
    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), Moody(where, at, times), nn.Linear(8, 2))

    return model


def test_nan_in_the_data_of_a_dataset_is_gone_around(tmp_path):
    data = (Planted(100), TensorDataset(*points(60, 1)))
    step = last(train(task(data=data), recipe(), folder=tmp_path))
    events = [line for line in lines(tmp_path) if line["kind"] == "event"]
    assert len(events) == 4  # once an epoch: each time in another batch
    assert all("the batch itself" in event["message"] and "of the rate" not in event["message"] for event in events)
    assert step.rate == 0.02  # data are no reason to go slower
    assert load(tmp_path, task(data=data))(points(60, 1)[0]).isfinite().all()


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_nan_in_a_layer_is_named_and_recovered_from(where, tmp_path):
    # 60 calls in, for a while: the calls of the replays count too, and in the end the layer is well again.
    chosen = recipe(**{"run.checkpoint_every": "50 steps"})
    step = last(train(task(model=moody(where, 60, 15)), chosen, folder=tmp_path))
    events = [line for line in lines(tmp_path) if line["kind"] == "event"]
    assert events and all(event["name"] == "rollback" for event in events)
    assert ("2 (Moody)" if where == "forward" else "the gradient of 0.weight") in events[0]["message"]
    assert step.rate == 0.02 * 0.5 ** len(events)
    assert all(x.isfinite().all() for x in weights(step.model).values())
    assert step.number == step.steps - 1


@pytest.mark.parametrize("health", [7, 50])
def test_a_fault_that_does_not_come_again_leaves_no_trace(health, tmp_path):
    """The steps since the last moment are made again, that of a look at health (the 50th) among them; no line is written twice."""
    chosen, calls = recipe(**{"run.checkpoint_every": "50 steps"}), []
    for at in (10**9, 70):
        step = last(train(task(model=moody("forward", at, 1)), chosen, folder=tmp_path / str(at), health=health))
        calls.append(step.model[2].calls)
    assert lines(tmp_path / "70") == lines(tmp_path / str(10**9))
    assert calls[1] > calls[0] + 10


def test_a_layer_that_stays_bad_ends_the_run_with_its_name(tmp_path):
    with pytest.raises(TrainingError, match=r"after 5 rollbacks to step \d+, whose checkpoint is good"):
        last(train(task(model=moody("forward")), recipe(), folder=tmp_path))
    from steepest.train.checkpoint import latest

    assert all(x.isfinite().all() for x in latest(tmp_path / "checkpoints").tensors.values() if x.is_floating_point())


def test_on_nan_stop_names_the_layer():
    # From call 60 on: evaluations and the rehearsal make none, the probe of `auto` makes some, and the replay begins at 56.
    with pytest.raises(TrainingError, match=r'^step 56: NaN or Inf in the output of 2 \(Moody\).*run.on_nan = "stop"'):
        last(train(task(model=moody("forward")), recipe(run__on_nan="stop")))


def test_on_nan_skip_keeps_the_rate(tmp_path):
    step = last(train(task(model=moody("backward", 60, 3)), recipe(run__on_nan="skip"), folder=tmp_path))
    assert step.rate == 0.02
    assert len([line for line in lines(tmp_path) if line["kind"] == "event"]) == 3


@pytest.mark.parametrize("on_nan", ["rollback", "skip", "stop"])
def test_a_spike_is_gone_around(on_nan, tmp_path, monkeypatch):
    """And where a NaN would end the run, it is no NaN: the run goes on."""

    def loss(output, target, weight):
        value = nn.functional.cross_entropy(output, target)
        return value + 1000 * value.detach() if bool((output.detach()[:, 0] == output.detach()[:, 0]).all()) and spiking() else value

    calls = iter(range(10**9))

    def spiking() -> bool:
        return torch.is_grad_enabled() and next(calls) == 80

    chosen = recipe(**{"run.checkpoint_every": "50 steps", "run.on_nan": on_nan})
    monkeypatch.setitem(LOSSES, "cross_entropy", LOSSES["cross_entropy"]._replace(mean=loss))
    step = last(train(task(), chosen, folder=tmp_path))
    events = [line["message"] for line in lines(tmp_path) if line["kind"] == "event"]
    assert step.rate == (0.01 if on_nan == "rollback" else 0.02) and step.number == step.steps - 1
    assert not events if on_nan == "stop" else events[0].startswith("step 80: the loss rose to ")


def test_a_rolled_back_run_that_is_left_ends_as_an_unbroken_one(tmp_path):
    data = (Planted(100), TensorDataset(*points(60, 1)))
    last(train(task(data=data), recipe(), folder=tmp_path / "whole", health=10))
    steps = train(task(data=data), recipe(), folder=tmp_path / "broken", health=10)
    for _ in range(8):
        for _, _ in zip(range(17), steps, strict=False):
            pass
        steps.close()
        steps = resume(tmp_path / "broken", task(data=data), health=10)
    last(steps)
    assert lines(tmp_path / "whole") == lines(tmp_path / "broken")


def test_parts_of_different_kinds_are_preprocessed_alike():
    """A Dataset to train on and arrays to validate on: what is done once for arrays is done to each batch of the other."""
    x, y = points()
    x = 5 + 3 * x
    alike = last(train(task(data=((x, y), (x, y)), preprocess=["standardize"]), recipe()))
    mixed = last(train(task(data=(Pairs(x, y), (x, y)), preprocess=["standardize"]), recipe()))
    assert mixed.evaluation == pytest.approx(alike.evaluation, rel=1e-5) and mixed.loss == pytest.approx(alike.loss, rel=1e-4)


@pytest.mark.parametrize("changes", [{"crop": 1, "flip": 0.5, "erase": 0.5}, {"rotate": 20.0, "contrast": 0.2}], ids=str)
def test_augmented_bytes_are_the_floats_that_they_stand_for(changes):
    x, y = torch.randint(256, (64, 3, 8, 8), dtype=torch.uint8, generator=generator(0, "pixels")), torch.arange(64) % 10

    def fed(x):
        made = Recipe({"regularize": changes}).regularizers().values()
        task = Task(nn.Flatten, (x, y), preprocess=["scale", "standardize"])
        feed = Feed(task, gather((x, y)), made, torch.device("cpu"), generator(0, "draws"))
        return feed.training(feed.data.train.take(torch.arange(32)))[0]

    found, plain = fed(x), fed(x / 255)
    assert found.dtype == torch.float32 and found.std() > 0.5
    torch.testing.assert_close(found, plain, rtol=0, atol=0 if "crop" in changes else 1e-5)


class Pairs(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


# --- what a recipe says ------------------------------------------------------------------------------


def test_accumulation_is_the_whole_batch(float64):
    """Unequal micro-batches: 9 samples as 4, 4 and 1."""
    x, y = points()
    results = []
    for micro in (None, 4, 9, 1):
        changed = recipe(**({"batch.micro": micro} if micro else {}), optimizer__rule="sgd", optimizer__lr=0.1)
        results.append(weights(last(train(task(data=(x.double(), y)), changed)).model))
    for other in results[1:]:
        assert all(torch.allclose(results[0][key], other[key], rtol=0, atol=1e-12) for key in other)


def test_class_weights_in_accumulated_batches(float64):
    x, y = points()
    weighted = task(data=(x.double(), y), class_weights=[1.0, 5.0])
    results = [weights(last(train(weighted, recipe(**extra))).model) for extra in ({}, {"batch.micro": 4})]
    assert all(torch.allclose(results[0][key], results[1][key], rtol=0, atol=1e-10) for key in results[0])
    plain = weights(last(train(task(data=(x.double(), y)), recipe())).model)
    assert not torch.allclose(plain["0.weight"], results[0]["0.weight"])


def test_schedules_reach_their_knobs():
    down = {"shape": "linear"}
    chosen = recipe(**{
        "optimizer.weight_decay": 0.4, "optimizer.wrap.clip.norm": 2.0, "regularize.label_smoothing": 0.1,
        "schedule": {"lr": down | {"end": 0.5}, "weight_decay": down, "beta2": down | {"end": 0.9}, "clip": {"norm": down | {"end": 0.25}},
                     "regularize": {"label_smoothing": {"smoothing": down}}},
    })  # fmt: skip
    seen = []
    for step in train(task(), chosen):
        group = step.session.optimizers["model"].param_groups[0]
        smoothing = step.session.regularizers["label_smoothing"].smoothing
        seen.append((group["lr"], group["weight_decay"], group["betas"][1], group["norm"], smoothing))
    assert seen[0] == pytest.approx((0.02, 0.4, 0.999, 2.0, 0.1))
    assert seen[-1] == pytest.approx((0.01, 0.0, 0.999 * 0.9, 0.5, 0.0))


def test_a_growing_batch():
    sizes = [step.samples for step in train(task(), recipe(**{"schedule.batch": {"shape": "step", "at": ["50%"], "factor": 2.0}}))]
    assert sizes[0] == 9 and sizes[-2] == 18 and sum(sizes) == 4 * 216
    ratio = recipe(**{"schedule.batch": {"shape": "step", "at": ["50%"], "factor": 2.0}, "batch.keep_ratio": True})
    rates = {step.samples: step.rate for step in train(task(), ratio)}
    assert rates[18] == 2 * rates[9]


class Copies(nn.Module):
    """A token classifier that notes how long the sequences are in training."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head, self.seen = nn.Embedding(5, 8), nn.Linear(8, 5), []

    def forward(self, x):
        if self.training:
            self.seen.append(x.shape[1])
        return self.head(self.words(x)).transpose(1, 2)


def tokens(n: int = 240, length: int = 16) -> torch.Tensor:
    return torch.randint(5, (n, length), generator=torch.Generator().manual_seed(0))


def test_a_schedule_of_the_sequence_length(tmp_path):
    """Inputs and targets per token are cut alike; evaluation sees whole sequences; and a run that is left sees the same."""
    copies = task(model=Copies, data=((tokens(), tokens()), (tokens(20), tokens(20))))
    growing = recipe(
        **{"schedule.length": {"shape": "linear", "start": 0.25, "end": 1.0}, "stop.epochs": 2, "run.evaluate_every": "10 steps"}
    )
    step = last(train(copies, growing, folder=tmp_path / "whole"))
    seen = step.session.model.seen[-54:]
    assert seen == [int(16 * (0.25 + 0.75 * k / 53) + 0.5) for k in range(54)] and (seen[0], seen[-1]) == (4, 16)
    steps = train(copies, growing, folder=tmp_path / "left")
    for _ in range(30):
        next(steps)
    steps.close()
    last(resume(tmp_path / "left", copies))
    assert lines(tmp_path / "whole") == lines(tmp_path / "left")
    fixed = copies.replace(model=lambda: nn.Sequential(nn.Embedding(5, 8), nn.Flatten(), nn.Linear(128, 80), nn.Unflatten(1, (5, 16))))
    with pytest.raises(SteepestError, match=r"the model cannot take the shortened inputs \(shape \(2, 4\), int64\): RuntimeError: mat1"):
        next(train(fixed, growing))
    with pytest.raises(SettingError, match=r"schedule\.length cuts sequences of tokens, .*; these inputs are shape \(1, 2\), float32"):
        next(train(task(), recipe(**{"schedule.length": "linear"})))


@pytest.mark.parametrize("said", ["1728 tokens", "108 samples", "12 steps", "0.5 epochs"])
def test_durations_in_every_unit(said):
    """12 steps, of 24 an epoch, of 9 samples of 16 tokens."""
    warm = {"schedule.lr": {"shape": "warmup_constant", "warmup": said, "start": 0.0}}
    steps = train(task(model=Copies, data=(tokens(), tokens())), recipe(**warm))
    rates = [next(steps).rate for _ in range(15)]
    steps.close()
    assert rates == pytest.approx([0.02 * k / 12 for k in range(12)] + [0.02] * 3, rel=1e-9, abs=1e-12)


def test_tokens_are_known_of_tokens_alone():
    warm = {"schedule.lr": {"shape": "warmup_constant", "warmup": "1440 tokens"}}
    with pytest.raises(SettingError, match="needs the tokens of the run"):
        next(train(task(), recipe(**warm)))


def test_full_batch_and_batch_of_one():
    assert [s.samples for s in train(task(), recipe(batch__size="full"))] == [216] * 4
    assert {s.samples for s in train(task(), recipe(batch__size=1, stop__epochs=1))} == {1}
    assert sum(s.samples for s in train(task(), recipe(batch__size=100, batch__last="drop"))) == 800


def test_views_are_evaluated_and_saved(tmp_path):
    chosen = recipe(**{"optimizer.wrap.average.beta": 0.99, "model.norm": True})
    step = last(train(task(), chosen, folder=tmp_path))
    model = load(tmp_path, task())
    assert all(torch.equal(x, model.network.state_dict()[key]) for key, x in weights(step.model).items())
    from steepest.train.use import measure

    best = max(line["metrics"]["accuracy"] for line in lines(tmp_path) if line["kind"] == "evaluation")
    assert measure(tmp_path, "valid", task())[0]["accuracy"] == pytest.approx(best)


def test_the_best_weights_come_back(tmp_path):
    """A rate that rises until it destroys what was learned."""
    chosen = recipe(**{"optimizer.rule": "sgd", "optimizer.lr": 0.3, "schedule.lr": {"shape": "exponential", "end": 0.001}})
    wild = recipe(**{"optimizer.lr": 2.0, "stop.patience": 2, "stop.epochs": 50})
    for one in (chosen, wild):
        folder = tmp_path / one.hash
        last(train(task(), one, folder=folder))
        best = max(line["metrics"]["accuracy"] for line in lines(folder) if line["kind"] == "evaluation")
        from steepest.train.use import measure

        assert measure(folder, "valid", task())[0]["accuracy"] == pytest.approx(best)
    assert next(line for line in lines(folder) if line["kind"] == "end")["reason"] == "stopped early"


def test_the_last_weights_on_request(tmp_path):
    wild = {"optimizer.lr": 2.0, "stop.epochs": 5}
    for kept in ("best", "last"):
        step = last(train(task(), recipe(**wild, stop__weights=kept), folder=tmp_path / kept))
    by_evaluation = [line["metrics"]["accuracy"] for line in lines(tmp_path / "last") if line["kind"] == "evaluation"]
    from steepest.train.use import measure

    assert max(by_evaluation) != by_evaluation[-1], "choose a wilder rate: the best must not be the last"
    assert measure(tmp_path / "best", "valid", task())[0]["accuracy"] == pytest.approx(max(by_evaluation))
    assert measure(tmp_path / "last", "valid", task())[0]["accuracy"] == pytest.approx(by_evaluation[-1]) and step.model


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.generator, self.critic = nn.Linear(1, 2), nn.Linear(2, 1)


def test_several_players(tmp_path):
    def critic_loss(model, batch):
        fake = model.generator(batch[0][:, :1]).detach()
        return nn.functional.softplus(-model.critic(batch[0])).mean() + nn.functional.softplus(model.critic(fake)).mean()

    def generator_loss(model, batch):
        return nn.functional.softplus(-model.critic(model.generator(batch[0][:, :1]))).mean()

    game = task(model=Pair, losses={"critic": ("critic.*", critic_loss), "generator": ("generator.*", generator_loss)}, metrics=())
    step = last(train(game, recipe(init__plan="torch_default"), folder=tmp_path))
    assert [o.names for o in step.session.optimizers.values()] == [["critic.weight", "critic.bias"], ["generator.weight", "generator.bias"]]
    assert step.number == step.steps - 1


def test_a_loss_of_the_whole_batch():
    def reconstruction(model, batch):
        return ((model(batch[0]) - batch[0]) ** 2).mean()

    step = last(train(Task(model=lambda: nn.Linear(2, 2), data=points()[0], batch_loss=reconstruction), recipe()))
    assert step.loss < 1.0 and step.evaluation["loss"] < 1.0


def test_a_dataloader_of_ones_own(tmp_path):
    loader = DataLoader(TensorDataset(*points()), batch_size=16, shuffle=True)
    stream = task(data=(loader, points(60, 1)))
    whole = last(train(stream, recipe(), folder=tmp_path / "whole"))
    assert whole.steps == 60
    steps = train(stream, recipe(), folder=tmp_path / "broken")
    for _, _ in zip(range(40), steps, strict=False):
        pass
    steps.close()
    going = resume(tmp_path / "broken", stream)
    assert next(going).number == 30  # the epoch's start: nobody knows where a loader stands within
    last(going)
    assert lines(tmp_path / "whole") == lines(tmp_path / "broken")


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision(precision):
    step = last(train(task(), recipe(run__precision=precision, stop__epochs=8)))
    assert step.evaluation["accuracy"] > 0.8
    assert next(step.model.parameters()).dtype == torch.float32


def test_global_settings_are_left_as_found():
    threads = torch.get_num_threads()
    steps = train(task(), recipe(run__threads=2, run__deterministic=True))
    next(steps)
    steps.close()
    assert torch.get_num_threads() == threads and not torch.are_deterministic_algorithms_enabled()


def test_nan_in_the_loss_is_gone_around(tmp_path):
    """A loss of one's own that fails on one batch: by its place in the data, so that it fails again in the replay."""
    x, y = points()
    odd = x[100]

    def loss(output, target):
        value = nn.functional.cross_entropy(output, target)
        return value * nan if bool((output.detach() == marked[0]).all(1).any()) else value

    marked = [torch.full((2,), 1e9)]

    class Marking(nn.Module):
        """Gives a sign where the odd point is in the batch, of which the loss makes a NaN."""

        def __init__(self) -> None:
            super().__init__()
            self.net = small()

        def forward(self, x):
            out = self.net(x)
            return torch.where((x == odd).all(1, keepdim=True), out * 0 + 1e9, out) if self.training else out

    data = ((x, y), points(60, 1))
    step = last(train(task(model=Marking, data=data, loss=loss), recipe(), folder=tmp_path))
    events = [line for line in lines(tmp_path) if line["kind"] == "event"]
    assert len(events) == 4 and all("NaN or Inf in the loss" in event["message"] for event in events)
    assert step.number == step.steps - 1 and all(x.isfinite().all() for x in weights(step.model).values())


def test_from_pretrained_weights_with_a_rate_by_depth(tmp_path):
    first = last(train(task(), recipe(), folder=tmp_path / "first"))
    told = recipe(**{"init.pretrained": str(tmp_path / "first"), "optimizer.layerwise_decay": 0.5, "stop.steps": 1, "optimizer.lr": 1e-9})
    step = last(train(task(), told))
    assert all(torch.allclose(x, weights(first.model)[key], atol=1e-6) for key, x in weights(step.model).items())
    rates = {n: g["lr"] for g in step.session.optimizers["model"].param_groups for n in g["param_names"]}
    assert rates["0.weight"] == rates["2.weight"] / 4 or rates["0.weight"] == rates["2.weight"] / 2

    def three(width: int = 8) -> nn.Module:
        return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 3))

    other = last(train(task(model=three), told))  # another head: its own start
    assert torch.allclose(weights(other.model)["0.weight"], weights(first.model)["0.weight"], atol=1e-6)
    with pytest.raises(SteepestError, match=r"has shape|lacks|has no"):
        next(train(task(model=lambda: nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 2))), told))
    with pytest.raises(SteepestError, match=r"init\.pretrained = 'nowhere' cannot be read"):
        next(train(task(), told.replace({"init.pretrained": "nowhere"})))


@pytest.mark.parametrize(
    "changes", [{"optimizer.rule": "lbfgs", "batch.size": "full", "optimizer.lr": 1.0}, {"driver.name": "backtracking"}]
)
def test_line_searches(changes, tmp_path):
    chosen = recipe(**changes, stop__epochs=12)
    step = last(train(task(), chosen, folder=tmp_path / "whole", health=0))
    assert step.loss < 0.6
    steps = train(task(), chosen, folder=tmp_path / "broken", health=0)
    for _, _ in zip(range(5), steps, strict=False):
        pass
    steps.close()
    last(resume(tmp_path / "broken", task(), health=0))
    assert lines(tmp_path / "whole") == lines(tmp_path / "broken")


def test_folds():
    from steepest.train.fit import folds

    found = folds(task(folds=3), recipe(stop__epochs=2))
    assert len(found) == 3 and all(0.3 < one.metrics["accuracy"] <= 1 for one in found)
    assert len({one.metrics["loss"] for one in found}) == 3


def test_a_run_says_where_else_it_is_told(tmp_path, monkeypatch):
    from contextlib import contextmanager

    from steepest.train import sinks

    told = []

    @contextmanager
    def listener(folder):
        assert folder == tmp_path / "run"
        yield told.append

    monkeypatch.setitem(sinks.SINKS, "listener", listener)
    last(train(task(), recipe(), folder=tmp_path / "run", sinks=["listener"]))
    for line in told:
        line.pop("time", None)
    assert told == lines(tmp_path / "run")
    with pytest.raises(SettingError, match="unknown sink 'tensorbord'; did you mean tensorboard"):
        next(train(task(), recipe(), folder=tmp_path / "other", sinks=["tensorbord"]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled():
    plain, compiled = (last(train(task(), recipe(run__compile=c, stop__epochs=1))) for c in (False, True))
    assert compiled.loss == pytest.approx(plain.loss, rel=1e-4)


def test_a_run_of_a_builtin_task_finds_its_task(tmp_path):
    from steepest.train import taskfile

    found, facts = taskfile.find("digits-mlp")
    last(train(found, Recipe({"stop": {"epochs": 1}}), folder=tmp_path / "run", facts=facts))
    assert load(tmp_path / "run")(torch.zeros(3, 1, 8, 8)).shape == (3, 10)
    again = last(resume(tmp_path / "run", changes=["stop.epochs=2"]))
    assert again.number == again.steps - 1 == 2 * again.session.steps // 2 - 1
    last(train(task(), recipe(stop__epochs=1), folder=tmp_path / "own"))
    with pytest.raises(SteepestError, match="only its caller knows its task"):
        load(tmp_path / "own")


# --- bad input ---------------------------------------------------------------------------------------


class Wide(Dataset):
    def __init__(self, width):
        self.width = width

    def __len__(self):
        return 20

    def __getitem__(self, i):
        return torch.ones(self.width), i % 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(data=(torch.zeros(0, 2), torch.zeros(0).long())), "the data is empty"),
        (dict(data=(points()[0] * nan, points()[1])), r"the inputs of the data hold NaN or Inf in 240 samples, first in sample 0"),
        (dict(data=(points()[0], points()[1] + 5)), r"the training labels go from 5 to 6, and the model has 2 outputs"),
        (dict(data=(points()[0], points()[0])), r"outputs of shape \(2, 2\) do not fit|the training labels|targets"),
        (dict(data=(points()[0], points()[1][:7])), "columns of 240 and 7 rows"),
        (dict(data=3), "data is int; give arrays"),
        (dict(model=lambda: 3), "returned int, not a module"),
        (dict(data=(points(), Wide(3))), r"the model cannot take the validation inputs \(shape \(2, 3\), float32\): RuntimeError: mat1"),
        (dict(data=(Wide(3), Wide(2))), r"the model's forward failed on a sample of shape .*mat1"),
        (
            dict(data=(points(), DataLoader(TensorDataset(points()[0][:, :1], points()[1])))),
            r"the model cannot take these inputs \(shape \(1, 1\)",
        ),
        (dict(metrics=["acuracy"]), "did you mean accuracy"),
        (dict(loss="crossentropy"), "did you mean cross_entropy"),
        (dict(model=small()), "is a finished module; give a function"),
        (dict(losses={"a": ("nobody.*", lambda m, b: 0)}, metrics=()), "matches no parameter"),
        (dict(losses={"a": ("0.*", lambda m, b: 0)}), "which players do not give"),
        (dict(class_weights=[1.0], loss="mse", data=(points()[0], points()[0])), "class_weights are for cross_entropy"),
    ],
)
def test_one_clear_error(changes, message, tmp_path):
    if "data" in changes and message.startswith("outputs"):
        changes["data"] = (points()[0], (points()[0] > 0).long())
    with pytest.raises(SteepestError, match=message):
        last(train(task(**changes), recipe(), folder=tmp_path / "run"))


def test_mup_keeps_its_rates_through_schedules_and_resume(tmp_path):
    """Each parameter's rate is the recipe's, times the multiplier of its start, times the schedule: before and after a resume."""
    chosen = recipe(**{"init.plan": "mup", "model.width": 256, "schedule.lr": {"shape": "linear"}, "stop.epochs": 1})

    def rates(step) -> dict[str, float]:
        (optimizer,) = step.session.optimizers.values()
        each = [group["lr"] for group in optimizer.param_groups for _ in group["params"]]
        return dict(zip(optimizer.names, each, strict=True))

    multipliers = chosen.initialize(small(width=256), points()[0][:4]).lr_multipliers
    assert len(set(multipliers.values())) > 1 and multipliers["2.weight"] == 0.5
    whole = [rates(step) for step in train(task(), chosen, folder=tmp_path / "whole")]
    for k, found in enumerate(whole):
        assert found == pytest.approx({name: 0.02 * multipliers.get(name, 1.0) * (1 - k / 23) for name in found}, abs=1e-12)
    steps = train(task(), chosen, folder=tmp_path / "left")
    for _ in range(10):
        next(steps)
    steps.close()
    left = [rates(step) for step in resume(tmp_path / "left", task())]
    assert left == whole[-len(left) :] and 0 < len(left) < 24
    assert lines(tmp_path / "left") == lines(tmp_path / "whole")


class Offset(nn.Module):
    """With a parameter of its own, as vision transformers have."""

    def __init__(self) -> None:
        super().__init__()
        self.offset, self.layers = nn.Parameter(torch.full((2,), 0.5)), small()

    def forward(self, x):
        return self.layers(x) + self.offset


def test_parameters_of_a_models_own_stay_as_it_made_them():
    step = next(train(task(model=Offset), recipe(**{"optimizer.rule": "sgd", "optimizer.lr": 1e-9})))
    assert torch.allclose(step.model.offset, torch.full((2,), 0.5))
    step = next(train(task(model=Offset), recipe(**{"init": {"offset": "zeros"}, "optimizer.rule": "sgd", "optimizer.lr": 1e-9})))
    assert torch.allclose(step.model.offset, torch.zeros(2), atol=1e-6)


# --- threads -----------------------------------------------------------------------------------------


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize(("small_is", "count"), [(1e9, 1), (1.0, 2)])
def test_threads_are_one_for_small_steps_and_the_same_on_resume(small_is, count, two_threads, tmp_path, monkeypatch):
    monkeypatch.setattr("steepest.train.threads.SMALL", small_is)
    steps = train(task(), recipe(run__threads="auto"), folder=tmp_path)
    step = next(steps)
    assert torch.get_num_threads() == count and f"with {count} thread" in step.session.where
    steps.close()
    assert torch.get_num_threads() == 2
    monkeypatch.setattr("steepest.train.threads.SMALL", 1e9 if count == 2 else 1.0)
    steps = resume(tmp_path, task())
    next(steps)
    assert torch.get_num_threads() == count
    steps.close()


def test_operations_are_those_of_products_and_convolutions():
    # Forward: 2 x 28 x 28 x 6 x 25 for the convolution, 2 x 4704 x 10 for the layer behind it.
    net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.Flatten(), nn.Dropout(), nn.Linear(4704, 10))
    before = torch.get_rng_state()
    assert threads.operations(net, (torch.zeros(2, 1, 28, 28),), 64) == 3 * 64 * (2 * 784 * 150 + 2 * 47040)
    assert torch.equal(before, torch.get_rng_state()) and net.training
    lstm = nn.LSTM(4, 8, batch_first=True)
    assert threads.operations(lstm, (torch.zeros(2, 5, 4),), 2) == 3 * 2 * 5 * 2 * 4 * 8 * (4 + 8)
    assert threads.operations(nn.Linear(3, 4), (torch.zeros(2, 7),), 10) == 3 * 2 * 16 * 10, "all that is known of a model that fails"
    assert [threads.said(x) for x in (43_210, 1.6e8, 5.72e9, 3.2e12)] == ["0.043 million", "160 million", "5.7 billion", "3,200 billion"]


def test_errors_of_recipes_come_before_training():
    with pytest.raises(SettingError, match=r"model\.widht: unknown argument"):
        next(train(task(), recipe(model__widht=3)))
    with pytest.raises(SettingError, match=r"schedule\.beta1: this recipe has no such knob"):
        next(train(task(), recipe(**{"schedule.beta1": {"shape": "linear"}, "optimizer.rule": "sgd"})))
    if not torch.cuda.is_available():
        with pytest.raises(SettingError, match="no CUDA device"):
            next(train(task(), recipe(run__device="cuda")))
    with pytest.raises((DataError, SettingError), match="more than the 216"):
        next(train(task(), recipe(batch__size=500, batch__last="drop")))


def test_a_run_that_is_not_one(tmp_path):
    with pytest.raises(ValueError, match="there is no run at"):
        next(resume(tmp_path / "nothing", task()))
    last(train(task(), recipe(), folder=tmp_path / "a"))
    with pytest.raises(SteepestError, match=r"lacks|has no|shape"):
        load(tmp_path / "a", task(model=lambda: nn.Linear(2, 2)))


def test_a_step_is_few_calls(tmp_path):
    """What a small model's step costs beside its arithmetic is Python calls. None asks torch to clear the gradients."""
    seen = []

    def look(frame, event, _):
        if event == "call" and frame.f_globals.get("__name__", "").startswith("steepest"):
            seen.append(frame.f_code.co_qualname)

    steps = train(task(), recipe(**{"stop.epochs": 5, "run.checkpoint_every": "1 hour"}), folder=tmp_path / "run")
    for _ in range(60):  # between two moments, two evaluations, two looks at health
        next(steps)
    sys.setprofile(look)
    for _ in range(10):
        next(steps)
    sys.setprofile(None)
    steps.close()
    assert "Optimizer.zero_grad" in seen and len(seen) <= 70 * 10, sorted(set(seen))


def test_the_gap_between_training_and_validation(tmp_path):
    """Written after each evaluation where both losses are the same loss; exact on resume as everything is."""
    steps = train(task(), recipe(), folder=tmp_path / "run")
    losses = []
    for step in steps:
        losses.append(step.loss)
        if step.evaluation:
            mean = sum(losses) / len(losses)
            told = {"gap": step.evaluation["loss"] - mean, "gap_share": (step.evaluation["loss"] - mean) / mean}
            losses.clear()
    found = [line for line in lines(tmp_path / "run") if "gap" in line.get("numbers", ())]
    assert [line["step"] for line in found] == [23, 47, 71, 95]
    assert {name: found[-1]["numbers"][name] for name in told} == pytest.approx(told)
    last(train(task(), recipe(**{"regularize.label_smoothing": 0.1}), folder=tmp_path / "smooth"))
    last(train(task(), recipe(), folder=tmp_path / "blind", health=0))
    assert not [1 for run in ("smooth", "blind") for line in lines(tmp_path / run) if "gap" in line.get("numbers", ())]


def test_time_is_apart(tmp_path):
    """Two runs of one recipe and seed differ under `time` alone."""
    for name in "ab":
        last(train(task(), recipe(), folder=tmp_path / name))
        time.sleep(0.01)
    assert lines(tmp_path / "a") == lines(tmp_path / "b")
    assert (tmp_path / "a" / "record.jsonl").read_text() != (tmp_path / "b" / "record.jsonl").read_text()
    assert Recipe.load(tmp_path / "a" / "recipe.toml") == recipe()
