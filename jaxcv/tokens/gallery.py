"""What a person sees of a trained prior: pictures it draws, how they come about, and real pictures
that it completes or changes."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from jaxcv.tokens.methods import Method
from jaxcv.tokens.multiscale import Multiscale
from jaxcv.tokens.sampled import Sampled
from jaxcv.tokens.stage import TokenStage
from jaxcv.tokens.told import Told
from jaxcv.viz import Picture, rows, titled

FILMED = 4  # pictures whose making is shown
FRAMES = 12  # of it, at most
CAPTIONS = {
    'samples': 'Drawn pictures; a row for each class, if there are classes',
    'captions': 'Captions that were not seen in training, and what is drawn',
    'filmstrip': 'What is decided after each step, from left to right',
    'completion': 'Real pictures, the half that is given, and how it is completed',
    'inpainting': 'Real pictures, what is given, and what is drawn inside',
    'outpainting': 'Real pictures, what is given, and what is drawn around it',
    'class_edit': 'Real pictures, what is given, and a thing of the next class drawn inside',
}


class Real(NamedTuple):
    """Real pictures to change, and what is told of them."""

    images: Float[Array, 'n h w c']  # in [-1, 1]
    told: Told


def gallery(
    method: Method,
    stage: TokenStage,
    real: Real,
    asked: list[Told],
    num_classes: int | None,
    captions: list[str],
) -> Callable[[PyTree, Key[Array, '']], dict[str, Picture]]:
    """(params, key) -> pictures by name. asked: what is told of each row of the samples; captions:
    of all rows, if those are told."""
    n = len(real.images)
    codes = jax.jit(stage.tokenize)(real.images)

    @jax.jit
    def drawn(params, told, keys):
        found = method.sample(params, told, keys)
        return found, stage.detokenize(found.codes)

    @jax.jit
    def completed(params, told, keys):
        given = codes[:, : stage.length // 2]
        return stage.detokenize(method.sample(params, told, keys, given=given).codes)

    @jax.jit
    def filled(params, told, keys, known):
        edit = {'given': codes, 'known': jnp.broadcast_to(known, codes.shape)}
        return stage.detokenize(method.sample(params, told, keys, **edit).codes)

    def edits(params, keys):
        if method.edits == 'prefix':
            half = jnp.arange(stage.length) < stage.length // 2
            return {'completion': (half, completed(params, real.told, keys))}
        if method.edits != 'places':
            return {}
        inside = middle(*stage.grid)
        found = {
            'inpainting': (~inside, filled(params, real.told, keys, ~inside)),
            'outpainting': (inside, filled(params, real.told, keys, inside)),
        }
        if num_classes is not None:
            told = Told((real.told.label + 1) % num_classes)
            found['class_edit'] = (~inside, filled(params, told, keys, ~inside))
        return found

    def show(params, key):
        keys = jax.random.split(key, (len(asked), n))
        parts = [drawn(params, told, keys[i]) for i, told in enumerate(asked)]
        found, shown = jax.tree.map(lambda *x: np.concatenate(x), *jax.device_get(parts))
        media = {'samples': rows(shown, n, CAPTIONS['samples'])}
        if captions:
            media['captions'] = titled(shown, captions, n, CAPTIONS['captions'])
        filmed = np.linspace(0, len(shown) - 1, FILMED).round().astype(int)
        frames = film(stage, jax.tree.map(lambda x: x[filmed], found), shown[filmed])
        media['filmstrip'] = rows(
            np.stack(frames, 1).reshape(-1, *shown.shape[1:]), len(frames), CAPTIONS['filmstrip']
        )
        for name, (known, images) in edits(params, keys[0]).items():
            given = jnp.where(pixels(known, stage, shown.shape[1:]), real.images, 0)
            parts = jax.device_get((real.images, given, images))
            media[name] = rows(np.concatenate(parts), n, CAPTIONS[name])
        return media

    return show


def film(
    stage: TokenStage, found: Sampled, whole: Float[np.ndarray, 'n h w c']
) -> list[Float[np.ndarray, 'n h w c']]:
    """What is known after each step, or after some of many; `whole` after the last."""
    if isinstance(stage.quantizer, Multiscale):
        return jax.device_get(sums(stage, found.codes))
    last = int(found.when.max())
    steps = np.unique(np.linspace(1, last, min(last, FRAMES)).round().astype(int))
    return [
        np.where(pixels(found.when <= step, stage, whole.shape[1:]), whole, 0) for step in steps
    ]


def sums(stage: TokenStage, codes: Int[Array, 'b n']) -> list[Float[Array, 'b h w c']]:
    """The pictures of the first scale, of the first two, and so on."""
    quantizer, learned = stage.quantizer, stage.learned
    total, found = quantizer.blank(learned[0], len(codes)), []
    for scale in quantizer.layout():
        total = quantizer.add(*learned, total, codes[:, scale.start : scale.stop], scale)
        found.append(stage.images(total))
    return found


def middle(h: int, w: int) -> Bool[Array, 'h*w']:
    """Which places lie in the middle half of both sides."""
    y, x = ((np.arange(n) + 0.5) / n for n in (h, w))
    inside = (np.abs(y - 0.5) < 0.25)[:, None] & (np.abs(x - 0.5) < 0.25)
    return jnp.asarray(inside.reshape(-1))


def pixels(known, stage: TokenStage, shape: tuple[int, ...]):
    """Places of a grid as the pixels they are drawn at."""
    grid = np.asarray(known).reshape(*known.shape[:-1], *stage.grid)
    for axis, side in ((-2, shape[0]), (-1, shape[1])):
        grid = grid.repeat(side // grid.shape[axis], axis)
    return grid[..., None]
