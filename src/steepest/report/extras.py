"""What a run's folder may hold beside its record: a confusion matrix, and pictures."""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from steepest.report import charts
from steepest.report.parts import Column, Figure, Html, Table, html, tag
from steepest.report.reading import Story

# Pictures, and bytes of them altogether.
PICTURES, BYTES = 32, 400_000
PARTS = {"valid": "validation data", "test": "test data", "train": "training data"}
KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif"}


def confusions(story: Story) -> Iterator[Figure]:
    """confusion.json: {"labels": [...], "counts": [[...], ...], "split": "valid", "of": 360}; rows are what is true."""
    path = story.folder / "confusion.json"
    if not path.is_file():
        return
    try:
        labels, counts, where = square(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        story.problems.append(f"{path} holds no labels with a square of counts")
        return
    rows = [(labels[i], labels[j], n, n / max(sum(row), 1)) for i, row in enumerate(counts) for j, n in enumerate(row)]
    right = sum(row[i] for i, row in enumerate(counts)) / max(sum(map(sum, counts)), 1)
    columns = [Column("true", "true"), Column("said", "said"), Column("count", "count", True), Column("share", "share of the row", True)]
    about = f"On {where}: {100 * right:.4g} % lie on the diagonal. A row is what is true, a column what was said."
    yield Figure("Confusion", about, Table(columns, rows), charts.confusion(labels))


def square(found: Any) -> tuple[list[str], list[list[int]], str]:
    labels, counts = [str(x) for x in found["labels"]], [[int(x) for x in row] for row in found["counts"]]
    if len(counts) != len(labels) or any(len(row) != len(labels) for row in counts):
        raise ValueError("not a square")
    split, total = str(found.get("split", "valid")), sum(map(sum, counts))
    some = f"{total:,} of {found['of']:,} samples of " if isinstance(found.get("of"), int) and found["of"] != total else ""
    return labels, counts, some + PARTS.get(split, split)


def samples(story: Story) -> Iterator[Html]:
    """pictures.png, and the pictures in the folder `samples`, as many as there is room for."""
    folder = story.folder / "samples"
    inside = sorted(path for path in folder.iterdir() if path.suffix.lower() in KINDS) if folder.is_dir() else []
    paths = [path for path in (story.folder / "pictures.png", *inside) if path.is_file()]
    room, found = BYTES, []
    for path in paths[:PICTURES]:
        data = path.read_bytes()
        if len(data) > room:
            break
        room -= len(data)
        source = f"data:{KINDS[path.suffix.lower()]};base64,{b64encode(data).decode()}"
        found.append(tag("figure", Html(f'<img alt="{html(path.stem)}" src="{source}">'), tag("figcaption", path.stem)))
    if found:
        yield tag("div", *found, class_="samples")
    if len(found) < len(paths):
        yield tag("p", f"{len(found)} of {len(paths)} pictures; there is no room for the others.", class_="note")
