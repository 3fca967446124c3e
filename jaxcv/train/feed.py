"""What a step reads next: held arrays, batches fetched ahead by a thread, or nothing."""

import queue
import threading
from typing import Any

import jax
import numpy as np

from jaxcv.data.batches import Held, Stream
from jaxcv.train.parallel import Source, replicate


def feed(batches: Held | Stream | None, layout, seed: int, position: Any = None):
    """Opens `batches` for a layout, at a `position` that an earlier feed returned."""
    if isinstance(batches, Stream):
        return Fetched(batches, layout, seed, position)
    return Resident(batches, layout)


class Resident:
    """Data on the devices, or none: every call reads the same arrays."""

    def __init__(self, batches: Held | None, layout):
        self.source = Source(held=replicate(batches.arrays, layout.mesh) if batches else None)

    def take(self, count: int) -> Source:
        return self.source

    def position(self):
        return None

    def close(self):
        pass


class Fetched:
    """A stream read by a thread while the devices work.

    The thread runs ahead; `position` is that of the last batch taken, not of the last one read."""

    AHEAD = 2

    def __init__(self, batches: Stream, layout, seed: int, position):
        self.layout = layout
        self.iterator = batches.open(seed, jax.process_index(), jax.process_count())
        if position is not None:
            self.iterator.set_state(position)
        self.taken = self.iterator.get_state()
        self.ready = queue.Queue(self.AHEAD)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def take(self, count: int) -> Source:
        batches = []
        for _ in range(count):
            item = self.ready.get()
            if isinstance(item, Exception):
                raise item
            batch, self.taken = item
            batches.append(batch)
        return Source(fed=self.layout.feed(jax.tree.map(lambda *xs: np.stack(xs), *batches)))

    def position(self):
        return self.taken

    def close(self):
        self.stop.set()
        while self.thread.is_alive():
            try:
                self.ready.get(timeout=0.05)
            except queue.Empty:
                continue

    def _read(self):
        try:
            while not self.stop.is_set():
                batch = next(self.iterator)
                self.ready.put((batch, self.iterator.get_state()))
        except Exception as error:  # the training thread raises it
            self.ready.put(error)
