"""Downloads from a server on this machine that cuts connections, serves wrong bytes, and knows nothing of what it is asked for."""

import gzip
import hashlib
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from test_data import NAMES, put_mnist

from steepest.data import DataError, gather, mnist_like
from steepest.data import download as room
from steepest.data.places import File, obtain

CONTENT = bytes(range(256)) * 4000
SHA256, MD5 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", f"md5:{hashlib.md5(CONTENT).hexdigest()}"


class Answer(BaseHTTPRequestHandler):
    """The first part of the path says how the server behaves, the rest which file is asked for."""

    files: dict[str, bytes]
    asked: list[str]
    release: threading.Event

    def do_GET(self) -> None:
        self.asked.append(self.path)
        how, name = self.path[1:].split("/", 1)
        content = self.files.get(name, CONTENT)
        if how == "lost":
            self.send_error(404)
        elif how == "broken":
            self.send_error(503)
        elif how == "moved":
            self.send_response(302)
            self.send_header("Location", f"/good/{name}")
            self.end_headers()
        elif how == "silent":
            self.release.wait(20)
        else:
            self.send_response(200)
            if how != "untold":
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write({"cut": content[: len(content) // 2], "untold": content[:-1], "wrong": content[::-1]}.get(how, content))
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Answer.files, Answer.asked, Answer.release = {}, [], threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        Answer.release.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("STEEPEST_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("STEEPEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("STEEPEST_OFFLINE", raising=False)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def wanted(server: str, *ways: str, checksum: str | None = SHA256) -> File:
    return File("it.bin", tuple(f"{server}/{how}/it.bin" for how in ways), checksum)


WAYS = [["good"], ["moved"], *([way, "good"] for way in ("lost", "broken", "cut", "wrong", "untold"))]


@pytest.mark.parametrize("ways", WAYS)
def test_the_first_mirror_that_has_it_whole(ways, server, home):
    (path,) = obtain("it", [wanted(server, *ways)])
    assert path == home / "it" / "it.bin" and path.read_bytes() == CONTENT
    assert [line.split("/")[1] for line in Answer.asked] == (ways if ways != ["moved"] else ["moved", "good"])
    assert [p.name for p in path.parent.iterdir()] == ["it.bin"]  # nothing half-way is left
    assert obtain("it", [wanted(server, *ways)]) == [path] and len(Answer.asked) == len(ways) + (ways == ["moved"])


def test_what_was_wrong_with_each_mirror_is_said(server, home):
    with pytest.raises(DataError) as found:
        obtain("it", [wanted(server, "lost", "broken", "cut", "wrong", "untold")])
    said = str(found.value)
    assert said.startswith("it.bin of it cannot be downloaded (")
    assert f"{server}/lost/it.bin: the server says 404" in said and f"{server}/broken/it.bin: the server says 503" in said
    assert f"/cut/it.bin: ChunkedEncodingError: IncompleteRead({len(CONTENT) // 2} bytes read" in said
    assert f"/wrong/it.bin: sha256 is {hashlib.sha256(CONTENT[::-1]).hexdigest()} and should be {SHA256.split(':')[1]}" in said
    assert f"/untold/it.bin: sha256 is {hashlib.sha256(CONTENT[:-1]).hexdigest()}" in said
    assert said.endswith(f"; put it.bin into {home / 'it'}") and "\n" not in said
    assert list((home / "it").iterdir()) == []


def test_a_server_that_says_nothing_is_not_waited_for(server, home, monkeypatch):
    monkeypatch.setattr(room, "PATIENCE", 0.3)
    (path,) = obtain("it", [wanted(server, "silent", "good")])
    assert path.read_bytes() == CONTENT
    with pytest.raises(DataError, match=r"silent/other: no answer within 0.3 s"):
        obtain("it", [File("other", (f"{server}/silent/other",))])


def test_nobody_there(home):
    with pytest.raises(DataError, match=r"http://127.0.0.1:9/it: ConnectionError: .*refused"):
        obtain("it", [File("it", ("http://127.0.0.1:9/it",))])
    with pytest.raises(DataError, match=r"no address of it is known\); put it into"):
        obtain("it", [File("it")])


def test_checksums_of_other_kinds(server, home):
    assert obtain("it", [wanted(server, "good", checksum=MD5)])[0].read_bytes() == CONTENT
    (home / "it" / "it.bin").unlink()
    with pytest.raises(DataError, match=r"md5 is .* and should be"):
        obtain("it", [wanted(server, "wrong", checksum=MD5)])
    # Without one a file is taken as it comes, if it comes whole.
    assert obtain("it", [wanted(server, "cut", "wrong", checksum=None)])[0].read_bytes() == CONTENT[::-1]


def test_offline_nothing_is_asked_for(server, home, monkeypatch):
    monkeypatch.setenv("STEEPEST_OFFLINE", "1")
    with pytest.raises(DataError) as found:
        obtain("it", [wanted(server, "good"), File("other.bin")])
    assert (
        str(found.value) == f"it is not complete, and STEEPEST_OFFLINE is set: put it.bin, other.bin into {home / 'it'}"
        and not Answer.asked
    )
    monkeypatch.delenv("STEEPEST_DATA")
    with pytest.raises(DataError, match=r"put it\.bin into a folder it/, and set STEEPEST_DATA to the folder around it"):
        obtain("it", [wanted(server, "good")])
    monkeypatch.setenv("STEEPEST_OFFLINE", "0")
    assert obtain("it", [wanted(server, "good")])[0].read_bytes() == CONTENT


def test_where_downloads_go(server, home, tmp_path, monkeypatch):
    home.chmod(0o555)
    (path,) = obtain("it", [wanted(server, "good")])
    assert path == tmp_path / "cache" / "data" / "it" / "it.bin"
    home.chmod(0o755)
    path.unlink()
    monkeypatch.delenv("STEEPEST_DATA")
    assert obtain("it", [wanted(server, "good")]) == [path] and len(Answer.asked) == 2
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("STEEPEST_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"it.bin of it cannot be kept in .*file/data/it: Not a directory"):
        obtain("it", [wanted(server, "good")])


def test_a_whole_data_set_comes_over_two_mirrors(server, home, tmp_path, monkeypatch):
    put_mnist(tmp_path / "made")
    packed = {}
    for name in NAMES:
        (path,) = (tmp_path / "made").glob(f"{name.replace('-idx', '?idx')}*")
        packed[f"{name}.gz"] = path.read_bytes() if path.suffix == ".gz" else gzip.compress(path.read_bytes(), mtime=0)
    Answer.files = packed
    monkeypatch.setitem(mnist_like.MIRRORS, "kmnist", (f"{server}/lost/", f"{server}/good/"))
    monkeypatch.setitem(mnist_like.CHECKSUMS, "kmnist", tuple(hashlib.sha256(packed[f"{name}.gz"]).hexdigest() for name in NAMES))
    data = gather("kmnist")
    assert data.train.columns[0].shape == (36, 1, 28, 28)
    assert sorted(path.name for path in (home / "kmnist").iterdir()) == sorted(packed) and len(Answer.asked) == 8
    # Once a file is there it is not asked for again.
    (home / "kmnist" / f"{NAMES[3]}.gz").unlink()
    gather("kmnist")
    assert len(Answer.asked) == 10


def test_the_progress_of_a_download_is_shown_on_a_terminal(server, home, monkeypatch):
    """In a terminal of its own: the bar, and nothing on stdout."""
    ours, theirs = pty.openpty()
    code = (
        "from steepest.data.places import File, obtain\n"
        f"obtain('it', [File('it.bin', ({server + '/good/it.bin'!r},), {SHA256!r})])\n"
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=theirs, stdout=subprocess.PIPE, env=os.environ | {"TERM": "xterm"}, timeout=60
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert done.returncode == 0 and done.stdout == b"" and "it.bin" in shown and "1.0/1.0 MB" in shown
