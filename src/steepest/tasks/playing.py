"""Built-in tasks that learn from playing: the training data are what happens, the validation data are starts to play from."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from steepest.core.errors import SteepestError
from steepest.core.rng import generator, seed_of
from steepest.core.task import Task
from steepest.data import Data
from steepest.data.parts import Arrays, Loader
from steepest.models import dqn

GAME = "CartPole-v1"
EPISODES, SAMPLES, KEPT, DISCOUNT, FOLLOW = 100, 64, 50_000, 0.99, 0.01
# Steps before learning begins, and those over which the share of random actions falls from 1 to its least.
FIRST, EXPLORED, LEAST = 500, 5_000, 0.05


def game() -> Any:
    try:
        import gymnasium
    except ImportError:
        raise SteepestError("dqn-cartpole needs gymnasium: pip install steepest[rl]") from None
    return gymnasium.make(GAME)


class Experience:
    """Batches of what has happened, (before and after, (action, reward, whether it was the end)); before each, one more step is played.

    `player` says which action is worth what. Whoever learns from the experience is the one who plays.
    """

    player: Callable[[Tensor], Tensor] | None = None

    def __init__(self, batches: int = 500, seed: int = 0) -> None:
        self.batches, self.batch_size, self.seed = batches, SAMPLES, seed
        self.begin()

    def begin(self) -> None:
        """Nothing has happened yet."""
        self.game, self.dice, self.played = game(), generator(self.seed, "experience"), 0
        self.states, self.outcomes = torch.zeros(KEPT, 2, 4), torch.zeros(KEPT, 3)
        self.state, _ = self.game.reset(seed=seed_of(self.seed, "game") % 2**31)
        for _ in range(FIRST):
            self.play()

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(self.batches):
            self.play()
            index = torch.randint(min(self.played, KEPT), (SAMPLES,), generator=self.dice)
            yield self.states[index], self.outcomes[index]

    def play(self) -> None:
        by_chance = float(torch.rand((), generator=self.dice)) < max(LEAST, 1 - (self.played - FIRST) / EXPLORED)
        before = torch.from_numpy(self.state)
        if by_chance or self.player is None:
            action = int(torch.randint(2, (), generator=self.dice))
        else:
            with torch.no_grad():
                action = int(self.player(before).argmax())
        self.state, reward, ended, cut, _ = self.game.step(action)
        place = self.played % KEPT
        # An episode that was only cut off would have gone on: it is no end.
        self.states[place] = torch.stack([before, torch.from_numpy(self.state)])
        self.outcomes[place] = torch.tensor([action, float(reward), float(ended)])
        self.played += 1
        if ended or cut:
            self.state, _ = self.game.reset()


def temporal_difference(model: Any, states: Tensor, outcomes: Tensor) -> Tensor:
    """Double DQN (van Hasselt et al., 2016): the network chooses what the copy judges."""
    action, reward, ended = outcomes.unbind(1)
    value = model(states[:, 0]).gather(1, action.long().unsqueeze(1)).squeeze(1)
    with torch.no_grad():
        best = model(states[:, 1]).argmax(1, keepdim=True)
        later = model.target(states[:, 1]).gather(1, best).squeeze(1)
    return huber_loss(value, reward + DISCOUNT * (1 - ended) * later)


@torch.no_grad()
def returns(player: Callable[[Tensor], Tensor], seeds: Tensor) -> Tensor:  # (N,) -> (N,)
    """What each episode brings, all played side by side by whoever always takes the best action."""
    games = [game() for _ in seeds]
    states = np.stack([each.reset(seed=int(seed))[0] for each, seed in zip(games, seeds, strict=True)])
    total, going = torch.zeros(len(seeds)), list(range(len(seeds)))
    while going:
        actions = player(torch.from_numpy(states[going])).argmax(1).tolist()
        for k, action in zip(list(going), actions, strict=True):
            states[k], reward, ended, cut, _ = games[k].step(action)
            total[k] += float(reward)
            if ended or cut:
                going.remove(k)
    return total


def dqn_cartpole() -> Task:
    """A pole to be balanced on a cart for 500 steps: the loss of an evaluation is minus the mean return of 100 episodes."""
    experience: Experience | None = None

    def data() -> Data:
        nonlocal experience
        experience = Experience(seed=torch.initial_seed())  # which follows from the run's
        starts = [torch.arange(EPISODES) + first for first in (10_000, 20_000)]
        return Data(Loader(experience), *(Arrays((x,)) for x in starts))

    def loss(model: Any, batch: tuple[Tensor, ...]) -> Tensor:
        if not model.training:
            return -returns(model, batch[0]).mean()
        if experience is not None:
            experience.player = model.online
        model.follow(FOLLOW)
        return temporal_difference(model, *batch)

    return Task(model=dqn, data=data, batch_loss=loss, name="dqn-cartpole")


PLAYING: dict[str, Callable[[], Task]] = {"dqn-cartpole": dqn_cartpole}
