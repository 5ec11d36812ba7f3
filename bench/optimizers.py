"""Every optimizer of steepest beside torch's, pytorch_optimizer's and schedulefree's: our time over theirs, and the targets.

python bench/optimizers.py [--only adamw,lion] [--sizes lenet,many] [--threads 1,2] [--n 51] [--loop] [--json out.json]
"""

import json
import os
import platform
from collections.abc import Iterable
from contextlib import nullcontext
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from contests import CONTESTS, OURS, PYTORCH_OPTIMIZER, SCHEDULEFREE, SIZES, TORCH, YARDSTICK, elementwise, library, shapes
from race import CACHED, SHARE, Cell, Options, measure, peaks, quartiles
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from steepest.optim.table import ROWS

COLUMNS = [SHARE, *TORCH, *PYTORCH_OPTIMIZER, *SCHEDULEFREE, YARDSTICK]
# DESIGN section 10: at most this, for element rules; on LeNet-5 with one thread.
LIMITS = {
    ("large", SHARE): 1.05,
    ("large", "torch fused"): 1.0,
    ("lenet", YARDSTICK): 0.6,
    ("many", YARDSTICK): 0.2,
    **{(size, way): 0.33 for size in ("large", "many") for way in PYTORCH_OPTIMIZER},
}

console = Console()
if not console.is_terminal:
    console = Console(width=180)


class Verdict(NamedTuple):
    """A figure that has a target."""

    size: str
    threads: int
    against: str
    rule: str
    figure: float
    limit: float

    @property
    def mark(self) -> str:
        return "[green]✓[/]" if self.figure <= self.limit else "[red]✗[/]"


def verdict(cell: Cell, column: str) -> Verdict | None:
    limit = LIMITS.get((cell.size, column))
    if limit is None or column not in cell.figures() or not elementwise(cell.rule) or (cell.size == "lenet" and cell.threads > 1):
        return None
    return Verdict(cell.size, cell.threads, column, cell.rule, cell.figures()[column][1], limit)


def show(cells: list[Cell], options: Options) -> None:
    """One table for one size and thread count. MB is what a step reads and writes."""
    size, threads = cells[0].size, cells[0].threads
    columns = [name for name in COLUMNS if any(name in cell.figures() for cell in cells)]
    how = ", each step after an untimed one" if size in CACHED and options.warm else ""
    title = f"{size}, {threads} thread{'s'[: threads > 1]}: our time / that of ..., median and quartiles{how}"
    table = headed(title, "", OURS, "MB", "n", right=True)
    for name in columns:
        target = next((v.limit for cell in cells if (v := verdict(cell, name))), None)
        header = name.replace("_", "_ ").replace("lef", "le f").replace(" ", "\n") + (f"\n≤ {target:.2f}" if target else "")
        table.add_column(header, justify="right", no_wrap=True)
    for cell in cells:
        times = cell.times[OURS]
        moved = f"{cell.bytes / 1e6:.3g}" if cell.bytes else ""
        table.add_row(cell.rule, duration(quartiles(times)[1]), moved, str(len(times)), *(ratio(cell, name) for name in columns))
    console.print(table)


def ratio(cell: Cell, column: str) -> str:
    if column not in cell.figures():
        return ""
    low, middle, high = cell.figures()[column]
    judged = verdict(cell, column)
    return f"{middle:.2f}{f' {judged.mark}' if judged else ''}\n[dim]{low:.2f}-{high:.2f}[/]"


