"""Augmentation: pixels against literal formulas, draws against their distributions, and that nothing else is touched."""

import math
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from steepest.core.errors import SettingError
from steepest.core.rng import generator
from steepest.regularizers import REGULARIZERS
from steepest.regularizers.augment import AUGMENTATIONS, Chain, common, geometry, images, light, policies, text
from steepest.regularizers.augment import audio as sound
from steepest.regularizers.augment.common import windows as cut_windows
from steepest.regularizers.augment.draws import GOLDEN, PIECE, QUANTILE, bits, mixed, normal, stream, uniform
from steepest.regularizers.augment.geometry import Rotate, Scale, Shear, Translate
from steepest.regularizers.augment.images import Crop, Erase, Flip
from steepest.regularizers.augment.light import Brightness, Contrast
from steepest.regularizers.base import BatchError

IMAGES = ("flip", "crop", "rotate", "scale", "translate", "shear", "brightness", "contrast", "erase", "randaugment", "trivialaugment")
SHAPES = [(8, 3, 9, 12), (5, 1, 7, 7), (4, 2, 1, 1), (1, 3, 5, 4), (3, 1, 1, 6), (0, 3, 8, 8)]
# Those whose defaults suit the data below; crop's padding may be larger than the image with zeros.
STRONG = {"flip": dict(vertical=0.5), "erase": dict(probability=1.0), "crop": dict(padding=2)}


def draws(*names):
    return generator(0, "test", *names)


def make(name, **settings):
    return AUGMENTATIONS[name](**STRONG.get(name, {}) | settings)


def pictures(n=8, c=3, h=9, w=12, dtype=torch.float64):
    return torch.rand(n, c, h, w, dtype=dtype, generator=draws("pictures"))


def bytes_of(x):
    return (x * 255).round().to(torch.uint8)


def suited(name, n=6):
    """A batch that this augmentation is for."""
    if name in IMAGES:
        return pictures(n, 3, 10, 12, torch.float32)
    if name.startswith("token"):
        return torch.randint(2, 50, (n, 21), generator=draws("tokens"))
    if name == "specaugment":
        return torch.rand(n, 16, 30, generator=draws("spectrograms"))
    return torch.randn(n, 2, 50, generator=draws("waves"))


def within(found, expected, deviation, n, sigmas=4):
    assert abs(found - expected) < sigmas * deviation / math.sqrt(n), f"{found} is not {expected}"


