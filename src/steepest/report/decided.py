"""What was decided, where it ran, what happened, and how to do it again: the parts of a page that are no charts."""

import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from steepest.report.meanings import said
from steepest.report.parts import Column, Html, Table, bullets, details, facts, table, tag
from steepest.report.reading import Story

# Events that a page has room for.
EVENTS = 200


def events(story: Story) -> Iterator[Html]:
    if story.events:
        lines = [(line["step"], line["name"], line["message"]) for line in story.events]
        lines += [(line["step"], "end", line["reason"]) for line in story.ends]
        columns = [Column("step", "step", True), Column("name", "what"), Column("message", "how")]
        yield table(Table(columns, sorted(lines, key=lambda line: line[0])[-EVENTS:]), "text")
        if len(lines) > EVENTS:
            yield tag("p", f"The last {EVENTS} of {len(lines)}.", class_="note")


def recipe(story: Story) -> Iterator[Html]:
    if not story.recipe:
        return
    rows = []
    for path, value in story.settings.items():
        about = said(story.settings, path)
        other = about.default is not None and about.default != value
        bold = tag("strong", literal(value)) if other else literal(value)
        rows.append((path, bold, literal(about.default) if other else "", about.meaning))
    columns = [Column("path", "key"), Column("value", "value"), Column("default", "default"), Column("meaning", "what it is")]
    if rows:
        yield tag("p", "Bold: not the default.", class_="note")
        yield table(Table(columns, rows), "text recipe")
    yield details("The file recipe.toml", tag("pre", story.recipe))


def literal(value: Any) -> str:
    """As TOML writes it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {literal(x)}" for key, x in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def environment(story: Story) -> Iterator[Html]:
    where = story.environment
    packages = where.get("packages")
    git = where.get("git")
    rows = [(name, where.get(name)) for name in ("python", "platform", "machine", "cpus")]
    if isinstance(packages, dict):
        rows += list(packages.items())
    if isinstance(git, dict):
        rows.append(("commit", f"{git.get('commit')}{', with changes that are not in it' if git.get('changed') else ''}"))
    if any(value not in (None, "") for _, value in rows):
        yield facts(rows)


def reproduce(story: Story) -> Iterator[Html]:
    if not story.recipe:
        return
    known = story.task
    task = (
        f"{known['file']}:{known.get('variable', 'task')}" if "file" in known else str(known.get("builtin") or known.get("name") or "TASK")
    )
    folder = str(story.folder)
    lines = []
    packages = story.environment.get("packages")
    if isinstance(packages, dict):
        yield tag("p", f"With steepest {packages.get('steepest', 'as it is')}:", class_="note")
        pins = [f"{name}=={str(version).split('+')[0]}" for name, version in packages.items() if name != "steepest"]
        lines.append(shlex.join(["pip", "install", *pins]))
    lines.append(shlex.join(["steepest", "train", task, "--recipe", f"{folder}/recipe.toml", "--out", f"{story.name}-again"]))
    if story.summary.state == "unfinished":
        lines.append(shlex.join(["steepest", "resume", folder]))
    lines.append(shlex.join(["steepest", "evaluate", folder]))
    yield tag("pre", "\n".join(lines))
    if "sha256" in known:
        yield tag("p", f"The SHA-256 of {known.get('file')} was {known['sha256']}.", class_="note")
    yield tag(
        "p",
        "With the same machine, versions, number of threads and seed the record will be the same but for its times. "
        "Elsewhere it will be close, and not the same.",
        class_="note",
    )


def problems(stories: Sequence[Story], most: int = 20) -> Iterator[Html]:
    found = [problem for story in stories for problem in story.problems]
    if found:
        yield bullets(found[:most], "problems")
        rest = f" Of {len(found)} problems these are the first {most}." if len(found) > most else ""
        yield tag("p", f"All else was read.{rest}", class_="note")
