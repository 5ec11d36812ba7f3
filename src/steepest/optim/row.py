"""One row of the table: how a class that torch users know is a rule of ours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from steepest.core.errors import SettingError
from steepest.core.knob import Knob, as_number
from steepest.core.rule import Rule
from steepest.engines.base import paths
from steepest.rules.wrappers import L2, Maximize

ADAM_STATE = {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"}


@dataclass(frozen=True)
class Row:
    """`rule(group)` builds the structure; `names` says which entry of a group each knob reads, where the names differ.

    `betas` feeds beta1, beta2, ...; an entry such as "etas[0]" feeds one of a pair; None leaves the knob at its default.
    `state` gives torch's name of each state entry (None: each under its own path). `switches` are the entries that
    choose the program. Where the default is None, None stands for 0.
    """

    rule: Callable[[Mapping[str, Any]], Rule]
    defaults: Mapping[str, Any]
    names: Mapping[str, str | None] = field(default_factory=dict)
    state: Mapping[str, str] | None = field(default_factory=dict)
    switches: tuple[str, ...] = ()
    # Whether a dense gradient is refused, as torch's SparseAdam does: it would make every row's moments fade.
    sparse_only: bool = False

    def built(self, group: Mapping[str, Any]) -> Rule:
        rule = self.rule(group)
        return Maximize(inner=rule) if group["maximize"] else rule

    def switched(self, group: Mapping[str, Any]) -> tuple[Any, ...]:
        """What chooses the program, of this group. Of a number, only whether it is zero."""
        chosen = [bool(group[name]) if type(self.defaults[name]) is float else group[name] for name in self.switches]
        return (group["maximize"], *chosen)

    def sources(self, rule: Rule) -> dict[str, str | None]:
        """For each knob of the rule by path, the entry of a group that it reads."""
        coupled = any(isinstance(level, L2) for _, level in rule.walk())
        return {path: self._source(path, coupled) for path in rule.knobs()}

    def _source(self, path: str, coupled: bool) -> str | None:
        knob = path.rpartition(".")[2]
        for name in (path, knob):
            if name in self.names:
                return self.names[name]
        if coupled and knob in ("coefficient", "weight_decay"):
            return "weight_decay" if knob == "coefficient" else None
        if knob.startswith("beta") and "betas" in self.defaults:
            return f"betas[{int(knob[4:]) - 1}]"
        return knob if knob in self.defaults else None

    def keys(self, rule: Rule, p: Tensor) -> dict[str, str]:
        """Under which key of the parameter's state each of the rule's state paths lies."""
        named = self.state
        return {path: path if named is None else named.get(leaf := path.rpartition(".")[2], leaf) for path in paths(rule, p)}

    def check(self, name: str, group: Mapping[str, Any]) -> None:
        """Every number of a group in its range, or the error that says which is not."""
        for key, default in self.defaults.items():
            if isinstance(default, tuple) and (not isinstance(group[key], (tuple, list)) or len(group[key]) != len(default)):
                raise SettingError(f"{name}.{key} = {group[key]!r} must be {len(default)} numbers, like {default}")
        for key, default in {**self.defaults, "maximize": False}.items():
            if isinstance(default, bool) and not isinstance(group[key], bool):
                raise SettingError(f"{name}.{key} = {group[key]!r} must be True or False")
        rule = self.built(group)
        for path, spec in rule.specs().items():
            source = self.sources(rule)[path]
            if source is not None and (read(group, source) is not None or read(self.defaults, source) is not None):
                check_number(f"{name}.{source}", read(group, source), spec)


def check_number(where: str, value: Any, spec: Knob) -> None:
    """A number in its range, or a tensor that holds one."""
    if isinstance(value, Tensor) and value.numel() != 1:
        raise SettingError(f"{where} must be one number, not a tensor of shape {tuple(value.shape)}")
    as_number(where, value.item() if isinstance(value, Tensor) else value, spec)


def read(group: Mapping[str, Any], source: str) -> Any:
    """An entry of a group: "lr", or "betas[1]"."""
    name, index = split(source)
    return group[name] if index is None else group[name][index]


def split(source: str) -> tuple[str, int | None]:
    """ "betas[1]" as ("betas", 1)."""
    name, _, index = source.partition("[")
    return name, int(index[:-1]) if index else None


def row_of(rule: Rule) -> Row:
    """The row of any rule: its knobs under their own names (a path where a name occurs twice), Adam's betas as a pair."""
    leaves = [path.rpartition(".")[2] for path in rule.knobs()]
    short = {path: leaf if leaves.count(leaf) == 1 else path for path, leaf in zip(rule.knobs(), leaves, strict=True)}
    values = {short[path]: value for path, value in rule.knobs().items()}
    names: dict[str, str | None] = dict(short)
    defaults: dict[str, Any] = {}
    if "beta1" in values and "beta2" in values:
        pair = [name for name in ("beta1", "beta2", "beta3") if name in values]
        defaults["betas"] = tuple(values.pop(name) for name in pair)
        names |= {path: f"betas[{pair.index(name)}]" for path, name in short.items() if name in pair}
    return Row(Always(rule), values | defaults | dict(rule=repr(rule.structure())), names, None)


@dataclass(frozen=True)
class Always:
    """The same rule for any group."""

    chosen: Rule

    def __call__(self, group: Mapping[str, Any]) -> Rule:
        return self.chosen
