"""Models by name, as a config gives them: `config.model.name` and the fields beside it."""

import dataclasses
import typing
from collections.abc import Mapping

from flax import linen

from jaxcv.errors import UserError, choose
from jaxcv.recognition import convnext, resnet, vit
from jaxcv.recognition.cnn import CNN
from jaxcv.recognition.mlp import MLP

MODELS: Mapping[str, type[linen.Module]] = {
    'mlp': MLP,
    'cnn': CNN,
    'resnet': resnet.ResNet,
    'vit': vit.ViT,
    'convnext': convnext.ConvNeXt,
}
SIZES: Mapping[str, Mapping[str, Mapping]] = {
    'resnet': resnet.SIZES,
    'vit': vit.SIZES,
    'convnext': convnext.SIZES,
}


def model(name: str, num_classes: int, *, size: str | int = '', **fields) -> linen.Module:
    """The model called `name`: a published `size` (see `SIZES`), or the constructor's defaults,
    with `fields` on top."""
    constructor = MODELS[choose(name, MODELS, 'config.model.name')]
    if size != '':
        sizes = SIZES.get(name, {})
        if not sizes:
            raise UserError(f'config.model.size is {size!r}, but model {name!r} has no sizes')
        # From the command line '18' arrives as a number.
        fields = sizes[choose(str(size), sizes, 'config.model.size')] | fields
    types = field_types(constructor)
    for field, value in fields.items():
        choose(field, types, f'a field of config.model for {name!r}')
        fields[field] = typed(value, types[field], f'config.model.{field}')
    return constructor(num_classes=num_classes, **fields)


def field_types(constructor: type[linen.Module]) -> dict[str, type]:
    """The fields that a config may set, with their types."""
    types = typing.get_type_hints(constructor)
    own = {field.name for field in dataclasses.fields(constructor)}
    return {name: types[name] for name in own - {'parent', 'name', 'num_classes'}}


def typed(value, wanted: type, name: str):
    """`value` if it is of the type `wanted`: bool, int, float, str or a tuple of one of them.

    An int does for a float, a list for a tuple; bool is no int.
    """
    if typing.get_origin(wanted) is tuple:
        if isinstance(value, list | tuple):
            element = typing.get_args(wanted)[0]
            return tuple(typed(entry, element, f'an entry of {name}') for entry in value)
        wanted = tuple
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise UserError(f'{name} is {value!r}, but must be of type {wanted.__name__}')
    return value
