"""Errors a user can act on. Each states the rule, the value, and the way out."""

from collections.abc import Iterable
from difflib import get_close_matches


class SteepestError(Exception):
    """A mistake in what was asked. The command line prints it as one line, without a traceback."""


class SettingError(SteepestError, ValueError):
    """A setting that does not exist, or whose value cannot be."""


class ParameterError(SteepestError, ValueError):
    """Parameters, gradients or optimizer state that cannot be served."""


class StateError(SteepestError, ValueError):
    """A state_dict that does not belong to this optimizer."""


class PlanError(SteepestError, ValueError):
    """A plan that leaves a parameter unclaimed, or an entry that claims none."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause to append to an error: the known name that was probably meant, or all of them."""
    names = sorted(known)
    close = get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(names)}" if names else ""
