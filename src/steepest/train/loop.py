"""The loop: one generator. What frameworks call callbacks is code in the caller's loop, in the order it is written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite, nan
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from steepest.core.errors import SettingError
from steepest.regularizers.stopping import EarlyStopping
from steepest.train.course import Streamed
from steepest.train.evaluation import evaluate, view, watched
from steepest.train.guard import LOWER, TRIES, Bad, TrainingError
from steepest.train.kinds import duration
from steepest.train.session import Session
from steepest.train.snapshot import BEST
from steepest.watch import Health, gap

# Steps between two moments that a run can come back to.
MOMENTS = 100


class Step(NamedTuple):
    """What the loop yields after each step; `evaluation` and `event` are None where there was none."""

    number: int
    steps: int
    epoch: int
    loss: float
    rate: float
    samples: int
    evaluation: dict[str, float] | None
    event: dict[str, Any] | None
    session: Session

    @property
    def model(self) -> nn.Module:
        return self.session.model


@dataclass
class Moment:
    """Where a run can come back to: the tensors and facts of everything, before step `k`."""

    k: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class Loop:
    """A session and how far it has come. `record` is a Record, or like one; `keep` is given each moment."""

    def __init__(self, session: Session, record: Any, keep: Callable[[Moment], None]) -> None:
        self.session, self.record, self.keep = session, record, keep
        recipe, task = session.recipe, session.task
        self.metric, self.more = watched(task, recipe.stop.metric)
        # Without patience the best weights are still known by it.
        self.stopping = EarlyStopping(patience=recipe.stop.patience or 1, minimum=recipe.stop.minimum, mode="max" if self.more else "min")
        self.seen: Any = self.stopping.start()
        self.best: dict[str, Tensor] = {}
        self.evaluations = duration(recipe.run.evaluate_every)
        course = session.course
        self.streamed = isinstance(course, Streamed)
        self.moments = course.per_epoch if isinstance(course, Streamed) else _moments(recipe.run.checkpoint_every)
        # GANs and rewards rise and fall as they like. A spike is no reason to stop: most runs get over it.
        self.spikes = isinstance(task.loss, str) and not task.losses and not task.batch_loss and recipe.run.on_nan != "stop"
        self.k, self.seconds, self.reason = 0, 0.0, "finished"
        self.moment: Moment | None = None
        # Steps below are made again: with every check (`careful`), and without a second line in the record (`recorded`).
        self.careful = self.recorded = 0

    # --- the loop itself ----------------------------------------------------------------------------

    def run(self, watch: Health | None = None) -> Iterator[Step]:
        s, guard, course, rate, record = self.session, self.session.guard, self.session.course, self.session.rate.read, self.record
        always = s.recipe.run.on_nan == "skip"
        began, evaluation = perf_counter() - self.seconds, None
        moments, by_steps = self.moments, self.evaluations[1] == "steps"
        s.model.train()
        while True:
            k, loss = self.k, nan
            done = k >= s.steps
            # Most steps have nothing to ask.
            special = done or k % moments == 0 or evaluation is not None or self.moment is None
            bad = self.take() if special and (done or self.due(k, evaluation is not None)) else None
            evaluation = None
            if done and not bad:
                return
            if bad is None and k not in guard.skip:
                try:
                    loss = s.step(k, always or k < self.careful)
                    bad = guard.judge(loss, self.spikes and guard.tries < TRIES)
                except Bad as found:
                    bad = found
            if bad:
                event = self.undo(bad)
                if watch:
                    watch.prepare(self.k)
                if event:
                    yield Step(k, s.steps, course.epoch(min(k, s.steps - 1)), nan, rate(), 0, None, event, s)
                continue
            self.seconds, lr, (epoch, samples, ends) = perf_counter() - began, rate(), course.at(k)
            fresh = k >= self.recorded
            if fresh:
                record.step(k, loss, lr, self.seconds)
            self.k = k + 1
            if (ends or by_steps) and self.evaluates(k, epoch, ends):
                evaluation = self.evaluate()
            if watch and (numbers := watch(k) | (self.overfitting(evaluation) if evaluation else {})) and fresh:
                record.write("health", k, numbers=numbers)
            yield Step(k, s.steps, epoch, loss, lr, samples, evaluation, None, s)

            if evaluation and self.stops:
                self.reason = "stopped early"
                self.take()
                return

    def due(self, k: int, evaluated: bool) -> bool:
        """Whether step k, before which there was an evaluation or not, begins at a moment to keep. A resumed run has the same ones."""
        if self.moment is None:
            return True
        if k % self.moments and (self.streamed or not evaluated):
            return False
        return k > self.moment.k and k >= self.careful

    def evaluates(self, k: int, epoch: int, ends: bool) -> bool:
        """Whether an evaluation follows step k, which is of that epoch, and ends it or not."""
        amount, unit = self.evaluations
        due = (k + 1) % amount == 0 if unit == "steps" else ends and (epoch + 1) % amount == 0
        return (due or k + 1 == self.session.steps) and self.session.data.valid is not None

    def evaluate(self, part: str = "valid") -> dict[str, float]:
        """The metrics of a part, with the weights to use. Of the validation part the best weights are kept."""
        s, began = self.session, perf_counter()
        with view(s.model, list(s.optimizers.values()), s.refill):
            found = evaluate(s.model, getattr(s.data, part), s.objective, s.prepared)
            if self.metric not in found:
                raise SettingError(f"stop.metric = {self.metric!r} is none of {', '.join(found)}")
            if part == "valid":
                s.guard.fresh = 0
                self.seen = self.stopping.observe(self.seen, found[self.metric])
                if self.stopping.improved(self.seen):
                    s.best = found
                    self.best = {BEST + name: x.detach().to("cpu", copy=True) for name, x in s.model.state_dict().items()}
                for one in s.scheduled:
                    one.observe(found[self.metric], self.more)
        self.record.write("evaluation", self.k, metrics=found, split=part, time={"seconds": perf_counter() - began})
        return found

    def overfitting(self, evaluation: dict[str, float]) -> dict[str, float]:
        """How far the loss of an evaluation is from that of the training steps before it, where both are the same loss."""
        s = self.session
        if "loss" not in evaluation or s.objective.targets or s.objective.penalties or s.feed.changes:
            return {}
        return gap(s.guard.recent, evaluation["loss"])

    @property
    def stops(self) -> bool:
        return self.session.recipe.stop.patience is not None and self.stopping.stop(self.seen)

    # --- the way back ---------------------------------------------------------------------------------

    def take(self) -> Bad | None:
        """Keep this moment, if it is worth coming back to."""
        if bad := _not_finite(self.session.model):
            return bad
        self.session.guard.tries = 0
        tensors, facts = self.session.snapshot(self.k)
        facts |= {"stopping": list(self.seen), "best": self.session.best, "position": self.record.position, "seconds": self.seconds}
        self.moment = Moment(self.k, tensors | self.best, facts)
        self.keep(self.moment)
        return None

    def go_to(self, moment: Moment) -> None:
        """Be what the run was at that moment."""
        self.session.restore(moment.tensors, moment.facts)
        self.seen, self.session.best = tuple(moment.facts["stopping"]), moment.facts["best"]
        self.best = {name: x for name, x in moment.tensors.items() if name.startswith(BEST)}
        self.k, self.moment = moment.k, moment

    def undo(self, bad: Bad) -> dict[str, Any] | None:
        """Back to the last good moment. The first time, to find the step and the layer; then, knowing them, to go on without that step."""
        k, moment, guard = self.k, self.moment, self.session.guard
        if moment is None:
            raise TrainingError(f"before the first step: {bad}")
        known = bad.where and bad.cause != "weights"
        need = k if bad.cause == "weights" else k + 1
        if not known and not self.streamed and self.careful < need:
            self.careful, self.recorded = need, max(self.recorded, k)
            self.go_to(moment)
            return None
        k = need - 1
        if self.session.recipe.run.on_nan == "stop":
            raise TrainingError(f'step {k}: {bad}; run.on_nan = "stop". The last good checkpoint is of step {moment.k}')
        guard.tries += 1
        if guard.tries > TRIES and bad.cause != "spike":
            raise TrainingError(
                f"step {k}: {bad}, after {TRIES} rollbacks to step {moment.k}, whose checkpoint is good. "
                "Lower optimizer.lr, add [optimizer.wrap.clip], or look at the data"
            )
        guard.skip.add(k)
        message = f"step {k}: {bad}; back to step {moment.k}, and on without step {k}"
        if bad.cause != "inputs" and self.session.recipe.run.on_nan == "rollback":
            guard.rate *= LOWER
            message += f", at {guard.rate:g} of the rate"
        self.record.write("event", k, name="rollback", message=message, where=bad.where, cause=bad.cause)
        moment.facts["guard"] |= guard.decided
        moment.facts["position"] = self.record.position
        self.careful = self.recorded = 0
        here = self.k
        self.go_to(moment)
        if self.streamed:
            self.k = here  # the batches between are gone
        return {"name": "rollback", "message": message, "where": bad.where, "cause": bad.cause, "step": k}


def _moments(every: str) -> int:
    """Moments are kept every 100 steps, or more often if checkpoints are wanted more often."""
    amount, unit = duration(every)
    return max(1, min(MOMENTS, int(amount))) if unit == "steps" and amount < MOMENTS else MOMENTS


def _not_finite(model: nn.Module) -> Bad | None:
    for name, x in model.state_dict().items():
        # A finite sum has finite terms, and is found in a tenth of the time.
        if isinstance(x, Tensor) and x.is_floating_point() and not isfinite(x.sum()) and not bool(torch.isfinite(x).all()):
            return Bad("weights", name)
    return None
