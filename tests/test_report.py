"""A report: everything on one page, nothing on it that runs or loads but its own, and every number of a chart in a table."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from math import exp, isfinite, nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import Seen, browser, drawn, harmless, opened, seen

from steepest import records
from steepest.cli.main import main
from steepest.drivers import DRIVERS
from steepest.regularizers import REGULARIZERS
from steepest.report import ReportError, groups, meanings, report, stories, table, thin
from steepest.report.page import document, page
from steepest.rules import RULES, WRAPPERS
from steepest.schedules import SCHEDULES
from steepest.search.own import Study as Search
from steepest.train import sections as recipe_sections

STEEPEST = [sys.executable, "-c", "from steepest.cli.main import main; main()"]
HOSTILE = "<script>alert(1)<"
METRIC = "</script><img src=x onerror=alert(2)>"
RECIPE = """[optimizer]
rule = "{rule}"
lr = {lr}
[schedule]
lr = {{ shape = "cosine" }}
[run]
seed = {seed}
"""


def write_run(
    folder: Path,
    *,
    rule: str = "adamw",
    lr: float = 0.01,
    seed: int = 0,
    steps: int = 40,
    metric: str = "accuracy",
    layers: int = 2,
    end: bool = True,
) -> Path:
    """A run as training leaves it, with numbers that are known."""
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(RECIPE.format(rule=rule, lr=lr, seed=seed))
    (folder / "task.json").write_text(json.dumps({"name": "digits-mlp", "builtin": "digits-mlp"}))
    (folder / "environment.json").write_text(json.dumps(records.environment()))
    with records.Record(folder / "record.jsonl") as record:
        at = {"at": "2026-11-21T12:00:00+00:00"}
        record.write("begin", 0, version=1, task="digits-mlp", rule=rule, seed=seed, steps=steps, metric=metric, better="higher", time=at)
        for k in range(steps):
            record.write("step", k, loss=exp(-k / 10), lr=lr * (1 - k / steps), time={"seconds": 0.01 * (k + 1)})
            if k % 10 == 0:
                norms = {f"gradient_norm/layer{i}": exp(-i) for i in range(layers)}
                record.write("health", k, numbers={"gradient_norm": 1.0, **norms, "dead/relu": 0.75})
            if k % 10 == 9:
                record.write("evaluation", k + 1, metrics={"loss": exp(-k / 10) + 0.1, metric: k / steps - seed / 100})
        if seed == 1:
            record.write("event", 20, name="rollback", message="step 20: NaN in <b>fc1</b>; back to step 0")
        if end:
            record.write("end", steps, reason="finished", time={"seconds": 0.01 * steps})
    return folder


def write_study(folder: Path) -> Path:
    """16 trials of which only lr matters; the first two are trained further. Two of them left a run."""
    folder.mkdir()
    with records.Record(folder / "study.jsonl") as record:
        record.write(
            "study", 0, version=1, task="digits-mlp", objective="accuracy", better="higher", settings={"strategy": "sobol", "seed": 0}
        )
        for n in range(18):
            trial, start = (n, 0) if n < 16 else (n - 16, 1)
            point = {"optimizer.lr": 10.0 ** -(trial % 4), "optimizer.rule": "lion" if trial // 4 % 2 else "adamw", "schedule.lr": None}
            record.write("job", n, trial=trial, point=point, seed=0, start=start, stop=start + 1, origin="sobol <i>")
            accuracy = 0.9 - 0.1 * (trial % 4) + 0.01 * start
            record.write("result", n, status="done", epochs=1, score=-accuracy, metrics={"accuracy": accuracy}, time={"elapsed": n + 1.0})
        record.write(
            "answer",
            18,
            trial=0,
            metrics={"accuracy": 0.91},
            message="the best of 16",
            test={"accuracy": 0.88},
            importance={"optimizer.lr": 0.7, "batch.size": 0.1},
            advice=["Widen <lr>."],
        )
    (folder / "recipe.toml").write_text(RECIPE.format(rule="adamw", lr=1.0, seed=0))
    for trial in range(2):
        write_run(folder / "trials" / f"{trial:04d}", lr=10.0**-trial)
    return folder


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("single") / "run-1", layers=12)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for i in range(8):
        write_run(folder / f"run-{i + 1}", rule=("adamw", "lion")[i % 2], lr=(0.01, 0.1)[i // 2 % 2], seed=i // 4)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study") / "tuned")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whatever can be named is named to do harm; a line in the middle is torn, and so is the last."""
    folder = write_run(tmp_path_factory.mktemp("hostile") / HOSTILE, metric=METRIC, seed=1, end=False)
    lines = (folder / "record.jsonl").read_text().splitlines()
    lines[7] = lines[7][:25]
    (folder / "record.jsonl").write_text("\n".join(lines) + '\n{"kind":"st')
    (folder / "recipe.toml").write_text('[model]\nname = "</pre><script>alert(3)</script>"\n"<b>" = "&amp;"\n')
    (folder / "confusion.json").write_text(json.dumps({"labels": ["</script>", "1"], "counts": [[3, 1], [0, 4]]}))
    (folder / "samples").mkdir()
    (folder / "samples" / '"><script>.png').write_bytes(b"\x89PNG")
    return folder


