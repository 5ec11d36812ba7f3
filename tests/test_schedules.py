"""Schedules: the formulas, torch's own schedulers step by step, spans without off-by-one, and mistakes in one clear line."""

import json
import math
import pickle
import subprocess
import sys
import warnings
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler as torchs

import steepest as sp
from steepest.core.errors import SettingError, StateError
from steepest.schedules import SCHEDULES, Length, batch_sizes, grow_batch, of, plateau_of, read, torch_scheduler, whole
from steepest.schedules.decays import FALLS
from steepest.schedules.reading import PREFIX, said
from steepest.schedules.span import parse

COMPOSED = {
    "warmup": {"inner": "cosine"},
    "sequence": {"parts": ["warmup_constant", "linear"], "until": ["60%"]},
    "product": {"parts": ["linear", "triangular"]},
    "inverse": {"inner": {"shape": "step", "factor": 0.5}},
}
NAMES = [*SCHEDULES, *(PREFIX + name for name in SCHEDULES)]


def made(name):
    return of(name, COMPOSED.get(name.removeprefix(PREFIX), {}))


def values(schedule, n, length=None):
    length = length or Length(n)
    resolved = schedule.resolve(length)
    return [resolved(length.progress(k)) for k in range(n)]


def rates(make, n, lr=0.3):
    """What torch's scheduler gives at each of n steps, in double precision."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR steps with a deprecated argument
        scheduler = make(optimizer)
        found = []
        for _ in range(n):
            found.append(optimizer.param_groups[0]["lr"] / lr)
            optimizer.step()
            scheduler.step()
    return found


def same(ours, theirs, tolerance=1e-12):
    assert len(ours) == len(theirs)
    worst = max(range(len(ours)), key=lambda k: abs(ours[k] - theirs[k]))
    assert abs(ours[worst] - theirs[worst]) <= tolerance, f"step {worst}: {ours[worst]!r} and {theirs[worst]!r}"


# --- torch's own, at every step ------------------------------------------------------------------------

N = 101
LR = 0.3
TORCH = {
    "step": (of("staircase", dict(every="7 steps", factor=0.3)), lambda o: torchs.StepLR(o, 7, 0.3)),
    "multi_step": (
        of("step", dict(at=["13 steps", "50 steps", "51 steps"], factor=0.3)),
        lambda o: torchs.MultiStepLR(o, [13, 50, 51], 0.3),
    ),
    "exponential": (of("exponential", dict(end=0.97 ** (N - 1))), lambda o: torchs.ExponentialLR(o, 0.97)),
    "polynomial": (of("polynomial", dict(power=0.9)), lambda o: torchs.PolynomialLR(o, N - 1, 0.9)),
    "linear": (of("linear", dict(start=0.25, end=0.75)), lambda o: torchs.LinearLR(o, 0.25, 0.75, N - 1)),
    "constant": (read([{"shape": "constant", "factor": 0.2, "until": "30 steps"}, "constant"]), lambda o: torchs.ConstantLR(o, 0.2, 30)),
    "linear, then level": (
        read([{"shape": "linear", "start": 0.25, "end": 1.0, "until": "30 steps"}, "constant"]),
        lambda o: torchs.LinearLR(o, 0.25, 1.0, 30),
    ),
    "cosine": (of("cosine", dict(end=0.1)), lambda o: torchs.CosineAnnealingLR(o, N - 1, 0.1 * LR)),
    "restarts": (of("cosine_restarts", dict(period="7 steps", end=0.1)), lambda o: torchs.CosineAnnealingWarmRestarts(o, 7, 1, 0.1 * LR)),
    "restarts that grow": (
        of("cosine_restarts", dict(period="9 steps", growth=2, end=0.1)),
        lambda o: torchs.CosineAnnealingWarmRestarts(o, 9, 2, 0.1 * LR),
    ),
    "one cycle": (of("one_cycle", dict(rise=(0.3 * N - 1) / (N - 1))), lambda o: torchs.OneCycleLR(o, LR, total_steps=N)),
    "one cycle, linear": (
        of("one_cycle", dict(rise=(0.4 * N - 1) / (N - 1), start=0.1, end=0.001, curve="linear")),
        lambda o: torchs.OneCycleLR(o, LR, total_steps=N, pct_start=0.4, div_factor=10, final_div_factor=100, anneal_strategy="linear"),
    ),
    "one cycle, three phases": (
        of("one_cycle", dict(rise=(0.3 * N - 1) / (N - 1), three_phase=True)),
        lambda o: torchs.OneCycleLR(o, LR, total_steps=N, three_phase=True),
    ),
    "cyclic": (
        of("triangular", dict(period="14 steps", low=0.2, rise=5 / 14)),
        lambda o: torchs.CyclicLR(o, 0.2 * LR, LR, 5, 9, cycle_momentum=False),
    ),
    "cyclic, shrinking": (
        of("triangular", dict(period="12 steps", low=0.2, shrink=0.5)),
        lambda o: torchs.CyclicLR(o, 0.2 * LR, LR, 6, mode="triangular2", cycle_momentum=False),
    ),
    "warmup and cosine": (
        of("warmup_cosine", dict(warmup="20 steps", start=0.05)),
        lambda o: torchs.SequentialLR(o, [torchs.LinearLR(o, 0.05, 1.0, 20), torchs.CosineAnnealingLR(o, N - 1 - 20)], [20]),
    ),
}


@pytest.mark.parametrize("case", TORCH)
def test_equals_torch_at_every_step(case):
    schedule, theirs = TORCH[case]
    same(values(schedule, N), rates(theirs, N, LR))


def test_nothing_begins_anew_at_the_last_step():
    """The documented difference: torch's would jump for one step alone."""
    n = 21
    restarts = of("cosine_restarts", dict(period="5 steps"))
    theirs = rates(lambda o: torchs.CosineAnnealingWarmRestarts(o, 5), n)
    assert theirs[-1] == 1.0 and values(restarts, n)[-1] == 0.0
    same(values(restarts, n)[:-1], theirs[:-1])
    stairs = of("staircase", dict(every="25%"))
    assert values(stairs, n)[-1] == pytest.approx(1e-3) and values(stairs, n)[-2] == pytest.approx(1e-3)


