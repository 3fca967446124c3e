"""Simulators for the tests of host environments; worker processes import them from here."""

import os
import time

import numpy as np
from gymnasium import spaces


class Counter:
    """Shows (seed, episode, step, last action, process); an episode terminates after `length`
    steps. A step sleeps; at the step `trouble` it raises, dies or hangs."""

    def __init__(self, length=5, seconds=0.0, shape=(4,), trouble=None, kind='', action=None):
        self.observation_space = spaces.Box(-np.inf, np.inf, shape, np.float64)
        self.action_space = spaces.Box(-1, 1, action) if action else spaces.Discrete(3)
        self.length, self.seconds, self.shape = length, seconds, shape
        self.trouble, self.kind = trouble, kind
        self.seed, self.episode, self.time, self.total = 0, 0, 0, 0

    def see(self, action=-1):
        seen = np.zeros(self.shape)
        seen.flat[:4] = self.seed % 1000, self.episode, self.time, np.max(action)
        seen.flat[4:5] = os.getpid()
        return seen

    def reset(self, *, seed=None):
        self.episode, self.time = self.episode + 1, 0
        if seed is not None:
            self.seed, self.episode = seed, 0
        return self.see(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        time.sleep(self.seconds)
        self.time, self.total = self.time + 1, self.total + 1
        if self.total == self.trouble:
            if self.kind == 'raise':
                raise ValueError('the wheel\ncame off')
            if self.kind == 'die':
                os._exit(1)
            time.sleep(1000)
        return self.see(action), float(self.time), self.time == self.length, False, {}

    def render(self):
        return np.full((2, 3, 3), self.time, np.uint8)

    def close(self):
        pass
