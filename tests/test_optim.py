"""`steepest.optim` beside `torch.optim`: same names, same arguments, same numbers, same manners."""

import copy
import inspect
import io
import pickle
from collections.abc import Callable, Iterator
from itertools import combinations
from math import sin
from typing import Any

import papers
import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torch.testing._internal import common_optimizers as harness

import steepest.optim as ours
from steepest.core.errors import SteepestError
from steepest.core.plan import Plan
from steepest.engines import ENGINES
from steepest.rules.adam import Adam
from steepest.rules.clipping import Clip
from steepest.rules.gradient import Momentum
from steepest.rules.muon import Muon
from steepest.rules.plans import decay_plan, layerwise_decay, muon_plan
from steepest.rules.wrappers import Average, Lookahead

# Each class of torch with every option off its default. Muon iterates in bfloat16 there and has a test of its own.
OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": dict(lr=0.02, momentum=0.8, dampening=0.3, weight_decay=0.1, maximize=True),
    "Adagrad": dict(lr=0.05, lr_decay=0.02, weight_decay=0.1, initial_accumulator_value=0.3, eps=1e-3, maximize=True),
    "Adadelta": dict(lr=0.7, rho=0.8, eps=1e-3, weight_decay=0.1, maximize=True),
    "RMSprop": dict(lr=3e-3, alpha=0.9, eps=1e-3, weight_decay=0.1, momentum=0.7, centered=True, maximize=True),
    "Adam": dict(lr=3e-3, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, amsgrad=True, decoupled_weight_decay=True, maximize=True),
    "AdamW": dict(lr=3e-3, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, amsgrad=True, maximize=True),
    "NAdam": dict(lr=3e-3, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, momentum_decay=2e-2, decoupled_weight_decay=True, maximize=True),
    "RAdam": dict(lr=3e-3, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, decoupled_weight_decay=True, maximize=True),
    "Adamax": dict(lr=3e-3, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1, maximize=True),
    "ASGD": dict(lr=0.03, lambd=1e-2, alpha=0.6, t0=20.0, weight_decay=0.1, maximize=True),
    "Rprop": dict(lr=3e-3, etas=(0.4, 1.3), step_sizes=(1e-4, 0.02), maximize=True),
    "Adafactor": dict(lr=3e-2, beta2_decay=-0.6, eps=(1e-6, 1e-2), d=1.5, weight_decay=0.1, maximize=True),
}
NAMES = [*OPTIONS, "SparseAdam", "Muon", "LBFGS"]
SHAPES = [(), (1,), (7,), (5, 3), (4, 2, 3, 3)]


def settings_of(name: str) -> list[dict[str, Any]]:
    """Nothing set, each option alone, those that choose a program in every combination, all together."""
    options = OPTIONS[name]
    found: list[dict[str, Any]] = [{}, options, *({key: value} for key, value in options.items())]
    switches = [key for key in options if key in ("momentum", "amsgrad", "centered", "decoupled_weight_decay", "weight_decay")]
    found += [{key: options[key] for key in some} for some in combinations(switches, 2)]
    if name == "SGD":
        found += [dict(momentum=0.8, dampening=0.3), dict(momentum=0.8, nesterov=True), dict(momentum=0.8, nesterov=True, weight_decay=0.1)]
    return found


