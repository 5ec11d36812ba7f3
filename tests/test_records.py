"""Records: exact and quick to write, forgiving where a writer died, strict elsewhere; and how runs are shown."""

import io
import json
import math
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from training import recipe, task

from steepest.cli import curve, runs, show
from steepest.cli.console import READABLE
from steepest.cli.curve import columns, picture
from steepest.cli.runs import list_runs, printable, span
from steepest.cli.show import show_run
from steepest.core.errors import SettingError
from steepest.records import KINDS, Record, RecordError, Summary, check, cut, environment, keep, number, position_before, read, run
from steepest.records.schema import COMMON, TYPES, VERSION
from steepest.train import sinks
from steepest.train.run import train

DOCS = Path(__file__).parent.parent / "docs" / "records.md"
BEGIN = dict(version=1, task="digits", rule="adamw", seed=0, steps=4, metric="accuracy", better="higher")
GOOD = {
    "begin": BEGIN,
    "step": dict(loss=0.7, lr=1e-3, norm="inf"),
    "evaluation": dict(metrics={"accuracy": 0.5, "loss": "nan"}, split="test"),
    "event": dict(name="rollback", message="NaN in conv1"),
    "health": dict(numbers={"dead": 0}, warning="look"),
    "end": dict(reason="finished"),
    "study": dict(version=1, task="digits", objective="loss", better="lower", settings={"seed": 0}),
    "job": dict(trial=3, point={"lr": 0.1}, seed=7, start=0, stop=4, origin="portfolio 3"),
    "result": dict(status="done", epochs=4, score=0.1, metrics={"loss": 0.1}, error=""),
    "answer": dict(
        trial=3, metrics={"loss": 0.1}, message="the lowest", test={"loss": 0.2}, importance={"optimizer.lr": 0.6}, advice=["Go on."]
    ),
}


def record(folder: Path, lines: list[tuple[str, int, dict]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with Record(folder / "record.jsonl") as made:
        for kind, step, fields in lines:
            made.write(kind, step, **fields)
    return folder / "record.jsonl"


def small(folder: Path, end: bool = True, values: tuple = (0.5, 0.8, 0.8, 0.7), **begin: object) -> Path:
    lines: list[tuple[str, int, dict]] = [("begin", 0, BEGIN | begin | dict(time={"at": "2026-01-01T00:00:00Z"}))]
    for k, value in enumerate(values):
        lines.append(("step", k, dict(loss=1 / (k + 1), lr=0.1, time={"seconds": k + 0.5})))
        lines.append(("evaluation", k + 1, dict(metrics={"accuracy": value}, time={"seconds": 99.0})))
        lines.append(("evaluation", k + 1, dict(metrics={"accuracy": 1.0}, split="train")))
    lines += [("event", 4, dict(name="rollback", message="NaN in conv1")), ("health", 4, GOOD["health"])]
    return record(folder, lines + ([("end", 4, dict(reason="finished"))] if end else []))


# --- the schema ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_writer_writes_is_what_the_schema_says(tmp_path: Path, kind: str) -> None:
    path = record(tmp_path, [(kind, 3, GOOD[kind] | dict(time={"seconds": 1.5, "at": "now"}, more=[1, None]))])
    (line,) = read(path)
    check(line)
    assert line == {"kind": kind, "step": 3} | GOOD[kind] | dict(time={"seconds": 1.5, "at": "now"}, more=[1, None])
    for name, field in (COMMON | KINDS[kind]).items():
        for wrong in ([1], -1.5, True, "sideways", None):
            if not TYPES[field.type](wrong):
                with pytest.raises(RecordError, match=rf"{name} = .* is n(ot|one of)"):
                    check(line | {name: wrong})
        if field.required and name != "kind":
            with pytest.raises(RecordError, match=f"{kind} lacks {name}: "):
                check({key: x for key, x in line.items() if key != name})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ([], r"a line is a JSON object, not \[\]"),
        ({}, "kind = None is none of begin, step, evaluation, event, health, end"),
        (dict(kind="step", step=0, loss=math.nan), "step holds NaN or infinity as a number|step.loss = nan is not a number"),
        (dict(kind="step", step=0, loss=1, x=[math.inf]), "step holds NaN or infinity as a number; it is the text nan, inf or -inf"),
        (
            dict(kind="begin", step=0, **BEGIN | dict(version=2)),
            "version 2 of the record is newer than 1, which this steepest reads: upgrade",
        ),
        (dict(kind="step", step=0, loss="x" * 500), r"step.loss = 'x{50,60}\.\.\. is not a number"),
        (dict(kind="health", step=0, numbers={"a": "high"}), "health.numbers = {'a': 'high'} is not an object of numbers"),
    ],
)
def test_what_a_line_may_not_be(line: object, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        check(line)


def test_the_table_in_the_docs_is_the_schema() -> None:
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in DOCS.read_text().splitlines() if line.startswith("| ")]
    written = [tuple(cell.strip().strip("`") for cell in row[:3]) for row in rows if row[1].strip().startswith("`")]
    expected = [("all", name, field) for name, field in COMMON.items()]
    expected += [(kind, name, field) for kind, fields in KINDS.items() for name, field in fields.items()]
    assert written == [(kind, name, field.type + ("" if field.required else ", optional")) for kind, name, field in expected]
    assert f"version {VERSION}" in DOCS.read_text()


