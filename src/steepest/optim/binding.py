"""Parameters tied to the engines that serve them, and the question, at each step, whether this still holds."""

from collections.abc import Mapping, Sequence
from numbers import Real
from operator import attrgetter, is_
from typing import Any

from torch import Tensor

from steepest.core.errors import ParameterError, SettingError
from steepest.core.rule import Rule, nest
from steepest.engines import Cell, Engine, advance, build, choose, initial, program_key
from steepest.engines.base import check_gradient, piece
from steepest.optim.row import Row, split
from steepest.rules.wrapper import Wrapper

IS_SPARSE = attrgetter("is_sparse")


class Member:
    """What one param_group says: its rule's structure, and where each knob is read."""

    def __init__(self, row: Row, group: Mapping[str, Any]) -> None:
        self.row, self.group = row, group
        self.switches = row.switched(group)
        self.rule = row.built(group)
        self.readers: list[tuple[str | None, int | None, float]] = []
        for path, source in row.sources(self.rule).items():
            name, index = split(source) if source else (None, None)
            self.readers.append((name, index, self.rule.knobs()[path]))

    def changed(self) -> bool:
        return self.row.switched(self.group) != self.switches

    def knobs(self) -> tuple[float, ...]:
        group = self.group
        values = [
            default if name is None else group[name] if index is None else group[name][index] for name, index, default in self.readers
        ]
        return tuple([value if type(value) is float else self._number(k, value) for k, value in enumerate(values)])

    def _number(self, k: int, value: Any) -> float:
        """What is not a plain float: an int, a tensor, None for 0; anything else is a mistake that someone wrote into the group."""
        if value is None or isinstance(value, (Real, Tensor)):
            return float(value or 0.0)
        raise SettingError(f"{self.readers[k][0]} = {value!r} in param_groups is not a number")

    def bound(self) -> Rule:
        """The rule with the numbers of this moment."""
        return self.rule.bind(dict(zip(self.rule.knobs(), self.knobs(), strict=True)))


class Team:
    """One engine, the parameters it serves (by their places in the whole list), and the groups they are in."""

    def __init__(self, engine: Engine, places: list[int], members: list[Member], why: str, rule: Rule) -> None:
        self.engine, self.places, self.members, self.why, self.rule = engine, places, members, why, rule


class Binding:
    """All teams of an optimizer, for one set of parameters with gradients."""

    def __init__(self, optimizer: Any, parameters: Sequence[Tensor], grads: Sequence[Tensor | None]) -> None:
        self.state = optimizer.state
        self.parameters = list(parameters)
        self.nones = [None] * len(grads)
        self.missing = list(map(is_, grads, self.nones))
        self.lacking = any(self.missing)
        self.sparse = self._sparse(grads)
        self.members = [Member(row, group) for row, group in zip(optimizer.rows, optimizer.param_groups, strict=True)]
        self.may_be_sparse = any(member.rule.sparse for member in self.members)
        self.teams = self._teams(optimizer, grads)
        self.state.note.up = False

    def fits(self, parameters: Sequence[Tensor], grads: Sequence[Tensor | None], state: Any) -> bool:
        """Whether nothing but numbers has changed since; numbers are read anew at every step."""
        return (
            len(parameters) == len(self.parameters)
            and all(map(is_, parameters, self.parameters))
            and (list(map(is_, grads, self.nones)) == self.missing if self.lacking else not any(map(is_, grads, self.nones)))
            and state is self.state
            and not state.note.up
            and not any(member.changed() for member in self.members)
            and not (self.may_be_sparse and self._sparse(grads) != self.sparse)
        )

    def _sparse(self, grads: Sequence[Tensor | None]) -> list[bool]:
        """Which gradients are sparse."""
        if self.lacking:
            return [g is not None and g.is_sparse for g in grads]
        return list(map(IS_SPARSE, grads))

    def step(self, grads: Sequence[Tensor]) -> None:
        steps = []
        for team in self.teams:
            mine = grads if len(team.places) == len(grads) else [grads[i] for i in team.places]
            steps.append(team.engine.step(mine, [member.knobs() for member in team.members]))
        advance(steps)

    def _teams(self, optimizer: Any, grads: Sequence[Tensor | None]) -> list[Team]:
        teams = []
        for (_, engine, why), seats in _grouped(self._seats(optimizer, grads)):
            numbers = sorted({seat.number for seat in seats})
            members = [self.members[k] for k in numbers]
            rule = members[0].rule
            cells = [self._cell(optimizer, seat, numbers) for seat in seats]
            teams.append(Team(build(engine, rule, cells), [seat.place for seat in seats], members, why, rule))
        return teams

    def _seats(self, optimizer: Any, grads: Sequence[Tensor | None]) -> list["Seat"]:
        numbers = [k for k, group in enumerate(optimizer.param_groups) for _ in group["params"]]
        return [
            Seat(self.members[number], number, place, optimizer.names[place], p, g, optimizer.engine)
            for place, (number, p, g) in enumerate(zip(numbers, self.parameters, grads, strict=True))
            if g is not None
        ]

    def _cell(self, optimizer: Any, seat: "Seat", numbers: list[int]) -> Cell:
        member, p, state = seat.member, seat.parameter, self.state[seat.parameter]
        keys = member.row.keys(member.bound(), p)
        if not state.keys() >= {"step", *keys.values()}:
            fresh = initial(member.bound(), p, keys, optimizer.master_weights)
            state |= {key: value for key, value in fresh.items() if key not in state}
        return Cell(seat.name, p, state, keys, numbers.index(seat.number))


class Seat:
    """One parameter with a gradient: its place among all, its group, the program that serves it."""

    def __init__(self, member: Member, number: int, place: int, name: str, p: Tensor, g: Tensor, wanted: str) -> None:
        self.member, self.number, self.place, self.name, self.parameter = member, number, place, name, p
        engine, why = choose(member.rule, p, wanted)
        check_gradient(name, p, g, member.rule)
        if g.is_sparse:
            engine, why = "reference", "row-sparse gradients"
        elif member.row.sparse_only:
            raise ParameterError(
                f"the gradient of {name} is dense, and SparseAdam takes row-sparse ones; use Adam, or nn.Embedding(sparse=True)"
            )
        self.key = (program_key(member.rule, p, engine), engine, why)


def _grouped(seats: list[Seat]) -> list[tuple[tuple, list[Seat]]]:
    """Seats that one program serves, together, in order."""
    groups: dict[tuple, list[Seat]] = {}
    for seat in seats:
        groups.setdefault(seat.key, []).append(seat)
    return list(groups.items())


def has_view(rule: Rule) -> bool:
    """Whether the weights to evaluate may be others than those in training: some level of the rule says so."""
    return any(getattr(type(level), "view", Rule.view) not in (Rule.view, Wrapper.view) for _, level in rule.walk())


def view(member: Member, p: Tensor, state: dict[str, Any]) -> Tensor:
    """The weights of one parameter to evaluate and to save."""
    rule = member.bound()
    keys = member.row.keys(rule, p)
    if not state.keys() >= set(keys.values()):
        return p.detach()
    nested = nest({path: state[key] for path, key in keys.items()})
    return rule.view(piece(state.get("master", p), rule), nested).reshape(p.shape).to(p.dtype)
