"""Recipes: what is written is what is meant, and every mistake is one line that says what would be right."""

import copy
import itertools
import pickle
import re
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from steepest.core.errors import ParameterError, PlanError, SettingError, SteepestError
from steepest.core.knob import Knob, Option
from steepest.core.task import Task
from steepest.drivers import DRIVERS, SAM, Accumulate, Plain
from steepest.init import INITIALIZERS, PLANS
from steepest.optim import LBFGS
from steepest.regularizers import REGULARIZERS
from steepest.rules import AGC, RULES, WRAPPERS, Adam, Cautious, Clip, Lion, Momentum, Muon
from steepest.schedules import Cosine, Length, Sequence, Step, Warmup
from steepest.train import toml
from steepest.train.kinds import Span, Whole, span, specs
from steepest.train.optimizing import OWN
from steepest.train.readers import READERS
from steepest.train.recipe import Recipe
from steepest.train.sections import Batch, Optimizing, Run, Stop
from steepest.train.template import template

DESIGN = """
[model]
width = 256
[init]                       # a plan by name, or patterns over layer kinds and names
plan = "auto"
[optimizer]
rule = "adamw"
lr = 3e-3
weight_decay = 0.05
[optimizer.wrap.clip]
norm = 1.0
[[optimizer.group]]          # first match wins
match = "*.bias|*norm*"
weight_decay = 0.0
[schedule]
lr = { shape = "warmup_cosine", warmup = "10%" }
batch = { shape = "step", at = ["50%", "75%"], factor = 2 }
[batch]
size = 128
[driver]
name = "plain"
[regularize]
label_smoothing = 0.05
[stop]
epochs = 20
patience = 5
[run]
seed = 0
threads = 1
"""


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def groups(optimizer):
    """Which parameters, in which rule, with which lr."""
    return {
        name: (row.built(group), group["lr"])
        for row, group in zip(optimizer.rows, optimizer.param_groups, strict=True)
        for name in group["param_names"]
    }


def test_the_recipe_of_the_design():
    recipe = Recipe.parse(DESIGN, "recipe.toml")
    assert recipe.rule() == Clip(inner=Adam(lr=3e-3, weight_decay=0.05), norm=1.0)
    assert recipe.rules.groups == (("*.bias|*norm*", Clip(inner=Adam(lr=3e-3), norm=1.0)),)
    assert recipe.schedules() == {"lr": Warmup(inner=Cosine(), warmup=0.1), "batch": Step(at=(0.5, 0.75), factor=2)}
    assert recipe.regularizers() == {"label_smoothing": REGULARIZERS["label_smoothing"](smoothing=0.05)}
    assert (recipe.stop.epochs, recipe.stop.steps, recipe.stop.patience) == (20, None, 5)
    assert recipe.batch == Batch(size=128) and recipe.run == Run(threads=1) and recipe.driver() == Plain()
    assert recipe.changes()["optimizer.wrap.clip"] == {} and "optimizer.rule" not in recipe.changes()


def test_the_default_recipe():
    recipe = Recipe()
    assert recipe.rule() == Adam() and recipe.driver() == Plain() and recipe.schedules() == {} and recipe.regularizers() == {}
    assert (recipe.batch.size, recipe.stop.epochs, recipe.run.seed, recipe.pretrained) == (128, 10, 0, None)
    assert recipe == Recipe.parse("") and repr(recipe) == "Recipe()" and recipe.changes() == {} == recipe.tables()


# --- a value ------------------------------------------------------------------------------------------


def test_what_equals_its_default_is_as_good_as_unsaid():
    said = Recipe.parse('[optimizer]\nrule = "adamw"\nlr = 1e-3\n[stop]\nepochs = 10')
    assert said == Recipe() and hash(said) == hash(Recipe()) and said.hash == Recipe().hash
    assert Recipe({"optimizer": {"lr": 1}}) == Recipe({"optimizer": {"lr": 1.0}}) != Recipe()


def test_the_order_of_wrappers_counts_and_that_of_keys_does_not():
    one, two = "[optimizer.wrap.clip]\n", "[optimizer.wrap.cautious]\n"
    assert Recipe.parse(one + two) != Recipe.parse(two + one)
    assert Recipe.parse(one + two).rule() == Clip(inner=Cautious(inner=Adam()))
    lines = ["lr = 0.1", "beta1 = 0.5", "eps = 1e-3"]
    texts = ["[[optimizer.group]]\nmatch = '*'\n" + "\n".join(x) for x in itertools.permutations(lines)]
    texts += [
        "[schedule]\nlr = {end = 0.1, shape = 'cosine'}\nbeta1 = 'linear'",
        "[schedule]\nbeta1 = 'linear'\nlr = {shape = 'cosine', end = 0.1}",
    ]
    assert len({Recipe.parse(text) for text in texts}) == 2


def test_the_hash_is_the_same_in_another_process():
    code = f"from steepest.train.recipe import Recipe; print(Recipe.parse({DESIGN!r}).hash)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == Recipe.parse(DESIGN).hash
    assert Recipe.parse(DESIGN).hash != Recipe.parse(DESIGN).replace({"run.seed": 1}).hash != Recipe().hash