# --- writing and reading -------------------------------------------------------------------------------

VALUES = [0.1 + 0.2, -0.0, 5e-324, 2**70, np.float64(0.1), True, None, 'é "quoted" \n\udc80\x1b', [1, (2, 3)], {"a": {"b": []}}]


def test_values_come_back_exactly(tmp_path: Path) -> None:
    (line,) = read(record(tmp_path, [("step", 0, dict(loss=0.5, values=VALUES))]))
    assert line["values"] == [*VALUES[:8], [1, [2, 3]], {"a": {"b": []}}] and math.copysign(1, line["values"][1]) == -1
    assert (tmp_path / "record.jsonl").read_bytes().isascii()


def test_nan_is_text(tmp_path: Path) -> None:
    path = record(tmp_path, [("step", 0, dict(loss=math.nan, x=[math.inf, {"y": -math.inf}], z=np.float64("nan")))])
    assert path.read_text() == '{"kind":"step","step":0,"loss":"nan","x":["inf",{"y":"-inf"}],"z":"nan"}\n'
    (line,) = read(path)
    check(line)
    assert math.isnan(number(line["loss"])) and number(line["x"][0]) == math.inf


@pytest.mark.parametrize("loss", [0.1 + 0.2, 1e-300, 1e22, -0.0, np.float64(0.7), math.nan, -math.inf])
def test_the_short_way_to_a_step_is_the_long_one(tmp_path: Path, loss: float) -> None:
    with Record(tmp_path / "long") as long, Record(tmp_path / "short") as short:
        for k in range(250):
            long.write("step", k, loss=loss, lr=1e-3 / (k + 1), time={"seconds": k / 7})
            short.step(k, loss, 1e-3 / (k + 1), k / 7)
            if k % 70 == 0:
                assert long.position == short.position
                for record in (long, short):
                    record.write("event", k, name="x", message="y")
    assert (tmp_path / "long").read_bytes() == (tmp_path / "short").read_bytes()
    short.step(0, loss, 0.1, 0.0)
    with pytest.raises(RecordError, match="is closed"):
        short.flush()


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with Record(tmp_path / "r") as made:
        with pytest.raises(RecordError, match="kind = 'stp' is none of begin, step"):
            made.write("stp", 0)
        with pytest.raises(RecordError, match=r"event: a line takes numbers, text, lists and dicts alone: .*float32"):
            made.write("event", 0, message=np.float32(1))
        with pytest.raises(RecordError, match="step: a line takes numbers"):
            made.write("step", 0, loss=np.float32(1))
    assert (tmp_path / "r").read_bytes() == b""
    with pytest.raises(RecordError, match="r is closed"):
        made.write("step", 0)


