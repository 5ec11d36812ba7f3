"""The face of torch.optim.lr_scheduler over schedules."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from steepest.core.errors import SettingError, StateError, nearest
from steepest.schedules.base import Schedule
from steepest.schedules.plateau import plateau_of
from steepest.schedules.span import Length


class Scheduler(LRScheduler):
    """Sets each knob of each group to its base value times the factor at this step. Made by `torch_scheduler`.

    The base values are those of the groups when the scheduler is made, kept there as `initial_lr` and so on, as torch
    does. All that changes is the step, and what a plateau has seen: `state_dict` holds nothing else.
    """

    def __init__(self, optimizer: Optimizer, schedules: Mapping[str, Schedule], length: Length) -> None:
        self.length = length
        self.schedules = {knob: schedule.resolve(length) for knob, schedule in schedules.items()}
        self.plateaus = {knob: found for knob, x in self.schedules.items() if (found := plateau_of(x))}
        self.seen = {knob: plateau.start() for knob, plateau in self.plateaus.items()}
        if not isinstance(optimizer, Optimizer):
            raise SettingError(f"torch_scheduler needs an optimizer, not {type(optimizer).__name__}")
        self.bases: list[dict[str, float]] = []
        for knob in self.schedules:
            if not any(has(group, knob) for group in optimizer.param_groups):
                known = sorted({name for group in optimizer.param_groups for name in names(group)})
                raise SettingError(f"no group of {type(optimizer).__name__} has a {knob!r} to schedule{nearest(knob, known)}")
        super().__init__(optimizer)

    def factor(self, knob: str = "lr") -> float:
        """What the knob's base value is multiplied by at the present step."""
        value = self.schedules[knob](self.length.progress(self.last_epoch))
        return value * self.plateaus[knob].factor(self.seen[knob]) if knob in self.plateaus else value

    def observe(self, metric: float) -> None:
        """Tell a plateau the result of an evaluation. It counts at once."""
        if not self.plateaus:
            raise SettingError("there is no Plateau among the schedules to tell a metric")
        self.seen = {knob: plateau.observe(self.seen[knob], float(metric)) for knob, plateau in self.plateaus.items()}
        self._write()

    def get_lr(self) -> list[Any]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        seen = {knob: list(state) for knob, state in self.seen.items()}
        return {"step": self.last_epoch, **({"seen": seen} if seen else {})}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at the saved step; the optimizer's groups are set to it."""
        wanted = set(self.state_dict())
        if set(state_dict) != wanted or set(state_dict.get("seen", {})) != set(self.seen):
            raise StateError(f"this scheduler's state has {', '.join(sorted(wanted))}; the one to load has {', '.join(sorted(state_dict))}")
        self.last_epoch = state_dict["step"]
        self.seen = {knob: (state[0], state[1]) for knob, state in state_dict.get("seen", {}).items()}
        self._write()

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._write()

    def _write(self) -> None:
        factors = {knob: self.factor(knob) for knob in self.schedules}
        for i, group in enumerate(self.optimizer.param_groups):
            if i == len(self.bases):  # the first time, or a group that was added since
                self.bases.append({knob: remembered(group, knob) for knob in self.schedules if has(group, knob)})
            for knob, base in self.bases[i].items():
                write(group, knob, base * factors[knob])
        self._last_lr = [x.clone() if isinstance(x, Tensor) else x for x in self.get_lr()]


def place(group: Mapping[str, Any], knob: str) -> tuple[str, int] | None:
    """beta2 of a group with `betas` is their second."""
    if knob not in group and knob.startswith("beta") and knob[4:].isdigit() and 1 <= int(knob[4:]) <= len(group.get("betas", ())):
        return "betas", int(knob[4:]) - 1
    return None


def names(group: Mapping[str, Any]) -> list[str]:
    betas = [f"beta{i + 1}" for i in range(len(group.get("betas", ())))]
    return betas + [name for name in group if not name.startswith("initial_") and is_number(group[name])]


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Tensor)) and not isinstance(value, bool)


def has(group: Mapping[str, Any], knob: str) -> bool:
    return knob in names(group)


def read(group: Mapping[str, Any], knob: str) -> float:
    found = place(group, knob)
    return float(group[found[0]][found[1]] if found else group[knob])


def remembered(group: dict[str, Any], knob: str) -> float:
    """The base value: what an earlier scheduler, or a loaded optimizer, says it was at the start; else what it is now."""
    return float(group.setdefault(f"initial_{knob}", read(group, knob)))


def write(group: dict[str, Any], knob: str, value: float) -> None:
    found = place(group, knob)
    if found:
        values = list(group[found[0]])
        values[found[1]] = value
        group[found[0]] = tuple(values)
    elif isinstance(group[knob], Tensor):
        group[knob].fill_(value)
    else:
        group[knob] = value
