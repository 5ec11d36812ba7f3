"""Rules around rules. Three kinds: change the gradient first, the direction in between, or the result after."""

from typing import Any, ClassVar

from steepest.core.errors import SettingError
from steepest.core.rule import Rule, State


class Wrapper(Rule):
    """A rule around `inner`; with nothing else said, it does what `inner` does."""

    inner: Rule

    @property
    def scope(self):  # type: ignore[override]
        return self.inner.scope

    @property
    def rate(self):
        return self.inner.rate

    @property
    def decay(self):
        return self.inner.decay

    def init(self, p) -> dict[str, Any]:
        return dict(inner=self.inner.init(p))

    def due(self, t):
        return self.inner.due(t)

    def refresh(self, p, g, state, due):
        return State(state | dict(inner=self.inner.refresh(p, g, state.inner, due)))

    def view(self, p, state):
        return self.inner.view(p, state.inner)


class GradientWrapper(Wrapper):
    """Changes the gradient, then lets `inner` do its step with it. Needs no state of its own."""

    # Whether a row without a gradient stays one, and adds nothing to a norm: then `inner` may still be sparse.
    keeps_zero: ClassVar[bool] = True

    def gradient(self, p: Any, g: Any) -> Any:
        raise NotImplementedError

    @property
    def has_direction(self):
        return self.inner.has_direction

    @property
    def sparse(self):  # type: ignore[override]
        return self.keeps_zero and self.inner.sparse

    def direction(self, p, g, state, t):
        d, new = self.inner.direction(p, self.gradient(p, g), state.inner, t)
        return d, dict(inner=new)

    def update(self, p, g, state, t):
        change, new = self.inner.update(p, self.gradient(p, g), state.inner, t)
        return change, dict(inner=new)

    def refresh(self, p, g, state, due):
        return super().refresh(p, self.gradient(p, g), state, due)


class DirectionWrapper(Wrapper):
    """Scales or masks the direction of `inner`, before rate and decay. (On a finished change the rate would cancel.)"""

    def check(self) -> None:
        if not self.inner.has_direction:
            raise SettingError(
                f"{type(self).__name__} needs a rule with a direction; in {type(self.inner).__name__} the rate is not a plain factor"
            )


class ChangeWrapper(Wrapper):
    """Looks at the finished change of `inner`: averages, lookahead."""