def test_torch_raises_one_step_after_one_cycle_and_ours_stays():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = torch_scheduler(optimizer, "one_cycle", steps=5)
    for _ in range(8):
        optimizer.step()
        scheduler.step()
    assert scheduler.get_last_lr() == [pytest.approx(LR * 4e-6, rel=1e-12)]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("floor", [0.0, 0.02])
def test_plateau_is_torchs(mode, floor):
    generator = torch.Generator().manual_seed(3)
    metrics = (torch.rand(200, generator=generator, dtype=torch.float64) + torch.linspace(1, 0.3, 200, dtype=torch.float64)).tolist()
    metrics[50] = math.nan
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=LR)
    theirs = torchs.ReduceLROnPlateau(optimizer, mode, factor=0.5, patience=2, threshold=1e-2, min_lr=floor * LR, eps=0)
    ours = of("plateau", dict(by=0.5, patience=3, threshold=1e-2, mode=mode, end=floor))
    state, seen = ours.start(), []
    for metric in metrics:
        theirs.step(metric)
        state = ours.observe(state, metric)
        seen.append(ours.factor(state))
        assert seen[-1] * LR == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert len(set(seen)) > 3 and all(isinstance(x, float) for x in state) and len(state) == 2


def test_plateau_knows_better_below_zero():
    """torch's relative threshold asks for less, not more, where the best value is negative."""
    plateau = of("plateau", dict(threshold=0.1, patience=1))
    state = plateau.observe(plateau.start(), -1.0)
    assert plateau.observe(state, -1.05)[0] == -1.0 and plateau.observe(state, -1.2)[0] == -1.2


# --- formulas ----------------------------------------------------------------------------------------


def test_formulas():
    for u in (0.0, 0.1, 0.37, 0.5, 0.99, 1.0):
        assert of("polynomial", dict(power=3, end=0.1))(u) == pytest.approx(0.1 + 0.9 * (1 - u) ** 3, rel=1e-12)
        assert of("exponential", dict(end=0.02))(u) == pytest.approx(0.02**u, rel=1e-12)
        assert of("inverse_time", dict(end=0.2))(u) == pytest.approx(1 / (1 + 4 * u), rel=1e-12)
        assert of("inverse_sqrt", dict(timescale=0.25))(u) == pytest.approx(1 / math.sqrt(1 + 4 * u), rel=1e-12)
        for fall, f in FALLS.items():
            want = 1.0 if u < 0.6 else f((u - 0.6) / 0.4) * 0.8 + 0.2
            assert of("stable_decay", dict(decay=0.4, end=0.2, fall=fall))(u) == pytest.approx(want, rel=1e-9), (fall, u)
    left = {"linear": 0.5, "cosine": 0.5, "sqrt": 1 - math.sqrt(0.5), "square": 0.75}
    assert {fall: pytest.approx(f(0.5)) for fall, f in FALLS.items()} == left
    assert of("stable_decay", dict(decay=0.5, end=0.01, fall="exponential"))(0.75) == pytest.approx(0.1)
    curve = of("piecewise", dict(at=[0.1, 0.5, "80%"], values=[0.2, 1, 0.4]))
    assert [curve(x) for x in (0, 0.1, 0.3, 0.5, 0.65, 0.8, 1)] == pytest.approx([0.2, 0.2, 0.6, 1, 0.7, 0.4, 0.4])


def test_warmup_inverse_sqrt_is_that_of_the_transformer():
    n, w = 1001, 100
    found = values(of("warmup_inverse_sqrt", dict(warmup=f"{w} steps", start=0.0)), n)
    same(found, [min(k / w, math.sqrt(w / k)) if k else 0.0 for k in range(n)])


