"""A small training that is killed at random moments and goes on, again and again: is it what an unbroken one would have been?"""

import json
import multiprocessing
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from time import monotonic
from typing import Any

import torch

import steepest as sp
from steepest.models import mlp
from steepest.train.run import resume

# Most of what holds state: dropout, mixing, running statistics, averaged weights, a growing batch, a schedule; a checkpoint every 7 steps.
RECIPE = {
    "model.norm": True, "model.dropout": 0.1, "optimizer.rule": "adamw", "optimizer.lr": 0.01,
    "optimizer.wrap": {"clip": {"norm": 1.0}, "average": {}}, "schedule.lr": {"shape": "warmup_cosine", "warmup": "10%"},
    "schedule.batch": {"shape": "step", "at": ["50%"], "factor": 2.0}, "regularize.mixup": 0.2, "batch.size": 16,
    "stop.epochs": 12, "run.threads": 1, "run.checkpoint_every": "7 steps", "run.device": "cpu",
}  # fmt: skip


def network(norm: bool = False, dropout: float = 0.0) -> Any:
    return mlp(inputs=8, outputs=2, width=16, norm=norm, dropout=dropout)


def task() -> sp.Task:
    x = torch.randn(600, 8, generator=torch.Generator().manual_seed(0))
    return sp.Task(model=network, data=(x, (x[:, 0] * x[:, 1] > 0).long()), metrics=["accuracy"])


def work(folder: Path) -> None:
    """Begin, or go on."""
    record = folder / "record.jsonl"
    if record.exists() and record.stat().st_size:
        steps = resume(folder, task(), health=10)
    else:
        shutil.rmtree(folder, ignore_errors=True)  # killed before its first line was on the disk
        steps = sp.train(task(), sp.Recipe().replace(RECIPE), folder=folder, health=10)
    for _ in steps:
        pass


def differences(a: Path, b: Path) -> list[str]:
    """What is not the same in two finished runs."""
    pairs = {"record": map(lines, (a, b)), "metrics": map(summary, (a, b))}
    pairs["weights"] = ((run / "model.safetensors").read_bytes() for run in (a, b))
    return [what for what, (one, other) in pairs.items() if one != other]


def lines(run: Path) -> list[dict[str, Any]]:
    """The record, but for time."""
    found = [json.loads(line) for line in (run / "record.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in found]


def summary(run: Path) -> list[Any]:
    return [line["metrics"] for line in lines(run) if line["kind"] == "evaluation"]


def killed(kills: int, seed: int = 0) -> int:
    """SIGKILL at so many random moments. What the run made is compared each time it comes to its end; gives the exit code."""
    dice, moments, bad = random.Random(seed), Counter[str](), []
    # Forked, so that a child trains at once; this process itself has no thread that could be missing there.
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = Path(folder) / "whole", Path(folder) / "broken"
        first, start = context.Process(target=work, args=(whole,)), monotonic()
        first.start()
        first.join()
        took = monotonic() - start  # on a busy machine all takes longer, and a kill should find it at work
        if first.exitcode:
            print(f"the unbroken run ended with code {first.exitcode}")
            return 1
        ends = left = 0

        while sum(moments.values()) < kills or broken.exists():
            before = drafts(broken)
            child = context.Process(target=work, args=(broken,))
            child.start()
            child.join(dice.uniform(0.05, took) if sum(moments.values()) < kills else None)
            if child.exitcode is None:
                child.kill()
                child.join()
                moments[moment(broken, before)] += 1

                left += 1
            elif child.exitcode:
                bad.append(f"the run ended with code {child.exitcode} after {left} kills")
                break
            elif left:
                ends += 1
                bad += [f"another {what} after {left} kills" for what in differences(whole, broken)]
                left = 0
                shutil.rmtree(broken)
            else:
                shutil.rmtree(broken)
    bad += [] if ends else ["no run that was killed came to its end"]
    where = ", ".join(f"{count} {name}" for name, count in moments.most_common())
    print(f"{sum(moments.values())} kills ({where}); {ends} runs that were killed came to their end")
    print("\n".join(bad) if bad else "of each, record (but for time), metrics and weights are those of an unbroken run")
    return int(bool(bad))


def drafts(run: Path) -> set[str]:
    """Checkpoints that are being written, or removed."""
    return {path.name for path in (run / "checkpoints").glob(".step-*")}


def moment(run: Path, before: set[str]) -> str:
    """What a kill has interrupted."""
    if drafts(run) - before:
        return "within a checkpoint"
    record = run / "record.jsonl"
    return "in between" if record.exists() and record.stat().st_size else "before the first line"
