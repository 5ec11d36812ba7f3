"""What each recipe of the built-in tasks comes to: `python experiments/tasks.py results.jsonl [task[:recipe] ...] [--seeds 3]`.

One run after the other, the cheap ones first. A line is added to the file for each run that is not in it with the same recipe, so
that whatever is stopped goes on; a task whose data are missing ($STEEPEST_DATA) is left out. A run that took more than 5 minutes
of one processor is made with one seed. `--table` writes the table of docs/tasks.md from docs/results/tasks.jsonl, and trains nothing.
"""

import argparse
import json
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

import steepest as sp
from steepest.core.errors import SteepestError
from steepest.core.rng import generator
from steepest.data import Data, gather
from steepest.tasks import TASKS, recipe_kinds, recipe_text
from steepest.tasks.generating import frechet
from steepest.train.guard import TrainingError
from steepest.train.use import measure

HERE = Path(__file__).parent
RESULTS, PAGE = HERE.parent / "docs" / "results" / "tasks.jsonl", HERE.parent / "docs" / "tasks.md"
BEGIN, END = "<!-- measured: by experiments/tasks.py -->", "<!-- end -->"
# Seconds of one processor up to which a run is made with all seeds.
SHORT = 300
# The cheap ones first.
ORDER = [
    "deep-relu-30", "digits-mlp", "vae-mnist", "spoken-digits", "dqn-cartpole", "lstm-imdb", "textcnn-imdb", "cnn-mnist", "cnn5-mnist",
    "gan-mnist", "char-lm", "cnn-cifar10", "lenet5-mnist", "char-lm-docs", "transformer-imdb", "cnn5-cifar10", "gpt-char", "resnet-cifar10",
    "housing-mlp", "adult-mlp", "textcnn-agnews",
]  # fmt: skip


# --- what a run comes to ---------------------------------------------------------------------------------


def run(name: str, kind: str, seed: int) -> dict[str, Any]:
    """Trained, and then, once, measured on the test part."""
    task, recipe = TASKS[name](), sp.Recipe.parse(recipe_text(name, kind) or "").replace({"run.seed": seed})
    data: Any = None if name == "dqn-cartpole" else gather(task.data)  # whose data are an experience of one run
    line = {
        "task": name,
        "recipe": kind,
        "seed": seed,
        "hash": plain_hash(name, kind),
        "machine": machine(),
        "threads": recipe["run.threads"],
    }
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        try:
            done = sp.fit(task, recipe, folder=path, data=data, health=0)
        except TrainingError as error:
            return line | {"broke": str(error), "seconds": time.process_time() - began}
        line |= {"steps": done.steps, "seconds": time.process_time() - began, "valid": done.metrics}
        line["parameters"] = sum(p.numel() for p in done.model.network.parameters())
        line["test"] = measure(path, "test", task, data=data)[0] | FURTHER.get(name, nothing)(done.model.network, data)
    return line


def nothing(model: Any, data: Data) -> dict[str, float]:
    return {}


@torch.no_grad()
def reconstruction(model: Any, data: Any) -> dict[str, float]:
    """Nats of the pixels of test images, from the mean of their codes."""
    x = data.test.columns[0].float() / 255
    return {"reconstruction": float(binary_cross_entropy_with_logits(model(x), x, reduction="sum")) / len(x)}


@torch.no_grad()
def distance(model: Any, data: Any) -> dict[str, float]:
    """Frechet distance of as many made images to the test images, in the features of a classifier; and that of training images."""
    judge, real = features(), data.test.columns[0]
    made = model.eval().draw(len(real), generator(0, "judged")) * 255
    return {
        "frechet": frechet(judge(made), judge(real)),
        "frechet_of_real": frechet(judge(data.train.columns[0][: len(real)]), judge(real)),
    }


def features() -> Callable[[Tensor], Tensor]:
    """The 84 numbers before the last layer of a LeNet-5, trained on MNIST for three epochs."""
    made = sp.fit(TASKS["lenet5-mnist"](), sp.Recipe.parse(recipe_text("lenet5-mnist") or "").replace({"stop.epochs": 3}), health=0).model
    body: Any = made.network
    return lambda x: torch.cat([body[:-1](made.preprocess(part.round().to(torch.uint8))) for part in x.split(1000)])


FURTHER: dict[str, Callable[[Any, Any], dict[str, float]]] = {"vae-mnist": reconstruction, "gan-mnist": distance}


def plain_hash(name: str, kind: str) -> str:
    return sp.Recipe.parse(recipe_text(name, kind) or "").hash


