"""The command line: every rule explained from its code, mistakes in one line, output that pipes."""

import json
import os
import pty
import re
import subprocess
import sys
import tomllib

import pytest
import torch
from rich.cells import cell_len

from steepest.cli.catalog import REGISTRIES, cards, catalog, registry, sentence
from steepest.cli.curve import ACROSS, HEIGHT, MARGIN, WIDTH, draw
from steepest.cli.facts import find
from steepest.cli.formula import formula
from steepest.cli.main import main
from steepest.cli.notation import number, symbol
from steepest.core.errors import SettingError
from steepest.core.knob import knob
from steepest.core.maths import debias, lerp, sqrt, zeros_like
from steepest.core.rule import Rule, flatten
from steepest.init import INITIALIZERS, PLANS
from steepest.regularizers import REGULARIZERS
from steepest.rules import RULES, WRAPPERS
from steepest.rules.adam import Adam
from steepest.rules.clipping import Clip
from steepest.rules.gradient import Momentum
from steepest.rules.layerwise import LAMB
from steepest.rules.sign import Lion
from steepest.rules.wrapper import Wrapper
from steepest.rules.wrappers import Average
from steepest.schedules import SCHEDULES, read
from steepest.train.recipe import Recipe

ALL = RULES | WRAPPERS
STEEPEST = [sys.executable, "-c", "from steepest.cli.main import main; main()"]


def made(name: str) -> Rule:
    cls = ALL[name]
    return cls(inner=Adam()) if issubclass(cls, Wrapper) else cls()


