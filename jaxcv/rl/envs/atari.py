"""Atari games on the host, as agents are published to see them (Mnih et al., 2015).

    envs = atari('Breakout')                                 # observation: uint8 [84 84 4]
    judge = atari('Breakout', episodic_life=False, sign_reward=False, render=True)

Games ship with ale-py.
"""

import difflib
import re
from functools import partial

import numpy as np

from jaxcv.errors import UserError

NOOP, FIRE, AFTER_FIRE = 0, 1, 2  # places in a game's set of actions


def atari(
    name: str,
    *,
    noop_max: int = 30,
    frame_skip: int = 4,
    fire_reset: bool = True,
    episodic_life: bool = True,
    size: int | tuple[int, int] = 84,
    sign_reward: bool = True,
    stack: int = 4,
    sticky: float = 0.0,
    all_actions: bool = False,
    max_frames: int = 108_000,
    workers: int | None = None,
    render: bool = False,
    patience: float = 60.0,
):
    """Environments of one game. Returns of the game itself need `episodic_life=False` and
    `sign_reward=False`: evaluate with these.

    `noop_max`       an episode begins with 1 to this many frames of doing nothing
    `frame_skip`     frames an action lasts; the last two are joined by their maximum
    `fire_reset`     episodes and lives begin with FIRE, in games that have it, and the action after
    `episodic_life`  a lost life terminates; the game goes on behind the agent's back
    `size`           of the gray picture, resized with antialiasing
    `sign_reward`    rewards become their signs
    `stack`          observations side by side, oldest first
    `sticky`         probability of repeating the last action in a frame (0.25 in later work)
    `all_actions`    all 18 actions, not only those that the game knows
    `max_frames`     an episode is truncated after so many
    `workers`, `render`, `patience`: see `jaxcv.rl.envs.host.simulators`
    """
    from jaxcv.rl.envs.host import simulators

    make = partial(
        Atari,
        rom(name),
        noop_max=noop_max,
        frame_skip=frame_skip,
        fire_reset=fire_reset,
        episodic_life=episodic_life,
        size=(size, size) if isinstance(size, int) else tuple(size),
        sign_reward=sign_reward,
        sticky=sticky,
        all_actions=all_actions,
        max_frames=max_frames,
    )
    return simulators(name, make, workers=workers, stack=stack, render=render, patience=patience)


class Atari:
    """One game, stepped like an environment of gymnasium."""

    def __init__(
        self,
        path,
        *,
        noop_max,
        frame_skip,
        fire_reset,
        episodic_life,
        size,
        sign_reward,
        sticky,
        all_actions,
        max_frames,
    ):
        import ale_py
        from gymnasium.spaces import Box, Discrete

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self.game = ale_py.ALEInterface()
        self.game.setFloat('repeat_action_probability', sticky)
        self.path = path
        self.game.loadROM(path)
        self.actions = (
            self.game.getLegalActionSet() if all_actions else self.game.getMinimalActionSet()
        )
        self.noop_max, self.frame_skip, self.max_frames = noop_max, frame_skip, max_frames
        self.episodic_life, self.sign_reward = episodic_life, sign_reward
        self.fire_reset = fire_reset and ale_py.Action.FIRE in self.actions[FIRE:AFTER_FIRE]
        shape = self.game.getScreenDims()
        self.screens = np.zeros((2, *shape), np.uint8)  # of the last two frames, in turn
        self.down, self.across = area(shape[0], size[0]), area(shape[1], size[1])
        self.observation_space = Box(0, 255, (*size, 1), np.uint8)
        self.action_space = Discrete(len(self.actions))

    def reset(self, *, seed=None):
        """A new game, or the next life of the one that goes on."""
        if seed is not None:
            self.random = np.random.default_rng(seed)
            self.game.setInt('random_seed', seed)
            self.game.loadROM(self.path)
        if seed is not None or self.over() or not self.episodic_life:
            self.new_game()
        else:
            self.press(NOOP)
        for action in (FIRE, AFTER_FIRE) if self.fire_reset else ():
            self.press(action)
        self.lives = self.game.lives()
        return self.seen(), {}

    def step(self, action):
        """One action; returns what gymnasium returns."""
        reward = self.hold(action)
        lives, before = self.game.lives(), self.lives
        self.lives = lives
        # Some games show no lives for a while before they end.
        terminated = self.game.game_over() or (self.episodic_life and 0 < lives < before)
        truncated = self.game.getEpisodeFrameNumber() >= self.max_frames
        reward = np.sign(reward) if self.sign_reward else reward
        return self.seen(), reward, terminated, truncated, {}

    def new_game(self):
        """A new game, which begins with a random number of frames of doing nothing."""
        self.game.reset_game()
        for _ in range(self.random.integers(1, self.noop_max + 1) if self.noop_max else 0):
            self.game.act(self.actions[NOOP])
            if self.game.game_over():
                self.game.reset_game()
        self.game.getScreenGrayscale(self.screens[0])
        self.screens[1] = 0

    def press(self, action):
        """An action before the agent's first."""
        self.hold(action)
        if self.over():
            self.new_game()

    def hold(self, action) -> float:
        """An action for `frame_skip` frames; returns the sum of rewards."""
        reward = 0.0
        for left in reversed(range(self.frame_skip)):
            reward += self.game.act(self.actions[action])
            if left < 2:
                self.game.getScreenGrayscale(self.screens[left])
            if self.game.game_over():
                break
        return reward

    def over(self) -> bool:
        """Whether there is nothing more to play."""
        return self.game.game_over() or self.game.getEpisodeFrameNumber() >= self.max_frames

    def seen(self) -> np.ndarray:
        """What the agent sees: the brighter of the last two frames, made smaller."""
        narrow = shrink(self.screens.max(0), *self.down).T
        return np.rint(shrink(narrow, *self.across).T).astype(np.uint8)[..., None]

    def render(self) -> np.ndarray:
        """The screen in colors."""
        return self.game.getScreenRGB()

    def close(self) -> None:
        """Nothing to give back."""


def area(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of `new` pixels: the few of `old` that it covers and their shares, both [k new]."""
    edges = np.arange(new + 1) * old / new
    low, high = edges[:-1], edges[1:]
    pixel = np.floor(low) + np.arange(np.max(np.ceil(high) - np.floor(low)))[:, None]
    share = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None) * new / old
    return np.minimum(pixel, old - 1).astype(np.int32), share.astype(np.float32)


def shrink(picture: np.ndarray, pixel: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Sums of rows. A matrix product does the same, but its threads fight with XLA's."""
    return sum(rows * weight[:, None] for rows, weight in zip(picture[pixel], share, strict=True))


def rom(name: str):
    """Path of a game; `name` may be spelled as gymnasium (ALE/MsPacman-v5) or as ale-py does."""
    try:
        from ale_py import roms
    except ImportError as error:
        raise UserError("ale-py is not installed: pip install -e '.[rl]'") from error

    def bare(text):
        return re.sub(r'^ale/|-v\d+$|_', '', text.lower())

    games = {bare(game): game for game in roms.get_all_rom_ids()}
    if bare(name) not in games:
        near = difflib.get_close_matches(bare(name), games, n=5, cutoff=0.4)
        hint = f'; the nearest are {", ".join(games[game] for game in near)}' if near else ''
        raise UserError(f'the Atari game is {name!r}, which is none of the {len(games)}{hint}')
    return roms.get_rom_path(games[bare(name)])
