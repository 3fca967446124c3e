"""A training step of Instant-NGP's hash grid against the same in torch, by how many samples it has;
and the gradient of the table, by both ways of adding up rows."""

import jax
import numpy as np
import optax
from jax import numpy as jnp

from benchmarks import torch_radiance
from benchmarks.case import Case
from benchmarks.record import record
from benchmarks.stepping import stepping
from benchmarks.timing import alternate
from jaxcv.cameras import Rays
from jaxcv.ops import rows
from jaxcv.radiance import fields, losses, renderers
from jaxcv.radiance.fields import Condition
from jaxcv.train.update import update

# What `configs/radiance/ngp_scene.py` trains.
FIELD = {
    'levels': 8, 'rows': 2**15, 'features': 4, 'growth': 1.5,
    'widths': (32,), 'color_widths': (32, 32), 'activation': 'shifted_exponential',
}  # fmt: skip
STEPS, CELLS = 192, 48  # on the way through the box; of the grid, along each axis
PER_RAY = 32  # room for samples
RATE, EPS = 1e-2, 1e-15
SIZES = 2**14, 2**16, 2**18  # samples


def rays(count: int) -> dict[str, np.ndarray]:
    """Through the box from a sphere around it, and the colors that they should see."""
    draw = np.random.default_rng(0)
    origins, targets = draw.normal(size=(2, count, 3))
    origins *= 2.5 / np.linalg.norm(origins, axis=-1, keepdims=True)
    directions = 0.4 * targets / np.linalg.norm(targets, axis=-1, keepdims=True) - origins
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    found = {'origins': origins, 'directions': directions, 'color': draw.uniform(size=(count, 3))}
    return {name: x.astype(np.float32) for name, x in found.items()}


def shell() -> np.ndarray:
    """Cells on a sphere, of which rays meet fewer than they may keep."""
    places = (np.indices((CELLS,) * 3) + 0.5) / CELLS * 2 - 1
    return np.abs(np.linalg.norm(places, axis=0) - 0.55) < 0.1


def training(data, devices: int):
    """One step a call, the rays over some devices; its metrics."""
    renderer = renderers.skipping(
        fields.field('ngp', **FIELD), steps=STEPS, per_ray=PER_RAY, margin=1.0, cells=CELLS
    )

    def loss(params, aux, batch, keys):
        seen = Rays(batch['origins'], batch['directions'], jnp.zeros(len(keys)))
        sight = renderer.render(params, aux, seen, Condition(), None)
        value = losses.squared(sight.rendered.values, batch['color']).mean()
        return value, aux, dict(sight.metrics)

    made = update(loss, optax.adam(RATE, eps=EPS))
    params, aux = jax.jit(renderer.init)(jax.random.key(0))
    grid = aux['grid']._replace(occupied=jnp.asarray(shell())[None])
    return stepping(made, made.init(params, {**aux, 'grid': grid}), data, devices)


def ngp_training():
    """The same rays, samples, field and optimizer on both sides. A GPU has no peer here: there the
    last record says how many samples it trains on in a second."""
    gpu = jax.default_backend() == 'gpu'
    devices, records = jax.device_count(), []
    for size in SIZES:
        data = rays(size // PER_RAY // devices * devices)
        sides = [training(data, devices)]
        if not gpu and torch_radiance.installed():
            sides.append(torch_radiance.training(data, shell(), FIELD, STEPS, RATE, EPS))
        metrics = sides[0]()
        assert metrics['lost'] == 0
        samples = float(metrics['samples']) * len(data['color'])
        ours, *theirs = alternate(*sides, repeats=10, warmup=2, pause=0.2)
        detail = {
            'samples': samples,
            'samples_per_second': samples / ours['min'],
            'rays_per_second': len(data['color']) / ours['min'],
        }
        name = f'ngp_training, {size:,} samples'
        records.append(record(name, ours, *(theirs or [None]), torch_radiance.NAME, detail))
    low, high = records[0], records[-1]
    growth = np.log(high['jaxcv'] / low['jaxcv']) / np.log(
        high['detail']['samples'] / low['detail']['samples']
    )
    high['detail']['exponent'] = float(growth)  # of the time in the number of samples
    return records


def table_gradient():
    """Rows added to a table where they fall, against sorted first: `jaxcv.ops.rows` takes the first
    on a CPU and the second elsewhere. 2^18 samples x 8 corners, half of them in 1,000 rows."""
    draw = np.random.default_rng(0)
    count, size = 2**21, 2**19
    crowded = draw.integers(0, 1000, count // 2)
    indices = jnp.asarray(np.concatenate([crowded, draw.integers(0, size, count // 2)]), jnp.int32)
    values, table = jnp.ones((count, 4)), jnp.zeros((size, 4))
    calls = [jax.jit(way) for way in (rows.scattered, rows.in_order)]
    scattered, in_order = alternate(*(lambda f=f: f(table, indices, values) for f in calls))
    return record('table_gradient, scattered', scattered, in_order, 'sorted first')


# A device per core. With threads for all, programs with collectives do not wait in vain.
DEVICES = {'JAX_NUM_CPU_DEVICES': '2', 'PJRT_NPROC': '4'}
CASES = [Case(ngp_training, DEVICES), Case(table_gradient, DEVICES)]