def test_a_recipe_is_frozen():
    recipe = Recipe.parse(DESIGN)
    with pytest.raises(AttributeError, match=r"a recipe is frozen; recipe.replace\(\{'batch': ...\}\) makes another"):
        recipe.batch = 3
    recipe.tables()["optimizer"]["lr"] = 5
    recipe.changes()["optimizer.group"].clear()
    recipe["optimizer.group"].clear()
    recipe.regularizers().clear()
    assert recipe == Recipe.parse(DESIGN)
    given_ = {"optimizer": {"group": [{"match": "*"}]}}
    recipe = Recipe(given_)
    given_["optimizer"]["group"].clear()
    assert len(recipe.rules.groups) == 1


def test_copies_and_pickles_are_equal():
    recipe = Recipe.parse(DESIGN, "recipe.toml")
    for other in (pickle.loads(pickle.dumps(recipe)), copy.copy(recipe), copy.deepcopy(recipe)):
        assert other == recipe and other.source == "recipe.toml"


def test_values_by_path():
    recipe = Recipe.parse(DESIGN)
    assert recipe["optimizer.beta2"] == 0.999 and recipe["optimizer.wrap.clip.norm"] == 1.0
    assert recipe["optimizer.group.0.match"] == "*.bias|*norm*" and recipe["schedule.lr.warmup"] == "10%"
    assert recipe["regularize.label_smoothing.smoothing"] == 0.05 and recipe["run"]["threads"] == 1
    assert all(recipe[path] == value for path, value in recipe.changes().items() if value != {})
    with pytest.raises(SettingError, match=re.escape("optimizer.beta9: this recipe says nothing of it")):
        recipe["optimizer.beta9"]
    with pytest.raises(SettingError, match=re.escape("optimiser: unknown section; did you mean optimizer?")):
        recipe["optimiser.lr"]


def test_replace_and_set():
    recipe = Recipe.parse(DESIGN, "recipe.toml")
    assert recipe.replace({"optimizer.lr": 1e-2}).rule() == Clip(inner=Adam(lr=1e-2, weight_decay=0.05))
    assert recipe.replace({"optimizer.lr": None})["optimizer.lr"] == 1e-3
    assert recipe.replace({"optimizer.group.0.weight_decay": 0.5})["optimizer.group.0.weight_decay"] == 0.5
    assert recipe.replace({"schedule.lr.warmup": 0.2}).schedules()["lr"] == Warmup(inner=Cosine(), warmup=0.2)
    assert recipe.replace({"regularize": None, "optimizer.wrap": None}).rule() == Adam(lr=3e-3, weight_decay=0.05)
    assert recipe.source == recipe.replace({}).source == "recipe.toml"
    texts = [
        "optimizer.rule=lion",
        "optimizer.wrap.clip.norm=2",
        "schedule.clip.norm={shape='linear', end=0.5}",
        "stop.epochs=",
        "run.evaluate_every=2 epochs",
    ]
    changed = recipe.set_text(texts)
    assert changed.rule() == Clip(inner=Lion(lr=3e-3, weight_decay=0.05), norm=2.0)
    assert list(changed.schedules()) == ["lr", "clip.norm", "batch"] and changed.stop.epochs == 10
    assert changed.run.evaluate_every == "2 epochs"
    assert recipe.set_text(['init.*.bias="zeros"', "init.Conv2d={name='normal', std=0.1}"])["init.Conv2d.std"] == 0.1


def test_a_path_means_the_longest_key_that_is_there():
    recipe = Recipe({"init": {"head": {"name": "normal"}, "head.std": "zeros"}})
    assert recipe.replace({"init.head.std": "ones"})["init"] == {"plan": "auto", "head": {"name": "normal"}, "head.std": "ones"}
    assert recipe.replace({"init.head.std": None, "init.head.mean": 3})["init.head"] == {"name": "normal", "mean": 3}


def test_the_rule_brings_its_own_defaults():
    """A file with all of AdamW's defaults in it, as `template` writes it, must not give them to Lion."""
    assert Recipe.parse(Recipe().toml()).set_text(["optimizer.rule=lion"]).rule() == Lion()


def test_steps_are_a_length():
    assert Recipe.parse("[stop]\nsteps = 5").stop == Stop(steps=5)
    assert (Stop(steps=5).epochs, Stop(steps=5, epochs=10).epochs, Stop().epochs) == (None, 10, 10)
    both = Recipe.parse("[stop]\nsteps = 5\nepochs = 10")
    assert both.stop.epochs == 10 and both != Recipe.parse("[stop]\nsteps = 5") and Recipe.parse(both.toml()) == both
    assert both.replace({"stop.steps": None}) == Recipe()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1 epoch", Span(1, "epochs")),
        ("2.5 minutes", Span(2.5, "minutes")),
        ("30steps", Span(30, "steps")),
        ("never", Span(float("inf"), "steps")),
    ]
    + [(text, None) for text in ("epoch", "0 steps", "-1 steps", "5", "1e3 steps", "5 parsecs", "", "nan steps")],
)
def test_spans(text, meant):
    assert span(text) == meant


# --- files --------------------------------------------------------------------------------------------


def test_load_and_save(tmp_path):
    path = tmp_path / "recipe.toml"
    recipe = Recipe.parse(DESIGN)
    recipe.save(path)
    assert Recipe.load(path) == recipe == Recipe.load(str(path)) and Recipe.load(path).source == str(path)
    assert str(recipe) == path.read_text() and path.read_bytes().endswith(b"keep = 2\n")
    Recipe.load(path).save(path)
    assert str(recipe) == path.read_text()


