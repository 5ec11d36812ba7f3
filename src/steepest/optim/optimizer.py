"""The face of torch.optim over rules and engines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from steepest.core.errors import ParameterError, SettingError
from steepest.core.plan import Plan, slots
from steepest.core.rule import Rule
from steepest.optim import state_dict as states
from steepest.optim.binding import Binding, Member, has_view, view
from steepest.optim.groups import as_groups, check_names, check_parameters, listed, names_of
from steepest.optim.row import Row, row_of
from steepest.optim.store import Entry, Store
from steepest.optim.table import packed, unpacked


class Optimizer(torch.optim.Optimizer):
    """Any rule, or a plan of rules, in place of a `torch.optim` class.

    `params` is a model, or whatever torch takes. With a model (or named parameters), state is matched by name when it
    is loaded, and a plan can say which parameter gets which rule:

        Optimizer(model, Clip(inner=Adam(lr=1e-3), norm=1.0))
        Optimizer(model, Plan((("*.bias|*norm*", Adam()), ("*", Adam(weight_decay=0.1)))))

    `param_groups` are the truth: what a scheduler or you write there counts at the next step. `engine` is "auto",
    "fused", "compiled" or "reference". `check=True` refuses gradients with NaN or Inf, by name, before anything changes.
    `master_weights=True` keeps a float32 copy of bfloat16 and float16 parameters.
    """

    def __init__(
        self,
        params: Any,
        rule: "Rule | Row | Plan[Rule] | Plan[Row]",
        *,
        engine: str = "auto",
        check: bool = False,
        master_weights: bool = False,
    ) -> None:
        self.engine, self.check, self.master_weights = engine, check, master_weights
        self.rows: list[Row] = []
        self.names: list[str] = []
        self._binding: Binding | None = None
        if not isinstance(rule, (Rule, Row, Plan)):
            wanted = f"the class {rule.__name__}; call it" if isinstance(rule, type) else repr(rule)
            raise SettingError(f"{type(self).__name__} needs a rule or a plan of rules, not {wanted}")
        if isinstance(rule, Plan):
            groups, rows = planned(params, rule)
        else:
            groups = as_groups(params)
            rows = [rule if isinstance(rule, Row) else row_of(rule)] * len(groups)
        check_parameters(groups, type(self).__name__)
        check_names(groups)
        self._pending = list(rows)
        self._row = rows[-1]
        super().__init__(groups, {})
        self.defaults = {"maximize": False, **self._row.defaults}
        self.state = Store()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """A group of torch's form; what it leaves out takes the defaults."""
        row = self._pending.pop(0) if self._pending else self._row
        group = listed(param_group)
        known = [p for existing in self.param_groups for p in existing["params"]]
        check_parameters([group], type(self).__name__, known)
        check_names([*self.param_groups, group])
        states.check_options(type(self).__name__, row, group)
        row.check(type(self).__name__, {"maximize": False, **row.defaults, **group})
        self.defaults, kept = {"maximize": False, **row.defaults}, self.defaults
        try:
            super().add_param_group(group)
        finally:
            self.defaults = kept
        self.rows.append(row)
        self.names = names_of(self.param_groups)
        self._binding = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step. `closure`, if given, computes the loss and its gradients anew."""
        args: Any = (self, closure) if closure is not None else (self,)
        kwargs: Any = {}
        for hook in (*_global_optimizer_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()):
            args, kwargs = hook(self, args, kwargs) or (args, kwargs)
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._advance()
        for hook in (*self._optimizer_step_post_hooks.values(), *_global_optimizer_post_hooks.values()):
            hook(self, args, kwargs)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients. torch's own does it behind a mark for the profiler and a guard against its compiler: 10 us and more."""
        if not set_to_none:
            super().zero_grad(set_to_none=False)
            return
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    # torch would wrap `step` to run hooks and to mark it for the profiler, at a third of a small model's step.
    step.hooked = True  # type: ignore[attr-defined]

    def _advance(self) -> None:
        groups = self.param_groups
        parameters = groups[0]["params"] if len(groups) == 1 else [p for group in groups for p in group["params"]]
        grads = [p.grad for p in parameters]
        if self.check:
            self._refuse_nan(grads)
        if type(self.state) is not Store:
            self.state = Store(self.state)
        binding = self._binding
        if binding is None or not binding.fits(parameters, grads, self.state):
            binding = self._binding = Binding(self, parameters, grads)
        binding.step(grads)

    def _refuse_nan(self, grads: list[Tensor | None]) -> None:
        for name, g in zip(self.names, grads, strict=True):
            if g is not None and not torch.isfinite(g.coalesce().values() if g.is_sparse else g).all():
                raise ParameterError(f"the gradient of {name} holds NaN or Inf; nothing was changed")

    def view(self) -> list[Tensor]:
        """The weights to evaluate and to save, in the order of the parameters."""
        views = []
        with torch.no_grad():
            for row, group in zip(self.rows, self.param_groups, strict=True):
                member = Member(row, group)
                same = not has_view(member.rule)
                views += [p.detach() if same else view(member, p, self.state.get(p, {})) for p in group["params"]]
        return views

    @contextmanager
    def viewing(self) -> Iterator[None]:
        """Within: the model holds the weights to evaluate. Do not step inside."""
        parameters = [p for group in self.param_groups for p in group["params"]]
        with torch.no_grad():
            pairs = [(p, x.clone()) for p, x in zip(parameters, self.view(), strict=True) if x.data_ptr() != p.data_ptr()]
            held = [p.detach().clone() for p, _ in pairs]
            for p, x in pairs:
                p.copy_(x)
        try:
            yield
        finally:
            with torch.no_grad():
                for (p, _), x in zip(pairs, held, strict=True):
                    p.copy_(x)

    def explain(self) -> str:
        """Which engine serves which parameters, and why. Before the first step nothing is chosen yet."""
        if self._binding is None:
            return "no step was taken yet"
        lines = []
        for team in self._binding.teams:
            names = [self.names[i] for i in team.places]
            shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            lines.append(f"{team.rule!r}: {team.engine.name} engine for {shown} ({team.why})")
        return "\n".join(lines)

    # --- state ------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """torch's form: groups with parameters by number, and the state of each number."""
        saved = super().state_dict()
        return {**saved, "state": {k: dict(entry) if isinstance(entry, Entry) else entry for k, entry in saved["state"].items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` of this class or of torch's gave. Matched by parameter names where both have them."""
        state_dict = state_dict.copy() if isinstance(state_dict, dict) else state_dict  # hooks may write into it
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            state_dict = hook(self, state_dict) or state_dict
        states.load(self, state_dict)
        self._binding = None
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: self.__dict__[name] for name in ("engine", "check", "master_weights", "names")}
        return super().__getstate__() | kept | {"rows": [packed(row) for row in self.rows], "_row": packed(self._row)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        rows = {"rows": [unpacked(row) for row in state["rows"]], "_row": unpacked(state["_row"])}
        super().__setstate__(state | rows | {"_pending": [], "_binding": None})


def planned(params: Any, plan: "Plan[Rule] | Plan[Row]") -> tuple[list[dict[str, Any]], list[Row]]:
    """One group per entry of the plan that has parameters, in its order."""
    if not isinstance(params, nn.Module):
        raise ParameterError("a plan needs the model, to know names and layers: pass model instead of model.parameters()")
    chosen = plan.assign(slots(params))
    groups: list[dict[str, Any]] = []
    rows: list[Row] = []
    for k, (_, rule) in enumerate(plan.entries):
        mine = [(slot.name, slot.parameter) for slot in slots(params) if chosen[slot.name] == k]
        if mine:
            groups.append({"params": mine})
            rows.append(rule if isinstance(rule, Row) else row_of(rule))
    return groups, rows
