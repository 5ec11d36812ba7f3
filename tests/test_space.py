"""Spaces: points that make recipes, conditions, samplers, and what is said of a mistake."""

import json
import re
from collections.abc import Mapping
from itertools import product
from math import e, inf, log
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from training import points, task

from steepest.core.errors import SettingError
from steepest.search.defaults import space_of
from steepest.search.dimension import Dimension
from steepest.search.modeled import MODELED
from steepest.search.own import load_own_space
from steepest.search.portfolio import Measured, Portfolio, apart, greedy, lost, portfolio, regrets, usual, within
from steepest.search.portfolio import points as portfolio_points
from steepest.search.samplers import SAMPLERS, grid, sampler
from steepest.search.space import Space
from steepest.search.told import load_space, read_space
from steepest.tasks import TASKS
from steepest.train.recipe import Recipe


def model(width: int = 8, depth: int = 2, dropout: float = 0.1, scale: float = 1.0, classes: int = 2) -> nn.Module:
    layers = [x for _ in range(depth) for x in (nn.Linear(2, 2), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(2, width), nn.Dropout(dropout), nn.Linear(width, classes))


def other(hidden: int = 4) -> nn.Module:
    return nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, 2))


ONE, TWO = task(model=model), task(model={"deep": model, "flat": other})
BASE = Recipe({"stop": {"epochs": 6}, "run": {"threads": 1}})
SPACES = [
    (ONE, BASE),
    (TWO, BASE),
    (task(model=model, data=points(), loss="mse", metrics=[]), BASE),
    (ONE, Recipe({"optimizer": {"rule": "momentum", "dampening": 0.1, "lr": 0.05}, "batch": {"size": 48}})),
    (ONE, Recipe({"optimizer": {"rule": "muon", "plan": "muon"}, "schedule": {"lr": {"shape": "step", "at": ["50%"]}}})),
    (ONE, Recipe({"optimizer": {"rule": "lbfgs"}})),
    (ONE, Recipe({"optimizer": {"wrap": {"clip": {"norm": 2.0}}}, "schedule": {"lr": "cosine"}, "batch": {"size": "full"}})),
]


def small(**more: Any) -> Space:
    return Space(
        [
            Dimension("optimizer.rule", "optimizer.rule", choices=("adamw", "momentum")),
            Dimension("adamw.lr", "optimizer.lr", 1e-4, 1e-1, log=True, when=(("optimizer.rule", ("adamw",)),), points=3),
            Dimension("momentum.lr", "optimizer.lr", 1e-3, 1.0, log=True, when=(("optimizer.rule", ("momentum",)),), points=3),
            Dimension("batch.size", "batch.size", choices=(16, 32)),
            *(Dimension(name, name, **said) for name, said in more.items()),
        ]
    )


def places(space: Space) -> st.SearchStrategy[dict[str, float]]:
    return st.fixed_dictionaries({name: st.floats(0, 1) for name in space.by_name})


# --- points -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", SPACES, ids=range(len(SPACES)))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_point_makes_a_recipe_that_says_what_it_says(case, data):
    mine, base = case
    space = space_of(mine, base)
    point = space.at(data.draw(places(space)))
    recipe = space.recipe(base, point)
    recipe.check(mine.factories)
    assert json.loads(json.dumps(point)) == point
    for path, value in space.changes(point).items():
        if value is None:
            with pytest.raises(SettingError):
                recipe[path]
        elif path == "schedule.lr":
            assert recipe[path] == value
        elif path == "regularize.label_smoothing":
            assert recipe[path] == {"smoothing": value}
        else:
            assert recipe[path] == value
    assert recipe.stop.epochs == base.stop.epochs  # how long is no choice


@pytest.mark.parametrize("case", SPACES, ids=range(len(SPACES)))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_dimension_is_there_if_and_only_if_its_condition_holds(case, data):
    space = space_of(*case)
    point = space.at(data.draw(places(space)))
    for d in space.dimensions:
        wanted = all(name in point and point[name] in values for name, values in d.when)
        assert (d.name in point) == wanted == d.applies(point)
    assert list(point) == [d.name for d in space.dimensions if d.name in point]


@pytest.mark.parametrize("case", SPACES, ids=range(len(SPACES)))
def test_facts_are_the_space(case):
    space = space_of(*case)
    assert Space.of_facts(json.loads(json.dumps(space.facts()))).facts() == space.facts()
    assert Space.of_facts(space.facts()) == space