def duration(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def show_peaks(found: dict[str, float]) -> None:
    own = 4 * prod(SIZES["large"][0])
    table = headed("large: memory a step of AdamW needs for a while, beyond what it keeps", "", "MB", "of the parameters", right=True)
    for side, amount in found.items():
        table.add_row(side, f"{amount / 1e6:.0f}", f"{amount / own:.2f}x")
    console.print(table)


def summarize(verdicts: list[Verdict]) -> None:
    table = headed("Targets (DESIGN section 10)", "size", "threads", "time over that of", "at most", "met", "figures")
    for (size, against), limit in LIMITS.items():
        mine = [v for v in verdicts if (v.size, v.against) == (size, against)]
        for threads in sorted({v.threads for v in mine}):
            group = [v for v in mine if v.threads == threads]
            met = sum(v.figure <= limit for v in group)
            figures = ", ".join(f"{v.rule} {v.figure:.2f} {v.mark}" for v in group)
            table.add_row(size, str(threads), against, f"{limit:.2f}", f"{met} of {len(group)}", figures)
        if not mine:
            table.add_row(size, "", against, f"{limit:.2f}", "", "not measured in this run")
    console.print(table)
    console.print(machine())


def headed(title: str, first: str, *columns: str, right: bool = False) -> Table:
    console.print(f"\n[bold]{title}[/]", highlight=False)
    table = Table(box=SIMPLE_HEAD)
    table.add_column(first, no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right" if right else "left", no_wrap=right)
    return table


def machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
    libraries = [name for name in ("torch", "numba", "pytorch_optimizer", "schedulefree") if library(name)]
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {', '.join(f'{x} {version(x)}' for x in libraries)}"


def chosen(text: str, names: Iterable[str], what: str) -> list[str]:
    """A comma-separated choice, in the order of `names`; nothing said is everything."""
    known = {name.lower(): name for name in names}
    wanted = [part.strip().lower() for part in text.split(",") if part.strip()]
    if unknown := [part for part in wanted if part not in known]:
        raise typer.BadParameter(f"{', '.join(unknown)}: no such {what}; there are {', '.join(known)}")
    return [name for key, name in known.items() if not wanted or key in wanted]


def main(
    only: Annotated[str, typer.Option(help="Rules, such as adamw,lion.")] = "",
    sizes: Annotated[str, typer.Option(help=f"Of {','.join(name for name in SIZES if name != 'loop')}.")] = "",
    threads: Annotated[str, typer.Option(help="Thread counts.")] = "1,2",
    n: Annotated[int, typer.Option(help="Rounds, at least 2; 0: as many as fit into 2 seconds, from 7 to 301.", min=0)] = 0,
    loop: Annotated[bool, typer.Option("--loop", help="Also inside a training loop of LeNet-5.")] = False,
    static_grads: Annotated[bool, typer.Option("--static-grads", help="Keep the gradient objects: set_to_none=False.")] = False,
    warm: Annotated[bool, typer.Option("--warm", help="An untimed step before each timed one: find one's own data in the cache.")] = False,
    out: Annotated[Path | None, typer.Option("--json", help="Write every figure here.")] = None,
) -> None:
    """Every optimizer of steepest beside the same algorithm in other libraries."""
    if n == 1:
        raise typer.BadParameter("one round has no quartiles; --n 2 or more")
    if not all(part.strip().isdigit() and int(part) for part in threads.split(",")):
        raise typer.BadParameter(f"--threads {threads}: counts such as 1,2")
    rules = chosen(only, CONTESTS, "rule")
    places = chosen(sizes, [name for name in SIZES if name != "loop"], "size") + ["loop"] * loop
    options = Options(n, static_grads, warm)
    console.print(machine())
    if unknown := ROWS.keys() - CONTESTS.keys():
        console.print(f"not measured: {', '.join(sorted(unknown))}")
    if os.getloadavg()[0] > 0.5:
        console.print(f"load average {os.getloadavg()[0]:.1f}: something else is running, so take no figure from this run")
    cells: list[Cell] = []
    for count in map(int, threads.split(",")):
        for size in places:
            table = []
            for rule in rules:
                if shapes(rule, size):
                    with console.status(f"{rule}, {size}, threads: {count}") if console.is_terminal else nullcontext():
                        table.append(measure(rule, size, count, options))
            if table:
                show(table, options)
            cells += table
    memory = peaks() if "large" in places and "AdamW" in rules else {}
    if memory:
        show_peaks(memory)
    verdicts = [judged for cell in cells for column in COLUMNS if (judged := verdict(cell, column))]
    summarize(verdicts)
    if out:
        targets: list[dict[str, Any]] = [v._asdict() for v in verdicts]
        record = dict(machine=machine(), cells=[cell.record() for cell in cells], peak_bytes=memory, targets=targets)
        out.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    typer.run(main)