def mistake(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What is said about it: one line on stderr, exit code 2, nothing on stdout."""
    with pytest.raises(SystemExit) as end:
        main(list(argv))
    out, err = capsys.readouterr()
    assert end.value.code == 2
    assert out == "" and err.count("\n") == 1 and err.startswith("steepest: ")
    return err.removeprefix("steepest: ").rstrip()


# --- formulas --------------------------------------------------------------------------------------

GOLDEN = {
    Adam(): """
        m ← β₁ m + (1 − β₁) g
        v ← β₂ v + (1 − β₂) g²
        if amsgrad:
            v = v_max ← max(v_max, v)
        m̂ = m / (1 − β₁ᵗ)
        v̂ = v / (1 − β₂ᵗ)
        p ← p − lr (m̂ / (√v̂ + ε) + λ p)
    """,
    Momentum(): """
        v ← momentum v + (1 − dampening if t > 1 else 1) g
        d = g + momentum v if nesterov else v
        p ← p − lr (d + λ p)
    """,
    Lion(): """
        c = β₁ m + (1 − β₁) g
        m ← β₂ m + (1 − β₂) g
        p ← p − lr (sign(c) + λ p)
    """,
    Clip(inner=Adam()): """
        g = g min(1, norm / (‖g‖_model + 1e-6))
        p ← p + inner(p, g)
    """,
    Average(inner=Adam()): """
        Δ = inner(p, g)
        weight = (1 − β) / (1 − βᵗ) if debias else (1 − β if t > 1 else 1)
        average ← average + weight (p + Δ − average)
        p ← p + Δ
        view = average
    """,
    # Adam and the trust ratio, written out in place.
    LAMB(): """
        m ← β₁ m + (1 − β₁) g
        v ← β₂ v + (1 − β₂) g²
        m̂ = m / (1 − β₁ᵗ)
        v̂ = v / (1 − β₂ᵗ)
        d = m̂ / (√v̂ + ε)
        d = d + λ p
        φ = min(max(‖p‖, low), high)
        length = ‖d‖
        ratio = φ / (length if length > 0 else 1) if φ > 0 and length > 0 else 1
        d = d ratio
        p ← p − lr d
    """,
}


@pytest.mark.parametrize("rule", GOLDEN, ids=lambda rule: type(rule).__name__)
def test_formula(rule: Rule) -> None:
    expected = GOLDEN[rule].strip("\n").rstrip().splitlines()
    assert formula(rule) == [line.removeprefix(" " * 8) for line in expected]


class Odd(Rule):
    """Where parentheses, order and the difference between old and new matter."""

    lr: float = knob(1.0, "rate")
    weight_decay: float = knob(0.0, "decay")
    beta1: float = knob(0.5, "a beta")

    def init(self, p):
        return dict(g=zeros_like(p), m=zeros_like(p), x=zeros_like(p))

    def direction(self, p, g, state, t):
        y = (g - state.g) * 2 / (t * self.beta1) * g
        m = lerp(state.m, y - p, self.beta1**2)
        w = -(y + m) * -p - (state.m - y) - (m / y) / (y * m)
        z = debias(sqrt(m), self.beta1, t) ** 0.5
        m = -z * w * w
        return (m + 1) * 3, dict(g=g, m=m, x=y + m)


def test_parentheses_and_the_old_and_the_new() -> None:
    assert formula(Odd()) == [
        "y = ((g − gₜ₋₁) × 2 / (t β₁)) g",
        "m = m + β₁² (y − p − m)",
        "w = −(y + m) (−p) − (mₜ₋₁ − y) − m / y / (y m)",
        "z = √(√m / (1 − β₁ᵗ))",
        "m ← −z w²",
        "x ← y + m",
        "p ← p − lr ((m + 1) × 3 + λ p)",
    ]


def test_every_state_that_changes_is_in_the_formula() -> None:
    for name in ALL:
        rule = made(name)
        text = "\n".join(formula(rule))
        for path in flatten(rule.init(torch.zeros(4, 4))):
            if not path.startswith("inner."):
                kept = re.search(rf"(^|\W){re.escape(symbol(path))}(, \w+)? ←|{re.escape(symbol(path))}ₜ₋₁", text)
                # p0 never changes; a basis and an estimate of its own are changed by refresh, which is named.
                assert kept or path in ("p0", "L_basis", "R_basis"), f"{name}: {path} in\n{text}"


# --- explain ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_explains(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain", name])
    out = capsys.readouterr().out
    cls = ALL[name]
    assert out.startswith(name) and cls.paper in out and cls.use in out
    for setting, spec in {**cls.own_knobs(), **cls.own_options()}.items():
        assert re.search(rf"^  {setting} .*{re.escape(spec.meaning)}$", out, re.MULTILINE), setting
    assert "\x1b" not in out and "│" not in out and "…" not in out and " \n" not in out


@pytest.mark.parametrize("name", ALL)
def test_explains_in_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain", name, "--json"])
    known = json.loads(capsys.readouterr().out, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert known["name"] == name and known["cls"] == ALL[name].__name__
    assert [k["name"] for k in known["knobs"]] == list(ALL[name].own_knobs())
    assert known["formula"] == formula(made(name))


@pytest.mark.parametrize("name", ALL)
def test_the_lines_of_use_run(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steepest.engines._numba", lambda: False)  # the lines are meant here, not the engines
    main(["explain", name, "--json"])
    lines = json.loads(capsys.readouterr().out)["code"]
    namespace = {"model": torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))}
    for line in lines:
        if name in ("muon", "shampoo", "soap"):
            line = line.replace("model.parameters()", "[model[1].weight]")
        exec(line, namespace)
    optimizer = namespace["optimizer"]
    before = [p.detach().clone() for p in namespace["model"].parameters()]

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (namespace["model"](torch.ones(5, 3)) - 1).square().mean()
        loss.backward()
        if name == "sparse_adam":
            for p in namespace["model"].parameters():
                p.grad = p.grad.to_sparse(1)
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert any(not torch.equal(p, old) for p, old in zip(namespace["model"].parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("asked", "found"),
    [("AdamW", "adamw"), ("ADAM", "adam"), ("SGD", "momentum"), ("SparseAdam", "sparse_adam"), ("schedulefreeadamw", "schedule_free_adamw"),
     ("GradientDescent", "gd"), ("Clip", "clip"), ("stochastic-average", "stochastic_average"), ("LBFGS", "lbfgs"),
     ("HeNormal", "he_normal"), ("ZerO", "zer_o"), ("rule.adam", "adam"), ("CosineRestarts", "cosine_restarts"),
     ("WSD", "warmup_stable_decay"), ("warmup-Cosine", "warmup_cosine"), ("schedule.constant", "constant"), ("Mixup", "mixup"),
     ("EarlyStopping", "early_stopping"), ("multi_step", "multi_step"), ("onecycle", "one_cycle")],
)  # fmt: skip
def test_names_in_many_spellings(asked: str, found: str) -> None:
    assert find(asked)[1] == found


def test_one_name_in_two_registries() -> None:
    assert find("orthogonal") == ("initializers", "orthogonal") and find("plan.orthogonal") == ("plans", "orthogonal")
    with pytest.raises(SettingError, match=r"nothing is called 'plan\.adam'"):
        find("plan.adam")
    assert find("constant")[0] == "initializers" and find("schedule.constant")[0] == "schedules"
    assert find("l2")[0] == "wrappers" and find("regularizer.l2")[0] == "regularizers"
    with pytest.raises(SettingError, match=r"nothing is called 'rule\.warmup_cosine'"):
        find("rule.warmup_cosine")


def test_memory(capsys: pytest.CaptureFixture[str]) -> None:
    def known(name: str) -> dict:
        main(["explain", name, "--json"])
        return json.loads(capsys.readouterr().out)

    adam = known("adam")
    assert adam["state"]["bytes_per_element"] == 8 and adam["traffic"]["bytes_per_element"] == 28 and adam["traffic"]["passes"] == 1
    clip = known("clip")
    assert clip["state"]["tensors"] == [] and clip["traffic"]["bytes_per_element"] == 32 and clip["traffic"]["passes"] == 2
    adafactor = known("adafactor")
    assert adafactor["state"]["bytes_per_element"] == 2 * 4 / 64 and adafactor["traffic"]["bytes_per_element"] is None
    starts = {x["name"]: x["start"] for x in [*known("asgd")["state"]["tensors"], *known("asgd")["state"]["scalars"]]}
    assert starts == {"ax": "p", "eta": "lr", "mu": "1"}


# --- initializers and plans -------------------------------------------------------------------------

STARTS = [*INITIALIZERS, *(f"plan.{name}" for name in PLANS)]


def told(capsys: pytest.CaptureFixture[str], name: str) -> dict:
    main(["explain", name, "--json"])
    return json.loads(capsys.readouterr().out, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))


@pytest.mark.parametrize("name", STARTS)
def test_explains_a_start(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain", name])
    out = capsys.readouterr().out
    kind = "plans" if name.startswith("plan.") else "initializers"
    summary, use, *paper = cards(kind)[name.removeprefix("plan.")]
    assert out.startswith(name.removeprefix("plan.")) and summary in out and use in out and "".join(paper) in out
    known = told(capsys, name)
    for setting in known.get("settings", []):
        assert re.search(rf"^  {setting['name']} .*{re.escape(setting['meaning'])}$", out, re.MULTILINE)
    assert "\x1b" not in out and "│" not in out and "…" not in out and " \n" not in out


@pytest.mark.parametrize("kind", ["initializers", "plans"])
def test_every_start_has_a_card(kind: str) -> None:
    assert list(cards(kind)) == list(registry(kind)) == list({"initializers": INITIALIZERS, "plans": PLANS}[kind])
    entries = {entry.name: entry for entry in catalog() if entry.kind == kind}
    assert {name: [e.summary, e.use] for name, e in entries.items()} == {name: texts[:2] for name, texts in cards(kind).items()}
    assert all(REGISTRIES.values())


def test_a_start_in_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    he = told(capsys, "he_normal")
    assert he["formula"][:2] == ["σ² = gain² / fan", "w ~ N(0, σ²)"]
    assert he["formula"][2:] == ["fan: fan_in, or what mode says", "gain: 1.4142 for relu, or what gain says"]
    assert [(x["name"], x["default"]) for x in he["settings"]] == [("mode", "fan_in"), ("gain", "relu")]
    assert he["draws"]["shape"] == [128, 256] and abs(he["draws"]["std"] - (2 / 256) ** 0.5) < 1e-3
    assert told(capsys, "xavier_uniform")["formula"] == ["σ² = gain² × 2 / (fan_in + fan_out)", "w ~ U(−√3 σ, √3 σ)"]
    assert told(capsys, "lecun_normal")["formula"] == ["σ² = 1 / fan_in", "w ~ N(0, σ²)"]
    assert told(capsys, "orthogonal")["formula"] == [] and abs(told(capsys, "orthogonal")["draws"]["singular"][0] - 1) < 1e-5
    assert told(capsys, "dirac")["draws"]["shape"] == [64, 32, 3, 3]


@pytest.mark.parametrize("name", STARTS)
def test_the_lines_of_a_start_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, name)["code"]
    # Residual, for the plans that ask for branches; square, for the initializers that do.
    layer = torch.nn.Conv2d(4, 4, 3, padding=1) if any("Conv2d" in line for line in lines) else torch.nn.Linear(4, 4)
    model = torch.nn.Sequential(layer, Skip(torch.nn.Sequential(torch.nn.ReLU(), type(layer)(4, 4, *[1] * (layer.weight.ndim > 2)))))
    before = layer.weight.detach().clone()
    exec("\n".join(lines), {"model": model})
    assert not torch.equal(layer.weight, before) and "0.weight" in capsys.readouterr().out


class Skip(torch.nn.Module):
    def __init__(self, branch: torch.nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.branch(x)


# --- schedules and regularizers ---------------------------------------------------------------------

CARDS = {f"schedule.{name}": cls for name, cls in SCHEDULES.items()} | {f"regularizer.{name}": cls for name, cls in REGULARIZERS.items()}


@pytest.mark.parametrize("name", CARDS)
def test_explains_a_card(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain", name])
    out, cls = capsys.readouterr().out, CARDS[name]
    kind, _, plain = name.partition(".")
    assert out.startswith(f"{plain}  {kind} {cls.__name__}\n") and cls.paper in out and cls.use in out
    for setting, spec in {**cls.own_knobs(), **cls.own_options()}.items():
        assert re.search(rf"^  {setting} .*{re.escape(spec.meaning)}$", out, re.MULTILINE), setting
    for word in ("hurts", "cost", "measured"):
        assert getattr(cls, word, "") in out
    assert ("The shorthand in a recipe sets" in out) == bool(getattr(cls, "main", ""))
    assert "\x1b" not in out and "│" not in out and "…" not in out and " \n" not in out


@pytest.mark.parametrize("name", [*(f"schedule.{name}" for name in SCHEDULES), "warmup_cosine", "warmup_plateau"])
def test_the_lines_of_a_schedule_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    known = told(capsys, name)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    namespace = {"optimizer": optimizer, "metric": 1.0}
    exec(known["code"][0] + "\n" + known["code"][1], namespace)
    first = optimizer.param_groups[0]["lr"]
    assert first == pytest.approx(0.1 * known["curve"]["y"][0], rel=1e-6)
    optimizer.step()
    exec("\n".join(known["code"][2:]), namespace)
    (section, line) = known["recipe"]
    said = tomllib.loads("\n".join(known["recipe"]))
    assert section == "[schedule]" and line.startswith("lr = ") and read(said["schedule"]["lr"])


@pytest.mark.parametrize("name", REGULARIZERS)
def test_the_lines_of_a_regularizer_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    known = told(capsys, f"regularizer.{name}")
    namespace: dict = {}
    exec("\n".join(known["code"][:2]), namespace)
    assert namespace[name] == REGULARIZERS[name]()
    made, (_, method) = namespace[name], re.findall(r"(\w+)\.(\w+)\(", known["code"][2])[0]
    assert callable(getattr(made, method))
    said = tomllib.loads("\n".join(known["recipe"]))
    recipe = Recipe(said)  # it is one
    assert recipe.stop.patience == 5 if name == "early_stopping" else list(recipe.regularizers()) == [name]


def test_a_curve_in_characters() -> None:
    up = draw([i / ACROSS for i in range(ACROSS + 1)])
    assert len(up) == HEIGHT + 2 and up[0][:MARGIN] == "      1 ┤" and up[HEIGHT - 1][:MARGIN] == "      0 ┤"
    ends = [len(line) for line in up[:HEIGHT]]
    assert ends == sorted(ends, reverse=True) and len(set(ends)) == HEIGHT and ends[0] == MARGIN + WIDTH
    wall = [line[MARGIN:] for line in draw([1.0] * (ACROSS // 2) + [0.0] * (ACROSS // 2 + 1))[:HEIGHT]]
    assert {line.lstrip("⠀") for line in wall[1:-1]} == {"⢸"} and wall[0] == "⠉" * (WIDTH // 2 - 1) + "⢱"
    assert {len(line) for line in wall[:-1]} == {WIDTH // 2} and wall[-1].endswith("⣀" * (WIDTH // 2))
    assert draw([0.0] * (ACROSS + 1))[HEIGHT - 1][MARGIN:] == "⣀" * WIDTH
    assert draw([0.3] * (ACROSS + 1))[0] == "    0.3 ┤" + "⠉" * WIDTH
    assert up[-1].split() == ["0%", "25%", "50%", "75%", "100%"] and up[-1].index("0%") == up[-2].index("┬")


# --- list ------------------------------------------------------------------------------------------


def test_the_listing_says_what_the_classes_say() -> None:
    entries = {entry.name: entry for entry in catalog() if entry.kind in ("rules", "wrappers")}
    assert list(entries) == list(ALL)
    for name, entry in entries.items():
        rule, cls = made(name), ALL[name]
        own = [path for path in flatten(rule.init(torch.zeros(4, 4))) if not path.startswith("inner.")]
        assert sorted(entry.state) == sorted(own), name
        assert (entry.cls, entry.use, entry.paper) == (cls.__name__, cls.use, cls.paper)
        assert sorted(entry.knobs) == sorted(cls.own_knobs()) and sorted(entry.options) == sorted(cls.own_options())
        assert entry.summary and " ".join((cls.__doc__ or "").split()).startswith(entry.summary)
        assert entry.scope == ("inner's" if name in WRAPPERS else rule.scope)


def test_the_listing_says_what_the_cards_say() -> None:
    entries = {f"{entry.kind[:-1]}.{entry.name}": entry for entry in catalog() if entry.kind in ("schedules", "regularizers")}
    assert list(entries) == list(CARDS)
    for name, entry in entries.items():
        cls = CARDS[name]
        assert (entry.cls, entry.use, entry.paper) == (cls.__name__, cls.use, cls.paper) and entry.summary and entry.group
        assert sorted(entry.knobs + entry.options) == sorted([*cls.own_knobs(), *cls.own_options()]), name
        said = (getattr(cls, "hurts", ""), getattr(cls, "cost", ""), getattr(cls, "measured", ""))
        assert (entry.hurts, entry.cost, entry.measured) == said and not entry.state and not entry.scope


def test_list_pipes_lines_with_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list"])
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == [*ALL, *INITIALIZERS, *PLANS, *SCHEDULES, *REGULARIZERS] and {len(row) for row in rows} == {6}
    main(["list", "wrappers"])
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == list(WRAPPERS)
    main(["list", "rules", "--json"])
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == list(RULES)


def test_lists_and_schedules_do_not_wait_for_torch() -> None:
    code = """
import sys
from steepest.cli.main import main
main(["list"])
main(["explain", "cosine"])
main(["explain", "warmup_cosine"])
assert not {"torch", "numpy", "numba"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True)


def test_sentences_end_where_they_end() -> None:
    assert sentence("One (et al., 2015. No.) two.\nThree.") == "One (et al., 2015. No.) two."
    assert sentence("As Liu et al. say it\n\nMore.") == "As Liu et al. say it"


# --- manners ---------------------------------------------------------------------------------------


def test_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert mistake(capsys, "explain", "lookahed") == "nothing is called 'lookahed'; did you mean lookahead?"
    assert mistake(capsys, "explain", "xyz") == "nothing is called 'xyz'; steepest list shows all"
    assert mistake(capsys, "list", "rule") == "there is no kind 'rule' to list; did you mean rules?"
    assert "'explian'" in mistake(capsys, "explian", "adam")
    assert "--jsno" in mistake(capsys, "list", "--jsno")
    assert mistake(capsys, "explain").endswith("See steepest explain --help")


def test_a_bug_of_ours_shows_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steepest.cli.listing.catalog", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["list"])


@pytest.mark.parametrize("argv", [["--help"], ["list", "--help"], ["explain", "--help"], []])
def test_help_has_examples(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(argv)
    assert re.search(r"^ +steepest (list|explain adamw)", capsys.readouterr().out, re.MULTILINE)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert re.fullmatch(r"steepest \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize("argv", [["list"], ["list", "--json"], ["--help"]])
def test_a_reader_that_left_is_no_error(argv: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*STEEPEST, *argv], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.returncode == 1 and done.stderr == b""


def test_an_ascii_pipe_is_served() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*STEEPEST, "list", "--json"], env=environment, capture_output=True, check=True)
    assert "Méthode générale".encode("ascii", "replace") in done.stdout


def on_terminal(*argv: str, columns: int, **environment: str) -> str:
    """What is shown on a terminal of this width: a real one, with a program behind it."""
    leader, follower = pty.openpty()
    hidden = ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    terminal = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "50"}
    process = subprocess.Popen([*STEEPEST, *argv], stdout=follower, env=kept | terminal | environment)
    os.close(follower)
    shown = b""
    try:
        while block := os.read(leader, 65536):
            shown += block
    except OSError:  # how a terminal says that there is no more
        pass
    os.close(leader)
    assert process.wait() == 0
    return shown.decode()


def test_a_terminal_gets_colors_and_nothing_is_cut() -> None:
    for argv, columns in (
        (["explain", "prodigy"], 80),
        (["list"], 80),
        (["list"], 200),
        (["explain", "wsd"], 80),
        (["explain", "mixup"], 80),
    ):
        shown = on_terminal(*argv, columns=columns)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
        assert "\x1b[" in shown and "…" not in plain
        assert max(map(cell_len, plain.splitlines())) == min(columns, 100)
    assert "\x1b[3" not in on_terminal("list", columns=80, NO_COLOR="1")


def test_numbers_are_short() -> None:
    written = [number(x) for x in (0.0, 1e-4, 2.5e-3, 1e-30, -0.8, 5e-7, 1e6, float("inf"), float("-inf"))]
    assert written == ["0", "1e-4", "0.0025", "1e-30", "−0.8", "5e-7", "1e6", "∞", "−∞"]
