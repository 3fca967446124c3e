"""Radiance fields: views of a scene learned from its photographs; see `jaxcv.radiance`.

`config.data`       name (desk, moving_desk, capture), image_size or path, count
`config.box`        the fields of `captures.photographs.Box`: what of the world is in the field
`config.field`      name (nerf, siren, ngp, voxels, triplane, kplanes) and fields of the field
`config.renderer`   name (hierarchical, skipping, proposing) and fields: how rays are sampled
`config.proposals`  of 'proposing': such a field per round
`config.objective`  the fields of `objective.Objective`
`config.poses`      the fields of `learned.Poses`
`config.viewed`     the fields of `Viewed`
`config.needs.features` a classifier, whose layers say how alike two pictures look (optional)

A field that can grow (voxels) does so every `config.train.adapt_every` steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv import data
from jaxcv.cameras import Camera, Rays, average, inverse, spiral
from jaxcv.cameras.view import View
from jaxcv.data.captures.photographs import Box, photographs
from jaxcv.errors import UserError, choose, construct
from jaxcv.ops import across
from jaxcv.radiance import fields, framing, losses, patches, renderers, viewing, volume
from jaxcv.radiance.fields import Condition
from jaxcv.radiance.learned import Poses, learned
from jaxcv.radiance.objective import PHOTOMETRIC, Objective, weighted
from jaxcv.radiance.picture import picture, seen_along, shown
from jaxcv.train import Experiment, Optim
from jaxcv.train.config import settings
from jaxcv.train.training import train_step

RENDERERS = {
    'hierarchical': renderers.hierarchical,
    'skipping': renderers.skipping,
    'proposing': renderers.proposing,
}
PATCHES, SIZE = 8, 8  # of views without photograph, and their sides
FOCUS = 3.0  # what the spiral looks at, where the nearest point is 4/3 away


@dataclass(frozen=True)
class Viewed(viewing.Viewed):
    """`config.viewed`: what is judged and shown, and how it is rendered."""

    chunk: int = 4096  # rays at once


class Scene(NamedTuple):
    """What a run that needs this one receives: a `cameras.view.Scene`."""

    renderer: renderers.Renderer
    params: Any
    aux: Any
    cameras: Camera
    looks: Callable[[Any, Any, Camera, Float[Array, '']], View]  # (params, aux, camera, its time)

    def look(self, camera: Camera, time: float = 0.0) -> View:
        return self.looks(self.params, self.aux, camera, jnp.float32(time))


def build(config, features=None) -> Experiment:
    train, optim = settings(config), Optim(**config.optim.to_dict())
    objective = construct(Objective, config.objective.to_dict(), 'config.objective')
    viewed = construct(Viewed, config.viewed.to_dict(), 'config.viewed')
    posed = construct(Poses, config.poses.to_dict(), 'config.poses')
    box, where = construct(Box, config.box.to_dict(), 'config.box'), config.data
    known, held_out = photographs(
        where.name, path=where.path, image_size=where.image_size, count=where.count, box=box
    )
    sample = pixels(known, bool(objective.depth))
    space = config.field.get('space', 'box')
    if space == 'box':
        content = sample['place'][sample['rgba'][:, 3] > 127]
        framing.require(known.cameras, content, box.center, box.half)
    renderer = named(config)
    both = learned(renderer, known.cameras, posed)
    training = train_step(lesson(renderer, both, known.times, objective), train, optim)
    behind = viewing.steady(objective.background)
    path = way(known.cameras, space, viewed.frames) if viewed.frames else None
    look = looker(renderer, viewed.chunk)

    def placed(state, cameras):
        params = state.eval_params()
        scene = both.scene(params, state.aux)
        return partial(look, *scene), *both.placed(params, state.aux, cameras)

    return Experiment(
        init=lambda key: training.init(*both.init(key)),
        step=training.step,
        batches=data.batches(sample, train.batch_size),
        evaluate=viewing.evaluation(placed, held_out, behind, viewed.judged, features),
        show=viewing.exhibition(placed, held_out, behind, path),
        adapt=growth(renderer) if train.adapt_every else None,
        export=lambda state: exported(renderer, both, look, state),
    )


def named(config) -> renderers.Renderer:
    """The field and the way of sampling it that the config names."""
    field = fields.field(**config.field.to_dict())
    section = config.renderer.to_dict()
    name = choose(section.pop('name'), RENDERERS, 'config.renderer.name')
    if config.field.get('space', 'box') != 'box' and not section.get('far'):
        raise UserError(
            f'config.field.space is {config.field.space!r}, so rays have no end: set '
            'config.renderer.near and far, of hierarchical or proposing'
        )
    inputs = (field,)
    if name == 'proposing':
        inputs = field, [fields.field(**each) for each in config.proposals]
    return construct(partial(RENDERERS[name], *inputs), section, 'config.renderer')


def pixels(frames, deep=False) -> dict[str, np.ndarray]:
    """Every pixel of the photographs as a sample: color, where it is, and its depth if these are to
    be `deep`."""
    images = rgba(frames.images)
    count, height, width, _ = images.shape
    place = np.arange(count * height * width, dtype=np.int32)
    if frames.masks is not None:
        place = place[frames.masks.reshape(-1)]
    sample = {'rgba': images.reshape(-1, 4)[place], 'place': place}
    if not deep:
        return sample
    if frames.depths is None:
        raise UserError('config.objective.depth is set, but these photographs have no depths')
    return sample | {'depth': frames.depths.reshape(-1)[place]}


def rgba(images):
    if images.shape[-1] == 4:
        return images
    return np.concatenate([images, np.full_like(images[..., :1], 255)], axis=-1)


def lesson(renderer, both, times, objective):
    """The training loss."""
    difference = PHOTOMETRIC[objective.color]

    def loss(params, aux, batch, keys):
        keys = jax.vmap(lambda key: jax.random.split(key, 2))(keys)
        common = across.first_key(keys[:, 0])
        own, known = both.scene(params, aux)
        known = renderer.update(jax.lax.stop_gradient(own), known, common)
        cameras = both.cameras(params, aux)
        seen, frame = framing.seen(cameras, batch['place'])
        told = Condition(None if times is None else times[frame], frame)
        sight = renderer.render(own, known, seen, told, keys[:, 1])

        behind = volume.backdrop(objective.background, keys[:, 0])
        rgba = data.unit(batch['rgba'])
        truth = volume.composite(rgba, behind)

        whole = jnp.broadcast_to(sight.whole, len(truth))

        def mean(x):
            return (x * whole).sum() / jnp.maximum(whole.sum(), 1)

        def color(rendered):
            return volume.over(rendered.values, rendered.opacity, behind)

        square = mean(losses.squared(color(sight.rendered), truth))
        value = mean(difference(color(sight.rendered), truth))
        for early in sight.coarse:
            value += objective.coarse * mean(difference(color(early), truth))
        penalties = {name: mean(each) for name, each in sight.penalties.items()}
        penalties |= renderers.penalties(renderer, own, common)
        if objective.depth:
            ahead = (seen.directions * cameras.pose[frame, 2, :3]).sum(-1)
            error = losses.depth_error(ahead * sight.rendered.depth, batch['depth'])
            penalties['depth'] = mean(error)
        if objective.patches:
            penalties['patches'] = roughness(renderer, own, known, cameras, told, common)
        value += weighted(objective, penalties)
        metrics = {
            'psnr': -10 * jnp.log10(square),
            'outside': (framing.missed(seen) & (rgba[:, 3] > 0.5)).mean(),
        }
        return value, both.stepped(aux, known), metrics | sight.metrics

    return loss


def roughness(renderer, params, aux, cameras, told, key):
    """Of depth in patches of views that no photograph was taken from."""
    place, corner, sampling = jax.random.split(key, 3)
    views = patches.between(jax.lax.stop_gradient(cameras), place, PATCHES)
    rays = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), patches.rays(views, corner, SIZE))
    told = jax.tree.map(lambda x: jnp.repeat(x[:PATCHES], SIZE**2, axis=0), told)
    keys = jax.random.split(sampling, len(rays.origins))
    seen = renderer.render(params, aux, rays, told, keys).rendered
    depth, opacity = (x.reshape(PATCHES, SIZE, SIZE) for x in (seen.depth, seen.opacity))
    return losses.roughness(depth, opacity).mean()


def growth(renderer):
    """Finer grids. All that has the form of the parameters grows as they do: moments of the
    optimizer, the average."""
    now, _ = jax.eval_shape(renderer.init, jax.random.key(0))
    if jax.eval_shape(partial(renderers.grown, renderer), now) == now:
        raise UserError(
            'config.train.adapt_every is set, but no grid of this field grows: set it to 0, or '
            "config.field to 'voxels' whose 'finest' is at least twice their 'cells'"
        )

    def adapt(state, key):
        form = jax.tree.structure(state.params)

        def alike(tree):
            return jax.tree.structure(tree) == form

        def grow(tree):
            if not alike(tree):
                return tree
            return {**tree, 'scene': renderers.grown(renderer, tree['scene'])}

        return jax.tree.map(grow, state, is_leaf=alike)

    return adapt


def exported(renderer, both, look, state) -> Scene:
    params = state.eval_params()
    return Scene(renderer, *both.scene(params, state.aux), both.cameras(params, state.aux), look)


def looker(renderer, chunk):
    """(params, aux, one camera, its time) -> `View`."""

    def render(params, aux, time, seen: Rays):
        seen = across.split(seen)
        told = Condition(jnp.broadcast_to(time, len(seen.origins)))
        return across.whole(shown(renderer.render(params, aux, seen, told, None).rendered))

    @jax.jit
    def look(params, aux, camera, time):
        return seen_along(picture(partial(render, params, aux, time), camera, chunk), camera)

    return look


def way(cameras, space, count):
    """Around the scene; of what cameras have in front of them, a spiral about their middle."""
    eyes = inverse(cameras.pose)[:, :, 3]
    if space == 'frustum':
        radii = jnp.percentile(jnp.abs(eyes - eyes.mean(0)), 90, axis=0)
        return spiral(average(cameras), FOCUS, radii, count)
    return viewing.around(cameras, count)
