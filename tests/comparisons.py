"""A comparison's folder as `steepest compare` leaves it, made up: nothing is trained. And a small one to carry out."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from steepest.compare.budget import expected_best
from steepest.compare.conclusion import conclude
from steepest.records.schema import check, strict

EPOCHS = 8
SPACE = [
    {"name": "lr", "path": "optimizer.lr", "low": 1e-5, "high": 1e-1, "log": True, "usual": 1e-3},
    {"name": "batch.size", "path": "batch.size", "choices": [32, 64], "usual": 64},
]
Line = dict[str, Any]


def write(
    folder: Path,
    methods: Sequence[str] = ("sgd", "adamw", "lion"),
    *,
    trials: int = 4,
    fresh: int = 10,
    studies: int = 1,
    task: str = "digits-mlp",
    missed: Sequence[str] = (),
    unequal: str | None = None,
    done: bool = True,
    runs: bool = True,
    seed: int = 0,
) -> Path:
    """Methods in the order given are the better the later. Of those in `missed` every fourth fresh run diverged.

    `done=False`: the comparison is at its first fresh runs. `runs`: each training has a run's folder with its evaluations.
    """
    draw = np.random.default_rng(seed)
    jobs: list[Line] = []
    results: list[Line] = []
    curves: dict[str, list[list[float]]] = {name: [] for name in methods}
    level = {name: 0.90 + 0.03 * k for k, name in enumerate(methods)}

    def trained(name: str, point: Line, at: int, why: str, origin: str, quality: float, broke: bool) -> float | None:
        n = len(jobs)
        jobs.append(
            dict(kind="job", step=n, trial=n, point={"method": name, **point}, seed=at, start=0, stop=EPOCHS, origin=origin, why=why)
        )
        curve = [min(quality * (1 - 0.7 ** (e + 1)) / (1 - 0.7**EPOCHS), 1.0) for e in range(EPOCHS)]
        stop = 2 if broke else EPOCHS
        time = {"seconds": 1.0 + 0.1 * draw.random(), "elapsed": float(n + 1)}
        if broke:
            results.append(dict(kind="result", step=n, status="diverged", epochs=stop, error="the loss is nan in step 40", time=time))
        else:
            metrics = {"accuracy": curve[-1], "loss": 1 - curve[-1]}
            results.append(dict(kind="result", step=n, status="done", score=-curve[-1], metrics=metrics, epochs=stop, time=time))
        if why == "repeat":
            curves[name].append(curve[:stop])
        if runs:
            write_run(folder / "trials" / f"{n:04d}", name, task, at, curve[:stop], broke)
        return None if broke else curve[-1]

    found: dict[tuple[str, int], list[tuple[int, float | None, Line]]] = {}
    for k in range(studies):
        for t in range(trials):
            for name in methods:
                point = {} if t == 0 else {"lr": float(10 ** draw.uniform(-5, -1)), "batch.size": int(draw.choice([32, 64]))}
                quality = level[name] - 0.02 - 0.03 * abs(draw.normal())
                score = trained(name, point, k, "explore", f"{name}, study {k + 1}, trial {t + 1}", quality, False)
                found.setdefault((name, k), []).append((t, score, point))
    best = {key: max(rows, key=lambda row: row[1] or 0.0) for key, rows in found.items()}
    seeds = [studies + j for j in range(fresh)]
    chosen: dict[tuple[str, int], Line] = {}
    for j, at in enumerate(seeds if done else seeds[:2]):
        shared = 0.01 * draw.normal()
        for k in range(studies):
            for name in methods:
                t, score, point = best.get((name, k), (0, None, {}))
                number = len(jobs)
                quality = level[name] + shared + 0.005 * draw.normal()
                x = trained(name, point, at, "repeat", f"{name}, study {k + 1}, fresh seed {j + 1}", quality, name in missed and j % 4 == 3)
                trial = (
                    None
                    if score is None
                    else next(line["trial"] for line in jobs if line["origin"] == f"{name}, study {k + 1}, trial {t + 1}")
                )
                what = "the defaults" if t == 0 else f"trial {t + 1}"
                row = chosen.setdefault(
                    (name, k), dict(method=name, study=k + 1, trial=trial, what=what, point=point, score=score, mean=None, fresh=[])
                )
                row["fresh"].append({"seed": at, "trial": number, "score": x, "status": "done" if x is not None else "diverged"})
    begin = begin_line(methods, trials, fresh, studies, task, seeds, unequal)
    lines = [begin, *(line for pair in zip(jobs, results, strict=True) for line in pair)]
    if done:
        lines += [answer_line(methods, chosen, found, curves, studies, len(jobs)), dict(kind="end", step=len(jobs), reason="finished")]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.jsonl").write_text("".join(json.dumps(strict(line)) + "\n" for line in lines))
    for line in lines:
        check(strict(line))
    return folder


def begin_line(methods: Sequence[str], trials: int, fresh: int, studies: int, task: str, seeds: list[int], unequal: str | None) -> Line:
    cost = len(methods) * studies * (trials + fresh)
    words = f"{len(methods)} methods x {studies} study x ({trials} trials + {fresh} fresh seeds) = {cost} trainings"
    preset = dict(name="own", studies=studies, trials=trials, fresh=fresh, unit="seeds", words=words, trainings=cost)
    listed = [
        dict(
            name=name, axes={"rules": name}, decides=["optimizer.rule"], recipe=f'[optimizer]\nrule = "{name}"\n',
            space=SPACE if trials else [], trials=trials, studies=studies,
        )
        for name in methods
    ]  # fmt: skip
    comparison = dict(
        axes={"rules": list(methods)}, methods=listed, preset=preset, direction="max", unit="seeds", points=True,
        seeds={"studies": list(range(studies)), "fresh": [seeds] * studies}, unequal=unequal,
        about=["Nothing was chosen by test data, and none were looked at."],
    )  # fmt: skip
    settings = dict(
        name=task,
        task={"name": task, "builtin": task},
        full=EPOCHS,
        seed=0,
        width=4,
        threads=1,
        budget=f"{cost}runs",
        strategy="comparison",
    )
    return dict(kind="study", step=0, version=1, task=task, objective="accuracy", better="higher", settings=settings, comparison=comparison)


def answer_line(methods: Sequence[str], chosen: Any, found: Any, curves: Any, studies: int, decisions: int) -> Line:
    for row in chosen.values():
        known = [x["score"] for x in row["fresh"] if x["score"] is not None]
        row["mean"] = mean(known) if known else None
    scores: dict[str, dict[int, float | None]] = {}
    for name in methods:
        rows = [chosen[name, k]["fresh"] for k in range(studies)]
        for parts in zip(*rows, strict=True):
            values = [x["score"] for x in parts]
            scores.setdefault(name, {})[parts[0]["seed"]] = None if None in values else mean(values)
    conclusion = conclude(scores, "max", points=True)
    best = conclusion.ranking.order[0]
    fresh = [x for k in range(studies) for x in chosen[best, k]["fresh"] if x["score"] is not None]
    top = max(fresh, key=lambda x: x["score"])
    target = median(x.mean for x in conclusion.standings)
    reach = {name: [next((e + 1 for e, x in enumerate(c) if x >= target), None) for c in curves[name]] for name in methods}
    comparison = {
        "scores": {name: {str(at): x for at, x in row.items()} for name, row in scores.items()},
        **conclusion.facts(),
        "flags": [
            dict(method=methods[0], kind="edge", words=f"{methods[0]} is undertuned: its best lr = 0.09", knob="lr", value=0.09)
        ],
        "chosen": list(chosen.values()),
        "expected_best": {
            name: expected_best([score for _, score, _ in found[name, 0]], "max").tolist() for name in methods if (name, 0) in found
        },
        "curves": {name: banded(curves[name]) for name in methods},
        "target": {
            "value": target,
            "words": f"accuracy {target:.4g}, the median of the methods' means, which about half of them reach",
            "methods": {name: reaching(reach[name]) for name in methods},
        },
        "spent": {name: {"trainings": 1 + len(curves[name]), "epochs": EPOCHS * (1 + len(curves[name]))} for name in methods},
        "notes": [],
    }  # fmt: skip
    time = {"spent": dict.fromkeys(methods, 16.5), "target": dict.fromkeys(methods, 0.4)}
    message = f"{best} has the best mean"
    metrics = {"accuracy": mean(x["score"] for x in fresh)}
    return dict(
        kind="answer",
        step=decisions,
        trial=top["trial"],
        metrics=metrics,
        message=message,
        decisions=decisions,
        comparison=comparison,
        time=time,
    )


def reaching(epochs: list[int | None]) -> Line:
    known = [x for x in epochs if x is not None]
    half = median(known) if 2 * len(known) > len(epochs) else None
    return {"n": len(epochs), "reached": len(known), "epochs": half, "steps": None if half is None else 20 * half}


def banded(curves: list[list[float]]) -> Line:
    columns = [[c[e] for c in curves if len(c) > e] for e in range(EPOCHS)]
    middles = [mean(x) for x in columns]
    return {
        "epochs": list(range(1, EPOCHS + 1)), "mean": middles, "low": [x - 0.005 for x in middles], "high": [x + 0.005 for x in middles],
        "n": [len(x) for x in columns],
    }  # fmt: skip


def write_run(folder: Path, method: str, task: str, seed: int, curve: list[float], broke: bool) -> None:
    folder.mkdir(parents=True)
    begin = dict(kind="begin", step=0, version=1, task=task, rule=method, seed=seed, steps=20 * EPOCHS, metric="accuracy", better="higher")
    lines: list[Line] = [begin]
    for e, x in enumerate(curve, 1):
        lines.append(dict(kind="step", step=20 * e - 1, loss=1.1 - x, lr=1e-3, time={"seconds": 0.1 * e}))
        lines.append(dict(kind="evaluation", step=20 * e, metrics={"accuracy": x, "loss": 1 - x}, split="valid", time={"seconds": 0.01}))
    lines += [] if broke else [dict(kind="end", step=20 * EPOCHS, reason="finished", time={"seconds": 0.1 * EPOCHS})]
    (folder / "record.jsonl").write_text("".join(json.dumps(strict(line)) + "\n" for line in lines))
    (folder / "recipe.toml").write_text(f'[optimizer]\nrule = "{method}"\n[run]\nseed = {seed}\n')


def write_many(
    folder: Path, tasks: Sequence[str] = ("digits-mlp", "lenet5-mnist"), methods: Sequence[str] = ("sgd", "adamw", "lion")
) -> Path:
    """A comparison on several tasks, as far as its first file says."""
    for k, task in enumerate(tasks):
        write(folder / task, methods, task=task, seed=k)
    at = [1 + 0.05 * k for k in range(61)]
    costs = {name: {task: 20.0 * (m + t + 2) if m else None for t, task in enumerate(tasks)} for m, name in enumerate(methods)}
    profiles = {"at": at, "shares": {name: [0.0 if not m else min(1.0, (a - 1) * m) for a in at] for m, name in enumerate(methods)}}
    scores = {name: m / len(methods) for m, name in enumerate(methods)}
    conclusion = {
        "tasks": list(tasks), "costs": {"steps": costs, "seconds": costs}, "profiles": {"steps": profiles, "seconds": profiles},
        "scores": {"steps": scores, "seconds": scores}, "words": [f"{methods[-1]} comes to the targets first"],
    }  # fmt: skip
    whole = {
        "kind": "comparison", "version": 1, "tasks": [{"name": task, "folder": task} for task in tasks], "methods": list(methods),
        "conclusion": conclusion,
    }  # fmt: skip
    (folder / "comparison.json").write_text(json.dumps(whole))
    return folder


# --- one that is carried out ------------------------------------------------------------------------

SMALL_SPACE = '[space]\nonly = true\n"optimizer.lr" = { low = 1e-3, high = 0.1, log = true }\n"model.width" = [4, 8]\n'
SHORT = ("stop.epochs=2", "batch.size=16", "optimizer.engine=reference")


def wanted(folder: Path, **changes: Any) -> Any:
    """Two rules on the task of `studies`: 2 trials and 6 fresh seeds each, 16 trainings of 2 epochs."""
    from studies import TASK

    from steepest.compare.protocol import Wanted

    if not (folder / "points.py").exists():
        (folder / "points.py").write_text(TASK)
        (folder / "space.toml").write_text(SMALL_SPACE)
    said = {"axes": {"rules": ["sgd", "adamw"]}, "budget": "8runs", "fresh": 6, "space": folder / "space.toml", "changes": SHORT}
    return Wanted(**said | changes)


def begun(folder: Path, workers: int = 0, **changes: Any) -> Any:
    """That comparison, begun or gone on with. Without workers it is carried out in this process."""
    from steepest.compare.protocol import asked, resumed
    from steepest.search.tune import Search
    from steepest.train import taskfile

    said = wanted(folder, **changes)
    path, task = folder / "study", str(folder / "points.py")
    settings = {"workers": workers} if workers else {"task": taskfile.find(task)[0]}
    if (path / "study.jsonl").exists() and (path / "study.jsonl").read_bytes().count(b"\n"):
        return resumed(path, **settings)
    if path.exists():
        for part in path.iterdir():  # killed before its first line was written; the lock may be held
            shutil.rmtree(part) if part.is_dir() else part.unlink() if part.name != "lock" else None
    return Search(asked(said, task)[0], path, **settings)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for _ in begun(Path(sys.argv[1]), int(sys.argv[2])).run():
        pass
