"""What came of a comparison, as a value: for programs and notebooks."""

import json
from collections import deque
from collections.abc import Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from steepest.compare.conclusion import Conclusion, conclude
from steepest.compare.protocol import Wanted, asked
from steepest.core.task import Task
from steepest.records import comparisons, is_study, number, study
from steepest.records.folders import free
from steepest.search.log import StudyError
from steepest.search.tune import Search
from steepest.train.recipe import Recipe

FOLDER = Path("studies")


class Compared:
    """A comparison that has its answer, by its record. `print(compared)` says the verdicts."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.study = study(self.folder)
        if not self.study.is_comparison or not self.study.answer:
            what = "is no comparison" if not self.study.is_comparison else "has no answer yet; steepest compare --resume goes on with it"
            raise StudyError(f"{self.folder} {what}")
        self.facts: dict[str, Any] = (self.study.answer or {})["comparison"]

    @cached_property
    def conclusion(self) -> Conclusion:
        """Standings, verdicts, and how firm the ranking is."""
        begun = self.study.begin["comparison"]
        scores = {
            name: {int(key): None if x is None else number(x) for key, x in own.items()} for name, own in self.facts["scores"].items()
        }
        return conclude(scores, begun["direction"], points=begun["points"], unit=begun["unit"])

    def table(self) -> list[dict[str, Any]]:
        """A row to each method, the best first; `pandas.DataFrame(compared.table())` is a frame."""
        return comparisons.rows(self.study)

    def __str__(self) -> str:
        return "\n".join(comparisons.sentences(self.study))

    def __repr__(self) -> str:
        return f"Compared({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        rows = self.table()
        heads = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
        body = "".join(f"<tr>{''.join(f'<td>{escape(shown(x))}</td>' for x in row.values())}</tr>" for row in rows)
        said = "".join(f"<li>{escape(sentence)}</li>" for sentence in comparisons.sentences(self.study))
        return f"<table><tr>{heads}</tr>{body}</table><ul>{said}</ul>"


def compare(
    task: str | Task,
    *,
    rules: Sequence[str] = (),
    inits: Sequence[str] = (),
    schedules: Sequence[str] = (),
    models: Sequence[str] = (),
    recipes: Sequence[str | Path] = (),
    folder: str | Path | None = None,
    workers: int = 1,
    recipe: Recipe | None = None,
    **wanted: Any,
) -> Compared:
    """Compare methods on a task, to the end: `compare("digits-mlp", rules=["sgd", "adamw"], preset="quick")`.

    `recipe` is what all methods have in common. `wanted` are preset, budget, fresh, unequal, space, objective, target, seed, width and
    threads, as of the command. A folder that holds this comparison already is gone on with. A task that is no name or file stays in this
    process.
    """
    axes = {"rules": rules, "inits": inits, "schedules": schedules, "models": models, "recipes": [str(path) for path in recipes]}
    plan, own = asked(Wanted(axes, base=recipe, **wanted), task)
    place = Path(folder) if folder is not None else free(FOLDER, plan.name)
    begun = study(place).begin if is_study(place) else {}
    if begun and begun | json.loads(json.dumps(plan.head())) != begun:
        raise StudyError(f"{place} holds another comparison; choose another folder")
    deque(Search(plan, place, workers=workers, task=own, fresh=not begun).run(), maxlen=0)
    return Compared(place)


def shown(x: Any) -> str:
    return "" if x is None else f"{x:.4g}" if isinstance(x, float) else str(x)
