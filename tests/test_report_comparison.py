"""The page of a comparison: what the record says, the doubts beside it, and nothing that the record does not carry."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from comparisons import write, write_many
from pages import Seen, browser, drawn, harmless, opened, seen

from steepest import records
from steepest.report import ReportError, report
from steepest.report.page import document, page

HOSTILE = ("<script>alert(1)</script>", "\"q\" 'single' & 🙂", "m" * 300)
UNEQUAL = "Budgets are not equal: <b>sgd</b> had 5 trials, lion 10."
# The page waits for nothing: what is asked for before printing is there when the paper is laid out.
PRINT = """<script>
dispatchEvent(new Event("beforeprint"));
Promise.resolve().then(async () => {
  for (let i = 0; i < 1000; i++) await null;
  document.body.appendChild(document.createElement("output")).textContent = document.querySelectorAll(".chart svg.marks").length;
});
</script>"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("done") / "five", ("sgd", "momentum", "adam", "lion"), trials=8, missed=["sgd"])


@pytest.fixture(scope="module")
def going(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("going") / "three", done=False)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_many(tmp_path_factory.mktemp("several") / "tasks")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("hostile") / "<i>", HOSTILE, unequal=UNEQUAL)


def answer(folder: Path) -> dict[str, Any]:
    found = records.study(folder).answer
    assert found
    return found["comparison"]


