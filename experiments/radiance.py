"""Radiance fields: views of a scene learned from its photographs; see `jaxcv.radiance`.

`config.data`       name (desk, moving_desk, capture), image_size or path
`config.box`        the fields of `captures.photographs.Box`: what of the world is in the field
`config.field`      name (nerf, siren, ngp, voxels, triplane, kplanes) and fields of the field
`config.renderer`   name (hierarchical, skipping, proposing) and fields: how rays are sampled
`config.proposals`  of 'proposing': the fields of an `NGPField` per round
`config.objective`  the fields of `Objective`
`config.viewed`     the fields of `Viewed`
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv import data
from jaxcv.cameras import Camera, Rays, orbit, pixel_centers, rays
from jaxcv.data.captures.photographs import Box, photographs
from jaxcv.errors import choose, construct
from jaxcv.metrics import psnr, ssim
from jaxcv.ops import across
from jaxcv.radiance import fields, losses, renderers, volume
from jaxcv.radiance.fields import Condition
from jaxcv.radiance.picture import picture, shown
from jaxcv.train import Experiment, Optim
from jaxcv.train.config import settings
from jaxcv.train.training import train_step
from jaxcv.viz import Picture, Video, colorize, enlarge, grid, to_uint8

RENDERERS = {
    'hierarchical': renderers.hierarchical,
    'skipping': renderers.skipping,
    'proposing': renderers.proposing,
}
PHOTOMETRIC = {'squared': losses.squared, 'huber': losses.huber, 'charbonnier': losses.charbonnier}
VIEWS = 4  # of the test that are shown
SIDE = 800  # pixels of the picture, at least
UP = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Objective:
    """`config.objective`: what is minimized, and the weights of its parts."""

    color: str = 'squared'
    coarse: float = 1.0  # of the color of earlier rounds
    distortion: float = 0.0
    interlevel: float = 1.0
    background: str = 'white'  # or 'black', or 'random'


@dataclass(frozen=True)
class Viewed:
    """`config.viewed`: how pictures are rendered."""

    chunk: int = 4096  # rays at once
    frames: int = 24  # of the video; 0: none
    judged: int = 0  # test views that are scored; 0: all


class Scene(NamedTuple):
    """What a run that needs this one receives."""

    renderer: renderers.Renderer
    params: Any
    aux: Any
    cameras: Camera


def build(config) -> Experiment:
    train, optim = settings(config), Optim(**config.optim.to_dict())
    objective = construct(Objective, config.objective.to_dict(), 'config.objective')
    choose(objective.color, PHOTOMETRIC, 'config.objective.color')
    viewed = construct(Viewed, config.viewed.to_dict(), 'config.viewed')
    box, where = construct(Box, config.box.to_dict(), 'config.box'), config.data
    known, held_out = photographs(where.name, path=where.path, image_size=where.image_size, box=box)
    renderer = named(config)
    training = train_step(lesson(renderer, known, objective), train, optim)
    # In pictures, where nothing is random.
    behind = jnp.full(3, 0.0 if objective.background == 'black' else 1.0)
    look = looker(renderer, viewed.chunk, behind)
    return Experiment(
        init=lambda key: training.init(*renderer.init(key)),
        step=training.step,
        batches=data.batches(pixels(known), train.batch_size),
        evaluate=evaluation(look, held_out, behind, viewed.judged),
        show=exhibition(look, held_out, behind, viewed.frames),
        export=lambda state: Scene(renderer, state.eval_params(), state.aux, known.cameras),
    )


def named(config) -> renderers.Renderer:
    """The field and the way of sampling it that the config names."""
    field = fields.field(**config.field.to_dict())
    section = config.renderer.to_dict()
    name = choose(section.pop('name'), RENDERERS, 'config.renderer.name')
    inputs = (field,)
    if name == 'proposing':
        inputs = field, [fields.field('ngp', **each) for each in config.proposals]
    return construct(partial(RENDERERS[name], *inputs), section, 'config.renderer')


def pixels(frames) -> dict[str, np.ndarray]:
    """Every pixel of the photographs as a sample: color, and where it is."""
    images = rgba(frames.images)
    count, height, width, _ = images.shape
    place = np.arange(count * height * width, dtype=np.int32)
    if frames.masks is not None:
        place = place[frames.masks.reshape(-1)]
    return {'rgba': images.reshape(-1, 4)[place], 'place': place}


def rgba(images):
    if images.shape[-1] == 4:
        return images
    return np.concatenate([images, np.full_like(images[..., :1], 255)], axis=-1)


def lesson(renderer, frames, objective):
    """The training loss."""
    cameras, times = frames.cameras, frames.times
    difference = PHOTOMETRIC[objective.color]

    def loss(params, aux, batch, keys):
        keys = jax.vmap(lambda key: jax.random.split(key, 2))(keys)
        aux = renderer.update(jax.lax.stop_gradient(params), aux, across.first_key(keys[:, 0]))
        frame, pixel = located(batch['place'], cameras)
        seen = rays(jax.tree.map(lambda x: x[frame], cameras), pixel[:, None])
        seen = jax.tree.map(lambda x: x[:, 0], seen)
        told = Condition(None if times is None else times[frame], frame)
        sight = renderer.render(params, aux, seen, told, keys[:, 1])

        behind = volume.backdrop(objective.background, keys[:, 0])
        truth = volume.composite(data.unit(batch['rgba']), behind)

        whole = jnp.broadcast_to(sight.whole, len(truth))

        def mean(x):
            return (x * whole).sum() / jnp.maximum(whole.sum(), 1)

        def color(rendered):
            return volume.over(rendered.values, rendered.opacity, behind)

        square = mean(losses.squared(color(sight.rendered), truth))
        value = mean(difference(color(sight.rendered), truth))
        for early in sight.coarse:
            value += objective.coarse * mean(difference(color(early), truth))
        for name, penalty in sight.penalties.items():
            value += getattr(objective, name) * mean(penalty)
        return value, aux, {'psnr': -10 * jnp.log10(square), **sight.metrics}

    return loss


def located(place, cameras):
    """(photograph, pixel center) of places in all photographs, row by row."""
    area = cameras.width * cameras.height
    return place // area, pixel_centers(place % area, cameras.width)


def looker(renderer, chunk, behind):
    """(params, aux, one camera, its time) -> `picture.Picture`."""

    def render(params, aux, time, seen: Rays):
        seen = across.split(seen)
        told = Condition(jnp.broadcast_to(time, len(seen.origins)))
        rendered = renderer.render(params, aux, seen, told, None).rendered
        return across.whole(shown(rendered, behind))

    @jax.jit
    def look(params, aux, camera, time):
        return picture(partial(render, params, aux, time), camera, chunk)

    return look


def evaluation(look, frames, behind, judged):
    """Means over the test views, or the first so many."""
    count = judged or len(frames.images)
    judge = jax.jit(lambda x, y: {'psnr': psnr(x, y)[0], 'ssim': ssim(x, y)[0]})

    def evaluate(state, key):
        params, found = state.eval_params(), []
        for i in range(count):
            truth = composited(frames.images[i : i + 1], behind)
            seen = look(params, state.aux, frames.cameras[i], time_of(frames, i))
            found.append(judge(jnp.clip(seen.color, 0, 1)[None], truth))
        return {name: np.mean([float(each[name]) for each in found]) for name in found[0]}

    return evaluate


def exhibition(look, frames, behind, length):
    """Test views beside the truth, with depth and error; a way around the scene."""
    count = min(VIEWS, len(frames.images))
    truth = np.asarray(composited(frames.images[:count], behind))

    def show(state, key) -> Mapping[str, Picture | Video]:
        params = state.eval_params()
        seen = [
            jax.device_get(look(params, state.aux, frames.cameras[i], time_of(frames, i)))
            for i in range(count)
        ]
        color = np.stack([each.color for each in seen]).clip(0, 1)
        depth = np.stack([each.depth for each in seen])
        depth = colorize(depth / max(depth.max(), 1e-6))
        error = np.broadcast_to(np.abs(color - truth).mean(-1, keepdims=True), color.shape)
        panels = np.concatenate([truth, color, depth, np.clip(4 * error, 0, 1)])
        words = 'Test views: photographs, rendered, depth, and 4 times the error'
        media = {'views': Picture(enlarge(grid(panels, count), SIDE), words)}
        if length:
            path = orbit(frames.cameras[0], jnp.zeros(3), jnp.array(UP), length)
            times = jnp.linspace(0, 1, length)
            film = [look(params, state.aux, path[i], times[i]).color for i in range(length)]
            film = to_uint8(np.stack(jax.device_get(film)).clip(0, 1))
            media['orbit'] = Video(film, 12, 'Around the scene')
        return media

    return show


def composited(images, behind):
    return volume.composite(data.unit(jnp.asarray(rgba(images))), behind)


def time_of(frames, index):
    return jnp.float32(0) if frames.times is None else frames.times[index]
