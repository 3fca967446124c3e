"""Cameras for tests: random poses, lenses of realistic size."""

import numpy as np
from jax import numpy as jnp
from scipy.spatial.transform import Rotation

from jaxcv import cameras

WIDTH, HEIGHT = 256, 200
# The first of each are of photographs, action cameras and depth sensors.
LENSES = {
    'pinhole0': ('pinhole', []),
    'pinhole4': ('pinhole', [-0.28, 0.07, 1e-3, -5e-4]),
    'pinhole5': ('pinhole', [0.12, -0.25, -8e-4, 1e-3, 0.11]),
    'pinhole6': ('pinhole', [-0.1, 0.03, 1e-3, 2e-3, 0.01, 0.2]),
    'pinhole8': ('pinhole', [0.52, -2.65, 8e-4, -3e-4, 1.51, 0.4, -2.47, 1.44]),
    'fisheye0': ('fisheye', []),
    'fisheye4': ('fisheye', [-0.02, 0.012, -0.008, 0.0015]),
    'orthographic': ('orthographic', []),
}


def pose(seed, dtype=np.float32):
    """A camera some 4 from the origin that looks near it."""
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=seed).as_matrix()
    translation = [0, 0, 4] + rng.normal(size=3)
    return jnp.asarray(np.concatenate([rotation, translation[:, None]], 1), dtype)


def camera(name, seed=0, dtype=np.float32):
    """A camera of `LENSES`; 90 degrees wide, a fisheye 140."""
    model, lens = LENSES[name]
    focal = {'pinhole': 128.0, 'fisheye': 105.0, 'orthographic': 30.0}[model]
    return cameras.make(
        pose(seed, dtype),
        np.array([focal, 1.02 * focal]),
        WIDTH,
        HEIGHT,
        center=np.array([131.2, 96.7]),
        lens=np.array(lens),
        model=model,
    )


def pixels(count, seed=0, dtype=np.float32):
    x = np.random.default_rng(seed).uniform(0, 1, (count, 2)) * [WIDTH, HEIGHT]
    return jnp.asarray(x, dtype)


def points(count, seed=0, dtype=np.float32):
    """In a ball of radius 1 or so."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=(count, 3)) / 2, dtype)
