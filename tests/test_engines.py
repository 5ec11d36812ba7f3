"""Every engine against the reference: the same numbers, whatever is done to the tensors in between."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from math import nan
from pathlib import Path

import pytest
import torch
from cases import NESTED, RULE_CASES, WRAPPER_CASES
from harness import Runner, distance, problem, rate_of, varying
from torch import Tensor, nn

from steepest.core.errors import ParameterError, SettingError
from steepest.core.knob import knob
from steepest.core.maths import lerp, total, zeros_like
from steepest.core.plan import Plan
from steepest.core.rule import Rule
from steepest.engines import choose, disk, program_key, threads
from steepest.engines.fused import WINDOW, program
from steepest.engines.trace import TraceError
from steepest.optim import Optimizer
from steepest.rules import AGC, LAMB, Adafactor, Adam, Average, Clip, GradientDescent, Lion, Momentum, Muon, Prodigy

# 0-D, one element, a vector, more than two blocks, and a convolution's weight.
SHAPES = ((), (1,), (7,), (9000,), (3, 2, 3, 3), (5, 4))
RULES_HERE = {f"{name}-{k}": rule for name, case in RULE_CASES.items() for k, (rule, _) in enumerate(case.parity) if name != "adamw"}
# What a wrapper does to one program it does to all: around the first, and the first with state of its own.
WRAPPERS_HERE = {f"{name}-{k}": case.parity[k][0] for name, case in WRAPPER_CASES.items() for k in (0, 1)}
NESTED_HERE = {name: rule for name, (rule, _) in NESTED.items()}
ELEMENT = {name: rule for name, rule in (RULES_HERE | WRAPPERS_HERE | NESTED_HERE).items() if rule.scope == "element"}
# A kernel takes a second to compile: what only other options or another inner rule would show is left to the slow tests.
SLOW = {name for name in RULES_HERE if not name.endswith("-0")} | {name for name in WRAPPERS_HERE if name.endswith("-0")}
FLOAT32 = ("momentum-0", "adam-0", "lion-0", "nadam-0", "lamb-0", "prodigy-0", "agc-1", "clip(l2(adam))")


def slow(names, where: Callable[[str], bool]) -> list:
    return [pytest.param(name, marks=pytest.mark.slow) if where(name) else name for name in names]


def compare(rule: Rule, engine: str, dtype: torch.dtype, steps: int, shapes=SHAPES) -> tuple[float, float]:
    """How far an engine ends from the reference when both are given the same gradients: weights, and state.

    Every step is looked at, and the first that is far off is described: a difference that comes and goes must leave a trace.
    """
    start, gradient = problem(shapes, dtype)
    ours, truth = (Runner(rule, [x.clone() for x in start], name) for name in (engine, "reference"))
    lr, off = varying(rate_of(rule)), (nan, nan)
    for t in range(1, steps + 1):
        grads = gradient(truth.parameters, t)
        kept = [g.clone() for g in grads]
        ours.step(grads, lr(t))
        truth.step(grads, lr(t))
        assert all(map(torch.equal, grads, kept)), f"step {t} wrote to a gradient"
        off = distance(ours.parameters, truth.parameters), distance(list(ours.states().values()), list(truth.states().values()))
        assert off[0] < 1e-3 and off[1] < 1e-3, f"step {t}: {described(ours, truth)}"
    a, b = ours.states(), truth.states()
    assert {k: (x.shape, x.dtype) for k, x in a.items()} == {k: (x.shape, x.dtype) for k, x in b.items()}
    assert distance(truth.parameters, start) > 1e-3
    return off


def described(ours: Runner, truth: Runner) -> str:
    """Which tensors differ, in how many elements, where first, and what stands there."""
    tensors = [{f"p{i}": x for i, x in enumerate(runner.parameters)} | runner.states() for runner in (ours, truth)]
    lines = []
    for name, x in tensors[0].items():
        x, y = x.detach().reshape(-1), tensors[1][name].detach().reshape(-1)
        if places := (x - y).abs().gt(1e-6 * y.abs().max().clamp(min=1e-300)).nonzero().flatten().tolist():
            k = places[0]
            lines.append(f"{name}: {len(places)} of {x.numel()} differ, first {k}: {float(x[k])!r}, {float(y[k])!r}")
    return "; ".join(lines)


# --- fused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", slow(ELEMENT, lambda name: name in SLOW))
def test_fused_is_the_reference(name):
    weights, state = compare(ELEMENT[name], "fused", torch.float64, 20)
    assert weights < 1e-13 and state < 1e-12


@pytest.mark.parametrize("name", slow(ELEMENT, lambda name: name not in FLOAT32))
def test_fused_is_the_reference_in_float32(name):
    weights, state = compare(ELEMENT[name], "fused", torch.float32, 20)
    assert weights < 4e-6 and state < 2e-5


def test_all_element_rules_are_served():
    p = torch.zeros(3)
    assert len(ELEMENT) > 50
    assert all(choose(rule, p)[0] == "fused" for rule in ELEMENT.values())


def test_a_knob_changes_no_program():
    """The generated source, the compiled functions and the files on disk stay as they are."""
    start, gradient = problem(SHAPES)
    Runner(Clip(inner=Adam()), start, "fused").step(start)
    modules, files = disk.module.cache_info().misses, set(disk.folder().iterdir())
    kernels = {
        name: len(module.sweep0.signatures)
        for name, module in sys.modules.items()
        if name.startswith("steepest_") and "sweep0" in vars(module)
    }
    runner = Runner(Clip(inner=Adam(lr=0.7, beta2=0.5), norm=3.0), start, "fused")
    for t in range(1, 6):
        runner.step(gradient(start, t), 0.1 * t, norm=0.1 * t, **{"inner.beta1": 0.1 * t})
    assert disk.module.cache_info().misses == modules
    assert set(disk.folder().iterdir()) == files
    assert {name: len(sys.modules[name].sweep0.signatures) for name in kernels} == kernels and set(kernels.values()) >= {1}


def test_equal_structure_is_one_program():
    p = torch.zeros(3, 3)
    assert program_key(Adam(lr=0.1), p, "fused") == program_key(Adam(), p, "fused")
    assert program_key(Adam(amsgrad=True), p, "fused") != program_key(Adam(), p, "fused")
    assert program_key(Adam(), p.double(), "fused") != program_key(Adam(), p, "fused")
    written = [program(rule, 2, torch.float32, torch.float32).source for rule in (Adam(), Clip(inner=Adam()))]
    assert written[0] != written[1]


def test_passes_over_memory():
    """Composition costs no pass; each depth of totals costs one."""
    passes = {
        Adam(): 1,
        Average(inner=Adam()): 1,
        Clip(inner=Adam()): 2,
        AGC(inner=Clip(inner=Average(inner=Adam()))): 3,
        LAMB(): 2,
        Clip(inner=LAMB()): 3,
    }
    assert {rule: program(rule.structure(), 2, torch.float32, torch.float32).sweeps for rule in passes} == passes


class Braking(Rule):
    """One average that a total needs, and after it its own old value; and one whose old value no one asks for again."""

    lr: float = knob(0.1, "rate")
    weight_decay: float = knob(0.0, "decay")

    def init(self, p):
        return dict(m=zeros_like(p), n=zeros_like(p))

    def direction(self, p, g, state, t):
        m, n = lerp(state.m, g, 0.1), lerp(state.n, g, 0.2)
        return (m - state.m + n) / (1 + total(m * n, over="tensor")), dict(m=m, n=n)


def test_state_is_stored_when_a_total_has_formed_it():
    """What comes after reads it there: p and the state, no gradient. Where the old value is still asked for, it stays to the last."""

    def moved(rule: Rule) -> tuple[tuple[int, ...], int]:
        made = program(rule.structure(), 2, torch.float32, torch.float32)
        return made.reads, made.writes

    assert moved(LAMB()) == ((4, 3), 3)
    assert moved(Clip(inner=LAMB())) == ((2, 4, 3), 3)
    # After its total: p, g and the old m (its new value is formed again), and the new n.
    assert moved(Braking()) == ((3, 4), 3)


def test_state_stored_early_is_the_reference_s():
    start, gradient = problem(((4, 3), (5000,), ()))
    runners = [Runner(Braking(), [x.clone() for x in start], engine) for engine in ("reference", "fused")]
    for t in range(1, 6):
        for runner in runners:
            runner.step(gradient(start, t), 0.1)
        assert distance(runners[0].parameters, runners[1].parameters) < 1e-12
        assert distance(list(runners[0].states().values()), list(runners[1].states().values())) < 1e-12


class Branching(Rule):
    """Branches on a value."""

    lr: float = knob(0.1, "rate")
    weight_decay: float = knob(0.0, "decay")

    def direction(self, p, g, state, t):
        return (g if t > 1 else -g), {}


class Growing(Branching):
    """Returns state that it did not declare."""

    def direction(self, p, g, state, t):
        return g, dict(m=g)


def test_a_rule_that_cannot_be_traced_says_why():
    p = torch.zeros(3)
    with pytest.raises(TraceError, match=r"^a rule may not branch on a value; choose with maths\.where$"):
        Runner(Branching(), [p], "fused")
    with pytest.raises(TraceError, match=r"^Growing declares the state \[\] and returns \['m'\]$"):
        Runner(Growing(), [p], "fused")


def test_engines_refuse_what_they_cannot_serve():
    with pytest.raises(
        SettingError, match=r'^engine="fused" cannot serve Muon: the rule looks at a whole matrix at once; use engine="auto"$'
    ):
        choose(Muon(), torch.zeros(2, 2), "fused")
    with pytest.raises(SettingError, match="kernels are float32 or float64"):
        choose(Adam(), torch.zeros(2, dtype=torch.bfloat16), "fused")
    with pytest.raises(SettingError, match="did you mean fused"):
        choose(Adam(), torch.zeros(2), "fussed")
    assert choose(Muon(), torch.zeros(2, 2)) == ("reference", "the rule looks at a whole matrix at once")


# --- one result, however it is computed ----------------------------------------------------------------

WIDE = {"adam": Adam(), "clip(adam)": Clip(inner=Adam()), "lamb": LAMB(), "agc(adam)": AGC(inner=Adam()), "prodigy": Prodigy(d0=1e-3)}


@pytest.mark.parametrize("name", WIDE)
def test_threads_and_chunks_change_no_bit(name, monkeypatch):
    # Blocks of 4096 (65536 where nothing is summed), one not full, small tensors among them, and rows that are units.
    start, gradient = problem(((700_001,), (5,), (40, 3000), ()), torch.float32)

    def bits(count: int, parallel: int, stretch: int) -> list[Tensor]:
        monkeypatch.setattr(threads, "PARALLEL", parallel)
        monkeypatch.setattr(threads, "STRETCH", stretch)
        torch.set_num_threads(count)
        try:
            runner = Runner(WIDE[name], [x.clone() for x in start], "fused")
            for t in range(1, 4):
                runner.step(gradient(start, t), 0.1)
        finally:
            torch.set_num_threads(1)
        return [*runner.parameters, *runner.states().values()]

    serial = bits(1, 1 << 40, 1 << 18)
    for count, parallel, stretch in ((2, 0, 1 << 18), (2, 0, 1), (2, 0, 7 << 12), (3, 0, 2 << 16), (1, 0, 1)):
        assert all(map(torch.equal, serial, bits(count, parallel, stretch))), (count, parallel, stretch)


def test_a_total_goes_over_all_groups_and_programs(float64):
    """Clip around Muon here and around Adam there is clip_grad_norm_ over both."""
    start, gradient = problem(((4, 3), (5,), (3, 3), ()))
    groups = {"fused and reference": ("auto", Muon(lr=0.02), Adam(lr=0.02)), "two fused": ("auto", Lion(lr=0.02), Adam(lr=0.02))}
    for engine, first, second in groups.values():
        ours, theirs = (nn.ParameterDict({f"w{i}": x.clone() for i, x in enumerate(start)}) for _ in range(2))
        clipped = Optimizer(ours, Plan((("w0|w2", Clip(norm=0.5, inner=first)), ("*", Clip(norm=0.5, inner=second)))), engine=engine)
        plain = Optimizer(theirs, Plan((("w0|w2", first), ("*", second))), engine="reference")
        for t in range(1, 6):
            for weights in (ours, theirs):
                for p, g in zip(weights.values(), gradient(start, t), strict=True):
                    p.grad = g * t
            nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
            clipped.step()
            plain.step()
        assert distance(list(ours.parameters()), list(theirs.parameters())) < 1e-13


# --- memory: tensors that move, change or go between steps --------------------------------------------------

Params = list[nn.Parameter]


def replaced(p: Params, o: Optimizer, t: int) -> None:
    p[0].data = p[0].data.clone()
    p[2].data = torch.full_like(p[2].data, float(t))


def transposed(p: Params, o: Optimizer, t: int) -> None:
    p[0].data = p[0].data.t().contiguous().t() if t % 2 else p[0].data.contiguous()
    p[1].data = p[1].data.t()  # square: the same memory, other strides


def channels_last(p: Params, o: Optimizer, t: int) -> None:
    p[3].data = p[3].data.contiguous(memory_format=torch.channels_last)


def foreign_gradients(p: Params, o: Optimizer, t: int) -> None:
    if t % 3 == 1:
        return
    p[0].grad = p[0].grad.t().contiguous().t()
    p[2].grad = torch.full((1,), 0.1 * t, dtype=p[2].dtype).expand(p[2].shape)
    p[3].grad = p[3].grad.contiguous(memory_format=torch.channels_last)


def strided(p: Params, o: Optimizer, t: int) -> None:
    if t == 1:
        p[0].data = torch.zeros(8, 9, dtype=p[0].dtype)[::2, ::3].copy_(p[0].data)
        p[2].data = torch.zeros(5, 2, dtype=p[2].dtype)[:, 1].copy_(p[2].data)


def late(p: Params, o: Optimizer, t: int) -> None:
    if t < 3:
        p[1].grad = None
    if t % 2:
        p[4].grad = None


def frozen(p: Params, o: Optimizer, t: int) -> None:
    p[1].requires_grad_(False).grad = None
    if t > 3:
        p[1].requires_grad_(True).grad = torch.ones_like(p[1])


def nobody(p: Params, o: Optimizer, t: int) -> None:
    if t == 2:
        for x in p:
            x.grad = None


def state_replaced(p: Params, o: Optimizer, t: int) -> None:
    if t > 1:
        o.state[p[0]]["m"] = o.state[p[0]]["m"].clone() * 0.5
        o.state[p[3]]["v"] = o.state[p[3]]["v"].contiguous(memory_format=torch.channels_last)
    if t == 4:
        o.state[p[1]] = {}
        del o.state[p[2]]


def state_moved(p: Params, o: Optimizer, t: int) -> None:
    if t > 1:
        o.state[p[0]]["m"].data = o.state[p[0]]["m"].data.clone()
        o.state[p[0]]["v"].data = o.state[p[0]]["v"].data.t().contiguous().t()


def shared_storage(p: Params, o: Optimizer, t: int) -> None:
    if t == 1:
        flat = torch.cat([x.data.reshape(-1) for x in p])
        for x, piece in zip(p, flat.split([x.numel() for x in p]), strict=True):
            x.data = piece.view(x.shape)


def resized(p: Params, o: Optimizer, t: int) -> None:
    if t == 3:
        p[2].data = torch.ones(11, dtype=p[2].dtype)
        p[2].grad = torch.ones(11, dtype=p[2].dtype)
        del o.state[p[2]]


SCENARIOS = (replaced, transposed, channels_last, foreign_gradients, strided, late, frozen, nobody, state_replaced, state_moved,
             shared_storage, resized)  # fmt: skip


def lived_through(scenario: Callable, engine: str, rule: Rule, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Weights and state after some steps in which the scenario had its way just before each."""
    start, _ = problem(((4, 3), (6, 6), (5,), (4, 3, 2, 2), ()), dtype)
    p = [nn.Parameter(x) for x in start]
    optimizer = Optimizer(p, rule, engine=engine)
    for t in range(1, 7):
        dice = torch.Generator().manual_seed(t)
        for x in p:
            x.grad = torch.randn(x.shape, generator=dice, dtype=torch.float64).to(dtype)
        scenario(p, optimizer, t)
        optimizer.step()
    found = {f"{i}": x.detach() for i, x in enumerate(p)}
    return found | {f"{i}.{key}": value for i, x in enumerate(p) for key, value in optimizer.state[x].items()}


