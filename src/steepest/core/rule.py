"""A rule: one optimization algorithm, pure mathematics on one parameter, written once."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from steepest.core.knob import Settings

Scope = Literal["element", "tensor", "matrix", "flat"]
SCOPES: tuple[Scope, ...] = ("element", "tensor", "matrix", "flat")


class State(dict):
    """State by name, read as attributes: `state.m`. Wrappers nest it: `state.inner.m`."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name == "inner":  # a rule without state leaves no trace of itself in the flat form
            return State()
        raise AttributeError(name)


class Rule(Settings):
    """Base of all rules. A subclass defines `direction`, or `update` where the rate is not a plain factor.

    Both are pure: they return the change and the new state and write to nothing they were given. They may
    branch on options and on the shape of `p`, never on values; `maths.where` chooses between values.
    """

    # What `p` may be: any piece ("element"), a whole parameter ("tensor"), a parameter flattened to
    # (..., rows, cols) ("matrix"), or all parameters as one vector ("flat").
    scope: ClassVar[Scope] = "element"
    # Serves row-sparse gradients: True, applied to the touched rows alone; "whole", other rows move too, so the
    # gradient is written out first.
    sparse: ClassVar[Literal[False, True, "whole"]] = False
    # Where this was published; shown by `explain`.
    paper: ClassVar[str] = ""
    # One sentence: when to reach for it, and what to set first.
    use: ClassVar[str] = ""

    def init(self, p: Any) -> dict[str, Any]:
        """State by name, before the first step. Scalars are 0-D."""
        return {}

    def direction(self, p: Any, g: Any, state: State, t: Any) -> tuple[Any, dict[str, Any]]:
        """Where to go, without rate and decay: `p` will move by `-lr * (direction + weight_decay * p)`."""
        raise NotImplementedError

    def update(self, p: Any, g: Any, state: State, t: Any) -> tuple[Any, dict[str, Any]]:
        """The change of `p` at step `t` (from 1), and the new state."""
        d, new = self.direction(p, g, state, t)
        return -self.rate * (d + self.decay * p), new

    @property
    def rate(self) -> Any:
        return self.lr  # type: ignore[attr-defined]

    @property
    def decay(self) -> Any:
        return self.weight_decay  # type: ignore[attr-defined]

    @property
    def has_direction(self) -> bool:
        """Whether the rate is a plain factor, so that a wrapper may scale or mask the direction."""
        return type(self).direction is not Rule.direction and type(self).update is Rule.update

    def due(self, t: int) -> int:
        """Which expensive, periodic `refresh` comes before step `t`; 0: none. A rule with several kinds numbers them."""
        return 0

    def refresh(self, p: Any, g: Any, state: State, due: int) -> dict[str, Any]:
        """The state with its expensive part computed anew; `due` is what `due` said."""
        return state

    def view(self, p: Any, state: State) -> Any:
        """The weights to evaluate and to save."""
        return p


def flatten(state: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested state as one level: `{"inner": {"m": x}}` becomes `{"inner.m": x}`."""
    flat: dict[str, Any] = {}
    for name, value in state.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def nest(flat: Mapping[str, Any]) -> State:
    """The inverse of `flatten`."""
    state = State()
    for path, value in flat.items():
        *parents, name = path.split(".")
        level = state
        for parent in parents:
            level = level.setdefault(parent, State())
        level[name] = value
    return state
