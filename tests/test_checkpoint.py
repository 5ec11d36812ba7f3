"""Checkpoints: everything comes back exactly, or it is said why not, whatever is done to the files or their writer."""

import errno
import hashlib
import io
import json
import math
import os
import pickle
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from steepest.core.errors import SettingError, SteepestError
from steepest.train import checkpoint, tensors
from steepest.train.checkpoint import CheckpointError, latest, load, prune, save, sweep

# For each line, a child that goes on from that step until it is killed; torch is imported once for all of them.
# Each step is saved twice, so that some die while one checkpoint takes the place of another.
WRITERS = """
import os, sys, torch
from steepest.train.checkpoint import prune, save
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        for step in range(int(line) + 1, sys.maxsize):
            save(sys.argv[1], step // 2, {"x": torch.full((50_000,), float(step)), "k": torch.tensor(step)}, {"step": step})
            if step == int(line) + 1:
                os.write(1, b"saved\\n")
            prune(sys.argv[1])
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def some(step: int = 0) -> dict[str, torch.Tensor]:
    return {"weight": torch.arange(12.0).reshape(3, 4) + step, "step": torch.tensor(step)}


# --- what comes back -----------------------------------------------------------------------------------

STORED = {
    "0-D": torch.tensor(1.5, dtype=torch.float64),
    "0-D bool": torch.tensor(True),
    "empty": torch.empty(0, 3, dtype=torch.int64),
    "one empty": torch.empty(0),
    "bfloat16": torch.randn(5, 3).bfloat16(),
    "float16": torch.randn(7).half(),
    "bool": torch.tensor([True, False, True]),
    "int64": torch.tensor([-(2**63), 2**63 - 1]),
    "uint8": torch.arange(255, dtype=torch.uint8),
    "uint64": torch.tensor([2**63 - 1], dtype=torch.uint64),
    "complex64": torch.randn(3, dtype=torch.complex64),
    "conjugate": torch.randn(3, dtype=torch.complex64).conj(),
    "float8": torch.randn(4).to(torch.float8_e4m3fn),
    "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "one channel": torch.randn(2, 1, 4, 5).to(memory_format=torch.channels_last),
    "transposed": torch.randn(3, 5).T,
    "grad": torch.randn(3, requires_grad=True),
    "nan": torch.tensor([math.nan, math.inf, -math.inf, -0.0]),
    "a strange\nname é 🙂": torch.ones(1),
}
PACKED = {"every other": torch.randn(10, 10)[::2, ::2], "expanded": torch.randn(4, 1).expand(4, 5), "piece": torch.randn(9)[3:5]}


def bits(x: torch.Tensor) -> bytes:
    return x.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def test_every_kind_of_tensor_comes_back(tmp_path: Path) -> None:
    found = load(save(tmp_path, 3, STORED | PACKED, {})).tensors
    assert found.keys() == STORED.keys() | PACKED.keys()
    for name, x in (STORED | PACKED).items():
        assert found[name].dtype == x.dtype and found[name].shape == x.shape, name
        assert bits(found[name]) == bits(x), name
        assert not found[name].requires_grad
    for name, x in STORED.items():
        assert found[name].stride() == x.stride(), name
    for name in PACKED:
        assert found[name].is_contiguous(), name


def test_what_is_loaded_can_be_trained_on(tmp_path: Path) -> None:
    found = load(save(tmp_path, 0, some(), {})).tensors
    found["weight"].mul_(2)
    assert torch.equal(load(tmp_path / "step-000000000").tensors["weight"], some()["weight"])


def test_tied_weights_are_stored_once_and_tied_again(tmp_path: Path) -> None:
    embedding, head = nn.Embedding(1000, 8), nn.Linear(8, 1000, bias=False)
    head.weight = embedding.weight
    model = nn.ModuleDict({"embedding": embedding, "head": head})
    path = save(tmp_path, 0, model.state_dict() | {"half": embedding.weight[:500]}, {})
    found = load(path).tensors
    assert found["embedding.weight"] is found["head.weight"]
    assert torch.equal(found["half"], found["head.weight"][:500])
    assert (path / "state.safetensors").stat().st_size < 1000 * 8 * 4 * 1.6


def test_the_file_is_what_safetensors_reads(tmp_path: Path) -> None:
    path = save(tmp_path, 0, STORED, {})
    with safe_open(path / "state.safetensors", "pt") as file:
        assert bits(file.get_tensor("bfloat16")) == bits(STORED["bfloat16"])
        assert file.get_tensor("empty").shape == (0, 3)


FACTS = {"best": math.inf, "rng": "00ff", "position": [1, 2], "nested": {"é": None, "x": 0.1 + 0.2, "big": 2**80, "on": True}, "nan": -0.0}


def test_facts_come_back(tmp_path: Path) -> None:
    found = load(save(tmp_path, 12, some(), FACTS))
    assert found.facts == FACTS and math.copysign(1, found.facts["nan"]) == -1
    assert math.isnan(load(save(tmp_path, 13, some(), {"x": math.nan})).facts["x"])
    assert found.step == 12 and found.versions["torch"] == str(torch.__version__) and found.path.name == "step-000000012"
    assert list(found.versions) == ["steepest", "torch", "python"]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"a": {1: 2}}, r"facts.a has the key 1; keys are text"),
        ({"a": [0, torch.ones(1)]}, r"facts.a\[1\] is a Tensor; facts are numbers, text, lists and dicts"),
        ({"a": {1, 2}}, r"facts.a is a set"),
    ],
)
def test_facts_that_json_would_change_are_refused(tmp_path: Path, facts: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        save(tmp_path, 0, some(), facts)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("w", torch.eye(3).to_sparse()),
        ("w", torch.ones(2, dtype=torch.complex128)),
        ("__metadata__", torch.ones(2)),
        ("a\udc80", torch.ones(2)),
    ],
)
def test_tensors_without_a_place_in_safetensors_are_refused(tmp_path: Path, name: str, x: torch.Tensor) -> None:
    with pytest.raises(CheckpointError, match=rf"{re.escape(ascii(name))} \(torch.* cannot be saved"):
        save(tmp_path, 0, {name: x}, {})
    assert names(tmp_path) == []


def test_the_same_step_can_be_saved_again(tmp_path: Path) -> None:
    save(tmp_path, 7, some(1), {})
    save(tmp_path, 7, some(2), {})
    assert latest(tmp_path).tensors["step"] == 2 and names(tmp_path) == ["step-000000007"]


# --- damage --------------------------------------------------------------------------------------------


def unchanged(found: checkpoint.Checkpoint, step: int) -> bool:
    return found.step == step and found.facts == {"k": step} and all(torch.equal(found.tensors[n], x) for n, x in some(step).items())


@pytest.fixture
def two(tmp_path: Path) -> Path:
    for step in (10, 20):
        save(tmp_path, step, some(step), {"k": step})
    return tmp_path


def test_a_flipped_byte_is_found_or_does_no_harm(two: Path) -> None:
    draw = random.Random(1)
    found = 0
    for file in ("state.safetensors", "manifest.json"):
        path = two / "step-000000020" / file
        good = path.read_bytes()
        for _ in range(100):
            at = draw.randrange(len(good))
            path.write_bytes(good[:at] + bytes([good[at] ^ draw.randrange(1, 256)]) + good[at + 1 :])
            got = latest(two)
            if got.skipped:
                found += 1
                assert unchanged(got, 10) and "step-000000020: " in got.skipped[0]
            else:
                assert unchanged(got, 20) and file == "manifest.json", "only blanks between the words may differ"
        path.write_bytes(good)
    assert found > 170 and unchanged(latest(two), 20)


def test_a_truncated_file_is_found(two: Path) -> None:
    draw = random.Random(2)
    for file in ("state.safetensors", "manifest.json"):
        path = two / "step-000000020" / file
        good = path.read_bytes()
        for at in [0, 1, 7, 8, len(good) - 2, *(draw.randrange(len(good) - 1) for _ in range(20))]:
            path.write_bytes(good[:at])
            assert unchanged(latest(two), 10), (file, at)
        path.write_bytes(good)


def rewrite(place: Path, **changes: object) -> None:
    """A manifest that says otherwise, with the right hash."""
    path = place / "manifest.json"
    known = json.loads(path.read_text()) | changes
    known.pop("sha256")
    path.write_text(json.dumps(dict(sha256=checkpoint._digest(known)) | known))


DAMAGE = {
    "state.safetensors is missing": lambda p: (p / "state.safetensors").unlink(),
    "manifest.json is missing": lambda p: (p / "manifest.json").unlink(),
    "manifest.json is torn": lambda p: (p / "manifest.json").write_text("[1]"),
    r"manifest.json is torn ": lambda p: (p / "manifest.json").write_text("[" * 100_000),
    "manifest.json is not what was written: its hash differs": lambda p: (p / "manifest.json").write_text('{"format": 1}'),
    "it is of format 2; this steepest reads 1": lambda p: rewrite(p, format=2),
    "it is of step 21, whatever its name": lambda p: rewrite(p, step=21),
    "manifest.json does not describe state.safetensors: 'state.safetensors'": lambda p: rewrite(p, files={}),
    "manifest.json does not describe state.safetensors: list indices": lambda p: rewrite(p, files=[]),
    "state.safetensors has 3 bytes instead of": lambda p: (p / "state.safetensors").write_bytes(b"abc"),
    "manifest.json is missing ": lambda p: (shutil.rmtree(p), p.mkdir()),
    "Not a directory": lambda p: (shutil.rmtree(p), p.write_text("")),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_the_one_before_is_used_and_it_is_said_why(two: Path, what: str) -> None:
    DAMAGE[what](two / "step-000000020")
    found = latest(two)
    assert unchanged(found, 10) and len(found.skipped) == 1
    assert found.skipped[0].startswith(f"step-000000020: {what.strip()}")
    assert prune(two, keep=1) == [], "the newest good one stays"
    save(two, 20, some(20), {"k": 20})
    assert unchanged(latest(two), 20) and latest(two).skipped == ()


def test_none_left(two: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in names(two):
        (two / name / "manifest.json").unlink()
    with pytest.raises(
        CheckpointError, match=r"step-000000020: manifest.json is missing; step-000000010: manifest.json is missing$"
    ) as wrong:
        latest(two)
    assert isinstance(wrong.value, SteepestError)
    for empty in (tmp_path_factory.mktemp("empty"), two / "nowhere"):
        with pytest.raises(CheckpointError, match=r"no checkpoint in .* can be used: there is none"):
            latest(empty)


class Bomb:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (os.mkdir, (self.path,))


def test_nothing_is_unpickled(two: Path) -> None:
    place, marker = two / "step-000000020", two / "exploded"
    bomb = io.BytesIO()
    torch.save({"weight": Bomb(str(marker))}, bomb)
    for data in (bomb.getvalue(), pickle.dumps(Bomb(str(marker)))):
        (place / "state.safetensors").write_bytes(data)
        known = json.loads((place / "manifest.json").read_text())["files"]["state.safetensors"]
        rewrite(place, files={"state.safetensors": known | dict(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())})
        found = latest(two)
        assert unchanged(found, 10) and "is not safetensors" in found.skipped[0] and not marker.exists()
    pickle.loads(data)
    assert marker.exists(), "the bomb was a real one"


# --- pruning -------------------------------------------------------------------------------------------


def test_prune_keeps_the_newest_whole_ones_and_those_to_spare(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4, 1_000_000_000_0):
        save(tmp_path, step, some(step), {})
    (tmp_path / "step-000000004" / "state.safetensors").write_bytes(b"")
    removed = prune(tmp_path, keep=2, spare={1})
    assert [path.name for path in removed] == ["step-000000002"]
    assert names(tmp_path) == ["step-000000001", "step-000000003", "step-000000004", "step-10000000000"]
    prune(tmp_path, keep=1)
    assert names(tmp_path) == ["step-10000000000"]
    assert prune(tmp_path / "nowhere") == []
    with pytest.raises(SettingError, match="keep = 0 is below 1"):
        prune(tmp_path, keep=0)


def test_prune_removes_nothing_while_nothing_is_whole(two: Path) -> None:
    for name in names(two):
        (two / name / "state.safetensors").write_bytes(b"")
    assert prune(two, keep=1) == [] and len(names(two)) == 2


# --- writers that die ----------------------------------------------------------------------------------


def test_what_a_killed_writer_left_is_removed_or_finished(two: Path) -> None:
    for name in (".step-000000030.tmp", ".step-000000010.old", ".steps", ".step-000000030.tmp.txt"):
        (two / name).mkdir()
    (two / "step-000000020").rename(two / ".step-000000020.old")
    found = latest(two)
    assert unchanged(found, 20) and found.skipped == (), "killed between two renames: the old one is still good"
    sweep(two)
    assert names(two) == [".step-000000030.tmp.txt", ".steps", "step-000000010", "step-000000020"]
    assert unchanged(load(two / "step-000000020"), 20)


def test_sigkill_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    draw = random.Random(3)
    last = 0
    command = [sys.executable, "-c", WRITERS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as writers:
        assert writers.stdin and writers.stdout
        for _ in range(20):
            writers.stdin.write(f"{last}\n")
            said = {writers.stdout.readline().strip(), writers.stdout.readline().strip()}
            (child,) = said - {"saved"}
            time.sleep(draw.uniform(0.0, 0.03))
            os.kill(int(child), signal.SIGKILL)
            assert writers.stdout.readline() == f"{-signal.SIGKILL}\n"
            found = latest(tmp_path)
            assert found.skipped == () and found.facts["step"] > last
            last = found.facts["step"]
            assert torch.equal(found.tensors["x"], torch.full((50_000,), float(last))) and found.tensors["k"] == last
    sweep(tmp_path)
    assert not list(tmp_path.glob(".*")) and len(names(tmp_path)) <= 3


# --- disks that refuse ---------------------------------------------------------------------------------


def refuse(folder: Path, message: str) -> None:
    """A checkpoint too large, or not allowed: what was there still is, and nothing else."""
    before = names(folder)
    with pytest.raises(CheckpointError, match=message) as wrong:
        save(folder, 30, {"x": torch.zeros(10**6)}, {})
    assert isinstance(wrong.value.__cause__, OSError)
    assert str(wrong.value).startswith("no checkpoint of step 30: ") and str(wrong.value).endswith("those before it are untouched")
    assert names(folder) == before and unchanged(latest(folder), 20)


@pytest.fixture
def tmpfs(tmp_path: Path):
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "steepest", str(place)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(tmpfs: Path) -> None:
    for step in (10, 20):
        save(tmpfs, step, some(step), {"k": step})
    refuse(tmpfs, r"no space is left for .*small \(No space left on device\); free some and resume")
    save(tmpfs, 30, some(30), {"k": 30})
    assert unchanged(latest(tmpfs), 30)


def test_a_quota(two: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, limits[1]))
        refuse(two, r"no space is left for .* \(File too large\)")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


STRANGER = """
import os, sys, torch
from steepest.train.checkpoint import CheckpointError, save
os.setuid(65534)
try:
    save(sys.argv[1], 30, {"x": torch.ones(3)}, {})
