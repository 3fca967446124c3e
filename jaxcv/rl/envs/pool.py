"""Simulators in worker processes, which answer while the device computes.

Worker processes share one block of memory with this one and end when their pipe closes: with the
pool, with this process, or by its death. A simulator cannot be copied or stored, so a state only
*claims* one: by its slot, the seed of its reset, and its number of steps since. A claim that does
not hold (after a restart, or of an older state) gets a new episode instead.
"""

import mmap
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any, NamedTuple

import numpy as np

from jaxcv.errors import UserError
from jaxcv.rl.envs.worker import CONTINUE, Stage, sentence

ROWS = 8192  # simulators at most; memory is only taken by those that exist
BLOCK = 2**20  # slots that one program sets aside
KEPT = 8  # programs whose simulators are kept; those of the longest unused are given to others


class Crew(NamedTuple):
    """A worker process."""

    process: subprocess.Popen
    channel: Connection
    reading: threading.Lock
    done: list[int]  # [number of jobs answered]


class Pool:
    """Simulators by slot. Slots are numbers of the caller's choice; each call may come from
    another thread, as long as no slot is in two calls at once."""

    def __init__(self, name: str, make: Callable[[], Any], kind: np.dtype, workers: int, patience):
        self.name, self.make, self.kind = name, make, kind
        self.workers, self.patience = workers, patience
        self.lock = threading.Lock()
        self.failure = None
        self.ended = threading.Event()
        self.blocks = OrderedDict()  # block -> {slot: row}, the longest unused first
        self.free = list(range(ROWS))[::-1]
        self.seed = np.full(ROWS, CONTINUE)
        self.turn = np.zeros(ROWS, np.int64)
        self.lost = np.zeros(ROWS, bool)
        self.job = np.zeros(ROWS, np.int64)
        self.sent = [0] * workers
        self.table = None

    def begin(self, slots, seeds) -> dict[str, np.ndarray]:
        """New episodes; returns what is seen first."""
        with self.lock:
            rows = self.place(slots)
            self.seed[rows], self.turn[rows] = seeds, 0
            self.submit(rows, seeds, np.zeros(len(rows)))
        return self.collect(rows)

    def send(self, slots, seeds, turns, actions) -> None:
        """Sends actions on their way. Where a claim does not hold, a new episode begins."""
        with self.lock:
            rows = self.place(slots)
            lost = (self.seed[rows] != seeds) | (self.turn[rows] != turns)
            self.lost[rows], self.seed[rows], self.turn[rows] = lost, seeds, turns + 1
            fresh = [
                renewed(seed, turn) if gone else CONTINUE
                for seed, turn, gone in zip(seeds, turns, lost, strict=True)
            ]
            self.submit(rows, np.array(fresh), actions)

    def receive(self, slots) -> dict[str, np.ndarray]:
        """Waits for what the actions led to."""
        with self.lock:
            rows = self.place(slots)
        return self.collect(rows) | {'lost': self.lost[rows]}

    def place(self, slots) -> np.ndarray:
        """Rows of these slots."""
        block = self.blocks.setdefault(int(slots[0]) // BLOCK, {})
        self.blocks.move_to_end(int(slots[0]) // BLOCK)
        if len(self.blocks) > KEPT:
            self.free += self.blocks.popitem(last=False)[1].values()
        for slot in slots.tolist():
            if slot not in block:
                if not self.free:
                    raise UserError(f'{self.name}: more than {ROWS} simulators on one host')
                block[slot] = self.free.pop()
                self.seed[block[slot]] = CONTINUE
        return np.array([block[slot] for slot in slots.tolist()])

    def submit(self, rows, seeds, actions) -> None:
        """Divides a job over the workers."""
        if self.failure:
            raise UserError(self.failure)
        if self.table is None:
            self.start()
        if not self.workers:
            try:
                self.stage.play(rows, seeds, actions)
            except Exception as error:
                self.fail(sentence(error))
            return
        for number, crew in enumerate(self.crew):
            mine = rows % self.workers == number
            if mine.any():
                self.sent[number] += 1
                self.job[rows[mine]] = self.sent[number]
                try:
                    crew.channel.send((rows[mine], seeds[mine], actions[mine]))
                except OSError:
                    self.fail('a worker process has died')

    def collect(self, rows) -> dict[str, np.ndarray]:
        """Waits for these rows and copies them."""
        for number in range(self.workers):
            mine = rows[rows % self.workers == number]
            if mine.size:
                self.await_answer(self.crew[number], self.job[mine].max())
        return {field: self.table[field][rows] for field in self.kind.names}

    def await_answer(self, crew, job) -> None:
        """Until a worker has done this job. Whoever holds the lock reads for all."""
        with crew.reading:
            while crew.done[0] < job:
                if self.failure:
                    raise UserError(self.failure)
                if error := self.answer(crew.channel):
                    return self.fail(error)
                crew.done[0] += 1

    def answer(self, channel) -> str | None:
        """The error of a worker's oldest job, or None."""
        try:
            if channel.poll(self.patience):
                return channel.recv()
        except (EOFError, OSError):
            return 'a worker process has died'
        return f'a worker process has not answered for {self.patience:g} seconds'

    def fail(self, error) -> None:
        """Every later call fails too, so that no device waits for one that has given up. At the
        end of this process a program may still run: nobody reads what it gets."""
        if self.ended.is_set():
            return
        self.failure = f'simulators of {self.name}: {error}'
        raise UserError(self.failure) from None

    def start(self) -> None:
        """Memory and processes; both vanish with this process, however it ends."""
        if not self.workers:
            self.table = np.zeros(ROWS, self.kind)
            self.stage = Stage(self.make, self.table)
            self.finalizer = weakref.finalize(self, self.stage.close)
            return
        with tempfile.TemporaryFile(dir=memory()) as file:
            file.truncate(ROWS * self.kind.itemsize)
            self.crew = [launch(file.fileno()) for _ in range(self.workers)]
            self.finalizer = weakref.finalize(self, dismiss, self.crew, self.ended)
            self.table = np.frombuffer(
                mmap.mmap(file.fileno(), ROWS * self.kind.itemsize), self.kind
            )
        for number, crew in enumerate(self.crew):
            crew.channel.send_bytes(pickle.dumps((self.make, self.kind, ROWS)))
            self.sent[number] += 1


def renewed(seed: int, turn: int) -> int:
    """The seed of the episode that takes the place of a lost one."""
    return int(np.random.SeedSequence([seed, turn]).generate_state(1)[0] >> 1)


def memory() -> str | None:
    """A folder whose files are memory, where there is one."""
    return '/dev/shm' if os.access('/dev/shm', os.W_OK) else None


def launch(memory: int) -> Crew:
    """A worker process. It does not import the main program: that may have no guard."""
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, '-m', 'jaxcv.rl.envs.worker', str(theirs.fileno()), str(memory)],
            pass_fds=(theirs.fileno(), memory),
            stdin=subprocess.DEVNULL,
            env=os.environ
            | {
                'PYTHONPATH': os.pathsep.join(path or os.getcwd() for path in sys.path),
                'OMP_NUM_THREADS': '1',
                'JAX_PLATFORMS': 'cpu',
            },
        )
    return Crew(process, ours, threading.Lock(), [0])


def dismiss(crews: list[Crew], ended: threading.Event) -> None:
    """Closes the pipes, which ends the workers, by force those that do not."""
    ended.set()
    for crew in crews:
        # Closing our end would not wake the thread that waits for an answer.
        with suppress(OSError), socket.socket(fileno=os.dup(crew.channel.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)
    for crew in crews:
        try:
            crew.process.wait(1)
        except subprocess.TimeoutExpired:
            crew.process.kill()
            crew.process.wait()
