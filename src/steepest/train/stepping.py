"""One optimizer step on one batch, whatever asks for the gradient and in whatever precision."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from steepest.core.errors import SettingError
from steepest.data.parts import Batch, columns
from steepest.drivers import Accumulate, Plain
from steepest.optim import LBFGS
from steepest.train.course import micro
from steepest.train.guard import Bad
from steepest.train.objective import Objective
from steepest.train.recipe import Recipe
from steepest.watch import first_bad

PRECISION = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Stepping:
    """`step(batch, careful)` gives the loss. `careful`: a Bad is raised, naming the layer, before anything is written."""

    def __init__(self, recipe: Recipe, model: nn.Module, optimizers: dict[str, Any], objective: Objective, device: torch.device) -> None:
        self.model, self.optimizers, self.objective, self.device = model, optimizers, objective, device
        self.driver: Any = recipe.driver()
        self.micro = recipe.batch.micro
        self.half = PRECISION.get(recipe.run.precision)
        if self.half is torch.float16 and not isinstance(self.driver, Plain):
            raise SettingError('run.precision = "float16" needs the plain driver: others do not scale the loss; bfloat16 does without')
        self.scaler = torch.amp.GradScaler(device.type) if self.half is torch.float16 else None
        self.network: Any = torch.compile(model) if recipe.run.compile else model
        self.step = self._way()

    def _way(self) -> Callable[[Batch, bool], float]:
        if self.objective.task.losses:
            return self._all_players
        (self.optimizer,) = self.optimizers.values()
        if isinstance(self.driver, Accumulate):
            return self._accumulated
        if isinstance(self.optimizer, LBFGS):
            return self._searched
        return self._scaled if self.scaler else self._driven

    def _driven(self, batch: Batch, careful: bool) -> float:
        done = self.driver.step(self.optimizer, lambda: self._loss(batch, careful))
        return float(done[0] if isinstance(done, tuple) else done)

    def _accumulated(self, batch: Batch, careful: bool) -> float:
        parts = micro(batch, self.micro or len(batch[0]))
        return float(self.driver.step(self.optimizer, [lambda part=part: self.summed(part, careful) for part in parts]))

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, self.half) if self.half else nullcontext()

    def _loss(self, batch: Batch, careful: bool) -> Tensor:
        if self.half:
            with self._autocast():
                loss = self.objective.loss(self.network, batch)
        else:
            loss = self.objective.loss(self.network, batch)
        if careful and not bool(torch.isfinite(loss)):
            raise Bad("loss", str(first_bad(self.model, columns(batch)[0]) or "the loss"))
        return loss

    def summed(self, part: Batch, careful: bool = False) -> tuple[Tensor, float]:
        """The sum of the losses of a part, and how many they are."""
        count = self.objective.count(part)
        return self._loss(part, careful) * count, count

    def _all_players(self, batch: Batch, careful: bool) -> float:
        return sum(self._player(name, batch, careful) for name in self.optimizers)

    def _player(self, name: str, batch: Batch, careful: bool) -> float:
        compute = self.objective.task.losses[name][1]

        def closure() -> Tensor:
            with self._autocast():
                loss = compute(self.network, batch)
            if careful and not bool(torch.isfinite(loss)):
                raise Bad("loss", f"the loss of {name}")
            return loss

        return float(self.driver.step(self.optimizers[name], closure))

    def _searched(self, batch: Batch, careful: bool) -> float:
        """L-BFGS asks for the gradient as often as its line search likes."""

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            loss = self._loss(batch, careful)
            loss.backward()
            return loss.detach()

        return float(self.optimizer.step(closure))

    def _scaled(self, batch: Batch, careful: bool) -> float:
        """float16: the loss is scaled up so that small gradients are not lost; a step that overflows is left out, and the scale halved."""
        assert self.scaler
        self.optimizer.zero_grad()
        loss = self._loss(batch, careful)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return float(loss.detach())
