"""The one table: what each rule and wrapper is tested with. A new rule costs one row.

`parity` pairs a rule, all knobs off their defaults, with the same algorithm written apart from it: in papers.py, or torch's.
`options` are further values of options, of which only the effect is tested. `quadratic` and `rosenbrock` say
with which settings, within how many steps, below which value a rule comes; the rate falls linearly to 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import papers
import torch
from harness import Paper, after_torch, around_torch, by_torch
from torch import optim

from steepest.core.rule import Rule
from steepest.rules import (
    ADOPT,
    AGC,
    ASGD,
    L1,
    L2,
    LAMB,
    LARS,
    LBFGS,
    SOAP,
    AdaBelief,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    Adan,
    Average,
    AverageMomentum,
    Cautious,
    Centralize,
    Clip,
    ClipEach,
    ClipValue,
    DAdaptAdam,
    GradientDescent,
    HeavyBall,
    Lion,
    Lookahead,
    Maximize,
    Momentum,
    Muon,
    NAdam,
    Prodigy,
    RAdam,
    RateInsideMomentum,
    RMSprop,
    Rprop,
    ScheduleFreeAdamW,
    ScheduleFreeSGD,
    Shampoo,
    SparseAdam,
    StochasticAverage,
    TrustRatio,
    Yogi,
)  # fmt: skip

Shapes = tuple[tuple[int, ...], ...]
Goal = tuple[Rule, int, float]  # this rule, in so many steps, below this value

SHAPES: Shapes = ((4, 3), (5,), (2, 3, 3, 3), ())
# Nearly square: where a matrix has fewer columns than rows, its statistics have no unique eigenvectors to agree on.
MATRICES: Shapes = ((4, 3), (5, 5), (8, 1, 3, 3))


@dataclass(frozen=True)
class Case:
    parity: tuple[tuple[Rule, Paper], ...]
    quadratic: Goal | None = None
    rosenbrock: Goal | None = None
    shapes: Shapes = SHAPES
    options: Mapping[str, Any] = field(default_factory=dict)
    noise: float = 0.3  # in the gradients

    @property
    def rule(self) -> Rule:
        return self.parity[0][0]


# A first and second moment that forget fast, and an eps that is felt.
B = dict(beta1=0.8, beta2=0.95)
BETAS = (0.8, 0.95)
E = 1e-2
D = dict(weight_decay=0.1)


def one(rule: Rule, paper: Paper, quadratic: Goal, rosenbrock: Goal, shapes: Shapes = SHAPES, **options: Any) -> Case:
    return Case(((rule, paper),), quadratic, rosenbrock, shapes, options)


def many(*parity: tuple[Rule, Paper], quadratic: Goal, rosenbrock: Goal, shapes: Shapes = SHAPES, **options: Any) -> Case:
    return Case(parity, quadratic, rosenbrock, shapes, options)


adam = Case(
    (
        (Adam(lr=0.02, **B, eps=E, **D), partial(papers.adamw, **B, eps=E, **D)),
        (Adam(lr=0.02, **B, eps=E, **D, amsgrad=True), partial(papers.adamw, **B, eps=E, **D, amsgrad=True)),
    ),
    quadratic=(Adam(lr=0.5), 500, 1e-15),
    rosenbrock=(Adam(lr=0.1, beta2=0.99), 1000, 1e-8),
)

RULE_CASES: dict[str, Case] = {
    "gd": one(
        GradientDescent(lr=0.02, **D),
        partial(papers.sgd, **D),
        quadratic=(GradientDescent(lr=0.015), 500, 1e-3),
        rosenbrock=(GradientDescent(lr=4e-3), 1000, 0.1),
    ),
    "momentum": many(
        (Momentum(lr=0.02, momentum=0.8, dampening=0.3, **D), partial(papers.heavy_ball, momentum=0.8, dampening=0.3, **D)),
        (
            Momentum(lr=0.02, momentum=0.8, dampening=0.3, **D, nesterov=True),
            partial(papers.heavy_ball, momentum=0.8, dampening=0.3, **D, nesterov=True),
        ),
        quadratic=(Momentum(lr=0.02), 500, 1e-15),
        rosenbrock=(Momentum(lr=2e-3), 1000, 1e-3),
    ),
    "average_momentum": one(
        AverageMomentum(lr=0.02, beta=0.8, **D),
        partial(papers.average_momentum, beta=0.8, **D),
        quadratic=(AverageMomentum(lr=0.2), 500, 1e-15),
        rosenbrock=(AverageMomentum(lr=0.02), 1000, 1e-3),
    ),
    "rate_inside_momentum": one(
        RateInsideMomentum(lr=0.02, momentum=0.8, **D),
        partial(papers.rate_inside_momentum, momentum=0.8, **D),
        quadratic=(RateInsideMomentum(lr=0.02), 500, 1e-15),
        rosenbrock=(RateInsideMomentum(lr=2e-3), 1000, 1e-3),
    ),
    "rprop": one(
        Rprop(lr=0.02, eta_minus=0.4, eta_plus=1.3, step_min=0.012, step_max=0.05),
        by_torch(partial(optim.Rprop, etas=(0.4, 1.3), step_sizes=(0.012, 0.05))),
        quadratic=(Rprop(lr=0.1), 500, 1e-8),
        rosenbrock=(Rprop(lr=2e-3), 1000, 0.02),
    ),
    "lion": one(
        Lion(lr=0.02, **B, **D),
        partial(papers.lion, **B, **D),
        quadratic=(Lion(lr=0.04), 500, 1e-2),
        rosenbrock=(Lion(lr=0.02), 1000, 1e-3),
    ),
    "adagrad": many(
        (
            Adagrad(lr=0.1, lr_decay=0.02, initial_accumulator=0.3, eps=E, **D),
            by_torch(partial(optim.Adagrad, lr_decay=0.02, initial_accumulator_value=0.3, eps=E), decay=0.1),
        ),
        (
            Adagrad(lr=0.1, lr_decay=0.02, initial_accumulator=0.3, eps=E, **D, eps_inside=True),
            partial(papers.adagrad_inside, lr_decay=0.02, initial_accumulator_value=0.3, eps=E, **D),
        ),
        quadratic=(Adagrad(lr=0.5), 500, 1e-3),
        rosenbrock=(Adagrad(lr=2.0), 1000, 0.2),
    ),
    "rmsprop": many(
        (RMSprop(lr=0.02, alpha=0.9, eps=E, **D), by_torch(partial(optim.RMSprop, alpha=0.9, eps=E), decay=0.1)),
        (
            RMSprop(lr=0.02, alpha=0.9, eps=E, **D, centered=True),
            by_torch(partial(optim.RMSprop, alpha=0.9, eps=E, centered=True), decay=0.1),
        ),
        (RMSprop(lr=0.02, alpha=0.9, eps=E, **D, eps_inside=True), partial(papers.rmsprop_inside, alpha=0.9, eps=E, **D)),
        (
            RMSprop(lr=0.02, alpha=0.9, eps=E, **D, centered=True, eps_inside=True),
            partial(papers.rmsprop_inside, alpha=0.9, eps=E, **D, centered=True),
        ),
        quadratic=(RMSprop(lr=0.04), 500, 1e-7),
        rosenbrock=(RMSprop(lr=0.2), 1000, 1e-2),
    ),
    "adadelta": one(
        Adadelta(lr=0.5, rho=0.8, eps=1e-4, **D),
        by_torch(partial(optim.Adadelta, rho=0.8, eps=1e-4), decay=0.1),
        quadratic=(Adadelta(lr=5.0, eps=1e-4), 500, 1e-8),
        rosenbrock=(Adadelta(lr=0.5, eps=1e-4), 1000, 0.1),
    ),
    "adam": adam,
    "adamw": adam,
    "sparse_adam": one(
        SparseAdam(lr=0.02, **B, eps=E, **D),
        by_torch(partial(optim.SparseAdam, betas=BETAS, eps=E), decay=0.1, sparse=True),
        quadratic=(SparseAdam(lr=0.5), 500, 1e-15),
        rosenbrock=(SparseAdam(lr=0.1, beta2=0.99), 1000, 1e-8),
        shapes=((4, 3), (5,), (2, 3, 3, 3)),
    ),
    "adamax": one(
        Adamax(lr=0.02, **B, eps=E, **D),
        by_torch(partial(optim.Adamax, betas=BETAS, eps=E), decay=0.1),
        quadratic=(Adamax(lr=0.5), 500, 1e-10),
        rosenbrock=(Adamax(lr=0.1, beta2=0.99), 1000, 1e-8),
    ),
    "nadam": one(
        NAdam(lr=0.02, **B, eps=E, **D, momentum_decay=0.02),
        by_torch(partial(optim.NAdam, betas=BETAS, eps=E, momentum_decay=0.02), decay=0.1),
        quadratic=(NAdam(lr=0.2), 500, 1e-15),
        rosenbrock=(NAdam(lr=0.1, beta2=0.99), 1000, 0.05),
    ),
    "radam": one(
        RAdam(lr=0.02, **B, eps=E, **D),
        by_torch(partial(optim.RAdam, betas=BETAS, eps=E), decay=0.1),
        # Until rho > 5 it is momentum, and diverges at a rate that Adam bears.
        quadratic=(RAdam(lr=0.03, beta2=0.95), 500, 1e-7),
        rosenbrock=(RAdam(lr=4e-3, beta2=0.95), 3000, 1e-9),
    ),
    "adabelief": one(
        AdaBelief(lr=0.02, **B, eps=E, **D),
        partial(papers.adabelief, **B, eps=E, **D),
        quadratic=(AdaBelief(lr=0.5), 500, 1e-15),
        rosenbrock=(AdaBelief(lr=0.1, beta2=0.99), 1000, 1e-9),
    ),
    "yogi": one(
        Yogi(lr=0.02, **B, eps=E, **D, initial_accumulator=0.05),
        partial(papers.yogi, **B, eps=E, **D, initial_accumulator=0.05),
        quadratic=(Yogi(lr=0.5), 500, 1e-15),
        rosenbrock=(Yogi(lr=1.0), 1000, 1e-3),
    ),
    "adopt": many(
        # eps is the smallest denominator, so it must be near the gradients to be felt.
        (ADOPT(lr=0.02, **B, eps=0.4, **D), partial(papers.adopt, **B, eps=0.4, **D)),
        (ADOPT(lr=0.02, **B, eps=0.4, **D, clip=False), partial(papers.adopt, **B, eps=0.4, **D, clip=False)),
        quadratic=(ADOPT(lr=0.5), 500, 1e-11),
        rosenbrock=(ADOPT(lr=0.5, beta2=0.99), 1000, 1e-7),
    ),
    "adan": one(
        Adan(lr=0.02, beta1=0.9, beta2=0.8, beta3=0.95, eps=E, **D),
        partial(papers.adan, beta1=0.9, beta2=0.8, beta3=0.95, eps=E, **D),
        quadratic=(Adan(lr=0.5), 500, 1e-4),
        rosenbrock=(Adan(lr=0.1, beta2=0.99), 1000, 1e-7),
    ),
    "asgd": one(
        ASGD(lr=0.05, lambd=0.01, alpha=0.6, t0=10.0),
        by_torch(partial(optim.ASGD, lambd=0.01, alpha=0.6, t0=10.0), view="ax"),
        quadratic=(ASGD(lr=0.015, lambd=1e-6, t0=400), 500, 1e-3),
        rosenbrock=(ASGD(lr=4e-3, lambd=1e-6, t0=900), 1000, 0.1),
    ),
    "schedule_free_sgd": many(
        (
            ScheduleFreeSGD(lr=0.1, momentum=0.8, r=0.7, weight_lr_power=1.5, **D),
            partial(papers.schedule_free_sgd, momentum=0.8, r=0.7, weight_lr_power=1.5, **D),
        ),
        (
            ScheduleFreeSGD(lr=0.1, momentum=0.8, r=0.7, weight_lr_power=1.5, **D, warmup_steps=20),
            partial(papers.schedule_free_sgd, momentum=0.8, r=0.7, weight_lr_power=1.5, **D, warmup_steps=20),
        ),
        quadratic=(ScheduleFreeSGD(lr=0.1), 500, 1e-3),
        rosenbrock=(ScheduleFreeSGD(lr=5e-3), 1000, 0.1),
    ),
    "schedule_free_adamw": many(
        (
            ScheduleFreeAdamW(lr=0.05, **B, eps=E, r=0.7, weight_lr_power=1.5, **D),
            partial(papers.schedule_free_adamw, **B, eps=E, r=0.7, weight_lr_power=1.5, **D),
        ),
        (
            ScheduleFreeAdamW(lr=0.05, **B, eps=E, r=0.7, weight_lr_power=1.5, **D, warmup_steps=20),
            partial(papers.schedule_free_adamw, **B, eps=E, r=0.7, weight_lr_power=1.5, **D, warmup_steps=20),
        ),
        quadratic=(ScheduleFreeAdamW(lr=0.6), 500, 1e-5),
        rosenbrock=(ScheduleFreeAdamW(lr=0.6, beta2=0.99), 1000, 1e-2),
    ),
    "lars": one(
        LARS(lr=0.5, momentum=0.8, trust=0.1, eps=E, **D),
        partial(papers.lars, momentum=0.8, trust_coefficient=0.1, eps=E, **D),
        quadratic=(LARS(lr=50.0), 500, 1e-13),
        rosenbrock=(LARS(lr=5.0), 1000, 1e-4),
    ),
    "lamb": one(
        LAMB(lr=0.02, **B, eps=E, **D),
        partial(papers.lamb, **B, eps=E, **D),
        quadratic=(LAMB(lr=0.5), 500, 1e-15),
        rosenbrock=(LAMB(lr=0.05), 1000, 1e-2),
    ),
    "dadapt_adam": many(
        (
            DAdaptAdam(lr=0.9, **B, eps=E, **D, d0=1e-3, growth_rate=1.3),
            partial(papers.dadapt_adam, **B, eps=E, **D, d0=1e-3, growth_rate=1.3),
        ),
        (
            DAdaptAdam(lr=0.9, **B, eps=E, **D, d0=1e-3, growth_rate=1.3, use_bias_correction=True),
            partial(papers.dadapt_adam, **B, eps=E, **D, d0=1e-3, growth_rate=1.3, bias_correction=True),
        ),
        (
            DAdaptAdam(lr=0.9, **B, eps=E, **D, d0=1e-3, growth_rate=1.3, decoupled=False),
            lambda p, gradient, steps, lr: papers.dadapt_adam(
                p, papers.coupled_l2(gradient, 0.1), steps, lr, **B, eps=E, d0=1e-3, growth_rate=1.3
            ),
        ),
        quadratic=(DAdaptAdam(lr=0.5), 500, 1e-14),
        rosenbrock=(DAdaptAdam(beta2=0.99), 1000, 1e-6),
    ),
    "prodigy": many(
        (
            Prodigy(lr=0.9, **B, beta3=0.9, eps=E, **D, d0=1e-3, d_coef=0.7, growth_rate=1.1),
            partial(papers.prodigy, **B, beta3=0.9, eps=E, **D, d0=1e-3, d_coef=0.7, growth_rate=1.1),
        ),
        (
            Prodigy(lr=0.9, **B, eps=E, **D, d0=1e-3, d_coef=0.7, use_bias_correction=True, safeguard_warmup=True),
            partial(papers.prodigy, **B, eps=E, **D, d0=1e-3, d_coef=0.7, bias_correction=True, safeguard_warmup=True),
        ),
        (
            Prodigy(lr=0.9, **B, beta3=0.9, eps=E, **D, d0=1e-3, d_coef=0.7, decoupled=False),
            lambda p, gradient, steps, lr: papers.prodigy(
                p, papers.coupled_l2(gradient, 0.1), steps, lr, **B, beta3=0.9, eps=E, d0=1e-3, d_coef=0.7
            ),
        ),
        quadratic=(Prodigy(lr=0.5), 500, 1e-15),
        rosenbrock=(Prodigy(lr=0.2, beta2=0.99), 1000, 1e-8),
    ),
    "adafactor": one(
        Adafactor(lr=0.2, beta2_decay=-0.6, eps1=0.4, eps2=0.9, d=1.05, **D),
        by_torch(partial(optim.Adafactor, beta2_decay=-0.6, eps=(0.4, 0.9), d=1.05, weight_decay=0.1)),
        quadratic=(Adafactor(lr=0.2), 500, 1e-2),
        rosenbrock=(Adafactor(lr=1.0), 1000, 0.2),
    ),
    "muon": many(
        (Muon(lr=0.03, momentum=0.8, eps=0.1, **D), partial(papers.muon, momentum=0.8, eps=0.1, **D)),
        (
            Muon(lr=0.03, momentum=0.8, eps=0.1, **D, nesterov=False, adjust="match_rms_adamw"),
            partial(papers.muon, momentum=0.8, eps=0.1, **D, nesterov=False, adjust="match_rms_adamw"),
        ),
        (
            Muon(lr=0.03, momentum=0.8, eps=0.1, **D, steps=3, coefficients=(2.0, -1.5, 0.5)),
            partial(papers.muon, momentum=0.8, eps=0.1, **D, ns_steps=3, coefficients=(2.0, -1.5, 0.5)),
        ),
        quadratic=(Muon(lr=0.1), 500, 1e-5),
        rosenbrock=(Muon(lr=0.01), 1000, 1e-5),
        shapes=((4, 3), (3, 7), (5, 5), (2, 3, 3, 3)),
        precision="bfloat16",
    ),
    "shampoo": many(
        (
            Shampoo(lr=0.05, momentum=0.5, beta2=0.9, eps=E, **D),
            partial(papers.shampoo, momentum=0.5, beta2=0.9, eps=E, **D),
        ),
        (
            Shampoo(lr=0.05, momentum=0.5, beta2=1.0, eps=E, **D, every=3, largest=4),
            partial(papers.shampoo, momentum=0.5, eps=E, **D, frequency=3, largest=4),
        ),
        quadratic=(Shampoo(lr=2.0), 500, 1e-3),
        rosenbrock=(Shampoo(lr=0.2, beta2=0.9), 1000, 1e-3),
        shapes=MATRICES,
    ),
    "soap": many(
        (
            SOAP(lr=0.02, beta1=0.8, beta2=0.9, beta3=0.7, eps=E, **D),
            partial(papers.soap, beta1=0.8, beta2=0.9, shampoo_beta=0.7, eps=E, **D),
        ),
        (
            SOAP(lr=0.02, beta1=0.8, beta2=0.9, beta3=0.7, eps=E, **D, every=3, largest=4),
            partial(papers.soap, beta1=0.8, beta2=0.9, shampoo_beta=0.7, eps=E, **D, frequency=3, largest=4),
        ),
        quadratic=(SOAP(lr=0.05, weight_decay=0.0), 500, 1e-6),
        rosenbrock=(SOAP(lr=0.05, weight_decay=0.0), 1000, 1e-6),
        shapes=MATRICES,
    ),
    # Where gradients are noise, pairs with y's near 0 enlarge rounding errors without bound: here there is none.
    "lbfgs": Case(
        (
            (LBFGS(lr=0.5), by_torch(partial(optim.LBFGS, max_iter=1, history_size=10, tolerance_grad=0, tolerance_change=0))),
            (LBFGS(lr=0.5, history=3), by_torch(partial(optim.LBFGS, max_iter=1, history_size=3, tolerance_grad=0, tolerance_change=0))),
        ),
        quadratic=(LBFGS(), 50, 1e-7),
        rosenbrock=(LBFGS(), 100, 1e-15),
        shapes=((12,),),
        noise=0.0,
    ),
}

# Wrappers, each around several rules.

gd, momentum, lion = GradientDescent(lr=0.02, **D), Momentum(lr=0.02, momentum=0.8, **D), Lion(lr=0.02, **B, **D)
INNER: dict[Rule, Paper] = {
    gd: partial(papers.sgd, **D),
    momentum: partial(papers.heavy_ball, momentum=0.8, **D),
    adam.rule: partial(papers.adamw, **B, eps=E, **D),
    lion: partial(papers.lion, **B, **D),
}
# The same without decay, as torch has them.
BY_TORCH: dict[Rule, Any] = {
    GradientDescent(lr=0.02): optim.SGD,
    Momentum(lr=0.02, momentum=0.8): partial(optim.SGD, momentum=0.8),
    Adam(lr=0.02, **B, eps=E): partial(optim.Adam, betas=BETAS, eps=E),
}


def gradients(wrapper: type[Rule], change: Any, inner: Mapping[Rule, Paper] = INNER, **settings: Any) -> Case:
    """Something done to the gradient, before each of the inner rules."""

    def paper(inside: Paper) -> Paper:
        return lambda p, gradient, steps, lr: inside(p, change(gradient), steps, lr)

    return Case(tuple((wrapper(inner=rule, **settings), paper(inside)) for rule, inside in inner.items()))


def masked(d: Any, g: Any, p: Any) -> Any:
    mask = (d * g > 0).to(d.dtype)
    return d * mask * mask.numel() / (mask.sum() + 1) + 0.1 * p


def trusted(d: Any, g: Any, p: Any) -> Any:
    u = d + 0.1 * p
    phi, length = torch.clamp(p.norm(), 1.0, 2.0), u.norm()
    return phi / length * u if phi > 0 and length > 0 else u


def directions(wrapper: type[Rule], around: Any, **settings: Any) -> tuple[tuple[Rule, Paper], ...]:
    return tuple((wrapper(inner=rule.replace(**D), **settings), around_torch(make, around)) for rule, make in BY_TORCH.items())


def changes(wrapper: type[Rule], begin: Any, after: Any, **settings: Any) -> tuple[tuple[Rule, Paper], ...]:
    return tuple((wrapper(inner=rule, **settings), after_torch(make, begin, after)) for rule, make in BY_TORCH.items())


def slow_and_fast(k: int, alpha: float) -> Any:
    def after(p: Any, slow: Any, t: int) -> None:
        if t % k == 0:
            for x, s in zip(p, slow, strict=True):
                s += alpha * (x - s)
                x.copy_(s)

    return after


def averaged(beta: float) -> Any:
    def after(p: Any, average: Any, t: int) -> None:
        for x, a in zip(p, average, strict=True):
            a.copy_(x if t == 1 else beta * a + (1 - beta) * x)

    return after


def rmsprop_momentum(centered: bool) -> tuple[Rule, Paper]:
    inner = RMSprop(lr=0.02, alpha=0.9, eps=E, **D, centered=centered, eps_inside=True)
    return HeavyBall(momentum=0.8, inner=inner), partial(papers.rmsprop_inside, alpha=0.9, eps=E, momentum=0.8, centered=centered, **D)


WRAPPER_CASES: dict[str, Case] = {
    "maximize": gradients(Maximize, lambda gradient: lambda p, t: [-g for g in gradient(p, t)]),
    "l2": gradients(L2, lambda gradient: papers.coupled_l2(gradient, 0.1), coefficient=0.1),
    "l1": gradients(L1, lambda gradient: papers.coupled_l1(gradient, 0.1), coefficient=0.1),
    "centralize": gradients(Centralize, papers.centralize),
    "clip_value": gradients(ClipValue, lambda gradient: papers.clip_value(gradient, 0.5), limit=0.5),
    "clip_each": gradients(ClipEach, lambda gradient: papers.clip_norm(gradient, 0.5), norm=0.5),
    "clip": gradients(Clip, lambda gradient: papers.clip_global_norm(gradient, 0.5), norm=0.5),
    "agc": gradients(AGC, lambda gradient: papers.clip_adaptive(gradient, 0.3, 0.8), clipping=0.3, eps=0.8),
    "heavy_ball": Case(
        (
            rmsprop_momentum(False),
            rmsprop_momentum(True),
            (HeavyBall(momentum=0.8, inner=gd), partial(papers.heavy_ball, momentum=0.8, **D)),
        )
    ),
    "cautious": Case(
        (
            (Cautious(inner=adam.rule), partial(papers.cautious_adamw, **B, eps=E, **D)),
            *directions(Cautious, masked),
        )
    ),
    "trust_ratio": Case(
        (
            (TrustRatio(inner=momentum, low=1.0, high=2.0), partial(papers.trust_ratio_momentum, momentum=0.8, **D, low=1.0, high=2.0)),
            *directions(TrustRatio, trusted, low=1.0, high=2.0),
        )
    ),
    "lookahead": Case(
        (
            (Lookahead(inner=momentum, alpha=0.3), partial(papers.lookahead_momentum, momentum=0.8, **D, alpha=0.3)),
            (Lookahead(inner=momentum, alpha=0.3, k=3), partial(papers.lookahead_momentum, momentum=0.8, **D, alpha=0.3, k=3)),
            *changes(Lookahead, list, slow_and_fast(4, 0.3), alpha=0.3, k=4),
        )
    ),
    "average": Case(
        (
            (Average(inner=gd, beta=0.9), partial(papers.ema_sgd, decay=0.9, **D)),
            (Average(inner=gd, beta=0.9, debias=True), partial(papers.ema_sgd, decay=0.9, **D, debias=True)),
            *changes(Average, list, averaged(0.9), beta=0.9),
        )
    ),
    "stochastic_average": Case(
        (
            (StochasticAverage(inner=gd), partial(papers.swa_sgd, **D)),
            (StochasticAverage(inner=gd, start=8, every=3), partial(papers.swa_sgd, **D, start_step=8, every=3)),
            (StochasticAverage(inner=gd, start=1000), partial(papers.swa_sgd, **D, start_step=1000)),
        )
    ),
}

# Wrappers of wrappers, and around rules that refresh, factor, or ask the model on their own.
NESTED: dict[str, tuple[Rule, Paper]] = {
    "clip(l2(adam))": (
        Clip(norm=0.5, inner=L2(coefficient=0.1, inner=adam.rule)),
        lambda p, gradient, steps, lr: papers.adamw(
            p, papers.coupled_l2(papers.clip_global_norm(gradient, 0.5), 0.1), steps, lr, **B, eps=E, **D
        ),
    ),
    "clip_value(clip(momentum))": (
        ClipValue(limit=0.2, inner=Clip(norm=0.5, inner=momentum)),
        lambda p, gradient, steps, lr: papers.heavy_ball(
            p, papers.clip_global_norm(papers.clip_value(gradient, 0.2), 0.5), steps, lr, momentum=0.8, **D
        ),
    ),
    "lookahead(agc(centralize(momentum)))": (
        Lookahead(alpha=0.3, inner=AGC(clipping=0.3, eps=0.8, inner=Centralize(inner=momentum))),
        lambda p, gradient, steps, lr: papers.lookahead_momentum(
            p, papers.centralize(papers.clip_adaptive(gradient, 0.3, 0.8)), steps, lr, momentum=0.8, **D, alpha=0.3
        ),
    ),
    "trust_ratio(clip_each(adam))": (
        TrustRatio(inner=ClipEach(norm=0.5, inner=adam.rule)),
        lambda p, gradient, steps, lr: papers.lamb(p, papers.clip_norm(gradient, 0.5), steps, lr, **B, eps=E, **D),
    ),
    "clip(prodigy)": (
        Clip(norm=0.5, inner=RULE_CASES["prodigy"].rule),
        lambda p, gradient, steps, lr: RULE_CASES["prodigy"].parity[0][1](p, papers.clip_global_norm(gradient, 0.5), steps, lr),
    ),
}  # fmt: skip
MATRIX_NESTED: dict[str, tuple[Rule, Paper]] = {
    f"clip({name})": (
        Clip(norm=0.5, inner=RULE_CASES[name].rule),
        lambda p, gradient, steps, lr, inside=RULE_CASES[name].parity[0][1]: inside(p, papers.clip_global_norm(gradient, 0.5), steps, lr),
    )
    for name in ("muon", "shampoo", "soap")
}
