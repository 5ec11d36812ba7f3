"""What cannot be is one clear error, and nothing has changed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_optim import embeddings, model, parameters_of, read_rows, start, stepped
from test_state_dict import same, snapshot
from torch import nn

import steepest.optim as ours
from steepest.core.errors import ParameterError, PlanError, SettingError, StateError, SteepestError
from steepest.core.plan import Plan
from steepest.rules.adam import Adam
from steepest.rules.gradient import Momentum
from steepest.rules.sign import Lion

WEIGHT = nn.Parameter(torch.ones(2, 2))

CONSTRUCTIONS: dict[str, tuple[Callable[[], Any], type[SteepestError], str]] = {
    "negative rate": (lambda: ours.AdamW([WEIGHT], lr=-1.0), SettingError, "AdamW.lr = -1 is outside [0, inf)"),
    "beta of 1.5": (lambda: ours.Adam([WEIGHT], betas=(0.9, 1.5)), SettingError, "Adam.betas[1] = 1.5 is outside [0, 1)"),
    "one beta": (lambda: ours.Adam([WEIGHT], betas=(0.9,)), SettingError, "Adam.betas = (0.9,) must be 2 numbers, like (0.9, 0.999)"),
    "betas as a number": (lambda: ours.Adam([WEIGHT], betas=0.9), SettingError, "Adam.betas = 0.9 must be 2 numbers, like (0.9, 0.999)"),
    "a string": (lambda: ours.SGD([WEIGHT], lr="0.1"), SettingError, "SGD.lr = '0.1' is not a number"),
    "a bool": (lambda: ours.SGD([WEIGHT], momentum=True), SettingError, "SGD.momentum = True is not a number"),
    "nan": (lambda: ours.SGD([WEIGHT], lr=float("nan")), SettingError, "SGD.lr = nan is not a number"),
    "a number for a switch": (lambda: ours.Adam([WEIGHT], amsgrad=1), SettingError, "Adam.amsgrad = 1 must be True or False"),
    "maximize by a word": (lambda: ours.Adam([WEIGHT], maximize="yes"), SettingError, "Adam.maximize = 'yes' must be True or False"),
    "two rates in a tensor": (
        lambda: ours.Adam([WEIGHT], lr=torch.ones(2)),
        SettingError,
        "Adam.lr must be one number, not a tensor of shape (2,)",
    ),
    "misspelt": (
        lambda: ours.AdamW([WEIGHT], weigth_decay=0.1),
        SettingError,
        "AdamW has no setting 'weigth_decay'; did you mean weight_decay?",
    ),
    "misspelt in a group": (
        lambda: ours.AdamW([{"params": [WEIGHT], "weigth_decay": 0.1}]),
        SettingError,
        "AdamW has no setting 'weigth_decay'; did you mean weight_decay?",
    ),
    "negative in a group": (lambda: ours.Adam([{"params": [WEIGHT], "eps": -1}]), SettingError, "Adam.eps = -1 is outside [0, inf)"),
    "a string in a group": (lambda: ours.Adam([{"params": [WEIGHT], "lr": "big"}]), SettingError, "Adam.lr = 'big' is not a number"),
    "one beta in a group": (
        lambda: ours.Adam([{"params": [WEIGHT], "betas": (0.9,)}]),
        SettingError,
        "Adam.betas = (0.9,) must be 2 numbers, like (0.9, 0.999)",
    ),
    "given twice": (lambda: ours.Adam([WEIGHT], 0.1, lr=0.1), SettingError, "Adam.lr is given twice, by position and by name"),
    "too many": (
        lambda: ours.Lion([WEIGHT], 0.1, (0.9, 0.9), 0.0, 1),
        SettingError,
        "Lion takes at most 3 settings by position: lr, betas, weight_decay",
    ),
    "nesterov without momentum": (
        lambda: ours.SGD([WEIGHT], nesterov=True),
        SettingError,
        "SGD.nesterov needs momentum above 0 and dampening = 0, not 0 and 0",
    ),
    "nesterov with dampening": (
        lambda: ours.SGD([WEIGHT], momentum=0.9, dampening=0.5, nesterov=True),
        SettingError,
        "SGD.nesterov needs momentum above 0 and dampening = 0, not 0.9 and 0.5",
    ),
    "torch's fused": (
        lambda: ours.Adam([WEIGHT], fused=True),
        SettingError,
        'Adam: fused=True chooses an implementation of torch; here engine="auto" chooses',
    ),
    "differentiable": (lambda: ours.Adam([WEIGHT], differentiable=True), SettingError, "Adam: differentiable=True"),
    "torch's foreach in a group": (lambda: ours.Adam([{"params": [WEIGHT], "foreach": True}]), SettingError, "Adam: foreach=True"),
    "an engine that is none": (
        lambda: stepped(ours.Adam([WEIGHT], engine="fussed")),
        SettingError,
        "engine = 'fussed' is not known; did you mean fused?",
    ),
    "an engine that cannot": (
        lambda: stepped(ours.Shampoo([WEIGHT], engine="fused")),
        SettingError,
        'engine="fused" cannot serve Shampoo: the rule looks at a whole matrix at once; use engine="auto"',
    ),
    "no parameters": (lambda: ours.Adam([]), ParameterError, "there are no parameters to optimize"),
    "empty groups": (lambda: ours.Adam([{"params": []}, {"params": []}]), ParameterError, "there are no parameters to optimize"),
    "an exhausted iterator": (lambda: ours.Adam(iter(())), ParameterError, "there are no parameters to optimize"),
    "one tensor": (lambda: ours.Adam(WEIGHT), ParameterError, "parameters must be a model or an iterable of tensors, not Parameter"),
    "a number for parameters": (lambda: ours.Adam(3), ParameterError, "parameters must be a model or an iterable of tensors, not int"),
    "strings": (lambda: ours.Adam(["a"]), ParameterError, "Adam can optimize tensors; parameter 0 is str"),
    "a set": (
        lambda: ours.Adam([{"params": {WEIGHT}}]),
        ParameterError,
        "parameters in a set have no order, which a state_dict needs; pass a list",
    ),
    "a group without parameters": (lambda: ours.Adam([{"lr": 1}]), ParameterError, 'a parameter group must be a dict with "params"'),
    "twice": (lambda: ours.Adam([WEIGHT, WEIGHT]), ParameterError, "parameter 1 of shape (2, 2) is given twice"),
    "twice by name": (lambda: ours.Adam([("a", WEIGHT), ("b", WEIGHT)]), ParameterError, "b of shape (2, 2) is given twice"),
    "in two groups": (
        lambda: ours.Adam([{"params": [WEIGHT]}, {"params": [WEIGHT]}]),
        ParameterError,
        "parameter 1 of shape (2, 2) is given twice",
    ),
    "some with names": (
        lambda: ours.Adam([("a", WEIGHT), nn.Parameter(torch.ones(1))]),
        ParameterError,
        "parameter 1 has no name, and others have; name all or none",
    ),
    "a group with names": (
        lambda: ours.Adam([{"params": [("a", WEIGHT)]}, {"params": [nn.Parameter(torch.ones(1))]}]),
        ParameterError,
        "parameter 1 has no name, and others have; name all or none",
    ),
    "complex": (
        lambda: ours.Adam([("spectrum", torch.ones(2, dtype=torch.complex64))]),
        ParameterError,
        "Adam can optimize real floating-point parameters; spectrum is complex64",
    ),
    "integers": (
        lambda: ours.Adam([torch.ones(2, dtype=torch.int64)]),
        ParameterError,
        "real floating-point parameters; parameter 0 is int64",
    ),
    "a sparse parameter": (
        lambda: ours.SparseAdam([torch.zeros(3, layout=torch.sparse_coo)]),
        ParameterError,
        "SparseAdam can optimize dense parameters; parameter 0 is sparse_coo",
    ),
    "no leaf": (
        lambda: ours.Adam([WEIGHT * 2]),
        ParameterError,
        "parameter 0 is not a leaf: it was computed from others, which are what to optimize",
    ),
    "no rule": (lambda: ours.Optimizer([WEIGHT], "adam"), SettingError, "Optimizer needs a rule or a plan of rules, not 'adam'"),
    "a class for a rule": (
        lambda: ours.Optimizer([WEIGHT], Adam),
        SettingError,
        "Optimizer needs a rule or a plan of rules, not the class Adam; call it",
    ),
    "a plan without the model": (
        lambda: ours.Optimizer([WEIGHT], Plan((("*", Adam()),))),
        ParameterError,
        "a plan needs the model, to know names and layers",
    ),
    "a plan with a gap": (
        lambda: ours.Optimizer(model(), Plan((("*.weight", Adam()),))),
        PlanError,
        'plan leaves 4 parameters unclaimed: 0.bias, 2.bias, 3.bias, 4.bias; add a last entry with pattern "*"',
    ),
    "an idle entry": (lambda: ours.Optimizer(model(), Plan((("Conv*", Momentum()), ("*", Adam())))), PlanError, "'Conv*' claims nothing"),
    "a model with nothing": (lambda: ours.Adam(nn.ReLU()), ParameterError, "there are no parameters to optimize"),
}


@pytest.mark.parametrize("case", CONSTRUCTIONS)
def test_what_cannot_be_built_says_so(case: str) -> None:
    make, kind, text = CONSTRUCTIONS[case]
    WEIGHT.grad = torch.ones(2, 2)
    before = WEIGHT.detach().clone()
    with pytest.raises(kind) as caught:
        make()
    assert text in str(caught.value) and "\n" not in str(caught.value)
    assert torch.equal(WEIGHT, before)


@pytest.mark.parametrize("ways", [dict(foreach=False, fused=None), dict(capturable=False, differentiable=False)])
def test_torchs_ways_may_be_declined(ways: dict[str, Any]) -> None:
    assert ours.Adam([WEIGHT], **ways).param_groups[0].keys() == ours.Adam([WEIGHT]).param_groups[0].keys()


# --- groups added later -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ({"params": [nn.Parameter(torch.ones(1))], "lr": -1}, "Adam.lr = -1 is outside [0, inf)"),
        ({"params": [nn.Parameter(torch.ones(1))], "amsgard": True}, "did you mean amsgrad?"),
        ({"parms": []}, 'a parameter group must be a dict with "params"'),
        (None, "a parameter group must be a dict"),
        ({"params": [WEIGHT]}, "given twice"),
        ({"params": [("name", nn.Parameter(torch.ones(1)))]}, "name all or none"),
    ],
)
def test_a_group_that_cannot_be_added_adds_nothing(group: Any, text: str) -> None:
    optimizer = ours.Adam([WEIGHT])
    stepped(optimizer)
    before = snapshot(optimizer)
    with pytest.raises(SteepestError) as caught:
        optimizer.add_param_group(group)
    assert text in str(caught.value)
    assert len(optimizer.param_groups) == len(optimizer.rows) == 1 and same(snapshot(optimizer), before)
    stepped(optimizer, 1)


# --- gradients ----------------------------------------------------------------------------------------


def wrong(p: nn.Parameter, how: str) -> None:
    if how == "shape":
        p.grad.data = torch.ones(3)
    elif how == "dtype":
        p.grad_dtype = None
        p.grad = p.grad.double()
    elif how == "sparse":
        p.grad = torch.sparse_coo_tensor([[0]], torch.ones(1, *p.shape[1:]), p.shape, check_invariants=True)


@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize("first", [True, False], ids=["at once", "later"])
@pytest.mark.parametrize(("how", "text"), [("shape", "of shape (3,)"), ("dtype", "is float64"), ("sparse", "is sparse")])
def test_a_gradient_that_does_not_fit_changes_nothing(how: str, text: str, first: bool, engine: str) -> None:
    # The first parameter is served by a program of its own, which must wait for the verdict on the second.
    plan = Plan((("0.weight", Lion()), ("*", Adam())))
    net = model()
    optimizer = ours.Optimizer(net, plan, engine=engine)
    for p in parameters_of(optimizer):
        p.grad = torch.ones_like(p)
    if not first:
        optimizer.step()
    before = snapshot(optimizer)
    wrong(net[2].bias, how)
    with pytest.raises(ParameterError) as caught:
        optimizer.step()
    assert "the gradient of 2.bias" in str(caught.value) and text in str(caught.value) and "\n" not in str(caught.value)
    after = snapshot(optimizer)
    if first:  # state may have been declared, but it is still at its beginning
        assert all(float(state.get("step", 0)) == 0 for state in optimizer.state.values())
        before, after = before[-1:], after[-1:]
        assert all(map(torch.equal, before[0], after[0]))
    else:
        assert same(after, before)
    net[2].bias.grad = None
    net[2].bias.grad_dtype = torch.float32
    net[2].bias.grad = torch.ones(6)
    optimizer.step()


def test_a_parameter_that_shrank_is_refused() -> None:
    """Its state is of the old size: a kernel that trusts it would write past the end."""
    (p,) = start([(1000,)])
    optimizer = stepped(ours.Adam([p]))
    p.grad = None
    p.data = torch.ones(10)
    p.grad = torch.ones(10)
    with pytest.raises(ParameterError, match=r"parameter 0 .*10"):
        optimizer.step()
    assert torch.equal(p, torch.ones(10))


def test_state_of_another_size_is_refused() -> None:
    (p,) = start([(1000,)])
    optimizer = stepped(ours.Adam([p]))
    before = p.detach().clone()
    optimizer.state[p]["exp_avg"] = torch.zeros(3)
    with pytest.raises(ParameterError, match="parameter 0"):
        stepped(optimizer, 1)
    assert torch.equal(p, before)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "Lion", "Adafactor", "Shampoo"])
def test_sparse_gradients_need_a_rule_that_takes_them(name: str) -> None:
    tables = embeddings()
    optimizer = getattr(ours, name)(tables.named_parameters())
    list(read_rows(tables, 1))
    before = [p.detach().clone() for p in tables.parameters()]
    with pytest.raises(ParameterError, match=r"the gradient of 0\.weight is sparse, .*; use SGD, Adagrad or SparseAdam"):
        optimizer.step()
    assert all(map(torch.equal, tables.parameters(), before))


def test_coupled_decay_moves_every_row() -> None:
    """torch refuses this too."""
    tables = embeddings()
    list(read_rows(tables, 1))
    with pytest.raises(ParameterError, match="without weight_decay"):
        ours.SGD(tables.parameters(), weight_decay=0.1).step()


def test_sparse_adam_takes_no_dense_gradients() -> None:
    with pytest.raises(ParameterError, match=r"the gradient of parameter 0 .* is dense, and SparseAdam .*; use Adam"):
        stepped(ours.SparseAdam([WEIGHT]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_nan_is_named_and_never_written(engine: str, bad: float) -> None:
    net = model()
    optimizer = stepped(ours.AdamW(net.named_parameters(), engine=engine, check=True))
    before = snapshot(optimizer)
    net[2].weight.grad[1, 1] = bad
    with pytest.raises(ParameterError, match=r"the gradient of 2\.weight holds NaN or Inf"):
        optimizer.step()
    assert same(snapshot(optimizer), before)
    stepped(optimizer)


def test_nan_in_a_sparse_gradient_is_named() -> None:
    tables = embeddings()
    optimizer = ours.SparseAdam(tables.named_parameters(), check=True)
    list(read_rows(tables, 1))
    tables[1].weight.grad._values()[0] = float("nan")
    with pytest.raises(ParameterError, match=r"1\.weight holds NaN"):
        optimizer.step()
    assert not optimizer.state


# --- state_dicts --------------------------------------------------------------------------------------


def damaged(saved: dict[str, Any], how: str) -> Any:
    state, (group,) = saved["state"], saved["param_groups"]
    if how == "no dict":
        return [saved]
    if how == "no state":
        del saved["state"]
    elif how == "no groups":
        del saved["param_groups"]
    elif how == "another model":
        state[0]["exp_avg"] = torch.zeros(9, 9)
    elif how == "fewer parameters":
        group["params"].pop()
    elif how == "more parameters":
        group["params"].append(99)
    elif how == "more groups":
        saved["param_groups"].append(group)
    elif how == "a group cut short":
        del group["betas"]
    elif how == "a group that is none":
        saved["param_groups"] = [3]
    elif how == "a group without parameters":
        del group["params"]
    elif how == "an entry cut short":
        del state[1]["exp_avg_sq"]
    elif how == "an entry that is none":
        state[1] = 3
    elif how == "a value that is none":
        state[1]["exp_avg"] = "zeros"
    elif how == "an entry too many":
        state[1]["max_exp_avg_sq"] = torch.zeros(1)
    elif how == "state of a stranger":
        state[99] = state[1]
    elif how == "a rate that cannot be":
        group["lr"] = -0.5
    elif how == "a rate that is a word":
        group["lr"] = "fast"
    return saved


DAMAGES = {
    "no dict": "not the state_dict of an optimizer",
    "no state": 'it must hold "state"',
    "no groups": 'it must hold "state" and "param_groups"',
    "another model": "the state exp_avg of parameter 0 of group 0 has shape (9, 9), the optimizer needs ()",
    "fewer parameters": "group 0 of the state_dict has 4 parameters, the optimizer's 5",
    "more parameters": "group 0 of the state_dict has 6 parameters, the optimizer's 5",
    "more groups": "the state_dict has 2 parameter groups, the optimizer 1",
    "a group cut short": "the state_dict is not of AdamW: its group 0 has no betas",
    "a group that is none": "the state_dict is damaged",
    "a group without parameters": "the state_dict is damaged",
    "an entry cut short": "the state of parameter 1 of group 0 has no exp_avg_sq",
    "an entry that is none": "the state of parameter 1 of group 0 is damaged",
    "a value that is none": "the state exp_avg of parameter 1 of group 0 is damaged: 'zeros' is not a tensor",
    "an entry too many": "the state of parameter 1 of group 0 has max_exp_avg_sq, which AdamW does not know",
    "state of a stranger": "the state_dict holds state of 1 parameters that are in none of its groups",
    "a rate that cannot be": "AdamW.lr = -0.5 is outside [0, inf)",
    "a rate that is a word": "AdamW.lr = 'fast' is not a number",
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_state_dict_changes_nothing(how: str) -> None:
    original = stepped(ours.AdamW(start(), lr=0.5))
    saved = damaged(original.state_dict(), how)
    optimizer = stepped(ours.AdamW(start()))
    before = snapshot(optimizer)
    with pytest.raises(StateError) as caught:
        optimizer.load_state_dict(saved)
    assert DAMAGES[how] in str(caught.value) and "\n" not in str(caught.value)
    assert same(snapshot(optimizer), before)
    stepped(optimizer)


def test_a_transposed_weight_is_of_another_model() -> None:
    original = stepped(ours.Adam(start([(3, 5)])))
    with pytest.raises(StateError, match=r"has shape \(3, 5\), the optimizer needs \(5, 3\)"):
        ours.Adam(start([(5, 3)])).load_state_dict(original.state_dict())


@pytest.mark.parametrize(("written", "message"), [("abc", "lr = 'abc' in param_groups"), ("0.1", "lr = '0.1' in param_groups")])
def test_a_word_written_into_a_group_is_refused_at_the_step(written, message):
    p = torch.nn.Parameter(torch.ones(3))
    p.grad = torch.ones(3)
    optimizer = ours.AdamW([p])
    optimizer.step()
    before = p.detach().clone()
    optimizer.param_groups[0]["lr"] = written
    with pytest.raises(SteepestError, match=message):
        optimizer.step()
    assert torch.equal(p, before)


def test_none_is_no_number_but_where_it_is_the_default():
    p = torch.nn.Parameter(torch.ones(3))
    with pytest.raises(SteepestError, match=r"AdamW\.lr = None is not a number"):
        ours.AdamW([p], lr=None)
    ours.Adafactor([p], eps=(None, 1e-3))
