"""`steepest compare`: which method is better on a task, and how sure that is."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from steepest.cli.comparing import Methods
from steepest.cli.train import SET, stoppable
from steepest.cli.tune import FOLDER, base_recipe, cores, follow
from steepest.cli.verdicts import show_several
from steepest.records import comparisons
from steepest.records.folders import free

# Axes, and how they are said.
NAMES = "Names with commas between."


def compare(
    tasks: Annotated[str | None, typer.Argument(metavar="TASK", help="As in steepest train; several with commas between.")] = None,
    rules: Annotated[str, typer.Option("--rules", metavar="NAMES", help=f"Optimizers. {NAMES}", show_default=False)] = "",
    inits: Annotated[str, typer.Option("--inits", metavar="NAMES", help="Initializers, or plans of them.", show_default=False)] = "",
    schedules: Annotated[str, typer.Option("--schedules", metavar="NAMES", help="Schedules of the rate.", show_default=False)] = "",
    models: Annotated[str, typer.Option("--models", metavar="NAMES", help="Models of the task.", show_default=False)] = "",
    recipes: Annotated[str, typer.Option("--recipes", metavar="FILES", help="Recipes as they are.", show_default=False)] = "",
    preset: Annotated[str, typer.Option("--preset", metavar="NAME", help="What it may cost: quick, usual or thorough.")] = "quick",
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", metavar="BUDGET", help="Trainings of each method, such as 20runs; with --unequal adamw=20runs,lion=15runs."
        ),
    ] = None,
    fresh: Annotated[int | None, typer.Option("--fresh", metavar="SEEDS", help="Seeds on which the best of each search is judged.")] = None,
    unequal: Annotated[bool, typer.Option("--unequal", help="Methods may search unequally much; all tables will say so.")] = False,
    recipe: Annotated[str | None, typer.Option("--recipe", metavar="FILE", help="What all methods have in common.")] = None,
    changes: SET = None,
    space: Annotated[Path | None, typer.Option("--space", metavar="FILE", help="A TOML file with a table [space].")] = None,
    objective: Annotated[str, typer.Option("--objective", metavar="METRIC", help="What counts; the task's own metric if left out.")] = "",
    target: Annotated[
        float | None, typer.Option("--target", metavar="SCORE", help="Whose time is taken; one that half of the methods reach if left out.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="What all decisions follow from.")] = 0,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes. One a core if left out.")] = None,
    width: Annotated[int, typer.Option("--width", help="Trainings under way together, whatever the number of workers.")] = 4,
    threads: Annotated[int, typer.Option("--threads", help="Threads of a worker.")] = 1,
    limit: Annotated[
        float | None,
        typer.Option("--limit", metavar="SECONDS", help="After so long without a step a training is taken to hang, and is lost."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Where it goes; studies/TASK-1 if left out.")] = None,
    again: Annotated[Path | None, typer.Option("--resume", metavar="FOLDER", help="Go on with a comparison, exactly.")] = None,
) -> None:
    """Compare methods: each is tuned alike, its best is judged on fresh seeds, and it is said what that shows, or that it shows nothing.

    Two axes may be crossed. Ctrl-C and worse lose nothing: --resume goes on.

    \b
    steepest compare digits-mlp --rules sgd,adamw,lion,muon
    steepest compare my_task.py --rules adamw,lion --inits he,orthogonal --preset usual
    steepest compare my_task.py --recipes a.toml,b.toml --budget 20runs
    steepest compare digits-mlp,lenet5-mnist --rules sgd,adamw
    steepest compare --resume studies/digits-mlp-1
    """
    from steepest.core.errors import SettingError

    with stoppable():
        count = workers if workers is not None else cores() // max(threads, 1)
        if count < 1:
            raise SettingError(f"--workers {count}: at least one is needed")
        settings: dict[str, Any] = {"workers": count, "silence": limit}
        axes = {"rules": rules, "inits": inits, "schedules": schedules, "models": models, "recipes": recipes}
        said = {axis: parts(axis, text) for axis, text in axes.items() if text}
        if again is not None:
            if tasks or said:
                raise SettingError(f"--resume {again} knows its task and its methods; leave {tasks or f'--{next(iter(said))}'} out")
            go_on(again, settings)
            return
        if not tasks:
            raise SettingError("say on what to compare: a task")
        from steepest.compare.protocol import Wanted, asked
        from steepest.compare.several import begin_all
        from steepest.search.tune import Search

        names = [name.strip() for name in tasks.split(",")]
        wanted = Wanted(
            said, preset=preset, budget=budget, fresh=fresh, unequal=unequal, space=space, objective=objective, target=target, seed=seed,
            width=width, threads=threads, changes=changes or (),
        )  # fmt: skip
        if len(names) > 1:
            if recipe:
                raise SettingError("--recipe is about one task; of several each has its own")
            folder = out or free(Path(FOLDER), "compare")
            begin_all(wanted, names, folder)
            go_on(folder, settings)
            return
        if recipe:
            wanted = replace(wanted, base=base_recipe(names[0], recipe))
        plan, _ = asked(wanted, names[0])
        follow(Search(plan, out or free(Path(FOLDER), plan.name), **settings), Methods)


def parts(axis: str, text: str) -> list[str]:
    from steepest.core.errors import SettingError

    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise SettingError(f"--{axis} {text}: a name is empty; write them with one comma between")
    return names


def go_on(folder: Path, settings: dict[str, Any]) -> None:
    from steepest.compare.protocol import resumed
    from steepest.compare.several import searches

    if not comparisons.is_several(folder):
        follow(resumed(folder, **settings), Methods)
        return
    for search in searches(folder, **settings):
        follow(search, Methods, folder)
    show_several(folder)
