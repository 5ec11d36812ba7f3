"""What is saved is what is loaded: from torch and to torch, by name, in low precision, in another process."""

import copy
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_optim import MAKERS, close, parameters_of, start, stepped
from torch import nn

import steepest.optim as ours
from steepest.core.errors import StateError
from steepest.core.plan import Plan
from steepest.rules.adam import Adam
from steepest.rules.gradient import Momentum
from steepest.rules.wrappers import Average


def through_a_file(saved: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(saved, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def as_it_is(saved: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(saved)  # torch keeps the very tensors it is given


SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", dict(lr=0.02)),
    ("SGD", dict(lr=0.02, momentum=0.8)),
    ("SGD", dict(lr=0.02, momentum=0.8, dampening=0.3, weight_decay=0.1, maximize=True)),
    ("SGD", dict(lr=0.02, momentum=0.8, nesterov=True)),
    ("Adam", {}),
    ("Adam", dict(betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, amsgrad=True)),
    ("Adam", dict(weight_decay=0.1, decoupled_weight_decay=True)),
    ("AdamW", {}),
    ("AdamW", dict(betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, amsgrad=True, maximize=True)),
    ("AdamW", dict(lr=torch.tensor(0.01, dtype=torch.float64))),
    ("Adagrad", dict(lr_decay=0.02, weight_decay=0.1, initial_accumulator_value=0.3, eps=1e-3)),
    ("RMSprop", {}),
    ("RMSprop", dict(momentum=0.7)),
    ("RMSprop", dict(centered=True)),
    ("RMSprop", dict(lr=3e-3, alpha=0.9, eps=1e-3, weight_decay=0.1, momentum=0.7, centered=True, maximize=True)),
    ("Adadelta", dict(weight_decay=0.1)),
    ("NAdam", dict(weight_decay=0.1, decoupled_weight_decay=True)),
    ("RAdam", dict(weight_decay=0.1)),
    ("Adamax", dict(weight_decay=0.1)),
    ("ASGD", dict(t0=5, weight_decay=0.1)),
    ("Rprop", {}),
    ("Adafactor", dict(lr=0.05, weight_decay=0.1)),
]


@pytest.mark.parametrize("way", [as_it_is, through_a_file])
@pytest.mark.parametrize("to", ["to ours", "to torch"])
@pytest.mark.parametrize(("name", "given"), SETTINGS, ids=lambda x: x if isinstance(x, str) else ",".join(x) or "defaults")
def test_a_run_goes_on_across_the_border(name: str, given: dict, to: str, way: Callable, float64: None) -> None:
    here, there = (torch.optim, ours) if to == "to ours" else (ours, torch.optim)
    parameters = start()
    original = stepped(getattr(here, name)(parameters, **given), 10)
    copies = [nn.Parameter(p.detach().clone()) for p in parameters]
    # All settings come with the state.
    other = getattr(there, name)(copies, lr=0.123)
    other.load_state_dict(way(original.state_dict()))
    stepped(original, 20, first=11)
    stepped(other, 20, first=11)
    close(copies, parameters)


def test_it_has_torchs_integer_shape() -> None:
    mine, theirs = start(), start()
    a = stepped(ours.AdamW([{"params": mine[:2]}, {"params": mine[2:], "lr": 0.5}], amsgrad=True)).state_dict()
    b = stepped(torch.optim.AdamW([{"params": theirs[:2]}, {"params": theirs[2:], "lr": 0.5}], amsgrad=True)).state_dict()
    assert a.keys() == b.keys() and list(a["state"]) == list(b["state"])
    for i, entry in b["state"].items():
        assert type(a["state"][i]) is dict and a["state"][i].keys() == entry.keys()
        for key, value in entry.items():
            assert a["state"][i][key].shape == value.shape and a["state"][i][key].dtype == value.dtype
            torch.testing.assert_close(a["state"][i][key], value)
    for mine_group, group in zip(a["param_groups"], b["param_groups"], strict=True):
        assert mine_group.items() <= group.items()


@pytest.mark.parametrize("name", MAKERS)
def test_saved_and_loaded_it_goes_on_with_the_same_bits(name: str) -> None:
    original, other = stepped(MAKERS[name]()), MAKERS[name]()
    for p, q in zip(parameters_of(other), parameters_of(original), strict=True):
        p.data.copy_(q)
    other.load_state_dict(through_a_file(original.state_dict()))
    stepped(original, 3, first=4)
    stepped(other, 3, first=4)
    assert all(map(torch.equal, parameters_of(original), parameters_of(other)))


def test_what_was_loaded_is_a_copy() -> None:
    original = stepped(ours.AdamW(start(), lr=torch.tensor(0.1)))
    other = ours.AdamW(start())
    other.load_state_dict(original.state_dict())
    before = original.state_dict()["state"][2]["exp_avg"].clone()
    stepped(other)
    other.param_groups[0]["lr"].fill_(0.2)
    assert original.param_groups[0]["lr"].item() == pytest.approx(0.1)
    assert torch.equal(original.state_dict()["state"][2]["exp_avg"], before)


# --- by name ------------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self, order: str = "ab", second: str = "b") -> None:
        super().__init__()
        for letter in order:
            self.add_module(second if letter == "b" else letter, nn.Linear(3, 3 if letter == "a" else 2))


@pytest.mark.parametrize("make", [lambda net: ours.Adam(net.named_parameters()), lambda net: ours.Optimizer(net, Average(inner=Adam()))])
def test_a_reordered_model_loads_right(make: Callable) -> None:
    net, other = Net("ab"), Net("ba")
    other.load_state_dict(net.state_dict())
    original = make(net)
    for name, p in net.named_parameters():
        p.grad = torch.full_like(p, float(len(name)))
    original.step()
    twin = make(other)
    twin.load_state_dict(through_a_file(original.state_dict()))
    mine = dict(other.named_parameters())
    for name, p in net.named_parameters():
        for key, value in original.state[p].items():
            assert torch.equal(value, twin.state[mine[name]][key])
    assert twin.param_groups[0]["param_names"][0] == "b.weight"


def test_a_renamed_parameter_fails_by_name() -> None:
    original = stepped(ours.Adam(Net().named_parameters()))
    twin = ours.Adam(Net(second="bb").named_parameters())
    with pytest.raises(StateError, match=r"no state of bb\.weight; did you mean b\.weight\?"):
        twin.load_state_dict(original.state_dict())


def test_torchs_names_count_too(float64: None) -> None:
    net, other = Net("ab"), Net("ba")
    other.load_state_dict(net.state_dict())
    original = torch.optim.AdamW(net.named_parameters())
    twin = ours.AdamW(other.named_parameters())
    for p in net.parameters():
        p.grad = p.detach().clone()
    original.step()
    twin.load_state_dict(original.state_dict())
    other.load_state_dict(net.state_dict())
    for optimizer, model in ((original, net), (twin, other)):
        for p in model.parameters():
            p.grad = p.detach().clone()
        optimizer.step()
    mine = dict(other.named_parameters())
    close([mine[name] for name, _ in net.named_parameters()], list(net.parameters()))


def test_without_names_on_one_side_places_count() -> None:
    original = stepped(ours.Adam(Net().named_parameters()))
    twin = ours.Adam(Net().parameters())
    twin.load_state_dict(original.state_dict())
    assert all(torch.equal(a["exp_avg"], b["exp_avg"]) for a, b in zip(original.state.values(), twin.state.values(), strict=True))


def test_a_plan_of_two_rules() -> None:
    def make(net: nn.Module) -> ours.Optimizer:
        return ours.Optimizer(net, Plan((("*.bias", Momentum()), ("*", Average(inner=Adam())))))

    net, other = Net(), Net()
    other.load_state_dict(net.state_dict())
    original, twin = stepped(make(net)), make(other)
    for p, q in zip(other.parameters(), net.parameters(), strict=True):
        p.data.copy_(q)
    twin.load_state_dict(through_a_file(original.state_dict()))
    stepped(original, 3, first=4)
    stepped(twin, 3, first=4)
    assert all(map(torch.equal, net.parameters(), other.parameters()))


# --- precision ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("master", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_parameters_keep_float32_state(dtype: torch.dtype, master: bool) -> None:
    def make() -> ours.Optimizer:
        return ours.AdamW([nn.Parameter(p.detach().to(dtype)) for p in start()], lr=1e-3, master_weights=master)

    def half_stepped(optimizer: Any, first: int) -> Any:
        for t in range(first, first + 5):
            for p in parameters_of(optimizer):
                p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(t)).to(dtype)
            optimizer.step()
        return optimizer

    original, other = half_stepped(make(), 1), make()
    for p, q in zip(parameters_of(other), parameters_of(original), strict=True):
        p.data.copy_(q)
    other.load_state_dict(through_a_file(original.state_dict()))
    for p in parameters_of(other):
        state = other.state[p]
        assert p.dtype == dtype and state["exp_avg"].dtype == torch.float32 and ("master" in state) is master
        assert float((state["exp_avg"] - state["exp_avg"].to(dtype).float()).abs().max()) > 0, "more than the parameter's precision"
    half_stepped(original, 6)
    half_stepped(other, 6)
    assert all(map(torch.equal, parameters_of(original), parameters_of(other)))


def test_master_weights_gather_steps_too_small_for_the_parameter() -> None:
    moved = {}
    for master in (False, True):
        p = nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
        optimizer = ours.SGD([p], lr=1e-4, master_weights=master)
        for _ in range(100):
            p.grad = torch.ones_like(p)
            optimizer.step()
        moved[master] = 1 - p[0].item()
    assert moved[False] == 0 and moved[True] == pytest.approx(0.01, rel=0.3)


# --- another process ----------------------------------------------------------------------------------

REST = """
import sys
import torch
from test_optim import start, stepped
from steepest.optim import AdamW

torch.set_num_threads(1)
parameters = start()
optimizer = AdamW(parameters)
saved = torch.load(sys.argv[1], weights_only=True)
for p, x in zip(parameters, saved["parameters"]):
    p.data.copy_(x)
optimizer.load_state_dict(saved["optimizer"])
stepped(optimizer, 10, first=11)
assert "fused engine" in optimizer.explain()
torch.save({"parameters": [p.detach() for p in parameters], "optimizer": optimizer.state_dict()}, sys.argv[2])
"""


def test_ten_steps_and_ten_in_another_process_are_twenty(tmp_path: Path) -> None:
    parameters = start()
    optimizer = stepped(ours.AdamW(parameters, lr=0.01), 10)
    half, whole = tmp_path / "half", tmp_path / "whole"
    torch.save({"parameters": [p.detach() for p in parameters], "optimizer": optimizer.state_dict()}, half)
    subprocess.run([sys.executable, "-c", REST, str(half), str(whole)], check=True, cwd=Path(__file__).parent)
    stepped(optimizer, 10, first=11)
    resumed = torch.load(whole, weights_only=True)
    assert all(map(torch.equal, resumed["parameters"], parameters))
    for i, entry in optimizer.state_dict()["state"].items():
        assert all(torch.equal(value, resumed["optimizer"]["state"][i][key]) for key, value in entry.items())


# --- what does not belong -----------------------------------------------------------------------------

# Pairs whose groups and state look alike, so that torch's form cannot tell them apart.
ALIKE = {("AdamW", "Adam"), ("LAMB", "RAdam")}
FACES = sorted(name for name in MAKERS if name != "a plan")


@pytest.mark.parametrize("there", FACES)
def test_the_state_of_another_rule_is_refused(there: str) -> None:
    saved = stepped(MAKERS[there]()).state_dict()
    for here in FACES:
        if here == there or (there, here) in ALIKE:
            continue
        optimizer = stepped(MAKERS[here]())
        before = snapshot(optimizer)
        complaint = refusal(optimizer, saved)
        assert complaint and "\n" not in complaint, f"{here} takes the state of {there}"
        assert same(snapshot(optimizer), before)


def refusal(optimizer: Any, saved: dict[str, Any]) -> str:
    try:
        optimizer.load_state_dict(saved)
    except StateError as error:
        return str(error)
    return ""


def snapshot(optimizer: Any) -> list:
    """Everything that an error must leave as it was."""
    groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    state = [(key, value) for p in parameters_of(optimizer) for key, value in optimizer.state.get(p, {}).items()]
    weights = [p.detach().clone() for p in parameters_of(optimizer)]
    return [groups, [key for key, _ in state], [value.clone() for _, value in state], weights]


def same(a: list, b: list) -> bool:
    return a[:2] == b[:2] and all(len(x) == len(y) and all(map(torch.equal, x, y)) for x, y in zip(a[2:], b[2:], strict=True))
