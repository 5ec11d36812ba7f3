"""What a training loop asks once per step: how are the gradients, the updates, the units?"""

import torch
from torch import Tensor, nn

from steepest.core.errors import SettingError, SteepestError
from steepest.watch.activations import Activations
from steepest.watch.sizes import layers, sizes


class Health:
    """`numbers = health(k)` after step k: {} on most steps, and on every `every`-th a flat dict of numbers for the record.

    Which steps are measured is decided by their number alone, k % every == 0. Before a measured step the weights are copied and hooks
    are set: at the end of `health(k - 1)`, or in the constructor, when `start` is the next step. So after a resume at step k,
    `Health(model, start=k)`, made when the weights are loaded, measures the same steps and gives the same numbers as the unbroken run.
    Between `health(k - 1)` and the forward pass of step k nothing may change the weights for good.
    """

    def __init__(self, model: nn.Module, every: int = 100, start: int = 0) -> None:
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise SettingError(f"Health.every = {every!r}; give a whole number of steps, 1 or more")
        self.model, self.every = model, every
        self.activations = Activations(model)
        self._next = -1
        self._before: list[Tensor] | None = None
        self.prepare(start)

    def measured(self, k: int) -> bool:
        return k % self.every == 0

    def prepare(self, k: int) -> None:
        """Step k comes next. Only a loop that jumps needs to say so: after a rollback, say."""
        self.stop()
        self._next = k
        if self.measured(k):
            self._layers = layers(self.model)
            with torch.no_grad():
                self._before = [p.detach().clone() for parameters in self._layers.values() for p in parameters]
            self.activations.begin()

    def __call__(self, k: int) -> dict[str, float]:
        """After step k, while its gradients are still there. Gradients count as the optimizer saw them: clipped, if they were."""
        if (k + 1) % self.every > 1:  # neither this step nor the next is measured
            self._next = k + 1
            return {}
        numbers: dict[str, float] = {}
        if self.measured(k):
            if self._next != k or self._before is None:
                raise SteepestError(
                    f"step {k} is to be measured, and Health expected step {self._next}: make Health(model, start={k}) after a resume, "
                    f"or call prepare({k}) before the step"
                )
            numbers = sizes(self._layers, self._before) | self.activations.end()
        self.prepare(k + 1)
        return numbers

    def stop(self) -> None:
        """Take the hooks off the model: when a loop ends before a measured step."""
        self._before = None
        self.activations.end()