RANGES = [
    Dimension("a", "optimizer.lr", 1e-5, 0.1, log=True),
    Dimension("b", "optimizer.lr", 0.0, 0.2),
    Dimension("c", "batch.size", 1, 4, integer=True),
    Dimension("d", "batch.size", 1, 1000, log=True, integer=True),
    Dimension("e", "optimizer.plan", choices=(None, {"norm": 1.0}, 1, 1.0, True)),
    Dimension("f", "optimizer.beta2", 0.9, 0.9999, log=True),
]


@pytest.mark.parametrize("d", RANGES, ids=lambda d: d.name)
@given(u=st.floats(0, 1))
def test_a_value_lies_in_its_dimension_and_near_its_place(d, u):
    value = d.at(u)
    assert d.has(value) and d.at(d.place(value)) == value
    if not d.choices and not d.integer:
        assert abs(d.place(value) - u) < 0.005
    if d.integer:
        assert type(value) is int


def test_whole_numbers_have_equal_shares():
    d = RANGES[2]
    assert [d.at(u / 8) for u in range(8)] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert [RANGES[4].at(u / 5 + 0.01) for u in range(5)] == [None, {"norm": 1.0}, 1, 1.0, True]
    assert not RANGES[4].has(False) and not RANGES[2].has(True) and not RANGES[2].has(2.0) and not RANGES[1].has("x")


def test_decays_count_by_what_is_missing_to_1():
    d = Dimension("b", "optimizer.beta2", 0.9, 0.9999, log=True)
    assert [d.at(k / 3) for k in range(4)] == [0.9, 0.99, 0.999, 0.9999] and d.place(0.99) == pytest.approx(1 / 3)
    assert all(d.at(d.place(d.at(k / 100))) == d.at(k / 100) for k in range(101)) and d.within(0.999494) == 0.999494
    assert not Dimension("s", "x", 0.1, 0.9, log=True).fading and not Dimension("s", "x", 0.9, 1.0, log=True).fading
    for name in MODELED:
        seen = [({"b": d.at(k / 12)}, abs(k / 12 - 0.8)) for k in range(12)]
        found = [sampler(name, Space([d]), seed).propose(12, seen)["b"] for seed in range(8)]
        assert all(map(d.has, found)) and sum(x > 0.99 for x in found) >= 3, (name, found)  # by differences a tenth would


def test_the_default_space_reads_the_task():
    one, two, numbers = (set(space_of(t, BASE).by_name) for t in (ONE, TWO, SPACES[2][0]))
    assert {"model.width", "model.depth", "model.dropout", "regularize.label_smoothing", "muon.lr", "optimizer.wrap.clip"} <= one
    assert not {"model.classes", "model.scale", "model.name"} & one
    assert {"model.name", "deep.width", "flat.hidden"} <= two and "model.width" not in two
    assert "regularize.label_smoothing" not in numbers
    lines = task(model=lambda: nn.Linear(2, 2))  # no matrix between layers
    assert "muon" not in space_of(lines, BASE).by_name["optimizer.rule"].choices
    assert space_of(*SPACES[5]).by_name["optimizer.rule"].choices == ("lbfgs",)
    assert space_of(*SPACES[3]).by_name["momentum.lr"].usual == 0.05 and space_of(*SPACES[3]).by_name["batch.size"].choices[1] == 48


def test_another_rule_leaves_the_old_ones_knobs_behind():
    base = Recipe({"optimizer": {"rule": "momentum", "dampening": 0.1, "lr": 0.05, "plan": "decay", "weight_decay": 0.1}})
    space = small()
    recipe = space.recipe(base, {"optimizer.rule": "adamw", "adamw.lr": 1e-3, "batch.size": 16})
    assert recipe.changes() == {"optimizer.plan": "decay", "batch.size": 16}
    recipe = space.recipe(base, {"optimizer.rule": "momentum", "momentum.lr": 0.01, "batch.size": 16})
    assert recipe["optimizer.dampening"] == 0.1 and recipe["optimizer.lr"] == 0.01


# --- what a user says ---------------------------------------------------------------------------------


def said(mine: Any = ONE, base: Recipe = BASE, **table: Any) -> Space:
    return read_space({key.replace("__", "."): x for key, x in table.items()}, mine, base)


def test_only_what_is_said():
    space = said(only=True, optimizer__lr={"low": 1e-4, "high": 0.1, "log": True, "points": 3}, batch__size=[32, 64], model__width=64)
    assert list(space.by_name) == ["optimizer.lr", "batch.size", "model.width"]
    assert [space.recipe(BASE, p)["optimizer.lr"] for p in grid(space)] == [1e-4, 1e-4, 3.16e-3, 3.16e-3, 0.1, 0.1]
    assert {space.recipe(BASE, p)["model.width"] for p in grid(space)} == {64}


