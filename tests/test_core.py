"""Settings and their errors, plans, and a mathematics that is the same on numbers, tensors and symbols."""

from math import inf, nan

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from steepest.core import maths
from steepest.core.errors import PlanError, SettingError, SteepestError, nearest
from steepest.core.knob import Settings, knob, option
from steepest.core.plan import Plan, slots
from steepest.core.rule import State, flatten, nest
from steepest.engines.trace import Graph, Symbol, TraceError
from steepest.rules import L2, LBFGS, RULES, WRAPPERS, Adam, Clip, GradientDescent, Lookahead, Momentum, Muon, Rprop, Shampoo, TrustRatio

# --- settings -----------------------------------------------------------------------------------------

WRONG = {
    "Adam.beta1 = 1.5 is outside [0, 1)": lambda: Adam(beta1=1.5),
    "Adam.beta1 = 1 is outside [0, 1)": lambda: Adam(beta1=1),
    "Adam.lr = -0.1 is outside [0, inf)": lambda: Adam(lr=-0.1),
    "Adam.lr = inf is outside [0, inf)": lambda: Adam(lr=inf),
    "Adam.lr = nan is not a number": lambda: Adam(lr=nan),
    "Adam.lr = '0.1' is not a number": lambda: Adam(lr="0.1"),
    "Adam.lr = True is not a number": lambda: Adam(lr=True),
    "Adam.lr = None is not a number": lambda: Adam(lr=None),
    "Adam.lr = 1j is not a number": lambda: Adam(lr=1j),
    "Rprop.eta_plus = 0.5 is outside [1, inf)": lambda: Rprop(eta_plus=0.5),
    "Shampoo.beta2 = 1.1 is outside [0, 1]": lambda: Shampoo(beta2=1.1),
    "Adam.amsgrad = 1 must be bool": lambda: Adam(amsgrad=1),
    "LBFGS.history = 2.0 must be int": lambda: LBFGS(history=2.0),
    "LBFGS.history = 0 is less than 1": lambda: LBFGS(history=0),
    "Lookahead.k = 0 is less than 1": lambda: Lookahead(inner=Adam(), k=0),
    "Muon.adjust = 'moonlight' is not one of 'original', 'match_rms_adamw'": lambda: Muon(adjust="moonlight"),
    "Muon.coefficients = (1.0, 2.0) must be three numbers": lambda: Muon(coefficients=(1.0, 2.0)),
    "Adam has no setting 'betta1'; did you mean beta1?": lambda: Adam(betta1=0.9),
    "Adam has no setting 'Beta1'; did you mean beta1?": lambda: Adam(Beta1=0.9),
    "GradientDescent has no setting 'q'; known: lr, weight_decay": lambda: GradientDescent(q=1),
    "Clip needs inner=...": lambda: Clip(),
    "Clip.inner must be a rule, not 'adam'": lambda: Clip(inner="adam"),
    "Adam.beta1 = 2 is outside [0, 1)": lambda: Adam().replace(beta1=2),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_setting_that_cannot_be_is_an_error_that_says_what_can(message):
    with pytest.raises(SettingError) as error:
        WRONG[message]()
    assert str(error.value) == message
    assert isinstance(error.value, (SteepestError, ValueError))


def test_the_ends_of_intervals():
    assert Adam(lr=0).lr == 0.0 and Adam(lr=0.0, beta1=0, eps=0).knobs()["eps"] == 0.0
    assert Shampoo(beta2=1).beta2 == 1.0
    assert TrustRatio(inner=Adam(), high=inf).high == inf
    assert type(Adam(lr=1).lr) is float
    assert Adam(lr=torch.tensor(0.5).item()).lr == 0.5


@pytest.mark.parametrize("cls", [*RULES.values(), *WRAPPERS.values()], ids=lambda cls: cls.__name__)
def test_every_declaration_is_sound(cls):
    """Defaults and search ranges lie inside what is valid; everything has a meaning and a docstring."""
    for name, spec in cls.own_knobs().items():
        assert spec.default in spec, name
        assert spec.meaning, name
        assert spec.search is None or (spec.search[0] < spec.search[1] and all(x in spec for x in spec.search)), name
        assert not spec.log or spec.search is None or spec.search[0] > 0, name
    for name, spec in cls.own_options().items():
        assert spec.meaning and (not spec.choices or spec.default in spec.choices), name
    assert cls.__doc__ and cls.use
    assert "paper" not in cls.__dict__ or cls.paper


def test_settings_are_values():
    assert Adam(lr=0.1) == Adam(lr=0.1) != Adam(lr=0.2)
    assert hash(Adam(lr=0.1)) == hash(Adam(lr=0.1))
    assert len({Adam(), Adam(lr=1e-3), Clip(inner=Adam()), Clip(inner=Adam()), Adam(amsgrad=True)}) == 3
    assert Clip(inner=Adam()) != L2(inner=Adam())
    with pytest.raises(AttributeError):
        Adam().lr = 1.0


def test_a_repr_is_the_shortest_constructor():
    rule = Clip(norm=2, inner=Momentum(lr=0.1, nesterov=True))
    assert repr(rule) == "Clip(inner=Momentum(lr=0.1, nesterov=True), norm=2.0)"
    assert eval(repr(rule)) == rule
    assert repr(Adam()) == "Adam()"


def test_knobs_have_paths():
    rule = Clip(norm=2.0, inner=L2(coefficient=0.5, inner=GradientDescent(lr=0.1)))
    assert rule.knobs() == {"norm": 2.0, "inner.coefficient": 0.5, "inner.inner.lr": 0.1, "inner.inner.weight_decay": 0.0}
    assert rule.specs().keys() == rule.knobs().keys()
    assert [prefix for prefix, _ in rule.walk()] == ["", "inner.", "inner.inner."]


def test_bind_replaces_numbers_deep_inside_and_leaves_the_original():
    rule = Clip(inner=L2(inner=Adam()))
    bound = rule.bind({"norm": "any", "inner.inner.beta1": 7})
    assert (bound.norm, bound.inner.inner.beta1, bound.inner.inner.beta2) == ("any", 7, 0.999)
    assert rule == Clip(inner=L2(inner=Adam())), "the original was changed"


def test_structure_forgets_numbers_and_keeps_options():
    assert Clip(norm=3.0, inner=Adam(lr=0.5)).structure() == Clip(inner=Adam()).structure()
    assert Adam(amsgrad=True).structure() != Adam().structure()
    assert Lookahead(inner=Adam(), k=3).structure() != Lookahead(inner=Adam()).structure()


def test_replace_checks():
    rule = Adam(lr=0.1, amsgrad=True)
    assert rule.replace(beta1=0.5) == Adam(lr=0.1, amsgrad=True, beta1=0.5)
    with pytest.raises(SettingError, match="no setting 'bta1'"):
        rule.replace(bta1=0.5)


def test_a_new_kind_of_settings_costs_its_declaration():
    class Spring(Settings):
        stiffness: float = knob(1.0, "force per length", valid=(0, 10), closed=True)
        kind: str = option("coil", "shape", choices=("coil", "leaf"))

        def check(self):
            if self.kind == "leaf" and self.stiffness > 5:
                raise SettingError("a leaf breaks")

    assert repr(Spring(stiffness=10)) == "Spring(stiffness=10.0)"
    with pytest.raises(SettingError, match="a leaf breaks"):
        Spring(kind="leaf", stiffness=6)


def test_the_nearest_name():
    assert nearest("wieght_decay", ["lr", "weight_decay"]) == "; did you mean weight_decay?"
    assert nearest("zzz", ["lr", "eps"]) == "; known: eps, lr"
    assert nearest("zzz", []) == ""


def test_state_flattens_and_nests():
    nested = {"v": 1, "inner": {"m": 2, "inner": {"s": 3}}}
    flat = {"v": 1, "inner.m": 2, "inner.inner.s": 3}
    assert flatten(nested) == flat and nest(flat) == nested
    assert nest(flat).inner.inner.s == 3
    assert State().inner == State(), "a rule without state leaves no trace in the flat form"
    with pytest.raises(AttributeError, match="m"):
        _ = State().m


# --- plans --------------------------------------------------------------------------------------------


def model() -> nn.Module:
    return nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def test_the_first_pattern_wins():
    plan = Plan((("*.bias|LayerNorm", "a"), ("Embedding", "b"), ("*", "c")))
    chosen = plan.assign(slots(model()))
    assert chosen == {"0.weight": 1, "1.weight": 2, "1.bias": 0, "2.weight": 0, "2.bias": 0, "3.weight": 2, "3.bias": 0}


def test_unclaimed_parameters_are_named():
    with pytest.raises(PlanError) as error:
        Plan((("1.*|2.*|0.*", 0),)).assign(slots(model()))
    assert str(error.value) == 'plan leaves 2 parameters unclaimed: 3.weight, 3.bias; add a last entry with pattern "*"'


def test_an_entry_that_claims_nothing_is_an_error():
    with pytest.raises(PlanError, match=r"^plan entry 'head\.\*' claims nothing: no parameter matches it; the parameters are 0\.weight, "):
        Plan((("head.*", 0), ("*", 1))).assign(slots(model()))
    with pytest.raises(PlanError, match=r"^plan entry '1\.\*' claims nothing: every parameter it matches is taken by an earlier entry"):
        Plan((("*", 0), ("1.*", 1))).assign(slots(model()))


def test_slots_know_shared_parameters_and_the_head():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    found = {slot.name: slot for slot in slots(net)}
    assert list(found) == ["0.weight", "0.bias", "1.bias"]
    assert not found["0.bias"].head and found["1.bias"].head and found["0.bias"].kind == "Linear"


# --- mathematics --------------------------------------------------------------------------------------


def evaluated(symbol: Symbol, values: dict[str, float]) -> float:
    """What a traced expression is, in Python's own numbers."""
    graph, known = symbol.graph, []
    for node in graph.nodes[: symbol.index + 1]:
        args = [known[a] if isinstance(a, int) and node.op not in ("const", "state") else a for a in node.args]
        if node.op == "state":
            known.append(values[node.args[0]])
        elif node.op == "const":
            known.append(bool(node.args[0]) if node.truth else node.args[0])
        elif node.op in maths.OPERATORS:
            known.append(maths.OPERATORS[node.op](*args))
        elif node.op in maths.NUMBERS:
            known.append(maths.NUMBERS[node.op](*args))
        else:
            known.append({"number": float, "neg": lambda a: -a, "not": lambda a: not a, "!=": lambda a, b: a != b}[node.op](*args))
    return known[-1]


EXPRESSIONS = {
    "sqrt": lambda x, y: maths.sqrt(x * x + 1),
    "abs": lambda x, y: maths.abs(x),
    "sign": lambda x, y: maths.sign(x),
    "exp": lambda x, y: maths.exp(x / 50),
    "log": lambda x, y: maths.log(x * x + 1),
    "minimum": lambda x, y: maths.minimum(x, y),
    "maximum": lambda x, y: maths.maximum(x, 0.5),
    "where": lambda x, y: maths.where(x < y, x, 2 * y),
    "where with and": lambda x, y: maths.where((x > 0) & (y >= 0), 1, x),
    "where of a plain truth": lambda x, y: maths.where(True, x, y),
    "lerp": lambda x, y: maths.lerp(x, y, 0.3),
    "debias": lambda x, y: maths.debias(x, 0.9, 3),
    "square": lambda x, y: maths.square(x - y),
    "arithmetic": lambda x, y: (1 - x) / (2 + y * y) ** 2 - -x,
}
numbers = st.floats(-100, 100).filter(lambda x: x == 0 or abs(x) > 1e-6)


@pytest.mark.parametrize("name", EXPRESSIONS)
@given(x=numbers, y=numbers)
def test_numbers_tensors_and_symbols_agree(name, x, y):
    formula = EXPRESSIONS[name]
    plain = formula(x, y)
    tensors = formula(*(torch.tensor([v, v], dtype=torch.float64) for v in (x, y)))
    zero_dim = formula(*(torch.tensor(v, dtype=torch.float64) for v in (x, y)))
    graph = Graph()
    symbol = graph.symbol(formula(*(graph.add("state", v, element=True) for v in "xy")))
    expected = pytest.approx(plain, rel=1e-12, abs=1e-300)
    assert tensors.tolist() == [expected, expected]
    assert float(zero_dim) == expected
    assert evaluated(symbol, {"x": x, "y": y}) == expected


def test_numbers_beside_tensors_keep_the_dtype():
    x = torch.tensor([1.0, -2.0], dtype=torch.float32)
    for result in (
        maths.maximum(x, 0.5),
        maths.minimum(1, x),
        maths.where(x > 0, x, 0),
        maths.maximum(x, torch.tensor(0.5, dtype=torch.float64)),
    ):
        assert result.dtype == torch.float32
    assert maths.maximum(x, 0.5).tolist() == [1.0, 0.5]


def test_totals():
    x = torch.arange(6.0).reshape(2, 3)
    assert maths.total(x, "unit").tolist() == [[3.0], [12.0]] and maths.size(x, "unit") == 3
    assert maths.total(x, "tensor") == 15 and maths.size(x, "tensor") == 6 and maths.mean(x, "tensor") == 2.5
    assert maths.total(x[0], "unit") == 3, "a vector is one unit"
    assert maths.norm(torch.tensor([3.0, 4.0]), "tensor") == 5
    assert maths.total(x, "model", "norm") == 15, "alone, a tensor is the whole model"
    with pytest.raises(ValueError, match="needs a name"):
        maths.total(x, "model")
    with maths.model_totals({"norm#1": 4.0}):
        maths.TOTALS.seen = {}
        assert maths.total(x, "model", "norm") == 4.0
        with pytest.raises(maths.Pending) as pending:
            maths.total(x, "model", "norm")
        assert (pending.value.name, float(pending.value.share)) == ("norm#2", 15.0)
    assert maths.TOTALS.known is None


def test_state_makers():
    p = torch.randn(2, 3, requires_grad=True)
    assert maths.full_like(p, 0.5).tolist() == [[0.5] * 3] * 2 and not maths.full_like(p, 0.5).requires_grad
    copied = maths.copy(p)
    assert torch.equal(copied, p) and copied.data_ptr() != p.data_ptr() and not copied.requires_grad
    scalar = maths.scalar(0.1, p)
    assert (scalar.shape, scalar.dtype, float(scalar)) == ((), torch.float64, 0.1)


def test_a_symbol_has_no_truth():
    x = Graph().add("state", "x", element=True)
    with pytest.raises(TraceError, match=r"^a rule may not branch on a value; choose with maths\.where$"):
        _ = 1 if x > 0 else 2
