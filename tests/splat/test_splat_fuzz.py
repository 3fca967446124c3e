"""Nothing that is drawn, and no gradient of it, is ever nan or infinite: in 10,000 scenes of all
that can go wrong with Gaussians and cameras, and with thousands of Gaussians in one pixel."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from scipy.spatial.transform import Rotation

from jaxcv.cameras.camera import Camera
from jaxcv.splat import rasterize, walk
from jaxcv.splat.splats import Splats

WIDTH, HEIGHT, NEAR = 12, 10, 0.01
TILES = 4
COUNT = 12  # Gaussians in a scene
SCENES = {'pinhole': 6000, 'fisheye': 2000, 'orthographic': 2000}
CHUNK = 250
LENSES = {'pinhole': 4, 'fisheye': 4, 'orthographic': 0}
ODD = np.array(
    [0, 1, -1, 1e-3, 1e-30, -1e-42, 1e4, 9.9e7, -9.9e7, 1.1e8, 1e30, -3e38, np.inf, np.nan],
    np.float32,
)
KINDS = ('ordinary', 'behind', 'near', 'huge', 'needle', 'opacity', 'one pixel', 'odd')


def scenes(model, many, count, seed=0):
    """Gaussians of every kind, one kind in half of the scenes, and a camera for each scene."""
    draw = np.random.default_rng(seed)
    shape = many, count

    def powers(low, high, *more):
        return 10.0 ** draw.uniform(low, high, (*shape, *more))

    kinds = draw.integers(0, len(KINDS), shape)
    kinds[::2] = kinds[::2, :1]
    kind = {name: kinds == i for i, name in enumerate(KINDS)}

    def of(name, x, otherwise):
        return np.where(kind[name].reshape(*shape, *[1] * (otherwise.ndim - 2)), x, otherwise)

    # In the camera.
    means = draw.normal(size=(*shape, 3)) * [1, 1, 0.5] + [0, 0, 2]
    means = of('behind', means * [1, 1, -1], means)
    grazing = NEAR * draw.choice([-1, 0, 1 - 1e-6, 1, 1 + 1e-6, 1.001, 2], shape)
    beside = means[..., :2] * powers(-6, 1, 1)
    means = of('near', np.concatenate([beside, grazing[..., None]], -1), means)
    means = of('one pixel', means * [1e-4, 1e-4, 1], means)
    scales = powers(-3, 0, 3)
    scales = of('huge', powers(0, 8, 3), scales)
    scales = of('needle', np.stack([powers(-40, -6), powers(-8, -2), powers(0, 7)], -1), scales)
    opacities = draw.uniform(size=shape)
    opacities = of('opacity', draw.choice([0, 1, 1 / 255, 0.99, 1 - 1e-7], shape), opacities)
    rotations = draw.normal(size=(*shape, 4))

    turned = Rotation.random(many, random_state=seed).as_matrix()
    turned[::3] = np.eye(3)
    moved = draw.normal(size=(many, 3, 1)) * draw.choice([0, 1, 1e3], (many, 1, 1))
    means = (means - moved[..., 0][:, None]) @ turned
    means, rotations, scales = (
        of('odd', np.where(draw.uniform(size=x.shape) < 0.3, draw.choice(ODD, x.shape), x), x)
        for x in (means, rotations, scales)
    )
    focal = 10 ** draw.uniform(0, 4, (many, 1)) * draw.uniform(0.5, 2, (many, 2))
    focal[::2] = 10
    splats = Splats(means, rotations, np.abs(scales), opacities, draw.normal(size=(*shape, 4, 3)))
    camera = Camera(
        pose=np.concatenate([turned, moved], -1),
        focal=focal,
        center=[WIDTH / 2, HEIGHT / 2] + draw.normal(size=(many, 2)) * draw.choice([1, 100]),
        lens=0.05 * draw.normal(size=(many, LENSES[model])),
        width=WIDTH,
        height=HEIGHT,
        model=model,
    )
    return jax.tree.map(lambda x: np.asarray(x, np.float32), (splats, camera))


def fuzzed(model, splats, camera, chunk, capacity, seed=1):
    """By scene: what is seen, and whether each of the images and gradients is finite."""
    draw = np.random.default_rng(seed)
    many = len(splats.means)
    background = draw.normal(size=(many, 3))
    weights = draw.normal(size=(many, HEIGHT, WIDTH, 6))

    def loss(splats, camera, background, weights):
        more = {'background': background, 'near': NEAR, 'antialiased': True}
        seen = rasterize(splats, camera, capacity=capacity, **more)
        images = seen.alpha, seen.depth, seen.expected
        images = jnp.concatenate([seen.color, jnp.stack(images, -1)], -1)
        return (images * weights).sum(), seen

    def one(inputs):
        found, gradient = jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(*inputs)
        finite = jax.tree.map(lambda x: jnp.isfinite(x).all(), (found, gradient))
        nonzero = jax.tree.map(lambda x: (x != 0).any(), gradient)
        return found[1].alpha.max(), found[1].overflow, finite, nonzero

    inputs = splats, camera, *jax.tree.map(np.float32, (background, weights))
    return jax.device_get(jax.jit(lambda x: jax.lax.map(one, x, batch_size=chunk))(inputs))


def check(found):
    alpha, overflow, finite, nonzero = found
    assert (overflow == 0).all()
    wrong = {
        jax.tree_util.keystr(path): np.flatnonzero(~leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(finite)
        if not leaf.all()
    }
    assert not wrong, {name: (len(places), places[:8]) for name, places in wrong.items()}
    return alpha, nonzero


@pytest.mark.parametrize('model', SCENES)
def test_nothing_is_ever_nan(model, monkeypatch):
    monkeypatch.setattr(walk, 'GROUPS', 1)  # all tiles of so small an image in lockstep
    splats, camera = scenes(model, SCENES[model], COUNT)
    alpha, nonzero = check(fuzzed(model, splats, camera, CHUNK, TILES * COUNT))
    # And it is not because there is nothing to see.
    assert 0.3 < (alpha > 0.5).mean() < 0.95
    shares = [leaf.mean() for leaf in jax.tree.leaves(nonzero) if leaf.any()]
    assert min(shares) > 0.3


def test_thousands_in_one_pixel(monkeypatch):
    monkeypatch.setattr(walk, 'GROUPS', 1)
    count = 2000
    splats, camera = scenes('pinhole', 4, count, seed=2)
    camera.pose[:], camera.focal[:] = np.eye(3, 4), 10
    splats.means[:] = [0.02, 0.01, 2]
    splats.scales[:] = 0.05
    splats.rotations[:] = [1, 0, 0, 0]
    splats.means[1, :, 2] += np.linspace(0, 1, count)
    splats.opacities[:] = np.array([1, 0.1, 0.02, 0.99])[:, None]
    alpha, _ = check(fuzzed('pinhole', splats, camera, 2, TILES * count))
    assert (alpha > 0.9).all()
