"""A run in memory: everything that a task and a recipe decide, put together; one step; and coming back to an earlier moment."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from steepest.core.errors import SettingError, SteepestError
from steepest.core.rng import generator, seed_of
from steepest.core.task import Task
from steepest.data.parts import Batch, Loader, columns
from steepest.data.split import Data, balanced, classes, gather
from steepest.regularizers.base import Adversarial, GradientChange, Penalty, Projection, Surgery, TargetChange, mixed_loss
from steepest.schedules.span import Length
from steepest.train import heap
from steepest.train.course import course_of
from steepest.train.evaluation import answer
from steepest.train.feed import Feed, shortened
from steepest.train.guard import Bad, Guard, checked
from steepest.train.knobs import Dial, Scheduled
from steepest.train.objective import Objective
from steepest.train.pretrained import load_pretrained
from steepest.train.recipe import Recipe, located
from steepest.train.snapshot import copied, random_facts, random_tensors, restore, restore_random, tensors_of
from steepest.train.stepping import Stepping
from steepest.train.threads import chosen, operations, said


class Session:
    """`task` and `recipe` at work. `step(k)` makes step k; `snapshot()` and `restore(...)` are the way back.

    With `run.threads = "auto"` torch's threads are set: to one until there is a model, then to those chosen for it, or to the `threads`
    of a run that goes on. Who makes a session puts them back (`run.settings`).
    """

    def __init__(
        self, task: Task, recipe: Recipe, *, data: Data | None = None, length: Length | None = None, threads: int | None = None
    ) -> None:
        self.task, self.recipe, self.keep_ratio = task, recipe, recipe.batch.keep_ratio
        self.device = device_of(recipe.run.device)
        if self.device.type == "cpu":
            heap.keep()
        usual = torch.get_num_threads()
        if recipe.run.threads == "auto":
            torch.set_num_threads(1)
        torch.manual_seed(seed_of(recipe.run.seed, "run"))
        self.generator = generator(recipe.run.seed, "batches")
        self.regularizers = recipe.regularizers()
        self.feed = Feed(task, data or gather(task.data), self.regularizers.values(), self.device, self.generator)
        self.data, self.preprocess, self.prepared = self.feed.data, self.feed.preprocess, self.feed.prepared
        self.course = course_of(self.data.train, recipe)
        self.steps = self.course.steps
        self.objective = Objective(task, self._weights())
        self.model = self._model()
        sample = self._sample()
        self.operations = self._choose_threads(sample, usual, threads)
        self.multipliers = self._initialize(self.model, sample)
        torch.manual_seed(seed_of(recipe.run.seed, "run"))
        self.optimizers = self._optimizers()
        self.rate = Dial(list(self.optimizers.values()), "lr")
        # What schedules go by: the run's own length, unless it was extended and they hold.
        self.length = length or self.course.length
        self.scheduled = self._scheduled(self.length)
        self.lr = next((one for one in self.scheduled if one.path == "lr"), None)
        self.others = [one for one in self.scheduled if one is not self.lr]
        self._sort_regularizers()
        if self.noises:
            for optimizer in self.optimizers.values():
                optimizer.register_step_pre_hook(self.before_step)
        self.stepping = Stepping(recipe, self.model, self.optimizers, self.objective, self.device)
        self.guard = Guard()
        # The metrics of the best weights so far, by the validation part.
        self.best: dict[str, float] = {}
        self.rehearse()

    @property
    def where(self) -> str:
        """ "cpu with 1 thread (160 million operations a step): 61,706 parameters": what was chosen."""
        n, threads = sum(p.numel() for p in self.model.parameters()), torch.get_num_threads()
        why = f" ({said(self.operations)} operations a step)" if self.operations else ""
        with_threads = f" with {threads} thread{'s' * (threads > 1)}{why}" if self.device.type == "cpu" else ""
        return f"{self.device.type}{with_threads}: {n:,} parameters"

    # --- putting it together --------------------------------------------------------------------------

    def _weights(self) -> Tensor | None:
        given = self.task.class_weights
        if given is None:
            return None
        weights = balanced(self.data.train) if isinstance(given, str) else torch.tensor([float(x) for x in given])
        return weights.to(self.device)

    def _model(self) -> nn.Module:
        """The model as its factory makes it."""
        torch.manual_seed(seed_of(self.recipe.run.seed, "model"))
        model = self.recipe.model(self.task.factories)
        if not isinstance(model, nn.Module):
            raise SteepestError(f"the model's factory returned {type(model).__name__}, not a module")
        for regularizer in self.regularizers.values():
            if isinstance(regularizer, Surgery):
                model = regularizer.build(model)
        return model.to(self.device)

    def _sample(self) -> Sequence[Any] | None:
        """Some inputs; None for a model without a forward of its own, as where several networks play."""
        return None if type(self.model).forward is nn.Module.forward else columns(self.feed.first(self.course, 32))[0]

    def _choose_threads(self, sample: Sequence[Any] | None, usual: int, before: int | None) -> float | None:
        """Set torch's threads if the recipe leaves it to us; the operations of a step, if they decided."""
        if self.recipe.run.threads != "auto":
            return None
        if before or self.device.type != "cpu":
            torch.set_num_threads(before or usual)
            return None
        count = operations(self.model, [x[:2] for x in sample or ()], self.course.base)
        torch.set_num_threads(chosen(count, usual))
        return count

    def _initialize(self, model: nn.Module, sample: Sequence[Any] | None) -> dict[str, float]:
        """By the recipe's plan, then from pretrained weights; the multipliers of lr that this start asks for."""
        if sample is None:  # each network is initialized by itself
            reports = {name: self.recipe.initialize(child, None, name) for name, child in model.named_children()}
            found = {f"{name}.{p}": rate for name, report in reports.items() for p, rate in report.lr_multipliers.items()}
        else:
            found = self.recipe.initialize(model, sample[0] if len(sample) == 1 else tuple(sample)).lr_multipliers
        if self.recipe.pretrained:
            load_pretrained(model, self.recipe.pretrained)
        return found

    def _optimizers(self) -> dict[str, Any]:
        if not self.task.losses:
            return {"model": self.recipe.optimizer(self.model, self.multipliers)}
        players = self.task.losses.items()
        return {player: self.recipe.optimizer(self.model, self.multipliers, only=pattern) for player, (pattern, _) in players}

    def _scheduled(self, length: Length) -> list[Scheduled]:
        optimizers = list(self.optimizers.values())
        found = []
        for path, schedule in self.recipe.schedules().items():
            if path == "batch":  # the course knows it
                continue
            if path == "length":
                shortened(self.feed.first(self.course, 1), 0.5)  # whether it can be done
                turn = partial(setattr, self.feed, "length")
            else:
                turn = self._turn_regularizer(path) if path.startswith("regularize.") else Dial(optimizers, path).turn
            with located(f"schedule.{path}"):
                found.append(Scheduled(path, schedule.resolve(length), length, turn))
        return found

    def _turn_regularizer(self, path: str) -> Callable[[float], None]:
        _, name, knob = path.split(".", 2)
        base = self.regularizers[name].knobs()[knob]

        def turn(factor: float) -> None:
            bound = self.regularizers[name] = self.regularizers[name].bind({knob: base * factor})
            if isinstance(bound, Surgery):
                bound.set(self.model)
            self._sort_regularizers()

        return turn

    def _sort_regularizers(self) -> None:
        """Each to the place where the loop calls it."""
        found = list(self.regularizers.values())
        self.feed.sort(found)
        self.adversaries = [r for r in found if isinstance(r, Adversarial)]
        self.projections = [r for r in found if isinstance(r, Projection)]
        self.noises = [r for r in found if isinstance(r, GradientChange)]
        self.objective.regularize([r for r in found if isinstance(r, TargetChange)], [r for r in found if isinstance(r, Penalty)])

    @torch.no_grad()
    def rehearse(self) -> None:
        """Some training and validation samples forward, so that what does not fit is said before training. Nothing is changed by it."""
        if self.task.batch_loss or self.task.losses:
            return
        batch, valid = self.feed.first(self.course, 2), self.data.valid
        training = self.model.training
        self.model.eval()
        try:
            inputs, target = columns(batch)
            output = answer(self.model, inputs, "the training")
            n = classes(self.data.train)
            if self.task.loss in ("cross_entropy", "nll") and n and isinstance(output, Tensor) and output.ndim > 1:
                low = int(self.data.train.target.min())  # type: ignore[union-attr]
                if n > output.shape[1] or (low < 0 and low != -100):
                    raise SteepestError(f"the training labels go from {low} to {n - 1}, and the model has {output.shape[1]} outputs")
            if target is not None:
                self.objective.plain(self.model, batch, output)
            for one in self.scheduled:
                if one.path == "length":
                    answer(self.model, columns(shortened(batch, one.factor(0)))[0], "the shortened")
            if valid is not None and not isinstance(valid, Loader):  # whose order is its own
                batch = self.prepared(valid.take(torch.arange(min(2, len(valid)))))
                self.objective.plain(self.model, batch, answer(self.model, columns(batch)[0], "the validation"))
        finally:
            self.model.train(training)

    # --- one step -------------------------------------------------------------------------------------

    def step(self, k: int, careful: bool = False) -> float:
        """Make step k; its loss. `careful`: a Bad is raised, naming the layer, before anything is written to the weights."""
        if self.scheduled or self.guard.rate != 1 or self.keep_ratio:
            self._set_knobs(k)
        batch = self.course.batch(k)
        if careful:
            _check_inputs(batch)
        batch = self.feed.training(batch)
        for adversary in self.adversaries:
            x = adversary.change(self.model, partial(mixed_loss, self.objective.base), batch[0], batch[-1], self.generator)
            batch = (x, *batch[1:])
        self.k = k
        if careful:
            with checked(self.optimizers):
                loss = self.stepping.step(batch, True)
        else:
            loss = self.stepping.step(batch, False)
        for projection in self.projections:
            projection.project(self.model)
        return loss

    def _set_knobs(self, k: int) -> None:
        factor = self.guard.rate
        if self.lr:
            factor *= self.lr.factor(k)
        if self.keep_ratio:
            factor *= self.course.size(k) / self.course.base
        self.rate.turn(factor)
        for one in self.others:
            one.turn(one.factor(k))

    def before_step(self, optimizer: Any, *_: Any) -> None:
        """Between gradient and step, whatever the driver."""
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        for noise in self.noises:
            noise.change(grads, self.generator, self.k)

    # --- the way back ---------------------------------------------------------------------------------

    def snapshot(self, k: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that is needed to be again where step k begins."""
        tensors = copied(tensors_of(self.model, self.optimizers)) | random_tensors(self.generator)
        facts = {
            "k": k, "random": random_facts(), "guard": self.guard.facts,
            "plateaus": {one.path: list(one.seen) for one in self.scheduled if one.plateau},
            "scaler": scaler.state_dict() if (scaler := self.stepping.scaler) else None,
        }  # fmt: skip
        return tensors, facts

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        restore(self.model, self.optimizers, tensors)
        restore_random(tensors, facts["random"], self.generator)
        self.guard.restore(facts["guard"])
        for one in self.scheduled:
            if one.plateau:
                one.seen = tuple(facts["plateaus"][one.path])
        if self.stepping.scaler and facts["scaler"]:
            self.stepping.scaler.load_state_dict(facts["scaler"])

    def refill(self) -> Iterator[Batch]:
        """Training batches for BatchNorm's statistics."""
        return self.feed.refill(self.course.base)


def device_of(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingError('run.device = "cuda", and torch finds no CUDA device; say "auto" or "cpu"')
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def _check_inputs(batch: Batch) -> None:
    for x in batch:
        if isinstance(x, Tensor) and x.is_floating_point() and not bool(torch.isfinite(x).all()):
            raise Bad("inputs", "the batch itself")