def test_a_file_says_everything():
    """Loaded by a steepest with other defaults, it decides the same."""
    text = str(Recipe())
    for cls in (Optimizing, Batch, Stop, Run, Adam):
        assert all(f"\n{key} = " in text for key, spec in specs(cls).items() if spec.default is not None)


def test_windows_text_is_read(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbf" + DESIGN.replace("\n", "\r\n").encode())
    assert Recipe.load(path) == Recipe.parse(DESIGN)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"\xff\xfe", "this is not text in UTF-8"),
        (b"[optimizer]\nlr = \n", "this is not TOML: Invalid value (at line 2, column 6)"),
        (b"[optimizer]\nlr = -1\n", "optimizer.lr = -1 is outside [0, inf)"),
        (b"version = 2\n", "version = 2: this steepest reads recipes of version 1; use the steepest that wrote it"),
        (b"version = true\n", "version = true: this steepest reads recipes of version 1; use the steepest that wrote it"),
    ],
)
def test_errors_name_the_file(content, message, tmp_path):
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingError) as error:
        Recipe.load(path)
    assert str(error.value) == f"{path}: {message}"


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(SettingError, match=re.escape("Is a directory")):
        Recipe.load(tmp_path)


# --- mistakes -----------------------------------------------------------------------------------------

