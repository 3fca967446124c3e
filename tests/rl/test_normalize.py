"""Running moments equal numpy's over all that was seen, on any number of devices."""

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv.ops.across import DATA
from jaxcv.rl import normalize


def test_moments_equal_numpy_over_batches_of_different_size():
    rng = np.random.default_rng(0)
    batches = [rng.normal(100.0, [1.0, 5.0], (size, 3, 2)).astype('f4') for size in (4, 1, 20)]
    seen = normalize.moments((2,))
    for batch in batches:
        seen = normalize.add(seen, jnp.asarray(batch))
    whole = np.concatenate([batch.reshape(-1, 2) for batch in batches])
    assert seen.count == len(whole)
    np.testing.assert_allclose(seen.mean, whole.mean(0), rtol=1e-6)
    np.testing.assert_allclose(seen.variance(), whole.var(0), rtol=1e-4)
    np.testing.assert_allclose(
        normalize.standardize(seen, whole[:5]),
        (whole[:5] - whole.mean(0)) / whole.std(0),
        rtol=1e-3,
    )


def test_devices_see_the_whole():
    x = np.random.default_rng(0).normal(3.0, 2.0, (8, 10, 2)).astype('f4')
    seen = jax.pmap(lambda x: normalize.add(normalize.moments((2,)), x), DATA)(x)
    expected = normalize.add(normalize.moments((2,)), x)
    for a, b in zip(jax.tree.leaves(seen), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a[0], b, rtol=1e-5)
        np.testing.assert_array_equal(a[0], a[7])


def test_before_anything_was_seen_nothing_changes():
    x = jnp.array([1.0, -2.0])
    np.testing.assert_allclose(normalize.standardize(normalize.moments((2,)), x), x, rtol=1e-6)
    assert normalize.standardize(normalize.moments(), jnp.float32(99.0)) == normalize.CLIP


def test_discounted_sums_equal_a_double_loop():
    rng = np.random.default_rng(0)
    rewards, done = rng.normal(size=(9, 2)).astype('f4'), rng.random((9, 2)) < 0.3
    total, each = normalize.discounted(jnp.array([2.0, 0.0]), rewards, done, jnp.float32(0.9))
    for n, carried in enumerate((2.0, 0.0)):
        for t in range(9):
            carried = 0.9 * carried + rewards[t, n]
            np.testing.assert_allclose(each[t, n], carried, rtol=1e-5)
            carried = 0.0 if done[t, n] else carried
        np.testing.assert_allclose(total[n], carried, rtol=1e-5)


def test_scaling_keeps_the_sign_and_the_order_of_rewards():
    seen = normalize.add(normalize.moments(), jnp.array([0.0, 4.0]))
    np.testing.assert_allclose(normalize.scale(seen, jnp.array([-2.0, 0.0, 1.0])), [-1, 0, 0.5])