def changed(folder: Path, to: Path, change: Any) -> Path:
    """A copy whose lines of the study are changed, one by one."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("trials"))
    lines = [json.loads(line) for line in (folder / "study.jsonl").read_text().splitlines()]
    for line in lines:
        change(line)
    (to / "study.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return to


def chart_with(found: Seen, *columns: str) -> list[dict[str, Any]]:
    return next(rows for _, rows in found.charts() if set(columns) <= set(rows[0]))


@pytest.mark.parametrize("kind", ["done", "going", "several", "hostile"])
def test_a_page_is_harmless_and_its_charts_are_drawn_from_tables(kind, request):
    text = document(page(request.getfixturevalue(kind)))
    harmless(text)
    assert drawn(Seen(text)) >= 4


def test_verdicts_come_first_in_words(done):
    text = seen(done).text
    said = [verdict["words"] for verdict in answer(done)["verdicts"]]
    assert len(said) == 6 and all(sentence in text for sentence in said)
    assert text.index("lion beats adam by") < text.index("lion beats momentum by") < text.index("momentum beats sgd (better in 10 of 10")
    assert text.index("momentum beats sgd") < text.index("Nothing was chosen by test data") < text.index("How firm the order is")
    assert "Laid down beforehand: 4 methods x 1 study x (8 trials + 10 fresh seeds) = 72 trainings." in text


def test_what_is_said_against_a_method_stands_beside_its_name(done):
    found = seen(done)
    standings = next(t for t in found.tables if t["heads"] and t["heads"][0].get("data-name") == "place")
    names = [row[1] for row in standings["rows"] if row]
    assert names == ["lion", "adam", "momentum", "sgd undertuned: lr at the edge"]
    assert standings["rows"][-1][5] == "2" and standings["rows"][1][5] == ""
    assert "sgd is undertuned: its best lr = 0.09" in found.text


def test_unequal_budgets_are_said_before_any_verdict(hostile, done):
    found = seen(hostile)
    assert found.text.count(UNEQUAL) == 2 and found.text.index(UNEQUAL) < found.text.index("has the best mean")
    assert any(attrs.get("class") == "warning" for _, attrs in found.tags)
    assert not any(attrs.get("class") == "warning" for _, attrs in seen(done).tags)


def test_intervals_and_dots_are_those_of_the_record(done):
    own, rows = answer(done), chart_with(seen(done), "score", "mean", "low")
    for standing in own["standings"]:
        mine = [row for row in rows if row["method"] == standing["method"]]
        assert mine[0]["mean"] == pytest.approx(standing["mean"], rel=1e-4)
        low = records.number(standing["low"])
        assert mine[0]["low"] == (pytest.approx(low, rel=1e-4) if low == low else None)
        scores = own["scores"][standing["method"]].values()
        assert [row["score"] for row in mine[1:]] == [None if x is None else pytest.approx(x, rel=1e-4) for x in scores]


def test_each_against_each_says_both_ways(done):
    rows = chart_with(seen(done), "against", "said")
    cells = {(row["method"], row["against"]): row for row in rows}
    assert len(cells) == 12 and {row["verdict"] for row in rows} == {"better", "worse"}
    for (a, b), row in cells.items():
        other = cells[b, a]
        assert {row["verdict"], other["verdict"]} == {"better", "worse"} and row["p"] == other["p"]
        assert row["ahead"] is None if "sgd" in (a, b) else (row["ahead"], row["low"]) == (-other["ahead"], -other["high"])
    wide = next(x for x in answer(done)["verdicts"] if {x["first"], x["second"]} == {"lion", "momentum"})
    assert cells["lion", "momentum"]["ahead"] == pytest.approx(100 * wide["difference"], rel=1e-4)  # points
    assert cells["lion", "sgd"]["said"].startswith("p 0.0")


def test_what_is_open_is_called_so(done, tmp_path):
    def open_it(line: dict[str, Any]) -> None:
        if line["kind"] == "answer":
            line["comparison"]["verdicts"][0] |= {"kind": "open", "more": 19, "words": "not distinguishable, they are"}

    found = seen(changed(done, tmp_path / "open", open_it))
    assert "not distinguishable, they are" in found.text and "about 19 more" in found.text
    assert sum(row["verdict"] == "not distinguishable" for row in chart_with(found, "against", "said")) == 2


def test_curves_trials_and_places_are_those_of_the_record(done):
    found, own = seen(done), answer(done)
    places = chart_with(found, "place", "share")
    assert [row["share"] for row in places if row["method"] == "lion"] == pytest.approx(own["ranking"]["shares"]["lion"], abs=1e-4)
    best = chart_with(found, "method", "step", "value")
    for name, values in own["expected_best"].items():
        mine = next(rows for _, rows in found.charts() if set(rows[0]) == {"method", "step", "value"})
        assert [row["value"] for row in mine if row["method"] == name] == pytest.approx(values, rel=1e-4)
    assert best
    bands = chart_with(found, "step", "low", "n")
    assert [row["value"] for row in bands if row["method"] == "adam"] == pytest.approx(own["curves"]["adam"]["mean"], rel=1e-4)
    assert f"The target: {own['target']['words']}" in found.text


def test_choices_by_other_names_are_one_chart(done, tmp_path):
    """Each method may call its rate by a name of its own; the path in the recipe is what they share."""

    def rename(line: dict[str, Any]) -> None:
        for method in line.get("comparison", {}).get("methods", ()) if line["kind"] == "study" else ():
            method["space"][0]["name"] = f"{method['name']}.lr"
        if line["kind"] == "job" and "lr" in line["point"]:
            line["point"][f"{line['point']['method']}.lr"] = line["point"].pop("lr")

    found = seen(changed(done, tmp_path / "named", rename))
    rates = [rows for spec, rows in found.charts() if {"x", "best"} <= set(rows[0]) and "optimizer.lr" in json.dumps(spec)]
    assert len(rates) == 1 and {row["method"] for row in rates[0]} == {"sgd", "momentum", "adam", "lion"} and len(rates[0]) == 28


def test_how_to_do_it_again(done):
    text = seen(done).text
    assert "steepest compare digits-mlp --rules sgd,momentum,adam,lion" in text and f"steepest compare --resume {done}" in text
    for row in answer(done)["chosen"]:
        assert f"--recipe {done}/trials/{row['trial']:04d}/recipe.toml" in text and f"The recipe of {row['method']}" in text


# --- what is not done, and what is broken ----------------------------------------------------------


def test_before_the_end_there_is_what_there_is(going):
    found = seen(going)
    assert "There is no verdict yet: 18 of 42 trainings are done." in found.text and "steepest compare --resume goes on" in found.text
    rows = chart_with(found, "score", "mean")
    assert len(rows) == 18 and sum("fresh seed" in row["run"] for row in rows) == 6
    assert "beats" not in found.text and "How firm" not in found.text


def test_a_comparison_that_has_only_begun(going, tmp_path):
    (tmp_path / "begun").mkdir()
    first = (going / "study.jsonl").read_text().splitlines(keepends=True)[0]
    (tmp_path / "begun" / "study.jsonl").write_text(first + '{"kind":"jo')
    text = seen(tmp_path / "begun").text
    assert "There is no verdict yet: 0 of 42" in text and "What the methods are" in text and "could not be read" not in text


def test_torn_lines_are_named_and_the_rest_is_read(done, tmp_path):
    shutil.copytree(done, tmp_path / "torn", ignore=shutil.ignore_patterns("trials"))
    path = tmp_path / "torn" / "study.jsonl"
    lines = path.read_text().splitlines()
    lines[7] = lines[7][:40]
    path.write_text("\n".join(lines) + "\n")
    text = seen(tmp_path / "torn").text
    assert "study.jsonl, line 8 is torn" in text and "lion beats adam by" in text
    path.write_text("\n".join(["{", *lines[1:]]) + "\n")  # then it is a study of unknown making
    assert "study.jsonl, line 1 is torn" in seen(tmp_path / "torn").text


@pytest.mark.parametrize(
    ("key", "value", "there"),
    [
        ("verdicts", 7, "The best of so many trials"),
        ("standings", [{"method": "lion"}], "lion beats adam by"),
        ("chosen", {"a": 1}, "lion beats adam by"),
        ("curves", {"lion": {"epochs": [1]}}, "lion beats adam by"),
        ("target", {"words": "x"}, "lion beats adam by"),
        ("ranking", [], "lion beats adam by"),
        ("flags", [None], "The best of so many trials"),
    ],
)
def test_a_record_unlike_any_costs_its_section_alone(done, tmp_path, key, value, there):
    def spoil(line: dict[str, Any]) -> None:
        if line["kind"] == "answer":
            line["comparison"][key] = value

    found = seen(changed(done, tmp_path / "spoiled", spoil))
    assert there in found.text and (key in ("ranking",) or "the record is unlike any that is known here" in found.text)


def test_names_are_text(hostile):
    found = seen(hostile)
    for name in HOSTILE:
        assert name in found.text
        assert any(row["method"] == name for row in chart_with(found, "score", "mean"))
    assert {attrs.get("value") for tag, attrs in found.tags if tag == "option"} == {"", *HOSTILE}
    assert not {tag for tag, _ in found.tags} & {"b", "i"}
    assert not any("alert(1)" in script for script in found.scripts if not script.startswith(("{", "//")))


# --- several tasks ---------------------------------------------------------------------------------


def test_over_all_tasks(several):
    found = seen(several)
    assert "2 tasks, 2 begun, 2 with verdicts." in found.text and "lion comes to the targets first" in found.text
    profile = next(rows for spec, rows in found.charts() if "times the steps of the quickest" in json.dumps(spec))
    known = json.loads((several / "comparison.json").read_text())["conclusion"]["profiles"]["steps"]
    assert [row["value"] for row in profile if row["method"] == "adamw"] == pytest.approx(known["shares"]["adamw"], rel=1e-4)
    assert "not reached" in found.text and f"steepest report {several}/lenet5-mnist" in found.text


def test_a_method_has_one_color_whatever_its_place_on_a_task(several, tmp_path):
    shutil.copytree(several, tmp_path / "tasks", ignore=shutil.ignore_patterns("trials"))
    path = tmp_path / "tasks" / "comparison.json"
    whole = json.loads(path.read_text())
    whole["conclusion"]["scores"]["steps"] = {"adamw": 0.2, "lion": 0.1, "sgd": 0.9}  # on each task sgd is the last
    path.write_text(json.dumps(whole))
    assert {tuple(x) for spec, _ in seen(path.parent).charts() for x in domains(spec)} == {("sgd", "adamw", "lion")}


def domains(spec):
    """Of the methods' colors."""
    if isinstance(spec, dict):
        own = spec.get("color")
        if isinstance(own, dict) and own.get("field") == "method":
            yield own["scale"]["domain"]
        for part in spec.values():
            yield from domains(part)
    elif isinstance(spec, list):
        for part in spec:
            yield from domains(part)