# --- what holds for all -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(name):
    x, y = suited(name), object()
    kept = x.clone()
    before = torch.get_rng_state()
    a, label = make(name).change(x, y, draws(name))
    b, _ = make(name).change(x, y, draws(name))
    assert label is y
    assert torch.equal(a, b)
    assert torch.equal(x, kept), "the input was written to"
    assert a.shape == x.shape and a.dtype == x.dtype
    assert torch.equal(torch.get_rng_state(), before), "the global stream moved"
    assert any(not torch.equal(a, make(name).change(x, y, draws(name, k))[0]) for k in range(5))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_sample_depends_on_its_place_alone(name):
    """Fewer samples, and other ones around it, change nothing about a sample; and the generator moves by one number either way."""
    x = suited(name, 6)
    g, h = draws(name), draws(name)
    whole, _ = make(name).change(x, None, g)
    part, _ = make(name).change(x[:4], None, h)
    assert torch.allclose(whole[:4], part, rtol=0, atol=1e-6)
    assert torch.equal(g.get_state(), h.get_state())
    other = torch.cat([x[:2], x[2:].flip(0)])
    assert torch.allclose(make(name).change(other, None, draws(name))[0][:2], whole[:2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_empty_batch_stays_one_and_memory_layout_does_not_matter(name):
    x = suited(name)
    assert make(name).change(x[:0], None, draws(name))[0].shape == x[:0].shape
    a, _ = make(name).change(x, None, draws(name))
    b, _ = make(name).change(x.transpose(0, -1).contiguous().transpose(0, -1), None, draws(name))
    assert torch.allclose(a, b, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_it_has_a_card_and_a_main_setting(name):
    cls = AUGMENTATIONS[name]
    assert cls.use and cls.hurts and cls.cost and cls.__doc__
    assert cls.main in cls.own_knobs() | cls.own_options()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_knob_has_an_effect(name):
    x = suited(name, 64)
    if name == "shear":
        x = pictures(64, 1, 30, 30, torch.float32)
    settings = dict(STRONG.get(name, {}), vertical=0.3) if name in ("flip", "shear") else STRONG.get(name, {})
    base = AUGMENTATIONS[name](**settings)
    for knob, spec in base.own_knobs().items():
        value = getattr(base, knob)
        other = value * 0.5 if spec.low <= value * 0.5 else value * 1.5
        moved = base.replace(**{knob: other if value else 0.5})
        assert not torch.equal(base.change(x, None, draws(name))[0], moved.change(x, None, draws(name))[0]), knob


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_odd_sizes_gray_images_and_single_ones(name, shape):
    x = torch.rand(shape, generator=draws("shapes"))
    found, _ = make(name).change(x, None, draws(name))
    assert found.shape == x.shape and found.isfinite().all()
    assert (found >= 0).all() and (found <= 1).all()


@pytest.mark.parametrize("name", IMAGES)
def test_bytes_are_the_same_picture_as_floats(name):
    """Bytes stay bytes where pixels are only moved or hidden; else they become floats in [0, 1]."""
    raw = bytes_of(pictures())
    found, _ = make(name).change(raw, None, draws(name))
    expected, _ = make(name).change(raw.float() / 255, None, draws(name))
    assert found.dtype == (torch.uint8 if name in ("flip", "crop", "erase") else torch.float32)
    found = found.float() / 255 if found.dtype == torch.uint8 else found
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_the_kind_of_float_is_kept(name, dtype):
    x = pictures()
    found, _ = make(name).change(x.to(dtype), None, draws(name))
    assert found.dtype == dtype and found.isfinite().all()


# --- draws --------------------------------------------------------------------------------------------


def test_draws_of_a_sample_do_not_depend_on_how_many_follow():
    assert torch.equal(uniform(7, 3, draws())[:, :4], uniform(4, 3, draws()))
    for size in (5, 16, 37):
        assert torch.equal(normal((9, size), draws())[:6], normal((6, size), draws()))
        assert normal((9, size), draws()).unique().numel() == 9 * size
    many = normal((400, 25), draws())
    within(many.mean(), 0, 1, many.numel())
    within(many.square().mean(), 1, math.sqrt(2), many.numel())


def test_bits_are_those_of_splitmix64():
    """The first numbers of seed 1234567, as published with the generator."""
    with np.errstate(over="ignore"):
        found = mixed(np.uint64(1234567) + np.arange(1, 4, dtype=np.uint64) * GOLDEN)
    assert found.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert (bits(5, 9, 7)[:4] == bits(5, 4, 7)).all() and (bits(5, 4, 8)[:, :7] == bits(5, 4, 7)).all()
    assert len(np.unique(bits(5, 300, 300))) > 89_980, "of 90,000 numbers out of 2^32 about one is there twice"
    histogram_is_flat(torch.from_numpy((bits(7, 100, 1000) >> 26).astype(np.int64)).flatten(), 64)


def test_normal_numbers_are_normal():
    z = normal((1000, 1000), draws()).double().flatten()
    for edge in (-4.0, -3, -2, -1, -0.1, 0, 0.1, 1, 2, 3, 4):
        p = float(torch.special.ndtr(torch.tensor(edge, dtype=torch.float64)))
        within((z < edge).double().mean(), p, math.sqrt(p * (1 - p)), len(z))
    share = torch.rand(100_000, dtype=torch.float64, generator=draws("shares")) / 2
    level = (share * 2**32).floor().clamp(min=1)
    piece = (level.float().numpy().view(np.int32) >> 17) - PIECE
    found = QUANTILE[0][piece] + QUANTILE[1][piece] * level.float().numpy()
    assert np.abs(found - torch.special.ndtri(level / 2**32).numpy()).max() < 2e-5


def test_one_number_starts_a_stream_of_its_own():
    g = draws()
    a, b = stream(g), stream(g)
    assert not torch.equal(torch.rand(5, generator=a), torch.rand(5, generator=b))


def histogram_is_flat(values, k):
    """Each of k values equally often, at 4 sigma."""
    counts = values.bincount(minlength=k)
    n, p = len(values), 1 / k
    assert len(counts) == k and n > 100 * k
    assert (counts - n * p).abs().max() < 4 * math.sqrt(n * p * (1 - p))


def test_flip_has_its_probability_and_axes():
    x = torch.arange(4.0).view(1, 1, 2, 2).repeat(20_000, 1, 1, 1)
    found, _ = Flip(horizontal=0.3, vertical=0.6).change(x, None, draws())
    across = found[:, 0, 0, 0] % 2 == 1
    down = found[:, 0, 0, 0] >= 2
    for event, p in ((across, 0.3), (down, 0.6), (across & down, 0.18)):
        within(event.double().mean(), p, math.sqrt(p * (1 - p)), len(x))


def test_every_place_of_a_crop_is_equally_likely():
    x = torch.arange(36.0).view(1, 1, 6, 6).repeat(20_000, 1, 1, 1) + 1
    found, _ = Crop(padding=2).change(x, None, draws())
    # The pixel that came to (3, 3) tells the corner: of 5 x 5.
    corner = found[:, 0, 3, 3].long() - 1
    histogram_is_flat((corner // 6 - 1) * 5 + corner % 6 - 1, 25)


@pytest.mark.parametrize(
    ("change", "read", "low", "high"),
    [
        (Rotate(degrees=30), lambda m: torch.rad2deg(torch.atan2(m[:, 1, 0], m[:, 0, 0])), -30, 30),
        (Scale(factor=2.0), lambda m: -m[:, 0, 0].log2(), -1, 1),
        (Translate(share=0.25), lambda m: -m[:, 0, 2], -3, 3),
        (Translate(share=0.25), lambda m: -m[:, 1, 2], -2, 2),
        (Shear(horizontal=20), lambda m: -torch.rad2deg(m[:, 0, 1].atan()), -20, 20),
        (Shear(vertical=20), lambda m: -torch.rad2deg(m[:, 1, 0].atan()), -20, 20),
    ],
    ids=["angle", "factor", "right", "down", "slant", "slope"],
)
def test_geometry_is_uniform_over_its_range(change, read, low, high):
    values = read(change.matrices(torch.empty(20_000, 1, 8, 12), draws()))
    if change == Shear(vertical=20):  # the two shears multiply; this entry is that of the second alone
        assert values.abs().max() <= 20
    histogram_is_flat(((values - low) / (high - low) * 10).long().clamp(0, 9), 10)


def test_light_is_uniform_over_its_range():
    x = torch.full((20_000, 1, 1, 2), 0.5)
    x[..., 1] = 0.4
    factor = Brightness(strength=0.5).change(x, None, draws())[0][:, 0, 0, 0] / 0.5
    histogram_is_flat(((factor - 0.5) * 10).long().clamp(0, 9), 10)
    found = Contrast(strength=0.5).change(x, None, draws())[0][:, 0, 0]
    histogram_is_flat((((found[:, 0] - found[:, 1]) / 0.1 - 0.5) * 10).long().clamp(0, 9), 10)


def test_erased_rectangles_have_their_probability_area_and_place():
    n, h, w = 10_000, 40, 40
    x = torch.ones(n, 1, h, w, dtype=torch.uint8)
    found, _ = Erase(probability=0.4, smallest=0.04, largest=0.16, aspect=1.5).change(x, None, draws())
    gone = found[:, 0] == 0
    hit = gone.any(2).any(1)
    within(hit.double().mean(), 0.4, math.sqrt(0.24), n)
    tall, wide = gone[hit].any(2).sum(1), gone[hit].any(1).sum(1)
    share = gone[hit].sum((1, 2)) / (h * w)
    assert torch.equal(gone[hit].sum((1, 2)), tall * wide), "not a rectangle"
    assert share.min() > 0.03 and share.max() < 0.18
    assert abs(share.double().mean() - 0.10) < 0.002  # rounding to pixels takes a little
    ratio = (tall / wide).log()
    within(ratio.mean(), 0, ratio.std(), len(ratio))
    assert ratio.abs().max() < math.log(1.5) + 0.15
    squares, _ = Erase(probability=1.0, smallest=0.25, largest=0.25, aspect=1.0).change(x[..., :8, :8], None, draws())
    for axis in (1, 2):  # columns, then rows: where the square of 4 begins
        histogram_is_flat((squares[:, 0] == 0).any(axis).int().argmax(1), 5)


# --- pixels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.uint8])
def test_flip_moves_the_chosen_and_no_others(dtype):
    x = pictures(6)
    x = bytes_of(x) if dtype == torch.uint8 else x.to(dtype)
    chosen = torch.tensor([True, False, True, True, False, False])
    for axis in (-1, -2):
        found = images.flip(x, chosen, axis)
        assert all(torch.equal(found[i], x[i].flip(axis) if chosen[i] else x[i]) for i in range(6))


@pytest.mark.parametrize("border", images.BORDERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8])
def test_crop_is_a_slice_of_each_padded_image(border, dtype):
    x = pictures(7, 2, 6, 9)
    x = bytes_of(x) if dtype == torch.uint8 else x
    top, left = torch.randint(0, 6, (7,), generator=draws("t")), torch.randint(0, 9, (7,), generator=draws("l"))
    found = images.crop(x, top, left, 5, 5, padding=2, border=border)
    mode = {"zeros": "constant", "edge": "edge", "reflect": "reflect"}[border]
    for i in range(7):
        padded = np.pad(x[i].numpy(), ((0, 0), (2, 2), (2, 2)), mode=mode)
        assert (found[i].numpy() == padded[:, top[i] : top[i] + 5, left[i] : left[i] + 5]).all()


def test_windows_of_the_whole_are_the_whole():
    x = pictures(3, 2, 4, 5)
    zero = torch.zeros(3, dtype=torch.int64)
    assert torch.equal(cut_windows(x, zero, zero, 4, 5), x)


@pytest.mark.parametrize("value", [0.0, 0.5])
@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8])
def test_erase_is_an_assignment_to_each(value, dtype):
    x = pictures(3)
    x = bytes_of(x) if dtype == torch.uint8 else x
    top, bottom, left, right = (torch.tensor(v) for v in ([0, 2, 4], [9, 5, 4], [1, 0, 3], [12, 3, 7]))
    expected = x.clone()
    for i in range(3):
        expected[i, :, top[i] : bottom[i], left[i] : right[i]] = value if dtype == torch.float64 else round(255 * value)
    assert torch.equal(images.erase(x, top, bottom, left, right, value), expected)


def bilinear(image, matrix, border):
    """One image, pixel by pixel: where it comes from, and the four neighbors there."""
    channels, height, width = image.shape
    found = torch.zeros_like(image)

    def neighbor(c, row, column):
        if border == "zeros" and not (0 <= row < height and 0 <= column < width):
            return 0.0
        return float(image[c, min(max(row, 0), height - 1), min(max(column, 0), width - 1)])

    for i in range(height):
        for j in range(width):
            x, y = j - (width - 1) / 2, i - (height - 1) / 2
            a, b, shift = (float(v) for v in matrix[0])
            d, e, fall = (float(v) for v in matrix[1])
            column, row = a * x + b * y + shift + (width - 1) / 2, d * x + e * y + fall + (height - 1) / 2
            if border == "edge":
                column, row = min(max(column, 0), width - 1), min(max(row, 0), height - 1)
            left, top = math.floor(column), math.floor(row)
            u, v = column - left, row - top
            for c in range(channels):
                upper = (1 - u) * neighbor(c, top, left) + u * neighbor(c, top, left + 1)
                lower = (1 - u) * neighbor(c, top + 1, left) + u * neighbor(c, top + 1, left + 1)
                found[c, i, j] = (1 - v) * upper + v * lower
    return found


@pytest.mark.parametrize("border", ["zeros", "edge"])
@pytest.mark.parametrize("shape", [(3, 2, 5, 8), (2, 1, 7, 7), (1, 1, 1, 1)], ids=str)
def test_warp_is_the_bilinear_formula(shape, border):
    x = pictures(*shape)
    n = len(x)
    u = uniform(n, 6, draws("warp")) - 0.5
    matrices = geometry.affine(1 + u[0], u[1], 3 * u[2], u[3], 1 + u[4], 3 * u[5])
    found = geometry.warp(x, matrices, border)
    for i in range(n):
        assert torch.allclose(found[i], bilinear(x[i], matrices[i], border), rtol=0, atol=1e-12)


def test_warp_is_torchs_affine_grid_and_grid_sample():
    x = pictures(4, 3, 9, 12)
    angle = torch.tensor([10.0, -30.0, 0.0, 77.0], dtype=torch.float64)
    for border, name in geometry.BORDERS.items():
        found = geometry.rotate(x, angle, border)
        for i in range(4):
            a = math.radians(angle[i])
            # affine_grid counts from -1 to 1 on both axes: the sides' ratio enters off the diagonal.
            theta = [[math.cos(a), -math.sin(a) * 9 / 12, 0], [math.sin(a) * 12 / 9, math.cos(a), 0]]
            grid = F.affine_grid(torch.tensor([theta], dtype=torch.float64), [1, 3, 9, 12], align_corners=False)
            expected = F.grid_sample(x[i : i + 1], grid, padding_mode=name, align_corners=False)[0]
            assert torch.allclose(found[i], expected, rtol=0, atol=1e-12)


def test_geometry_known_beforehand():
    x = pictures(2, 3, 8, 8)
    close = lambda a, b: torch.allclose(a, b, rtol=0, atol=1e-12)  # noqa: E731
    for k in range(4):
        assert close(geometry.rotate(x, 90.0 * k), torch.rot90(x, k, (2, 3))), "counterclockwise"
    assert close(geometry.translate(x, 3.0, -2.0), F.pad(x, (3, -3, -2, 2))), "right, up"
    assert close(geometry.scale(x, 1.0), x)
    # Four pixels become one: the mean of the four; beyond the image nothing.
    half = geometry.scale(x, 0.5)
    assert close(half[:, :, 2:6, 2:6], F.avg_pool2d(x, 2)) and half[:, :, :2].count_nonzero() == 0
    # Odd size: the center row stays, the one below it slides by one pixel to the right.
    y = pictures(1, 1, 5, 5)
    slid = geometry.shear(y, 1.0)
    assert close(slid[0, 0, 2], y[0, 0, 2])
    assert close(slid[0, 0, 3], F.pad(y[0, 0, 3], (1, -1))) and close(slid[0, 0, 1], F.pad(y[0, 0, 1], (-1, 1)))
    risen = geometry.shear(y, 0.0, 1.0)
    assert close(risen[0, 0, :, 3], F.pad(y[0, 0, :, 3], (1, -1)))


def test_a_chain_draws_as_its_parts_do_and_samples_once(monkeypatch):
    x = pictures(6, 2, 9, 11)
    parts = (Flip(), Rotate(degrees=40), Scale(), Translate(), Shear(vertical=5.0), Brightness())
    found, _ = Chain(parts=parts).change(x, None, draws())
    g = draws()
    expected, _ = parts[0].change(x, None, g)
    total = torch.eye(3, dtype=torch.float64)
    for part in parts[1:5]:
        total = total @ part.matrices(x, stream(g))
    expected, _ = parts[5].change(geometry.warp(expected, total), None, g)
    assert torch.equal(found, expected)

    calls = []
    warp = geometry.warp
    monkeypatch.setattr(geometry, "warp", lambda *given: (calls.append(1), warp(*given))[1])
    Chain(parts=parts).change(x, None, draws())
    assert len(calls) == 1
    Chain(parts=(Rotate(), Scale(border="edge"), Crop(), Shear())).change(x, None, draws())
    assert len(calls) == 4, "other borders, and what lies between, part them"


def test_the_order_of_a_chain_is_that_of_its_parts():
    """A quarter turn, then a shift to the right; not the shift first."""
    x = pictures(1, 1, 7, 7)
    turn, shift = (
        geometry.rotation(torch.tensor([90.0], dtype=torch.float64)),
        geometry.translation(torch.tensor([2.0]), torch.tensor([0.0])),
    )
    expected = F.pad(torch.rot90(x, 1, (2, 3)), (2, -2))
    assert torch.allclose(geometry.warp(x, turn @ shift), expected, rtol=0, atol=1e-12)


def test_an_empty_chain_changes_nothing_and_other_changes_may_stand_in_it():
    from steepest.regularizers.mixing import Mixup

    x, y = pictures(4), torch.arange(4)
    assert Chain().change(x, y, draws())[0] is x
    found, target = Chain(parts=(Flip(), Mixup())).change(x, y, draws())
    assert found.shape == x.shape and torch.equal(target.a, y)


# --- one pass, or torch's several ---------------------------------------------------------------------


@pytest.fixture
def by_torch(monkeypatch):
    """Within `with by_torch():` nothing is compiled."""

    @contextmanager
    def without():
        with monkeypatch.context() as patch:
            for place in (common, text):
                patch.setattr(place, "compiled", lambda: None)
            yield

    assert common.compiled(), "Numba is there, or these tests compare torch with itself"
    return without


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.uint8], ids=str)
@pytest.mark.parametrize("name", [*IMAGES, "time_shift", "specaugment", "cutout"])
def test_one_pass_gives_what_torch_gives(name, dtype, by_torch):
    x = suited(name) if name in AUGMENTATIONS else pictures()
    if dtype == torch.uint8 and x.ndim < 4:
        pytest.skip("sounds are floats")
    x = bytes_of(x) if dtype == torch.uint8 else x.to(dtype)
    change = REGULARIZERS[name](**STRONG.get(name, {}))
    found, _ = change.change(x, None, draws(name))
    with by_torch():
        expected, _ = change.change(x, None, draws(name))
    assert found.dtype == expected.dtype
    if name in ("flip", "crop", "erase", "time_shift", "specaugment", "cutout"):
        assert torch.equal(found, expected)
    elif "augment" in name:  # a last digit may be another level of gray
        assert ((found - expected).abs() > 1e-5).double().mean() < 0.02
    else:
        assert torch.allclose(found, expected, rtol=0, atol=1e-12 if dtype == torch.float64 else 1e-5)


