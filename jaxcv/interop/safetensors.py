"""A checkpoint folder: `config.json` beside `model.safetensors`, or shards with an index.

transformers calls the file `model`; others have another name for it, the `stem`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxcv.errors import UserError

STEM = 'model'


def single(stem: str = STEM) -> str:
    return f'{stem}.safetensors'


def index(stem: str = STEM) -> str:
    return f'{stem}.safetensors.index.json'


def read(folder: str | Path, stem: str = STEM) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The config and every tensor of a checkpoint folder (bfloat16 as ml_dtypes')."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f'{folder} is no folder; expected one with config.json and {single(stem)}')
    return _json(folder / 'config.json'), read_tensors(folder, stem)


def read_tensors(folder: str | Path, stem: str = STEM) -> dict[str, np.ndarray]:
    """Every tensor of the single file, or of the shards that the index names."""
    folder = Path(folder)
    if (folder / single(stem)).is_file():
        return _read_file(folder / single(stem))
    path = folder / index(stem)
    if not path.is_file():
        found = ', '.join(sorted(path.name for path in folder.iterdir())) or 'nothing'
        raise UserError(f'{folder} has neither {single(stem)} nor {path.name}; it holds {found}')
    places = _json(path).get('weight_map')
    if not places:
        raise UserError(f'{path} has no weight_map')
    shards = {name: _read_file(folder / name) for name in sorted(set(places.values()))}
    absent = [name for name, shard in places.items() if name not in shards[shard]]
    if absent:
        raise UserError(
            f'{folder}: {absent[0]} is not in {places[absent[0]]}, where the index puts it '
            f'({len(absent)} such tensors)'
        )
    return {name: shards[shard][name] for name, shard in places.items()}


def write(
    folder: str | Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    stem: str = STEM,
    *,
    shard_bytes: int = 5 * 10**9,
) -> None:
    """Writes the folder that `read` reads, in shards of at most `shard_bytes` (a tensor is never
    cut). A folder that holds a checkpoint already is refused."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / single(stem)).exists() or (folder / index(stem)).exists():
        raise UserError(f'{folder} already holds a checkpoint; choose an empty folder')
    (folder / 'config.json').write_text(json.dumps(dict(config), indent=2, sort_keys=True) + '\n')
    shards = _shards(tensors, shard_bytes)
    if len(shards) == 1:
        return _write_file(folder / single(stem), shards[0])
    places = {}
    for number, shard in enumerate(shards, start=1):
        name = f'{stem}-{number:05}-of-{len(shards):05}.safetensors'
        _write_file(folder / name, shard)
        places |= dict.fromkeys(shard, name)
    listed = {
        'metadata': {'total_size': sum(tensor.nbytes for tensor in tensors.values())},
        'weight_map': places,
    }
    (folder / index(stem)).write_text(json.dumps(listed, indent=2, sort_keys=True) + '\n')


def _shards(tensors, limit):
    shards, size = [{}], 0
    for name, tensor in sorted(tensors.items()):
        if shards[-1] and size + tensor.nbytes > limit:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    return shards


def _read_file(path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, 'np') as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f'{path} cannot be read: {error}') from error


def _write_file(path, tensors):
    from safetensors.numpy import save_file

    # transformers and diffusers refuse files that do not say for which framework they are.
    contiguous = {name: np.asarray(tensor, order='C') for name, tensor in tensors.items()}
    save_file(contiguous, path, metadata={'format': 'pt'})


def _json(path):
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f'{path.parent} has no {path.name}') from error
    except (OSError, ValueError) as error:
        raise UserError(f'{path} cannot be read: {error}') from error
