"""Each class that torch users know, as one row: which rule it is, torch's names and defaults, torch's names of state."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from steepest.core.errors import SettingError
from steepest.core.rule import Rule
from steepest.optim.row import Row
from steepest.rules.adagrad import Adadelta, Adagrad, RMSprop
from steepest.rules.adam import Adam, Adamax, NAdam, RAdam, SparseAdam
from steepest.rules.adam_variants import ADOPT, AdaBelief, Adan, Yogi
from steepest.rules.averaged import ASGD, ScheduleFreeAdamW, ScheduleFreeSGD
from steepest.rules.factored import Adafactor
from steepest.rules.gradient import GradientDescent, Momentum
from steepest.rules.layerwise import LAMB, LARS
from steepest.rules.learning_rate_free import DAdaptAdam, Prodigy
from steepest.rules.muon import Muon
from steepest.rules.preconditioned import SOAP, Shampoo
from steepest.rules.sign import Lion, Rprop
from steepest.rules.wrappers import L2, HeavyBall

Group = Mapping[str, Any]

BETAS = (0.9, 0.999)
MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}


def coupled(rule: Rule, group: Group) -> Rule:
    """With torch's weight_decay: added to the gradient, unless the group says decoupled."""
    return rule if group.get("decoupled_weight_decay") else L2(inner=rule)


def sgd(group: Group) -> Rule:
    momentum, dampening = float(group["momentum"]), float(group["dampening"])
    if group["nesterov"] and (not momentum or dampening):
        raise SettingError(f"SGD.nesterov needs momentum above 0 and dampening = 0, not {momentum:g} and {dampening:g}")
    rule = Momentum(nesterov=group["nesterov"]) if group["momentum"] else GradientDescent()
    return L2(inner=rule) if group["weight_decay"] else rule


def adagrad(group: Group) -> Rule:
    return L2(inner=Adagrad()) if group["weight_decay"] else Adagrad()


def rmsprop(group: Group) -> Rule:
    rule = RMSprop(centered=group["centered"])
    return coupled(HeavyBall(inner=rule) if group["momentum"] else rule, group)


def muon(group: Group) -> Rule:
    return Muon(
        nesterov=group["nesterov"],
        steps=group["ns_steps"],
        coefficients=group["ns_coefficients"],
        adjust=group["adjust_lr_fn"] or "original",
    )


