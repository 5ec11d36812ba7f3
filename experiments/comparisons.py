"""The comparisons of docs/results.md: `python experiments/comparisons.py FOLDER [name ...] [--workers 1]`, then `--page` writes the page.

Each is a study in FOLDER, and goes on where it was when the script is started again. What came of it becomes a line of
docs/results/comparisons.jsonl; the page is written from those lines alone, verdicts as they fell.
"""

import json
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from common import HERE
from small import TASKS as SMALL

import steepest as sp
from steepest.compare.compared import Compared
from steepest.compare.profiles import profile_scores
from steepest.compare.several import MOST, UNITS, cost
from steepest.data.split import Data, carve, gather
from steepest.tasks import task

FOUND, PAGE = HERE.parent / "docs" / "results" / "comparisons.jsonl", HERE.parent / "docs" / "results.md"
BEGIN, END = "<!-- compared: by experiments/comparisons.py -->", "<!-- end -->"
RULES = ["gd", "momentum", "adamw", "lion", "muon"]


@dataclass(frozen=True)
class Contest:
    """`about` says what is common to all methods; `settings` are those of `sp.compare`."""

    title: str
    about: str
    task: Callable[[], str | sp.Task]
    settings: dict[str, Any]

    def run(self, folder: Path, workers: int) -> Compared:
        made = self.task()
        return sp.compare(made, folder=folder, workers=1 if isinstance(made, sp.Task) else workers, **self.settings)


def builtin(name: str) -> Callable[[], str]:
    return lambda: name


def few_mnist(rows: int) -> sp.Task:
    """LeNet-5 on the first so many training images, 5,000 others for validation; test images are not looked at."""
    data = gather(task("lenet5-mnist").data)
    valid, rest = carve(len(data.train), data.train.target, 1 / 12)
    held, kept = data.train.subset(valid), data.train.subset(rest[:rows])
    return task("lenet5-mnist").replace(data=Data(kept, held), name=f"mnist-{rows}")


def epochs(count: int, **more: Any) -> sp.Recipe:
    return sp.Recipe({"stop": {"epochs": count}, "batch": {"size": 64}, "run": {"threads": 1}} | more)


def on_mnist(rows: int, length: int, **budget: Any) -> Contest:
    about = f"LeNet-5, {rows:,} training and 5,000 validation images, {length} epochs of batches of 64, warmup and cosine."
    recipe = epochs(length, schedule={"lr": {"shape": "warmup_cosine", "warmup": 0.05}})
    settings = {"rules": ["momentum", "adamw"], "recipe": recipe, "objective": "error", **budget}
    return Contest(f"AdamW or SGD with momentum: {rows:,} images", about, partial(few_mnist, rows), settings)


def of_depth(depth: int) -> Contest:
    settings = {"inits": ["torch_default", "xavier", "he", "orthogonal", "auto"], "recipe": epochs(15), "preset": "quick"}
    about = f"An MLP of {depth} layers of ReLU, width 128, without normalization, on digits; 15 epochs of AdamW, whose knobs are searched."

    def made() -> sp.Task:
        def network(depth: int = depth) -> Any:
            return sp.models.mlp(depth=depth)

        return task("digits-mlp").replace(model=network, name=f"relu-{depth}")

    return Contest(f"Initializers at depth {depth}", about, made, settings)


def rules_on(name: str, what: str, preset: str = "usual") -> Contest:
    """One of the tasks that are made small."""
    small = SMALL[name]
    about = f"{what[0].upper()}{what[1:]}: {small.epochs} epochs of batches of 64; the rule's own knobs are searched."
    settings = {"rules": RULES, "preset": preset, "objective": "loss", "recipe": epochs(small.epochs)}
    return Contest(f"Rules: {what}", about, small.task, settings)


CONTESTS = {
    "rules": Contest(
        "Rules on digits", "The MLP of digits-mlp, 20 epochs; the rule's own knobs are searched.", builtin("digits-mlp"),
        {"rules": RULES, "preset": "usual", "objective": "loss"},
    ),
    "schedules": Contest(
        "Schedules on digits", "The same network, 20 epochs of SGD with momentum, whose knobs are searched.", builtin("digits-mlp"),
        {
            "schedules": ["constant", "linear", "cosine", "step", "one_cycle", "warmup_cosine"], "preset": "quick", "objective": "loss",
            "recipe": epochs(20, optimizer={"rule": "momentum", "lr": 0.05}),
        },
    ),
    "depth-6": of_depth(6),
    "depth-30": of_depth(30),
    "mnist-500": on_mnist(500, 30, preset="quick"),
    "mnist-5000": on_mnist(5000, 8, preset="quick"),
    "mnist-50000": on_mnist(50_000, 2, budget="12runs", fresh=7),
    "rules-mnist": Contest(
        "Rules on MNIST", "LeNet-5 on 54,000 images, 4 epochs of batches of 128; the rule's own knobs are searched.",
        builtin("lenet5-mnist"),
        {"rules": RULES, "preset": "quick", "recipe": epochs(4, batch={"size": 128})},
    ),
    "rules-cifar": rules_on("cnn-cifar10", "the small CNN on 4,000 images of CIFAR-10", "quick"),
    "rules-speech": rules_on("spoken-digits", "a narrow CNN on 600 spoken digits"),
    "rules-imdb": rules_on("lstm-imdb", "an LSTM on the first 60 words of 4,000 film reviews"),
}  # fmt: skip