ZERO_TO_INF = "is outside [0, inf)"
MISTAKES = {
    "optimiser.lr = 1": "optimiser: unknown section; did you mean optimizer?",
    "optimizer = 3": "optimizer = 3 must be a table",
    "optimizer.lr = -1": f"optimizer.lr = -1 {ZERO_TO_INF}",
    "optimizer.lr = inf": f"optimizer.lr = inf {ZERO_TO_INF}",
    "optimizer.lr = nan": "optimizer.lr = nan is not a number",
    "optimizer.lr = '3'": "optimizer.lr = '3' is not a number",
    "optimizer.lr = true": "optimizer.lr = True is not a number",
    "optimizer.lr = 2020-01-01": "optimizer.lr: a recipe holds text, numbers, true, false, lists and tables, not date",
    f"optimizer.lr = {10**400}": "optimizer.lr: a whole number of more than 64 bits",
    f"optimizer.lr = {'1' * 5000}": "this is not TOML: a number is too long, or brackets are too deep",
    f"optimizer.lr = {'[' * 5000}": "this is not TOML: a number is too long, or brackets are too deep",
    f"{'.'.join('x' * 99)} = 1": "x.x.x.x.x.x.x.x.x: nested deeper than anything here goes",
    "optimizer.momentun = 1\noptimizer.rule = 'momentum'": "optimizer.momentun: unknown knob of momentum; did you mean momentum?",
    "optimizer.amsgrad = 1": "optimizer.amsgrad = 1 must be true or false",
    "optimizer.rule = 'adamv'": 'optimizer.rule: unknown rule "adamv"; did you mean adam?',
    "optimizer.rule = 7": "optimizer.rule = 7 must be the name of a rule",
    "optimizer.rule = 'muon'\noptimizer.coefficients = [1]": "optimizer.coefficients = (1.0,) must be three numbers",
    "optimizer.rule = 'muon'\noptimizer.coefficients = ['a']": "optimizer.coefficients = ['a'] must be a list",
    "optimizer.layerwise_decay = 0": "optimizer.layerwise_decay = 0 would stop every block but the last; it must be above 0",
    "optimizer.layerwise_decay = 2": "optimizer.layerwise_decay = 2 is outside [0, 1]",
    "optimizer.engine = 'fast'": "optimizer.engine = 'fast' is not one of 'auto', 'fused', 'compiled', 'reference'",
    "optimizer.wrap.clipp = {}": "optimizer.wrap.clipp: unknown wrapper; did you mean clip?",
    "optimizer.wrap.clip = 1.0": "optimizer.wrap.clip = 1.0 must be a table",
    "optimizer.wrap.clip.norn = 1": "optimizer.wrap.clip.norn: unknown knob of clip; did you mean norm?",
    "optimizer.wrap.clip.norm = -2": f"optimizer.wrap.clip.norm = -2 {ZERO_TO_INF}",
    "optimizer.wrap.lookahead.k = 0": "optimizer.wrap.lookahead.k = 0 is less than 1",
    "optimizer.wrap.cautious = {}\noptimizer.rule = 'lars'": "optimizer.wrap.cautious: Cautious needs a rule with a direction; "
    "in LARS the rate is not a plain factor",
    "optimizer.group = {}": "optimizer.group = {} must be a list of tables, each [[optimizer.group]]",
    "optimizer.group = [3]": "optimizer.group.0 = 3 must be a table",
    "optimizer.group = [{lr = 1}]": 'optimizer.group.0.match must say which parameters, by patterns such as "*.bias|*norm*"',
    "optimizer.group = [{match = '*', lr = -1}]": f"optimizer.group.0.lr = -1 {ZERO_TO_INF}",
    "optimizer.group = [{match = '*', rule = 'lbfgs'}]": "optimizer.group.0: LBFGS sees all parameters as one vector, and "
    "cannot have some of them",
    "optimizer.group = [{match = '*', momentum = 1}]": "optimizer.group.0.momentum: unknown knob of adamw; known: amsgrad, "
    "beta1, beta2, eps, lr, match, rule, weight_decay",
    "optimizer.rule = 'lbfgs'\noptimizer.wrap.clip = {}": "optimizer.rule: lbfgs sees all parameters as one vector, and goes without wrap, "
    "group, plan and layerwise_decay",
    "optimizer.plan = 'decay'\noptimizer.rule = 'rprop'": 'optimizer.plan = "decay" needs a weight decay to take away, and rprop has none',
    "optimizer.others = {}": 'optimizer.others is for plan = "muon"; for some of the parameters, say [[optimizer.group]]',
    "optimizer.plan = 'muon'\noptimizer.others.lr = -1": f"optimizer.others.lr = -1 {ZERO_TO_INF}",
    "model.name = 3": "model.name = 3 must be text: the name of one of the task's factories",
    "model.'two words' = 3": 'model."two words": no factory can have an argument of this name',
    "init.plan = 'autp'": 'init.plan: unknown plan "autp"; did you mean auto?',
    "init.plan = []": "init.plan = [] must be the name of a plan",
    "init.pretrained = 3": "init.pretrained = 3 must be text: the path of a file of weights",
    "init.'*.bias' = 'zeroes'": 'init."*.bias": unknown initializer "zeroes"; did you mean zeros?',
    "init.Linear.weight = 'zeros'": "init.Linear needs a name, as in { name = \"normal\", std = 0.02 }; "
    "a pattern with a dot in it stands in quotes",
    "init.Linear = {name = 'normal', sdt = 1}": "init.Linear.sdt: unknown setting of normal; did you mean std?",
    "init.Linear = {name = 'normal', std = -1}": "init.Linear.std = -1 is outside [0, inf)",
    "init.Linear = {name = 'he_normal', mode = []}": 'init.Linear = { name = "he_normal", mode = [] }: a setting is of the wrong type',
    "init.Linear = {name = 'constant'}": "init.Linear: constant needs value",
    "init.Linear = {name = 'auto', gain = 2}": "init.Linear: auto is a plan, and has no settings",
    "schedule.lrr = 'cosine'": "schedule.lrr: this recipe has no such knob; did you mean lr?",
    "schedule.lr = 'cosin'": "schedule.lr: there is no schedule 'cosin'; did you mean cosine?",
    "schedule.lr = {shape = 'cosine', end = -2}": f"schedule.lr: Cosine.end = -2 {ZERO_TO_INF}",
    "schedule.clip.norm = 'cosine'": "schedule.clip.norm: this recipe has no such knob; "
    "known: batch, beta1, beta2, eps, length, lr, weight_decay",
    "batch.size = 0": 'batch.size = 0 must be a whole number from 1 on or "full"',
    "batch.size = 2.5": 'batch.size = 2.5 must be a whole number from 1 on or "full"',
    "batch.size = true": 'batch.size = true must be a whole number from 1 on or "full"',
    "batch.sise = 1": "batch.sise: unknown key; did you mean size?",
    "batch.micro = 4\ndriver.name = 'sam'": "batch.micro = 4: only driver plain accumulates gradients, not sam",
    "driver.name = 'accumulate'": "driver.name = accumulate needs batch.micro, the samples at a time",
    "driver.name = 'sum'": 'driver.name: unknown driver "sum"; did you mean sam?',
    "driver.rho = 1": "driver.rho: unknown setting of plain; known: name",
    "driver = {name = 'sam', rho = -1}": f"driver.rho = -1 {ZERO_TO_INF}",
    "regularize.dropuot = 0.1": "regularize.dropuot: unknown regularizer; did you mean dropout?",
    "regularize.dropout = 1": "regularize.dropout = 1 is outside [0, 1)",
    "regularize.dropout.rate = 1": "regularize.dropout.rate = 1 is outside [0, 1)",
    "regularize.dropout.rte = 1": "regularize.dropout.rte: unknown setting of dropout; did you mean rate?",
    "regularize.dropout = 'a'": "regularize.dropout = 'a' is not a number",
    "stop.epochs = 0": "stop.epochs = 0 must be a whole number from 1 on",
    "stop.minimum = -1": f"stop.minimum = -1 {ZERO_TO_INF}",
    "stop.metric = 3": "stop.metric = 3 must be text",
    "run.seed = -1": "run.seed = -1 must be a whole number from 0 on",
    "run.device = 'gpu'": "run.device = 'gpu' is not one of 'auto', 'cpu', 'cuda'",
    "run.evaluate_every = '5 minutes'": 'run.evaluate_every = "5 minutes" must be a number of steps or epochs, '
    'such as "1 epoch", or "never"',
    "run.checkpoint_every = 5": 'run.checkpoint_every = 5 must be a number of steps, epochs, seconds, minutes or hours, '
    'such as "5 minutes", or "never"',
}  # fmt: skip


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: text[:60])
def test_mistakes(text):
    with pytest.raises(SettingError) as error:
        Recipe.parse(text, "recipe.toml")
    assert str(error.value) == f"recipe.toml: {MISTAKES[text]}"


