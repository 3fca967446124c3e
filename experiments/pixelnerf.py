"""Scenes from few pictures at once, without training for them: PixelNeRF; see
`jaxcv.radiance.fields.pixel`.

`config.data`      name (scenes): many small scenes, of which others are for the test
`config.encoder`   the fields of `pixel.Encoder`
`config.field`     the fields of `pixel.PixelField`
`config.renderer`  the fields of `renderers.hierarchical`
`config.sources`   the fields of `Given`
`config.viewed`    the fields of `Viewed`

A batch is so many scenes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from jaxtyping import Array, Float

from jaxcv import data
from jaxcv.cameras import Camera, Rays, orbit
from jaxcv.cameras.view import View
from jaxcv.data.tabletop import cameras as cameras_of
from jaxcv.data.tabletop import stored
from jaxcv.errors import UserError, choose, construct
from jaxcv.metrics import view_scores
from jaxcv.ops import across
from jaxcv.radiance import framing, losses, renderers, viewing, volume
from jaxcv.radiance.fields import Condition
from jaxcv.radiance.fields.pixel import Encoder, PixelField, Sources
from jaxcv.radiance.picture import picture, seen_along, shown
from jaxcv.radiance.viewing import averaged, film, pictured
from jaxcv.train import Experiment, Optim
from jaxcv.train.config import settings
from jaxcv.train.training import train_step
from jaxcv.viz import Picture, Video, compared

WHITE = jnp.ones(3)
UP = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Given:
    """`config.sources`: what is seen of a scene."""

    views: int = 1
    rays: int = 64  # of a scene, in a step of training


@dataclass(frozen=True)
class Viewed(viewing.Viewed):
    """`config.viewed`; of each scene so many views are judged."""

    chunk: int = 4096  # rays at once


class Model(NamedTuple):
    encoder: Encoder
    renderer: renderers.Renderer

    def init(self, key, size):
        first, second = jax.random.split(key)
        images = jnp.zeros((1, *size, 3))
        scene, _ = self.renderer.init(second)
        nets = {name: {'params': own['params']} for name, own in scene.items()}
        return {'encoder': self.encoder.init(first, images), 'nets': nets}

    def read(self, params, images: Float[Array, 'v h w 3'], cameras: Camera):
        """The parameters of a scene that pictures in [0, 1] show, for the renderer."""
        sources = Sources(self.encoder.apply(params['encoder'], 2 * images - 1), cameras)
        known = {'sources': {'known': sources}}
        return {name: {**own, **known} for name, own in params['nets'].items()}


class Scene(NamedTuple):
    """A `cameras.view.Scene`."""

    params: Any
    cameras: Camera  # of the pictures that it was read off
    looks: Callable[[Any, Camera], View]  # (params, camera)

    def look(self, camera: Camera) -> View:
        return self.looks(self.params, camera)


class Reader(NamedTuple):
    """What a run that needs this one receives."""

    model: Model
    params: Any
    looks: Any

    def scene(self, images: Float[Array, 'v h w 3'], cameras: Camera) -> Scene:
        """What pictures in [0, 1], on white, show: in the box [-1, 1]^3."""
        return Scene(self.model.read(self.params, images, cameras), cameras, self.looks)


def build(config) -> Experiment:
    train, optim = settings(config), Optim(**config.optim.to_dict())
    given = construct(Given, config.sources.to_dict(), 'config.sources')
    viewed = construct(Viewed, config.viewed.to_dict(), 'config.viewed')
    choose(config.data.name, ('scenes',), 'config.data.name')
    known, held_out = (scenes(split, config.data.count) for split in ('train', 'test'))
    count, *size = known['image'].shape[1:4]
    if not 1 <= given.views < count:
        raise UserError(
            f'config.sources.views is {given.views}, but there are {count} pictures of each scene,'
            ' of which some are to be found from the others: set it lower'
        )
    encoder = construct(Encoder, config.encoder.to_dict(), 'config.encoder')
    section = {'features': sum(encoder.widths), **config.field.to_dict()}
    field = construct(PixelField, section, 'config.field')
    hierarchical = partial(renderers.hierarchical, field)
    model = Model(encoder, construct(hierarchical, config.renderer.to_dict(), 'config.renderer'))
    training = train_step(lesson(model, given), train, optim)
    look, read = looker(model, viewed.chunk), jax.jit(model.read)
    unseen = [photographs(held_out, i) for i in range(len(held_out['image']))]
    return Experiment(
        init=lambda key: training.init(model.init(key, size), {}),
        step=training.step,
        batches=data.batches(known, train.batch_size),
        evaluate=evaluation(read, look, known, unseen, given.views, viewed.judged),
        show=exhibition(read, look, unseen[: viewing.SHOWN], given.views, viewed.frames),
        export=lambda state: Reader(model, state.eval_params(), look),
    )


def scenes(split, count) -> dict[str, np.ndarray]:
    """Views [s v ...] of s scenes."""
    found = data.arrays(stored('many', split))
    _, views = np.unique(found['scene'], return_counts=True)
    kept = {name: found[name] for name in ('image', 'pose', 'focal', 'center')}
    apart = {name: x.reshape(-1, views[0], *x.shape[1:]) for name, x in kept.items()}
    return data.arrays(data.some(data.Dataset('scenes', data.ArraySource(apart)), count))


def lesson(model, given):
    """The training loss: colors of pixels of other pictures of the scene."""

    def one(params, scene, key):
        order, place, sampling = jax.random.split(key, 3)
        order = jax.random.permutation(order, len(scene['image']))
        sources, others = order[: given.views], order[given.views :]
        images, cameras = volume.composite(data.unit(scene['image']), WHITE), cameras_of(scene)
        own = model.read(params, images[sources], cameras[sources])
        place = jax.random.randint(place, (given.rays,), 0, images[0, ..., 0].size * len(others))
        seen, _ = framing.seen(cameras[others], place)
        keys = jax.random.split(sampling, given.rays)
        sight = model.renderer.render(own, {}, seen, Condition(), keys)
        truth = images[others].reshape(-1, 3)[place]
        rendered = [sight.rendered, *sight.coarse]
        return [
            losses.squared(volume.over(each.values, each.opacity, WHITE), truth).mean()
            for each in rendered
        ]

    def loss(params, aux, batch, keys):
        fine, *coarse = (x.mean() for x in jax.vmap(partial(one, params))(batch, keys))
        return fine + sum(coarse), aux, {'psnr': -10 * jnp.log10(fine)}

    return loss


def looker(model, chunk):
    """(parameters of a scene, one camera) -> `View`."""

    def render(own, seen: Rays):
        rendered = model.renderer.render(own, {}, across.split(seen), Condition(), None).rendered
        return across.whole(shown(rendered))

    @jax.jit
    def look(own, camera):
        return seen_along(picture(partial(render, own), camera, chunk), camera)

    return look


def evaluation(read, look, known, scenes, views, judged):
    """Means of scores over views of unseen scenes, beside those of answers without knowledge."""
    judge = jax.jit(view_scores())

    @cache
    def plain():
        return without(judge, scenes, known, views, judged)

    def evaluate(state, key):
        params, found = state.eval_params(), []
        for images, cameras in scenes:
            own = read(params, images[:views], cameras[:views])
            for j in asked(images, views, judged):
                found.append(judge(pictured(look(own, cameras[j]), WHITE), images[j]))
        return averaged(found) | plain()

    return evaluate


def without(judge, scenes, known, views, judged):
    """Scores of two answers that know nothing of space: the mean picture of all that was learned
    from, and the source whose camera is nearest."""
    mean = np.mean([photographs(known, i)[0].mean(0) for i in range(len(known['image']))], axis=0)
    found = []
    for images, cameras in scenes:
        for j in asked(images, views, judged):
            answers = {'mean_picture': mean, 'nearest': images[nearest(cameras, j, views)]}
            scores = {name: judge(x, images[j]) for name, x in answers.items()}
            found.append({f'{a}/{b}': x for a, each in scores.items() for b, x in each.items()})
    return averaged(found)


def asked(images, views, judged) -> range:
    """Which views of a scene are judged: they are no sources."""
    return range(views, len(images))[: judged or None]


def photographs(frames, i):
    """(pictures, cameras) of a scene."""
    images = volume.composite(data.unit(frames['image'][i]), WHITE)
    return np.asarray(images), cameras_of({name: x[i] for name, x in frames.items()})


def nearest(cameras, j, views):
    """Which of the first `views` cameras looks most nearly in the direction of camera j."""
    axes = np.asarray(cameras.pose[:, 2, :3])
    return int(np.argmax(axes[:views] @ axes[j]))


def exhibition(read, look, scenes, views, length):
    """Of unseen scenes: a source, a picture to be found, what is found; around the first."""

    def show(state, key) -> Mapping[str, Picture | Video]:
        params = state.eval_params()
        found = [read(params, images[:views], cameras[:views]) for images, cameras in scenes]
        seen = [look(own, cameras[views]) for own, (_, cameras) in zip(found, scenes, strict=True)]
        color = np.stack([pictured(view, WHITE) for view in seen])
        depth = np.stack([view.depth for view in seen])
        source, truth = (np.stack([images[i] for images, _ in scenes]) for i in (0, views))
        media = {'views': compared(truth, color, depth, source)}
        if length:
            path = orbit(scenes[0][1][0], jnp.zeros(3), jnp.array(UP), length)
            caption = f'Around a scene of which {views} picture{"s"[: views - 1]} is known'
            media['orbit'] = film(lambda camera, _: look(found[0], camera), path, WHITE, caption)
        return media

    return show
