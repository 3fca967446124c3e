"""From rays to what they see, by three ways of choosing samples: coarse, then fine ones (NeRF);
those in cells that a grid has not found empty (Instant-NGP); those where proposal networks expect
something (mip-NeRF 360).

A renderer is a record of pure functions. Rays are in the box [-1, 1]^3 of the fields, and `aux` is
what a renderer learns without gradients.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Bool, Float, Key, PyTree

from jaxcv.cameras import Rays
from jaxcv.radiance import occupancy, packed, proposal, sampling, volume
from jaxcv.radiance.fields import Condition, Field
from jaxcv.radiance.fields.frustum import conical_frustum
from jaxcv.radiance.losses import distortion, packed_distortion
from jaxcv.radiance.volume import Rendered

Keys = Key[Array, 'r'] | None
BOX = jnp.full(3, -1.0), jnp.full(3, 1.0)


class Sight(NamedTuple):
    """What r rays see: values are colors, not composited."""

    rendered: Rendered
    whole: Bool[Array, 'r'] | bool = True  # False: samples of the ray were lost
    coarse: tuple[Rendered, ...] = ()  # by the networks of earlier rounds
    penalties: Mapping[str, Float[Array, 'r']] = {}
    metrics: Mapping[str, Float[Array, '']] = {}


class Renderer(NamedTuple):
    fields: PyTree[Field]  # that it is made of: a tree that ends where their own parameters begin
    init: Callable[[Key[Array, '']], tuple[PyTree, PyTree]]  # -> (params, aux)
    # (params, aux, rays, condition per ray, keys per ray) -> Sight; without keys nothing is random.
    render: Callable[[PyTree, PyTree, Rays, Condition, Keys], Sight]
    # (params, aux, key) -> aux, once a step of training.
    update: Callable[[PyTree, PyTree, Key[Array, '']], PyTree]
    # What a mesh is made of: (params, points, condition), (params, points, directions, condition).
    density: Callable[..., Float[Array, 'n']]
    color: Callable[..., Float[Array, 'n 3']]


def hierarchical(
    field: linen.Module,
    *,
    coarse: int = 64,
    fine: int = 128,
    shared: bool = False,
    near: float = 0.0,
    far: float = 0.0,
    spacing: str = 'uniform',
) -> Renderer:
    """`coarse` intervals, then these and `fine` more where the first have weight (Mildenhall et al.
    2020). With `shared` one network serves both, on cones, and the second round draws all of its
    intervals anew from blurred weights (Barron et al. 2021).

    near, far: distances; where far is 0, those at which rays enter and leave the box.
    """

    def init(key):
        keys = jax.random.split(key)
        first = _init(field, keys[0])
        return ({'fine': first} if shared else {'fine': first, 'coarse': _init(field, keys[1])}), {}

    def render(params, aux, rays, condition, keys):
        first, second = _rounds(keys, 2)
        bounds = _bounds(rays, near, far)
        edges = sampling.stratified(len(rays.origins), coarse, first)
        edges = sampling.distances(edges, *bounds, spacing)
        early = _shaded(field, params['fine' if shared else 'coarse'], rays, edges, condition)
        if shared:
            edges = sampling.resample(edges, sampling.blur(early.weights), fine, second)
        else:
            edges = sampling.refine(edges, early.weights, fine, second)
        late = _shaded(field, params['fine'], rays, edges, condition)
        return Sight(
            late, coarse=(early,), penalties={'distortion': distortion(late.weights, edges)}
        )

    names = ['fine'] if shared else ['fine', 'coarse']
    made = dict.fromkeys(names, field)
    return Renderer(made, init, render, _nothing, *_parts(field, lambda params: params['fine']))


def skipping(
    field: linen.Module,
    *,
    steps: int = 128,
    per_ray: float = 32.0,
    margin: float = 2.0,
    cells: int = 64,
    every: int = 16,
    threshold: float = 0.01,
) -> Renderer:
    """Steps of one size through the box, of which those in occupied cells are packed (Müller et al.
    2022).

    steps      along the diagonal of the box
    per_ray    room for so many samples per ray, on average: beyond it the last rays are not whole
    margin     so many times that room where nothing is random: in pictures
    cells      of the grid, along each axis; looked at again after `every` steps
    threshold  the opacity of one step below which a cell is empty
    """
    size = 2 * 3**0.5 / steps
    cut = threshold / size

    def init(key):
        grid = occupancy.unknown(*BOX, cells)
        return _init(field, key), {'grid': grid, 'step': jnp.zeros((), jnp.int32)}

    def render(params, aux, rays, condition, keys):
        edges = sampling.paced(*_bounds(rays), size, steps, keys)
        capacity = round(per_ray * (margin if keys is None else 1) * len(edges))
        samples, _ = occupancy.march(aux['grid'], rays.origins, rays.directions, edges, capacity)
        points, seen = packed.points(samples, rays.origins, rays.directions)
        told = jax.tree.map(lambda x: x[samples.ray], condition)
        found = field.apply(params, points, seen, told)
        rendered = packed.render(samples, found.density, found.color)
        lost = samples.lost.sum() / (samples.lost.sum() + samples.valid.sum() + 1e-9)
        metrics = {'samples': samples.valid.sum() / len(edges), 'lost': lost}
        penalties = {'distortion': packed_distortion(samples, rendered.weights)}
        return Sight(rendered, samples.lost == 0, penalties=penalties, metrics=metrics)

    def update(params, aux, key):
        when, where = jax.random.split(key)

        # At any time: a cell stays occupied for long after the density that was seen in it.
        def density(points):
            told = Condition(jax.random.uniform(when, points.shape[:1]))
            return field.apply(params, points, told, method='density')

        def look(grid):
            return occupancy.update(grid, density, where, threshold=cut)

        grid = jax.lax.cond(aux['step'] % every == 0, look, lambda grid: grid, aux['grid'])
        return {'grid': grid, 'step': aux['step'] + 1}

    return Renderer(field, init, render, update, *_parts(field, lambda params: params))


def proposing(
    field: linen.Module,
    proposals: Sequence[linen.Module],
    *,
    counts: Sequence[int] = (128, 64, 32),
    near: float = 0.0,
    far: float = 0.0,
    spacing: str = 'uniform',
    warmup: int = 1000,
) -> Renderer:
    """Rounds of samples drawn from the densities of small networks, which learn to cover the
    weights of the field (Barron et al. 2022). The last of `counts` is the field's.

    warmup: steps over which draws go from even to what the proposals say
    """

    def init(key):
        keys = jax.random.split(key, len(proposals) + 1)
        params = [_init(net, k, 'density') for net, k in zip(proposals, keys[1:], strict=True)]
        aux = {'step': jnp.zeros((), jnp.int32)}
        return {'field': _init(field, keys[0]), 'proposals': params}, aux

    def render(params, aux, rays, condition, keys):
        bounds = _bounds(rays, near, far)

        def proposed(net, own):
            return lambda edges: _densities(net, own, rays, edges, condition)

        nets = map(proposed, proposals, params['proposals'])
        anneal = proposal.annealing(jnp.minimum(aux['step'] / warmup, 1.0))
        places, rounds = proposal.propose(
            tuple(nets), counts, *bounds, keys=keys, spacing=spacing, anneal=anneal
        )
        edges = sampling.distances(places, *bounds, spacing)
        rendered = _shaded(field, params['field'], rays, edges, condition)
        final = proposal.Histogram(places, rendered.weights)
        penalties = {
            'interlevel': sum(proposal.interlevel(final, early) for early in rounds),
            'distortion': distortion(rendered.weights, places),
        }
        return Sight(rendered, penalties=penalties)

    def update(params, aux, key):
        return {'step': aux['step'] + 1}

    made = {'field': field, 'proposals': list(proposals)}
    return Renderer(made, init, render, update, *_parts(field, lambda params: params['field']))


# What concerns all fields of a renderer


def penalties(
    renderer: Renderer, params: PyTree, key: Key[Array, '']
) -> dict[str, Float[Array, '']]:
    """Those of the fields, by name, each the sum over all that have it."""
    found = {}
    made, tree = jax.tree.flatten(renderer.fields)
    for field, own in zip(made, tree.flatten_up_to(params), strict=True):
        for name, value in field.apply(own, key, method='penalties').items():
            found[name] = found.get(name, 0.0) + value
    return found


def grown(renderer: Renderer, params: PyTree) -> PyTree:
    """The parameters of the same fields on finer grids, where there are finer ones."""
    return jax.tree.map(lambda field, own: field.grown(own), renderer.fields, params)


def opened(renderer: Renderer, params: PyTree, share: float | Float[Array, '']) -> PyTree:
    """The parameters without the finest details of the fields (`Field.opened`)."""
    return jax.tree.map(lambda field, own: field.opened(own, share), renderer.fields, params)


# Parts


def _init(field, key, method='__call__'):
    inputs = [jnp.zeros((1, 3)), jnp.full((1, 3), 3**-0.5)]
    told = Condition(jnp.zeros(1), jnp.zeros(1, jnp.int32), jnp.zeros((1, 3)))
    inputs = inputs[: 1 if method == 'density' else 2]
    return field.init(key, *inputs, told, method=method)


def _nothing(params, aux, key):
    return aux


def _parts(field, own):
    def density(params, points, condition=None):
        return field.apply(own(params), points, condition, method='density')

    def color(params, points, directions, condition=None):
        return field.apply(own(params), points, directions, condition).color

    return density, color


def _rounds(keys: Keys, count: int) -> Sequence[Any]:
    """Keys of each ray for so many rounds."""
    if keys is None:
        return [None] * count
    return jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, count))(keys), 1, 0)


def _bounds(rays, near=0.0, far=0.0):
    """Of which nothing is learned where rays are: samples lie where they lie."""
    if not far:
        return jax.lax.stop_gradient(occupancy.intersect(rays.origins, rays.directions, *BOX))
    return tuple(jnp.full(len(rays.origins), x) for x in (near, far))


def _samples(rays, edges, condition):
    """Positions, directions and conditions of the intervals of rays, [r s] made flat."""
    shape = edges.shape[0], edges.shape[1] - 1
    _, center = volume.intervals(edges)

    def spread(x):
        return jnp.broadcast_to(x[:, None], (*shape, *x.shape[1:])).reshape(-1, *x.shape[1:])

    cones = conical_frustum(
        spread(rays.origins),
        spread(rays.directions),
        edges[:, :-1].reshape(-1),
        edges[:, 1:].reshape(-1),
        spread(rays.radii),
    )
    positions = spread(rays.origins) + center.reshape(-1, 1) * spread(rays.directions)
    told = jax.tree.map(spread, condition)._replace(variance=cones.variance)
    return positions, spread(rays.directions), told


def _shaded(field, params, rays, edges, condition) -> Rendered:
    found = field.apply(params, *_samples(rays, edges, condition))
    shape = edges.shape[0], edges.shape[1] - 1
    return volume.render(found.density.reshape(shape), found.color.reshape(*shape, 3), edges)


def _densities(field, params, rays, edges, condition):
    positions, _, told = _samples(rays, edges, condition)
    found = field.apply(params, positions, told, method='density')
    return found.reshape(edges.shape[0], -1)
