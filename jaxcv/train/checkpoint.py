"""Checkpoints: written by Orbax in the background, complete or absent, verified when read.

    checkpoints/00001200/arrays/      the leaves, by Orbax
    checkpoints/00001200/record.json  their paths and types, what else a run needs, and the size
                                      and CRC of every file; record.crc32 seals it

A checkpoint is written under a temporary name and renamed when all of it is on the disk, so that
a crash at any moment leaves the earlier ones as they were.
"""

import json
import math
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import PyTree

from jaxcv.errors import UserError
from jaxcv.train import paths

RECORD = 'record.json'
SEAL = 'record.crc32'
BLOCK = 2**24  # bytes read at a time
IMPLEMENTATIONS = ('threefry2x32', 'rbg', 'unsafe_rbg')  # of random keys


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
            index = {path: _describe(leaf) for path, leaf in leaves.items()}
            self._writer().save(draft / 'arrays', args=_save_args(leaves))
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
        index = json.loads((self._path(step) / RECORD).read_text())['leaves']
        like = {path: _Leaf(tuple(shape), dtype) for path, (dtype, shape) in index.items()}
        return step, self._revived(step, like, index)

    def restore_step(
        self, step: int, like: PyTree, shardings: Callable[[PyTree], PyTree] | None = None
    ) -> tuple[PyTree, dict[str, Any]]:
        """(tree, extra) of one checkpoint."""
        folder = self._path(step)
        record = json.loads((folder / RECORD).read_text())
        _compatible(folder, paths.leaves(like), record['leaves'])
        if shardings:
            like = _placed(like, record['leaves'], shardings)
        found = self._revived(step, paths.leaves(like), record['leaves'])
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
                record['files'] = _sums(draft)
                _write(draft / RECORD, json.dumps(record))
                _write(draft / SEAL, str(_crc(draft / RECORD)))
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

            handler = ocp.PyTreeCheckpointHandler(use_ocdbt=True, use_zarr3=True)
            self.writer = ocp.AsyncCheckpointer(handler)
        return self.writer

    def _newest(self, notes):
        self.damaged.clear()
        for step in reversed(self._present()):
            try:
                _verify(self._path(step))
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

    def _revived(self, step, wanted, index):
        arrays = _read(self._path(step) / 'arrays', wanted, index)
        return {path: _revive(arrays.get(path), *index[path]) for path in wanted}

    def _path(self, step):
        return self.directory / f'{step:08d}'

    def _metrics(self, step):
        try:
            return json.loads((self._path(step) / RECORD).read_text())['metrics']
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
        _write(probe, 'x' * 4096)
        probe.unlink()
    except OSError as error:
        raise UserError(f'{directory} cannot be written: {error.strerror}') from error
    need = copies * sum(_bytes(leaf) for leaf in jax.tree.leaves(tree))
    free = shutil.disk_usage(directory).free
    if need > free:
        raise UserError(
            f'{directory} has {free / 2**20:,.0f} MB free, but {copies} checkpoints of this run'
            f' take {need / 2**20:,.0f} MB; make room or choose another --workdir'
        )


# Leaves: Orbax takes neither typed keys nor empty arrays, and its keys may not hold slashes.


class _Leaf(NamedTuple):
    shape: tuple[int, ...]
    dtype: str


def _describe(leaf):
    """[dtype, shape] as JSON; the dtype of a typed key names its implementation."""
    return [str(leaf.dtype), list(leaf.shape)]


def _is_key(dtype):
    return str(dtype).startswith('key<')


def _bytes(leaf):
    size = math.prod(leaf.shape)
    return 16 * size if _is_key(leaf.dtype) else size * np.dtype(leaf.dtype).itemsize


def _placed(like, index, shardings):
    """`like` with the shapes of a checkpoint and the shardings that go with them."""
    shapes = paths.map_with_path(
        lambda path, leaf: jax.ShapeDtypeStruct(tuple(index[path][1]), leaf.dtype), like
    )
    return jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), shapes, shardings(shapes)
    )


