"""Write `__init__.pyi`, so that editors know every class and its arguments: `python -m steepest.optim.stub`.

The classes are made from the table; this is the table as a type checker reads it.
"""

from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from steepest.optim import OPTIMIZERS

HEADER = """# Written by `python -m steepest.optim.stub` from the table; every edit is lost.
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from steepest.optim.optimizer import Optimizer as Optimizer

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]]
"""


def stub() -> str:
    return HEADER + "".join(_class(name, cls) for name, cls in OPTIMIZERS.items())


def _class(name: str, cls: type) -> str:
    base = (
        "Optimizer" if "Optimizer" in [c.__name__ for c in cls.__mro__ if c.__module__.startswith("steepest")] else "torch.optim.Optimizer"
    )
    lines, keyword_only = [], False
    for parameter in signature(cls.__init__).parameters.values():
        if parameter.kind is Parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            lines.append("*,")
        lines.append(_argument(parameter))
    body = "\n".join(f"        {line}" for line in lines)
    return f"\nclass {name}({base}):\n    def __init__(\n{body}\n    ) -> None: ...\n"


def _argument(parameter: Parameter) -> str:
    if parameter.default is Parameter.empty:
        return f"{parameter.name}," if parameter.name == "self" else f"{parameter.name}: Any,"
    default = "float('inf')" if parameter.default == float("inf") else repr(parameter.default)
    return f"{parameter.name}: {_type(parameter.name, parameter.default)} = {default},".replace("'", '"')


def _type(name: str, default: Any) -> str:
    if name == "lr":
        return "float | Tensor"
    if name == "adamw":
        return "Mapping[str, Any] | None"
    if default is None:
        return "Any"
    if isinstance(default, tuple):
        return f"tuple[{', '.join(_type('', x).replace('Any', 'float | None') for x in default)}]"
    return type(default).__name__


if __name__ == "__main__":
    (Path(__file__).parent / "__init__.pyi").write_text(stub())
