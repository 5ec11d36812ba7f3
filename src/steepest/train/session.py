"""A run in memory: everything that a task and a recipe decide, put together; one step; and coming back to an earlier moment."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from steepest.core.errors import SettingError, SteepestError
from steepest.core.rng import generator, seed_of
from steepest.core.task import Task
from steepest.data.parts import Arrays, Batch, Loader, Part, columns, is_text
from steepest.data.preprocess import fit
from steepest.data.split import Data, balanced, classes, gather
from steepest.drivers import Accumulate, Plain
from steepest.optim import LBFGS
from steepest.regularizers.augment import Augmentation, Chain
from steepest.regularizers.base import Adversarial, BatchChange, GradientChange, Penalty, Projection, Surgery, TargetChange, mixed_loss
from steepest.schedules.span import Length
from steepest.train.course import course_of, micro
from steepest.train.guard import Bad, Guard, checked
from steepest.train.knobs import Dial, Scheduled
from steepest.train.objective import Objective
from steepest.train.pretrained import load_pretrained
from steepest.train.recipe import Recipe, located
from steepest.train.snapshot import copied, random_facts, random_tensors, restore, restore_random, tensors_of

PRECISION = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Session:
    """`task` and `recipe` at work. `step(k)` makes step k; `snapshot()` and `restore(...)` are the way back."""

    def __init__(self, task: Task, recipe: Recipe, *, data: Data | None = None, length: Length | None = None) -> None:
        self.task, self.recipe = task, recipe
        self.device = device_of(recipe.run.device)
        torch.manual_seed(seed_of(recipe.run.seed, "run"))
        self.generator = generator(recipe.run.seed, "batches")
        data = data or gather(task.data)
        self.preprocess = fit(task.preprocess, data.train).to(self.device)
        self.regularizers = recipe.regularizers()
        self.augments = any(isinstance(r, (Augmentation, Chain)) for r in self.regularizers.values())
        # How many steps of preprocessing the data in memory have behind them: bytes stay bytes until they are used, and
        # augmentation comes between scaling and the rest, so that what it adds at borders is black.
        self.early = 0
        self.data = Data(self._placed(data.train), *(part and self._placed(part) for part in (data.valid, data.test)))
        self.course = course_of(self.data.train, recipe)
        self.steps = self.course.steps
        self.objective = Objective(task, self._weights())
        self._begin_model()
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
        self.driver: Any = recipe.driver()
        if recipe.run.precision == "float16" and not isinstance(self.driver, Plain):
            raise SettingError('run.precision = "float16" needs the plain driver: others do not scale the loss; bfloat16 does without')
        half = PRECISION.get(recipe.run.precision)
        self.autocast: Callable[[], Any] = (lambda: torch.autocast(self.device.type, half)) if half else nullcontext
        self.scaler = torch.amp.GradScaler(self.device.type) if half is torch.float16 else None
        self.network: Any = torch.compile(self.model) if recipe.run.compile else self.model
        self.guard = Guard()
        # The metrics of the best weights so far, by the validation part.
        self.best: dict[str, float] = {}
        self.rehearse()

    # --- putting it together --------------------------------------------------------------------------

    def _placed(self, part: Part) -> Part:
        """On the device, text as numbers, and numbers that are no bytes preprocessed as far as can be done once for all."""
        if not isinstance(part, Arrays):
            return part
        first, *rest = part.columns
        if is_text(first):
            first = self.preprocess(first, stop=0)
        if isinstance(first, Tensor) and first.dtype != torch.uint8:
            self.early = self.preprocess.scaled if self.augments else len(self.preprocess.steps)
            first = self.preprocess(first.to(self.device), stop=self.early)
        return Arrays((first, *rest)).to(self.device)

    def _weights(self) -> Tensor | None:
        given = self.task.class_weights
        if given is None:
            return None
        weights = balanced(self.data.train) if isinstance(given, str) else torch.tensor([float(x) for x in given])
        return weights.to(self.device)

    def _begin_model(self) -> None:
        torch.manual_seed(seed_of(self.recipe.run.seed, "model"))
        model = self.recipe.model(self.task.factories)
        if not isinstance(model, nn.Module):
            raise SteepestError(f"the model's factory returned {type(model).__name__}, not a module")
        for regularizer in self.regularizers.values():
            if isinstance(regularizer, Surgery):
                model = regularizer.build(model)
        self.model = model.to(self.device)
        self.multipliers = self._initialize()
        torch.manual_seed(seed_of(self.recipe.run.seed, "run"))

    def _initialize(self) -> dict[str, float]:
        """By the recipe's plan, then from pretrained weights; gives the multipliers of lr that the plan asks for."""
        if type(self.model).forward is nn.Module.forward:
            # No forward of its own, as where several networks play: each is initialized by itself.
            reports = {name: self.recipe.initialize(child, None, name) for name, child in self.model.named_children()}
            found = {f"{name}.{p}": rate for name, report in reports.items() for p, rate in report.lr_multipliers.items()}
        else:
            found = self.recipe.initialize(self.model, self._sample()).lr_multipliers
        if self.recipe.pretrained:
            load_pretrained(self.model, self.recipe.pretrained)
        return found

    def _sample(self) -> Any:
        """Some inputs, as the model will see them."""
        batch = self.prepared(next(iter(self.data.train)) if isinstance(self.data.train, Loader) else self.course.batch(0))
        inputs = tuple(x[:32] for x in columns(batch)[0])
        return inputs[0] if len(inputs) == 1 else inputs

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
            turn = self._turn_regularizer(path) if path.startswith("regularize.") else Dial(optimizers, path).turn
            with located(f"schedule.{path}"):
                found.append(Scheduled(path, schedule, length, turn))
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
        changes = [r for r in found if isinstance(r, BatchChange)]
        augmentations = [r for r in changes if isinstance(r, (Augmentation, Chain))]
        self.changes = [r for r in changes if r not in augmentations]
        # In a chain, geometric neighbors sample the image once.
        self.augmentations = [Chain(parts=tuple(augmentations))] if augmentations else []
        self.adversaries = [r for r in found if isinstance(r, Adversarial)]
        self.projections = [r for r in found if isinstance(r, Projection)]
        self.noises = [r for r in found if isinstance(r, GradientChange)]
        self.objective.penalties = [r for r in found if isinstance(r, Penalty)]
        self.objective.targets = [r for r in found if isinstance(r, TargetChange)]

    @torch.no_grad()
    def rehearse(self) -> None:
        """One batch forward, so that what does not fit is said before training. Nothing is changed by it."""
        if self.task.batch_loss or self.task.losses:
            return
        batch = self.prepared(next(iter(self.data.train)) if isinstance(self.data.train, Loader) else self.course.batch(0))
        batch = tuple(x[:2] for x in batch)
        training = self.model.training
        self.model.eval()
        try:
            inputs, target = columns(batch)
            output = self.model(*inputs)
            n = classes(self.data.train)
            if self.task.loss in ("cross_entropy", "nll") and n and isinstance(output, Tensor) and output.ndim > 1:
                low = int(self.data.train.target.min())  # type: ignore[union-attr]
                if n > output.shape[1] or (low < 0 and low != -100):
                    raise SteepestError(f"the training labels go from {low} to {n - 1}, and the model has {output.shape[1]} outputs")
            if target is not None:
                self.objective.plain(self.model, batch, output)
        finally:
            self.model.train(training)

    # --- one step -------------------------------------------------------------------------------------

    def prepared(self, batch: Batch, stop: int | None = None) -> Batch:
        """On the device and preprocessed, or as far as `stop`."""
        if not isinstance(self.data.train, Arrays):
            batch = tuple(x.to(self.device) if isinstance(x, Tensor) else x for x in batch)
        if self.early < len(self.preprocess.steps):
            batch = (self.preprocess(batch[0], self.early, stop), *batch[1:])
        return batch

    def augmented(self, batch: Batch) -> Batch:
        """A training batch: preprocessed, augmented in between, and mixed."""
        if self.augments:
            scaled = self.preprocess.scaled
            batch = self.prepared(batch, scaled)
            batch = self._changed(batch, self.augmentations)
            batch = (self.preprocess(batch[0], max(scaled, self.early)), *batch[1:])
        else:
            batch = self.prepared(batch)
        batch = self._changed(batch, self.changes)
        for adversary in self.adversaries:
            x = adversary.change(self.model, partial(mixed_loss, self.objective.base), batch[0], batch[-1], self.generator)
            batch = (x, *batch[1:])
        return batch

    def _changed(self, batch: Batch, changes: Sequence[BatchChange]) -> Batch:
        for change in changes:
            x, y = change.change(batch[0], batch[-1] if len(batch) > 1 else None, self.generator)
            batch = (x, *batch[1:-1], y) if len(batch) > 1 else (x,)
        return batch

    def step(self, k: int, careful: bool = False) -> float:
        """Make step k; its loss. `careful`: a Bad is raised, naming the layer, before anything is written to the weights."""
        if self.scheduled or self.guard.rate != 1 or self.recipe.batch.keep_ratio:
            self._set_knobs(k)
        batch = self.course.batch(k)
        if careful:
            _check_inputs(batch)
        batch = self.augmented(batch)
        self.k = k
        if not careful:
            loss = self._driven(batch, False)
        else:
            with checked(self.optimizers):
                loss = self._driven(batch, True)
        for projection in self.projections:
            projection.project(self.model)
        return loss

    def _set_knobs(self, k: int) -> None:
        factor = self.guard.rate
        if self.lr:
            factor *= self.lr.factor(k)
        if self.recipe.batch.keep_ratio:
            factor *= self.course.size(k) / self.course.base
        self.rate.turn(factor)
        for one in self.others:
            one.turn(one.factor(k))

    def _driven(self, batch: Batch, careful: bool) -> float:
        if self.task.losses:
            return sum(self._player(name, batch, careful) for name in self.optimizers)
        optimizer = self.optimizers["model"]
        if isinstance(self.driver, Accumulate):
            parts = micro(batch, self.recipe.batch.micro or len(batch[0]))
            return float(Accumulate().step(optimizer, [lambda part=part: self._sums(part, careful) for part in parts]))
        if isinstance(optimizer, LBFGS):
            closure: Any = lambda: self._with_gradient(optimizer, batch, careful)  # noqa: E731 - torch says it gives a float
            return float(optimizer.step(closure))
        if self.scaler:
            return self._scaled(optimizer, batch, careful)
        done = self.driver.step(optimizer, lambda: self._loss(batch, careful))
        return float(done[0] if isinstance(done, tuple) else done)

    def _loss(self, batch: Batch, careful: bool) -> Tensor:
        with self.autocast():
            loss = self.objective.loss(self.network, batch)
        if careful and not bool(torch.isfinite(loss)):
            raise Bad("loss", _first_bad(self.model, batch))
        return loss

    def _with_gradient(self, optimizer: Any, batch: Batch, careful: bool) -> Tensor:
        optimizer.zero_grad()
        loss = self._loss(batch, careful)
        loss.backward()
        return loss.detach()

    def _sums(self, part: Batch, careful: bool) -> tuple[Tensor, float]:
        count = self.objective.count(part)
        return self._loss(part, careful) * count, count

    def _player(self, name: str, batch: Batch, careful: bool) -> float:
        compute = self.task.losses[name][1]

        def closure() -> Tensor:
            with self.autocast():
                loss = compute(self.network, batch)
            if careful and not bool(torch.isfinite(loss)):
                raise Bad("loss", f"the loss of {name}")
            return loss

        return float(self.driver.step(self.optimizers[name], closure))

    def _scaled(self, optimizer: Any, batch: Batch, careful: bool) -> float:
        """float16: the loss is scaled up so that small gradients are not lost; a step that overflows is left out, and the scale halved."""
        assert self.scaler
        optimizer.zero_grad()
        loss = self._loss(batch, careful)
        self.scaler.scale(loss).backward()
        self.scaler.step(optimizer)
        self.scaler.update()
        return float(loss.detach())

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
            "scaler": self.scaler.state_dict() if self.scaler else None,
        }  # fmt: skip
        return tensors, facts

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any], *, keep_guard: bool = False) -> None:
        restore(self.model, self.optimizers, tensors)
        restore_random(tensors, facts["random"], self.generator)
        if not keep_guard:
            self.guard.restore(facts["guard"])
        for one in self.scheduled:
            if one.plateau:
                one.seen = tuple(facts["plateaus"][one.path])
        if self.scaler and facts["scaler"]:
            self.scaler.load_state_dict(facts["scaler"])

    def refill(self) -> Iterator[Batch]:
        """Training batches for BatchNorm's statistics: always the same, and no random number drawn."""
        from steepest.train.evaluation import REFILL, batches

        for number, batch in enumerate(batches(self.data.train, self.course.base)):
            if number == REFILL:
                return
            yield self.prepared(batch)


def device_of(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingError('run.device = "cuda", and torch finds no CUDA device; say "auto" or "cpu"')
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def _check_inputs(batch: Batch) -> None:
    for x in batch:
        if isinstance(x, Tensor) and x.is_floating_point() and not bool(torch.isfinite(x).all()):
            raise Bad("inputs", "the batch itself")


def _first_bad(model: nn.Module, batch: Batch) -> str:
    from steepest.watch import first_bad

    return str(first_bad(model, columns(batch)[0]) or "the loss")