def test_mistakes_of_changes():
    recipe = Recipe.parse(DESIGN, "recipe.toml")
    with pytest.raises(SettingError, match=r"^--set 'optimizer.lr=-1': optimizer.lr = -1 is outside \[0, inf\)$"):
        recipe.set_text(["optimizer.lr=-1"])
    with pytest.raises(SettingError, match=re.escape("--set 'optimizer.lr' must be PATH=VALUE, such as optimizer.lr=3e-3")):
        recipe.set_text(["optimizer.lr"])
    with pytest.raises(SettingError, match=re.escape('optimizer.group.7.lr: "7" must be the number of one of 1 tables, from 0 on')):
        recipe.replace({"optimizer.group.7.lr": 1})
    with pytest.raises(SettingError, match=re.escape("optimizer.lr.x: there is no table at this place, but 0.003")):
        recipe.replace({"optimizer.lr.x": 1})
    with pytest.raises(SettingError, match=r"optimizer.lr: a recipe holds text, .* not Tensor"):
        recipe.replace({"optimizer.lr": torch.ones(())})


# --- with a model -------------------------------------------------------------------------------------


def factory(width: int = 8, rate: float = 0.1, norm: bool = True, kind: str = "relu", init=None):
    return nn.Linear(4, width)


def needs(width: int):
    return nn.Linear(4, width)


def takes_all(**settings):
    return nn.Linear(4, settings["width"])


def test_models():
    assert Recipe().model(factory).out_features == 8
    assert Recipe({"model": {"width": 5, "rate": 1, "init": [1]}}).model({"model": factory}).out_features == 5
    both = {"big": factory, "small": needs}
    assert Recipe({"model": {"name": "small", "width": 2}}).model(both).out_features == 2
    assert Recipe({"model": {"width": 3}}).model(takes_all).out_features == 3


@pytest.mark.parametrize(
    ("table", "factories", "message"),
    [
        ({"widht": 3}, factory, "model.widht: unknown argument of factory; did you mean width?"),
        ({"width": 3.5}, factory, "model.width = 3.5 must be of the kind of its default, 8"),
        ({"width": True}, factory, "model.width = true must be of the kind of its default, 8"),
        ({"norm": 1}, factory, "model.norm = 1 must be of the kind of its default, true"),
        ({"kind": 1}, factory, 'model.kind = 1 must be of the kind of its default, "relu"'),
        ({}, needs, "model.width must be said: needs has no default for it"),
        ({}, {"big": factory, "small": needs}, "model.name must say which model: big, small"),
        ({"name": "bigg"}, {"big": factory}, 'model.name = "bigg": the task has no such model; did you mean big?'),
    ],
)
def test_arguments_that_no_model_has(table, factories, message):
    recipe = Recipe({"model": table}, "recipe.toml")
    for ask in (recipe.check, recipe.model):
        with pytest.raises(SettingError) as error:
            ask(factories)
        assert str(error.value) == f"recipe.toml: {message}"


def test_initialization():
    recipe = Recipe.parse('[init]\nplan = "he"\n"*.bias" = "ones"\nLinear = {name = "constant", value = 2}\n[run]\nseed = 3')
    model = net()
    report = recipe.initialize(model)
    assert model[0].bias.eq(1).all() and model[0].weight.eq(2).all() and model[1].weight.eq(1).all()
    assert [row.initializer for row in report.rows][:3] == ["constant(value=2)", "ones", "ones"]
    first, second, other = net(), net(), net()
    for one, seed in ((first, 3), (second, 3), (other, 4)):
        Recipe({"run": {"seed": seed}}).initialize(one)
    assert torch.equal(first[0].weight, second[0].weight) and not torch.equal(first[0].weight, other[0].weight)
    with pytest.raises(PlanError, match=re.escape("'Conv2d' claims nothing")):
        Recipe({"init": {"Conv2d": "zeros"}}).initialize(net())


def test_all_plans_and_initializers_may_be_named():
    for name in PLANS:
        Recipe({"init": {"plan": name, "Linear": name}})
    for name in INITIALIZERS:
        Recipe({"init": {"Linear": {"name": name, "value": 1} if name == "constant" else name}})


# --- optimizers ---------------------------------------------------------------------------------------


def test_one_rule_for_all():
    optimizer = Recipe.parse('[optimizer]\nengine = "reference"\nmaster_weights = true').optimizer(net())
    assert len(optimizer.param_groups) == 1 and optimizer.engine == "reference" and optimizer.master_weights
    assert {rule for rule, _ in groups(optimizer).values()} == {Adam()}


def test_the_first_group_that_matches_wins():
    recipe = Recipe.parse(
        """
        optimizer = { lr = 0.1, beta1 = 0.5, wrap.clip.norm = 2 }
        [[optimizer.group]]
        match = "5.*|LayerNorm"
        rule = "momentum"
        lr = 0.2
        [[optimizer.group]]
        match = "*.bias"
        lr = 0.3
    """.replace("optimizer = {", "[optimizer]\n")
        .replace(", ", "\n")
        .replace("2 }", "2\n")
    )
    found = groups(recipe.optimizer(net()))
    assert found["5.bias"] == found["1.weight"] == (Clip(inner=Momentum(lr=0.2), norm=2), 0.2)
    assert found["0.bias"] == (Clip(inner=Adam(lr=0.3, beta1=0.5), norm=2), 0.3)
    assert found["0.weight"] == (Clip(inner=Adam(lr=0.1, beta1=0.5), norm=2), 0.1)
    with pytest.raises(PlanError, match=r"r\.toml: plan entry 'head\.\*' claims nothing: no parameter matches it"):
        Recipe({"optimizer": {"group": [{"match": "head.*"}]}}, "r.toml").optimizer(net())


