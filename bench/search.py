"""Which search finds a good recipe with the fewest trainings? Ours beside Optuna's and KerasTuner's: the same space and training code.

    python bench/search.py [--tasks digits-mlp,teacher] [--ranges wide,sensible] [--methods ...] [--repeats 5]

Tasks are those of experiments/small.py. A budget is counted in full trainings; what a stopped trial did not train is not counted. A score
is the validation loss of the best epoch so far. Ours knows the portfolio without the task's own family, and trains the default,
too, as its second trial, among its own costs. Each study becomes a line of docs/results/search.jsonl, and what is there is
not run again: stop when you like. The target of DESIGN section 10 is the budget at which ours has reached what TPE with successive
halving has, in the median of its repeats, after 16: at most 2, in the geometric mean over tasks.
"""

import argparse
import json
import os
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout
from io import StringIO
from itertools import islice
from math import inf, isfinite
from pathlib import Path
from statistics import geometric_mean, mean, median
from typing import Any

import optuna
import torch
from rich.console import Console
from rich.table import Table

import steepest as sp
from steepest import records
from steepest.core.errors import SteepestError
from steepest.search.baseline import baseline
from steepest.search.dimension import Dimension
from steepest.search.plan import Plan
from steepest.search.space import Space
from steepest.search.tune import Search

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "experiments"))
from small import TASKS, Small  # noqa: E402 (it lies beside the experiments that share it)

FOUND = ROOT / "docs" / "results" / "search.jsonl"
BUDGET = 16
SHOWN = (1, 2, 4, 8, 16)
# What was spent, in epochs, and the best loss by then.
Curve = list[tuple[int, float]]


# --- the spaces -----------------------------------------------------------------------------------------


def space(ranges: str, task: sp.Task) -> Space:
    """Those of the figures to beat: SGD with Nesterov's momentum or AdamW, and what goes with them."""
    wide = ranges == "wide"
    rates = {"momentum": (1e-5, 1.0), "adamw": (1e-5, 1.0)} if wide else {"momentum": (5e-3, 0.32), "adamw": (5e-4, 0.02)}
    found = [Dimension("rule", "optimizer.rule", choices=("adamw", "momentum"), usual="adamw")]
    for rule, (low, high) in rates.items():
        found.append(Dimension(f"{rule}.lr", "optimizer.lr", low, high, True, when=(("rule", (rule,)),)))
    found.append(Dimension("nesterov", "optimizer.nesterov", choices=(True,), when=(("rule", ("momentum",)),)))
    found.append(Dimension("decay", "optimizer.weight_decay", *((1e-6, 0.1) if wide else (1e-5, 0.032)), True))
    found.append(Dimension("batch", "batch.size", choices=(32, 64, 128, 256) if wide else (32, 64, 128), usual=64))
    if task.loss == "cross_entropy":
        found.append(Dimension("smoothing", "regularize.label_smoothing", 0.0, 0.2, usual=0.0))
    found.append(Dimension("shape", "schedule.lr.shape", choices=("warmup_cosine", "warmup_constant"), usual="warmup_cosine"))
    found.append(Dimension("warmup", "schedule.lr.warmup", 0.0, 0.2, usual=0.05))
    return Space(found)


def base(small: Small) -> sp.Recipe:
    run = {"threads": 1, "evaluate_every": "1 epoch"}
    return sp.Recipe({"optimizer": {"plan": "decay"}, "stop": {"epochs": small.epochs, "metric": "loss"}, "run": run})


# --- the methods ----------------------------------------------------------------------------------------


def epochs(task: sp.Task, recipe: sp.Recipe, seed: int) -> Iterator[float]:
    """The validation loss after each epoch; infinite, and the last, where it diverged."""
    try:
        for step in sp.train(task, recipe.replace({"run.seed": seed}), health=0):
            if step.event and step.event["cause"] != "spike":
                yield inf
                return
            if step.evaluation:
                yield step.evaluation["loss"] if isfinite(step.evaluation["loss"]) else inf
    except SteepestError:
        yield inf


