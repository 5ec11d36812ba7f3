"""A thousand recipes with a mistake each: one line on stderr, exit code 2, and never a traceback."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from steepest.cli.main import main
from steepest.core.task import Task
from steepest.tasks import task as built_in
from steepest.train.template import template

TEXT = template(built_in("digits-mlp"))
LINES = [number for number, line in enumerate(TEXT.splitlines()) if "=" in line and not line.lstrip().startswith("#")]
WRONG = ["nan", "-1e300", '"zzz"', "[]", "{ a = 1 }", "1979-05-27", "[[1]]", '{ shape = "nonsense" }', "-7", '""']
BROKEN = ["=", "[", "]", '"', "a b", "[optimizer", "x = ", "= 3", "[[", "\x00", "lr = 1 2", "é = 1"]
IMPOSSIBLE = (
    """
[optimizer]|lr = -1
[optimizer]|rule = "adamv"
[optimizer.wrap.clap]|norm = 1
[[optimizer.group]]|lr = 1
[schedule]|lr = {shape = "cosin"}
[schedule]|lr = {shape = "warmup_cosine", warmup = "200%"}
[schedule]|nothing = {shape = "cosine"}
[regularize]|dropout = 1.5
[regularize]|mixup = "much"
[regularize]|early_stopping = 5
[batch]|size = 0
[run]|precision = "float8"
[stop]|epochs = -3
[driver]|name = "tram"
[init]|plan = "outo"
[model]|widht = 3
[model]|width = "wide"
version = 99
""".strip()
    .replace("|", "\n")
    .split("\n")
)
IMPOSSIBLE = ["\n".join(IMPOSSIBLE[i : i + 2]) for i in range(0, len(IMPOSSIBLE) - 1, 2)] + IMPOSSIBLE[-1:]


def mistaken(dice: random.Random) -> str:
    """The whole default recipe with one thing wrong that cannot be right."""
    lines = TEXT.splitlines()
    at = dice.choice(LINES)
    key, _, _ = lines[at].partition("=")
    match dice.randrange(6):
        case 0:  # a value of no type or range that this key takes
            lines[at] = f"{key}= {dice.choice(WRONG[:2] + WRONG[3:8])}"
        case 1:  # a key that nobody knows
            name = key.strip()
            lines.insert(at, f"{name[: len(name) // 2]}q{name[len(name) // 2 :]} = 1")
        case 2:  # not TOML
            lines.insert(dice.randrange(len(lines)), dice.choice(BROKEN))
        case 3:  # a section that nobody knows
            lines.append(f"[{dice.choice(['optimiser', 'trian', 'a.b', 'schedul', 'runs'])}]\nx = 1")
        case 4:  # said twice
            lines.insert(at, lines[at])
        case 5:  # a knob out of its range, a name that is none, a schedule that cannot be
            lines = [dice.choice(IMPOSSIBLE)]
    return "\n".join(lines) + "\n"


def test_a_thousand_malformed_recipes(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dice = random.Random(0)
    path = tmp_path / "recipe.toml"
    for number in range(1000):
        text = mistaken(dice)
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SystemExit) as end:
            main(["train", "digits-mlp", "--recipe", "recipe.toml"])
        out, err = capsys.readouterr()
        assert end.value.code == 2, (number, text[-200:])
        assert err.startswith("steepest: recipe.toml: ") and err.count("\n") == 1 and not out, (number, err)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_malformed_recipes_in_processes(tmp_path: Path) -> None:
    dice = random.Random(1)
    for number in range(10):
        (tmp_path / "recipe.toml").write_text(mistaken(dice), encoding="utf-8")
        command = [sys.executable, "-m", "steepest.cli.main", "train", "digits-mlp", "--recipe", "recipe.toml"]
        script = "import sys; from steepest.cli.main import main; main(sys.argv[1:])"
        done = subprocess.run([sys.executable, "-c", script, *command[3:]], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr, (number, done.stderr)


def test_the_whole_one_is_right(tmp_path: Path) -> None:
    """Else the tests above would prove nothing."""
    from steepest.train.recipe import Recipe

    task: Task = built_in("digits-mlp")
    Recipe.parse(TEXT).check(task.factories)