@pytest.mark.parametrize("length", [1, 2, 21, 200])
@pytest.mark.parametrize("name", ["token_dropout", "token_swap"])
def test_one_pass_over_tokens_chooses_as_torch_does(name, length, by_torch):
    x = torch.randint(0, 9, (60, length), generator=draws("tokens"))
    for rate in (0.0, 0.3, 1.0):
        for kind in (torch.int64, torch.int32):
            found, _ = AUGMENTATIONS[name](rate=rate).change(x.to(kind), None, draws(name))
            with by_torch():
                assert torch.equal(found, AUGMENTATIONS[name](rate=rate).change(x.to(kind), None, draws(name))[0])
            assert torch.equal(found, x.to(kind)) == (rate == 0 or (name == "token_swap" and length == 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(5, 1), (5, 37), (5, 2, 100)], ids=str)
def test_one_pass_of_noise_draws_as_torch_does(shape, dtype, by_torch):
    x = torch.randn(shape, dtype=dtype, generator=draws("waves"))
    change = AUGMENTATIONS["audio_noise"](lowest=-3.0, highest=3.0)
    found, _ = change.change(x, None, draws())
    with by_torch():
        expected, _ = change.change(x, None, draws())
    assert found.dtype == dtype and torch.allclose(found, expected, rtol=0, atol=1e-5)
    assert (found - x).abs().mean() > 0.3
    assert not AUGMENTATIONS["audio_noise"]().change(torch.zeros(2, 9), None, draws())[0].any(), "silence stays silent"