# --- one page --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["single", "many", "study", "hostile"])
def test_nothing_on_a_page_runs_or_loads_but_its_own(kind, request):
    harmless(document(page(request.getfixturevalue(kind))))


@pytest.mark.parametrize("kind", ["single", "many", "study", "hostile"])
def test_every_chart_is_drawn_from_the_table_beneath_it(kind, request):
    assert drawn(seen(request.getfixturevalue(kind))) >= 4


def test_what_is_named_to_do_harm_is_text(hostile):
    found = seen(hostile)
    assert HOSTILE in found.text and METRIC in found.text and "</pre><script>alert(3)</script>" in found.text
    assert sum(tag == "script" for tag, _ in found.tags) == len(found.charts()) + 2
    (picture,) = [attrs for tag, attrs in found.tags if tag == "img"]
    assert picture["alt"] == '"><script>' and picture["src"] == "data:image/png;base64,iVBORw=="
    assert not any("alert" in script for script in found.scripts if not script.startswith(("{", "//")))


def test_a_torn_line_is_named_and_the_rest_is_read(hostile):
    found = seen(hostile)
    assert "line 8 is torn" in found.text and "All else was read." in found.text
    (rows,) = [rows for _, rows in found.charts() if {"low", "high"} <= set(rows[0])]
    assert [row["step"] for row in rows if row["of"] == "training"] == [*range(5), *range(6, 40)]
    assert "step 20: NaN in <b>fc1</b>; back to step 0" in found.text and "1 rollback" in found.text


def test_a_run_in_words(single):
    text = seen(single).text
    assert "digits-mlp was learned with adamw with a rate of 0.01, from seed 0: 40 steps in 0.4 s." in text
    assert "The best accuracy on validation data is 0.975, at step 40, 100 % of the way; higher is better." in text
    assert "The best evaluation is the last one" in text and "The run is finished." in text
    assert "75 % of the units of relu let no gradient through" in text
    assert "learning rate: how far one step goes" in text and "steepest train digits-mlp --recipe" in text


def test_what_is_not_there_is_a_gap_also_at_the_end_of_a_row(tmp_path):
    """A line that ends early ends there: an empty last cell is no 0."""
    for name, steps in (("short", 20), ("long", 40)):
        write_run(tmp_path / name, steps=steps)
    for _, rows in seen(tmp_path).charts():
        if rows and set(rows[0]) == {"method", "run", "step", "value"}:
            assert max(row["step"] for row in rows if row["run"] == "short") <= 20
            assert all(row["value"] > 0 for row in rows if row["step"] > 10)


def test_overfitting_is_seen_and_noise_is_not(tmp_path):
    for name, losses in (("over", [1, 0.5, 0.4, 0.4, 0.4, 0.5, 0.6, 0.7]), ("noise", [1, 0.5, 0.4, 0.3, 0.5, 0.4, 0.5, 0.4])):
        (tmp_path / name).mkdir()
        with records.Record(tmp_path / name / "record.jsonl") as record:
            record.write("begin", 0, version=1, task="t", rule="sgd", seed=0, steps=8, metric="loss", better="lower")
            for k, x in enumerate(losses):
                record.write("step", k, loss=x)
                record.write("evaluation", k + 1, metrics={"loss": x})
    assert "around step 5 (0.4, the mean of 3 evaluations) and ends 50 % higher" in seen(tmp_path / "over").text
    assert "by heart" not in seen(tmp_path / "noise").text


