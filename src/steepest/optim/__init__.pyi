# Written by `python -m steepest.optim.stub` from the table; every edit is lost.
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from steepest.optim.optimizer import Optimizer as Optimizer

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]]

class SGD(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.001,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class Adagrad(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class Adadelta(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-06,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class RMSprop(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class Adam(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class AdamW(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class NAdam(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.002,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        momentum_decay: float = 0.004,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class RAdam(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class Adamax(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.002,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class ASGD(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        lambd: float = 0.0001,
        alpha: float = 0.75,
        t0: float = 1000000.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class Rprop(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-06, 50.0),
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class SparseAdam(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class Adafactor(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 0.001),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class Muon(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.001,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-07,
        ns_steps: int = 5,
        adjust_lr_fn: Any = None,
        *,
        adamw: Mapping[str, Any] | None = None,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class Lion(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.0001,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class Adan(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class AdaBelief(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class Yogi(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 0.001,
        weight_decay: float = 0.0,
        initial_accumulator: float = 1e-06,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class ADOPT(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.9999),
        eps: float = 1e-06,
        weight_decay: float = 0.0,
        clip: bool = True,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class LARS(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 0.001,
        eps: float = 1e-08,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class LAMB(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-06,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class Prodigy(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        beta3: Any = None,
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        d0: float = 1e-06,
        d_coef: float = 1.0,
        growth_rate: float = float("inf"),
        decoupled: bool = True,
        use_bias_correction: bool = False,
        safeguard_warmup: bool = False,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class DAdaptAdam(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        d0: float = 1e-06,
        growth_rate: float = float("inf"),
        decoupled: bool = True,
        use_bias_correction: bool = False,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class Shampoo(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.1,
        momentum: float = 0.0,
        beta2: float = 1.0,
        eps: float = 1e-06,
        weight_decay: float = 0.0,
        every: int = 1,
        largest: int = 4096,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class SOAP(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.003,
        betas: tuple[float, float] = (0.95, 0.95),
        beta3: float = 0.95,
        eps: float = 1e-08,
        weight_decay: float = 0.01,
        every: int = 10,
        largest: int = 10000,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class ScheduleFreeSGD(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class ScheduleFreeAdamW(Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 0.0025,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        *,
        maximize: bool = False,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None: ...

class LBFGS(torch.optim.Optimizer):
    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        max_iter: int = 20,
        max_eval: Any = None,
        tolerance_grad: float = 1e-07,
        tolerance_change: float = 1e-09,
        history_size: int = 100,
        line_search_fn: Any = None,
    ) -> None: ...