def test_plan_decay():
    found = groups(Recipe.parse("[optimizer]\nplan = 'decay'\nweight_decay = 0.5").optimizer(net()))
    assert {name for name, (rule, _) in found.items() if rule.knobs()["weight_decay"]} == {"0.weight", "3.weight", "5.weight"}


def test_plan_muon():
    recipe = Recipe.parse("[optimizer]\nrule = 'muon'\nplan = 'muon'\n[optimizer.others]\nlr = 0.5\n[optimizer.wrap.clip]")
    found = groups(recipe.optimizer(net()))
    assert {name for name, (rule, _) in found.items() if rule == Clip(inner=Muon())} == {"0.weight", "3.weight"}
    assert found["5.weight"] == (Clip(inner=Adam(lr=0.5)), 0.5)
    assert Recipe.parse(recipe.toml()) == recipe and recipe["optimizer.others.lr"] == 0.5
    with pytest.raises(SettingError, match=re.escape('optimizer.plan = "muon": this model has no weight matrix between layers')):
        recipe.optimizer(nn.Linear(3, 2))


def test_factors_on_lr_multiply():
    """Depth, the initialization's multipliers and groups each have their say: one rule, one factor for each parameter."""
    recipe = Recipe.parse("[optimizer]\nlr = 1.0\nlayerwise_decay = 0.5\n[[optimizer.group]]\nmatch = '0.bias'\nlr = 3.0")
    found = {name: lr for name, (_, lr) in groups(recipe.optimizer(net(), {"0.weight": 0.1, "5.weight": 4.0})).items()}
    blocks = {"5": 1.0, "3": 0.5, "1": 0.25, "0": 0.125}
    expected = {name: blocks[name[0]] for name, _ in net().named_parameters()}
    expected |= {"0.weight": 0.1 * 0.125, "5.weight": 4.0, "0.bias": 3 * 0.125}
    assert found == pytest.approx(expected, rel=1e-15)
    with pytest.raises(SettingError, match=re.escape("the model has no parameter '7.weight'")):
        recipe.optimizer(net(), {"7.weight": 1.0})


def test_mup_reaches_the_optimizer():
    recipe, model = (
        Recipe.parse("init.plan = 'mup'"),
        nn.Sequential(nn.Linear(4, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 3)),
    )
    found = groups(recipe.optimizer(model, recipe.initialize(model).lr_multipliers))
    assert found["0.weight"][1] == 1e-3 and found["2.weight"][1] == found["4.weight"][1] == 0.5e-3


def test_some_of_the_parameters():
    """Two players: what each parameter gets is what it would get with all the others."""
    recipe = Recipe.parse(
        "[optimizer]\nlayerwise_decay = 0.5\nplan = 'decay'\nweight_decay = 0.1\n[[optimizer.group]]\nmatch = '5.bias'\nlr = 0.7"
    )
    model = net()
    whole = groups(recipe.optimizer(model))
    one, two = recipe.optimizer(model, only="0.*|1.*"), recipe.optimizer(model, only="3.*|5.*")
    assert groups(one) | groups(two) == whole and not groups(one).keys() & groups(two).keys()
    before = {name: p.clone() for name, p in model.named_parameters()}
    model(torch.randn(5, 4)).sum().backward()
    two.step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == groups(two).keys() and len(list(model.parameters())) == 8
    with pytest.raises(ParameterError, match=re.escape("'9.*' matches no parameter of the model")):
        recipe.optimizer(model, only="9.*")


def test_lbfgs():
    recipe, model = Recipe.parse("[optimizer]\nrule = 'lbfgs'\nhistory = 4"), nn.Linear(2, 1)
    optimizer = recipe.optimizer(model)
    assert isinstance(optimizer, LBFGS) and optimizer.param_groups[0]["history_size"] == 4
    x, y = torch.randn(9, 2), torch.randn(9, 1)

    def closure():
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure).detach()) for _ in range(9)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]
    with pytest.raises(SettingError, match=re.escape("lbfgs has one lr for all parameters")):
        recipe.optimizer(model, {"weight": 0.5})


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.scope != "flat"])
def test_every_rule_can_be_had(name):
    recipe = Recipe({"optimizer": {"rule": name, "wrap": {"clip": {}}, "engine": "reference"}})
    assert recipe.rule() == Clip(inner=RULES[name]()) and Recipe.parse(recipe.toml()) == recipe
    model = nn.Linear(3, 2, bias=False)
    assert {rule for rule, _ in groups(recipe.optimizer(model)).values()} == {recipe.rule()}


def test_drivers():
    assert (
        Recipe({"batch": {"micro": 4}}).driver()
        == Accumulate()
        == Recipe({"batch": {"micro": 4}, "driver": {"name": "accumulate"}}).driver()
    )
    assert Recipe({"driver": {"name": "sam", "rho": 0.5}}).driver() == SAM(rho=0.5)


def test_no_rule_has_a_setting_of_the_name_of_a_key():
    taken = {"rule", "wrap", "group", "others", "match", *OWN}
    for rule in RULES.values():
        assert not taken & specs(rule).keys()
    for cls in (*DRIVERS.values(), *REGULARIZERS.values()):
        assert "name" not in specs(cls)


# --- schedules ----------------------------------------------------------------------------------------


