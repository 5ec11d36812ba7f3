"""What a trial costs beyond itself: ours, written to disk, beside Optuna in memory and on SQLite, and Ray Tune; trivial ones, by chance.

    python bench/trials.py [--counts 100,1000,10000] [--rounds 3]

All sides are asked for 8 floats by chance and told a sum of squares. Ours is `sp.Study` in a folder: every line is handed to the system
at once, a thread brings it to the disk, and closing (the last fsync) is part of the time. "its sampler" is what proposing took of that,
on our side; what is left is the target of DESIGN section 10, 1 ms. SQLite and Ray stop at 1,000 trials: 10,000 would take many minutes.
Ray is no part of `make bench`: `pip install "ray[tune]"` puts it beside the others.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

import optuna
from rich.console import Console
from rich.table import Table

import steepest as sp
from steepest.search import samplers

NAMES = [f"x{k}" for k in range(8)]


def ours(n: int, folder: Path) -> tuple[float, float]:
    """Seconds, and those of them that the sampler took."""
    took = 0.0
    propose = samplers.Random.propose

    def timed(self, i, seen):
        nonlocal took
        began = perf_counter()
        found = propose(self, i, seen)
        took += perf_counter() - began
        return found

    samplers.Random.propose = timed
    began = perf_counter()
    try:
        with sp.Study({name: {"low": 0.0, "high": 1.0} for name in NAMES}, folder, budget=f"{n}runs", strategy="random") as study:
            for trial in study:
                study.tell(trial, sum(trial[name] ** 2 for name in NAMES))
    finally:
        samplers.Random.propose = propose
    return perf_counter() - began, took


def optunas(storage: Callable[[Path], str | None]) -> Callable[[int, Path], tuple[float, float]]:
    def run(n: int, folder: Path) -> tuple[float, float]:
        folder.mkdir()
        began = perf_counter()
        study = optuna.create_study(storage=storage(folder), sampler=optuna.samplers.RandomSampler(seed=0))
        study.optimize(lambda trial: sum(trial.suggest_float(name, 0, 1) ** 2 for name in NAMES), n_trials=n)
        return perf_counter() - began, 0.0

    return run


def rays(n: int, folder: Path) -> tuple[float, float]:
    """Ray Tune, as quick as it goes: actors are used again, and do nothing but this. Ray itself is there before the clock starts."""
    import ray
    from ray import tune

    class Trivial(tune.Trainable):
        def step(self):
            return {"loss": sum(x**2 for x in self.config.values()), "done": True}

        def reset_config(self, new_config):
            self.config = new_config
            return True

        def save_checkpoint(self, checkpoint_dir):
            pass

        def load_checkpoint(self, checkpoint):
            pass

    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    began = perf_counter()
    wanted = tune.TuneConfig(num_samples=n, metric="loss", mode="min", reuse_actors=True)
    space = {name: tune.uniform(0, 1) for name in NAMES}
    tune.Tuner(Trivial, param_space=space, tune_config=wanted, run_config=tune.RunConfig(storage_path=str(folder), verbose=0)).fit()
    return perf_counter() - began, 0.0


SIDES = {
    "ours, on disk": ours,
    "Optuna, in memory": optunas(lambda _: None),
    "Optuna, SQLite": optunas(lambda folder: f"sqlite:///{folder}/study.db"),
}
# More than this is a test of patience.
PATIENCE = {"Optuna, SQLite": 1000, "Ray Tune": 1000}
if find_spec("ray"):
    SIDES["Ray Tune"] = rays


def measured(counts: list[int], rounds: int) -> Iterator[tuple[int, dict[str, list[tuple[float, float]]]]]:
    dice = Random(0)
    for n in counts:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in SIDES if n <= PATIENCE.get(name, n)}
        for _ in range(rounds):
            for name in dice.sample([*found], len(found)):
                with tempfile.TemporaryDirectory() as folder:
                    found[name].append(SIDES[name](n, Path(folder) / "study"))
        yield n, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="100,1000,10000")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = Table("trials", "side", "ms a trial", "of that its sampler", "ours over it")
    for n, found in measured([int(x) for x in chosen.counts.split(",")], chosen.rounds):
        mine = median(seconds for seconds, _ in found["ours, on disk"])
        for name, times in found.items():
            seconds = median(x for x, _ in times)
            sampler = f"{1e3 * median(x for _, x in times) / n:.3f}" if "ours" in name else ""
            table.add_row(str(n), name, f"{1e3 * seconds / n:.3f}", sampler, "" if "ours" in name else f"{mine / seconds:.2f}")
    Console().print(table)
    if find_spec("ray") is None:
        print("Ray Tune is not installed here, and was not measured.")


if __name__ == "__main__":
    main()
