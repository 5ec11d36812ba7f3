"""Drivers against literal formulas: exact accumulation, SAM and its neighborhoods, line searches against torch's."""

import math

import pytest
import torch
from torch import nn

from steepest.core.errors import SettingError, SteepestError
from steepest.core.rule import State
from steepest.drivers import DRIVERS, SAM, Accumulate, Backtracking, Plain
from steepest.drivers.line_search import Point, backtracking, interpolate, strong_wolfe
from steepest.rules.lbfgs import LBFGS


def model_and_data(seed=0, n=11):
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
    x, y = (torch.randn(n, k, generator=generator, dtype=torch.float64) for k in (4, 2))
    return model, x, y


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr)


def weights(model):
    return [p.detach().clone() for p in model.parameters()]


@torch.no_grad()
def loss_of(model, x, y):
    return float(squared(model, x, y).mean())


def squared(model, x, y):
    return (model(x) - y).square().sum(1)


def far(a, b):
    return max(float((x - y).abs().max() / y.abs().max()) for x, y in zip(a, b, strict=True))


# --- plain and accumulate -----------------------------------------------------------------------------


def test_plain_is_the_usual_loop():
    (ours, x, y), (theirs, _, _) = model_and_data(), model_and_data()
    a, b = sgd(ours), sgd(theirs)
    for _ in range(3):
        loss = Plain().step(a, lambda: squared(ours, x, y).mean())
        b.zero_grad()
        usual = squared(theirs, x, y).mean()
        usual.backward()
        b.step()
        assert loss == usual.detach() and not loss.requires_grad
    assert all(torch.equal(p, q) for p, q in zip(weights(ours), weights(theirs), strict=True))


@pytest.mark.parametrize("parts", [(7, 3, 1), (1, 10), (11,)])
def test_accumulation_is_exact_for_unequal_parts(parts):
    (ours, x, y), (theirs, _, _) = model_and_data(), model_and_data()
    a, b = sgd(ours), sgd(theirs)
    pieces = list(zip(x.split(list(parts)), y.split(list(parts)), strict=True))
    for _ in range(5):
        loss = Accumulate().step(a, [lambda u=u, v=v: (squared(ours, u, v).sum(), len(u)) for u, v in pieces])
        whole = Plain().step(b, lambda: squared(theirs, x, y).mean())
        assert float((loss - whole).abs() / whole) < 1e-15
        grads = ([p.grad for p in ours.parameters()], [p.grad for p in theirs.parameters()])
        assert far(*grads) < 2e-15
    assert far(weights(ours), weights(theirs)) < 2e-15


def test_the_mean_of_means_would_be_something_else():
    model, x, y = model_and_data()
    means = sum(squared(model, u, v).mean() for u, v in zip(x.split([7, 3, 1]), y.split([7, 3, 1]), strict=True)) / 3
    assert abs(float(means.detach()) - loss_of(model, x, y)) > 1e-2


def test_closures_may_be_a_generator_and_are_not_kept():
    model, x, y = model_and_data()
    loss = Accumulate().step(sgd(model), ((lambda i=i: (squared(model, x[i : i + 1], y[i : i + 1]).sum(), 1)) for i in range(11)))
    assert float(loss) == pytest.approx(loss_of(model_and_data()[0], x, y), rel=1e-14)


# --- sharpness-aware ----------------------------------------------------------------------------------


@pytest.mark.parametrize("adaptive", [False, True])
def test_sam_is_its_formula(adaptive):
    rho, eta, lr = 0.3, 0.02, 0.1
    (ours, x, y), (theirs, _, _) = model_and_data(), model_and_data()
    optimizer, driver = sgd(ours, lr), SAM(rho=rho, eta=eta, adaptive=adaptive)
    for _ in range(5):
        loss = driver.step(optimizer, lambda: squared(ours, x, y).mean())
        params = list(theirs.parameters())
        first = squared(theirs, x, y).mean()
        g = torch.autograd.grad(first, params)
        w = weights(theirs)
        T = [p.abs() + eta if adaptive else torch.ones_like(p) for p in w]
        size = torch.cat([(t * d).flatten() for t, d in zip(T, g, strict=True)]).norm()
        with torch.no_grad():
            for p, t, d in zip(params, T, g, strict=True):
                p.add_(rho * t * t * d / size)
        worst = torch.autograd.grad(squared(theirs, x, y).mean(), params)
        with torch.no_grad():
            for p, start, d in zip(params, w, worst, strict=True):
                p.copy_(start - lr * d)
        assert float(loss) == pytest.approx(float(first.detach()), rel=1e-14)
        assert far(weights(ours), weights(theirs)) < 1e-13