def test_position_and_flush(tmp_path: Path) -> None:
    path = tmp_path / "r"
    made = Record(path)
    positions = [made.position]
    for k in range(3):
        made.write("step", k, loss=1.0)
        positions.append(made.position)
    assert path.stat().st_size == 0, "they wait"
    made.flush(sync=True)
    assert path.stat().st_size == made.position == positions[-1]
    made.write("step", 3, loss=1.0)
    made.close()
    made.close()
    assert path.stat().st_size == made.position
    again = Record(path)
    assert again.position == made.position
    for _ in range(10_000):
        again.write("step", 4, loss=1.0)
    assert 0 < again.position - path.stat().st_size < 2**17, "many do not wait for a flush"
    again.close()


def test_a_fork_writes_nothing_twice(tmp_path: Path) -> None:
    code = f"""
import os
from steepest.records import Record
made = Record({str(tmp_path / "r")!r})
made.write("step", 0, loss=1.0)
if os.fork() == 0:
    raise SystemExit
os.wait()
made.close()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(list(read(tmp_path / "r"))) == 1


def test_a_torn_last_line_is_passed_over_and_then_replaced(tmp_path: Path) -> None:
    path = small(tmp_path)
    lines, whole = list(read(path)), path.read_bytes()
    for size in range(len(whole) - 1, len(whole) - 80, -1):
        path.write_bytes(whole[:size])
        kept = list(read(path))
        assert kept == lines[: len(kept)] and len(kept) == whole[:size].count(b"\n")
        with Record(path) as made:
            made.write("end", 9, reason="again")
        assert list(read(path)) == [*kept, {"kind": "end", "step": 9, "reason": "again"}]
    path.write_bytes(whole + b"\0" * 4096)
    assert list(read(path)) == lines


def test_a_writer_killed_at_any_moment_leaves_whole_lines(tmp_path: Path) -> None:
    code = "import sys\nfrom steepest.records import Record\nmade = Record(sys.argv[1])\nprint(flush=True)\nk = 0\n"
    code += "while True:\n    made.write('step', k, loss=0.5, x='y' * 999)\n    k += 1\n"
    for i in range(5):
        path = tmp_path / str(i)
        child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
        assert child.stdout and child.stdout.readline()
        while path.stat().st_size < 200_000:
            time.sleep(0.001)
        time.sleep(0.003 * i)
        child.kill()
        child.communicate()
        steps = [line["step"] for line in read(path)]
        assert steps == list(range(len(steps))) and len(steps) > 50


@pytest.mark.parametrize("torn", [b"\n", b'{"kind":"end","step":0\n', b"\xff\n", b'{"kind":"end","step":NaN}\n', b"[" * 100_000 + b"\n"])
def test_any_other_torn_line_is_named(tmp_path: Path, torn: bytes) -> None:
    path = small(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], torn, *lines[2:]]))
    with pytest.raises(RecordError, match=r"record.jsonl, line 3 is torn: "):
        list(read(path))


@pytest.mark.parametrize("line", [b"[]\n", b"{}\n", b'{"kind":3,"step":0}\n', b'{"kind":"step","step":"a"}\n', b"1\n"])
def test_json_that_is_no_line_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "r").write_bytes(line)
    with pytest.raises(RecordError, match=r"r, line 1 is no line of a record: "):
        list(read(tmp_path / "r"))


def test_reading_some_kinds(tmp_path: Path) -> None:
    path = small(tmp_path)
    everything = list(read(path))
    # As another writer may space them.
    path.write_text(
        "".join(json.dumps(line) + "\n" if i % 2 else json.dumps(line, separators=(",", ":")) + "\n" for i, line in enumerate(everything))
    )
    for kinds in (("step",), ("event", "end"), tuple(KINDS)):
        assert list(read(path, *kinds)) == [line for line in everything if line["kind"] in kinds]


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r"
    limits, before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    made = Record(path)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        for k in range(100):
            made.write("step", k, loss=1.0)
        for _ in range(2):
            with pytest.raises(RecordError, match=r"cannot write .*r: File too large; nothing is lost yet, flush again"):
                made.flush()
        assert path.stat().st_size == 1000 < made.position
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    made.close()
    assert [line["step"] for line in read(path)] == list(range(100)) and path.stat().st_size == made.position


# --- cutting -------------------------------------------------------------------------------------------


def test_cut_and_go_on_gives_the_unbroken_record(tmp_path: Path) -> None:
    whole = small(tmp_path / "whole").read_bytes()
    lines = [json.loads(line) for line in whole.splitlines()]
    for at in range(len(lines) + 1):
        path = tmp_path / str(at)
        with Record(path) as made:
            for line in lines[:at]:
                made.write(**line)
            position = made.position
            for k in range(50):
                made.write("step", k, loss=9.0)
        with path.open("ab") as file:
            file.write(b'{"kind":"st')
        cut(path, position)
        with Record(path) as made:
            assert made.position == position
            for line in lines[at:]:
                made.write(**line)
        assert path.read_bytes() == whole


def test_where_a_step_begins(tmp_path: Path) -> None:
    path = small(tmp_path)
    whole = path.read_bytes()
    for k in range(4):
        assert whole[position_before(path, k) :].startswith(b'{"kind":"step","step":%d,' % k)
    path.write_bytes(whole + b'{"torn')
    assert position_before(path, 4) == len(whole)
    cut(path, position_before(path, 2))
    assert [line["step"] for line in read(path, "step")] == [0, 1]


def test_cuts_that_cannot_be(tmp_path: Path) -> None:
    path = small(tmp_path)
    size = path.stat().st_size
    with pytest.raises(RecordError, match=rf"has {size} bytes and cannot be cut at {size + 1}: lines that were there are lost"):
        cut(path, size + 1)
    for position in (5, -1):
        with pytest.raises(RecordError, match=f"cannot be cut at {position}: no line ends there"):
            cut(path, position)
    assert path.stat().st_size == size
    cut(path, size)
    cut(path, 0)
    assert path.stat().st_size == 0


# --- runs ----------------------------------------------------------------------------------------------

WHOLE = Summary(
    state="finished", task="digits", rule="adamw", seed=0, planned=4, steps=4, seconds=3.5, metric="accuracy", better="higher",
    best=0.8, best_step=2, last=0.7, loss=0.25, warnings=1, begun="2026-01-01T00:00:00Z",
)  # fmt: skip


def test_a_run(tmp_path: Path) -> None:
    small(tmp_path)
    (tmp_path / "recipe.toml").write_text("[optimizer]\n")
    (tmp_path / "task.json").write_text('{"name": "digits"}')
    (tmp_path / "environment.json").write_text(json.dumps(environment()))
    found = run(tmp_path)
    assert found.recipe == "[optimizer]\n" and found.task == {"name": "digits"} and found.environment["python"].startswith("3.")
    assert [line["step"] for line in found.steps()] == [0, 1, 2, 3]
    assert [line["step"] for line in found.steps(2)] == [0, 2]
    assert len(list(found.evaluations())) == 8 and len(list(found.events())) == len(list(found.health())) == 1
    assert found.summary == WHOLE


@pytest.mark.parametrize(
    ("values", "better", "best"),
    [
        ((0.5, 0.8, 0.8), "lower", (0.5, 1)),
        ((math.nan, 0.3, math.nan), "higher", (0.3, 2)),
        ((math.nan,), "lower", (None, None)),
        ((), "lower", (None, None)),
        ((2.0, -math.inf), "lower", (-math.inf, 2)),
    ],
)
def test_the_best(tmp_path: Path, values: tuple, better: str, best: tuple) -> None:
    small(tmp_path, values=values, better=better)
    assert (run(tmp_path).summary.best, run(tmp_path).summary.best_step) == best
    keep(tmp_path)
    assert (run(tmp_path).summary.best, run(tmp_path).summary.best_step) == best


def test_an_unfinished_run(tmp_path: Path) -> None:
    path = small(tmp_path, end=False)
    assert run(tmp_path).summary.state == "unfinished"
    cut(path, position_before(path, 2))
    found = run(tmp_path).summary
    assert (found.steps, found.best, found.loss, found.seconds) == (2, 0.8, 0.5, 1.5)
    cut(path, 0)
    assert run(tmp_path).summary == Summary()


def test_a_kept_summary_counts_until_the_record_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = small(tmp_path, end=False)
    assert keep(tmp_path) == run(tmp_path).summary and not list(tmp_path.glob(".*"))
    kept = (tmp_path / "summary.json").read_text()
    (tmp_path / "summary.json").write_text(kept.replace('"task": "digits"', '"task": "kept"'))
    assert run(tmp_path).summary.task == "kept"
    for wrong in ("", "[]", "{}", kept.replace('"steps": 4', '"steps": "four"'), kept.replace('"best": 0.8', '"best": []'), "[" * 100_000):
        (tmp_path / "summary.json").write_text(wrong)
        assert run(tmp_path).summary.task == "digits"
    (tmp_path / "summary.json").write_text(kept)
    with Record(path) as made:
        made.write("end", 4, reason="stopped early")
    assert run(tmp_path).summary.state == "stopped early"


HOSTILE = {
    r"line 2: evaluation.metrics = 3 is not an object of numbers": b'%s{"kind":"evaluation","step":1,"metrics":3}\n',
    r"line 2: step.loss = \[\] is not a number": b'%s{"kind":"step","step":1,"loss":[]}\n',
    r"line 1: begin lacks version": b'{"kind":"begin","step":0}\n',
}


@pytest.mark.parametrize("message", HOSTILE)
def test_a_summary_of_wrong_lines(tmp_path: Path, message: str) -> None:
    begin = json.dumps(dict(kind="begin", step=0, **BEGIN)).encode() + b"\n"
    (tmp_path / "record.jsonl").write_bytes(HOSTILE[message].replace(b"%s", begin))
    with pytest.raises(RecordError, match=message):
        _ = run(tmp_path).summary


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"there is no run at .*nowhere: it does not exist"):
        run(tmp_path / "nowhere")
    with pytest.raises(RecordError, match=r"it holds no record.jsonl and no recipe.toml"):
        run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"it is no folder"):
        run(tmp_path / "file")
    (tmp_path / "task.json").write_text("[1]")
    (tmp_path / "environment.json").write_text("{")
    (tmp_path / "recipe.toml").write_bytes(b"\xff")
    found = run(tmp_path)
    assert list(found.steps(5)) == list(found.steps()) == []
    for name, message in (
        ("task", "task.json holds no object"),
        ("environment", "environment.json is not JSON"),
        ("recipe", "recipe.toml is not text"),
    ):
        with pytest.raises(RecordError, match=message):
            getattr(found, name)
    os.mkfifo(tmp_path / "record.jsonl")
    with pytest.raises(RecordError, match=r"record.jsonl is not a file"):
        _ = found.summary


def test_many_lines_are_not_held(tmp_path: Path) -> None:
    """In a process that may not have the memory to hold them."""
    code = f"""