def start(shapes: list[tuple[int, ...]] = SHAPES, seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def pull(parameters: list[nn.Parameter], t: int, gaps: bool = True) -> None:
    """Gradients of a noisy quadratic; now and then a parameter has none."""
    generator = torch.Generator().manual_seed(t)
    for i, p in enumerate(parameters):
        noise = torch.randn(p.shape, generator=generator)
        p.grad = None if gaps and t % 5 == 0 and (t // 5 + i) % 3 == 0 else 0.3 * (i + 1) * p.detach() + 0.5 * noise


def close(a: list, b: list, tolerance: float = 1e-12) -> None:
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        scale = max(1.0, float(y.detach().abs().max())) if y.numel() else 1.0
        worst = float((x.detach() - y.detach()).abs().max()) if y.numel() else 0.0
        assert worst <= tolerance * scale, f"parameter {i}: {worst:.1e} apart at size {scale:.1e}"


def walk(a: Any, b: Any, mine: list, theirs: list, steps: int, gaps: bool = True, first: int = 1) -> None:
    """Both, over so many steps, with a rate that changes at each."""
    rates = [group["lr"] for group in a.param_groups]
    for t in range(first, first + steps):
        for optimizer, parameters in ((a, mine), (b, theirs)):
            pull(parameters, t, gaps)
            for rate, group in zip(rates, optimizer.param_groups, strict=True):
                group["lr"] = rate * (1 + 0.5 * sin(t))
            optimizer.step()


def grouped(parameters: list, other: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"params": parameters[::2]}, {"params": parameters[1::2], **other}]


def other_settings(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """For a second group: another rate, and where there are such, other betas and decay."""
    defaults = inspect.signature(getattr(torch.optim, name)).parameters
    other: dict[str, Any] = {"lr": 0.01}
    if "betas" in defaults:
        other["betas"] = (0.7, 0.9)
    if "weight_decay" in defaults and given.get("weight_decay"):
        other["weight_decay"] = 0.03
    return other


@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_torchs_over_100_steps(name: str, engine: str, float64: None) -> None:
    # The reference engine runs the rules as they are written, whatever is set: the two ends suffice.
    for given in settings_of(name) if engine == "auto" else [{}, OPTIONS[name]]:
        if name == "Adafactor" and "lr" not in given:
            given = given | {"lr": 0.05}
        mine, theirs = start(), start()
        other = other_settings(name, given)
        a = getattr(ours, name)(grouped(mine, other), **given, engine=engine)
        b = getattr(torch.optim, name)(grouped(theirs, other), **given)
        walk(a, b, mine, theirs, 100)
        try:
            close(mine, theirs)
        except AssertionError as error:
            raise AssertionError(f"{name}({given}): {error}") from None
        chosen = "reference" if engine == "reference" or name == "Adafactor" else "fused"
        assert f"{chosen} engine" in a.explain()


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_is_torchs(name: str) -> None:
    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    mine = inspect.signature(getattr(ours, name)).parameters
    ways = ("foreach", "fused", "capturable", "differentiable")
    wanted = {key: p.default for key, p in theirs.items() if key not in ways}
    assert {key: p.default for key, p in mine.items() if key in wanted} == wanted
    by_place = [key for key, p in theirs.items() if p.kind is p.POSITIONAL_OR_KEYWORD and key not in (*ways, "maximize")]
    assert [key for key, p in mine.items() if p.kind is p.POSITIONAL_OR_KEYWORD][: len(by_place)] == by_place


# --- torch's own harness ------------------------------------------------------------------------------

INFOS = {info.name: info for info in harness.optim_db if hasattr(ours, info.name)}


def zeroth_power(g: Tensor, coefficients: Any, steps: int, eps: float) -> Tensor:
    """torch's Newton-Schulz without its bfloat16."""
    a, b, c = coefficients
    x = g.T if g.size(0) > g.size(1) else g
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if g.size(0) > g.size(1) else x


@pytest.fixture
def exact_muon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.optim._muon._zeropower_via_newtonschulz", zeroth_power)


def twins(name: str, sparse: bool = False) -> tuple[list, list]:
    shapes = [(6, 3), (3, 5), (4, 4)] if name == "Muon" else [(10, 5), (3, 4, 2)] if sparse else SHAPES
    return start(shapes), start(shapes)


def harness_step(optimizer: Any, parameters: list, t: int, sparse: bool) -> Any:
    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = sum((p - 0.1 * i).cos().sum() + (p * (1 + i)).square().sum() / 20 for i, p in enumerate(parameters))
        loss.backward()
        if sparse:
            for p in parameters:
                rows = torch.randint(len(p), (4,), generator=torch.Generator().manual_seed(t))
                p.grad = torch.sparse_coo_tensor(rows[None], p.grad[rows], p.shape, check_invariants=True)
        return loss.detach()

    return optimizer.step(closure)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize("name", INFOS)
def test_every_configuration_of_torchs_harness(name: str, float64: None, exact_muon: None) -> None:
    info = INFOS[name]
    configurations = [c for c in info.optim_inputs_func("cpu", torch.float64) if not c.kwargs.get("capturable")]
    assert len(configurations) >= 4
    for configuration in configurations:
        # Here eps is added to the norm, in torch it bounds it.
        settings = configuration.kwargs | ({"eps": 0.0} if name == "Muon" else {})
        mine, theirs = twins(name, info.only_supports_sparse_grads)
        a, b = getattr(ours, name)(mine, **copy.deepcopy(settings)), info.optim_cls(theirs, **copy.deepcopy(settings))
        for t in range(5 if name == "LBFGS" else 20):
            losses = [harness_step(*pair, t, info.only_supports_sparse_grads) for pair in ((a, mine), (b, theirs))]
            close(losses[:1], losses[1:], 1e-11)
        close(mine, theirs)


# torch refuses what only its own implementations cannot do.
OWN_AFFAIR = ("betas must be either both floats or both Tensors",)


@pytest.mark.parametrize("name", INFOS)
def test_what_torchs_harness_refuses_is_refused(name: str) -> None:
    refused = 0
    for case in INFOS[name].optim_error_inputs_func("cpu", torch.float32):
        given = case.optimizer_error_input
        if given.desc in OWN_AFFAIR or (name == "Muon" and given.desc == "only support 2D parameters"):
            continue
        params = given.params if given.params is not None else [nn.Parameter(torch.randn(2, 2))]
        with pytest.raises(SteepestError) as caught:
            getattr(ours, name)(params, **given.kwargs)
        assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value), given.desc
        refused += 1
    assert refused >= 6


SCHEDULERS: list[list[Callable]] = [
    *(chain for info in INFOS.values() for chain in info.scheduler_inputs),
    [lambda opt: lr_scheduler.OneCycleLR(opt, max_lr=0.05, total_steps=40)],
    [lambda opt: lr_scheduler.CyclicLR(opt, base_lr=0.001, max_lr=0.05, step_size_up=5, cycle_momentum=True)],
    [lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=7)],
    [lambda opt: lr_scheduler.CosineAnnealingLR(opt, T_max=30)],
    [lambda opt: lr_scheduler.MultiStepLR(opt, [5, 9])],
    [lambda opt: lr_scheduler.MultiplicativeLR(opt, lambda _: 0.95)],
    [lambda opt: lr_scheduler.LambdaLR(opt, lambda t: 1 / (1 + t))],
    [lambda opt: lr_scheduler.SequentialLR(opt, [lr_scheduler.ConstantLR(opt), lr_scheduler.ExponentialLR(opt, 0.9)], [5])],
]