@pytest.mark.parametrize("border", geometry.BORDERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8], ids=str)
def test_strong_warps_are_the_same_in_one_pass(border, dtype, by_torch):
    x = bytes_of(pictures(5, 2, 6, 11)) if dtype == torch.uint8 else pictures(5, 2, 6, 11)
    u = uniform(5, 6, draws("strong")) * 6 - 3
    matrices = geometry.affine(u[0], u[1], 9 * u[2], u[3], u[4], 9 * u[5])
    found = geometry.warp(x, matrices, border)
    with by_torch():
        assert torch.allclose(found, geometry.warp(x, matrices, border), rtol=0, atol=1e-12 if dtype == torch.float64 else 1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8], ids=str)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e30, -1e30])
def test_places_that_are_no_numbers_are_read_from_nowhere_else(wrong, dtype):
    """A loop without checks may not leave its memory: what is found is of the image or its border."""
    x = torch.full((2, 3, 8, 8), 0.5) if dtype == torch.float32 else torch.full((2, 3, 8, 8), 51, dtype=torch.uint8)
    level = 0.5 if dtype == torch.float32 else 0.2
    for place in range(6):
        for border in geometry.LIMITS:
            numbers = torch.tensor([1.0, 0, 0, 0, 1, 0], dtype=torch.float64)
            numbers[place] = wrong
            found = geometry.warp(x, geometry.affine(*numbers.expand(2, 6).T), border)
            assert found.isnan().any() or ((found > -1e-6) & (found < level + 1e-6)).all()


