"""How much a comparison spends, by name."""

from dataclasses import dataclass, replace
from math import comb
from typing import Self

from steepest.compare.statistics import least_seeds
from steepest.core.errors import SettingError, nearest


@dataclass(frozen=True)
class Preset:
    """For each method: `studies` searches of `trials` trainings each; the best of each search again on `fresh` seeds that none has seen.

    With one study, or a few, the verdict is on the recipes that they found, and what is repeated are the seeds. A method's luck in tuning
    is part of the verdict only where there are studies enough to be what is repeated: `unit`.
    """

    studies: int
    trials: int
    fresh: int
    unit: str = "seeds"

    def __post_init__(self) -> None:
        for name in ("studies", "trials", "fresh"):
            value, least = getattr(self, name), 0 if name == "trials" else 1
            if type(value) is not int or value < least:
                raise SettingError(f"Preset.{name} = {value!r} must be a whole number from {least} on")
        if self.unit not in ("seeds", "studies"):
            raise SettingError(f"Preset.unit = {self.unit!r} is neither seeds nor studies")

    @property
    def repeats(self) -> int:
        """How many scores of each method the verdict rests on."""
        return self.studies if self.unit == "studies" else self.fresh

    @property
    def each(self) -> int:
        """Trainings of one method."""
        return self.studies * (self.trials + self.fresh)

    def cost(self, methods: int) -> int:
        """Trainings altogether."""
        return methods * self.each

    def serving(self, methods: int) -> Self:
        """With repeats enough that a verdict on so many methods is possible at all."""
        least = least_seeds(comb(methods, 2))
        return replace(self, **{"studies" if self.unit == "studies" else "fresh": max(self.repeats, least)})

    def within(self, runs: int) -> Self:
        """With as many trials as so many trainings of each method allow; the fresh seeds stay."""
        trials = runs // self.studies - self.fresh
        if trials < 1:
            fresh = self.studies * self.fresh
            raise SettingError(
                f"a budget of {runs} trainings for each method is too small: "
                f"the fresh seeds alone take {fresh}; give {fresh + self.studies} or more"
            )
        return replace(self, trials=trials)

    def words(self, methods: int) -> str:
        """What it costs, said before it is spent."""
        studies = "1 study" if self.studies == 1 else f"{self.studies} studies"
        seeds = "1 fresh seed" if self.fresh == 1 else f"{self.fresh} fresh seeds"
        return f"{methods} methods x {studies} x ({self.trials} trials + {seeds}) = {self.cost(methods)} trainings"


PRESETS: dict[str, Preset] = {
    "quick": Preset(studies=1, trials=6, fresh=10),
    "usual": Preset(studies=3, trials=12, fresh=10),
    "thorough": Preset(studies=12, trials=20, fresh=5, unit="studies"),
}


def preset(name: str) -> Preset:
    if name not in PRESETS:
        raise SettingError(f"unknown preset {name!r}{nearest(name, PRESETS)}")
    return PRESETS[name]