def test_wsd():
    found = values(of("wsd", dict(warmup="10 steps", decay="20 steps", start=0.0, fall="linear")), 101)
    same(found, [min(k / 10, 1.0, (100 - k) / 20) for k in range(101)])


def test_product_and_inverse():
    a, b = of("linear", {}), of("triangular", {})
    both = sp.schedules.Product(parts=(a, b))
    assert both(0.3) == a(0.3) * b(0.3)
    assert sp.schedules.Inverse(inner=a, most=4)(0.5) == 2 and sp.schedules.Inverse(inner=a, most=4)(0.9) == 4


def test_a_momentum_that_goes_against_the_rate():
    """torch's cycle_momentum, as a second schedule."""
    rise = (0.3 * N - 1) / (N - 1)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=LR, momentum=0.9)
    scheduler = torchs.OneCycleLR(optimizer, LR, total_steps=N)
    ours = values(of("one_cycle", dict(rise=rise, start=1, peak=0.85 / 0.95, end=1)), N)
    for k in range(N):
        assert ours[k] * 0.95 == pytest.approx(optimizer.param_groups[0]["momentum"], rel=1e-12)
        optimizer.step()
        if k < N - 1:
            scheduler.step()


# --- properties of all -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_finite_in_bounds_and_still_outside(name):
    schedule = made(name)
    found = [schedule(k / 1000) for k in range(1001)]
    assert all(0 <= y <= 16 for y in found) and all(map(math.isfinite, found))
    assert schedule(-1) == schedule(0) and schedule(2) == schedule(1)
    assert schedule.resolve(Length(1))(0) == schedule(0)
    assert pickle.loads(pickle.dumps(schedule)) == schedule and repr(schedule).startswith(type(schedule).__name__)


JUMPS = {"step", "multi_step", "staircase", "cosine_restarts", "inverse", "sequence"}


@pytest.mark.parametrize("name", [name for name in NAMES if name.removeprefix(PREFIX) not in JUMPS])
def test_continuous(name):
    schedule = made(name)
    found = [schedule(k / 100_000) for k in range(100_001)]
    # 1 - sqrt begins with a vertical slope: at its first point it falls by sqrt(1e-5 / 0.2).
    limit = 0.008 if "stable_decay" in name else 2e-4
    assert max(abs(b - a) for a, b in pairwise(found)) < limit


@pytest.mark.parametrize("name", NAMES)
def test_every_knob_and_option_has_an_effect(name):
    schedule = made(name)
    if plateau_of(schedule):
        return
    before = [schedule(k / 99) for k in range(100)]
    cls = type(schedule)
    for knob, spec in cls.own_knobs().items():
        value = getattr(schedule, knob)
        moved = {"most": 2.0, "growth": 1.5}.get(knob, value * 0.9 if value else 0.1 if spec.high <= 1 else 0.5)
        changed = schedule.replace(**{knob: moved})
        assert max(abs(changed(k / 99) - y) for k, y in enumerate(before)) > 1e-7, knob
    for option, spec in cls.own_options().items():
        others = [x for x in (spec.choices or ((not spec.default,) if isinstance(spec.default, bool) else ())) if x != spec.default]
        for other in others:
            changed = schedule.replace(**{option: other}, **({"end": 0.01} if other == "exponential" else {}))
            assert max(abs(changed(k / 99) - y) for k, y in enumerate(before)) > 1e-4, (option, other)


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_every_class_is_its_own_card(name):
    cls = SCHEDULES[name]
    assert cls.__doc__ and cls.use and isinstance(cls.paper, str)
    for spec in cls.own_knobs().values():
        assert spec.meaning and spec.search and spec.search[0] in spec and spec.search[1] in spec


# --- spans and seams ---------------------------------------------------------------------------------


@given(st.integers(3, 10**6), st.integers(1, 10**6), st.sampled_from(["cosine", "linear", "constant", "inverse_sqrt", "polynomial"]))
def test_a_warmup_ends_at_its_step(n, w, inner):
    w = w % (n - 2) + 1
    length = Length(n)
    schedule = of(PREFIX + inner, dict(warmup=f"{w} steps", start=0.0)).resolve(length)
    assert schedule(0) == 0.0
    top = schedule(length.progress(w))
    assert top == schedule.inner(0.0) == 1.0
    assert 0 < schedule(length.progress(w - 1)) < top or w == 1
    assert schedule(1.0) == schedule.inner.value(1.0, length.progress(w), 1.0)


@given(st.integers(2, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_milestones_fall_on_their_step_wherever_they_stand(n, a, w):
    a = a % (n - 1) + 1  # 1 ... n - 1
    length = Length(n)
    step = of("step", dict(at=f"{a} steps", factor=0.5))
    inside = [step, sp.schedules.Warmup(inner=step, warmup=f"{w % a} steps")] if w % a < n - 1 else [step]
    for schedule in (x.resolve(length) for x in inside):
        assert schedule(length.progress(a)) == 0.5
        assert schedule(length.progress(a - 1)) == 1.0


def test_periods_do_not_drift():
    """7 has no exact quotient, and neither have most lengths: each stair begins at its own step all the same."""
    for n in (1000, 4099, 99_991):
        length = Length(n)
        schedule = of("staircase", dict(every="7 steps", factor=0.999)).resolve(length)
        for k in range(0, n - 1, 7):
            assert schedule(length.progress(k)) == 0.999 ** (k // 7)
            assert k == 0 or schedule(length.progress(k - 1)) == 0.999 ** (k // 7 - 1)


def test_units():
    length = Length(steps=1000, epochs=10, samples=64_000, tokens=1e6)
    said = ["30 epochs", "3 epoch", "300 steps", "19200 samples", "19_200 Samples", "3e5 tokens", " 300  steps "]
    found = [length.share("x", text) for text in said[1:]]
    assert found == [300 / 999] * len(found)
    assert of("step", dict(at=["30%", 0.5, "60 percent"])).at == (0.3, 0.5, 0.6)
    assert parse("x", "1.5e3 steps") == (1500.0, "steps")
    with pytest.raises(SettingError, match=r"x = '30 epochs' is longer than the run of 10 epochs"):
        length.share("x", "30 epochs")


def test_spans_are_of_the_run_also_inside():
    inside = of("warmup_step", dict(warmup="20%", at=["50%", "75%"], factor=0.5))
    assert [inside(x) for x in (0.2, 0.49, 0.5, 0.74, 0.75)] == [1, 1, 0.5, 0.5, 0.25]
    wsd = of("warmup_stable_decay", dict(warmup="50%", decay="20%"))
    assert wsd(0.79) == 1 and wsd(0.81) < 1


def test_sequence_hands_over_at_its_seams():
    said = [
        {"shape": "linear", "start": 0.1, "end": 1.0, "until": "5 steps"},
        {"shape": "constant", "until": "50%"},
        {"shape": "cosine", "end": 0.1},
    ]
    found = values(read(said), 21)
    assert found[:6] == pytest.approx([0.1, 0.28, 0.46, 0.64, 0.82, 1.0]) and found[5:11] == [1.0] * 6
    assert found[15] == pytest.approx(0.55) and found[20] == pytest.approx(0.1)


def test_a_run_of_one_step_and_of_two():
    assert values(of("warmup_cosine", {}), 1) == [0.01] and values(of("cosine", {}), 2) == [1.0, 0.0]


def test_resolving_is_needed_once_and_changes_nothing_else():
    schedule = of("warmup_cosine", dict(warmup="50 steps", end=0.1))
    assert schedule.warmup == "50 steps"
    resolved = schedule.resolve(Length(101))
    assert resolved.warmup == 0.5 and resolved.inner == schedule.inner and resolved.resolve(Length(7)) == resolved
    with pytest.raises(SettingError, match=r"'50 steps' needs the length of the run: schedule\.resolve\(Length\(steps=\.\.\., epochs="):
        schedule(0.5)


# --- what a recipe says ------------------------------------------------------------------------------


def test_reading():
    assert read({"shape": "warmup_cosine", "warmup": "10%"}) == read("warmup_cosine") == of("warmup_cosine", {})
    assert read(0.5)(0.3) == 0.5 and read(read("cosine")) == of("cosine", {})
    assert of("wsd", {}) == of("warmup_stable_decay", {}) and of("multi_step", {}) == of("step", {})
    nested = read({"shape": "product", "parts": ["cosine", {"shape": "warmup", "inner": "constant"}]})
    assert nested(0.05) == pytest.approx(of("cosine", {})(0.05) * 0.505)


# --- mistakes ----------------------------------------------------------------------------------------

LENGTH = Length(100, epochs=10)
MISTAKES = {
    # the issue's
    lambda: of("warmup_cosine", dict(warmup="100%")): "Warmup.warmup = 100% of the run leaves nothing of the run",
    lambda: of("warmup_cosine", dict(warmup="10 epochs")).resolve(LENGTH): "Warmup.warmup = 100% of the run leaves nothing of the run",
    lambda: of("warmup_cosine", dict(warmup="101 steps")).resolve(
        LENGTH
    ): "Warmup.warmup = '101 steps' is longer than the run of 100 steps",
    lambda: of("warmup_cosine", dict(warmup="-5 steps")): "Warmup.warmup = '-5 steps' must be finite and not negative",
    lambda: of("warmup_cosine", dict(warmup=-0.1)): "Warmup.warmup = -0.1 is outside [0, 1]",
    lambda: of("warmup_stable_decay", dict(warmup="60%", decay="50%")): (
        "StableDecay.decay = 50% of the run does not fit into the 40% that are left"
    ),
    lambda: of("cosine_restarts", dict(period="110%")): "CosineRestarts.period = '110%' is more than 100%",
    lambda: of(
        "one_cycle", dict(rise="50%", three_phase=True)
    ): "OneCycle.rise = 50% of the run twice leaves nothing of the 100% to go down",
    lambda: of("step", dict(at=["75%", "50%"])): "Step.at is out of order: 50% does not come after 75%",
    lambda: of("step", dict(at=["8 epochs", "3 epochs"])).resolve(LENGTH): "Step.at is out of order: 30.303% does not come after 80.8081%",
    lambda: of("cosin", {}): "there is no schedule 'cosin'; did you mean cosine?",
    lambda: of("warmup_cosin", {}): "there is no schedule 'cosin'; did you mean cosine?",
    lambda: of("cosine", dict(finish=0)): "Cosine has no setting 'finish'; known: end",
    lambda: of("warmup_cosine", dict(warmup="5 epcohs")): "Warmup.warmup = '5 epcohs' has an unknown unit; did you mean epochs?",
    # and others
    lambda: of("warmup_cosine", dict(warmup=5)): 'Warmup.warmup = 5 is outside [0, 1]; say "5%", "5 epochs" or "5 steps"',
    lambda: of("warmup_cosine", dict(warmup="5")): 'Warmup.warmup = \'5\' has no unit; say "10%", "3 epochs" or "500 steps"',
    lambda: of("warmup_cosine", dict(warmup="soon")): "Warmup.warmup = 'soon' is not a span",
    lambda: of("warmup_cosine", dict(warmup=None)): "Warmup.warmup = None is not a number",
    lambda: of("warmup_cosine", dict(warmup=math.nan)): "Warmup.warmup = nan is not a number",
    lambda: of("warmup_cosine", dict(warmup="1e999 steps")): "Warmup.warmup = '1e999 steps' must be finite and not negative",
    lambda: of("warmup_cosine", dict(warmup="9 tokens")).resolve(LENGTH): (
        "Warmup.warmup = '9 tokens' needs the tokens of the run: Length(steps=100, tokens=...)"
    ),
    lambda: of("step", dict(at="10 epochs")).resolve(LENGTH): (
        "Step.at = '10 epochs' lies after the last of 100 steps, which are numbered from 0"
    ),
    lambda: of("warmup_step", dict(warmup="60%")): "Step.at: 50% of the run lies before its part, which begins at 60%",
    lambda: read([{"shape": "step", "until": "60%"}, "cosine"]): "Step.at: 75% of the run lies after its part, which ends at 60%",
    lambda: of("staircase", dict(every=0)): "Staircase.every = 0 must be longer than nothing",
    lambda: of("warmup_staircase", dict(warmup="50%", every="60%")): "Staircase.every = 60% of the run is longer than its part, 50%",
    lambda: of("inverse_sqrt", dict(timescale="0 steps")).resolve(LENGTH): "InverseSqrt.timescale = 0 must be longer than nothing",
    lambda: of("exponential", dict(end=0)): "Exponential.end = 0 is outside [1e-12, inf)",
    lambda: of("stable_decay", dict(fall="exponential")): "StableDecay.end = 0 cannot be reached by an exponential fall; say end = 0.01",
    lambda: of("stable_decay", dict(fall="fast")): "StableDecay.fall = 'fast' is not one of",
    lambda: of("piecewise", dict(at=[0, 1], values=[1])): "Piecewise needs a value for each moment, not 1 for 2",
    lambda: of("piecewise", dict(at=[0, 1], values=[1, -1])): "Piecewise.values = -1 is outside [0, inf)",
    lambda: of("piecewise", dict(values=2)): "Piecewise.values = 2 must be a list of numbers",
    lambda: of("piecewise", dict(at=[0.5, 0.2], values=[1, 1])): "Piecewise.at is out of order: 20% does not come after 50%",
    lambda: sp.schedules.Warmup(inner=0.5): "Warmup.inner must be a schedule, not 0.5",
    lambda: sp.schedules.Product(parts=("cosine",)): "Product.parts must be schedules, not 'cosine'",
    lambda: read(["cosine", "linear"]): 'part 1 of a sequence must say where it ends, as in until = "10%"',
    lambda: read([{"shape": "cosine", "until": "5%"}]): "the last part of a sequence ends with the run; leave out until",
    lambda: read([{"shape": "cosine", "until": "50%"}, {"shape": "linear", "until": "40%"}, "cosine"]): (
        "Sequence.until is out of order: 40% does not come after 50%"
    ),
    lambda: read([3, "cosine"]): "part 1 of a sequence must be a table with a shape, not 3",
    lambda: read({"warmup": "10%"}): "a schedule needs a shape, as in {shape = \"cosine\"}; this one says {'warmup': '10%'}",
    lambda: read(None): "None is not a schedule; say a name, a table with a shape, or a list of tables",
    lambda: of("plateau", dict(patience=0)): "Plateau.patience = 0 must be at least 1",
    lambda: plateau_of(read({"shape": "product", "parts": ["plateau", "warmup_plateau"]})): "a schedule can hold one Plateau, not 2",
    lambda: Length(0): "Length.steps = 0 must be a whole number, at least 1",
    lambda: Length(10.0): "Length.steps = 10.0 must be a whole number, at least 1",
    lambda: Length(10, epochs=-1): "Length.epochs = -1 must be above 0",
    lambda: grow_batch(of("cosine", {}), keep="both"): 'grow_batch(keep=\'both\') must be "lr" or "batch"',
    lambda: batch_sizes(0, 10, 1): "batch_sizes: base = 0 must be a whole number, at least 1",
    lambda: batch_sizes(32, 100, 2, of("step", dict(at="20 steps"))): (
        "a batch schedule counts in samples: '20 steps' must be said in percent, epochs or samples"
    ),
    lambda: batch_sizes(64, 100, 2, of("step", dict(at="50%", factor=2)), drop_last=True): (
        "a batch of 128 is more than the 100 samples, and drop_last leaves no step"
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=[text[:60] for text in MISTAKES.values()])
def test_mistakes_are_one_clear_line(mistake):
    with pytest.raises(SettingError) as error:
        mistake()
    assert str(error.value).startswith(MISTAKES[mistake]) and "\n" not in str(error.value)


# --- batch sizes -------------------------------------------------------------------------------------


def slowly(base, samples, epochs, schedule, drop_last):
    """The sizes by the definition, one step after another."""
    sizes, epoch_of = [], []
    resolved = schedule.resolve(Length(samples * epochs + 1, samples=samples * epochs + 1))
    for epoch in range(epochs):
        seen = 0
        while seen < samples:
            wanted = max(1, math.floor(base * resolved((epoch * samples + seen) / (samples * epochs)) + 0.5))
            if wanted > samples - seen and drop_last:
                break
            sizes.append(min(wanted, samples - seen))
            epoch_of.append(epoch)
            seen += sizes[-1]
    return sizes, epoch_of


@given(
    st.integers(1, 40),
    st.integers(50, 300),
    st.integers(1, 6),
    st.sampled_from([0.5, "linear", {"shape": "step", "factor": 1.7}, "warmup_cosine", "constant"]),
    st.booleans(),
)
def test_batches_by_the_definition(base, samples, epochs, said, drop_last):
    schedule = read(said)
    sizes = batch_sizes(base, samples, epochs, schedule, drop_last=drop_last)
    want, epoch_of = slowly(base, samples, epochs, schedule, drop_last)
    assert list(sizes) == want and len(sizes) == len(want) and sizes[-1] == want[-1] and sizes[1:3] == want[1:3]
    assert [sizes.epoch(k) for k in range(len(sizes))] == epoch_of
    assert [sizes.begins(e) for e in range(epochs)] == [epoch_of.index(e) for e in range(epochs)]
    assert [list(sizes.of_epoch(e)) for e in range(epochs)] == [
        [s for s, x in zip(want, epoch_of, strict=True) if x == e] for e in range(epochs)
    ]
    with pytest.raises(IndexError):
        sizes[len(want)]


def test_milestones_of_a_batch_fall_on_their_epoch():
    for samples in (97, 1000, 60_000):
        sizes = batch_sizes(8, samples, 7, of("step", dict(at=["3 epochs", "5 epochs"], factor=2)))
        first = [next(sizes.of_epoch(e)) for e in range(7)]
        assert first == [8, 8, 8, 16, 16, 32, 32]


def test_other_schedules_find_their_epoch_though_the_batch_grows():
    sizes = batch_sizes(10, 1000, 4, of("step", dict(at="50%", factor=2)))
    assert len(sizes) == 300 and [sizes.begins(e) for e in range(4)] == [0, 100, 200, 250]
    length = sizes.length()
    rate = of("step", dict(at=["1 epochs", "3 epochs"], factor=0.5)).resolve(length)
    at = [k for k in range(1, 300) if rate(length.progress(k)) != rate(length.progress(k - 1))]
    assert at == [100, 250]
    assert Length(300, epochs=4).share("x", "3 epochs") != length.share("x", "3 epochs")
    assert length.share("x", "3500 samples") == pytest.approx(length.progress(275))
    assert length.progress(0) == 0.0 and length.progress(299) == 1.0
    assert length.share("x", "60 steps") == length.progress(60) and length.share("x", "270 steps") == pytest.approx(length.progress(270))


def test_an_epoch_is_as_long_wherever_it_begins_though_the_batch_grows():
    """Durations in epochs that do not begin with the run: stairs, the decay at the end, a warmup in the middle."""
    length = batch_sizes(10, 1000, 4, of("step", dict(at="50%", factor=2))).length()  # epochs begin at 0, 100, 200, 250
    for schedule, moments in (
        (of("staircase", dict(every="1 epochs", factor=0.5)), [100, 200, 250]),
        (read([{"shape": "constant", "until": "2 epochs"}, {"shape": "staircase", "every": "1 epochs", "factor": 0.5}]), [250]),
    ):
        made = schedule.resolve(length)
        values = [made(length.progress(k)) for k in range(300)]
        assert [k for k in range(1, 300) if values[k] != values[k - 1]] == moments
    decay = of("stable_decay", dict(decay="1 epochs")).resolve(length)
    values = [decay(length.progress(k)) for k in range(300)]
    assert [k for k in range(300) if values[k] == 1.0][-1] in (249, 250) and values[-1] == pytest.approx(decay(1.0))
    second = read([{"shape": "constant", "until": "2 epochs"}, {"shape": "warmup", "inner": "constant", "warmup": "1 epochs"}])
    second = second.resolve(length)
    assert second(length.progress(249)) < 1.0 == second(length.progress(250))
    cut = Length(225, epochs=2.5, starts=(0, 100, 200))  # a run that ends within an epoch
    assert [cut.progress(k) for k in (0, 100, 200, 224)] == pytest.approx([0, 1 / 2.48, 2 / 2.48, 1.0])


def test_a_constant_batch_is_two_numbers():
    sizes = batch_sizes(128, 60_000, 10**9)
    assert len(sizes) == 469 * 10**9 and len(sizes.blocks) == 1 and sizes[468] == 96 and sizes.epoch(len(sizes) - 1) == 10**9 - 1
    assert len(batch_sizes(128, 60_000, 10, drop_last=True)) == 4680 and len(batch_sizes(128, 100, 3)) == 3
    assert sizes.length().epochs == 10**9


def test_growing_the_batch_is_the_same_ratio():
    decay = of("step", dict(at=["25%", "50%", "75%"], factor=0.5))
    for schedule in (decay, of("warmup_step", dict(warmup="10%", at=["25%", "50%", "75%"], factor=0.5)), of("cosine", dict(end=0.01))):
        for keep, most in (("lr", math.inf), ("lr", 4.0), ("batch", math.inf)):
            grown = {knob: read(said) for knob, said in grow_batch(schedule, keep, most).items()}
            for x in (0.0, 0.05, 0.2, 0.3, 0.6, 0.9, 1.0):
                lr, batch = grown["lr"](x), grown["batch"](x)
                assert lr / batch == pytest.approx(schedule(x), rel=1e-12) and 1 <= batch <= most
                if keep == "batch":
                    assert batch == 1
    table = {"shape": "step", "at": [0.25, 0.5, 0.75], "factor": 0.5}
    grown = {"lr": {"shape": "constant"}, "batch": {"shape": "inverse", "inner": table, "most": math.inf}}
    assert grow_batch(decay) == grow_batch(table) == grown
    sizes = batch_sizes(128, 60_000, 4, grow_batch(decay)["batch"])
    assert [next(sizes.of_epoch(e)) for e in range(4)] == [128, 256, 512, 1024]


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_says_what_it_is_read_from(name):
    schedule = made(name)
    table = said(schedule)
    assert read(table) == schedule == read(json.loads(json.dumps(table)))


def test_whole_numbers_for_lengths():
    assert [whole(512, f, 64) for f in (0.01, 0.3, 0.5, 1.0)] == [64, 128, 256, 512]
    assert whole(5, 0.5) == 3 and whole(1, 0.1) == 1


# --- in torch's place --------------------------------------------------------------------------------


def model():
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)).double()


OPTIMIZERS = {
    "torch.AdamW": lambda m: torch.optim.AdamW([{"params": m[0].parameters(), "lr": 0.1}, {"params": m[1].parameters()}], weight_decay=0.2),
    "AdamW": lambda m: sp.optim.AdamW([{"params": m[0].parameters(), "lr": 0.1}, {"params": m[1].parameters()}], weight_decay=0.2),
    "a rule": lambda m: sp.optim.Optimizer(
        [{"params": m[0].parameters(), "lr": 0.1}, {"params": m[1].parameters()}], sp.rules.Adam(weight_decay=0.2)
    ),
}
KNOBS = {
    "lr": of("warmup_cosine", dict(warmup="3 steps")),
    "weight_decay": of("linear", dict(start=0.5, end=1.0)),
    "beta2": of("linear", dict(start=0.9, end=1.0)),
}


def train(optimizer, m, scheduler, steps):
    seen = []
    for _ in range(steps):
        seen.append([(g["lr"], g["weight_decay"], *g["betas"]) for g in optimizer.param_groups])
        optimizer.zero_grad()
        m(torch.ones(4, 2, dtype=torch.float64)).square().mean().backward()
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_several_knobs_of_several_groups(make):
    m = model()
    optimizer = make(m)
    scheduler = torch_scheduler(optimizer, KNOBS, steps=11)
    assert isinstance(scheduler, torchs.LRScheduler) and scheduler.get_last_lr() == [0.1 * 0.01, 1e-3 * 0.01]
    seen = train(optimizer, m, scheduler, 13)
    for knob, place, bases in (("lr", 0, (0.1, 1e-3)), ("weight_decay", 1, (0.2, 0.2)), ("beta2", 3, (0.999, 0.999))):
        factors = values(KNOBS[knob], 11)
        for k, groups in enumerate(seen):
            assert [group[place] for group in groups] == [pytest.approx(base * factors[min(k, 10)], abs=1e-15) for base in bases]
    assert {group[2] for groups in seen for group in groups} == {0.9}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("stop", [1, 3, 7, 10])
@pytest.mark.parametrize("late", [False, True])
def test_resumed_at_any_step(make, stop, late):
    whole_model, half = model(), model()
    half.load_state_dict(whole_model.state_dict())
    optimizer = make(whole_model)
    unbroken = train(optimizer, whole_model, torch_scheduler(optimizer, KNOBS, steps=11), 11)
    optimizer = make(half)
    scheduler = torch_scheduler(optimizer, KNOBS, steps=11)
    first = train(optimizer, half, scheduler, stop)
    saved = scheduler.state_dict()
    assert saved == {"step": stop}
    again = make(half)
    if late:  # the optimizer loaded before the scheduler is made: its rates are those of the middle
        again.load_state_dict(optimizer.state_dict())
    resumed = torch_scheduler(again, KNOBS, steps=11)
    if not late:
        again.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(saved)
    assert resumed.get_last_lr() == scheduler.get_last_lr()
    assert first + train(again, half, resumed, 11 - stop) == unbroken
    assert all(torch.equal(a, b) for a, b in zip(half.parameters(), whole_model.parameters(), strict=True))


def test_the_step_alone_is_enough():
    """A new optimizer, nothing loaded but the step: the rate is that of the step."""
    optimizer = torch.optim.SGD(model().parameters(), lr=LR)
    scheduler = torch_scheduler(optimizer, "cosine", steps=101)
    scheduler.load_state_dict({"step": 50})
    assert optimizer.param_groups[0]["lr"] == pytest.approx(LR / 2) and scheduler.last_epoch == 50


def test_a_plateau_in_torchs_place():
    m = model()
    optimizer = sp.optim.SGD(m.parameters(), lr=LR)
    scheduler = torch_scheduler(optimizer, {"shape": "warmup_plateau", "warmup": "2 steps", "patience": 2, "by": 0.5}, steps=100)
    optimizer.step()
    for metric in (1.0, 2.0, 2.0):
        scheduler.observe(metric)
    assert scheduler.get_last_lr() == [pytest.approx(LR * 0.01 * 0.5)]
    scheduler.step()
    assert scheduler.state_dict() == {"step": 1, "seen": {"lr": [1.0, 2.0]}}
    other = torch_scheduler(sp.optim.SGD(m.parameters(), lr=LR), scheduler.schedules["lr"], steps=100)
    other.load_state_dict(scheduler.state_dict())
    assert other.get_last_lr() == scheduler.get_last_lr()
    with pytest.raises(StateError, match="this scheduler's state has seen, step; the one to load has step"):
        other.load_state_dict({"step": 3})


def test_a_tensor_stays_the_same_tensor_and_a_later_group_joins():
    lr = torch.tensor(LR, dtype=torch.float64)
    m = model()
    optimizer = torch.optim.Adam(m[0].parameters(), lr=lr)
    scheduler = torch_scheduler(optimizer, "linear", steps=11)
    mine = optimizer.param_groups[0]["lr"]
    optimizer.step()
    optimizer.add_param_group({"params": m[1].parameters(), "lr": 0.5})
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is mine and mine.item() == pytest.approx(LR * 0.9)
    assert optimizer.param_groups[1]["lr"] == pytest.approx(0.45) and scheduler.get_last_lr()[0] is not mine


def test_mistakes_with_an_optimizer():
    optimizer = torch.optim.AdamW(model().parameters())
    with pytest.raises(SettingError, match=r"no group of AdamW has a 'weight_deacy' to schedule; did you mean weight_decay\?"):
        torch_scheduler(optimizer, {"weight_deacy": "linear"}, steps=10)
    with pytest.raises(SettingError, match="no group of AdamW has a 'amsgrad' to schedule"):
        torch_scheduler(optimizer, {"amsgrad": "linear"}, steps=10)
    with pytest.raises(SettingError, match=r"say how long the run is: steps=1000, or length="):
        torch_scheduler(optimizer, "linear")
    with pytest.raises(SettingError, match="torch_scheduler needs an optimizer, not Sequential"):
        torch_scheduler(model(), "linear", steps=10)
    with pytest.raises(SettingError, match="there is no Plateau among the schedules to tell a metric"):
        torch_scheduler(optimizer, "linear", steps=10).observe(1.0)
    assert "initial_weight_decay" not in optimizer.param_groups[0]


# --- pictures, imports -------------------------------------------------------------------------------


def test_plot(tmp_path):
    sp.schedules.plot("warmup_cosine").save(tmp_path / "one.png")
    chart = sp.schedules.plot({"lr": "wsd", "batch": {"shape": "step", "factor": 2}}, length=Length(51), base=0.1, title="a run")
    chart.save(tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "two.png").stat().st_size > 5000
    rows = chart.to_dict()["data"]["values"]
    assert [row["y"] for row in rows if row["schedule"] == "lr"] == [0.1 * y for y in values(of("wsd", {}), 51)]


def test_schedules_do_without_torch():
    code = """
import sys
from steepest import schedules
schedules.of("wsd", {})(0.5)
schedules.batch_sizes(8, 100, 2)
print({"torch", "altair", "numpy"} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