def test_many_layers_have_a_row_each_and_few_a_line(single, many):
    def health(folder):
        return next(spec for spec, rows in seen(folder).charts() if any(row.get("of") == "layer1" for row in rows))

    assert health(single)["mark"]["type"] == "rect"
    assert "layer" in health(sorted(many.iterdir())[0])


def test_runs_that_hardly_exist(tmp_path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "recipe.toml").write_text("not toml")
    assert "recipe.toml is not TOML" in seen(tmp_path / "bare").text and "Nothing has been recorded yet." in seen(tmp_path / "bare").text
    (tmp_path / "begun").mkdir()
    with records.Record(tmp_path / "begun" / "record.jsonl") as record:
        record.write("begin", 0, version=1, task="t", rule="sgd", seed=0, steps=5, metric="loss", better="lower")
        record.write("step", 0, loss=nan)
    text = seen(tmp_path / "begun").text
    assert (
        "There is no loss on validation data yet." in text and "steepest resume goes on" in text and "not a finite number at 1 step" in text
    )
    assert "2 runs" in seen(tmp_path).text


def test_long_curves_say_what_was_left_out(tmp_path):
    text = seen(write_run(tmp_path / "long", steps=1000)).text
    assert "4 steps stand in one row: the mean, the least and the greatest of them." in text


# --- many runs, and studies ------------------------------------------------------------------------


def test_methods_are_what_tells_runs_apart(many, tmp_path):
    (group,) = groups.grouped(stories(many))
    assert group.order == ["adamw, lr 0.01", "adamw, lr 0.1", "lion, lr 0.01", "lion, lr 0.1"]
    assert list(group.differ) == ["optimizer.rule", "optimizer.lr"]
    for seed in range(3):
        write_run(tmp_path / f"{seed}", seed=seed)
    assert groups.grouped(stories(tmp_path))[0].order == ["adamw"]
    for i in range(12):
        write_run(tmp_path / f"other-{i}", lr=0.01 + i, rule="lion")
    assert set(groups.grouped(stories(tmp_path))[0].order) == {"adamw", "lion"}


def test_bands_are_those_of_the_runs(many):
    (rows,) = [rows for _, rows in seen(many).charts() if rows and {"low", "n"} <= set(rows[0]) and rows[-1]["value"] > 0.9]
    last = [row for row in rows if row["step"] == 40]
    assert [row["method"] for row in last] == groups.grouped(stories(many))[0].order
    assert all(row["n"] == 2 and row["low"] == 0.965 and row["high"] == 0.975 and row["value"] == 0.97 for row in last)


def test_a_study_in_words_and_charts(study):
    found = seen(study)
    assert "16 trials of digits-mlp in 18 epochs and 18 s: 18 done. The study: unfinished." in found.text
    assert "The answer is trial 0: the best of 16." in found.text and "On test data: accuracy 0.88." in found.text
    course = next(rows for _, rows in found.charts() if "best" in rows[0] and "value" in rows[0])
    assert [row["best"] for row in course] == [0.9] * 16 + [0.91] * 2 and [row["step"] for row in course] == [*range(1, 19)]
    shares = next(rows for _, rows in found.charts() if "share" in rows[0])
    assert shares == [{"name": "optimizer.lr", "share": 0.7}, {"name": "batch.size", "share": 0.1}] and "Widen <lr>." in found.text


def test_a_folder_of_studies_holds_the_runs_of_their_trials(study):
    assert [x.name for x in stories(study.parent)] == [f"{study.name}/trials/0000", f"{study.name}/trials/0001"]


