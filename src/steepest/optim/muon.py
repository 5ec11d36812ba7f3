"""Muon for a whole model: hidden matrices by Muon, everything else by AdamW."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from steepest.core.errors import ParameterError
from steepest.core.plan import Plan, slots
from steepest.optim.faces import settled, signature
from steepest.optim.groups import listed
from steepest.optim.optimizer import Optimizer
from steepest.optim.table import ROWS
from steepest.rules.muon import Muon as Rule
from steepest.rules.plans import everything, hidden_matrix


class Muon(Optimizer):
    __doc__ = f"""{Rule.__doc__}

    Given a model, embeddings, norms, biases and the head (its last Linear) go to AdamW, in a group of their own with the
    settings in `adamw`: `Muon(model, lr=0.02, adamw=dict(lr=3e-4))`. Given tensors, all must be matrices.
    """

    def __init__(self, params: Any, *args: Any, adamw: Mapping[str, Any] | None = None, **given: Any) -> None:
        muon, ours = settled("Muon", ROWS["Muon"], args, given)
        others, _ = settled("AdamW", ROWS["AdamW"], (), adamw or {})
        if not isinstance(params, nn.Module):
            if adamw is not None:
                raise ParameterError("Muon(adamw=...) needs the model, to know which parameters are not hidden matrices")
            Optimizer.__init__(self, params, muon, **ours)
        elif not any(map(hidden_matrix, slots(params))):
            raise ParameterError(
                "Muon moves hidden weight matrices, and this model has none: only embeddings, norms, biases and a head; use AdamW"
            )
        else:
            Optimizer.__init__(self, params, Plan(((hidden_matrix, muon), (everything, others))), **ours)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        mine = self._pending[0] if self._pending else self._row
        for p in listed(param_group)["params"] if mine.rule is ROWS["Muon"].rule else ():
            name, p = p if isinstance(p, tuple) else ("a parameter", p)
            if isinstance(p, Tensor) and p.ndim < 2:
                raise ParameterError(
                    f"Muon moves matrices, and {name} has shape {tuple(p.shape)}; "
                    "pass the model itself, and what is no hidden matrix goes to AdamW"
                )
        super().add_param_group(param_group)

    __init__.__signature__ = signature(ROWS["Muon"], adamw=None)