ROWS: dict[str, Row] = {
    "SGD": Row(
        sgd,
        dict(lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False),
        state={"v": "momentum_buffer"},
        switches=("momentum", "nesterov", "weight_decay"),
    ),
    "Adagrad": Row(
        adagrad,
        dict(lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10),
        names={"initial_accumulator": "initial_accumulator_value"},
        state={"s": "sum"},
        switches=("weight_decay",),
    ),
    "Adadelta": Row(
        lambda group: coupled(Adadelta(), group),
        dict(lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0),
        state={"s": "square_avg", "u": "acc_delta"},
    ),
    "RMSprop": Row(
        rmsprop,
        dict(lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False),
        state={"s": "square_avg", "m": "grad_avg", "v": "momentum_buffer"},
        switches=("momentum", "centered"),
    ),
    "Adam": Row(
        lambda group: coupled(Adam(amsgrad=group["amsgrad"]), group),
        dict(lr=1e-3, betas=BETAS, eps=1e-8, weight_decay=0.0, amsgrad=False, decoupled_weight_decay=False),
        state=MOMENTS | {"v_max": "max_exp_avg_sq"},
        switches=("amsgrad", "decoupled_weight_decay"),
    ),
    "AdamW": Row(
        lambda group: Adam(amsgrad=group["amsgrad"]),
        dict(lr=1e-3, betas=BETAS, eps=1e-8, weight_decay=1e-2, amsgrad=False),
        state=MOMENTS | {"v_max": "max_exp_avg_sq"},
        switches=("amsgrad",),
    ),
    "NAdam": Row(
        lambda group: coupled(NAdam(), group),
        dict(lr=2e-3, betas=BETAS, eps=1e-8, weight_decay=0.0, momentum_decay=4e-3, decoupled_weight_decay=False),
        state=MOMENTS,
        switches=("decoupled_weight_decay",),
    ),
    "RAdam": Row(
        lambda group: coupled(RAdam(), group),
        dict(lr=1e-3, betas=BETAS, eps=1e-8, weight_decay=0.0, decoupled_weight_decay=False),
        state=MOMENTS,
        switches=("decoupled_weight_decay",),
    ),
    "Adamax": Row(
        lambda group: coupled(Adamax(), group),
        dict(lr=2e-3, betas=BETAS, eps=1e-8, weight_decay=0.0),
        state={"m": "exp_avg", "u": "exp_inf"},
    ),
    "ASGD": Row(lambda group: coupled(ASGD(), group), dict(lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0.0)),
    "Rprop": Row(
        lambda group: Rprop(),
        dict(lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50.0)),
        names={"eta_minus": "etas[0]", "eta_plus": "etas[1]", "step_min": "step_sizes[0]", "step_max": "step_sizes[1]"},
        state={"previous": "prev"},
    ),
    "SparseAdam": Row(lambda group: SparseAdam(), dict(lr=1e-3, betas=BETAS, eps=1e-8), state=MOMENTS, sparse_only=True),
    "Adafactor": Row(
        lambda group: Adafactor(),
        dict(lr=1e-2, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0),
        names={"eps1": "eps[0]", "eps2": "eps[1]"},
        state={"v": "variance", "r": "row_var", "c": "col_var"},
    ),
    "Muon": Row(
        muon,
        dict(
            lr=1e-3,
            weight_decay=0.1,
            momentum=0.95,
            nesterov=True,
            ns_coefficients=(3.4445, -4.775, 2.0315),
            eps=1e-7,
            ns_steps=5,
            adjust_lr_fn=None,
        ),
        state={"m": "momentum_buffer"},
        switches=("nesterov", "ns_steps", "ns_coefficients", "adjust_lr_fn"),
    ),
    "Lion": Row(lambda group: Lion(), dict(lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0), state=MOMENTS),
    "Adan": Row(
        lambda group: Adan(),
        dict(lr=1e-3, betas=(0.98, 0.92, 0.99), eps=1e-8, weight_decay=0.0),
        state={"m": "exp_avg", "v": "exp_avg_diff", "n": "exp_avg_sq", "previous": "previous_grad"},
    ),
    "AdaBelief": Row(
        lambda group: AdaBelief(),
        dict(lr=1e-3, betas=BETAS, eps=1e-16, weight_decay=0.0),
        state={"m": "exp_avg", "s": "exp_avg_var"},
    ),
    "Yogi": Row(
        lambda group: Yogi(),
        dict(lr=1e-2, betas=BETAS, eps=1e-3, weight_decay=0.0, initial_accumulator=1e-6),
        state=MOMENTS,
    ),
    "ADOPT": Row(
        lambda group: ADOPT(clip=group["clip"]),
        dict(lr=1e-3, betas=(0.9, 0.9999), eps=1e-6, weight_decay=0.0, clip=True),
        state=MOMENTS,
        switches=("clip",),
    ),
    "LARS": Row(
        lambda group: LARS(),
        dict(lr=1.0, momentum=0.9, weight_decay=0.0, trust=1e-3, eps=1e-8),
        state={"v": "momentum_buffer"},
    ),
    "LAMB": Row(lambda group: LAMB(), dict(lr=1e-3, betas=BETAS, eps=1e-6, weight_decay=0.0), state=MOMENTS),
    "Prodigy": Row(
        lambda group: Prodigy(**{name: group[name] for name in ("decoupled", "use_bias_correction", "safeguard_warmup")}),
        dict(
            lr=1.0,
            betas=BETAS,
            beta3=None,
            eps=1e-8,
            weight_decay=0.0,
            d0=1e-6,
            d_coef=1.0,
            growth_rate=float("inf"),
            decoupled=True,
            use_bias_correction=False,
            safeguard_warmup=False,
        ),
        names={"beta3": "beta3"},
        state=MOMENTS,
        switches=("decoupled", "use_bias_correction", "safeguard_warmup"),
    ),
    "DAdaptAdam": Row(
        lambda group: DAdaptAdam(**{name: group[name] for name in ("decoupled", "use_bias_correction")}),
        dict(
            lr=1.0,
            betas=BETAS,
            eps=1e-8,
            weight_decay=0.0,
            d0=1e-6,
            growth_rate=float("inf"),
            decoupled=True,
            use_bias_correction=False,
        ),
        state=MOMENTS,
        switches=("decoupled", "use_bias_correction"),
    ),
    "Shampoo": Row(
        lambda group: Shampoo(every=group["every"], largest=group["largest"]),
        dict(lr=0.1, momentum=0.0, beta2=1.0, eps=1e-6, weight_decay=0.0, every=1, largest=4096),
        switches=("every", "largest"),
    ),
    "SOAP": Row(
        lambda group: SOAP(every=group["every"], largest=group["largest"]),
        dict(lr=3e-3, betas=(0.95, 0.95), beta3=0.95, eps=1e-8, weight_decay=1e-2, every=10, largest=10000),
        names={"beta3": "beta3"},
        state=MOMENTS,
        switches=("every", "largest"),
    ),
    "ScheduleFreeSGD": Row(
        lambda group: ScheduleFreeSGD(warmup_steps=group["warmup_steps"]),
        dict(lr=1.0, momentum=0.9, weight_decay=0.0, warmup_steps=0, r=0.0, weight_lr_power=2.0),
        switches=("warmup_steps",),
    ),
    "ScheduleFreeAdamW": Row(
        lambda group: ScheduleFreeAdamW(warmup_steps=group["warmup_steps"]),
        dict(lr=2.5e-3, betas=BETAS, eps=1e-8, weight_decay=0.0, warmup_steps=0, r=0.0, weight_lr_power=2.0),
        state={"v": "exp_avg_sq"},
        switches=("warmup_steps",),
    ),
}


def packed(row: Row) -> Any:
    """A row as it can be pickled: one of the table, which holds functions, by its name."""
    names = [name for name, known in ROWS.items() if known.rule is row.rule]
    return (names[0], dict(row.defaults)) if names else row


def unpacked(row: Any) -> Row:
    return row if isinstance(row, Row) else replace(ROWS[row[0]], defaults=row[1])
