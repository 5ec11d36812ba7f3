import random

import torch

from steepest.core.rng import generator, seed_of, untouched


def draw(*names, seed=0):
    return torch.rand(100, generator=generator(seed, *names))


def test_a_name_is_a_stream():
    assert torch.equal(draw("init", "conv1"), draw("init", "conv1"))
    others = [draw("init", "conv2"), draw("init", "conv1", seed=1), draw("initconv1"), draw("init", "conv1", 0), draw("init")]
    assert not any(torch.equal(draw("init", "conv1"), other) for other in others)


def test_names_do_not_run_together():
    seeds = [seed_of(1, "a", "b"), seed_of(1, "ab"), seed_of(1, "a\0b"), seed_of(1, 1), seed_of(1, "1"), seed_of(11), seed_of(1, "")]
    assert len(set(seeds)) == len(seeds)


def test_the_seed_is_the_same_in_every_process_and_version():
    assert seed_of(0, "init") == 1540361465789017586


def test_global_states_are_left_as_found():
    torch.manual_seed(3)
    random.seed(3)
    expected = (torch.rand(3), random.random())
    torch.manual_seed(3)
    random.seed(3)
    try:
        with untouched():
            torch.manual_seed(99)
            torch.rand(7)
            random.random()
            raise KeyError
    except KeyError:
        pass
    assert torch.equal(torch.rand(3), expected[0]) and random.random() == expected[1]
