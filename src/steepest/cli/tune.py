"""`steepest tune`: a search for a better recipe, or for better arguments of somebody's own program."""

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from steepest.cli.console import console
from steepest.cli.progress import say
from steepest.cli.train import SET, stoppable, warned
from steepest.cli.trials import Trials
from steepest.records.folders import free

FOLDER = "studies"


def tune(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="TASK", help="As in steepest train; or, after --, a command of your own with {names} of the space in it."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="BUDGET", help="What it may cost: 10m, 16runs or 200epochs; 16runs if left out.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="FILE", help="What stays as it is where the space says nothing.")
    ] = None,
    space: Annotated[Path | None, typer.Option("--space", metavar="FILE", help="A TOML file with a table [space].")] = None,
    changes: SET = None,
    strategy: Annotated[
        str | None,
        typer.Option("--strategy", "--sampler", metavar="NAME", help="steepest; or grid, random, sobol, tpe, gp, cmaes, with a stopper."),
    ] = None,
    stopper: Annotated[str, typer.Option("--stopper", metavar="NAME", help="none, median, halving or hyperband.", show_default=False)] = "",
    objective: Annotated[
        str | None,
        typer.Option("--objective", metavar="METRIC", help="What is optimized: the loss, if left out. Several: accuracy,parameters."),
    ] = None,
    maximize: Annotated[bool, typer.Option("--maximize", help="Of a command of your own: more is better.")] = False,
    regex: Annotated[
        str | None, typer.Option("--metric-regex", metavar="REGEX", help="Of a command of your own: the number in its output.")
    ] = None,
    folds: Annotated[int, typer.Option("--folds", help="Cross-validate each trial in so many parts.")] = 0,
    seed: Annotated[int, typer.Option("--seed", help="What all decisions follow from.")] = 0,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes. One a core if left out.")] = None,
    width: Annotated[int, typer.Option("--width", help="Trials under way together, whatever the number of workers.")] = 4,
    threads: Annotated[int, typer.Option("--threads", help="Threads of a worker.")] = 1,
    limit: Annotated[
        float | None, typer.Option("--limit", metavar="SECONDS", help="After so long without a step a trial is taken to hang, and is lost.")
    ] = None,
    patient: Annotated[bool, typer.Option("--patient", help="Go on also where little gain is likely.")] = False,
    centre: Annotated[bool, typer.Option("--centre", help="First cut each range of lr to what a range test says of this model.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Where the study goes; studies/TASK-1 if left out.")] = None,
    again: Annotated[
        Path | None, typer.Option("--resume", metavar="STUDY", help="Go on with a study, exactly; --budget gives it more.")
    ] = None,
) -> None:
    """Search for a better recipe within a budget. Ctrl-C and worse lose nothing: --resume goes on.

    \b
    steepest tune digits-mlp --budget 1m
    steepest tune my_task.py --budget 16runs --space space.toml
    steepest tune --resume studies/my_task-1
    steepest tune --space space.toml --budget 20runs -- python train.py --lr {lr}
    """
    from steepest.core.errors import SettingError

    with stoppable():
        from steepest.search.plan import Plan
        from steepest.search.planning import planned
        from steepest.search.tune import Search, resumed

        count = workers if workers is not None else cores() // max(threads, 1)
        if count < 1:
            raise SettingError(f"--workers {count}: at least one is needed")
        if again is not None:
            if words:
                raise SettingError(f"--resume {again} knows its task; leave {words[0]} out")
            follow(resumed(again, budget, workers=count, silence=limit))
            return
        if not words:
            raise SettingError("say what to tune: a task, or after -- a command of your own")
        said: dict[str, Any] = {
            "budget": budget or "16runs", "seed": seed, "width": width, "threads": threads, "patient": patient,
            "strategy": strategy or ("tpe" if stopper or len(words) > 1 else "steepest"), "stopper": stopper,
        }  # fmt: skip
        if len(words) > 1:
            if recipe or changes or folds or centre:
                raise SettingError("--recipe, --set, --folds and --centre are about tasks; a command of your own is all in its words")
            plan = Plan(**said, **of_command(words, space, objective, regex, maximize))
        else:
            if regex or maximize:
                raise SettingError("--metric-regex and --maximize are about a command of your own; a task knows its metrics")
            base = base_recipe(words[0], recipe)
            said |= {"objective": objective or "", "folds": folds, "centre": centre}
            if centre:
                say(console(), "range tests, so that rates are searched where this model bears them")
            plan, _ = planned(words[0], base=base, changes=changes or (), space=space, **said)
            for sentence in plan.centred.get("words", ()):
                say(console(), sentence)
        follow(Search(plan, out or free(Path(FOLDER), plan.name), workers=count, silence=limit))


def base_recipe(task: str, said: str | None) -> Any:
    """What is not searched."""
    from steepest.cli.train import chosen_recipe
    from steepest.search.plan import usual_base

    return usual_base(task) if said is None else chosen_recipe(task, said)


def of_command(words: list[str], space: Path | None, objective: str | None, regex: str | None, maximize: bool) -> dict[str, Any]:
    from steepest.core.errors import SettingError
    from steepest.search.own import load_own_space
    from steepest.search.script import check, check_regex

    if space is None:
        raise SettingError("a command of your own needs --space FILE: what its {names} may be")
    found = load_own_space(space)
    check(words, [d.name for d in found.dimensions])
    if regex:
        check_regex(regex)
    return {
        "name": Path(words[-1] if len(words) == 1 else next((w for w in words[1:] if not w.startswith("-")), words[0])).stem,
        "command": tuple(words), "regex": regex, "full": 1, "space": tuple(found.facts()), "objective": objective or "auto",
        "better": "higher" if maximize else "lower",
    }  # fmt: skip


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def follow(search: Any, shown: type[Trials] = Trials, whole: Path | None = None) -> None:
    """To the end, showing how it goes. `whole` is the folder to go on with where the study is a part of it."""
    out = console()
    try:
        with warned(out), closing(search.run()) as events, shown(out, search) as trials:
            for event in events:
                trials.show(event)
    except KeyboardInterrupt:
        say(out, f"stopped; steepest {search.plan.verb} --resume {whole or search.log.folder} goes on")
        raise typer.Exit(130) from None
    trials.close()