import resource
from steepest.records import Record, run
with Record({str(tmp_path / "record.jsonl")!r}) as made:
    for k in range(100_000):
        made.write("step", k, loss=1.0, padding="x" * 900)
    made.write("evaluation", 100_000, metrics={{"loss": 1.0}})
resource.setrlimit(resource.RLIMIT_DATA, (40 * 2**20, 40 * 2**20))
found = run({str(tmp_path)!r})
assert found.summary.steps == 100_000 and sum(1 for _ in found.steps()) == 100_000 and len(list(found.steps(100))) == 100
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert found["git"] is None and found["cpus"] == os.cpu_count() and found["packages"]["torch"]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=b@c", *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init")
    assert environment()["git"] is None, "no commit yet"
    Path("file").write_text("1")
    git("add", "file")
    git("commit", "-m", "first")
    assert environment()["git"] == dict(commit=git("rev-parse", "HEAD"), changed=False)
    Path("file").write_text("2")
    # A repository that names a program for git to start: it is not started.
    git("config", "core.fsmonitor", f"touch {tmp_path / 'started'}; false")
    assert environment()["git"]["changed"] is True and not Path("started").exists()
    monkeypatch.setenv("PATH", "")
    assert environment()["git"] is None


def test_only_the_standard_library() -> None:
    code = "import sys; known = set(sys.modules); import steepest.records\n"
    code += "print(*{name.split('.')[0] for name in sys.modules.keys() - known} - sys.stdlib_module_names)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["steepest"]