def line_of(name: str, found: Compared) -> dict[str, Any]:
    """All that the page says of it."""
    head = found.study.begin["comparison"]["preset"]["words"]
    return {
        "name": name, "cost": head, "rows": found.table(), "sentences": str(found).splitlines(),
        "target": (found.facts["target"] or {}).get("words"),
        "costs": {unit: {row["method"]: cost(found.study, row["method"], unit) for row in found.table()} for unit in UNITS},
        "share": found.study.begin["comparison"]["points"], "epochs": found.study.epochs, "seconds": found.study.seconds,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores", "version": sp.__version__,
    }  # fmt: skip


def known() -> dict[str, dict[str, Any]]:
    lines = map(json.loads, FOUND.read_text().splitlines()) if FOUND.exists() else ()
    return {x["name"]: x for x in lines}


def section(name: str, x: dict[str, Any]) -> str:
    contest = CONTESTS[name]
    rows = [
        f"| {row['method']} | {' | '.join(cells(row, x['share']))} | {100 * row['first']:.0f} % |"
        f" {row['reached']} | {'' if row['epochs_to_target'] is None else format(row['epochs_to_target'], 'g')} |"
        for row in x["rows"]
    ]
    parts = [
        f"## {contest.title}", f"{contest.about} {x['cost'][0].upper()}{x['cost'][1:]}. Target: {x['target']}.",
        "\n".join(["| method | mean | 95 % | first | reached | epochs to it |", "|---|---|---|---|---|---|", *rows]),
        "\n".join(f"- {sentence}" for sentence in x["sentences"]),
    ]  # fmt: skip
    return "\n\n".join(parts)


def over_all(lines: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Rules on all tasks together: what they took to each task's target, and the height of their profiles."""
    own = {name: x for name, x in lines.items() if name.startswith("rules")}
    if len(own) < 2:
        return
    rows = []
    scores = {unit: profile_scores({m: {name: x["costs"][unit][m] for name, x in own.items()} for m in RULES}, MOST) for unit in UNITS}
    for method in sorted(RULES, key=lambda m: -scores["steps"][m]):
        steps = ["not" if (c := x["costs"]["steps"][method]) is None else f"{c:,.0f}" for x in own.values()]
        rows.append(f"| {method} | {scores['steps'][method]:.2f} | {scores['seconds'][method]:.2f} | {' | '.join(steps)} |")
    heads = ["method", "score by steps", "by seconds", *(name.partition("-")[2] or "digits" for name in own)]
    yield f"## Rules on {len(own)} tasks"
    yield (
        'Steps to the target of each task, in the median of the fresh seeds; "not" where fewer than half of them came there. The '
        f"score is the mean height of the performance profile from 1 to {MOST:g} times the quickest: 1 for who is the quickest "
        "everywhere, 0 for who never comes in time."
    )
    yield "\n".join([f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *rows])


def cells(row: dict[str, Any], share: bool) -> list[str]:
    mean, low, high = ("-" if x is None else f"{100 * x:.2f} %" if share else f"{x:.4f}" for x in (row["mean"], row["low"], row["high"]))
    return [mean, f"{low} to {high}"]


def written(page: str, lines: dict[str, dict[str, Any]]) -> str:
    """The page with its middle made anew."""
    head, tail = page.split(BEGIN)[0], page.split(END)[1]
    left = [contest.title for name, contest in CONTESTS.items() if name not in lines]
    made = [section(name, lines[name]) for name in CONTESTS if name in lines]
    made += over_all(lines)
    if left:
        made.append(f"Not run: {', '.join(left)}.")
    return f"{head}{BEGIN}\n\n" + "\n\n".join(made) + f"\n\n{END}{tail}"


def main(
    folder: Annotated[Path, typer.Argument(help="Where the studies go.")] = Path("comparisons"),
    names: Annotated[list[str] | None, typer.Argument()] = None,
    workers: int = 1,
    page: Annotated[bool, typer.Option(help="Write the page from what is known; nothing is trained.")] = False,
) -> None:
    if page:
        PAGE.write_text(written(PAGE.read_text(), known()))
        return
    for name in names or CONTESTS:
        found = CONTESTS[name].run(folder / name, workers)
        lines = known() | {name: line_of(name, found)}
        FOUND.write_text("".join(json.dumps(lines[of]) + "\n" for of in CONTESTS if of in lines))
        print(name, found, sep="\n")


if __name__ == "__main__":
    typer.run(main)