def test_what_is_said_takes_the_place_of_the_default():
    default = space_of(ONE, BASE)
    space = said(batch={"size": [8]}, adamw__lr={"low": 1e-3, "high": 1e-2})
    assert list(space.by_name) == list(default.by_name)
    assert space.by_name["batch.size"].choices == (8,)
    lr = space.by_name["adamw.lr"]
    assert (lr.low, lr.high, lr.log, lr.path, lr.when) == (1e-3, 1e-2, True, "optimizer.lr", default.by_name["adamw.lr"].when)
    assert not {"adamw.lr", "momentum.lr", "lion.lr"} & set(said(optimizer__lr={"low": 1e-3, "high": 1e-2}).by_name)


def test_a_rule_that_is_left_out_takes_its_knobs_along_and_one_more_brings_its_own():
    space = said(optimizer__rule=["adamw", "adan"])
    assert {"adamw.lr", "adan.lr"} <= set(space.by_name) and "lion.lr" not in space.by_name
    space = said(optimizer__rule="momentum")
    assert "adamw.lr" not in space.by_name and "momentum.lr" in space.by_name


def test_a_knob_that_not_every_rule_has_goes_with_those_that_do():
    space = said(only=True, optimizer__eps={"low": 1e-9, "high": 1e-6, "log": True}, optimizer__rule=["adamw", "momentum"])
    assert [sorted(p) for p in (space.at({"optimizer.rule": u, "optimizer.eps": 0.5}) for u in (0, 1))] == [
        ["optimizer.eps", "optimizer.rule"],
        ["optimizer.rule"],
    ]


def test_off_whole_numbers_and_conditions():
    table = {"only": True, "optimizer.wrap.clip": ["off", {"norm": 0.5}], "optimizer.lr": {"low": 0, "high": 1, "log": False}}
    space = read_space(table | {"model.width": {"low": 4, "high": 9, "when": {"optimizer.wrap.clip": "off"}}}, ONE, BASE)
    clipped = [space.recipe(BASE, space.at(dict.fromkeys(space.by_name, u))) for u in (0.1, 0.9)]
    assert "clip" not in str(clipped[0]) and clipped[1]["optimizer.wrap.clip.norm"] == 0.5
    assert not space.by_name["optimizer.lr"].integer and space.by_name["model.width"].integer