def test_schedules_of_a_run():
    recipe = Recipe.parse(
        """
        [optimizer.wrap.clip]
        [regularize]
        dropout = 0.5
        [schedule]
        regularize.dropout.rate = "linear"
        clip.norm = 0.5
        "weight_decay" = [{shape = "constant", until = "1 epoch"}, "cosine"]
        lr = {shape = "warmup_cosine", warmup = "5 steps"}
    """,
        "r.toml",
    )
    found = recipe.schedules(Length(steps=101, epochs=10))
    assert list(found) == ["lr", "weight_decay", "clip.norm", "regularize.dropout.rate"]
    assert found["lr"] == Warmup(inner=Cosine(), warmup=0.05) and found["clip.norm"](0.3) == 0.5
    assert isinstance(found["weight_decay"], Sequence) and not any(found["weight_decay"].unresolved())
    assert Recipe.parse(recipe.toml()) == recipe
    with pytest.raises(SettingError, match=r"^r.toml: schedule.lr: Warmup.warmup = '5 steps' is longer than the run of 3 steps"):
        recipe.schedules(Length(steps=3, epochs=1))


def test_a_schedule_may_name_the_knobs_of_any_group():
    text = "[[optimizer.group]]\nmatch = '*'\nrule = 'momentum'\n[schedule]\nmomentum = 'linear'"
    assert list(Recipe.parse(text).schedules()) == ["momentum"]


# --- the template -------------------------------------------------------------------------------------


def test_the_template_is_the_default_recipe():
    assert Recipe.parse(template()) == Recipe()
    text = template()
    for name in READERS:
        assert f"\n[{name}] " in text
    for cls in (Optimizing, Batch, Stop, Run, Adam):
        for key, spec in specs(cls).items():
            assert re.search(rf"^(# )?{key} = .* # ", text, re.MULTILINE), key
            words = " ".join(re.sub(r"\n# +# ", " ", text).split())
            assert spec.meaning in words, spec.meaning
    assert max(map(len, text.splitlines())) <= 120


def test_what_the_template_leaves_out_is_right_too():
    """With every line that is commented out put in, it is still a recipe."""
    text = re.sub(r'^# (?=\[|[\w."*]+ = )', "", template(), flags=re.MULTILINE)
    twice = re.compile(r'^(name = "plain"|mixup = 0.2|micro = 32)', re.MULTILINE)
    recipe = Recipe.parse(twice.sub("# ", text))
    assert recipe.stop.patience == 5 and recipe.rule() == Clip(inner=Adam()) and recipe["driver.name"] == "sam"
    assert len(recipe.schedules()) == 5 and len(recipe.regularizers()) == 3


def test_the_template_of_a_task():
    text = template(Task(model=factory, data=None, name="digits"))
    assert text.startswith("# A recipe for digits: ")
    assert Recipe.parse(text) == Recipe({"model": {"width": 8, "rate": 0.1, "norm": True, "kind": "relu"}})
    assert Recipe.parse(text).model(factory).out_features == 8
    assert "# init =                        # has a default that cannot be written here" in text
    text = template(Task(model={"small": needs, "big": factory}, data=None))
    assert Recipe.parse(text) == Recipe({"model": {"name": "small"}}) and "# width =                       # must be said" in text


# --- everything that can be said ----------------------------------------------------------------------

WORDS = st.text(max_size=8)
PLAIN = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), WORDS)


def values(spec):
    if isinstance(spec, Knob):
        high = min(spec.high, 1e6) if spec.high == float("inf") else spec.high
        return st.floats(spec.low, high, exclude_max=not spec.closed)
    if isinstance(spec, Whole):
        return st.one_of(st.integers(max(spec.low, 1), 2**40), *map(st.just, spec.words))
    if isinstance(spec, Option):
        default = spec.default
        if spec.choices:
            return st.sampled_from(spec.choices)
        if isinstance(default, tuple):
            return st.lists(st.floats(0, 9), min_size=len(default), max_size=len(default))
        return st.booleans() if isinstance(default, bool) else st.integers(1, 99) if isinstance(default, int) else st.just(default)
    return st.sampled_from(["3 steps", "never", "1 epoch", "0.5 epochs"])


def tables(cls):
    return st.fixed_dictionaries({}, optional={name: values(spec) for name, spec in specs(cls).items()})


@st.composite
def optimizers(draw):
    name = draw(st.sampled_from([name for name, rule in RULES.items() if rule.scope != "flat"]))
    table = draw(tables(RULES[name])) | draw(tables(Optimizing)) | {"rule": name}
    table["plan"] = draw(st.sampled_from(["plain", "muon"]))
    if draw(st.booleans()):
        table["group"] = draw(st.lists(st.builds(lambda match, knobs: {"match": match, **knobs}, WORDS, tables(RULES[name])), max_size=2))
    if draw(st.booleans()):
        inside = draw(st.sampled_from(["adam", "lion"]))
        table.setdefault("group", []).append({"match": "*", "rule": inside, **draw(tables(RULES[inside]))})
    if table["plan"] == "muon":
        table["others"] = draw(tables(Adam))
    around = draw(st.permutations([name for name in WRAPPERS if name not in ("cautious", "trust_ratio", "heavy_ball")]))
    table["wrap"] = {wrapper: draw(tables(WRAPPERS[wrapper])) for wrapper in around[: draw(st.integers(0, 3))]}
    table["layerwise_decay"] = draw(st.floats(0.1, 1))
    return table