def test_a_study_with_a_torn_line_is_read(study, tmp_path):
    shutil.copytree(study, tmp_path / "torn")
    path = tmp_path / "torn" / "study.jsonl"
    lines = path.read_text().splitlines()
    lines[12] = '{"kind":"result","step":5,"status":7}'
    path.write_text("\n".join(lines) + "\n")
    text = seen(tmp_path / "torn").text
    assert "study.jsonl, line 13" in text and "15 trials of digits-mlp" in text


def test_200_runs_fit(tmp_path):
    write_run(tmp_path / "run-1", steps=200)
    for i in range(2, 201):
        shutil.copytree(tmp_path / "run-1", tmp_path / f"a run with a rather long name, number {i}")
    assert len(document(page(tmp_path)).encode()) < 2e6


# --- long curves, short ----------------------------------------------------------------------------


@given(st.lists(st.floats(-1e6, 1e6), max_size=200), st.integers(1, 50))
def test_bins_keep_ends_and_means(values, most):
    bins, size = thin.binned(list(enumerate(values)), most)
    assert len(bins) <= most and all(b.low - 1e-6 <= b.mean <= b.high + 1e-6 for b in bins)
    assert [b.step for b in bins] == [*range(0, len(values), size)]
    if values:
        assert min(b.low for b in bins) == min(values) and max(b.high for b in bins) == max(values)


@given(st.lists(st.integers(), max_size=200), st.integers(1, 50))
def test_a_spread_keeps_the_last(values, most):
    found = thin.spread(values, most)
    assert found[-1:] == values[-1:] and len(found) <= min(most + 1, len(values)) and found[:1] == values[:1]


@given(st.integers(1, 10**7), st.integers(2, 100))
def test_a_grid_is_round_and_covers(end, most):
    steps = thin.grid(end, most)
    assert len(steps) <= most and steps[-1] >= end and (len(steps) == 1 or steps[-2] < end)
    assert str(steps[0]).rstrip("0") in ("1", "2", "5")


def test_laid_side_by_side():
    assert thin.laid([(1, 2.0), (2, 4.0), (5, 1.0)], [2, 4, 6]) == [3.0, None, 1.0]
    gap = thin.laid([(1, 2.0), (2, nan)], [2])
    assert gap[0] is not None and not isfinite(gap[0])


# --- what values mean ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "registry"),
    [("rules", RULES), ("wrappers", WRAPPERS), ("schedules", SCHEDULES), ("regularizers", REGULARIZERS), ("drivers", DRIVERS)],
)
def test_meanings_are_those_declared(kind, registry):
    assert list(meanings.registry(kind)) == list(registry)
    for name, cls in registry.items():
        known = meanings.fields(*meanings.registry(kind)[name])
        declared = {f.name: next(iter(f.metadata.values())) for f in fields(cls) if f.metadata and f.name != "values"}
        assert {key: known[key].meaning for key in declared} == {key: spec.meaning for key, spec in declared.items()}, name
        assert all(known[key].default in (None, spec.default) for key, spec in declared.items()), name


@pytest.mark.parametrize("name", ["Optimizing", "Batch", "Stop", "Run"])
def test_meanings_of_sections_are_those_declared(name):
    declared = {f.name: next(iter(f.metadata.values())) for f in fields(getattr(recipe_sections, name))}
    assert meanings.fields("steepest.train.sections", name) == {key: (spec.meaning, spec.default) for key, spec in declared.items()}


def test_every_value_of_a_real_recipe_has_a_meaning():
    from steepest.report.reading import flat
    from steepest.tasks import TASKS, recipe_text

    for task in TASKS:
        settings = flat(__import__("tomllib").loads(recipe_text(task) or ""))
        assert all(meanings.said(settings, path).meaning for path in settings), task


def test_what_nobody_declared_has_no_meaning():
    settings = {"optimizer.rule": "not yet invented", "optimizer.zeta": 1, "regularize.fog.x": 2, "future.a": 3, "init.plan": 7}
    assert [meanings.said(settings, path).meaning for path in list(settings)[1:]] == [""] * 4


# --- tables for other programs ---------------------------------------------------------------------


