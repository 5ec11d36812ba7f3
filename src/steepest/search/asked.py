"""What every study is asked, as one value that its record keeps and all its decisions follow from."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from steepest.core.errors import SettingError
from steepest.search.budget import Budget
from steepest.search.jobs import Job, Strategy

if TYPE_CHECKING:
    from steepest.search.decisions import Decisions
    from steepest.search.log import Log
    from steepest.search.pool import Pool


@dataclass(frozen=True, kw_only=True)
class Asked(ABC):
    """Abstract: what is asked of which task, and who decides, orders and concludes.

    `task` says how the task is found again, `full` is the epochs of a full training. `verb` is the command that goes on with it.
    """

    verb: ClassVar[str]
    name: str
    budget: str
    full: int
    task: dict[str, Any] | None = None
    objective: str = "loss"
    better: str = "lower"
    seed: int = 0
    width: int = 4
    threads: int = 1

    def __post_init__(self) -> None:
        for field in ("width", "threads", "full"):
            if getattr(self, field) < 1:
                raise SettingError(f"{field} = {getattr(self, field)}; it is a whole number from 1 on")
        self.limit  # noqa: B018 (a budget that cannot be is said before anything begins)

    @classmethod
    def begun(cls, line: Mapping[str, Any]) -> Self:
        """As the first line of a record says."""
        values: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in line["settings"].items()}
        return cls(**values)

    def head(self) -> dict[str, Any]:
        """What that line says besides what it is about."""
        return {"settings": asdict(self)}

    def replace(self, **changes: Any) -> Self:
        return replace(self, **changes)

    @cached_property
    def limit(self) -> Budget:
        return Budget.parse(self.budget)

    @property
    def limits(self) -> list[Budget]:
        """That, and what it was allowed later: the last counts."""
        return [self.limit]

    @property
    def more(self) -> bool:
        return self.better == "higher"

    @property
    def seconds(self) -> float:
        """How long it may take, at most."""
        return self.limit.seconds

    @property
    @abstractmethod
    def epochs(self) -> float:
        """What may be trained."""

    @abstractmethod
    def decider(self) -> Strategy: ...

    @abstractmethod
    def setup(self) -> dict[str, Any]:
        """What a worker needs to know before its first job."""

    @abstractmethod
    def order(self, job: Job, folder: Path) -> dict[str, Any]:
        """What it needs to know of a job."""

    @abstractmethod
    def finish(self, decisions: "Decisions", log: "Log", pool: "Pool") -> Any:
        """The answer, once there is nothing more to decide: written into the log, and given back."""
