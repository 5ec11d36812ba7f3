"""What a search may cost: `10m` of time, `16runs` (full trainings), `200epochs`."""

import re
from dataclasses import dataclass
from math import inf

from steepest.core.errors import SettingError

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
EXAMPLES = "a time (90s, 10m, 1h30m), full trainings (16runs), or epochs (200epochs)"


@dataclass(frozen=True)
class Budget:
    """`unit` is seconds, runs or epochs. Time counts while the study is at work; the others count what was trained, by anyone."""

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> "Budget":
        said = text.strip().lower().replace(" ", "")
        if counted := re.fullmatch(r"(\d+(?:\.\d+)?)(runs?|epochs?)", said):
            found = cls(float(counted[1]), counted[2].rstrip("s") + "s")
        elif said and re.fullmatch(r"(?:\d+(?:\.\d+)?[smhd])+", said):
            found = cls(sum(float(x) * SECONDS[unit] for x, unit in re.findall(r"([\d.]+)([smhd])", said)), "seconds")
        else:
            raise SettingError(f"budget = {text!r} is not {EXAMPLES}")
        if found.amount <= 0:
            raise SettingError(f"budget = {text!r} buys nothing; give {EXAMPLES}")
        return found

    @property
    def seconds(self) -> float:
        return self.amount if self.unit == "seconds" else inf

    def epochs(self, full: int) -> float:
        """How many epochs may be trained, where a full training has so many."""
        return {"seconds": inf, "runs": self.amount * full, "epochs": self.amount}[self.unit]

    def __str__(self) -> str:
        if self.unit != "seconds":
            return f"{self.amount:g} {self.unit if self.amount != 1 else self.unit.rstrip('s')}"
        text, left = "", self.amount
        for unit in ("h", "m"):
            whole, left = divmod(left, SECONDS[unit])
            text += f"{whole:.0f}{unit}" if whole else ""
        return text + (f"{left:g}s" if left or not text else "")