except CheckpointError as wrong:
    print(wrong)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become another user, whom a folder can refuse")
def test_a_folder_of_someone_else() -> None:
    # Root may write anywhere; a process of another user may not. pytest's own folders would not even let it in.
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o755)
        folder = Path(above) / "checkpoints"
        for step in (10, 20):
            save(folder, step, some(step), {"k": step})
        done = subprocess.run([sys.executable, "-c", STRANGER, str(folder)], capture_output=True, text=True, check=True)
        assert (
            done.stdout == f"no checkpoint of step 30: {folder} may not be written to (Permission denied); those before it are untouched\n"
        )
        assert unchanged(latest(folder), 20)


@pytest.mark.parametrize(
    ("owner", "call", "at"), [(os, "fsync", 1), (os, "fsync", 2), (os, "fsync", 3), (os, "fsync", 4), (Path, "rename", 1)]
)
def test_a_disk_that_fails_late(two: Path, monkeypatch: pytest.MonkeyPatch, owner: type, call: str, at: int) -> None:
    """At each place where the kernel may refuse, after some that went well."""
    real, calls = getattr(owner, call), []

    def failing(*args: object) -> object:
        calls.append(args)
        if len(calls) == at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*args)

    monkeypatch.setattr(owner, call, failing)
    if at < 4:
        refuse(two, "Input/output error")
    else:  # the new one is already in its place, and whole
        with pytest.raises(CheckpointError, match="Input/output error"):
            save(two, 30, some(30), {"k": 30})
        assert unchanged(latest(two), 30)


def test_an_interrupted_save_leaves_nothing(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tensors, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(two, 30, some(), {})
    assert names(two) == ["step-000000010", "step-000000020"]
