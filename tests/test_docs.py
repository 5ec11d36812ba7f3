"""Every code block that a reader may copy runs: Python in one namespace per page, commands through the real entry points."""

import os
import re
import shlex
import subprocess
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_runs(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    namespace: dict = {"__name__": "__main__"}
    for block in FENCE.finditer(text):
        language, code = block.groups()
        line = text[: block.start(2)].count("\n")
        if language == "python":
            exec(compile("\n" * line + code, str(page), "exec"), namespace)
        elif language == "bash":
            for command in code.splitlines():
                run(command, monkeypatch)
        else:
            assert language == "text", f"{page.name}:{line}: a {language or 'nameless'} block; these run: python, bash; this does not: text"


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *arguments = shlex.split(command, comments=True)
    if program == "steepest":
        (script,) = entry_points(group="console_scripts", name="steepest")
        monkeypatch.setattr("sys.argv", [program, *arguments])
        try:
            code = script.load()()
        except SystemExit as end:
            code = end.code
        assert not code, f"{command} ended with {code}"
    else:
        # Not run: the tests are themselves one of these. That the target exists is what can be wrong.
        assert program == "make", f"{command}: neither steepest nor make"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, env=environment, check=True, capture_output=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which does not exist"