def _item(path):
    return path.replace('%', '%25').replace('/', '%2F')


def _save_args(leaves):
    import orbax.checkpoint as ocp

    def plain(leaf):
        return jax.random.key_data(leaf) if _is_key(leaf.dtype) else jnp.asarray(leaf)

    full = {_item(path): plain(x) for path, x in leaves.items() if math.prod(x.shape)}
    return ocp.args.PyTreeSave(full or {'nothing': jnp.zeros(1)})


def _read(folder, wanted, index):
    """Path -> array, with the shardings wanted; empty leaves are left out."""
    import orbax.checkpoint as ocp

    asked = {path: leaf for path, leaf in wanted.items() if math.prod(index[path][1])}
    default = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    places = {path: getattr(leaf, 'sharding', None) or default for path, leaf in asked.items()}
    # Orbax would read a replicated array once for every device.
    whole = {path for path in places if places[path].is_fully_replicated}
    whole = whole if jax.process_count() == 1 else set()

    def how(path):
        if path in whole:
            return ocp.RestoreArgs(restore_type=np.ndarray)
        return ocp.ArrayRestoreArgs(sharding=places[path])

    if not asked:
        return {}
    args = ocp.args.PyTreeRestore(
        item={_item(path): 0 for path in asked},
        restore_args={_item(path): how(path) for path in asked},
    )
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=True, use_zarr3=True)) as reader:
        found = reader.restore(folder, args=args)
    arrays = {path: found[_item(path)] for path in asked}
    host = {path: np.asarray(arrays[path]) for path in whole}
    # A copy: the state is donated, and must not be memory that numpy still has.
    placed = jax.device_put(host, {path: places[path] for path in whole}, may_alias=False)
    return arrays | placed


def _revive(array, dtype, shape):
    if array is None:
        array = jnp.zeros(shape, 'uint32' if _is_key(dtype) else dtype)
    if _is_key(dtype):
        impls = {str(jax.random.key(0, impl=impl).dtype): impl for impl in IMPLEMENTATIONS}
        return jax.random.wrap_key_data(array, impl=impls[dtype])
    return array


def _compatible(folder, wanted, index):
    """A checkpoint of another structure or other types is of another program: no fall-back."""
    missing, extra = sorted(wanted.keys() - index.keys()), sorted(index.keys() - wanted.keys())
    typed = [
        f'{path} ({index[path][0]} saved, {leaf.dtype} expected)'
        for path, leaf in wanted.items()
        if path in index and str(leaf.dtype) != index[path][0]
    ]
    for what, names in (('lacks', missing), ('also has', extra), ('differs in', typed)):
        if names:
            more = f' and {len(names) - 3} more' if len(names) > 3 else ''
            raise UserError(
                f'{folder} is of another state: it {what} {", ".join(names[:3])}{more}.'
                ' Choose another --workdir'
            )


# Files.


def _write(path, text):
    with open(path, 'w') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sums(folder):
    """{relative path: [bytes, crc32]} of every file below."""
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): [path.stat().st_size, _crc(path)] for path in files}


def _verify(folder):
    if _crc(folder / RECORD) != int((folder / SEAL).read_text()):
        raise OSError(f'{RECORD} does not match its checksum')
    record = json.loads((folder / RECORD).read_text())
    for name, (size, crc) in record['files'].items():
        path = folder / name
        if not path.is_file():
            raise OSError(f'{name} is missing')
        if path.stat().st_size != size:
            raise OSError(f'{name} has {path.stat().st_size} bytes of {size}')
        if _crc(path) != crc:
            raise OSError(f'{name} does not match its checksum')


def _crc(path):
    crc = 0
    with open(path, 'rb') as file:
        while block := file.read(BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def _together(name):
    """Waits for every process."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def _first_line(error):
    if 'No space left' in str(error):
        return 'No space left on device'
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
