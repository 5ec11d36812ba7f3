"""The sections that are about no algorithm: every key once, with its default, its range and its meaning."""

from math import inf

from steepest.core.errors import SettingError
from steepest.core.knob import knob, option
from steepest.train.kinds import Section, every, whole


class Optimizing(Section):
    """How the rules of [optimizer] are given to parameters, and run."""

    plan: str = option(
        "plain",
        "plain: one rule for all that no group claims; decay: no weight decay on biases, norms and embeddings; "
        "muon: the rule for matrices between layers, [optimizer.others] for the rest",
        choices=("plain", "decay", "muon"),
    )
    layerwise_decay: float = knob(1.0, "lr times this for each block away from the output", valid=(0, 1), closed=True, search=(0.5, 1.0))
    engine: str = option("auto", "what executes the rules", choices=("auto", "fused", "compiled", "reference"))
    master_weights: bool = option(False, "keep a float32 copy of bfloat16 and float16 parameters")

    def check(self) -> None:
        if not self.layerwise_decay:
            raise SettingError("Optimizing.layerwise_decay = 0 would stop every block but the last; it must be above 0")


class Batch(Section):
    size: int | str = whole(128, 'samples per step; "full": all there are', words=("full",))
    micro: int | None = whole(None, "samples at a time where a batch does not fit into memory; gradients are accumulated")
    last: str = option("keep", "what becomes of an incomplete batch at the end of an epoch", choices=("keep", "drop"))
    keep_ratio: bool = option(False, "where a schedule changes the batch size, change lr with it, so that their ratio stays")


class Stop(Section):
    epochs: int | None = whole(10, "passes over the data; with steps too, whichever ends first")
    steps: int | None = whole(None, "optimizer steps; said without epochs, they alone decide")
    patience: int | None = whole(None, "evaluations without improvement before the run ends early")
    minimum: float = knob(0.0, "the least change of the metric that counts as improvement", valid=(0, inf))
    metric: str = option("auto", 'the metric that is watched; "auto": the first of the task')
    weights: str = option("best", "which weights a run ends with: those of its best evaluation, or the last", choices=("best", "last"))
    extended: str = option(
        "stretch",
        "what schedules do when a run is resumed for longer: stretch over the new length, or hold their last value",
        choices=("stretch", "hold"),
    )

    @classmethod
    def usual(cls, given):
        # A number of steps is a length: beside it there is no usual number of epochs.
        return super().usual(given) | ({"epochs": None} if "steps" in given else {})


class Run(Section):
    seed: int = whole(0, "what all random numbers follow from", low=0)
    threads: int | str = whole(
        "auto", 'CPU threads; "auto": 1 where a step is less than a billion operations, else as many as torch takes', words=("auto",)
    )
    device: str = option("auto", "where to train; auto: on cuda if there is any, else on cpu", choices=("auto", "cpu", "cuda"))
    precision: str = option("float32", "what layers compute in (weights stay float32)", choices=("float32", "bfloat16", "float16"))
    compile: bool = option(False, "compile the model with torch.compile")
    deterministic: bool = option(False, "refuse operations that give other bits each time")
    on_nan: str = option(
        "rollback",
        "at a NaN or Inf: rollback to the last good state and lower lr, skip the step, or stop; "
        "at a spike of the loss: rollback or skip, as with NaN; stop lets it be",
        choices=("rollback", "skip", "stop"),
    )
    evaluate_every: str = every("1 epoch", "how often the validation data are looked at", "steps", "epochs")
    checkpoint_every: str = every("5 minutes", "how much work a crash may cost", "steps", "epochs", "seconds", "minutes", "hours")
    keep: int = whole(2, "how many checkpoints stay")