ON_STATE = (state_replaced, state_moved)
AROUND = {"clip(adam)": Clip(norm=0.5, inner=Adam(lr=0.1)), "agc(adam)": AGC(inner=Adam(lr=0.1))}
LIVES = [pytest.param(scenario, Adam(lr=0.1), id=f"{scenario.__name__}-adam") for scenario in SCENARIOS]
LIVES += [pytest.param(f, rule, id=f"{f.__name__}-{name}") for name, rule in AROUND.items() for f in SCENARIOS if f not in ON_STATE]


@pytest.mark.parametrize(("scenario", "rule"), LIVES)
def test_tensors_may_change_between_steps(scenario, rule):
    ours, truth = (lived_through(scenario, engine, rule) for engine in ("fused", "reference"))
    assert ours.keys() == truth.keys()
    for name, x in ours.items():
        assert (x.shape, x.dtype, x.stride()) == (truth[name].shape, truth[name].dtype, truth[name].stride()), name
        assert float((x - truth[name]).abs().max()) < 1e-15 * max(1.0, float(truth[name].abs().max())), name


@pytest.mark.parametrize("engine", ["reference", "fused"])
def test_a_gradient_that_does_not_fit_changes_nothing(engine):
    p = [torch.ones(3, dtype=torch.float64), torch.ones(2, 3, dtype=torch.float64)]
    runner = Runner(Adam(), p, engine)
    runner.step([torch.ones_like(x) for x in p])
    before = [x.clone() for x in (*p, *runner.states().values())]
    for wrong in (torch.ones(2, 3), torch.ones(3, 2, dtype=torch.float64), torch.ones(2, 3, dtype=torch.float64).to_sparse()):
        with pytest.raises(ParameterError, match=r"^the gradient of p1 is "):
            runner.step([torch.ones_like(p[0]), wrong])
        assert all(map(torch.equal, before, (*p, *runner.states().values())))