@pytest.mark.parametrize("tensor_rate", [False, True], ids=["number", "tensor"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_schedulers_drive_it_as_they_drive_torch(name: str, tensor_rate: bool, float64: None) -> None:
    for chain in SCHEDULERS:
        paths = []
        for module in (ours, torch.optim):
            parameters = start([(3, 2), (4,)])
            lr = torch.tensor(0.05) if tensor_rate else 0.05
            optimizer = getattr(module, name)(parameters, lr=lr, **({"momentum": 0.9} if name != "Adam" else {}))
            schedulers = [make(optimizer) for make in chain]
            path = []
            for t in range(30):
                pull(parameters, t, gaps=False)
                optimizer.step()
                for scheduler in schedulers:
                    scheduler.step(torch.tensor(1.0)) if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else scheduler.step()
                path += [p.detach().clone() for p in parameters]
                path.append(torch.tensor([float(optimizer.param_groups[0]["lr"])]))
            paths.append(path)
        close(*paths)


# --- manners ------------------------------------------------------------------------------------------


def stepped(optimizer: Any, steps: int = 3, first: int = 1) -> Any:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for t in range(first, first + steps):
        pull(parameters, t, gaps=False)
        optimizer.step()
    return optimizer


def parameters_of(optimizer: Any) -> list:
    return [p for group in optimizer.param_groups for p in group["params"]]


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad_forgets_the_gradients_of_all_groups(set_to_none: bool) -> None:
    parameters = start()
    optimizer = ours.AdamW(grouped(parameters, {"lr": 0.01}))
    pull(parameters, 1, gaps=False)
    held = [p.grad for p in parameters]
    optimizer.zero_grad(set_to_none=set_to_none)
    if set_to_none:
        assert all(p.grad is None for p in parameters) and any(bool(g.any()) for g in held), "nothing is written to"
    else:
        assert all(p.grad is g and not g.any() for p, g in zip(parameters, held, strict=True))


def test_step_returns_what_the_closure_returns() -> None:
    p = nn.Parameter(torch.tensor([3.0]))
    optimizer = ours.SGD([p], lr=0.1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert p.item() == pytest.approx(2.4)
    assert optimizer.step() is None
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is not None and p.grad.item() == 0
    optimizer.zero_grad()
    assert p.grad is None
    before = p.item()
    optimizer.step()
    assert p.item() == before


def test_a_group_may_come_later(float64: None) -> None:
    mine, theirs = start(), start()
    pair = ours.AdamW(mine[:2]), torch.optim.AdamW(theirs[:2])
    walk(*pair, mine[:2], theirs[:2], 5)
    for optimizer, parameters in zip(pair, (mine, theirs), strict=True):
        optimizer.add_param_group({"params": parameters[2:], "weight_decay": 0.5, "betas": (0.5, 0.6)})
    walk(*pair, mine, theirs, 20, first=6)
    close(mine, theirs)


def test_hooks_are_called_in_order_and_may_change_things() -> None:
    optimizer, seen = ours.Adam(start()), []
    optimizer.register_step_pre_hook(lambda *_: seen.append("pre"))
    optimizer.register_step_post_hook(lambda *_: seen.append("post"))
    optimizer.register_state_dict_pre_hook(lambda _: seen.append("before saving"))
    optimizer.register_state_dict_post_hook(lambda _, d: d | {"note": 1})
    optimizer.register_load_state_dict_pre_hook(lambda _, d: seen.append(d.pop("note")))
    optimizer.register_load_state_dict_post_hook(lambda _: seen.append("loaded"))
    stepped(optimizer, 1)
    saved = optimizer.state_dict()
    optimizer.load_state_dict(saved)
    assert seen == ["pre", "post", "before saving", 1, "loaded"]
    assert "note" in saved


def via_pickle(optimizer: Any) -> Any:
    return pickle.loads(pickle.dumps(optimizer))


def via_torch(optimizer: Any) -> Any:
    file = io.BytesIO()
    torch.save(optimizer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


MAKERS: dict[str, Callable[[], Any]] = {
    **{
        name: (lambda name=name: getattr(ours, name)(start([(4, 3), (3, 2)])))
        for name in ours.OPTIMIZERS
        if name not in ("LBFGS", "SparseAdam")
    },
    "a rule": lambda: ours.Optimizer(start(), Clip(inner=Adam(), norm=0.5)),
    "a plan": lambda: ours.Optimizer(model(), decay_plan(Adam(weight_decay=0.1))),
}


@pytest.mark.parametrize("way", [copy.deepcopy, via_pickle, via_torch])
@pytest.mark.parametrize("name", MAKERS)
def test_a_copy_is_whole_and_its_own(name: str, way: Callable) -> None:
    original = stepped(MAKERS[name]())
    twin = way(original)
    assert type(twin) is type(original) and repr(twin) == repr(original)
    assert not {id(p) for p in parameters_of(twin)} & {id(p) for p in parameters_of(original)}
    before = [p.detach().clone() for p in parameters_of(original)]
    stepped(twin, 3, first=4)
    assert all(map(torch.equal, before, parameters_of(original)))
    stepped(original, 3, first=4)
    assert all(map(torch.equal, parameters_of(twin), parameters_of(original)))


@pytest.mark.parametrize("way", [copy.deepcopy, via_pickle, via_torch])
def test_a_copy_of_lbfgs_goes_on_alike(way: Callable) -> None:
    original = ours.LBFGS(start(), lr=0.1, max_iter=3, line_search_fn="strong_wolfe")
    harness_step(original, parameters_of(original), 1, False)
    twin = way(original)
    for optimizer in (original, twin):
        harness_step(optimizer, parameters_of(optimizer), 2, False)
    assert all(map(torch.equal, parameters_of(twin), parameters_of(original)))


def test_the_scaler_skips_a_step_that_overflowed() -> None:
    p = nn.Parameter(torch.ones(3))
    optimizer = ours.AdamW([p], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for factor, moved in ((1.0, True), (float("inf"), False), (1.0, True)):
        before = p.detach().clone()
        optimizer.zero_grad()
        scaler.scale((p * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        assert torch.equal(before, p) is not moved
    assert scaler.get_scale() == 2.0
    assert optimizer.state[p]["step"] == 2


# What is written into a group at step 10, and at step 20 again.
WRITTEN: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("SGD", dict(lr=0.05), dict(momentum=0.9), dict(momentum=0.0)),
    ("SGD", dict(lr=0.05, momentum=0.9), dict(momentum=0.0), dict(momentum=0.9)),
    ("SGD", dict(lr=0.05), dict(weight_decay=0.1), dict(weight_decay=0.0)),
    ("SGD", dict(lr=0.05, momentum=0.9), dict(nesterov=True), dict(maximize=True)),
    ("Adam", {}, dict(weight_decay=0.1), dict(betas=(0.5, 0.7))),
    ("Adam", dict(weight_decay=0.1), dict(decoupled_weight_decay=True), dict(eps=1e-2)),
    ("AdamW", dict(amsgrad=True), dict(amsgrad=False), dict(amsgrad=True)),
    ("AdamW", {}, dict(lr=torch.tensor(0.1, dtype=torch.float64)), dict(lr=0.01)),
    ("Adagrad", {}, dict(weight_decay=0.1), dict(lr_decay=0.1)),
    ("RMSprop", {}, dict(alpha=0.5), dict(maximize=True)),
]


@pytest.mark.parametrize(("name", "given", "first", "second"), WRITTEN)
def test_what_is_written_into_a_group_counts(name: str, given: dict, first: dict, second: dict, float64: None) -> None:
    mine, theirs = start(), start()
    a, b = getattr(ours, name)(mine, **given), getattr(torch.optim, name)(theirs, **given)
    for change in ({}, first, second):
        for optimizer, parameters in ((a, mine), (b, theirs)):
            optimizer.param_groups[0].update(copy.deepcopy(change))
            for t in range(10):
                pull(parameters, t, gaps=False)
                optimizer.step()
        close(mine, theirs)


def test_amsgrad_may_be_switched_on_midway(float64: None) -> None:
    """torch's cannot. The maximum begins with the next second moment."""
    optimizer = stepped(ours.AdamW(start()))
    plain = copy.deepcopy(optimizer)
    optimizer.param_groups[0]["amsgrad"] = True
    stepped(optimizer, 1, first=4)
    stepped(plain, 1, first=4)
    close(parameters_of(optimizer), parameters_of(plain))
    for state in optimizer.state.values():
        assert torch.equal(state["max_exp_avg_sq"], state["exp_avg_sq"])


def test_a_replaced_parameter_is_the_one_that_moves() -> None:
    (p, q) = start([(3,), (3,)])
    optimizer = stepped(ours.Adam([p]))
    optimizer.param_groups[0]["params"][0] = q
    stepped(optimizer, 1)
    held = p.detach().clone()
    stepped(optimizer)
    assert torch.equal(p, held)
    assert optimizer.state[q]["step"] == 4 and optimizer.state[p]["step"] == 3


def forgotten(optimizer: Any, how: str) -> None:
    p = optimizer.param_groups[0]["params"][0]
    if how == "clear":
        optimizer.state.clear()
    elif how == "pop":
        optimizer.state.pop(p)
    elif how == "del":
        del optimizer.state[p]
    elif how == "popitem":
        optimizer.state.popitem()
    elif how == "empty":
        optimizer.state[p] = {}
    elif how == "update":
        optimizer.state.update({p: {}})
    else:
        optimizer.state = type(torch.optim.SGD([p]).state)(dict)


@pytest.mark.parametrize("how", ["clear", "pop", "del", "popitem", "empty", "update", "another"])
def test_cleared_state_begins_anew(how: str) -> None:
    (p,) = start([(5,)])
    optimizer = stepped(ours.Adam([p]))
    forgotten(optimizer, how)
    stepped(optimizer, 1)
    assert optimizer.state[p]["step"] == 1
    torch.testing.assert_close(optimizer.state[p]["exp_avg"], 0.1 * p.grad)


def test_state_may_be_written_in_place_or_replaced() -> None:
    (p,) = start([(5,)])
    for way in ("zero", "replace"):
        optimizer = stepped(ours.Adam([p]))
        if way == "zero":
            optimizer.state[p]["exp_avg"].zero_()
        else:
            optimizer.state[p]["exp_avg"] = torch.zeros(5)
        stepped(optimizer, 1)
        torch.testing.assert_close(optimizer.state[p]["exp_avg"], 0.1 * p.grad)


def test_repr_and_explain() -> None:
    optimizer = ours.AdamW(model().named_parameters(), lr=0.25)
    assert "lr: 0.25" in repr(optimizer) and repr(optimizer).startswith("AdamW (")
    assert optimizer.explain() == "no step was taken yet"
    assert stepped(optimizer).explain().startswith("Adam(): fused engine for 0.weight, 0.bias, 2.weight and ")


@pytest.mark.parametrize("engine", sorted(ENGINES.keys() - {"compiled"}))
def test_the_engine_asked_for_is_the_engine(engine: str) -> None:
    assert f"{engine} engine" in stepped(ours.Adam(start(), engine=engine)).explain()


# --- views --------------------------------------------------------------------------------------------


def model() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 2))


def quadratic(p: list[Tensor], t: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(t)
    return [x.detach() + torch.randn(x.shape, generator=generator) for x in p]


def descend(optimizer: Any, steps: int) -> list[Tensor]:
    parameters = parameters_of(optimizer)
    for t in range(1, steps + 1):
        for p, g in zip(parameters, quadratic(parameters, t), strict=True):
            p.grad = g
        optimizer.step()
    return parameters


def test_the_view_of_schedule_free(float64: None) -> None:
    wanted = dict(lr=0.02, weight_decay=0.1, warmup_steps=4, r=0.5, weight_lr_power=1.5)
    optimizer = ours.ScheduleFreeAdamW(start(), betas=(0.8, 0.95), **wanted)
    parameters = descend(optimizer, 30)
    y, x = papers.schedule_free_adamw(start(), quadratic, 30, beta1=0.8, beta2=0.95, **wanted)
    close(parameters, y)
    close(optimizer.view(), x, 1e-11)


def test_the_view_of_schedule_free_is_the_authors(float64: None) -> None:
    schedulefree = pytest.importorskip("schedulefree")
    theirs = start()
    optimizer = schedulefree.AdamWScheduleFree(theirs, lr=0.02, weight_decay=0.1, foreach=False)
    optimizer.train()
    descend(optimizer, 30)
    optimizer.eval()
    mine = ours.ScheduleFreeAdamW(start(), lr=0.02, weight_decay=0.1)
    descend(mine, 30)
    close(mine.view(), theirs, 1e-11)


def test_the_view_of_asgd_is_its_average(float64: None) -> None:
    pair = ours.ASGD(start(), lr=0.05, t0=5), torch.optim.ASGD(start(), lr=0.05, t0=5)
    for optimizer in pair:
        descend(optimizer, 30)
    close(pair[0].view(), [pair[1].state[p]["ax"] for p in parameters_of(pair[1])])


def test_the_view_of_an_average(float64: None) -> None:
    optimizer = ours.Optimizer(start(), Average(inner=Adam(lr=0.01), beta=0.9))
    parameters = parameters_of(optimizer)
    average = None
    for t in range(1, 11):
        for p, g in zip(parameters, quadratic(parameters, t), strict=True):
            p.grad = g
        optimizer.step()
        now = [p.detach().clone() for p in parameters]
        average = now if average is None else [0.9 * a + 0.1 * x for a, x in zip(average, now, strict=True)]
    close(optimizer.view(), average)


VIEWS: list[Callable[[], Any]] = [
    lambda: ours.ScheduleFreeAdamW(model().parameters()),
    lambda: ours.ASGD(model().parameters(), t0=1),
    lambda: ours.Optimizer(model(), Average(inner=Adam())),
    lambda: ours.Optimizer(model(), Lookahead(inner=Momentum())),
    lambda: ours.ScheduleFreeAdamW([nn.Parameter(p.detach().bfloat16()) for p in start()], lr=0.1, master_weights=True),
]


@pytest.mark.parametrize("make", VIEWS)
def test_viewing_puts_the_view_in_and_the_same_bits_back(make: Callable) -> None:
    optimizer = make()
    for p in parameters_of(optimizer):
        p.grad = torch.ones_like(p)
    for _ in range(6):
        optimizer.step()
    parameters = parameters_of(optimizer)
    held, view = [p.detach().clone() for p in parameters], [x.clone() for x in optimizer.view()]
    assert not all(map(torch.equal, held, view))
    with optimizer.viewing():
        assert all(map(torch.equal, parameters, view))
        with optimizer.viewing():
            pass
    assert all(map(torch.equal, parameters, held))
    with pytest.raises(KeyError), optimizer.viewing():
        raise KeyError
    assert all(map(torch.equal, parameters, held))


def test_the_view_is_of_the_master_weights() -> None:
    views = []
    for low in (True, False):
        parameters = [nn.Parameter(p.detach().bfloat16() if low else p.detach().bfloat16().float()) for p in start([(50,)])]
        optimizer = ours.ScheduleFreeAdamW(parameters, lr=0.1, betas=(0.5, 0.99), master_weights=True)
        for t in range(10):
            g = torch.randn(50, generator=torch.Generator().manual_seed(t)).bfloat16()
            parameters[0].grad = g if low else g.float()
            optimizer.step()
        views.append(optimizer.view()[0].bfloat16())
    torch.testing.assert_close(*views, rtol=1e-6, atol=0)


def test_a_rule_without_a_view_shows_the_weights() -> None:
    optimizer = stepped(ours.Adam(start()))
    assert all(map(torch.equal, optimizer.view(), parameters_of(optimizer)))
    with optimizer.viewing():
        pass


# --- plans --------------------------------------------------------------------------------------------


def backward(net: nn.Module, t: int) -> None:
    net.zero_grad()
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(t))
    net(x).square().sum().backward()


def test_a_plan_gives_each_parameter_its_rule(float64: None) -> None:
    net, twin = model(), model()
    optimizer = ours.Optimizer(net, decay_plan(Adam(lr=0.01, weight_decay=0.3)))
    decayed = [p for p in twin.parameters() if p.ndim > 1]
    rest = [p for p in twin.parameters() if p.ndim == 1]
    theirs = torch.optim.AdamW([{"params": rest, "weight_decay": 0.0}, {"params": decayed}], lr=0.01, weight_decay=0.3)
    for t in range(20):
        backward(net, t)
        backward(twin, t)
        optimizer.step()
        theirs.step()
    close(list(net.parameters()), list(twin.parameters()))


def test_muon_for_hidden_matrices_adamw_for_the_rest(float64: None, exact_muon: None) -> None:
    net, twin = model(), model()
    optimizer = ours.Optimizer(net, muon_plan(Muon(lr=0.01, weight_decay=0.1, eps=0.0), Adam(lr=0.002)))
    hidden = [twin[0].weight, twin[2].weight]
    rest = [p for p in twin.parameters() if all(p is not h for h in hidden)]
    theirs = torch.optim.Muon(hidden, lr=0.01, weight_decay=0.1, eps=0.0), torch.optim.AdamW(rest, lr=0.002, weight_decay=0)
    for t in range(20):
        backward(net, t)
        backward(twin, t)
        optimizer.step()
        for each in theirs:
            each.step()
    close(list(net.parameters()), list(twin.parameters()), 1e-11)


def test_layers_learn_slower_the_deeper_they_lie(float64: None) -> None:
    net, twin = model(), model()
    optimizer = ours.Optimizer(net, layerwise_decay(net, Momentum(lr=0.01), 0.5))
    rates = {0: 0.125, 2: 0.25, 3: 0.5, 4: 1.0}
    theirs = torch.optim.SGD([{"params": list(twin[i].parameters()), "lr": 0.01 * f} for i, f in rates.items()], lr=0.01, momentum=0.9)
    for t in range(20):
        backward(net, t)
        backward(twin, t)
        optimizer.step()
        theirs.step()
    close(list(net.parameters()), list(twin.parameters()))


def test_one_clip_around_groups_of_different_programs(float64: None) -> None:
    net, twin = model(), model()
    plan = Plan((("*.bias", Clip(inner=Momentum(lr=0.01), norm=0.5)), ("*", Clip(inner=Adam(lr=0.01), norm=0.5))))
    optimizer = ours.Optimizer(net, plan)
    biases = [p for name, p in twin.named_parameters() if name.endswith("bias")]
    others = [p for name, p in twin.named_parameters() if not name.endswith("bias")]
    theirs = torch.optim.SGD(biases, lr=0.01, momentum=0.9), torch.optim.AdamW(others, lr=0.01, weight_decay=0)
    for t in range(20):
        backward(net, t)
        backward(twin, t)
        nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
        optimizer.step()
        for each in theirs:
            each.step()
    close(list(net.parameters()), list(twin.parameters()))


# --- row-sparse gradients -----------------------------------------------------------------------------


def embeddings(seed: int = 0) -> nn.ModuleList:
    torch.manual_seed(seed)
    return nn.ModuleList([nn.Embedding(12, 3, sparse=True), nn.Embedding(7, 2, sparse=True)])


def read_rows(tables: nn.ModuleList, t: int) -> Iterator[None]:
    generator = torch.Generator().manual_seed(t)
    for i, table in enumerate(tables):
        rows = torch.randint(table.num_embeddings, (0 if t == 5 and i else 5,), generator=generator)
        table.zero_grad()
        table(rows).sin().sum().backward()
        yield


SPARSE: list[tuple[str, dict[str, Any]]] = [
    ("SGD", dict(lr=0.03)),
    ("SGD", dict(lr=0.03, maximize=True)),
    ("SGD", dict(lr=0.01, momentum=0.9)),
    ("SGD", dict(lr=0.01, momentum=0.9, nesterov=True)),
    ("SGD", dict(lr=0.01, momentum=0.8, dampening=0.5)),
    ("Adagrad", dict(lr=0.1)),
    ("Adagrad", dict(lr=0.1, lr_decay=0.1, initial_accumulator_value=0.2, eps=1e-3)),
    ("SparseAdam", dict(lr=0.02)),
    ("SparseAdam", dict(lr=0.02, betas=(0.7, 0.9), eps=1e-3, maximize=True)),
]


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")  # from within torch's own optimizers
@pytest.mark.parametrize(("name", "given"), SPARSE)
def test_row_sparse_gradients_are_served_as_torch_serves_them(name: str, given: dict[str, Any], float64: None) -> None:
    mine, theirs = embeddings(), embeddings()
    a, b = getattr(ours, name)(mine.parameters(), **given), getattr(torch.optim, name)(theirs.parameters(), **given)
    for t in range(50):
        for optimizer, tables in ((a, mine), (b, theirs)):
            list(read_rows(tables, t))
            optimizer.step()
    close(list(mine.parameters()), list(theirs.parameters()))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize("name", ["SGD", "Adagrad", "SparseAdam"])
def test_gradients_sparse_in_both_dimensions(name: str, float64: None) -> None:
    mine, theirs = start([(4, 3)]), start([(4, 3)])
    a, b = getattr(ours, name)(mine, lr=0.05), getattr(torch.optim, name)(theirs, lr=0.05)
    for t in range(20):
        generator = torch.Generator().manual_seed(t)
        places = torch.stack([torch.randint(4, (5,), generator=generator), torch.randint(3, (5,), generator=generator)])
        g = torch.sparse_coo_tensor(places, torch.randn(5, generator=generator), (4, 3), check_invariants=True)
        for (p,), optimizer in ((mine, a), (theirs, b)):
            p.grad = g.clone()
            optimizer.step()
    close(mine, theirs)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
def test_a_parameter_may_go_from_sparse_to_dense_gradients(float64: None) -> None:
    mine, theirs = embeddings(), embeddings()
    a, b = ours.Adagrad(mine.parameters(), lr=0.1), torch.optim.Adagrad(theirs.parameters(), lr=0.1)
    for t in range(12):
        for optimizer, tables in ((a, mine), (b, theirs)):
            list(read_rows(tables, t))
            if t % 2:
                for p in tables.parameters():
                    p.grad = p.grad.to_dense()
            optimizer.step()
    close(list(mine.parameters()), list(theirs.parameters()))