@pytest.mark.parametrize("layer", ["loops", "torch"])
def test_shifts_and_boxes_of_any_size(layer, by_torch):
    x = pictures(6, 2, 5, 7)
    down, right = torch.tensor([0, 2, -3, 5, -9, 1]), torch.tensor([0, -7, 4, 1, 2, 6])
    boxes = torch.tensor([[[0, 5, 0, 7], [1, 1, 2, 3]], [[-3, 2, -1, 3], [4, 9, 5, 99]]]).repeat(3, 1, 1)
    values = torch.arange(6.0)
    with by_torch() if layer == "torch" else nullcontext():
        moved, hidden = common.shift(x, down, right), common.hide(x, boxes, values)
    for i in range(6):
        d, r = int(down[i].clamp(-5, 5)), int(right[i].clamp(-7, 7))
        assert torch.equal(moved[i], F.pad(x[i], (-r, r, -d, d)))
        expected = x[i].clone()
        for top, bottom, left, right_ in boxes[i].tolist():
            expected[:, max(top, 0) : bottom, max(left, 0) : right_] = values[i]
        assert torch.equal(hidden[i], expected)


@pytest.mark.parametrize("name", [name for name in IMAGES if "augment" not in name])
def test_gradients_pass(name):
    x = pictures().requires_grad_()
    make(name).change(x, None, draws(name))[0].sum().backward()
    assert x.grad is not None and x.grad.count_nonzero() > 0


# --- light --------------------------------------------------------------------------------------------

LUMA = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)


def gray(image):
    return (image * LUMA[:, None, None]).sum(0) if len(image) == 3 else image.mean(0)


def blurred(image):
    out = image.clone()
    for i in range(1, image.shape[1] - 1):
        for j in range(1, image.shape[2] - 1):
            out[:, i, j] = (image[:, i - 1 : i + 2, j - 1 : j + 2].sum((1, 2)) + 4 * image[:, i, j]) / 13
    return out


def equalized(image):
    out = image.clone()
    for c, channel in enumerate(image):
        levels = (channel * 255).round()
        ranks = torch.stack([(levels <= v).double().mean() for v in levels.flatten()]).view_as(levels)
        low = ranks.min()
        out[c] = (ranks - low) / (1 - low) if low < 1 else levels / 255
    return out


LITERAL = {
    "brightness": (light.brightness, lambda x, f: (x * f).clamp(0, 1)),
    "contrast": (light.contrast, lambda x, f: (gray(x).mean() + f * (x - gray(x).mean())).clamp(0, 1)),
    "saturation": (light.saturation, lambda x, f: (gray(x) + f * (x - gray(x))).clamp(0, 1) if len(x) == 3 else x),
    "sharpness": (light.sharpness, lambda x, f: (blurred(x) + f * (x - blurred(x))).clamp(0, 1)),
    "solarize": (light.solarize, lambda x, f: torch.where(x >= f, 1 - x, x)),
    "posterize": (light.posterize, lambda x, f: ((x * 255).round().long() & (256 - 2 ** (8 - round(f)))).double() / 255),
    "stretch": (lambda x, f: light.stretch(x), lambda x, f: torch.stack([(c - c.min()) / (c.max() - c.min()) for c in x])),
    "equalize": (lambda x, f: light.equalize(x), lambda x, f: equalized(x)),
}


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("name", LITERAL)
def test_light_is_its_literal_formula(name, channels):
    x = pictures(4, channels, 6, 7) * 0.8
    factors = torch.tensor([0.0, 0.4, 1.0, 1.7], dtype=torch.float64)
    if name == "posterize":
        factors = torch.tensor([8.0, 4.0, 1.0, 6.0], dtype=torch.float64)
    ours, literal = LITERAL[name]
    found = ours(x, factors)
    for i in range(4):
        assert torch.allclose(found[i], literal(x[i], float(factors[i])), rtol=0, atol=1e-12)


