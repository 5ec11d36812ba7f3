"""All that can be said about a regularizer: the class is its own card."""

from typing import Any

from steepest.cli.cards import knob_fact, option_fact, paragraphs, table
from steepest.regularizers import REGULARIZERS

# Where the training loop calls it, by the abstract class it comes from.
CALLS = {
    "Penalty": "loss = loss + {}.loss(model)",
    "Projection": "{}.project(model)  # after each step",
    "BatchChange": "x, y = {}.change(x, y, generator)",
    "TargetChange": "loss = {}.loss(logits, target, base)  # base: the loss without it",
    "GradientChange": "{}.change(grads, generator, k)  # before step k",
    "Surgery": "model = {}.build(model)  # before training",
    "Adversarial": "x = {}.change(model, loss, x, y, generator)",
    "EarlyStopping": "state = {0}.observe(state, value)  # from {0}.start(), until {0}.stop(state)",
}


def regularizer_facts(name: str) -> dict[str, Any]:
    cls = REGULARIZERS[name]
    specs = {**cls.own_knobs(), **cls.own_options()}
    main = cls.main
    shorthand = f"{name} = {table(specs[main].default)}" if main in specs else f"{name} = {{}}"
    call = next((call for base in cls.__mro__ for known, call in CALLS.items() if base.__name__ == known), "")
    return dict(
        name=name,
        kind="regularizer",
        cls=cls.__name__,
        about=paragraphs(cls),
        paper=cls.paper,
        use=cls.use,
        hurts=cls.hurts,
        cost=cls.cost,
        measured=cls.measured,
        knobs=[knob_fact(of, spec) for of, spec in cls.own_knobs().items()],
        options=[option_fact(of, spec) for of, spec in cls.own_options().items()],
        note=f"The shorthand in a recipe sets {main}." if main else "",
        # Stopping is no part of the loss: a recipe has a section for it.
        recipe=["[stop]" if name == "early_stopping" else "[regularize]", shorthand.replace("early_stopping", "patience")],
        code=[
            "from steepest.regularizers import REGULARIZERS",
            f'{name} = REGULARIZERS["{name}"]({f"{main}={specs[main].default!r}" if main in specs else ""})',
            *([call.format(name)] if call else []),
        ],
    )