def test_csv_has_every_digit(many):
    found = list(csv.DictReader(io.StringIO(table(stories(many), "csv").decode())))
    assert [row["run"] for row in found] == [f"run-{i}" for i in range(1, 9)]
    assert found[0]["best"] == "0.975" and found[7]["optimizer.rule"] == "lion" and found[7]["optimizer.lr"] == "0.1"
    assert "schedule.lr" not in found[0]


def test_markdown_and_latex_escape(tmp_path):
    write_run(tmp_path / "a|b_100%&<i>")
    markdown, latex = (table(stories(tmp_path), kind).decode() for kind in ("markdown", "latex"))
    assert markdown.splitlines()[2].startswith(r"| a\|b\_100%&amp;&lt;i&gt; | finished |") and len(markdown.splitlines()) == 3
    assert r"a|b\_100\%\&<i>" in latex and latex.startswith(r"\begin{tabular}{lll") and r"\bottomrule" in latex


def test_parquet_asks_for_what_it_needs(many, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReportError, match="the format parquet needs pyarrow: pip install pyarrow"):
        table(stories(many), "parquet")


def test_parquet(many):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    found = parquet.read_table(io.BytesIO(table(stories(many), "parquet"))).to_pylist()
    assert found[0]["best"] == 0.975 and found[0]["seed"] == 0


# --- the command line ------------------------------------------------------------------------------


def mistake(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["report", *argv])
    out, err = capsys.readouterr()
    assert end.value.code == 2 and out == "" and err.count("\n") == 1
    return err.removeprefix("steepest: ").rstrip()


def test_mistakes_are_said_in_one_line(many, tmp_path, capsys):
    assert mistake(capsys, "nowhere") == "there is nothing to report at nowhere: it does not exist"
    assert mistake(capsys, str(tmp_path)).endswith("it holds no runs")
    assert mistake(capsys, str(many), "--format", "cvs") == "there is no format 'cvs'; did you mean csv?"
    assert mistake(capsys, str(many), "--format", "csv", "--open").startswith("--open shows a page, and csv is none")
    assert mistake(capsys, str(many), "--format", "parquet") == "parquet is not for a screen; say --out runs.parquet"
    assert "cannot be written: No such file or directory; --out says where else" in mistake(
        capsys, str(many), "--out", str(tmp_path / "no" / "x.html")
    )
    with pytest.raises(ReportError, match="there is no format 'htm'"):
        table(stories(many), "htm")


def test_a_page_is_written_beside_what_it_tells_of(single, many, tmp_path, capsys):
    main(["report", str(single)])
    assert capsys.readouterr().out.strip() == str(single / "report.html")
    assert (single / "report.html").read_text().startswith("<!DOCTYPE html>")
    main(["report", str(many), "--out", str(tmp_path / "runs.md")])
    assert (tmp_path / "runs.md").read_text().startswith("| run |")
    main(["report", str(many), "--format", "csv"])
    assert capsys.readouterr().out.splitlines()[-8].startswith("run-1,")


def test_a_real_run_without_torch(tmp_path):
    folder = tmp_path / "run"
    command = [*STEEPEST, "train", "digits-mlp", "--recipe", "plain", "--set", "stop.epochs=2", "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    code = "import sys; from steepest.cli.main import main; main(sys.argv[1:]); assert not {'torch', 'steepest.train'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code, "report", str(folder)], check=True, capture_output=True)
    found = Seen((folder / "report.html").read_text())
    assert "digits-mlp was learned with gd" in found.text and "The run is finished." in found.text
    assert {"accuracy", "Loss", "Learning rate", "Gradient norms"} <= set(found.texts)