@st.composite
def contents(draw):
    found = {"optimizer": draw(optimizers()), "batch": draw(tables(Batch)), "stop": draw(tables(Stop)), "run": draw(tables(Run))}
    found["run"].pop("checkpoint_every", None)
    found["model"] = draw(
        st.dictionaries(
            st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True).filter(lambda x: x != "name"),
            st.one_of(PLAIN, st.lists(PLAIN, max_size=3)),
            max_size=3,
        )
    )
    found["init"] = draw(
        st.dictionaries(
            WORDS.filter(lambda x: x not in ("plan", "pretrained")),
            st.sampled_from(["zeros", "he", {"name": "normal", "std": 0.5}]),
            max_size=3,
        )
    )
    found["init"] |= draw(st.fixed_dictionaries({}, optional={"plan": st.sampled_from([*PLANS]), "pretrained": WORDS}))
    knobs = ["batch", *RULES[found["optimizer"]["rule"]].own_knobs()]
    shapes = ["linear", 0.5, {"shape": "warmup_cosine", "warmup": "10%", "end": 0.25}, [{"shape": "constant", "until": 0.5}, "linear"]]
    found["schedule"] = draw(st.dictionaries(st.sampled_from(knobs), st.sampled_from(shapes), max_size=3))
    found["regularize"] = {
        name: draw(tables(REGULARIZERS[name]))
        for name in draw(st.lists(st.sampled_from(["dropout", "mixup", "label_smoothing", "max_norm"]), unique=True))
    }
    if "micro" not in found["batch"]:
        name = draw(st.sampled_from(["plain", "sam", "backtracking"]))
        found["driver"] = {"name": name, **draw(tables(DRIVERS[name]))}
    return draw(st.permutations(list(found.items())).map(dict))


@settings(max_examples=40)
@given(contents())
def test_load_of_save_is_the_identity(tables):
    recipe = Recipe(tables)
    again = Recipe.parse(recipe.toml())
    assert again == recipe and again.hash == recipe.hash and again.tables() == recipe.tables() and again.toml() == recipe.toml()
    assert again.rules == recipe.rules and again.schedules() == recipe.schedules() and again.regularizers() == recipe.regularizers()
    assert list(again.regularizers()) == list(recipe.regularizers())
    assert Recipe(recipe.tables()) == recipe == pickle.loads(pickle.dumps(recipe))
    assert len(repr(recipe).splitlines()) == 1


@settings(max_examples=25)
@given(contents())
def test_changes_lead_from_the_default_to_the_recipe(tables):
    tables["init"] = {key: x for key, x in tables["init"].items() if key in ("plan", "pretrained")}
    recipe = Recipe(tables)
    assert Recipe().replace(recipe.changes()) == recipe


NAMES = sorted(
    {
        *READERS,
        "version",
        "lr",
        "rule",
        "wrap",
        "group",
        "match",
        "others",
        "plan",
        "clip",
        "norm",
        "muon",
        "name",
        "dropout",
        "shape",
        "size",
    }
    | set(OWN)
)
JUNK = st.recursive(
    st.one_of(PLAIN, st.floats(), st.integers(), st.dates(), st.sampled_from(NAMES), st.none()),
    lambda inside: st.one_of(st.lists(inside, max_size=3), st.dictionaries(st.one_of(st.sampled_from(NAMES), WORDS), inside, max_size=4)),
    max_leaves=12,
)


def refused_in_one_line(make) -> None:
    try:
        make()
    except SettingError as error:
        message = str(error)
    else:
        return
    assert len(message.splitlines()) == 1 and message.startswith("recipe.toml: ")


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from([*READERS]), st.dictionaries(st.one_of(st.sampled_from(NAMES), WORDS), JUNK, max_size=5), max_size=4)
)
def test_nonsense_is_refused_in_one_line(tables):
    refused_in_one_line(lambda: Recipe(tables, "recipe.toml"))


@settings(max_examples=80)
@given(contents(), st.data())
def test_one_wrong_value_is_refused_in_one_line(tables, data):
    recipe = Recipe(tables)
    whole = {name: recipe[name] for name in READERS}
    places = [(table, key) for table in walked(whole) for key in (table if isinstance(table, dict) else range(len(table)))]
    table, key = data.draw(st.sampled_from(places))
    table[key] = data.draw(JUNK)
    refused_in_one_line(lambda: Recipe(whole, "recipe.toml"))


def walked(x):
    if isinstance(x, (dict, list)):
        yield x
        for inside in x.values() if isinstance(x, dict) else x:
            yield from walked(inside)


@settings(max_examples=100)
@given(
    st.one_of(st.text(), st.lists(st.sampled_from([*DESIGN, "[", "{", '"', "\\", "\x00", "=", "\n", "1e9", "\ud800"])).map("".join)),
    st.integers(0, len(DESIGN)),
)
def test_broken_text_is_refused_in_one_line(text, place):
    refused_in_one_line(lambda: Recipe.parse(text, "recipe.toml"))
    refused_in_one_line(lambda: Recipe.parse(DESIGN[:place] + text + DESIGN[place:], "recipe.toml"))


@given(st.recursive(PLAIN, lambda inside: st.one_of(st.lists(inside), st.dictionaries(st.text(), inside))))
def test_values_are_written_as_they_are_read(value):
    assert toml.read(toml.write([("[head]", {"x": value})])) == {"head": {"x": value}}


def test_errors_are_of_steepest():
    assert issubclass(SettingError, SteepestError) and AGC is WRAPPERS["agc"]
