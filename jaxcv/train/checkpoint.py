"""Checkpoints: written by Orbax in the background, complete or absent, verified when read.

    checkpoints/00001200/arrays/      the leaves, by Orbax
    checkpoints/00001200/record.json  their paths and types, what else a run needs, and the size
                                      and CRC of every file; record.crc32 seals it

A checkpoint is written under a temporary name and renamed when all of it is on the disk, so that
a crash at any moment leaves the earlier ones as they were.
"""

import math
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
from jaxtyping import PyTree

from jaxcv.errors import UserError
from jaxcv.train import paths, stored
from jaxcv.train.seal import opened, seal, verify, write

SLICE = 2**22  # bytes; what is smaller than this, one device writes for all


class Checkpoints:
    """The checkpoints of a run: the last ones, the best by an evaluation metric, and those at
    multiples of `keep_every` steps are kept."""

    def __init__(
        self,
        directory: Path,
        *,
        keep_last: int = 2,
        keep_best: str = '',
        best_mode: str = 'max',
        keep_every: int = 0,
    ):
        self.directory = Path(directory).absolute()
        self.keep_last, self.keep_every = keep_last, keep_every
        self.keep_best, self.best_mode = keep_best, best_mode
        self.writer = None
        self.committing: threading.Thread | None = None
        self.failure: Exception | None = None
        self.damaged: set[int] = set()  # on the disk, but found not to read

    def save(
        self,
        step: int,
        tree: PyTree,
        extra: Mapping[str, Any],
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Copies `tree` off the devices and returns; the writing goes on in the background. Every
        process calls it. The arrays may be donated right afterwards."""
        self.wait()
        if step in self.steps():
            return
        draft = self.directory / f'{step:08d}.writing'
        primary = jax.process_index() == 0
        try:
            if primary:
                shutil.rmtree(draft, ignore_errors=True)
                draft.mkdir(parents=True)
            _together('draft')
            leaves = paths.leaves(tree)
            index = {path: stored.describe(leaf) for path, leaf in leaves.items()}
            self._writer().save(draft / 'arrays', args=stored.save_args(leaves))
        except (OSError, ValueError) as error:
            raise self._failed(error) from error
        metrics = {k: v for k, v in (metrics or {}).items() if math.isfinite(v)}
        record = {'step': step, 'leaves': index, 'metrics': metrics, 'extra': dict(extra)}
        self.committing = threading.Thread(target=self._commit, args=(draft, record, primary))
        self.committing.start()

    def restore(
        self,
        like: PyTree,
        shardings: Callable[[PyTree], PyTree] | None = None,
        notes: Callable[[str], None] = print,
    ) -> tuple[int, PyTree, dict[str, Any]] | None:
        """(step, tree, extra) of the newest checkpoint that reads, or None where there is none.

        `like` gives structure and dtypes (`ShapeDtypeStruct`s or arrays), the checkpoint the
        shapes, and `shardings` a tree of shardings from a tree of shapes (without it, those of
        `like`). A damaged checkpoint is passed over, and `notes` told so."""
        step = self._newest(notes)
        return None if step is None else (step, *self.restore_step(step, like, shardings))

    def leaves(self) -> tuple[int, dict[str, jax.Array]] | None:
        """(step, leaves by path) of the newest checkpoint that reads, whatever its structure."""
        step = self._newest(print)
        if step is None:
            return None
        index = opened(self._path(step))['leaves']
        like = {path: stored.Leaf(tuple(shape), dtype) for path, (dtype, shape) in index.items()}
        return step, stored.load(self._path(step) / 'arrays', like, index)

    def restore_step(
        self, step: int, like: PyTree, shardings: Callable[[PyTree], PyTree] | None = None
    ) -> tuple[PyTree, dict[str, Any]]:
        """(tree, extra) of one checkpoint."""
        folder = self._path(step)
        record = opened(folder)
        index = record['leaves']
        stored.compatible(folder, paths.leaves(like), index)
        if shardings:
            like = stored.placed(like, index, shardings)
        found = stored.load(folder / 'arrays', paths.leaves(like), index)
        return jax.tree.unflatten(jax.tree.structure(like), found.values()), record['extra']

    def steps(self) -> list[int]:
        """Steps that have a complete checkpoint, in order; not those that `restore` found damaged,
        so that they are written again and do not push out the good ones."""
        return [step for step in self._present() if step not in self.damaged]

    def latest_step(self) -> int | None:
        return max(self.steps(), default=None)

    def best_step(self) -> int | None:
        """The step with the best `keep_best` metric, the earliest of equals."""
        scores = {step: self._metrics(step).get(self.keep_best) for step in self.steps()}
        scores = {step: score for step, score in scores.items() if score is not None}
        sign = 1 if self.best_mode == 'max' else -1
        return max(scores, key=lambda step: (sign * scores[step], -step), default=None)

    def wait(self) -> None:
        """Until the last save is on the disk; raises what went wrong with it."""
        if self.committing:
            self.committing.join()
            self.committing = None
        if self.failure:
            failure, self.failure = self.failure, None
            raise self._failed(failure) from failure

    def close(self) -> None:
        try:
            self.wait()
        finally:
            if self.writer:
                self.writer.close()
                self.writer = None

    def _commit(self, draft, record, primary):
        """Runs in a thread: waits for Orbax, seals the checkpoint, drops those not kept."""
        try:
            self.writer.wait_until_finished()
            if primary:
                seal(draft, record)
                shutil.rmtree(self._path(record['step']), ignore_errors=True)  # a damaged one
                draft.rename(self._path(record['step']))
                self.damaged.discard(record['step'])
                self._clean()
        except Exception as error:
            self.failure = error
            shutil.rmtree(draft, ignore_errors=True)

    def _clean(self):
        steps = self.steps()
        keep = {*steps[-self.keep_last :]}
        if self.keep_every:
            keep |= {step for step in steps if step % self.keep_every == 0}
        if self.keep_best and (best := self.best_step()) is not None:
            keep.add(best)
        for step in set(steps) - keep:
            # First out of the count: a kill must not leave half of a numbered folder.
            self._path(step).rename(self.directory / f'{step:08d}.writing')
        for draft in self.directory.glob('*.writing'):
            shutil.rmtree(draft, ignore_errors=True)

    def _writer(self):
        if self.writer is None:
            import orbax.checkpoint as ocp

            # Copies of an array share its writing, each a slice; XLA compiles every slicing.
            arrays = ocp.type_handlers.ArrayHandler(min_slice_bytes_for_replica_parallel=SLICE)
            registry = ocp.type_handlers.create_type_handler_registry((jax.Array, arrays))
            handler = ocp.PyTreeCheckpointHandler(
                use_ocdbt=True, use_zarr3=True, type_handler_registry=registry
            )
            self.writer = ocp.AsyncCheckpointer(handler)
        return self.writer

    def _newest(self, notes):
        self.damaged.clear()
        for step in reversed(self._present()):
            try:
                verify(self._path(step))
                return step
            except (OSError, ValueError, KeyError) as error:
                self.damaged.add(step)
                notes(
                    f'checkpoint {self._path(step)} is damaged ({_first_line(error)});'
                    ' falling back to the one before'
                )
        return None

    def _present(self):
        if not self.directory.is_dir():
            return []
        return sorted(int(p.name) for p in self.directory.iterdir() if p.name.isdigit())

    def _path(self, step):
        return self.directory / f'{step:08d}'

    def _metrics(self, step):
        try:
            return opened(self._path(step))['metrics']
        except (OSError, ValueError, KeyError):
            return {}

    def _failed(self, error):
        good = self.latest_step()
        kept = 'there is none before it' if good is None else f'the one of step {good:,} is kept'
        return UserError(
            f'a checkpoint could not be written to {self.directory}: {_first_line(error)}; {kept}.'
            ' Make room (or choose another --workdir) and start again to continue'
        )


def room(directory: Path, tree: PyTree, copies: int = 3) -> None:
    """Refuses a directory that cannot be written, or has no room for `copies` checkpoints."""
    probe = Path(directory) / '.probe'
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        write(probe, 'x' * 4096)
        probe.unlink()
    except OSError as error:
        raise UserError(f'{directory} cannot be written: {error.strerror}') from error
    need = copies * sum(stored.nbytes(leaf) for leaf in jax.tree.leaves(tree))
    free = shutil.disk_usage(directory).free
    if need > free:
        raise UserError(
            f'{directory} has {free / 2**20:,.0f} MB free, but {copies} checkpoints of this run'
            f' take {need / 2**20:,.0f} MB; make room or choose another --workdir'
        )


def _together(name):
    """Waits for every process."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def _first_line(error):
    if 'No space left' in str(error):
        return 'No space left on device'
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
