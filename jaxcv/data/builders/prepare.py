"""Prepares an embedded data set in the cache folder once, whoever asks first."""

import contextlib
import importlib
from pathlib import Path

from jaxcv.data.catalog import quiet, read
from jaxcv.data.dataset import Dataset
from jaxcv.errors import UserError, choose


def embedded(name: str, split: str, data_dir: Path, size: int | str | None = None) -> Dataset:
    """A split of one of the modules beside this one from `data_dir`, made if missing."""
    module = importlib.import_module(f'jaxcv.data.builders.{name}')
    builder_class = getattr(module, f'Jaxcv{name.capitalize()}')
    choose(split.split('[')[0], ('train', 'test'), 'split')

    def build():
        builder = builder_class(
            config=str(size) if size else None, data_dir=data_dir, file_format='array_record'
        )
        return builder, builder.is_prepared()

    try:
        with quiet():
            builder, prepared = build()
            if not prepared:
                with _locked(data_dir / f'.{builder.name}.lock'):
                    builder, prepared = build()  # another process may have been first
                    if not prepared:  # TFDS writes beside and renames
                        builder.download_and_prepare()
        dataset = read(builder, split)
    except OSError as error:
        raise UserError(
            f'data set {name!r} cannot be prepared in {data_dir}: {error.strerror or error}; set '
            'TFDS_DATA_DIR or data_dir to a writable folder'
        ) from None
    return Dataset(name, dataset.source, dataset.classes)


@contextlib.contextmanager
def _locked(path: Path):
    """One process at a time; the lock goes with the process that holds it."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
