"""Pages as a parser and as a browser understand them."""

import json
import os
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
import vl_convert

from steepest.report.page import document, page

CHROMIUM = os.environ.get("STEEPEST_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed (or named by STEEPEST_CHROMIUM)")


class Seen(HTMLParser):
    """A page as a parser understands it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self.tables: list[dict[str, Any]] = []
        self.figures: list[dict[str, Any]] = []
        self.inside, self.in_cell = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside, given_ = tag, dict(attrs)
        self.tags.append((tag, given_))
        if tag == "table":
            self.tables.append({"heads": [], "rows": []})
            if self.figures and not self.figures[-1]["closed"]:
                self.figures[-1]["table"] = self.tables[-1]
        elif tag == "th":
            self.tables[-1]["heads"].append(given_)
        elif tag == "tr":
            self.in_cell = False
            self.tables[-1]["rows"].append([])
        elif tag == "td":
            self.in_cell = True
            self.tables[-1]["rows"][-1].append("")
        elif tag == "script":
            self.scripts.append("")
        elif tag == "figure":
            self.figures.append({"closed": False, "script": len(self.scripts)})

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""
        self.in_cell &= tag not in ("tbody", "table")
        if tag == "figure":
            self.figures[-1]["closed"] = True

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.texts.append(data)
            if self.in_cell:
                self.tables[-1]["rows"][-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def charts(self) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Each chart with its data, read from its table as the page's script reads it."""
        found = []
        for figure in (f for f in self.figures if "table" in f):
            heads, spec = figure["table"]["heads"], json.loads(self.scripts[figure["script"]])
            rows: list[dict[str, Any]] = []
            for cells in filter(None, figure["table"]["rows"]):
                values = [value(cell, "data-number" in head) for cell, head in zip(cells, heads, strict=True)]
                named = {head["data-name"]: x for head, x in zip(heads, values, strict=True) if "data-at" not in head}
                along = [(int(head["data-at"]), x) for head, x in zip(heads, values, strict=True) if "data-at" in head and x is not None]
                rows += [named | {"step": step, "value": x} for step, x in along] if any("data-at" in head for head in heads) else [named]
            found.append((spec, rows))
        return found


def value(text: str, number: bool) -> Any:
    if not number:
        return text
    return float(text) if text and isfinite(float(text)) else None


def harmless(text: str) -> None:
    """Nothing on a page runs or loads but its own."""
    found = Seen(text)
    policy = next(attrs["content"] for tag, attrs in found.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy and policy.startswith("default-src 'none'; script-src 'sha256-")
    running = [found.scripts[i] for i, (_, attrs) in enumerate((t, a) for t, a in found.tags if t == "script") if "type" not in attrs]
    assert len(running) == 2
    for script in running:
        assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy
    for tag, attrs in found.tags:
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
        for name in ("src", "href", "data", "action", "srcset"):
            assert (attrs.get(name) or "#").startswith(("#", "data:image/")), (tag, attrs)
    assert not {tag for tag, _ in found.tags} & {"iframe", "object", "embed", "link", "base", "form", "svg", "i"}


def drawn(found: Seen) -> int:
    """Every chart is drawn from the table beneath it, and asks for nothing else; how many there are."""
    charts = found.charts()
    assert len(charts) == sum(attrs.get("class") == "chart" for _, attrs in found.tags)
    for spec, rows in charts:
        assert rows and columns_used(spec) <= set(rows[0]), spec
        picture = vl_convert.vegalite_to_svg(spec | {"datasets": {"rows": rows}, "width": 400})
        assert "NaN" not in picture and picture.count("<path") > 3
    return len(charts)


def seen(folder: Path) -> Seen:
    return Seen(document(page(folder)))


def columns_used(spec: Any) -> set[str]:
    """The fields that a chart asks for, those apart that have data of their own."""
    if isinstance(spec, dict):
        if "values" in spec.get("data", {}):
            return set()
        own = {spec["field"]} if isinstance(spec.get("field"), str) else set()
        return own.union(*(columns_used(x) for x in spec.values()))
    return set().union(*map(columns_used, spec)) if isinstance(spec, list) else set()


def opened(path: Path, fragment: str = "") -> str:
    """The page as it stands after everything on it has run. Whatever it complained of is an error."""
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=30000", "--dump-dom", f"--user-data-dir={path.parent / 'profile'}"]
    done = subprocess.run([*command, path.as_uri() + fragment], capture_output=True, text=True, timeout=120)
    # A request would be refused by the page's policy, and the refusal told here.
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout
