"""Every rule and wrapper: the numbers of its paper, and the contract of rules. Driven by the registries and cases.py."""

from functools import cache
from math import isfinite
from typing import Any

import pytest
import torch
from cases import MATRIX_NESTED, NESTED, RULE_CASES, SHAPES, WRAPPER_CASES, Case
from harness import Runner, distance, problem, rate_of, train, varying
from torch import Tensor

from steepest.core.errors import ParameterError, SettingError
from steepest.core.maths import model_totals
from steepest.core.rule import Rule, State, flatten, nest
from steepest.engines.base import paths, piece
from steepest.engines.reference import attempt
from steepest.rules import LAMB, LARS, RULES, WRAPPERS, Adam, Cautious, Clip, GradientDescent, HeavyBall, Lookahead, Muon, Rprop, TrustRatio

CASES: dict[str, Case] = RULE_CASES | WRAPPER_CASES
NESTED_SHAPES = dict.fromkeys(NESTED, SHAPES) | dict.fromkeys(MATRIX_NESTED, RULE_CASES["soap"].shapes)
# Every program: each rule once per structure.
PROGRAMS = {f"{name}-{k}": (rule, case) for name, case in CASES.items() for k, (rule, _) in enumerate(case.parity)}
PARITY = [
    pytest.param(*pair, case.shapes, case.noise, id=f"{name}-{k}") for name, case in CASES.items() for k, pair in enumerate(case.parity)
]
PARITY += [pytest.param(*pair, NESTED_SHAPES[name], 0.3, id=name) for name, pair in (NESTED | MATRIX_NESTED).items()]


def test_every_rule_and_wrapper_has_a_row():
    assert RULE_CASES.keys() == RULES.keys()
    assert WRAPPER_CASES.keys() == WRAPPERS.keys()
    assert all(type(case.rule) is (RULES | WRAPPERS)[name] for name, case in CASES.items())


@pytest.mark.parametrize("name", CASES)
def test_every_knob_and_option_is_off_its_default(name):
    case = CASES[name]
    for knob, spec in case.rule.own_knobs().items():
        assert getattr(case.rule, knob) != spec.default, knob
    for option, spec in case.rule.own_options().items():
        values = [getattr(rule, option) for rule, _ in case.parity] + [case.options.get(option, spec.default)]
        assert any(value != spec.default for value in values), option


@pytest.mark.parametrize(("rule", "paper", "shapes", "noise"), PARITY)
def test_a_rule_is_its_paper(rule, paper, shapes, noise, float64):
    start, gradient = problem(shapes, noise=noise)
    lr = varying(rate_of(rule))
    runner = train(rule, start, gradient, 100, lr)
    expected = paper(start, gradient, 100, lr)
    weights, views = expected if isinstance(expected, tuple) else (expected, None)
    assert distance(weights, start) > 0.1, "nothing moved, so nothing is compared"
    assert distance(runner.parameters, weights) < 1e-12
    if views is not None:
        assert distance(runner.views(), views) < 1e-12


# The contract, one rule on one parameter


def begun(rule: Rule, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    p, g = (piece(torch.randn(shape, dtype=dtype), rule) for _ in range(2))
    return p, g, flatten(rule.init(p))


def called(rule: Rule, p: Tensor, g: Tensor, state: dict[str, Tensor], t: int) -> tuple[Tensor, dict[str, Tensor]]:
    """The change and the flat new state. Numbers in it become tensors, as an engine stores them."""
    nested = nest(state)
    if due := rule.due(t):
        nested = State(rule.refresh(p, g, nested, due))
    change, new = rule.update(p, g, nested, t)
    return change, {path: x if isinstance(x, Tensor) else torch.tensor(x, dtype=torch.float64) for path, x in flatten(new).items()}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_rule_writes_to_nothing_it_was_given(name):
    rule, case = PROGRAMS[name]
    for shape in case.shapes:
        p, g, state = begun(rule, shape, torch.float32)
        assert all(memory(x) != memory(p) for x in state.values()), "the state is the parameter itself"
        for t in (1, 2, 3):
            given = [p, g, *state.values()]
            copies = [x.clone() for x in given]
            change, new = called(rule, p, g, state, t)
            rule.view(p, nest(state))
            assert all(torch.equal(x, copy) for x, copy in zip(given, copies, strict=True)), f"at step {t}"
            # What comes back is new memory, or a piece of state (or g) as it was: never p, which the engine is about to write.
            assert all(memory(x) != memory(p) for x in (change, *new.values()))
            assert memory(change) not in {memory(x) for x in state.values()}
            p, g, state = p + change, 0.9 * g, new


def memory(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_state_is_declared_and_keeps_its_shape_and_dtype(name, dtype):
    rule, case = PROGRAMS[name]
    for shape in case.shapes:
        p, g, state = begun(rule, shape, dtype)
        declared = {path: (x.shape, x.dtype) for path, x in state.items()}
        assert list(declared) == paths(rule, p)
        assert all(x.ndim or x.dtype == torch.float64 for x in state.values()), "one number of state is in double precision"
        for t in (1, 2, 3):
            change, state = called(rule, p, g, state, t)
            assert (change.shape, change.dtype) == (p.shape, dtype)
            # A float32 total among doubles is widened when it is stored.
            assert {path: (x.shape, x.dtype if x.ndim else torch.float64) for path, x in state.items()} == declared


@pytest.mark.parametrize("name", PROGRAMS)
def test_in_float32_nothing_changes_its_dtype(name):
    rule, case = PROGRAMS[name]
    start, gradient = problem(case.shapes, torch.float32)
    runner = Runner(rule, start)
    before = {key: (x.shape, x.dtype) for key, x in runner.states().items()}
    for t in range(1, 4):
        runner.step(gradient(runner.parameters, t))
    assert {key: (x.shape, x.dtype) for key, x in runner.states().items()} == before
    assert all(p.dtype == torch.float32 for p in [*runner.parameters, *runner.views()])


@pytest.mark.parametrize("name", PROGRAMS)
def test_zero_gradients_are_harmless(name):
    rule, case = PROGRAMS[name]
    zeros = [torch.zeros(shape) for shape in case.shapes]
    runner = Runner(rule, [x.clone() for x in zeros])
    for _ in range(3):
        runner.step(zeros)
    assert all(torch.equal(p, x) for p, x in zip(runner.parameters, zeros, strict=True)), "it moved without a reason"
    for t in range(4, 7):
        runner.step([torch.ones(shape) * t for shape in case.shapes])
    assert all(torch.isfinite(x).all() for x in (*runner.parameters, *runner.states().values(), *runner.views()))


@pytest.mark.parametrize("name", CASES)
def test_huge_and_tiny_gradients_stay_finite(name):
    rule, case = CASES[name].rule, CASES[name]
    start, gradient = problem(case.shapes, torch.float32)
    for scale in (1e-12, 1e6):
        runner = Runner(rule, [x.clone() for x in start])
        for t in range(1, 11):
            runner.step([g * scale for g in gradient(start, t)])
        assert all(torch.isfinite(x).all() for x in (*runner.parameters, *runner.states().values(), *runner.views())), scale


# Knobs and options


@cache
def outcome(name: str, **settings: Any) -> list[Tensor]:
    """Weights and views after 20 steps of a case's rule with these settings."""
    case = CASES[name]
    start, gradient = problem(case.shapes, noise=case.noise)
    rule = case.rule.replace(**settings)
    runner = train(rule, start, gradient, 20, varying(rate_of(rule)))
    return [*runner.parameters, *runner.views()]


@pytest.mark.parametrize(("name", "knob"), [(name, knob) for name, case in CASES.items() for knob in case.rule.own_knobs()])
def test_every_knob_has_an_effect(name, knob):
    value, spec = getattr(CASES[name].rule, knob), CASES[name].rule.own_knobs()[knob]
    assert value and isfinite(value)
    moved = next(v for v in (1.1 * value, 0.9 * value) if v in spec)
    assert distance(outcome(name, **{knob: moved}), outcome(name)) > 1e-6


@pytest.mark.parametrize(("name", "option"), [(name, option) for name, case in CASES.items() for option in case.rule.own_options()])
def test_every_option_has_an_effect(name, option):
    case = CASES[name]
    values = [getattr(rule, option) for rule, _ in case.parity]
    other = next((v for v in values if v != values[0]), case.options.get(option))
    assert distance(outcome(name, **{option: other}), outcome(name)) > 1e-6


# Composition


def test_lamb_is_the_trust_ratio_of_adam():
    knobs = dict(lr=0.02, beta1=0.8, beta2=0.95, eps=1e-2, weight_decay=0.1)
    start, gradient = problem(SHAPES)
    a, b = (train(rule, start, gradient, 20, 0.02) for rule in (LAMB(**knobs), TrustRatio(inner=Adam(**knobs))))
    assert all(torch.equal(x, y) for x, y in zip(a.parameters, b.parameters, strict=True))


@pytest.mark.parametrize("wrapper", [HeavyBall, Cautious, TrustRatio])
@pytest.mark.parametrize("inner", [Rprop(), LARS(), Lookahead(inner=Adam()), Clip(inner=Rprop())], ids=lambda rule: type(rule).__name__)
def test_a_direction_wrapper_needs_a_direction(wrapper, inner):
    message = f"{wrapper.__name__} needs a rule with a direction; in {type(inner).__name__} the rate is not a plain factor"
    with pytest.raises(SettingError, match=f"^{message}$"):
        wrapper(inner=inner)


def test_a_matrix_rule_refuses_a_vector():
    with pytest.raises(ParameterError, match=r"^Muon moves matrices, not a parameter of shape \(3,\); give vectors to AdamW"):
        Muon().init(torch.zeros(3))


def test_a_total_over_the_model_waits_for_all_parameters():
    rule, grads = Clip(norm=1.0, inner=GradientDescent(lr=1.0)), [torch.tensor([3.0]), torch.tensor([4.0])]
    asked = [lambda g=g: rule.update(torch.zeros(1), g, State(), 1)[0] for g in grads]
    with model_totals({}):
        shares, results = attempt(asked)
    assert {name: float(x) for name, x in shares.items()} == {"gradient#1": 25.0} and not results
    with model_totals(shares):
        shares, results = attempt(asked)
    assert not shares and torch.cat(results).tolist() == pytest.approx([-0.6, -0.8], abs=1e-6)


# Optima

GOALS = [(name, goal) for name, case in RULE_CASES.items() for goal in ("quadratic", "rosenbrock")]


def quadratic() -> tuple[Tensor, Tensor]:
    """x'Hx / 2 with a condition of 100, its axes not the coordinates'."""
    q = torch.linalg.qr(torch.randn(10, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).Q
    return q @ torch.diag(torch.logspace(0, 2, 10, dtype=torch.float64)) @ q.T, torch.ones(10, dtype=torch.float64)


def reached(rule: Rule, steps: int, what: str) -> float:
    """The loss at the view, after so many steps with a rate that falls linearly to 0."""
    H, start = quadratic()
    start = start if what == "quadratic" else torch.tensor([-1.2, 1.0], dtype=torch.float64)
    start = start.reshape(2, -1) if rule.scope == "matrix" else start

    def loss(p: Tensor) -> Tensor:
        x = p.reshape(-1)
        return 0.5 * x @ H @ x if what == "quadratic" else (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

    def slope(p: Tensor) -> Tensor:
        x = p.reshape(-1)
        if what == "quadratic":
            return (H @ x).reshape(p.shape)
        bend = x[1] - x[0] ** 2
        return torch.stack((-2 * (1 - x[0]) - 400 * x[0] * bend, 200 * bend)).reshape(p.shape)

    rate = rate_of(rule)
    runner = train(rule, [start], lambda p, t: [slope(p[0])], steps, lambda t: rate * (1 - (t - 1) / steps))
    return float(loss(runner.views()[0]))


@pytest.mark.parametrize(("name", "what"), GOALS)
def test_the_optimum_is_reached(name, what):
    rule, steps, below = getattr(RULE_CASES[name], what)
    assert reached(rule, steps, what) < below