def test_a_channel_of_one_value_stays():
    x = torch.full((2, 1, 4, 4), 102 / 255, dtype=torch.float64)
    assert torch.allclose(light.stretch(x), x, rtol=0, atol=1e-15) and torch.allclose(light.equalize(x), x, rtol=0, atol=1e-15)


# --- policies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", policies.CHANGES)
def test_each_change_of_a_policy_is_its_function(name):
    x, s = pictures(3, 3, 9, 12), torch.tensor([-1.0, 0.25, 1.0], dtype=torch.float64)
    right, down = s * policies.SHARE * 12, s * policies.SHARE * 9
    expected = {
        "identity": lambda: x,
        "rotate": lambda: geometry.rotate(x, 30 * s),
        "shear_x": lambda: geometry.shear(x, 0.3 * s),
        "shear_y": lambda: geometry.shear(x, 0.0, 0.3 * s),
        "translate_x": lambda: geometry.translate(x, right, 0.0),
        "translate_y": lambda: geometry.translate(x, 0.0, down),
        "brightness": lambda: light.brightness(x, 1 + 0.9 * s),
        "contrast": lambda: light.contrast(x, 1 + 0.9 * s),
        "saturation": lambda: light.saturation(x, 1 + 0.9 * s),
        "sharpness": lambda: light.sharpness(x, 1 + 0.9 * s),
        "solarize": lambda: light.solarize(x, 1 - s.abs()),
        "posterize": lambda: light.posterize(x, torch.tensor([4.0, 7.0, 4.0])),
        "stretch": lambda: light.stretch(x),
        "equalize": lambda: light.equalize(x),
    }[name]()
    found = policies.apply(x, torch.full((3, 1), policies.CHANGES.index(name)), s[:, None])
    assert torch.allclose(found, expected, rtol=0, atol=1e-12)


def test_a_policy_serves_each_image_by_its_own_choices():
    """A batch of all pairs of changes is what each image gives alone; in place of light before place, place comes first."""
    k = len(policies.CHANGES)
    pairs = torch.cartesian_prod(torch.arange(k), torch.arange(k))
    x = pictures(1, 3, 8, 8).repeat(len(pairs), 1, 1, 1)
    strengths = 0.3 * torch.ones(len(pairs), 2, dtype=torch.float64)
    strengths[:, 1] = -0.3
    found = policies.apply(x, pairs, strengths)
    for i, pair in enumerate(pairs):
        steps = sorted(zip(pair.tolist(), (0.3, -0.3), strict=True), key=lambda step: step[0] > len(policies.PLACES))
        moves = [step for step in steps if 0 < step[0] <= len(policies.PLACES)]
        expected = x[:1]
        if moves:
            c, s = torch.tensor(moves, dtype=torch.float64).T[:, None]
            expected = policies.apply(expected, c.long(), s)
        for c, s in steps:
            if c > len(policies.PLACES):
                expected = policies.apply(expected, torch.tensor([[c]]), torch.tensor([[s]], dtype=torch.float64))
        assert torch.allclose(found[i], expected[0], rtol=0, atol=1e-12), pair


def test_policies_choose_evenly(monkeypatch):
    seen = []
    monkeypatch.setattr(policies, "apply", lambda x, choices, strengths: seen.append((choices, strengths)) or x)
    x = torch.empty(20_000, 1, 1, 1)
    policies.RandAugment(magnitude=15.0, count=3).change(x, None, draws())
    policies.TrivialAugment(strength=0.5).change(x, None, draws())
    (choices, strengths), (choice, strength) = seen
    assert choices.shape == (20_000, 3) and choice.shape == (20_000, 1)
    histogram_is_flat(choices.flatten(), 14)
    histogram_is_flat(choices[:, 0] * 14 + choices[:, 1], 196)
    assert set(strengths.unique().tolist()) == {-0.5, 0.5}
    within(strengths.mean(), 0, 0.5, strengths.numel())
    histogram_is_flat(choice[:, 0], 14)
    histogram_is_flat(((strength[:, 0] + 0.5) * 10).long(), 10)


# --- sound --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 20), (7, 2, 20)], ids=str)
def test_a_time_shift_is_a_shift_of_each(shape):
    x = torch.rand(shape, dtype=torch.float64, generator=draws())
    steps = torch.tensor([0, 3, -3, 20, -20, 25, -7])
    silent, wrapped = sound.time_shift(x, steps), sound.time_shift(x, steps, wrap=True)
    for i, k in enumerate(steps.tolist()):
        assert torch.equal(wrapped[i], x[i].roll(k, -1))
        m = min(max(k, -20), 20)
        assert torch.equal(silent[i], F.pad(x[i], (m, -m)))


def test_gain_and_noise_have_their_decibels():
    x = torch.randn(5, 300, dtype=torch.float64, generator=draws())
    noise = torch.randn(5, 300, dtype=torch.float64, generator=draws("noise"))
    assert torch.allclose(sound.gain(x, 20.0), 10 * x, rtol=0, atol=1e-12)
    decibels = torch.tensor([0.0, 10.0, 20.0, -10.0, 3.0], dtype=torch.float64)
    added = sound.add_noise(x, noise, decibels) - x
    assert torch.allclose(10 * (x.square().mean(1) / added.square().mean(1)).log10(), decibels, rtol=0, atol=1e-9)
    assert sound.add_noise(torch.zeros(1, 9), torch.randn(1, 9), 10.0).count_nonzero() == 0


