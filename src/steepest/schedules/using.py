"""What schedules are put into: a torch optimizer, a picture. torch and altair are imported when they are needed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steepest.core.errors import SettingError
from steepest.schedules.reading import read
from steepest.schedules.span import Length

if TYPE_CHECKING:
    from steepest.schedules.scheduler import Scheduler

BLUE, RED, GREEN, GRAY = "#2a6fbb", "#c8452d", "#3c8c5a", "#8a8a8a"
POINTS = 1001


def torch_scheduler(optimizer: Any, schedule: Any, *, steps: int | None = None, length: Length | None = None) -> "Scheduler":
    """An `LRScheduler` of torch: call `step()` after each `optimizer.step()`. One schedule is for lr; several are `{knob: schedule}`.

    Steps are those of the optimizer: micro-batches that are accumulated count as one. Resuming needs the step alone.
    """
    from steepest.schedules.scheduler import Scheduler

    several = isinstance(schedule, Mapping) and "shape" not in schedule
    schedules = {knob: read(x) for knob, x in (schedule if several else {"lr": schedule}).items()}
    return Scheduler(optimizer, schedules, run_length(steps, length))


def run_length(steps: int | None, length: Length | None) -> Length:
    if (steps is None) == (length is None):
        raise SettingError("say how long the run is: steps=1000, or length=Length(steps=1000, epochs=10), and not both")
    return Length(steps) if length is None else length  # type: ignore[arg-type]


def plot(schedules: Any, *, length: Length | None = None, base: float = 1.0, title: str = "") -> Any:
    """The curves as an altair chart, which saves as PNG, SVG or HTML: `plot("warmup_cosine").save("curve.png", ppi=150)`.

    One schedule, or several as `{name: schedule}`; with `length` over its steps, else over progress.
    """
    import altair as alt

    several = isinstance(schedules, Mapping) and "shape" not in schedules
    curves = {name: read(x) for name, x in (schedules if several else {"": schedules}).items()}
    last = length.last if length else 1
    rows = []
    for name, schedule in curves.items():
        made = schedule.resolve(length) if length else schedule
        points = min(POINTS, last + 1) if length else POINTS
        xs = [i / max(points - 1, 1) for i in range(points)]
        rows += [{"x": x * last, "y": base * made(x), "schedule": name} for x in xs]
    across = alt.Axis(format=",d" if length else "%", grid=False, tickCount=5)
    x = alt.X("x:Q", title="step" if length else "progress", axis=across, scale=alt.Scale(domain=[0, last], nice=False))
    y = alt.Y("y:Q", title="factor" if base == 1 else "value", axis=alt.Axis(tickCount=5), scale=alt.Scale(zero=True))
    colors = alt.Scale(domain=list(curves), range=[BLUE, RED, GREEN, GRAY])
    color = alt.Color("schedule:N", title=None, scale=colors, legend=alt.Legend(orient="bottom") if several else None)
    chart = alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=2, interpolate="linear", clip=True).encode(x, y, color)
    head = alt.TitleParams(title, anchor="start", frame="group", fontSize=14)
    whole = chart.properties(width=520, height=220, title=head, padding=14, background="white")
    return whole.configure_view(stroke=None).configure_axis(
        gridColor="#e8e8e8", domain=False, tickColor="#cccccc", labelColor="#444444", titleColor="#444444", titleFontWeight="normal"
    )