def test_a_file(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text('[space]\nonly = true\n"optimizer.lr" = { low = 1e-4, high = 1e-1, log = true }\n[space.batch]\nsize = [8, 16]\n')
    assert list(load_space(path, ONE, BASE).by_name) == ["optimizer.lr", "batch.size"]
    path.write_text('only = true\n"optimizer.lr" = { low = 1, high = 0.1 }\n')
    with pytest.raises(SettingError, match=r"space\.toml: space: optimizer\.lr\.low = 1 is above high = 0\.1"):
        load_space(path, ONE, BASE)
    with pytest.raises(SettingError, match="No such file"):
        load_space(tmp_path / "none.toml", ONE, BASE)
    for said, error in (
        (b"[space]\nlr = = 3", "this is not TOML"),
        (b"caf\xe9", "this is not text"),
        (b"space = 3", "space = 3 must be a table"),
    ):
        path.write_bytes(said)
        for load in (lambda path: load_space(path, ONE, BASE), load_own_space):
            with pytest.raises(SettingError, match=f"^{re.escape(str(path))}: {error}"):  # and the place is named once
                load(path)


LR = "optimizer.lr"
MISTAKES: list[tuple[Mapping[str, Any], str]] = [
    ({"only": True}, "space: it is empty; name at least one value to choose"),
    ({LR: {"low": 0.1, "high": 0.01}}, "optimizer.lr.low = 0.1 is above high = 0.01"),
    ({LR: {"low": 0.1, "high": 0.1}}, "optimizer.lr has low = high = 0.1; a fixed value is said without a range: optimizer.lr = 0.1"),
    ({LR: {"low": 0, "high": 0.1, "log": True}}, "optimizer.lr.low = 0 has no logarithm; take low above 0, or log = false"),
    ({LR: {"low": 0.1}}, "optimizer.lr needs low and high, or choices that are not empty"),
    ({LR: []}, "optimizer.lr needs low and high, or choices that are not empty"),
    ({LR: {"low": 0.1, "high": inf}}, "optimizer.lr.high = inf is not a finite number"),
    ({LR: {"low": "a", "high": 1}}, 'optimizer.lr.low = "a" is not a finite number'),
    ({LR: {"low": 0.1, "high": 1, "log": 3}}, "optimizer.lr.log = 3 must be true or false"),
    ({LR: {"low": 0.1, "high": 1, "points": 1}}, "optimizer.lr.points = 1; it is how many values of a range a grid takes, 2 or more"),
    ({LR: {"low": 0.1, "hihg": 1}}, "optimizer.lr.hihg: unknown key of a range; did you mean high?"),
    ({LR: {"low": -1, "high": 1, "log": False}}, "optimizer.lr = -1 is outside [0, inf)"),
    ({LR: [0.1, 0.1]}, "optimizer.lr has the choice 0.1 twice"),
    ({LR: {"choices": 3}}, "optimizer.lr.choices = 3 must be a list"),
    ({LR: {"low": 0.1, "high": 1, "when": "adamw"}}, 'optimizer.lr.when = "adamw" must be a table'),
    ({LR: {"low": 0.1, "high": 1, "when": {"batch.sise": 3}}}, "optimizer.lr depends on 'batch.sise', which does not come before it"),
    ({"optimizer.lrr": [1.0]}, "optimizer.lrr: unknown knob of adamw; did you mean lr?"),
    ({"adamv.lr": [1.0]}, "space: unknown 'adamv.lr'; did you mean adamw.lr?"),
    ({"optimizer.rule": ["adamww"]}, 'optimizer.rule = "adamww": unknown rule; did you mean adamw?'),
    ({"optimizer.rule": "adamw", "lion.lr": [1.0]}, "space: unknown 'lion.lr'"),
    ({"model.widht": [3]}, "model.widht: unknown argument of model; did you mean width?"),
    ({"model.width": [3.5]}, "model.width = 3.5 must be of the kind of its default, 8"),
    ({"model.width": {"low": 1.5, "high": 3, "integer": True}}, "model.width.low = 1.5 must be whole"),
    ({"stop.epochs": [3]}, "stop.epochs is no choice of a search"),
    ({"run.seed": [3]}, "run.seed is no choice of a search"),
    ({"schedule.lr": ["cosine"], "schedule.lr.shape": ["cosine"]}, "contradict each other: both decide schedule.lr"),
    ({"schedule.lr": ["cosinus"]}, "there is no schedule 'cosinus'"),
    ({"only": 3}, "space.only = 3 must be true or false"),
]


@pytest.mark.parametrize(("table", "message"), MISTAKES, ids=[m[:40] for _, m in MISTAKES])
def test_mistakes_are_said_in_a_line(table, message):
    with pytest.raises(SettingError) as error:
        read_space({"only": True} | dict(table), ONE, BASE)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_mistakes_of_whoever_makes_a_space():
    lr = Dimension("lr", LR, 0.1, 1.0)
    for dimensions, message in [
        ([lr, lr], "lr is there twice"),
        ([lr, Dimension("a", LR, choices=(1,))], "lr and a contradict each other: both decide optimizer.lr"),
        ([lr, Dimension("a", "batch.size", choices=(1,), when=(("lr", (3.0,)),))], "a depends on lr = [3.0], which lr never is"),
    ]:
        with pytest.raises(SettingError, match=message.replace("[", r"\[").replace(".", r"\.")):
            Space(dimensions)
    with pytest.raises(SettingError, match=r"space: it has no 'lrr'; did you mean lr\?"):
        Space([lr]).recipe(BASE, {"lrr": 1})
    with pytest.raises(SettingError, match=r"space: lr = 3 is not in it"):
        Space([lr]).draw(lambda d: 3)
    with pytest.raises(SettingError, match="must be a table"):
        read_space([], ONE, BASE)


# --- samplers -----------------------------------------------------------------------------------------


def bowl(point: Mapping[str, Any]) -> float:
    return point.get("adamw.lr", 0.5) + 0.1 * point["batch.size"]


@pytest.mark.parametrize("name", SAMPLERS)
def test_proposals_are_in_the_space_pure_and_follow_from_the_seed(name):
    space, seen = small(), []
    one, two, third = sampler(name, space, 3), sampler(name, space, 3), sampler(name, space, 4)
    for i in range(12):
        point = one.propose(i, seen)
        assert point == one.propose(i, list(seen)) == two.propose(i, seen) == space.draw(lambda d, point=point: point[d.name])
        seen.append((point, inf if i == 4 else bowl(point)))
    assert sampler(name, space, 3).propose(11, seen[:11]) == seen[11][0]  # another process, which saw nothing before
    assert sampler(name, space, 3).propose(5, seen[:5]) == seen[5][0] == one.propose(5, seen[:5])
    assert len({json.dumps(point) for point, _ in seen}) > 9
    if name != "grid":
        assert [third.propose(i, seen[:i]) for i in range(12)] != [point for point, _ in seen]


def test_registries_agree():
    assert set(MODELED) < set(SAMPLERS)
    with pytest.raises(SettingError, match=r"unknown sampler 'tpee'; did you mean tpe\?"):
        sampler("tpee", small())


def test_a_grid_is_every_combination_once():
    found = list(grid(small()))
    assert [p["batch.size"] for p in found] == [16, 32] * 6 and len(found) == len({json.dumps(p) for p in found})
    assert {p["adamw.lr"] for p in found[:6]} == {1e-4, 3.16e-3, 1e-1}
    whole = sampler("grid", small())
    assert [whole.propose(i, []) for i in range(13)] == [*found, None]
    flat = Space([Dimension("a", "x", choices=(1, 2)), Dimension("b", "y", 0, 2, integer=True, points=9)])
    assert [tuple(p.values()) for p in grid(flat)] == list(product((1, 2), (0, 1, 2)))
    with pytest.raises(SettingError, match=r"grid: a is a range; say how many of it: \{ low = 0, high = 1, points = 5 \}"):
        sampler("grid", Space([Dimension("a", "x", 0.0, 1.0)]))


def test_sobol_leaves_fewer_holes_than_chance():
    space = Space([Dimension("a", "x", 0.0, 1.0), Dimension("b", "y", 0.0, 1.0)])

    def cells(name: str) -> int:
        drawn = [sampler(name, space, 1).propose(i, []) for i in range(64)]
        return len({(int(p["a"] * 8), int(p["b"] * 8)) for p in drawn})

    assert cells("sobol") >= 56 > cells("random")


# --- the portfolio ------------------------------------------------------------------------------------


def test_the_portfolio_fits_every_space():
    for mine, base in SPACES:
        space = space_of(mine, base)
        found = portfolio_points(space, base)
        assert len({json.dumps(p) for _, p in found}) == len(found)
        for _, point in found:
            assert point == space.draw(lambda d, point=point: point[d.name])
            space.recipe(base, point).check(mine.factories)
    assert len(portfolio_points(space_of(ONE, BASE), BASE)) == len(portfolio().recipes) + 1


def test_a_recipe_is_brought_into_a_space():
    space = said(only=True, optimizer__lr={"low": 1e-4, "high": 1e-3, "log": True}, batch__size=[16, 48], regularize__label_smoothing=[0.3])
    wanted = {"optimizer.rule": "adamw", "optimizer.lr": 0.01, "batch.size": 32, "schedule.lr": {"shape": "x"}, "model.dropout": 0.2}
    assert within(space, BASE, wanted) == {"optimizer.lr": 1e-3, "batch.size": 48, "regularize.label_smoothing": 0.3}
    assert within(space, BASE, wanted | {"optimizer.rule": "momentum"}) is None  # its rate is no rate of AdamW
    free = said(only=True, batch__size=[16, 48])
    assert within(free, BASE, wanted | {"optimizer.rule": "momentum"}) == {"batch.size": 48}
    assert usual(Dimension("a", "x", 0.0, 1.0)) == 0.5 and usual(Dimension("a", "x", choices=(3, 4), usual=5)) == 3


def test_the_recipe_that_one_began_with_is_tried():
    mine = Recipe({"optimizer": {"lr": 0.0123}})
    origins = [origin for origin, _ in portfolio_points(space_of(ONE, mine), mine)]
    assert origins.index("the recipe as it was") == 2
    found = portfolio_points(space_of(ONE, mine), mine)[2][1]
    assert space_of(ONE, mine).recipe(mine, found)["optimizer.lr"] == 0.0123
    assert [origin for origin, _ in portfolio_points(space_of(ONE, BASE), BASE)][-1] == "the recipe as it was"


def test_the_order_is_greedy():
    # The best in the mean comes first; then what helps where that one is bad, though in the mean it is worst.
    assert greedy([[0.0, 0.2, 1.0], [1.0, 0.2, 0.0]], 3) == [1, 0, 2]
    assert greedy([[0.5, 0.1, 2.0], [0.5, 0.1, 2.0], [0.5, 1.0, 0.0]], 3) == [1, 2, 0]
    assert greedy([], 3) == [0, 1, 2]
    # Twice the weight, twice the say.
    assert greedy([[0.0, 0.6], [0.5, 0.0]], 2) == [0, 1] and greedy([[0.0, 0.6], [0.5, 0.0]], 2, [1.0, 2.0]) == [1, 0]
    # Of ln 2, 0, 1 and ln 1000 above the best the median is (ln 2 + 1) / 2.
    assert regrets([0.2, 0.1, None, 0.1 * e, 100.0, inf]) == pytest.approx([2 * log(2) / (log(2) + 1), 0, 1, 1, 1, 1])
    assert regrets([None, None]) == regrets([None, inf]) == [1, 1] and regrets([0.1, 0.1, 0.1]) == [0, 0, 0]


def test_a_family_does_not_help_itself():
    recipes = tuple({"optimizer.rule": "adamw", "optimizer.lr": 0.1, "batch.size": size} for size in (1, 2, 3))
    tasks = {"a": Measured("images", (0.1, 1.0, 1.0)), "b": Measured("images", (0.1, 1.0, 1.0)), "c": Measured("texts", (1.0, 1.0, 0.1))}
    whole = Portfolio(("x", "y", "z"), recipes, tasks, {"images": ["a", "b", "never measured"], "texts": ["c"]})
    assert whole.order([0, 1, 2])[0] == 0 and whole.without("a").order([0, 1, 2])[0] == 2 and set(whole.without("a").tasks) == {"c"}
    assert whole.without("never measured") == whole.without("a") and whole.without("unknown") == whole and whole.order([1, 2]) == [2, 1]


def test_of_recipes_that_become_equal_the_one_counts_that_loses_least(monkeypatch):
    space = said(
        only=True, optimizer__lr={"low": 1e-4, "high": 1e-1, "log": True}, schedule__lr__shape=["warmup_cosine", "warmup_constant"]
    )
    whole = {"optimizer.rule": "adamw", "optimizer.lr": 0.01, "schedule.lr": {"shape": "warmup_cosine", "warmup": 0.1}}
    clipped, other = whole | {"optimizer.wrap.clip": {"norm": 1.0}}, whole | {"optimizer.lr": 0.02}
    stable = whole | {"schedule.lr": {"shape": "warmup_stable_decay", "warmup": 0.1}}
    # Of the rule and of warmup the space knows nothing.
    assert [lost(space, within(space, BASE, x) or {}, x) for x in (whole, clipped, stable)] == [2, 3, 3]
    # What was measured with clipping does not speak for what is left of it.
    losses = Measured("images", (0.1, 0.4, 0.3))
    mine = Portfolio(("clipped", "whole", "other"), (clipped, whole, other), {"x": losses})
    monkeypatch.setattr("steepest.search.portfolio.portfolio", lambda: mine)
    assert [origin for origin, _ in portfolio_points(space, BASE)][:2] == ["portfolio: other", "portfolio: whole"]


def test_a_family_that_nobody_has_measured_has_a_say():
    # Hot rates are best on all tasks, and hardly worse than one another; what comes second is far from the first nevertheless.
    rates, losses = (0.1, 0.08, 0.05, 1e-3), (1.0, 1.01, 1.02, 2.0)
    recipes = tuple({"optimizer.rule": "adamw", "optimizer.lr": lr} for lr in rates)
    hot = Portfolio(("a", "b", "c", "d"), recipes, {"x": Measured("images", losses), "y": Measured("texts", losses)})
    assert hot.order(range(4)) == [0, 3, 2, 1] and hot.order([]) == []
    assert apart(recipes[0], recipes[1]) == pytest.approx(0.0969, abs=1e-4) and apart(recipes[0], recipes[3]) == 1.0
    assert apart(recipes[0], recipes[0] | {"optimizer.rule": "lion"}) == 1.0


def test_every_recipe_of_the_portfolio_is_one():
    names, recipes = portfolio().names, portfolio().recipes
    assert len(set(names)) == len(names) >= 12
    for changes in recipes:
        Recipe({}).replace({path: x for path, x in changes.items() if not path.startswith("model.")})
    families = portfolio().families
    assert sorted(name for names in families.values() for name in names if name in TASKS) == sorted(TASKS)
    for name, measured in portfolio().tasks.items():
        assert len(measured.losses) == len(recipes) and name.removesuffix("-few") in families[measured.family]