def test_in_a_large_model_a_replaced_weight_is_seen_at_once():
    """State is looked at in turn there; weights and gradients at every step."""
    many = 4 * WINDOW
    ours, truth = (Runner(Momentum(lr=0.1), [torch.ones(3) for _ in range(many)], engine) for engine in ("fused", "reference"))
    for t in range(1, 4):
        grads = [torch.full((3,), float(i + t)) for i in range(many)]
        for runner in (ours, truth):
            runner.parameters[-1].data = torch.full((3,), float(t))
            runner.step(grads)
    assert distance(ours.parameters, truth.parameters) < 1e-6


def test_another_number_of_elements_is_an_error():
    p = nn.Parameter(torch.ones(3))
    optimizer = Optimizer([p], Adam())
    p.grad = torch.ones(3)
    optimizer.step()
    p.data = torch.ones(50_000)
    p.grad = torch.ones(50_000)
    with pytest.raises(ParameterError, match="has now 50000 elements"):
        optimizer.step()


@pytest.mark.parametrize("engine", ["reference", "fused"])
def test_autograd_knows_that_weights_were_written(engine):
    w = nn.Parameter(torch.ones(3))
    loss = (w * w).sum()
    w.grad = torch.ones(3)
    optimizer = Optimizer([w], GradientDescent(lr=0.1), engine=engine)
    version = w._version
    optimizer.step()
    assert w._version > version
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


