"""A report: one HTML file with everything in it. Its policy lets no other script run and asks nothing of any network."""

import os
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path

import steepest
from steepest.records import is_run, is_study
from steepest.records.comparisons import is_several
from steepest.records.studies import readable
from steepest.report import across, comparison, many, single, study, words
from steepest.report.contest import Contest, is_comparison
from steepest.report.parts import Html, Section, html, joined, section, tag
from steepest.report.reading import SOME, ReportError, Story, runs_in, story

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    title: str
    kind: str
    sections: list[Section]
    # What the charts can be filtered by, and whether there are rows to find.
    methods: list[str] = field(default_factory=list)
    many: bool = True


def report(path: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Path:
    """Write the page of a run, or of a folder of runs; where it is. Left out: `report.html` in that folder."""
    folder = Path(path)
    target = Path(out) if out is not None else folder / "report.html"
    text = document(page(folder))
    draft = target.with_name(f".{target.name}.tmp")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(target)
    except OSError as wrong:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise ReportError(f"{target} cannot be written: {wrong.strerror or wrong}; --out says where else") from None
    return target


def page(folder: Path) -> Page:
    for fits, made in PAGES:
        if fits(folder):
            return made(folder)
    raise nothing(folder)


def stories(path: str | os.PathLike[str]) -> list[Story]:
    """The runs at a path: that of a run's folder, or those within a folder or study."""
    folder = Path(path)
    found = read_all(folder) if is_study(folder) or not is_run(folder) else [story(folder, folder.resolve().name)]
    if not found:
        raise nothing(folder)
    return found


def nothing(folder: Path) -> ReportError:
    what = "holds no runs" if folder.is_dir() else "is no folder" if folder.exists() else "does not exist"
    return ReportError(f"there is nothing to report at {folder}: it {what}")


def of_run(folder: Path) -> Page:
    name = folder.resolve().name
    return Page(name, "A run", single.sections(story(folder, name)), many=False)


def of_runs(folder: Path) -> Page:
    stories = read_all(folder)
    return Page(folder.resolve().name, words.plural(len(stories), "run"), many.sections(stories), methods_of(stories))


def read_all(folder: Path) -> list[Story]:
    return [story(path, path.relative_to(folder).as_posix(), SOME) for path in runs_in(folder)]


def of_study(folder: Path) -> Page:
    found, problems = readable(folder)
    stories = read_all(folder)
    return Page(
        folder.resolve().name, f"A study of {len(found.trials)} trials", study.sections(found, problems, stories), methods_of(stories)
    )


def of_comparison(folder: Path) -> Page:
    found, problems = readable(folder)
    methods = Contest(found, [], []).order
    return Page(
        folder.resolve().name,
        f"A comparison of {words.plural(len(methods), 'method')}",
        comparison.sections(found, problems, read_all(folder)),
        methods,
    )


def of_comparisons(folder: Path) -> Page:
    return Page(folder.resolve().name, "A comparison on several tasks", across.sections(folder), many=False)


def methods_of(stories: Sequence[Story]) -> list[str]:
    return list(dict.fromkeys(method for group in many.grouped(stories)[: many.GROUPS] for method in group.order))


# What a folder may hold, the first that fits: how it is known, and its page.
PAGES: list[tuple[Callable[[Path], bool], Callable[[Path], Page]]] = [
    (is_several, of_comparisons),
    (is_comparison, of_comparison),  # before the study, which it is, too
    (is_study, of_study),  # before the run: at its end a study has a recipe, too
    (is_run, of_run),
    (lambda folder: next(runs_in(folder), None) is not None, of_runs),
]


# --- the document -----------------------------------------------------------------------------------


def document(page: Page) -> str:
    scripts = [bundle(), (HERE / "page.js").read_text(encoding="utf-8")]
    hashes = " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in scripts)
    policy = f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    head = joined(
        [
            Html('<meta charset="utf-8">'),
            Html(f'<meta http-equiv="Content-Security-Policy" content="{html(policy)}">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            tag("title", f"{page.title} · steepest"),
            Html(f"<style>\n{(HERE / 'page.css').read_text(encoding='utf-8')}</style>"),
        ],
        "\n",
    )
    body = joined(
        [
            tag(
                "header",
                tag("h1", page.title),
                tag("span", page.kind, class_="kind"),
                tag("button", "light or dark", id="theme", type="button"),
            ),
            tag("nav", joined([tag("a", one.title, href=f"#s{i}") for i, one in enumerate(page.sections)], " ")),
            controls(page),
            tag("noscript", tag("p", "Without JavaScript there are no charts; the tables beneath them are all there.", class_="note")),
            tag("main", joined([section(one, f"s{i}") for i, one in enumerate(page.sections)], "\n")),
            tag("footer", f"Made by steepest {steepest.__version__} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, from records alone."),
            *(Html(f"<script>{text}</script>") for text in scripts),
        ],
        "\n",
    )
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def controls(page: Page) -> Html:
    parts: list[Html] = []
    if len(page.methods) > 1:
        options = [tag("option", "all methods", value=""), *(tag("option", method, value=method) for method in page.methods)]
        parts.append(tag("label", "Show ", tag("select", *options, id="only")))
    if page.many:
        parts.append(tag("label", "Find ", tag("input", id="find", type="search", placeholder="name, task, state")))
    return tag("div", *parts, class_="controls") if parts else Html("")


@cache
def bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script."""
    import vl_convert

    text = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # Within a script element only these two could end it, or hide its end; in text and patterns of JavaScript \x3c is <.
    return re.sub(r"<(?=/script|!--)", r"\\x3c", text, flags=re.IGNORECASE)