# --- other places --------------------------------------------------------------------------------------


def test_scalars_of_each_kind() -> None:
    lines = {kind: dict(kind=kind, step=1, time={"seconds": 3}) | fields for kind, fields in GOOD.items()}
    assert {kind: sinks.scalars(lines[kind]) for kind in ("begin", "step", "event", "health", "end")} == {
        "begin": {},
        "step": {"train/loss": 0.7, "train/lr": 1e-3, "train/norm": math.inf},
        "event": {},
        "health": {"health/dead": 0.0},
        "end": {},
    }
    assert list(sinks.scalars(lines["evaluation"])) == ["test/accuracy", "test/loss"]
    assert sinks.scalars(dict(kind="step", step=0, loss=1, group={"a": 1}, note="x")) == {"train/loss": 1.0}
    assert sinks.settings(lines["begin"]) == BEGIN


@pytest.mark.parametrize("name", sinks.SINKS)
def test_a_missing_package_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with (
        pytest.raises(sinks.MissingExtra, match=rf"{name} is not installed: pip install 'steepest\[{name}\]'"),
        sinks.SINKS[name](tmp_path),
    ):
        pass
    extras = Path(__file__).parent.parent.joinpath("pyproject.toml").read_text()
    assert re.search(rf"^{name} = \[", extras, re.MULTILINE)