class Still:
    """An optimizer that only looks."""

    def __init__(self, model):
        self.param_groups = [{"params": list(model.parameters())}]
        self.grads = []

    def zero_grad(self):
        for p in self.param_groups[0]["params"]:
            p.grad = None

    def step(self):
        self.grads = [p.grad.clone() for p in self.param_groups[0]["params"]]


def test_sam_puts_the_weights_back_bit_by_bit():
    model, x, y = model_and_data()
    with torch.no_grad():
        model[0].weight.mul_(1e-3).add_(math.pi)  # p + e - e is not p here
    before, seen = weights(model), []

    def closure():
        seen.append(weights(model))
        return squared(model, x, y).mean()

    SAM(rho=0.7).step(Still(model), closure)
    assert all(torch.equal(a, b) for a, b in zip(weights(model), before, strict=True))
    e = [b - a for a, b in zip(*seen, strict=True)]
    assert float(torch.cat([d.flatten() for d in e]).norm()) == pytest.approx(0.7, rel=1e-12)
    assert any(not torch.equal(b - d, a) for a, b, d in zip(before, seen[1], e, strict=True))


def test_sam_puts_the_weights_back_when_the_second_pass_fails():
    model, x, y = model_and_data()
    before, calls = weights(model), []

    def closure():
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return squared(model, x, y).mean()

    with pytest.raises(RuntimeError, match="out of memory"):
        SAM().step(sgd(model), closure)
    assert all(torch.equal(a, b) for a, b in zip(weights(model), before, strict=True))


@pytest.mark.parametrize("factor", [0.0, math.nan, math.inf])
@pytest.mark.parametrize("adaptive", [False, True])
def test_sam_without_a_worst_direction_uses_the_gradient_as_it_is(factor, adaptive):
    model, x, y = model_and_data()
    before, still, calls = weights(model), Still(model), []

    def closure():
        calls.append(1)
        return squared(model, x, y).mean() * factor

    SAM(adaptive=adaptive).step(still, closure)
    assert len(calls) == 1
    assert all(torch.equal(a, b) for a, b in zip(weights(model), before, strict=True))
    expected = all(bool((g == 0).all()) for g in still.grads) if factor == 0 else not all(bool(g.isfinite().all()) for g in still.grads)
    assert expected


def test_running_statistics_see_the_first_pass_only():
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)).double()
    once = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)).double()
    once.load_state_dict(model.state_dict())
    _, x, y = model_and_data()
    SAM(rho=1.0).step(Still(model), lambda: squared(model, x, y).mean())
    once(x)
    assert {k: v.tolist() for k, v in model[1].named_buffers()} == {k: v.tolist() for k, v in once[1].named_buffers()}
    assert int(model[1].num_batches_tracked) == 1


# --- line searches ------------------------------------------------------------------------------------


def energy(A, p):
    return float(0.5 * p @ A @ p)


def test_backtracking_goes_down_whatever_the_rate():
    A = torch.diag(torch.tensor([1.0, 30.0, 100.0], dtype=torch.float64))
    p = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
    optimizer, driver, losses = torch.optim.SGD([p], lr=1e3), Backtracking(shrink=0.5, c=0.1, halvings=60), []
    for _ in range(100):
        before, g = p.detach().clone(), A @ p.detach()
        loss, alpha = driver.step(optimizer, lambda: 0.5 * p @ A @ p)
        change = -1e3 * g
        assert torch.allclose(p.detach(), before + alpha * change, rtol=1e-14, atol=0)
        assert float(loss) == energy(A, p.detach())
        assert 0 < alpha < 1e-3
        start = energy(A, before)
        assert float(loss) <= start + 0.1 * alpha * float(g @ change)
        longer = before + 2 * alpha * change
        assert energy(A, longer) > start + 0.1 * 2 * alpha * float(g @ change)
        losses.append(float(loss))
    assert losses[-1] < 1e-4 * losses[0]


def test_backtracking_takes_a_good_step_whole():
    (ours, x, y), (theirs, _, _) = model_and_data(), model_and_data()
    assert Backtracking().step(sgd(ours, 1e-3), lambda: squared(ours, x, y).mean()).alpha == 1.0
    Plain().step(sgd(theirs, 1e-3), lambda: squared(theirs, x, y).mean())
    assert all(torch.equal(a, b) for a, b in zip(weights(ours), weights(theirs), strict=True))


@pytest.mark.parametrize("lr", [1e3, math.inf])
def test_backtracking_that_finds_nothing_stays_and_says_so(lr):
    model, x, y = model_and_data()
    before = weights(model)
    optimizer = sgd(model, 1.0)
    optimizer.param_groups[0]["lr"] = lr
    loss, alpha = Backtracking(halvings=2).step(optimizer, lambda: squared(model, x, y).mean())
    assert alpha == 0
    assert all(torch.equal(a, b) for a, b in zip(weights(model), before, strict=True))
    assert float(loss) == loss_of(model, x, y)


