"""Where simulators are stepped: in a process of its own, or in this one.

A simulator is what gymnasium calls an environment: `reset(seed=)`, `step(action)`, `render()`.
It is imported without jax, so that a worker starts quickly and stays small.
"""

import mmap
import os
import pickle
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

CONTINUE = -1  # in place of a seed: step, do not reset


class Stage:
    """Simulators by row, made when they are first asked for; what they do goes into `table`.

    `table` has the fields observation, final, reward, terminated, truncated and, where pictures are
    wanted, frame; its rows may be shared with another process.
    """

    def __init__(self, make: Callable[[], Any], table: np.ndarray):
        self.make = make
        self.table = table
        self.simulators = {}
        self.actions = {}

    def play(self, rows, seeds, actions) -> None:
        """One step in each row, or a new episode where a seed is given."""
        for place, (row, seed) in enumerate(zip(rows.tolist(), seeds.tolist(), strict=True)):
            simulator = self.simulators.get(row) or self.open(row)
            if seed == CONTINUE:
                self.step(row, simulator, actions[place])
            else:
                self.begin(row, simulator, seed)

    def open(self, row):
        simulator = self.simulators[row] = self.make()
        self.actions[row] = spoken(simulator.action_space)
        return simulator

    def begin(self, row, simulator, seed) -> None:
        """A new episode that the agent did not ask for: whatever went before was cut off."""
        self.table['observation'][row] = simulator.reset(seed=seed)[0]
        self.table['reward'][row] = 0
        self.table['terminated'][row], self.table['truncated'][row] = False, True
        self.draw(row, simulator)

    def step(self, row, simulator, action) -> None:
        """One step; what follows an episode's end is the beginning of the next."""
        observation, reward, terminated, truncated, _ = simulator.step(self.actions[row](action))
        table = self.table
        table['final'][row] = observation
        table['reward'][row] = reward
        table['terminated'][row], table['truncated'][row] = terminated, truncated and not terminated
        ended = terminated or truncated
        table['observation'][row] = simulator.reset()[0] if ended else observation
        self.draw(row, simulator)

    def draw(self, row, simulator) -> None:
        if 'frame' in self.table.dtype.names:
            self.table['frame'][row] = simulator.render()

    def close(self) -> None:
        while self.simulators:
            self.simulators.popitem()[1].close()


def spoken(space) -> Callable[[np.ndarray], Any]:
    """From one of our actions to one of the simulator's, whose choices may not begin at 0."""
    kind, start = np.dtype(space.dtype), getattr(space, 'start', None)
    if start is None:
        return lambda action: action.astype(kind)
    return lambda action: (action + start).astype(kind)


def serve(channel: Connection, memory: int) -> None:
    """Steps simulators as the channel asks, until it closes; each answer is None or an error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that asks decides when to end
    stage = None
    while True:
        try:
            message = channel.recv_bytes()
        except (EOFError, OSError):
            break
        try:
            if stage is None:
                make, kind, rows = pickle.loads(message)
                stage = Stage(make, np.frombuffer(mmap.mmap(memory, rows * kind.itemsize), kind))
            else:
                stage.play(*pickle.loads(message))
            answer = None
        except Exception as error:
            answer = sentence(error)
        try:
            channel.send(answer)
        except OSError:
            break
    if stage:
        stage.close()


def sentence(error: Exception) -> str:
    """An error in one line, with the place it came from."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    place = f'{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}'
    return f'{type(error).__name__}: {" ".join(str(error).split())} ({place})'


if __name__ == '__main__':
    serve(Connection(int(sys.argv[1])), int(sys.argv[2]))