def test_several_tasks_with_a_broken_file(several, tmp_path):
    shutil.copytree(several, tmp_path / "broken", ignore=shutil.ignore_patterns("trials"))
    path = tmp_path / "broken" / "comparison.json"
    path.write_text("{")
    text = seen(tmp_path / "broken").text
    assert "comparison.json cannot be read" in text and text.count("lion beats adamw by") == 2
    shutil.copytree(tmp_path / "broken" / "digits-mlp", tmp_path / "elsewhere")
    path.write_text(json.dumps({"kind": "comparison", "version": 1, "tasks": [{"folder": "../elsewhere"}, {"folder": ".."}, 3]}))
    text = seen(tmp_path / "broken").text
    assert "3 tasks, 0 begun" in text and "No task has ended" in text and "beats" not in text


def test_a_folder_of_comparisons_is_no_folder_of_runs_alone(done, tmp_path):
    assert report(done, tmp_path / "x.html").read_text().count("A comparison of 4 methods") == 1
    with pytest.raises(ReportError, match="it holds no runs"):
        report(tmp_path)


# --- a real browser --------------------------------------------------------------------------------


@browser
@pytest.mark.parametrize("kind", ["done", "going", "several", "hostile"])
def test_a_browser_draws_every_chart(kind, request, tmp_path):
    report(request.getfixturevalue(kind), tmp_path / "page.html")
    text = opened(tmp_path / "page.html")
    charts = sum(attrs.get("class") == "chart" for _, attrs in Seen((tmp_path / "page.html").read_text()).tags)
    assert f'data-drawn="{charts}"' in text and "This chart cannot be drawn" not in Seen(text).text


@browser
def test_all_charts_are_there_before_a_page_is_printed(done, tmp_path):
    report(done, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    start = text.index("<meta http-equiv")  # the policy would keep out what is added here
    text = text[:start] + text[text.index(">", start) + 1 :]
    (tmp_path / "printed.html").write_text(text.removesuffix("</body>\n</html>\n") + PRINT)
    charts = sum(attrs.get("class") == "chart" for _, attrs in Seen(text).tags)
    assert f"<output>{charts}</output>" in opened(tmp_path / "printed.html")
