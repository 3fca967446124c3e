"""Configs: read a file, fill in what it leaves out, apply overrides, refuse mistakes early.

A config file is data: a docstring, `get_config()` that returns a ConfigDict, and optionally
`VARIANTS = {name: {'dotted.field': value}}`. It states what differs from the defaults of
`Settings` (section `train`) and `Optim` (section `optim`).
"""

import ast
import dataclasses
import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_collections

from jaxcv.errors import UserError, choose
from jaxcv.train.optimize import Optim
from jaxcv.train.settings import WATCHING, Settings

ROOT = Path(__file__).parents[2]  # where `configs` lies, wherever Python was started
SECTIONS = {'train': Settings, 'optim': Optim}
CLOSED = (*SECTIONS, 'data')  # sections whose fields are known here


def load(path: str, overrides: Mapping[str, object] | Sequence[str] = ()):
    """The complete config of `FILE[:variant]` with overrides `{'train.steps': 3}` or
    `['train.steps=3']`, in this order: defaults, file, variant, overrides."""
    path, _, variant = str(path).partition(':')
    module = _module(path)
    config = complete(module.get_config())
    if variant:
        variants = getattr(module, 'VARIANTS', {})
        for name, value in variants[choose(variant, variants, f'the variant of {path}')].items():
            override(config, name, value)
    if not isinstance(overrides, Mapping):
        overrides = dict(_assignment(text) for text in overrides)
    for name, value in overrides.items():
        override(config, name, value)
    return config


def available(root: str | Path = 'configs') -> list[str]:
    """Config files below `root`, with their variants."""
    found = []
    for path in sorted(Path(root).glob('*/*.py')):
        found.append(str(path))
        found += [f'{path}:{name}' for name in getattr(_module(path), 'VARIANTS', {})]
    return found


def complete(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """The config with every default written out; a field that no section has is an error."""
    full = ml_collections.ConfigDict({'experiment': '', 'seed': 0, 'needs': {}, 'model': {}})
    full.data = {'name': '', 'path': '', 'image_size': 0, 'count': 0, 'augment': {}}
    for section, defaults in SECTIONS.items():
        full[section] = dataclasses.asdict(defaults())
    for name, value in _leaves(config):
        section, _, field = name.partition('.')
        if section in SECTIONS:
            choose(field, full[section], f'a field of config.{section}')
            value = _typed(name, value, full[section][field])
        try:
            _set(full, name, value)
        except TypeError:
            kind = type(value).__name__
            raise UserError(f'config.{name} is {value!r}: a {kind} does not fit there') from None
    return full


def override(config: ml_collections.ConfigDict, name: str, value) -> None:
    """Sets `config.<name>`, in place; refuses unknown fields and wrong types."""
    *sections, field = name.split('.')
    if sections and sections[0] == 'needs':  # checked when the need is resolved
        with config.ignore_type():
            _set(config, name, _parse(value) if isinstance(value, str) else value)
        return
    node = config
    for depth, section in enumerate(sections):
        where = '.'.join(['config', *sections[:depth]])
        choose(section, node.keys(), f'a field of {where}')
        node = node[section]
        if not isinstance(node, ml_collections.ConfigDict):
            raise UserError(f'{where}.{section} is a value and has no field {field!r}')
    if sections and _open(config, sections[0]) and field not in node:
        node[field] = _parse(value) if isinstance(value, str) else value
        return
    where = '.'.join(['config', *sections])
    choose(field, node.keys(), f'a field of {where}')
    if isinstance(node[field], ml_collections.ConfigDict) and isinstance(value, Mapping):
        if name in SECTIONS:
            for inner, part in value.items():
                override(config, f'{name}.{inner}', part)
        else:
            node[field] = ml_collections.ConfigDict(value)
    else:
        node[field] = _typed(name, value, node[field])


def settings(config: ml_collections.ConfigDict) -> Settings:
    """The `train` section as a frozen record."""
    values = Settings(**config.train.to_dict())
    choose(values.parallel, ('pmap', 'mesh'), 'config.train.parallel')
    choose(values.precision, ('float32', 'bfloat16'), 'config.train.precision')
    for name in ('steps', 'batch_size', 'accumulate', 'model_devices', 'keep_last'):
        if getattr(values, name) < 1:
            raise UserError(
                f'config.train.{name} is {getattr(values, name)}, but must be 1 or more'
            )
    return values


def to_json(config: ml_collections.ConfigDict) -> dict:
    """The config as JSON-able data (tuples become lists)."""
    return json.loads(json.dumps(config.to_dict()))


def fingerprint(config: ml_collections.ConfigDict, version: int = 0) -> str:
    """Identifies what a run computes: everything but how it is watched and laid out, plus the
    version that its experiment gives to its outputs. The length of training counts."""
    data = to_json(config)
    watching = WATCHING - {'steps', 'early_stop', 'early_stop_mode', 'patience'}
    data['train'] = {k: v for k, v in data['train'].items() if k not in watching}
    text = json.dumps([data, version], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(old: Mapping, new: Mapping, prefix: str = '') -> list[str]:
    """Fields (in words) in which two JSON configs describe different computations."""
    found = []
    for name in sorted({*old, *new}):
        a, b, full = old.get(name), new.get(name), f'{prefix}{name}'
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f'{full}.')
        elif a != b and full not in {f'train.{field}' for field in WATCHING}:
            found.append(f'config.{full} was {a!r}, now {b!r}')
    return found


def _open(config, section):
    """Whether a section has a `name`, or is `model`: its fields are those of what it names, and
    the experiment checks them when it builds."""
    return section == 'model' or (section not in CLOSED and 'name' in config[section])


def _module(name):
    path = next((path for path in (Path(name), ROOT / name) if path.is_file()), None)
    if path is None:
        raise UserError(_missing(name))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f'{path} does not load: {type(error).__name__}: {error}') from error
    if not hasattr(module, 'get_config'):
        raise UserError(f'{path} is no config: it has no get_config()')
    return module


def _missing(name):
    found = sorted(ROOT.glob('configs/*/*.py'))
    choices = [str(each.relative_to(ROOT)) for each in found]
    try:
        choose(str(name), choices, 'the config file')
    except UserError as error:
        return str(error)


def _assignment(text):
    name, equals, value = text.partition('=')
    if not equals:
        raise UserError(f'{text!r} is no override: write field.name=value')
    return name, value


def _parse(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {'true': True, 'false': False}.get(text.lower(), text)


def _typed(name, value, default):
    """`value` as the type of `default`; strings (from flags) are parsed first."""
    wanted = type(default)
    if wanted is str and isinstance(value, str):
        return value
    parsed = _parse(value) if isinstance(value, str) else value
    if isinstance(parsed, float) and wanted is int and parsed.is_integer():
        return int(parsed)  # steps=1e4
    if isinstance(parsed, int) and wanted is float and not isinstance(parsed, bool):
        return float(parsed)
    if wanted is tuple and isinstance(parsed, list | tuple | str):
        return (parsed,) if isinstance(parsed, str) else _tuples(parsed)
    if default is None or isinstance(parsed, wanted):
        return parsed
    raise UserError(
        f'config.{name} is {value!r}, but must be of type {wanted.__name__}, as {default!r} is'
    )


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _leaves(config, prefix=''):
    for name, value in config.items():
        if isinstance(value, ml_collections.ConfigDict) and (value or prefix):
            yield from _leaves(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value


def _set(config, name, value):
    *sections, field = name.split('.')
    for section in sections:
        if section not in config:
            config[section] = ml_collections.ConfigDict()
        config = config[section]
    config[field] = value
