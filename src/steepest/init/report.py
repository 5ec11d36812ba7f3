"""What an initialization did: data first, and a table to print."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from rich.table import Table


class Row(NamedTuple):
    parameter: str
    kind: str
    shape: tuple[int, ...]
    initializer: str
    reason: str


@dataclass(frozen=True)
class Report:
    """One row per parameter. `unclassified`: layers of which it is not known what follows, and why.

    `lr_multipliers` is empty, or says by parameter how lr is to be multiplied (plan mup): see `rules.plans.scaled`.
    """

    rows: list[Row]
    unclassified: list[str]
    lr_multipliers: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"rows": [row._asdict() for row in self.rows]}

    def __rich__(self) -> Table:
        table = Table(*(title.replace("_", " ") for title in Row._fields), caption=self._notes() or None, caption_justify="left")
        for row in self.rows:
            table.add_row(*self._cells(row))
        return table

    def __str__(self) -> str:
        lines = [list(Row._fields), *(self._cells(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(Row._fields))]
        text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([*text, *filter(None, [self._notes()])])

    def _cells(self, row: Row) -> list[str]:
        return [row.parameter, row.kind, "x".join(map(str, row.shape)) or "one number", row.initializer, row.reason]

    def _notes(self) -> str:
        return "\n".join(f"not classified: {line}" for line in self.unclassified)