def test_random_sound_is_uniform_over_its_range():
    n = 20_000
    x = torch.zeros(n, 101)
    x[:, 50] = 1
    found, _ = AUGMENTATIONS["time_shift"](share=0.1).change(x, None, draws())
    where = found.argmax(1) - 40
    inner = where[(where > 0) & (where < 20)]  # the outermost of the 10.1 steps are rarer
    histogram_is_flat(inner - 1, 19)
    loud, _ = AUGMENTATIONS["gain"](decibels=10.0).change(torch.ones(n, 1, dtype=torch.float64), None, draws())
    histogram_is_flat(((20 * loud[:, 0].log10() + 10) / 2).long(), 10)
    y = torch.ones(n, 16, dtype=torch.float64)
    noise = AUGMENTATIONS["audio_noise"](lowest=10.0, highest=30.0).change(y, None, draws())[0] - y
    histogram_is_flat(((-10 * noise.square().mean(1).log10() - 10) / 2).long(), 10)


@pytest.mark.parametrize("shape", [(4, 8, 12), (4, 2, 8, 12)], ids=str)
def test_bands_hide_what_they_say(shape):
    x = torch.rand(shape, generator=draws())
    start, width = torch.tensor([[0, 5], [2, 2], [7, 0], [3, 4]]), torch.tensor([[2, 3], [3, 0], [1, 0], [1, 4]])
    for axis in (-1, -2):
        expected = x.clone().transpose(axis, -1)
        for i in range(4):
            for k in range(2):
                expected[i, ..., start[i, k] : start[i, k] + width[i, k]] = 0.5
        assert torch.equal(sound.mask_bands(x, start, width, axis, 0.5), expected.transpose(axis, -1))


def test_specaugment_draws_widths_and_places_evenly():
    n = 20_000
    x = torch.ones(n, 10, 30)
    one = AUGMENTATIONS["specaugment"](frequency=0.3, time=0.2, frequency_bands=1, time_bands=0)
    gone = (one.change(x, None, draws())[0] == 0).all(2)
    histogram_is_flat(gone.sum(1), 4)
    three = gone.sum(1) == 3
    histogram_is_flat(gone[three].int().argmax(1), 8)
    two = AUGMENTATIONS["specaugment"](frequency=0.0, time=0.2, frequency_bands=0, time_bands=1)
    histogram_is_flat((two.change(x, None, draws())[0] == 0).all(1).sum(1), 7)
    mean = AUGMENTATIONS["specaugment"](fill="mean").change(torch.arange(60.0).view(1, 6, 10) - 100, None, draws())[0]
    assert (mean <= -41).all(), "hidden by the mean, not by zero"
    # A silent band in decibels is minus infinity, and stays out of the others.
    silent = torch.full((64, 6, 10), -torch.inf)
    assert not AUGMENTATIONS["specaugment"]().change(silent, None, draws())[0].isnan().any()


# --- text ---------------------------------------------------------------------------------------------


def test_tokens_are_forgotten_at_their_rate_and_padding_never():
    x = torch.randint(2, 9, (500, 100), generator=draws())
    x[:, 60:] = 0
    found, _ = AUGMENTATIONS["token_dropout"](rate=0.2, token=7777).change(x, None, draws())
    gone = found == 7777
    assert torch.equal(found[~gone], x[~gone]) and not gone[:, 60:].any()
    within(gone[:, :60].double().mean(), 0.2, 0.4, 500 * 60)


def test_swap_exchanges_pairs_in_the_order_of_keys():
    x = torch.arange(7).repeat(3, 1)
    chosen = torch.tensor([[1, 1, 1, 1, 1, 0, 0], [0, 0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0, 1]]).bool()
    keys = torch.tensor([[0.5, 0.1, 0.3, 0.9, 0.2, 0.0, 0.0], [0.0] * 7, [0.0, 0.7, 0.0, 0.0, 0.0, 0.0, 0.1]])
    # By keys: 1, 4, 2, 0, 3. So 1 with 4, 2 with 0, and 3 stays.
    assert text.swap_tokens(x, chosen, keys).tolist() == [[2, 4, 0, 3, 1, 5, 6], [0, 1, 2, 3, 4, 5, 6], [0, 6, 2, 3, 4, 5, 1]]


