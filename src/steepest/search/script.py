"""Somebody's own program as a trial: values go into its command line, metrics come from what it prints."""

import json
import re
import shlex
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from steepest.core.errors import SettingError, nearest
from steepest.search.jobs import Job, Point, Result

NAMED = re.compile(r"\{([A-Za-z_][\w.]*)\}")
# What a command may name besides dimensions.
OTHERS = ("seed", "folder", "epochs")
# So much of what a program printed goes into an error.
SHOWN = 200


def check(command: Sequence[str], names: Sequence[str]) -> None:
    """Each dimension has its place in the command, and each place its dimension."""
    said = {name for word in command for name in NAMED.findall(word)}
    for name in sorted(said - {*names, *OTHERS}):
        raise SettingError(f"the command names {{{name}}}, and the space has no {name}{nearest(name, [*names, *OTHERS])}")
    for name in names:
        if name not in said:
            raise SettingError(f"the space has {name}, and the command no {{{name}}}: write it where its value goes, or drop it")


def words(command: Sequence[str], point: Point, job: Job, folder: Path) -> list[str]:
    """The command of a job. A dimension that does not exist at this point is empty."""
    values = {**point, "seed": job.seed, "folder": folder, "epochs": job.stop}
    return [NAMED.sub(lambda found: _written(values.get(found[1], "")), word) for word in command]


def carry_out(command: Sequence[str], job: Job, folder: Path, objective: str, more: bool, regex: str | None) -> Result:
    """Run the program to its end. Its output stays in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    said = words(command, job.point, job, folder)
    try:
        with (folder / "stderr.txt").open("ab") as errors:
            done = subprocess.run(said, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        return Result("failed", epochs=1, error=f"{shlex.join(said)}: {error.strerror or error}")
    text = done.stdout.decode(errors="replace")
    (folder / "stdout.txt").write_text(text, encoding="utf-8")
    if done.returncode:
        words_of = _last((folder / "stderr.txt").read_text(errors="replace") or text)
        return Result("failed", epochs=1, error=f"{shlex.join(said)} ended with code {done.returncode}: {words_of}")
    try:
        metrics = (matched if regex else last_json)(text, regex or "")
        value = metrics[objective_of(metrics, objective)]
    except SettingError as error:
        return Result("failed", epochs=1, error=str(error))
    if not isfinite(value):
        return Result("diverged", metrics=metrics, epochs=job.epochs, error=f"{objective} = {value}")
    return Result("done", -value if more else value, metrics, job.epochs)


def last_json(text: str, _: str = "") -> dict[str, float]:
    """The numbers of the last line that is a JSON object."""
    for line in reversed(text.splitlines()):
        if line.lstrip().startswith("{"):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if numbers := {name: float(x) for name, x in found.items() if isinstance(x, (int, float)) and not isinstance(x, bool)}:
                return numbers
    raise SettingError(f'no line of the output is a JSON object with numbers, such as {{"loss": 0.1}}; it ends with: {_last(text)}')


def matched(text: str, regex: str) -> dict[str, float]:
    """The groups of the last match: by their names, or the first as the objective."""
    found = next(iter(deque(re.finditer(regex, text), maxlen=1)), None)
    if found is None:
        raise SettingError(f"nothing in the output matches {regex!r}; it ends with: {_last(text)}")
    groups: Mapping[str, Any] = found.groupdict() or {"objective": found[1]}
    try:
        return {name: float(x) for name, x in groups.items()}
    except (TypeError, ValueError):
        raise SettingError(f"{regex!r} matches {found[0]!r}, and a group of it is no number") from None


def objective_of(metrics: Mapping[str, float], objective: str) -> str:
    """The objective among the metrics; "auto" is the only one, or the loss."""
    if objective in metrics:
        return objective
    if "objective" in metrics or (objective == "auto" and len(metrics) == 1):
        return "objective" if "objective" in metrics else next(iter(metrics))
    if objective == "auto" and "loss" in metrics:
        return "loss"
    raise SettingError(f"the output has the metrics {', '.join(metrics)}; say which one counts: --objective {next(iter(metrics))}")


def check_regex(regex: str) -> None:
    try:
        groups = re.compile(regex).groups
    except re.error as error:
        raise SettingError(f"--metric-regex {regex!r}: {error}") from None
    if not groups:
        raise SettingError(f"--metric-regex {regex!r} has no group; put the number in parentheses: loss=([0-9.]+)")


def _written(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (bool, list, dict)) else "" if value is None else str(value)


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[-SHOWN:] if lines else "nothing"
