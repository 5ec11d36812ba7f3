"""Do n workers train n times as fast as one? Studies by chance, a thread to each worker, on small models.

    python bench/workers.py [--tasks digits-mlp,lenet5-mnist] [--workers 2] [--trials 24] [--rounds 5]

Each side is `steepest tune` in a process of its own, in turn and in random order; its throughput is counted from the first
trial that ends to the last, by the record, so that the start of processes, which is paid once, is told apart. "alone" is what the machine
gives at most: as many processes that train the same without a study, and know nothing of each other, over one of them. The target of
DESIGN section 10 is 0.9 n times the throughput of one worker.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

from rich.console import Console
from rich.table import Table

# All trials alike: only a rate is chosen, which costs nothing.
SPACE = '[space]\nonly = true\n"optimizer.lr" = { low = 1e-4, high = 1e-2, log = true }\n'
SETTINGS = {"digits-mlp": ["stop.epochs=20"], "lenet5-mnist": ["stop.epochs=1", "batch.size=64"]}
ALONE = """
import sys, time
import steepest as sp
from steepest.tasks import task
name, count, *changes = sys.argv[1:]
made, recipe, times = task(name), sp.Recipe({"run": {"threads": 1}}).set_text(changes), []
for seed in range(int(count)):
    sp.fit(made, recipe.replace({"run.seed": seed}))
    times.append(time.time())
print(times[0], times[-1])
"""


def study(name: str, workers: int, trials: int) -> tuple[float, float]:
    """Trainings per second once all are at work, and the seconds of the whole."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "space.toml").write_text(SPACE)
        command = ["tune", name, "--strategy", "random", "--stopper", "none", "--budget", f"{trials}runs", "--workers", str(workers)]
        command += ["--patient", "--space", f"{folder}/space.toml", "--out", f"{folder}/study", "--width", str(2 * workers)]
        began = perf_counter()
        run([*command, *(word for change in SETTINGS[name] for word in ("--set", change))])
        whole = perf_counter() - began
        lines = map(json.loads, (Path(folder) / "study" / "study.jsonl").read_text().splitlines())
        # The baseline and repeats are trained as well; what counts is the stream of trials.
        times = sorted(line["time"]["elapsed"] for line in lines if line["kind"] == "result")[: trials - workers + 1]
    return (len(times) - 1) / (times[-1] - times[0]), whole


def run(arguments: list[str]) -> None:
    subprocess.run([sys.executable, "-c", "from steepest.cli.main import main; main()", *arguments], check=True, capture_output=True)


def alone(name: str, processes: int, trials: int) -> tuple[float, float]:
    began = perf_counter()
    command = [sys.executable, "-c", ALONE, name, str(-(-trials // processes)), *SETTINGS[name]]
    going = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    spans = [tuple(map(float, one.communicate()[0].split())) for one in going]
    each = -(-trials // processes) - 1
    return sum(each / (last - first) for first, last in spans), perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(SETTINGS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    table = Table("task", "side", "trainings a second", "of one", "lowest to highest", "whole, of one", title=f"medians of {given.rounds}")
    dice, n = Random(0), given.workers
    sides: dict[str, Callable[[str], tuple[float, float]]] = {
        "study, 1 worker": lambda name: study(name, 1, given.trials),
        f"study, {n} workers": lambda name: study(name, n, given.trials),
        "alone, 1 process": lambda name: alone(name, 1, given.trials),
        f"alone, {n} processes": lambda name: alone(name, n, given.trials),
    }
    for name in given.tasks.split(","):
        rounds = [{side: sides[side](name) for side in dice.sample([*sides], len(sides))} for _ in range(given.rounds)]
        for k, side in enumerate(sides):
            one = [*sides][k // 2 * 2]
            ratios = sorted(x[side][0] / x[one][0] for x in rounds)
            whole = median(x[one][1] / x[side][1] for x in rounds)
            spread = f"{ratios[0]:.2f}-{ratios[-1]:.2f}" if k % 2 else ""
            rate = median(x[side][0] for x in rounds)
            table.add_row(name, side, f"{rate:.2f}", f"{median(ratios):.2f}", spread, f"{whole:.2f}", end_section=k == 3)
    Console().print(table)
    print(f"target: {0.9 * n:g}")


if __name__ == "__main__":
    main()