# --- compiled -----------------------------------------------------------------------------------------

SMALL = ((4, 3), (5, 5), (8, 1, 3, 3))
SIX = {
    "adam": (Adam(lr=0.02, weight_decay=0.1), (*SMALL, (5,), ())),
    "momentum": (Momentum(lr=0.02, nesterov=True), (*SMALL, (5,), ())),
    "clip(adam)": (Clip(norm=0.5, inner=Adam(lr=0.02)), (*SMALL, (5,), ())),
    "adafactor": (Adafactor(lr=0.1), (*SMALL, (5,), ())),
    "muon": (Muon(lr=0.02), SMALL),
}


def steady(rule: Rule, shapes, dtype=torch.float64, steps=5, master=False) -> tuple[Runner, Runner]:
    """Compiled and reference after steps that each have other knobs; after the first, nothing may be compiled."""
    torch._dynamo.reset()
    start, gradient = problem(shapes, dtype)
    ours, truth = (Runner(rule, [x.clone() for x in start], name, master) for name in ("compiled", "reference"))
    lr = varying(rate_of(rule))
    for t in range(1, steps + 1):
        grads = gradient(truth.parameters, t)
        truth.step(grads, lr(t))
        if t == 1:
            ours.step(grads, lr(t))
        else:
            with torch._dynamo.config.patch(error_on_recompile=True):
                ours.step(grads, lr(t))
    return ours, truth