def test_backtracking_along_a_line_that_goes_up_accepts_no_increase():
    start = Point(0.0, 1.0, 5.0)
    assert backtracking(lambda alpha: 1.0 + alpha, start) == 0.0
    assert backtracking(lambda alpha: 1.0 + 1e-4 * alpha, start) == 0.0
    assert backtracking(lambda alpha: math.nan, start) == 0.0
    assert backtracking(lambda alpha: 1.0 + 0.1 * alpha - alpha**2, start) == 1.0


LINES = {
    "quadratic": lambda a: ((a - 0.3) ** 2, 2 * (a - 0.3)),
    "flat start": lambda a: ((a - 40.0) ** 4 / 1e6, 4 * (a - 40.0) ** 3 / 1e6),
    "wavy": lambda a: (-a / (a * a + 2) + 0.01 * math.sin(20 * a), (a * a - 2) / (a * a + 2) ** 2 + 0.2 * math.cos(20 * a)),
    "more and thuente": lambda a: ((a + 0.004) ** 5 - 2 * (a + 0.004) ** 4, 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3),
    "linear": lambda a: (-a, -1.0),
    "wall": lambda a: (-a, -1.0) if a < 0.7 else (math.inf, math.inf),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("c2", [0.9, 0.1, 1e-3])
@pytest.mark.parametrize("first", [1e-3, 1.0, 30.0])
def test_strong_wolfe_makes_the_trials_of_torch(name, c2, first):
    from torch.optim.lbfgs import _strong_wolfe

    line, ours, theirs = LINES[name], [], []
    value, slope = line(0.0)
    if slope >= 0:
        pytest.skip("does not start downhill")
    d = torch.ones(1, dtype=torch.float64)

    def asked(log, alpha):
        log.append(float(alpha))
        return line(float(alpha))

    def phi(alpha):
        return asked(ours, alpha)

    def objective(x, alpha, d):
        value, slope = asked(theirs, alpha)
        return value, torch.tensor([slope], dtype=torch.float64)

    found = strong_wolfe(phi, Point(0.0, value, slope), first, c2=c2)
    g = torch.tensor([slope], dtype=torch.float64)
    if name == "wall":  # torch interpolates inf to nan and asks there; a middle is asked here
        assert found.value < 0 and found.alpha < 0.7
        return
    _, _, alpha, _ = _strong_wolfe(objective, None, first, d, value, g, g.dot(d), c2=c2)
    # The cubic of an ill-conditioned bracket magnifies its last bit, which torch's float / tensor rounds otherwise.
    assert ours == pytest.approx(theirs, rel=1e-7, abs=0)
    assert found.alpha == pytest.approx(float(alpha), rel=1e-7, abs=0)
    if name in ("quadratic", "flat start"):
        assert found.value <= value + 1e-4 * found.alpha * slope and abs(found.slope) <= -c2 * slope


def test_strong_wolfe_takes_nan_for_a_wall():
    def line(alpha):
        return (-alpha, -1.0) if alpha < 0.7 else (math.nan, math.nan)

    asked = []
    found = strong_wolfe(lambda a: (asked.append(a), line(a))[1], Point(0.0, 0.0, -1.0), 2.0)
    assert 0.6 < found.alpha < 0.7 and all(math.isfinite(a) for a in asked)


def test_the_cubic_through_a_cubic_is_the_cubic():
    def cubic(x):
        return Point(x, x**3 - 3 * x, 3 * x * x - 3)

    assert interpolate(cubic(-0.5), cubic(3.0), -9, 9) == pytest.approx(1.0, rel=1e-12)
    assert interpolate(cubic(3.0), cubic(-0.5), -9, 9) == pytest.approx(1.0, rel=1e-12)
    assert interpolate(cubic(-0.5), cubic(3.0), -9, 0.5) == 0.5


def bowl(p):
    """Convex, smooth, not a quadratic; condition about 100."""
    scale = torch.tensor([0.3, 1.0, 2.0, 3.0], dtype=p.dtype)
    return torch.log(torch.cosh(scale * (p - 0.5))).sum() + 0.5 * (scale * p).square().sum() + 0.1 * (p[1:] * p[:-1]).sum()


def minimize(rule, p, steps, wolfe):
    """torch.optim.LBFGS with max_iter=1, written with the rule and the line search."""
    state, places = State(rule.init(p)), []

    def value_and_gradient(x):
        x = x.clone().requires_grad_()
        value = bowl(x)
        return float(value.detach()), torch.autograd.grad(value, x)[0]

    value, g = value_and_gradient(p)
    for t in range(1, steps + 1):
        if wolfe:
            h, new = rule.direction(p, g, state, t)
            seen = {}

            def phi(alpha, p=p, h=h, seen=seen):
                value, seen[alpha] = value_and_gradient(p - alpha * h)
                return value, float(-seen[alpha].dot(h))

            alpha = strong_wolfe(
                phi, Point(0.0, value, float(-g.dot(h))), float(rule.step_size(g, t)), length=float(h.abs().max()), most=24
            ).alpha
            change = -alpha * h
            state = State(new | dict(s=change))
        else:
            change, new = rule.update(p, g, state, t)
            state = State(new)
        p = p + change
        value, g = value_and_gradient(p)
        places.append(p)
    return places


@pytest.mark.parametrize(("wolfe", "lr", "history", "steps"), [(True, 1.0, 5, 20), (True, 0.05, 2, 20), (False, 0.6, 4, 40)])
def test_lbfgs_with_strong_wolfe_is_torch(wolfe, lr, history, steps):
    start = torch.tensor([-1.2, 1.0, 0.5, -0.3], dtype=torch.float64)
    p = start.clone().requires_grad_()
    search = "strong_wolfe" if wolfe else None
    never_stop = {"tolerance_grad": 0.0, "tolerance_change": 0.0}
    optimizer = torch.optim.LBFGS([p], lr, max_iter=1, max_eval=25, history_size=history, line_search_fn=search, **never_stop)
    optimizer_places = []

    def closure():
        optimizer.zero_grad()
        loss = bowl(p)
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
        optimizer_places.append(p.detach().clone())
    ours = minimize(LBFGS(lr=lr, history=history), start, steps, wolfe)
    assert far(ours, optimizer_places) < 1e-12
    last = ours[-1].requires_grad_()
    assert float(torch.autograd.grad(bowl(last), last)[0].norm()) < 1e-2


@pytest.mark.parametrize(("curvature", "kept"), [(1.0, True), (1e-9, True), (1e-11, False), (-1.0, False)])
def test_lbfgs_keeps_pairs_of_clearly_positive_curvature(curvature, kept):
    rule, p = LBFGS(history=3), torch.zeros(2, dtype=torch.float64)
    s, g = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([3.0, 4.0], dtype=torch.float64)
    state = State(rule.init(p) | dict(s=s, g=g - curvature * s))
    _, new = rule.direction(p, g, state, 2)
    assert bool(new["S"].any()) is kept
    assert not kept or torch.equal(new["S"][-1], s)


# --- errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "argument", "message"),
    [
        (Plain(), lambda p: lambda: 1.0, "returned float; it must return the loss as a tensor"),
        (SAM(), lambda p: lambda: p * 2, r"shape \(3,\); reduce the losses"),
        (Backtracking(), lambda p: lambda: p.detach().sum(), "depends on no parameter"),
        (Accumulate(), lambda p: [], "no closures"),
        (Accumulate(), lambda p: [lambda: p.sum()], r"returned Tensor; it must return \(sum of losses, count\)"),
        (Accumulate(), lambda p: [lambda: (p.sum(), 0)], "counted 0 losses"),
    ],
)
def test_misuse_is_an_error_that_says_what_would_be_right(driver, argument, message):
    p = torch.ones(3, requires_grad=True)
    with pytest.raises(SteepestError, match=message):
        driver.step(torch.optim.SGD([p], lr=0.1), argument(p))
    assert p.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SAM(rho=-1), r"SAM.rho = -1 is outside \[0, inf\)"),
        (lambda: SAM(roh=1), "no setting 'roh'; did you mean rho"),
        (lambda: Backtracking(shrink=1.0), r"Backtracking.shrink = 1 is outside"),
        (lambda: Backtracking(halvings=-1), "halvings = -1 is negative"),
    ],
)
def test_settings_are_checked(make, message):
    with pytest.raises(SettingError, match=message):
        make()


def test_the_registry_names_every_driver():
    assert {"plain": Plain, "accumulate": Accumulate, "sam": SAM, "backtracking": Backtracking} == DRIVERS


@pytest.mark.parametrize("by", ["class", "instance"])
def test_an_optimizer_with_a_zero_grad_of_its_own_is_asked(by):
    model, x, y = model_and_data()
    calls = []

    class Counting(torch.optim.SGD):
        def zero_grad(self, set_to_none=True):
            calls.append(set_to_none)
            super().zero_grad(set_to_none)

    optimizer = Counting(model.parameters(), lr=0.1) if by == "class" else sgd(model)
    if by == "instance":
        optimizer.zero_grad = lambda: calls.append(True)
    Plain().step(optimizer, lambda: squared(model, x, y).mean())
    assert calls == [True]