def ours(name: str, ranges: str, seed: int, trainings: int = BUDGET) -> tuple[Curve, str]:
    """As `steepest tune` goes about it: the curve, and the recipe that is named in the end."""
    small = TASKS[name]
    where = tuple(space(ranges, small.task()).facts())
    plan = Plan(
        name=name, space=where, budget=f"{trainings}runs", full=small.epochs, base=base(small).toml(), seed=seed, patient=True
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        search = Search(plan, Path(folder) / "study", task=small.task())
        deque(search.run(), maxlen=0)
        study, curve, spent = records.study(Path(folder) / "study"), Curve(), 0
        for _, line in sorted(study.results.items()):
            spent += line["epochs"]
            curve.append((spent, min([line.get("score", inf), *(best for _, best in curve[-1:])])))
        return curve, (Path(folder) / "study" / "recipe.toml").read_text()


def optunas(
    sampler: Callable[[int], optuna.samplers.BaseSampler], pruner: optuna.pruners.BasePruner
) -> Callable[[str, str, int], tuple[Curve, str]]:
    def run(name: str, ranges: str, seed: int) -> tuple[Curve, str]:
        small = TASKS[name]
        task, where, start = small.task(), space(ranges, small.task()), base(small)
        study = optuna.create_study(sampler=sampler(seed), pruner=pruner)
        curve, spent, best, named = Curve(), 0, inf, ""
        while spent < BUDGET * small.epochs:
            trial, lowest = study.ask(), inf
            recipe = where.recipe(start, where.draw(lambda d, trial=trial: suggested(trial, d)))
            state = optuna.trial.TrialState.COMPLETE
            for epoch, loss in enumerate(epochs(task, recipe, seed), 1):
                spent, lowest = spent + 1, min(lowest, loss)
                if lowest < best:
                    best, named = lowest, recipe.toml()
                curve.append((spent, best))
                trial.report(lowest, epoch)
                if trial.should_prune() or spent == BUDGET * small.epochs:
                    state = optuna.trial.TrialState.PRUNED
                    break
            study.tell(trial, lowest if state == optuna.trial.TrialState.COMPLETE else None, state)
        return curve, named

    return run


def suggested(trial: optuna.Trial, d: Dimension) -> Any:
    if d.choices:
        return d.choices[trial.suggest_categorical(d.name, range(len(d.choices)))]
    assert d.low is not None and d.high is not None
    return trial.suggest_float(d.name, d.low, d.high, log=d.log)


def kerastuner(name: str, ranges: str, seed: int) -> tuple[Curve, str]:
    """KerasTuner's Hyperband over the same trainings; a promoted trial goes on where it stood."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras_tuner

    small = TASKS[name]
    task, where, start = small.task(), space(ranges, small.task()), base(small)
    hyper = keras_tuner.HyperParameters()
    for d in where.dimensions:
        with ExitStack() as scopes:
            for parent, values in d.when:
                scopes.enter_context(hyper.conditional_scope(parent, [*map(str, values)]))
            if d.choices:
                hyper.Choice(d.name, [*map(str, d.choices)])  # it would take True for 1
            else:
                hyper.Float(d.name, d.low, d.high, sampling="log" if d.log else "linear")
    going: dict[str, Iterator[float]] = {}
    curve, spent, best, named = Curve(), 0, inf, ""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        goal = keras_tuner.Objective("loss", "min")
        oracle = keras_tuner.oracles.HyperbandOracle(
            goal, max_epochs=small.epochs, hyperband_iterations=BUDGET, seed=seed, hyperparameters=hyper
        )
        oracle._set_project_dir(folder, "search")
        lowest: dict[str, float] = {}
        while spent < BUDGET * small.epochs and (trial := oracle.create_trial("one")).status == "RUNNING":
            values, own = trial.hyperparameters.values, trial.trial_id
            before = values.get("tuner/trial_id")
            recipe = where.recipe(
                start, where.draw(lambda d, values=values: next((x for x in d.choices if str(x) == values[d.name]), values[d.name]))
            )
            going[own] = going.pop(before) if before else epochs(task, recipe, seed)
            lowest[own] = lowest.get(before or "", inf)
            count = min(values["tuner/epochs"] - values["tuner/initial_epoch"], BUDGET * small.epochs - spent)
            for loss in islice(going[own], count):
                spent, lowest[own] = spent + 1, min(lowest[own], loss)
                if lowest[own] < best:
                    best, named = lowest[own], recipe.toml()
                curve.append((spent, best))
            oracle.update_trial(own, {"loss": min(lowest[own], 1e30)})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
    return curve, named


def default(name: str, ranges: str, seed: int) -> tuple[Curve, str]:
    """torch's AdamW as it comes, and torch's start."""
    recipe, curve = baseline(base(TASKS[name])), Curve()
    for epoch, loss in enumerate(epochs(TASKS[name].task(), recipe, seed), 1):
        curve.append((epoch, min([loss, *(best for _, best in curve[-1:])])))
    return curve, recipe.toml()


NONE, HALVING = optuna.pruners.NopPruner(), optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
METHODS: dict[str, Callable[[str, str, int], tuple[Curve, str]]] = {
    "AdamW": default,
    "ours": ours,
    "ours with 2": lambda name, ranges, seed: ours(name, ranges, seed, 2),
    "TPE + halving": optunas(lambda seed: optuna.samplers.TPESampler(seed=seed), HALVING),
    "TPE": optunas(lambda seed: optuna.samplers.TPESampler(seed=seed), NONE),
    "random": optunas(lambda seed: optuna.samplers.RandomSampler(seed=seed), NONE),
    "KerasTuner": kerastuner,
}


# --- what was found -------------------------------------------------------------------------------------


def fresh(name: str, recipe: str, seed: int) -> float:
    """The recipe that was named, once more with a seed that no search has seen."""
    return min(epochs(TASKS[name].task(), sp.Recipe.parse(recipe, ""), 1000 + seed), default=inf) if recipe else inf


Lines = dict[tuple[str, str, str, int], dict[str, Any]]


def known() -> Lines:
    lines = [json.loads(line) for line in FOUND.read_text().splitlines() if line.endswith("}")] if FOUND.exists() else []
    return {(x["task"], x["ranges"], x["method"], x["seed"]): x for x in lines}


def measure(name: str, ranges: str, method: str, seed: int) -> None:
    curve, recipe = METHODS[method](name, ranges, seed)
    line = {
        "task": name, "ranges": ranges, "method": method, "seed": seed, "full": TASKS[name].epochs,
        "curve": steps(curve), "fresh": finite(fresh(name, recipe, seed)),
    }  # fmt: skip
    FOUND.parent.mkdir(exist_ok=True)
    with FOUND.open("a") as file:
        file.write(json.dumps(line) + "\n")


def steps(curve: Curve) -> list[tuple[int, float | None]]:
    """Where it falls."""
    return [(spent, finite(best)) for k, (spent, best) in enumerate(curve) if not k or best < curve[k - 1][1]]


def finite(x: float) -> float | None:
    return x if isfinite(x) else None


def at(line: dict[str, Any], trainings: int) -> float:
    """The best loss within a budget."""
    return min((best for spent, best in line["curve"] if best is not None and spent <= trainings * line["full"]), default=inf)


def reached(line: dict[str, Any], target: float) -> float:
    """Full trainings until a loss is there; as many as there were, if it never is."""
    costs = (spent / line["full"] for spent, best in line["curve"] if best is not None and best <= target)
    return min(next(costs, inf), BUDGET)


def tell(lines: Lines, ranges: str, out: Console) -> None:
    table = Table("task", "method", "n", *(f"best after {n}" for n in SHOWN), "fresh seed", title=f"{ranges} ranges; medians")
    headline = Table("task", "target", "ours reaches it after", "of n", title="Trainings until what TPE with halving has after 16")
    ratios = []
    for name in TASKS:
        found = {m: [x for (task, r, method, _), x in lines.items() if (task, r, method) == (name, ranges, m)] for m in METHODS}
        for method, own in found.items():
            if own:
                row = [f"{median(at(x, n) for x in own):.4f}" if n <= most(method) else "" for n in SHOWN]
                again = median(inf if x["fresh"] is None else x["fresh"] for x in own)
                table.add_row(name, method, str(len(own)), *row, f"{again:.4f}", end_section=method == [*METHODS][-1])
        mine, theirs = found["ours"], found["TPE + halving"]
        if mine and theirs:
            target = median(at(x, BUDGET) for x in theirs)
            costs = [reached(x, target) for x in mine]
            ratios.append(median(costs))
            missed = sum(cost >= BUDGET for cost in costs)
            headline.add_row(name, f"{target:.4f}", f"{median(costs):.2f}" + (f" ({missed} never)" if missed else ""), str(len(mine)))
        if found["AdamW"] and found["ours with 2"]:
            out.print(beside(name, found["ours with 2"], found["AdamW"]), highlight=False)
    out.print(table, headline)
    if ratios:
        out.print(f"{ranges}: {geometric_mean(ratios):.2f} trainings in the geometric mean over {len(ratios)} tasks (target: at most 2)")


def most(method: str) -> int:
    return {"AdamW": 1, "ours with 2": 2}.get(method, BUDGET)


def beside(name: str, mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    """Ours after two trainings against the default after one: the named recipe on fresh seeds, seed by seed."""
    from scipy.stats import t as student

    pairs = {x["seed"]: x["fresh"] for x in theirs}
    d = [pairs[x["seed"]] - x["fresh"] for x in mine if x["fresh"] is not None and pairs.get(x["seed"]) is not None]
    if len(d) < 2:
        return f"{name}: too few pairs with the default"
    half = float(student.ppf(0.975, len(d) - 1) * torch.tensor(d).std() / len(d) ** 0.5)
    return (
        f"{name}: after 2 trainings {mean(d):+.4f} below default AdamW (95 %: {mean(d) - half:+.4f} to {mean(d) + half:+.4f}; n = {len(d)})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--ranges", default="wide,sensible")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--repeats", type=int, default=5, help="0: show what is known")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for seed in range(chosen.repeats):
        for ranges in chosen.ranges.split(","):
            for name in chosen.tasks.split(","):
                for method in chosen.methods.split(","):
                    if (name, ranges, method, seed) not in known():
                        measure(name, ranges, method, seed)
    for ranges in chosen.ranges.split(","):
        tell(known(), ranges, Console())


if __name__ == "__main__":
    main()