# torch's compiler imports what torch itself has deprecated.
quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@quiet
@pytest.mark.parametrize("name", slow(SIX, lambda name: name != "clip(adam)"))
def test_compiled_is_the_reference(name):
    ours, truth = steady(*SIX[name])
    assert all(engine.proven for engine, _ in ours.parts), "it fell back"
    assert distance(ours.parameters, truth.parameters) < 1e-12
    a, b = ours.states(), truth.states()
    assert {k: (x.shape, x.dtype) for k, x in a.items()} == {k: (x.shape, x.dtype) for k, x in b.items()}
    assert distance(list(a.values()), list(b.values())) < 1e-12


@quiet
@pytest.mark.slow
@pytest.mark.parametrize("master", [False, True], ids=["plain", "master"])
def test_compiled_bfloat16_with_float32_state(master):
    ours, truth = steady(Adam(lr=0.02, weight_decay=0.1), ((4, 3), (5,), ()), torch.bfloat16, master=master)
    assert all(x.dtype == torch.bfloat16 for x in ours.parameters)
    assert ours.states()["p0.m"].dtype == torch.float32 and ("p0.master" in ours.states()) == master
    assert distance(ours.parameters, truth.parameters) < (1e-2 if master else 2e-2)
    if master:
        masters = [[runner.states()[f"p{i}.master"] for i in range(3)] for runner in (ours, truth)]
        assert distance(*masters) < 1e-6
        assert all(torch.equal(p, m.bfloat16()) for p, m in zip(ours.parameters, masters[0], strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_master_weights_keep_what_low_precision_would_lose(dtype):
    """1000 steps of 1e-4 from 1: in bfloat16 none of them would be felt."""
    runner = Runner(GradientDescent(lr=1e-4), [torch.ones(3, dtype=dtype)], master=True)
    lossy = Runner(GradientDescent(lr=1e-4), [torch.ones(3, dtype=dtype)])
    for _ in range(1000):
        for each in (runner, lossy):
            each.step([torch.ones(3, dtype=dtype)])
    assert runner.parameters[0].tolist() == pytest.approx([0.9] * 3, abs=4e-3)
    assert abs(float(lossy.parameters[0][0]) - 0.9) > 0.02


# --- the world around -----------------------------------------------------------------------------------


def script(code: str, **environment: str) -> str:
    """What a Python of its own prints."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "2", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


STEP = """
import warnings, torch
from steepest.optim import AdamW
p = torch.nn.Parameter(torch.ones(4)); p.grad = torch.ones(4)
o = AdamW([p], lr=0.5); o.step(); print(p[0].item(), o.explain())
"""


def test_memory_that_is_freed_or_grows():
    """Old memory is given back and overwritten: an address used too long would show, or crash the process."""
    code = """
    import gc, torch
    torch.set_num_threads(1)
    from steepest.optim import Optimizer
    from steepest.rules import Adam, Clip
    ends = []
    for engine in ("fused", "reference"):
        torch.manual_seed(0)
        p = [torch.nn.Parameter(torch.randn(60, 80)), torch.nn.Parameter(torch.randn(20_000))]
        o = Optimizer(p, Clip(inner=Adam(lr=0.1)), engine=engine)
        for t in range(10):
            for x in p:
                x.grad = torch.randn_like(x)
            o.step()
            p[t % 2].data = p[t % 2].data * 1.0
            o.state[p[0]]["inner.m"] = o.state[p[0]]["inner.m"] * 1.0
            o.state[p[1]]["inner.v"].data = o.state[p[1]]["inner.v"].data * 1.0
            gc.collect()
            junk = [torch.full((20_000,), float("nan")) for _ in range(8)]
            del junk
        ends.append(p)
    print(all(torch.isfinite(x).all() for x in ends[0]), max((x - y).abs().max().item() for x, y in zip(*ends)) < 1e-5)
    """
    assert script(code, MALLOC_PERTURB_="165", MALLOC_CHECK_="3") == "True True\n"


CODE = "def answer():\n    return 42\n"


@pytest.mark.parametrize("damage", [b"", b"def answer():\n    return 41\n", b"\xff\x00 not even text"], ids=["empty", "edited", "binary"])
def test_a_damaged_file_in_the_cache_is_written_anew(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("STEEPEST_CACHE", str(tmp_path / "new" / "folder"))
    load = disk.module.__wrapped__
    assert load(CODE).answer() == 42
    (path,) = disk.folder().glob("steepest_*.py")
    path.write_bytes(damage)
    assert load(CODE).answer() == 42 and path.read_text() == CODE


def test_an_unwritable_cache_is_gone_around(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STEEPEST_CACHE", str(tmp_path / "file" / "below"))
    assert tmp_path not in disk.folder().parents
    assert disk.module.__wrapped__(CODE + "# elsewhere\n").answer() == 42


def test_two_processes_fill_the_cache_at_once(tmp_path):
    command = [sys.executable, "-c", STEP]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "STEEPEST_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] and "fused" in outputs[0][0]
    assert len(list(tmp_path.glob("steepest_*.py"))) == 1 and not list(tmp_path.glob("*.tmp"))


NO_NUMBA = """
import sys, warnings
sys.modules["numba"] = None
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import torch
    from steepest.optim import Adam, Lion
    p = torch.nn.Parameter(torch.ones(4))
    for cls in (Adam, Lion, Adam):
        o = cls([p], lr=0.5); p.grad = torch.ones(4); o.step(); o.step()
print([str(w.message) for w in caught if "engine" in str(w.message)], "reference engine" in o.explain())
"""


def test_without_numba_the_reference_works_and_says_so_once():
    printed = script(NO_NUMBA)
    assert printed.count("the fused engine is not available") == 1 and "numba" in printed.lower() and printed.endswith("True\n")


def test_with_a_broken_numba_too(tmp_path):
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text("raise ImportError('llvmlite is too old')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + NO_NUMBA.replace('sys.modules["numba"] = None', "")
    printed = script(code)
    assert printed.count("the fused engine is not available (llvmlite is too old)") == 1 and printed.endswith("True\n")


def test_a_child_forked_after_a_parallel_step_can_step():
    code = """
    import os, torch, warnings
    warnings.simplefilter("ignore")
    from steepest.engines import threads
    from steepest.optim import AdamW
    torch.set_num_threads(2)
    threads.PARALLEL = 0
    p = torch.nn.Parameter(torch.ones(1_000_000)); p.grad = torch.ones(1_000_000)
    o = AdamW([p], lr=0.5); o.step()
    child = os.fork()
    o.step()
    os.write(1, f"{p[0].item()}\\n".encode())
    if child == 0:
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
    """
    lines = script(code).splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
