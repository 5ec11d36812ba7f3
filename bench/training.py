"""Our training loop beside the usual ways to write one: speed, memory, what a step costs beyond the bare loop, and SIGKILL.

python bench/training.py [--only lenet,mlp,transformer,null] [--batches 64,512] [--rounds 11] [--threads 1] [--json out.json]
python bench/training.py --kills 50
"""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated, Any

import torch
import typer
from kills import killed
from loops import HAND_OURS, OURS, PROBLEMS, SCRIPT, Apart, Problem, Side, Steps, begun, hand, installed, null, ours, sides
from optimizers import chosen, console, duration, headed, machine
from race import quartiles

from steepest.optim import AdamW

# DESIGN section 10: time over that of the usual script on LeNet-5; microseconds a step beyond the bare loop.
AGAINST_SCRIPT, OVERHEAD = 0.75, 30
# A turn is so many steps, or as many as fit into these seconds.
CHUNK, SECONDS = 100, 0.5
CLEARED = "by hand, zero_grad written out"


def race(running: dict[str, Any], steps: int, rounds: int) -> dict[str, list[float]]:
    """Seconds per step of each side: all take their turn in each round, in a new order each time."""
    dice, order = random.Random(0), list(running)
    times: dict[str, list[float]] = {name: [] for name in order}
    for _ in range(rounds):
        dice.shuffle(order)
        for name in order:
            times[name].append(turn(running[name], steps))
    return times


def turn(side: Any, steps: int) -> float:
    start = perf_counter()
    side.go(steps)
    return (perf_counter() - start) / steps


def speed(name: str, size: int, rounds: int) -> dict[str, Any]:
    """One table: a network, a batch size. Each side has a process of its own."""
    running = {side: Apart(side, name, size) for side in sides()}
    steps = min(max(int(SECONDS / turn(running[OURS], 10)), 10), CHUNK)
    times = race(running, steps, rounds)
    peaks = {side: process.close() for side, process in running.items()}
    ratios = {side: quartiles([a / b for a, b in zip(times[OURS], theirs, strict=True)]) for side, theirs in times.items()}
    threads = torch.get_num_threads()
    title = f"{name}, batch {size}, {threads} thread{'s'[: threads > 1]}: {rounds} rounds of {steps} steps"
    table = headed(title, "", "samples/s", "a step", "our time / that", "quartiles", "peak MB", right=True)
    for side, theirs in times.items():
        low, middle, top = ratios[side]
        judged = mark(middle <= AGAINST_SCRIPT) if side == SCRIPT and name == "lenet" else ""
        said = ("", "") if side == OURS else (f"{middle:.2f}{judged}", f"{low:.2f}-{top:.2f}")
        table.add_row(side, f"{size / median(theirs):,.0f}", duration(median(theirs)), *said, f"{peaks[side] / 1e6:.0f}")
    console.print(table)
    return dict(problem=name, batch=size, threads=threads, n=rounds, steps=steps, seconds=times, ratios=ratios, peak_bytes=peaks)


def overhead(size: int, rounds: int) -> dict[str, Any]:
    """What a step of ours costs beyond that of the bare loop, on a network of two weights."""
    problem = null()
    bare: dict[str, Callable[[Problem, int], Side]] = {
        OURS: lambda problem, size: Steps(ours(problem, size)),
        HAND_OURS: lambda problem, size: Steps(hand(problem, size, AdamW)),
        CLEARED: lambda problem, size: Steps(hand(problem, size, AdamW, clear=True)),
    }
    running = {side: begun(make, problem, size, 1000) for side, make in bare.items()}
    times = race(running, 2 * CHUNK, rounds)
    for side in running.values():
        side.close()
    title = f"null model, batch {size}: {rounds} rounds of {2 * CHUNK} steps; folder, records, rollback, health as by default"
    table = headed(title, "", "a step", "ours beyond it", "quartiles", right=True)
    beyond = {side: quartiles([1e6 * (a - b) for a, b in zip(times[OURS], theirs, strict=True)]) for side, theirs in times.items()}
    for side, theirs in times.items():
        low, middle, top = beyond[side]
        judged = mark(middle <= OVERHEAD) if side == HAND_OURS else ""
        said = ("", "") if side == OURS else (f"{middle:.1f} us{judged}", f"{low:.1f}-{top:.1f}")
        table.add_row(side, f"{1e6 * median(theirs):.1f} us", *said)
    console.print(table)
    return dict(problem="null", batch=size, threads=torch.get_num_threads(), n=rounds, seconds=times, beyond_us=beyond)


def mark(met: bool) -> str:
    return " [green]✓[/]" if met else " [red]✗[/]"


def main(
    only: Annotated[str, typer.Option(help=f"Of {','.join(PROBLEMS)},null.")] = "",
    batches: Annotated[str, typer.Option(help="Batch sizes.")] = "64,512",
    rounds: Annotated[int, typer.Option(help="Rounds, each side once in each.", min=2)] = 11,
    threads: Annotated[int, typer.Option(help="Threads, of all sides.", min=1)] = 1,
    kills: Annotated[int, typer.Option(help="Nothing of the above: kill a small training so often, and compare.", min=0)] = 0,
    out: Annotated[Path | None, typer.Option("--json", help="Write every figure here.")] = None,
) -> None:
    """The same training in several ways, side by side."""
    console.print(machine())
    if kills:
        raise typer.Exit(killed(kills))
    torch.set_num_threads(threads)
    for name in (name for name, there in installed().items() if not there):
        console.print(f"{name}: not installed, left out (it is in the dependency group bench)")
    load = os.getloadavg()[0]
    console.print(f"load average {load:.1f}{': something else is running, so take ratios alone from this run' * (load > 0.5)}")
    problems = chosen(only, [*PROBLEMS, "null"], "network")
    found = [speed(name, int(size), rounds) for name in problems if name != "null" for size in batches.split(",")]
    if "null" in problems:
        found += [overhead(size, 10 * rounds) for size in (1, 8)]
    console.print(f"Targets: lenet at most {AGAINST_SCRIPT} of the time of {SCRIPT}; at most {OVERHEAD} us beyond {HAND_OURS}. {machine()}")
    console.print(f"load average now {os.getloadavg()[0]:.1f}")
    if out:
        out.write_text(json.dumps(dict(machine=machine(), load=load, cells=found), indent=1))


if __name__ == "__main__":
    typer.run(main)
