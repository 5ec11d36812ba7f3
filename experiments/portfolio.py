"""How good is each recipe of the portfolio on each built-in task? From this follows the order in which a search tries them.

Tasks are reduced so that a training takes seconds; the figure is the validation loss of the best weights. Each training becomes a
line of results/portfolio.jsonl, and what is there is not trained again: stop the script when you like, and start it again.
`--write` then puts the means into the package's portfolio.json. A task whose data are not there is left out, and it is said.

python experiments/portfolio.py [--tasks digits-mlp,lenet5-mnist] [--seeds 3] [--write]
"""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import typer
from common import HERE, show
from small import FEW
from small import TASKS as LARGER

import steepest as sp
from steepest.core.errors import SteepestError
from steepest.search.defaults import space_of
from steepest.search.dimension import text
from steepest.search.portfolio import of_facts, within

TASKS = LARGER | FEW
FOUND = HERE / "results" / "portfolio.jsonl"
PORTFOLIO = Path(sp.__file__).parent / "search" / "portfolio.json"


def recipes(name: str) -> Iterator[tuple[str, dict[str, Any], sp.Recipe]]:
    """What is not a choice on this task (label smoothing of a regression) is dropped, as a search drops it."""
    base = sp.Recipe({"stop": {"epochs": TASKS[name].epochs, "metric": "loss"}, "run": {"threads": 1}})
    space = space_of(TASKS[name].task(), base)
    for recipe in json.loads(PORTFOLIO.read_text())["recipes"]:
        point = within(space, base, recipe["changes"])
        if point is not None:
            yield recipe["name"], recipe["changes"], space.recipe(base, point)


def measured() -> dict[tuple[str, str, int], float | None]:
    """Losses by task, recipe (its changes, as text) and seed; of tasks of the present size. A killed script leaves a torn last line."""
    found = {}
    for line in FOUND.read_text().splitlines(keepends=True) if FOUND.exists() else ():
        if line.endswith("\n"):
            x = json.loads(line)
            if x["task"] in TASKS and x["size"] == size(x["task"]):
                found[x["task"], text(x["changes"]), x["seed"]] = x["loss"]
    return found


def size(name: str) -> list[int | None]:
    return [TASKS[name].epochs, TASKS[name].rows]


def loss_of(name: str, recipe: sp.Recipe, seed: int) -> float | None:
    try:
        return sp.fit(TASKS[name].task(), recipe.replace({"run.seed": seed}), health=0).metrics["loss"]
    except SteepestError as error:
        print(f"  {name}, seed {seed}: {error}")
        return None


def measure(name: str, seeds: int) -> None:
    """The missing trainings of a task, seed after seed, so that after the first all recipes can be compared."""
    known = measured()
    if FOUND.exists() and not FOUND.read_text().endswith("\n"):  # cut the torn line off
        FOUND.write_text("".join(line for line in FOUND.read_text().splitlines(keepends=True) if line.endswith("\n")))
    for seed in range(seeds):
        for recipe, changes, whole in recipes(name):
            if (name, text(changes), seed) not in known:
                line = {"task": name, "size": size(name), "recipe": recipe, "seed": seed, "changes": changes}
                line["loss"] = loss_of(name, whole, seed)
                with FOUND.open("a") as file:
                    file.write(json.dumps(line) + "\n")


def means(name: str, names: list[dict[str, Any]]) -> list[float | None]:
    """By recipe, over all seeds that were measured; None if it broke with one, or was not measured."""
    known = measured()
    found: list[float | None] = []
    for recipe in names:
        losses = [loss for (task, changes, _), loss in known.items() if (task, changes) == (name, text(recipe["changes"]))]
        found.append(None if not losses or None in losses else mean(x for x in losses if x is not None))
    return found


def main(tasks: str = ",".join(TASKS), seeds: int = 3, write: bool = False) -> None:
    torch.set_num_threads(1)
    FOUND.parent.mkdir(exist_ok=True)
    for name in tasks.split(","):
        try:
            measure(name, seeds)
        except (SteepestError, FileNotFoundError, KeyError) as error:
            print(f"{name} is left out: {error}")
    facts = json.loads(PORTFOLIO.read_text())
    known = {name: means(name, facts["recipes"]) for name in TASKS}
    done = {name: losses for name, losses in known.items() if sum(x is not None for x in losses) > len(losses) / 2}
    facts["tasks"] = {name: {"family": TASKS[name].family, "epochs": TASKS[name].epochs, "losses": done[name]} for name in done}
    order = of_facts(facts).order(range(len(facts["recipes"])))
    rows = [(facts["recipes"][k]["name"], *(_shown(done[name][k]) for name in done)) for k in order]
    said = f"The order is that of the portfolio over {len(done)} tasks of {len({TASKS[name].family for name in done})} families."
    show("Mean validation losses of the portfolio's recipes, best weights", ("recipe", *done), rows, said)
    if write:
        facts["note"] = f"Measured by experiments/portfolio.py on {len(done)} reduced tasks; mean validation losses over seeds."
        PORTFOLIO.write_text(written(facts))


def _shown(loss: float | None) -> str:
    return "broke" if loss is None else f"{loss:.4f}"


def written(facts: dict[str, Any]) -> str:
    """JSON with a line for each recipe and task, so that a difference can be read."""
    recipes = ",\n".join(f"    {json.dumps(x)}" for x in facts["recipes"])
    tasks = ",\n".join(f"    {json.dumps(name)}: {json.dumps(x)}" for name, x in facts["tasks"].items())
    head = f'{{\n  "version": {facts["version"]},\n  "note": {json.dumps(facts["note"])},\n'
    families = ",\n".join(f"    {json.dumps(name)}: {json.dumps(x)}" for name, x in facts["families"].items())
    return f'{head}  "families": {{\n{families}\n  }},\n  "recipes": [\n{recipes}\n  ],\n  "tasks": {{\n{tasks}\n  }}\n}}\n'


if __name__ == "__main__":
    typer.run(main)