Series = dict[str, list[tuple[int, float]]]


def from_tensorboard(folder: Path) -> Series:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return {name: [(x.step, x.value) for x in found.Scalars(name)] for name in found.Tags()["scalars"]}


def from_wandb(folder: Path) -> Series:
    """From the log of the offline run, which a process of W&B's own writes, and may still be at after we are done."""
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    for _ in range(600):
        told = list(wandb_log(path.read_bytes()))
        if told and told[-1].HasField("exit"):
            break
        time.sleep(0.1)
    found: Series = {}
    for record in told:
        row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for name in row.keys() - {"step"}:
            if not name.startswith("_"):
                found.setdefault(name, []).append((row["step"], row[name]))
    return found


def wandb_log(log: bytes) -> Iterator[Any]:
    """Blocks of 32 KB, in them pieces of records, each after its checksum, length and place."""
    from wandb.proto.wandb_internal_pb2 import Record as Told

    at, whole = 7, b""
    while at + 7 <= len(log):
        if 2**15 - at % 2**15 < 7:  # no room for a piece: the rest of the block is empty
            at += -at % 2**15
            continue
        size, place = int.from_bytes(log[at + 4 : at + 6], "little"), log[at + 6]
        whole += log[at + 7 : at + 7 + size]
        at += 7 + size
        if place in (1, 4) and at <= len(log):  # all of a record, or its end
            yield Told.FromString(whole)
            whole = b""


def from_mlflow(folder: Path) -> Series:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("steepest").experiment_id])
    assert run.data.params["rule"] == "adamw" and run.info.status == "FINISHED"
    return {name: [(x.step, x.value) for x in client.get_metric_history(run.info.run_id, name)] for name in run.data.metrics}


@pytest.mark.filterwarnings("ignore::Warning")  # of these packages, about one another
@pytest.mark.parametrize(("name", "back"), [("tensorboard", from_tensorboard), ("wandb", from_wandb), ("mlflow", from_mlflow)])
def test_a_run_told_elsewhere_is_read_back(name: str, back: Callable[[Path], Series], tmp_path: Path) -> None:
    """A whole run with the sink, and every figure of its record found there: at its step, to the precision kept."""
    pytest.importorskip(name, reason=f"needs the extra {name}")
    list(train(task(), recipe(stop__epochs=2), folder=tmp_path / "run", health=10, sinks=[name]))
    wanted: Series = {}
    for line in read(tmp_path / "run" / "record.jsonl"):
        for key, value in sinks.scalars(line).items():
            wanted.setdefault(key, []).append((line["step"], value))
    assert {"train/loss", "train/lr", "valid/accuracy", "health/gradient_norm", "health/gap"} <= wanted.keys()
    found = back(tmp_path / "run")
    assert found.keys() == wanted.keys()
    for key, points in wanted.items():
        assert [step for step, _ in found[key]] == [step for step, _ in points], key
        assert [x for _, x in found[key]] == pytest.approx([x for _, x in points], rel=1e-6), key