def machine() -> str:
    """ "Intel(R) Xeon(R) ..., torch 2.13.0": what seconds depend on."""
    info = Path("/proc/cpuinfo")
    names = [x.split(":", 1)[1].strip() for x in info.read_text().splitlines() if x.startswith("model name")] if info.exists() else []
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, torch {torch.__version__.split('+')[0]}"


# --- what is left to do ----------------------------------------------------------------------------------


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def wanted(chosen: list[str], seeds: int) -> Iterator[tuple[str, str, int]]:
    """The first seed of everything, then the others."""
    for seed in range(seeds):
        for name in ORDER:
            for kind in recipe_kinds(name):
                if not chosen or name in chosen or f"{name}:{kind}" in chosen:
                    yield name, kind, seed


def work(path: Path, chosen: list[str], seeds: int) -> None:
    missing: set[str] = set()
    for name, kind, seed in wanted(chosen, seeds):
        mine = [x for x in read(path) if (x["task"], x["recipe"], x["hash"]) == (name, kind, plain_hash(name, kind))]
        if name in missing or any(x["seed"] == seed or x["seconds"] > SHORT for x in mine):
            continue
        try:
            line = run(name, kind, seed)
        except SteepestError as error:
            missing.add(name)
            print(f"{name} is left out: {error}", flush=True)
            continue
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(name, kind, seed, f"{line['seconds']:.0f} s", line.get("test", line.get("broke")), flush=True)


# --- the table -------------------------------------------------------------------------------------------

# What is told of each task, as it stands in the results, and in which words.
SHARE = {"accuracy": "{:.2%} right", "error": "{:.2%} wrong"}
TOLD: dict[str, dict[str, str]] = {
    "lenet5-mnist": {"error": "{:.2%} wrong"},
    "char-lm": {"bits": "{:.3f} bits"}, "char-lm-docs": {"bits": "{:.3f} bits"}, "gpt-char": {"bits": "{:.3f} bits"},
    "vae-mnist": {"loss": "{:.1f} nats", "reconstruction": "pixels {:.1f}"},
    "gan-mnist": {"frechet": "distance {:.1f}", "frechet_of_real": "real {:.1f}"},
    "dqn-cartpole": {"loss": "return {:.0f}"},
    "adult-mlp": {"balanced": "{:.2%} right, by class"}, "housing-mlp": {"mae": "off by {:.3f}"},
}  # fmt: skip


def told(name: str, runs: list[dict[str, Any]]) -> str:
    """Mean and, of several runs, deviation."""
    parts = []
    for key, form in TOLD.get(name, {"accuracy": "{:.2%} right"}).items():
        values = [x["test"][key] * (-1 if form.startswith("return") else 1) for x in runs]
        number = form[form.index("{") : form.index("}") + 1]
        spread = f" ± {number.format(stdev(values))}" if len(values) > 1 else ""
        parts.append(form.replace(number, number.format(mean(values)) + spread))
    return ", ".join(parts)


def table(lines: list[dict[str, Any]]) -> str:
    rows = ["| task | recipe | on test data | seeds | epochs | seconds | parameters |", "|---|---|---|---|---|---|---|"]
    absent = []
    for name in TASKS:
        kinds = recipe_kinds(name)
        for kind in kinds:
            runs = [x for x in lines if (x["task"], x["recipe"], x["hash"]) == (name, kind, plain_hash(name, kind))]
            whole = [x for x in runs if "test" in x]
            if not runs:
                absent.append(f"{name} {kind}")
                continue
            epochs = sp.Recipe.parse(recipe_text(name, kind) or "").stop.epochs
            broke = f"; {len(runs) - len(whole)} broke" if len(whole) < len(runs) else ""
            figures = told(name, whole) + broke if whole else "broke"
            sizes = f"{whole[0]['parameters']:,}" if whole else ""
            rows.append(f"| {name} | {kind} | {figures} | {len(runs)} | {epochs} | {mean(x['seconds'] for x in runs):.0f} | {sizes} |")
    said = "\n\nNot measured: " + ", ".join(absent) + "." if absent else ""
    machines = "; ".join(sorted({x["machine"] for x in lines}))
    return "\n".join(rows) + f"\n\nMean ± deviation over seeds; seconds of one processor, in one thread, on {machines}." + said


def write_table(results: Path, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(f"{head}{BEGIN}\n\n{table(read(results))}\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS)
    parser.add_argument("tasks", nargs="*", help="names, each alone or with one of its recipes: cnn-mnist:tuned")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", message="cifar10 is read from JPEG")
    if given.table:
        write_table(given.results, PAGE)
    else:
        work(given.results, given.tasks, given.seeds)
