"""Questions to a record: what follows a layer, what feeds it, and where residual branches end."""

from collections import deque
from functools import reduce
from operator import or_

from torch import nn

from steepest.init.layers import Layer, kind_of, owns, weighs
from steepest.init.operations import CONSUMERS, GATED, NONLINEAR, TRANSPARENT, TRANSPARENT_PARTS, plain_name
from steepest.init.record import Event, Record


class Reader:
    """Questions to a record."""

    def __init__(self, found: Record, parts: dict[str, nn.Module]) -> None:
        self.events, self.parts, self.outputs = found.events, parts, found.outputs
        self.consumers: list[list[int]] = [[] for _ in self.events]  # that the output depends on
        self.above: list[int] = []  # bit i: event i is among what led to this one, itself included
        self.depth: list[int] = []
        for i, event in enumerate(self.events):
            mask = 1 << i
            for x in event.inputs:
                mask |= self.above[x]
            self.above.append(mask)
            self.depth.append(max((self.depth[x] for x in event.inputs), default=0) + self.is_weight(event))
        live = reduce(or_, (self.above[x] for x in self.outputs), 0) or -1  # an output of an unknown kind: everything
        for i, event in enumerate(self.events):
            for x in event.inputs if live >> i & 1 else ():
                self.consumers[x].append(i)
        self.weights = sum(1 << i for i, event in enumerate(self.events) if self.is_weight(event))
        self.ends: set[str] = set()
        self.inner = 0
        for event in self.events:
            if plain_name(event.op) == "add" and len(event.inputs) == 2:
                self.residual(*event.inputs)

    def is_weight(self, event: Event) -> bool:
        return event.name is not None and weighs(self.parts[event.name])

    def layer(self, name: str, unclassified: list[str]) -> Layer:
        places = [i for i, e in enumerate(self.events) if e.name == name]
        module = self.parts[name]
        layer = Layer(name, module, kind_of(module), depth=self.depth[places[0]], known=True)
        layer.ends_residual = name in self.ends
        layer.in_residual = any(self.inner >> i & 1 for i in places)
        if not layer.weighs:
            return layer
        follows = {self.follows(i) for i in places}
        if len(follows) > 1 or "?" in next(iter(follows))[0]:
            seen = sorted(f[0].replace("?", "") or "nothing" for f in follows)
            unclassified.append(f"{name}: followed by {' and '.join(seen)}" + (", which has no gain" if len(follows) == 1 else ""))
            layer.known = False
        else:
            nonlinearity, normalized, numbers = follows.pop()
            layer.nonlinearity, layer.normalized, layer.parameters = nonlinearity or None, normalized, dict(numbers)
        after = any(self.above[j] >> i & 1 for i in places for j in range(i + 1, len(self.events)) if self.weights >> j & 1)
        layer.head = not after and layer.nonlinearity in (None, "sigmoid")
        layer.fed_by = self.source(places[0]) if len(places) == 1 else None
        return layer

    def follows(self, start: int) -> tuple[str, bool, tuple[tuple[str, float], ...]]:
        """The nearest nonlinearity behind a layer ("": none before the next layer), whether a norm lies between, its numbers.

        A name with a "?" is something that cannot be told: an operation without a gain, or two answers equally near.
        """
        queue, seen, answers = deque([(start, 0, False)]), {start}, {}
        nearest = None
        while queue:
            place, distance, normalized = queue.popleft()
            if nearest is not None and distance >= nearest:
                break
            if place in self.outputs:
                answers[("", normalized, ())] = nearest = distance
            for c in self.consumers[place]:
                event = self.events[c]
                if self.passes(event):
                    if c not in seen:
                        seen.add(c)
                        queue.append((c, distance + 1, normalized or self.is_norm(event)))
                else:
                    answers[(self.answer(c, place), normalized, self.numbers(event))] = nearest = distance + 1
        if not answers:
            return "", False, ()
        least = min(answers.values())
        best = [answer for answer, distance in answers.items() if distance == least]
        names = sorted({answer[0] for answer in best})
        if len(names) > 1 and "" in names:  # used as it is and behind a nonlinearity: the nonlinearity decides
            names.remove("")
        if len(names) > 1:
            return "?" + " or ".join(names), False, ()
        return next(answer for answer in best if answer[0] == names[0])

    def passes(self, event: Event) -> bool:
        plain = plain_name(event.op)
        if plain in NONLINEAR or self.is_weight(event):
            return False
        if plain == "mul" and len(event.inputs) == 2 and self.gate(event):
            return False
        return plain in TRANSPARENT or any(part in plain for part in TRANSPARENT_PARTS)

    def answer(self, place: int, before: int) -> str:
        event = self.events[place]
        plain = plain_name(event.op)
        if self.is_weight(event) or plain in CONSUMERS:
            return ""
        if plain == "mul":
            return self.gate(event)
        if plain not in NONLINEAR:
            return f"?{event.op}"
        for c in self.consumers[place]:  # a nonlinearity whose output gates another signal
            if plain_name(self.events[c].op) == "mul" and (gate := self.gate(self.events[c])):
                return gate
        return NONLINEAR[plain]

    def gate(self, event: Event) -> str:
        """What a product of two signals is: swiglu for silu(a) * b, silu for x * sigmoid(x), "" for no gate."""
        if len(event.inputs) != 2:
            return ""
        for this, other in (event.inputs, event.inputs[::-1]):
            name = NONLINEAR.get(plain_name(self.events[this].op))
            if name in GATED:
                return "silu" if name == "sigmoid" and self.events[this].inputs == (other,) else GATED[name]
        return ""

    def numbers(self, event: Event) -> tuple[tuple[str, float], ...]:
        """The slope of leaky_relu, the alpha of elu, where they are not the default."""
        name = NONLINEAR.get(plain_name(event.op))
        module = self.parts[event.name] if event.name is not None else None
        setting = {"leaky_relu": ("slope", "negative_slope"), "elu": ("alpha", "alpha"), "celu": ("alpha", "alpha")}.get(name or "")
        if not setting:
            return ()
        given = (x for x in event.numbers if not isinstance(x, bool))
        value = getattr(module, setting[1], None) if module is not None else next(given, None)
        return ((setting[0], float(value)),) if value is not None else ()

    def is_norm(self, event: Event) -> bool:
        return "norm" in plain_name(event.op) and "softmax" not in event.op

    def residual(self, a: int, b: int) -> None:
        """A sum of a branch and what passed it by: the one side has layers that the other has not."""
        common = self.above[a] & self.above[b]
        only_a, only_b = self.above[a] & ~common, self.above[b] & ~common
        (passed, _), (crossed, (branch, end)) = sorted(
            ((side & self.weights).bit_count(), (side, place)) for side, place in ((only_a, a), (only_b, b))
        )
        if common and (crossed >= 1 if not passed else passed == 1 and crossed >= 2):
            self.inner |= branch
            self.ends |= self.last(end, branch)

    def last(self, place: int, branch: int) -> set[str]:
        """The layers, norms included, that a branch ends with."""
        event = self.events[place]
        if not branch >> place & 1:
            return set()
        if event.name is not None and owns(self.parts[event.name]) and type(self.parts[event.name]).__name__ != "PReLU":
            return {event.name}
        inputs = event.inputs
        if plain_name(event.op) == "mul" and len(inputs) == 2:  # a gate does not carry the signal
            inputs = tuple(x for x in inputs if plain_name(self.events[x].op) not in NONLINEAR)[:1] or inputs[:1]
        return set().union(*(self.last(x, branch) for x in inputs)) if inputs else set()

    def source(self, place: int) -> str | None:
        """The layer whose output is this one's input, each channel by itself, with no norm between."""
        while len(inputs := self.events[place].inputs) == 1:
            (place,) = inputs
            event = self.events[place]
            plain = plain_name(event.op)
            if self.is_weight(event):
                return event.name
            kept = plain in NONLINEAR or plain in ("flatten", "identity", "contiguous") or "dropout" in plain or "pool" in plain
            if not kept or len(self.consumers[place]) > 1:
                return None
        return None