# --- on the terminal -----------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """./runs with a good run, a half-written one, a torn one, and one with a hostile name and content."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "half").mkdir(parents=True)
    (tmp_path / "runs" / "half" / "recipe.toml").write_bytes(b"\xff[opt")
    small(tmp_path / "runs" / "torn", end=False)
    with (tmp_path / "runs" / "torn" / "record.jsonl").open("ab") as file:
        file.write(b"\x1b]0;\n{}\n")
    hostile = small(tmp_path / "runs" / "\x1b[31mred\n[bold]\udc80", task="\x1b[2J[/red]", rule="a\nb", metric="accuracy", better="lower")
    hostile.with_name("recipe.toml").write_text("[bold]\x1b[2J\n")
    small(tmp_path / "runs" / "good")
    (tmp_path / "runs" / "notes.txt").write_text("not a run")
    (tmp_path / "runs" / "empty").mkdir()
    for age, name in enumerate(["good", "torn", "half", "\x1b[31mred\n[bold]\udc80"]):
        path = tmp_path / "runs" / name
        for inside in [*path.iterdir(), path]:
            os.utime(inside, (time.time() - 100_000 * age - 3_000,) * 2)
    return tmp_path


def drawn(monkeypatch: pytest.MonkeyPatch, call, *args: object, width: int = READABLE) -> str:
    """What a terminal is given, colors apart."""
    out = Console(record=True, width=width, force_terminal=True, highlight=False, file=io.StringIO())
    for module in (runs, show):
        monkeypatch.setattr(module, "console", lambda: out)
    call(*args)
    return out.export_text()


def test_the_list_of_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list_runs()
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["good", "torn", "half", r"\x1b[31mred\n[bold]\udc80"]
    assert rows[0] == ["good", "digits", "adamw", "accuracy 0.8", "4/4", "finished", "50 min", ""]
    assert rows[1][5:] == ["unreadable", "28 h", r"runs/torn/record.jsonl, line 16 is torn: b'\x1b]0;\n'"]
    assert rows[2][1:] == ["", "", "", "", "not begun", "2 days", ""]
    assert rows[3][1:3] == [r"\x1b[2J[/red]", r"a\nb"]