def test_a_study_in_a_notebook(study, tmp_path):
    found = Seen(records.study(study)._repr_html_())
    assert {tag for tag, _ in found.tags} == {"table", "tr", "th", "td"} and "the best of 16" in found.text and "0.91" in found.text
    shutil.copytree(study, tmp_path / "<b>")
    lines = (study / "study.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "<b>" / "study.jsonl").write_text("".join(lines[:3]).replace("digits-mlp", "<script>"))
    found = Seen(records.study(tmp_path / "<b>")._repr_html_())
    assert {tag for tag, _ in found.tags} == {"table", "tr", "th", "td"} and "<script>" in found.text and "unfinished" in found.text
    own = Search({"lr": {"low": 1e-3, "high": 1.0, "log": True}}, budget="2runs", strategy="random", maximize=True)
    assert Seen(own._repr_html_()).text == "results 0"
    for trial, x in zip(own, (1.5, 2.5), strict=True):
        own.tell(trial, x)
    assert "2.5" in Seen(own._repr_html_()).text


def test_a_run_in_a_notebook(hostile, single, tmp_path):
    found = Seen(records.run(single)._repr_html_())
    assert "finished" in found.text and "0.975 at step 40" in found.text and any(tag == "polyline" for tag, _ in found.tags)
    named = Seen(records.run(hostile)._repr_html_())
    assert (
        {tag for tag, _ in named.tags} <= {"table", "tr", "th", "td", "svg", "polyline"} and METRIC in named.text and HOSTILE in named.text
    )
    shutil.copytree(single, tmp_path / "<b>")
    with (tmp_path / "<b>" / "record.jsonl").open("a") as file:
        file.write('{"kind":"evaluation","st\n')
    broken = Seen(records.run(tmp_path / "<b>")._repr_html_())
    assert [tag for tag, _ in broken.tags] == ["p"] and "is torn" in broken.text and "<b>" in broken.text


# --- a real browser --------------------------------------------------------------------------------

USER = """<script>
(async () => {
  const said = document.body.appendChild(document.createElement("output"));
  const until = async ready => { while (!ready()) await new Promise(done => setTimeout(done, 20)); };
  const root = document.documentElement;
  const runs = () => [...document.querySelectorAll("table.runs tbody tr")];
  const marks = () => document.querySelectorAll("#s1-1 .mark-symbol path").length;
  await until(() => root.dataset.drawn);
  const facts = { charts: root.dataset.drawn, saves: document.querySelectorAll(".vega-actions a").length, marks: marks() };
  const only = document.getElementById("only");
  only.value = only.options[1].value;
  only.dispatchEvent(new Event("change"));
  await until(() => marks() < facts.marks);
  facts.filtered = [marks(), runs().filter(row => !row.hidden).length];
  const head = [...document.querySelectorAll("table.runs th")].find(cell => cell.dataset.name === "best");
  head.click();
  facts.sorted = runs().map(row => row.cells[head.cellIndex].textContent);
  const paper = () => getComputedStyle(document.querySelector(".chart svg")).backgroundColor;
  const before = paper();
  document.getElementById("theme").click();
  await until(() => document.querySelector(".chart.dark svg"));
  facts.paper = [before, paper()];
  said.textContent = JSON.stringify(facts);
})();
</script>"""


@browser
@pytest.mark.parametrize("kind", ["single", "many", "study", "hostile"])
def test_a_browser_draws_every_chart(kind, request, tmp_path):
    report(request.getfixturevalue(kind), tmp_path / "page.html")
    text = opened(tmp_path / "page.html")
    charts = sum(attrs.get("class") == "chart" for _, attrs in Seen((tmp_path / "page.html").read_text()).tags)
    assert f'data-drawn="{charts}"' in text and text.count("<svg") >= charts and "This chart cannot be drawn" not in Seen(text).text


@browser
def test_a_browser_filters_sorts_and_darkens(many, tmp_path):
    report(many, tmp_path / "page.html")
    # The policy would keep the user's hands out, too.
    text = re.sub(r"<meta http-equiv[^>]*>", "", (tmp_path / "page.html").read_text(), count=1)
    (tmp_path / "used.html").write_text(text.removesuffix("</body>\n</html>\n") + USER)
    found = re.search(r"<output>(.*?)</output>", opened(tmp_path / "used.html"))
    assert found
    facts = json.loads(found[1])
    assert facts["saves"] == 2 * int(facts["charts"]) and facts["marks"] == 8 and facts["filtered"] == [2, 2]
    assert facts["sorted"] == sorted(facts["sorted"], key=float) and len(facts["sorted"]) == 8
    assert facts["paper"] == ["rgb(255, 255, 255)", "rgb(26, 31, 38)"]
    assert opened(tmp_path / "page.html", "#only=lion%2C%20lr%200.1").count('hidden=""') == 6