@pytest.mark.parametrize("length", [1, 2, 7, 40])
def test_swap_keeps_the_words_and_the_padding(length):
    x = torch.randint(2, 99, (300, length), generator=draws())
    x[:, length * 3 // 4 + 1 :] = 0
    found, _ = AUGMENTATIONS["token_swap"](rate=0.5).change(x, None, draws())
    assert torch.equal(found.sort(1)[0], x.sort(1)[0])
    assert torch.equal(found == 0, x == 0)


def test_swapped_places_are_as_many_as_the_rate_says_and_equally_likely():
    n, length, rate = 4000, 20, 0.3
    x = torch.arange(2, 2 + length).repeat(n, 1)
    found, _ = AUGMENTATIONS["token_swap"](rate=rate).change(x, None, draws())
    moved = found != x
    # An odd number of chosen loses one: E = (length rate - P(odd)), with P(odd) = (1 - (1 - 2 rate)^length) / 2.
    expected = length * rate - (1 - (1 - 2 * rate) ** length) / 2
    count = moved.sum(1).double()
    within(count.mean(), expected, count.std(), n)
    partner = found[moved] - 2
    histogram_is_flat(partner, length)


# --- mistakes -----------------------------------------------------------------------------------------

X = torch.rand(4, 3, 8, 8, generator=generator(0, "x"))
WRONG = {
    "three axes": (lambda: Flip().change(X[0], None, draws()), BatchError, "have 4 axes, not shape (3, 8, 8)"),
    "not a tensor": (lambda: Crop().change(X.numpy(), None, draws()), BatchError, "are a tensor, not ndarray"),
    "int64 images": (lambda: Flip().change(X.long(), None, draws()), BatchError, "must be uint8, or floats in [0, 1], not int64"),
    "no pixels": (lambda: Rotate().change(X[..., :0], None, draws()), BatchError, "of shape (4, 3, 8, 0) hold nothing"),
    "standardized": (lambda: Brightness().change(4 * X - 2, None, draws()), BatchError, "augment first, standardize afterwards"),
    "policy, standardized": (
        lambda: policies.RandAugment().change(4 * X - 2, None, draws()),
        BatchError,
        "a policy is for images in [0, 1]",
    ),
    "probability": (lambda: Flip(horizontal=1.2), SettingError, "Flip.horizontal = 1.2 is outside [0, 1]"),
    "erase probability": (lambda: Erase(probability=-0.1), SettingError, "Erase.probability = -0.1 is outside [0, 1]"),
    "reversed areas": (lambda: Erase(smallest=0.5), SettingError, "Erase.smallest = 0.5 is above Erase.largest = 0.33; exchange them"),
    "reversed noise": (
        lambda: AUGMENTATIONS["audio_noise"](lowest=50.0),
        SettingError,
        "AudioNoise.lowest = 50 is above AudioNoise.highest = 40; exchange them",
    ),
    "too large a crop": (
        lambda: Crop(size=20).change(X, None, draws()),
        BatchError,
        "a crop of 20x20 is larger than the image of 8x8 padded by 4 (16x16)",
    ),
    "corner": (lambda: images.crop(X, torch.full((4,), 3), torch.zeros(4), 6, 6), BatchError, "needs 4 corners from 0 to 2"),
    "reflection": (
        lambda: Crop(padding=8, border="reflect").change(X, None, draws()),
        BatchError,
        "an image of 8x8 reflects less than 8 pixels, not 8; try border='edge'",
    ),
    "border": (lambda: Rotate(border="mirror"), SettingError, "Rotate.border = 'mirror' is not one of 'zeros', 'edge', 'reflect'"),
    "border of a function": (lambda: geometry.rotate(X, 3.0, "edg"), SettingError, "unknown border 'edg'; did you mean edge?"),
    "border of crop": (
        lambda: images.crop(X, torch.zeros(4), torch.zeros(4), 8, 8, 1, "zero"),
        SettingError,
        "unknown border 'zero'; did you mean zeros?",
    ),
    "padding": (lambda: Crop(padding=-1), SettingError, "Crop.padding = -1 is below 0"),
    "factor": (lambda: Scale(factor=0.8), SettingError, "Scale.factor = 0.8 is outside [1, inf)"),
    "angles": (
        lambda: geometry.rotate(X, torch.zeros(3)),
        BatchError,
        "degrees of shape (3,) for a batch of 4: give one number, or one for each",
    ),
    "matrices": (lambda: geometry.warp(X, torch.eye(3)), BatchError, "4 images need matrices of shape (4, 3, 3), not (3, 3)"),
    "flags": (lambda: images.flip(X, torch.ones(4)), BatchError, "needs as many booleans"),
    "bytes and fill": (lambda: Erase(fill=2.0).change(bytes_of(X), None, draws()), BatchError, "Erase.fill = 2 is outside [0, 1]"),
    "count": (lambda: policies.RandAugment(count=0), SettingError, "RandAugment.count = 0 is below 1"),
    "choices": (lambda: policies.apply(X, torch.zeros(4, 2).long(), torch.zeros(4, 1)), BatchError, "a row for each image"),
    "chain": (
        lambda: Chain(parts=("flip",)),
        SettingError,
        "Chain.parts holds 'flip', which changes no batch; an object is needed, as Flip()",
    ),
    "int16 sound": (
        lambda: AUGMENTATIONS["gain"]().change(torch.ones(2, 9).short(), None, draws()),
        BatchError,
        "must be floats, not int16",
    ),
    "sound axes": (lambda: AUGMENTATIONS["gain"]().change(X, None, draws()), BatchError, "have 2 or 3 axes, not shape (4, 3, 8, 8)"),
    "spectrogram axes": (lambda: AUGMENTATIONS["specaugment"]().change(X[0, 0], None, draws()), BatchError, "have 3 or 4 axes"),
    "bands": (lambda: AUGMENTATIONS["specaugment"](time_bands=-1), SettingError, "SpecAugment.time_bands = -1 is below 0"),
    "steps": (lambda: sound.time_shift(torch.ones(2, 9), torch.ones(2)), BatchError, "needs as many whole numbers"),
    "float tokens": (
        lambda: AUGMENTATIONS["token_swap"]().change(torch.ones(2, 9), None, draws()),
        BatchError,
        "tokens must be int64, not float32",
    ),
    "token axes": (
        lambda: AUGMENTATIONS["token_swap"]().change(torch.ones(9).long(), None, draws()),
        BatchError,
        "have 2 axes, not shape (9,)",
    ),
    "token is padding": (lambda: AUGMENTATIONS["token_dropout"](token=0), SettingError, "TokenDropout.token = 0 is the padding too"),
    "typo": (lambda: Rotate(degree=3), SettingError, "Rotate has no setting 'degree'; did you mean degrees?"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_clear_error(name):
    call, kind, message = WRONG[name]
    with pytest.raises(kind) as error:
        call()
    assert message in str(error.value) and "\n" not in str(error.value)