def test_the_list_of_runs_as_json(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list_runs("runs", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [row["state"] for row in found] == ["finished", "unreadable", "not begun", "finished"]
    assert found[0]["best"] == 0.8 and found[0]["steps"] == 4


@pytest.mark.parametrize("width", [60, 100])
def test_the_list_on_a_terminal(place: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    text = drawn(monkeypatch, list_runs, width=width)
    assert "4 runs in runs" in text and "torn: runs/torn/record.jsonl" in text
    expected = (
        r"^  good +digits +adamw +accuracy 0.8 +4/4 +finished +50 min *$" if width > 80 else r"^  good +adamw +accuracy 0.8 +finished *$"
    )
    assert re.search(expected, text, re.MULTILINE)
    assert "\x1b" not in text and max(map(len, text.splitlines())) <= width
    (place / "none").mkdir()
    assert "0 runs in none" in drawn(monkeypatch, list_runs, "none")


def test_no_such_folder_or_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match=r"there is no folder elsewhere of runs$"):
        list_runs("elsewhere")
    with pytest.raises(SettingError, match=r"there is no run godo; did you mean good\?"):
        show_run("godo")
    with pytest.raises(SettingError, match=r"runs is no run: it holds neither record.jsonl nor recipe.toml"):
        show_run("runs")
    with pytest.raises(SettingError, match=r"runs/torn/record.jsonl, line 16 is torn: "):
        show_run("torn")
    with pytest.raises(SettingError, match=r"recipe.toml is not text"):
        show_run("half", as_json=True)
    monkeypatch.chdir(place / "runs" / "empty")
    with pytest.raises(SettingError, match="there is no folder runs of runs; steepest list runs FOLDER looks elsewhere"):
        list_runs()
    with pytest.raises(SettingError, match=r"there is no run good$"):
        show_run("good")


def test_show_into_a_pipe(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_run("runs/good")
    found = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert found == {
        "task": "digits", "rule": "adamw", "seed": "0", "state": "finished", "steps": "4 of 4", "time": "3.5 s",
        "best accuracy": "0.8 at step 2", "last accuracy": "0.7", "train loss": "0.25", "warnings": "1",
        "begun": "2026-01-01T00:00:00Z", "rollback": "NaN in conv1",
    }  # fmt: skip


def test_show_as_json(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_run("good", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["summary"]["best"] == 0.8 and len(found["evaluations"]) == 8 and found["health"]["step"] == 4 and found["recipe"] == ""


@pytest.mark.parametrize("name", ["good", "\x1b[31mred\n[bold]\udc80"])
def test_show_on_a_terminal(place: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    text = drawn(monkeypatch, show_run, name)
    for part in (
        "finished",
        "Training loss",
        "Validation accuracy",
        "Rate",
        "Health after step 4",
        "Last events",
        "rollback: NaN in conv1",
        "look",
    ):
        assert part in text
    assert "\x1b" not in text and (name == "good" or r"[bold]\x1b[2J" in text)


def test_each_number_of_health_as_last_measured(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record(
        place / "runs" / "gap", [("health", k, dict(numbers={name: x})) for k, name, x in ((1, "a", 1.0), (2, "gap", 0.1), (3, "a", 2.0))]
    )
    with Record(path) as made:
        made.write("health", 4, numbers={"gap": 0.5, "gap_share": math.inf})
    show_run("gap")
    assert "validation less training loss\t0.5 (∞ % of the training loss)" in capsys.readouterr().out
    show_run("gap", as_json=True)
    found = json.loads(capsys.readouterr().out)["health"]
    assert found["step"] == 4 and found["numbers"] == {"a": 2.0, "gap": 0.5, "gap_share": "inf"}


def test_show_does_not_wait_for_torch(place: Path) -> None:
    code = "import sys\nfrom steepest.cli.show import show_run\nfrom steepest.cli.runs import list_runs\n"
    code += "show_run('good')\nlist_runs()\nassert not {'torch', 'numpy', 'numba'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    "line", ['{"kind":"step","step":0,"loss":[]}', '{"kind":"event","step":0}', '{"kind":"health","step":0,"numbers":1}']
)
def test_wrong_lines_are_no_traceback(place: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    record = place / "runs" / "good" / "record.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join([*lines[:1], line + "\n", *lines[1:]]))
    with pytest.raises(SettingError, match=r"loss = \[\] is not a number|event lacks name|numbers = 1 is not an object of numbers"):
        drawn(monkeypatch, show_run, "good")


def test_curves() -> None:
    assert picture([]) == picture([(0.0, 1.0)]) == picture([(0.0, math.nan), (1.0, 1.0)]) == []
    lines = picture([(0.0, 0.9), (0.5, math.nan), (1.0, 1.0)])
    assert lines[0].startswith("      1 ┤") and lines[curve.HEIGHT - 1].startswith("    0.9 ┤")
    assert lines[-1].strip() == "not finite: 1 of 3 values"
    assert picture([(0.0, 0.1), (1.0, 1.0)])[curve.HEIGHT - 1].startswith("      0 ┤"), "from 0 where that is not far below"
    assert len(picture([(0.0, 2.0), (1.0, 2.0)])) == len(lines) - 1
    assert picture([(0.0, -1e300), (1.0, 1e300)]) and picture([(-5.0, 1.0), (7.0, 2.0)])


def test_columns_are_means_with_straight_lines_between() -> None:
    assert columns([(0.0, 1.0), (0.1, 3.0), (0.99, 6.0)], 5) == pytest.approx([2.0, 3.0, 4.0, 5.0, 6.0])
    assert columns([(0.5, 1.0)], 3) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (3.25, "3.2 s"), (59, "59 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 days"), (-3, "0 s")],
)
def test_times_as_said(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_printable() -> None:
    assert printable("é 🙂\x1b[0m\x9b\udc80\u202e\n") == r"é 🙂\x1b[0m\x9b\udc80\u202e\n"
