"""How far training is: one line that moves on a terminal, plain lines elsewhere."""

from math import inf
from time import monotonic
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

# Width of the bar.
BAR = 10
# Seconds between two looks of the moving line, and between two lines without a terminal where nothing is evaluated.
LOOK, SILENCE = 0.1, 60.0


class Line:
    """Progress as it is told: one line that moves on a terminal; elsewhere a line per evaluation, and one a minute between them."""

    def __init__(self, out: Console) -> None:
        self.out = out
        self.live = Live(console=out, transient=True, auto_refresh=False) if out.is_terminal else None
        self.measured = ""
        self.pace = Pace()
        self.shown = -inf

    def __enter__(self) -> "Line":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.live:
            self.live.stop()

    def show(self, step: Any) -> None:
        now = monotonic()
        self.pace.add(step, now)
        if step.evaluation:
            # Beside the training loss another one confuses; it is told where nothing else was measured.
            found = {name: x for name, x in step.evaluation.items() if name != "loss"} or {"valid loss": step.evaluation["loss"]}
            self.measured = "  ".join(f"{name} {digits(x)}" for name, x in found.items())
        if step.event:
            say(self.out, step.event["message"], "yellow")
        if self.live and (now - self.shown > LOOK or step.evaluation):
            self.live.update(moving(step, self.measured, self.pace, self.out.width), refresh=True)
            self.shown = now
        elif not self.live and (step.evaluation or now - max(self.shown, self.pace.began) > SILENCE):
            where = f"epoch {step.epoch + 1}  step {step.number + 1}/{step.steps}"
            say(self.out, "  ".join([where, *told(step, self.measured, self.pace)]))
            self.shown = now


class Pace:
    """How fast it goes, from the end of the first step on: the first is slow, since kernels are made in it."""

    def __init__(self) -> None:
        self.began = self.now = 0.0
        self.first = self.number = self.samples = -1

    def add(self, step: Any, now: float) -> None:
        if self.first < 0:
            self.began, self.first, self.samples = now, step.number, 0
        else:
            self.samples += step.samples
        self.now, self.number = now, step.number

    @property
    def speed(self) -> float | None:
        """Samples per second."""
        return self.samples / (self.now - self.began) if self.samples > 0 and self.now > self.began else None

    def left(self, steps: int) -> float | None:
        """Seconds to the end."""
        done = self.number - self.first
        return (steps - 1 - self.number) * (self.now - self.began) / done if done > 0 else None


def told(step: Any, measured: str, pace: Pace) -> list[str]:
    """What is said of a step, the most important first. Each part is as wide as the next time."""
    parts = [f"loss {digits(step.loss)}", measured, f"lr {step.rate:.3g}".ljust(11)]
    if pace.speed is not None:
        parts.append(f"{pace.speed:,.0f} samples/s" if pace.speed >= 10 else f"{pace.speed:.1f} samples/s")
    return [part for part in parts if part]


def moving(step: Any, measured: str, pace: Pace, width: int) -> Text:
    """One line, however narrow the terminal: what does not fit is left out from the end."""
    done = (step.number + 1) / step.steps
    filled = int(BAR * done)
    text = Text.assemble(("━" * filled, "green"), ("━" * (BAR - filled), "bright_black"), f" {100 * done:3.0f} %")
    left = pace.left(step.steps)
    parts = [f"epoch {step.epoch + 1}".ljust(8), "" if left is None else f"{clock(left)} left".rjust(9), *told(step, measured, pace)]
    for part in filter(None, parts):
        if text.cell_len + 2 + len(part) >= width:
            break
        text.append("  " + part)
    return text


def digits(x: float) -> str:
    """Four digits, and always as wide: 0.1234, 12.35, 1.235e-05."""
    return f"{x:#.4g}".rstrip(".").ljust(7)


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}" if minutes else f"{rest} s"


def say(out: Console, text: str, style: str = "") -> None:
    """A line as it is: nothing in it is markup, and nothing is cut."""
    out.print(Text(text, style=style), soft_wrap=True)
