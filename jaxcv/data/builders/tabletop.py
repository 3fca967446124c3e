"""Views of three-dimensional scenes (`jaxcv.data.tabletop`) as a prepared data set."""

import jax
import numpy as np
import tensorflow_datasets as tfds
from jax import numpy as jnp

from jaxcv.data.builders.embedded import Embedded, png
from jaxcv.data.tabletop.arrange import desk, scene
from jaxcv.data.tabletop.rendering import render
from jaxcv.data.tabletop.views import fibonacci, orbit, scattered
from jaxcv.data.tabletop.world import moved

SIZES = {'100': 100, '128': 128, 'dynamic': 100, 'many': 48}
VIEWS = {'train': 100, 'test': 20}  # of the desk
SEEDS = {'train': range(64), 'test': range(64, 72)}  # of many scenes
VIEWS_EACH = 12
KEYS = {'train': 0, 'test': 1}


class JaxcvTabletop(Embedded):
    """Views of a desk, still or moving, and of many random scenes, with cameras and depth."""

    description = __doc__
    BUILDER_CONFIGS = [  # noqa: RUF012 (TFDS asks for a list)
        tfds.core.BuilderConfig(name='100', description='the desk at 100x100 pixels'),
        tfds.core.BuilderConfig(name='128', description='the desk at 128x128 pixels'),
        tfds.core.BuilderConfig(name='dynamic', description='the desk as it moves'),
        tfds.core.BuilderConfig(name='many', description='random scenes at 48x48 pixels'),
    ]

    def fields(self):
        size = SIZES[self.builder_config.name]
        return {
            'image': tfds.features.Image(shape=(size, size, 4)),
            'pose': tfds.features.Tensor(shape=(3, 4), dtype=np.float32),
            'focal': tfds.features.Tensor(shape=(2,), dtype=np.float32),
            'center': tfds.features.Tensor(shape=(2,), dtype=np.float32),
            'time': tfds.features.Scalar(dtype=np.float32),
            'scene': tfds.features.Scalar(dtype=np.int32),
            'depth': tfds.features.Tensor(shape=(size, size), dtype=np.float32),
            'normals': tfds.features.Tensor(shape=(size, size, 3), dtype=np.float32),
        }

    def examples(self, split):
        name = self.builder_config.name
        shots = many(split) if name == 'many' else of_the_desk(split, name == 'dynamic')
        for seed, world, time, direction in shots:
            camera = orbit(direction, SIZES[name])
            view = jax.tree.map(np.asarray, render(world, camera))
            yield {
                'image': png(np.round(255 * view.image).astype(np.uint8)),
                'pose': np.asarray(camera.pose),
                'focal': np.asarray(camera.focal),
                'center': np.asarray(camera.center),
                'time': time,
                'scene': seed,
                'depth': view.depth,
                'normals': view.normals,
            }


def of_the_desk(split: str, moving: bool):
    """(0, scene, time, direction) of every view. Cameras of the moving desk are scattered: on the
    spiral time would tell where they are."""
    count, world = VIEWS[split], desk()
    spiral = split == 'train' and not moving
    directions = fibonacci(count) if spiral else scattered(_keys(KEYS[split], count))
    times = np.linspace(0, 1, count, dtype=np.float32)
    if split == 'test':
        times = np.random.Generator(np.random.Philox(KEYS[split])).uniform(size=count)
    for time, direction in zip(np.float32(times), directions, strict=True):
        yield (0, moved(world, time), time, direction) if moving else (0, world, 0.0, direction)


def many(split: str):
    """(seed, scene, 0, direction) of every view of every scene."""
    for seed in SEEDS[split]:
        world = scene(seed)
        for direction in scattered(_keys(seed, VIEWS_EACH)):
            yield seed, world, 0.0, direction


def _keys(seed, count):
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), jnp.arange(count))
