"""All sections together: read, held against each other, and written."""

from collections.abc import Iterator, Mapping

from steepest.core.errors import SettingError, nearest
from steepest.train.readers import READERS, knobs
from steepest.train.reading import Part, Table, table_at, without
from steepest.train.toml import shown, write, written_key

VERSION = 1


def read_all(tables: Table) -> dict[str, Part]:
    """The parts by section, in order. What a schedule may name depends on other sections, so it comes last."""
    version = tables.pop("version", VERSION)
    if version != VERSION or type(version) is not int:
        raise SettingError(f"version = {shown(version)}: this steepest reads recipes of version {VERSION}; use the steepest that wrote it")
    for name in tables:
        if name not in READERS:
            raise SettingError(f"{written_key(name)}: unknown section{nearest(name, READERS)}")
    texts = {name: table_at(tables.get(name, {}), name) for name in READERS}
    parts = {name: read(texts[name]) for name, read in READERS.items() if name != "schedule"}
    parts["schedule"] = READERS["schedule"](texts["schedule"], knobs(parts["optimizer"].made, parts["regularize"].made))
    check_together(parts)
    return {name: parts[name] for name in READERS}


def check_together(parts: Mapping[str, Part]) -> None:
    name, micro = parts["driver"].whole["name"], parts["batch"].made.micro
    if micro and name not in ("plain", "accumulate"):
        raise SettingError(f"batch.micro = {micro}: only driver plain accumulates gradients, not {name}")
    if name == "accumulate" and not micro:
        raise SettingError("driver.name = accumulate needs batch.micro, the samples at a time")


def write_all(parts: Mapping[str, Part]) -> str:
    blocks = [block for name, part in parts.items() for block in blocks_of(name, part)]
    return write([("", {"version": VERSION}), *blocks])


def blocks_of(name: str, part: Part) -> Iterator[tuple[str, Table]]:
    """A section as heads and what stands below them."""
    if name == "optimizer":
        yield "[optimizer]", without(part.whole, "wrap", "others", "group")
        for wrapper, settings in part.whole.get("wrap", {}).items():
            yield f"[optimizer.wrap.{wrapper}]", settings
        if "others" in part.whole:
            yield "[optimizer.others]", part.whole["others"]
        for group in part.whole.get("group", []):
            yield "[[optimizer.group]]", group
    elif name == "regularize" and part.whole:  # where there is one setting, the main one, its value says all
        yield "[regularize]", {key: x[part.made[key].main] if [*x] == [part.made[key].main] else x for key, x in part.whole.items()}
    elif part.whole:
        yield f"[{name}]", part.whole
