"""The algorithms by name, in order of increasing complexity. AdamW is Adam: its weight_decay is decoupled."""

from steepest.core.rule import Rule
from steepest.rules.adagrad import Adadelta, Adagrad, RMSprop
from steepest.rules.adam import Adam, Adamax, NAdam, RAdam, SparseAdam
from steepest.rules.adam_variants import ADOPT, AdaBelief, Adan, Yogi
from steepest.rules.averaged import ASGD, ScheduleFreeAdamW, ScheduleFreeSGD
from steepest.rules.clipping import AGC, Clip, ClipEach, ClipValue
from steepest.rules.factored import Adafactor
from steepest.rules.gradient import AverageMomentum, GradientDescent, Momentum, RateInsideMomentum
from steepest.rules.layerwise import LAMB, LARS
from steepest.rules.lbfgs import LBFGS
from steepest.rules.learning_rate_free import DAdaptAdam, Prodigy
from steepest.rules.muon import Muon
from steepest.rules.preconditioned import SOAP, Shampoo
from steepest.rules.sign import Lion, Rprop
from steepest.rules.wrapper import Wrapper
from steepest.rules.wrappers import L1, L2, Average, Cautious, Centralize, HeavyBall, Lookahead, Maximize, StochasticAverage, TrustRatio

# What someone else calls a rule.
ALIASES = {"sgd": "momentum"}

RULES: dict[str, type[Rule]] = {
    "gd": GradientDescent,
    "momentum": Momentum,
    "average_momentum": AverageMomentum,
    "rate_inside_momentum": RateInsideMomentum,
    "rprop": Rprop,
    "lion": Lion,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adadelta": Adadelta,
    "adam": Adam,
    "adamw": Adam,
    "sparse_adam": SparseAdam,
    "adamax": Adamax,
    "nadam": NAdam,
    "radam": RAdam,
    "adabelief": AdaBelief,
    "yogi": Yogi,
    "adopt": ADOPT,
    "adan": Adan,
    "asgd": ASGD,
    "schedule_free_sgd": ScheduleFreeSGD,
    "schedule_free_adamw": ScheduleFreeAdamW,
    "lars": LARS,
    "lamb": LAMB,
    "dadapt_adam": DAdaptAdam,
    "prodigy": Prodigy,
    "adafactor": Adafactor,
    "muon": Muon,
    "shampoo": Shampoo,
    "soap": SOAP,
    "lbfgs": LBFGS,
}

WRAPPERS: dict[str, type[Wrapper]] = {
    "maximize": Maximize,
    "l2": L2,
    "l1": L1,
    "centralize": Centralize,
    "clip_value": ClipValue,
    "clip_each": ClipEach,
    "clip": Clip,
    "agc": AGC,
    "heavy_ball": HeavyBall,
    "cautious": Cautious,
    "trust_ratio": TrustRatio,
    "lookahead": Lookahead,
    "average": Average,
    "stochastic_average": StochasticAverage,
}
