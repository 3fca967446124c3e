"""Data sets of tensorflow-datasets, read without TensorFlow (files in array_record format)."""

import contextlib
import difflib
import io
import logging
import re
import socket
import threading
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np

from jaxcv.data.dataset import Dataset, Example, MappedSource
from jaxcv.data.load import OWN
from jaxcv.errors import UserError

OFFLINE = f'without a download there are {", ".join(OWN)}, and your own folder or npz'
SECONDS = 5.0  # how long a server may take to answer before it counts as unreachable


def catalog(name: str, split: str, data_dir: Path) -> Dataset:
    """The split of a TFDS data set; downloads and prepares it under `data_dir` if it must."""
    builder = _builder(name, data_dir)
    try:
        return read(builder, split)
    except Exception:  # of many kinds when it is not there
        with quiet():
            prepared = builder.is_prepared()
        if prepared:
            raise
    _prepare(builder, name, data_dir)
    return read(builder, split)


def read(builder, split: str) -> Dataset:
    """A split of a prepared builder."""
    with quiet():
        splits = tuple(builder.info.splits)
        try:
            source = builder.as_data_source(split=_existing(split, splits))
        except (KeyError, ValueError) as error:
            if not splits or re.split(r'\W', split)[0] in splits:
                raise
            raise UserError(
                f'split of {builder.name!r} is {split!r}, but must be of {", ".join(splits)}'
            ) from error
        if len(source):
            source[0]  # the first decoding warns that OpenCV is faster
    label = dict(builder.info.features).get('label')
    classes = tuple(getattr(label, 'names', None) or ())
    return Dataset(builder.name, MappedSource(source, clean), classes)


def _existing(split, splits):
    """'train' and 'test' for every data set: see `load`."""
    if not splits or 'test' in splits or split not in ('train', 'test'):
        return split
    if 'validation' in splits:
        return 'validation' if split == 'test' else split
    return 'train[90%:]' if split == 'test' else 'train[:90%]'


def clean(example: Example) -> Example:
    """Flat names ('objects/bbox'), 32-bit numbers, texts as str."""
    flat = {}
    for name, value in example.items():
        if isinstance(value, dict):
            flat.update({f'{name}/{inner}': x for inner, x in clean(value).items()})
            continue
        if isinstance(value, bytes):
            value = value.decode('utf-8', errors='replace')
        value = np.asarray(value)
        narrow = {'int64': np.int32, 'float64': np.float32}.get(value.dtype.name)
        flat[name] = value.astype(narrow) if narrow else value
    return flat


@contextlib.contextmanager
def quiet():
    """Silences TFDS's warnings and progress bars, which would tear the run's own."""
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    logger = logging.getLogger('absl')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _builder(name, data_dir):
    import tensorflow_datasets as tfds

    try:
        with quiet():
            return tfds.builder(name, data_dir=data_dir, file_format='array_record')
    except tfds.core.DatasetNotFoundError:
        base = re.split(r'[/:]', name)[0]
        names = tfds.list_builders(with_community_datasets=False)
        here = (*OWN, 'folder', 'npz')
        nearest = difflib.get_close_matches(base, [*here, *names], n=1)
        hint = f'; did you mean {nearest[0]!r}?' if nearest else ''
        raise UserError(
            f'data.name is {name!r}, but must be {", ".join(here)} or a name of '
            f'tensorflow-datasets{hint}'
        ) from None
    except ImportError as error:
        raise UserError(
            f'data set {name!r} needs a package that is missing here: {_line(error)}'
        ) from None
    except (ValueError, AssertionError, KeyError) as error:
        raise UserError(f'data set {name!r}: {_line(error)}') from None


def _prepare(builder, name, data_dir):
    where = f'data set {name!r} is not in {data_dir}'
    for host, port in _servers(builder):
        if not _reachable(host, port):
            raise UserError(f'{where} and {host} cannot be reached to download it; {OFFLINE}')
    print(f'{where}: downloading it', flush=True)
    try:
        builder.download_and_prepare()
    except ImportError as error:
        raise UserError(f'{where} and cannot be prepared here: {_line(error)}') from None
    except (OSError, AssertionError) as error:  # no network, full disk, manual download needed
        raise UserError(f'{where} and cannot be downloaded: {_line(error)}; {OFFLINE}') from None


def _servers(builder):
    """Where its files come from: (host, port) of its first URL, or of the proxy."""
    urls = [url for url in builder.url_infos if url.startswith('http')][:1]
    for url in urls:
        parts = urllib.parse.urlsplit(url)
        proxy = urllib.request.getproxies().get(parts.scheme)
        if proxy and not urllib.request.proxy_bypass(parts.hostname):
            parts = urllib.parse.urlsplit(proxy if '//' in proxy else f'//{proxy}')
        yield parts.hostname, parts.port or (80 if parts.scheme == 'http' else 443)


def _reachable(host, port):
    """Whether it accepts a connection soon. In a thread: name resolution knows no time limit."""
    answered = threading.Event()

    def connect():
        with contextlib.suppress(OSError), socket.create_connection((host, port), SECONDS):
            answered.set()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return answered.is_set()


def _line(error):
    """The first line of a message that may be a page."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
