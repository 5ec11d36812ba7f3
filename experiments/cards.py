"""What each regularizer changes at one strength: the figures behind `Measured here` on the cards.

Every regularizer beside none, in pairs of one seed (data, initial weights, batches), on the small task of its kind, at its
defaults or what TRIALS says; rates and strengths are not tuned. Seed by seed into results/cards.json, from which an interrupted run
goes on; a task whose data are missing ($STEEPEST_DATA) is left out. `--say` prints the sentences that the cards carry.

python experiments/cards.py [--seeds 20] [--only mixup,flip] [--say]
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, median
from time import process_time
from typing import Any, NamedTuple

import torch
import typer
from common import HERE
from grounds import GROUNDS, Ground
from runs import gap, verdict
from torch import Tensor, nn
from torch.nn import functional as F

import steepest as sp
from steepest.regularizers import REGULARIZERS
from steepest.regularizers.adversarial import fgsm, slope_of
from steepest.train.run import train

RESULTS = HERE / "results" / "cards.json"
EPSILON = 0.1
NONE = "none"
# Steps whose time is compared, after some that are not.
TIMED, WARM = 100, 20


# --- trials ------------------------------------------------------------------------------------------


class Trial(NamedTuple):
    """Where, and with which settings beside the defaults; `robust`: also judged under attack."""

    ground: str = "digits"
    settings: dict[str, Any] = {}  # noqa: RUF012 - never written to
    robust: bool = False


# What the defaults do not suit, or which need to be told something.
SPECIAL = {
    "drop_path": Trial(settings={"match": "*.branch"}),
    "crop": Trial(settings={"padding": 1}),
    "input_noise": Trial(robust=True),
    "fgsm": Trial(settings={"epsilon": EPSILON}, robust=True),
    "pgd": Trial(settings={"epsilon": EPSILON, "step": 0.025}, robust=True),
    "early_stopping": Trial(settings={"patience": 10}),
    **dict.fromkeys(("time_shift", "gain", "audio_noise"), Trial("waves")),
    "specaugment": Trial("spectrograms"),
    **dict.fromkeys(("token_dropout", "token_swap"), Trial("reviews")),
}
TRIALS = {name: SPECIAL.get(name, Trial()) for name in REGULARIZERS}


def recipe(name: str, ground: Ground, seed: int) -> sp.Recipe:
    base = ground.recipe.replace({"run.seed": seed})
    if name == NONE:
        return base
    settings = TRIALS[name].settings
    if name == "early_stopping":
        return base.replace({"run.evaluate_every": "1 epoch", "stop.metric": "loss", "stop.patience": settings["patience"]})
    return base.replace({f"regularize.{name}": settings})


def run(name: str, ground: Ground, seed: int) -> dict[str, float]:
    """Shares of the judging samples that are right, as they are and under attack; and in how many steps."""
    parts = ground.parts(seed)
    done = sp.fit(ground.task(parts), recipe(name, ground, seed), health=0)
    x, y = parts[2]
    found = {"right": accuracy(done.model, x, y), "steps": done.steps}
    if ground is GROUNDS["digits"] and (name == NONE or TRIALS[name].robust):
        found["attacked"] = accuracy(done.model, fgsm(x, slope_of(done.model, F.cross_entropy, y), EPSILON, 0.0, 1.0), y)
    return found


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return round((model(x).argmax(1) == y).double().mean().item(), 6)


def step_ratio(name: str, ground: Ground) -> float:
    """The time of a step with it over one without: median of pairs, made in turn. Of the processor: others use the machine."""
    parts = ground.parts(0)
    loops = [train(ground.task(parts), recipe(which, ground, 0), health=0) for which in (NONE, name)]
    ratios = []
    for _ in range(WARM + TIMED):
        seconds = []
        for loop in loops:
            start = process_time()
            next(loop)
            seconds.append(process_time() - start)
        ratios.append(seconds[1] / seconds[0])
    return round(median(ratios[WARM:]), 3)


# --- what is kept, and what is said about it ----------------------------------------------------------


def keep(found: dict[str, Any], path: Path) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found, sort_keys=True).replace("}}, ", "}},\n") + "\n")  # a line for each name
    part.replace(path)


def sentence(name: str, found: dict[str, Any]) -> str:
    """The verdict for a card."""
    trial = TRIALS[name]
    with_it, without = found["runs"][name], found["runs"][f"{NONE}, {trial.ground}"]
    seeds = sorted(with_it)
    a, b = ([runs[seed] for seed in seeds] for runs in (without, with_it))
    change = gap([x["right"] for x in a], [x["right"] for x in b])
    told = ", ".join(f"{key} {value}" for key, value in trial.settings.items() if key != "match")
    text = f"{f'With {told}' if told else 'At its defaults'}: {said(change)} on {GROUNDS[trial.ground].about} "
    text += f"({percent(a, 'right')} without it, n = {len(seeds)} seeds){verdict(change, '', '', ', not distinguishable')}"
    if trial.robust:
        attacked = gap([x["attacked"] for x in a], [x["attacked"] for x in b])
        text += f"; under FGSM of epsilon {EPSILON:g} {said(attacked)} ({percent(a, 'attacked')} without it)"
        text += verdict(attacked, "", "", ", not distinguishable")
    if name == "early_stopping":
        return f"{text}; in {mean(x['steps'] for x in b) / mean(x['steps'] for x in a):.0%} of the steps.".replace("% of", " % of")
    return f"{text}; {found['step'][name]:.2f} times the step."


def percent(runs: Sequence[dict[str, float]], what: str) -> str:
    return f"{100 * mean(x[what] for x in runs):.1f} %"


def said(change: tuple[float, float, float]) -> str:
    return "{:+.2f} points of accuracy [{:+.2f}, {:+.2f}]".format(*(100 * x for x in change))


def trials(only: str) -> Iterable[tuple[str, str]]:
    """(name, ground), those without anything first."""
    chosen = {name: TRIALS[name].ground for name in TRIALS if not only or name in only.split(",")}
    grounds = Counter(chosen.values())
    return [*((f"{NONE}, {ground}", ground) for ground in grounds), *chosen.items()]


def main(seeds: int = 20, only: str = "", say: bool = False, results: Path = RESULTS) -> None:
    found = json.loads(results.read_text()) if results.exists() else {"runs": {}, "step": {}}
    if say:
        for name in TRIALS:
            print(f"{name}: {sentence(name, found)}" if name in found["runs"] else f"{name}: nothing yet")
        return
    torch.set_num_threads(1)
    missing: set[str] = set()
    for seed in range(seeds):
        for name, ground in trials(only):
            mine = found["runs"].setdefault(name, {})
            if str(seed) in mine or ground in missing:
                continue
            try:
                GROUNDS[ground].parts(seed)
            except FileNotFoundError as error:
                missing.add(ground)
                print(f"{ground} left out, since there is no {error}")
                continue
            bare = name.partition(",")[0]
            mine[str(seed)] = run(bare, GROUNDS[ground], seed)
            keep(found, results)
            print(seed, name, mine[str(seed)], flush=True)
    for name, ground in trials(only):
        if name in TRIALS and name != "early_stopping" and ground not in missing:
            found["step"][name] = step_ratio(name, GROUNDS[ground])
            keep(found, results)
            print(name, "step", found["step"][name], flush=True)


if __name__ == "__main__":
    typer.run(main)
