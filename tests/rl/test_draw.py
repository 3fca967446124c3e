"""The rasterizer against areas known in closed form; pictures show what happens."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.rl.envs import draw
from jaxcv.rl.envs.draw import Canvas
from jaxcv.rl.envs.gymnax import gymnax

KEY = jax.random.key(0)
BLACK, WHITE = (0, 0, 0), (1, 1, 1)


@pytest.mark.parametrize(
    ('shape', 'area'),
    [
        (lambda c, p: c.disc(p, (0.1, -0.2), 0.6, WHITE), np.pi * 0.36),
        (lambda c, p: c.rectangle(p, (0.2, 0.1), 1.1, 0.7, WHITE), 0.77),
        (
            lambda c, p: c.segment(p, (-0.5, -0.5), (0.4, 0.3), 0.3, WHITE),
            0.3 * np.hypot(0.9, 0.8) + np.pi * 0.15**2,
        ),
        (lambda c, p: c.below(p, 0.25 + 0 * c.x[0], WHITE), 2 * 1.25),
    ],
)
def test_covered_area(shape, area):
    canvas = Canvas(64, 64, -1.0, -1.0, 2 / 64)
    picture = shape(canvas, canvas.blank(BLACK))
    assert float(picture[..., 0].sum()) * canvas.pixel**2 == pytest.approx(area, rel=0.01)
    assert picture.min() >= 0 and picture.max() <= 1


def test_up_is_up_and_right_is_right():
    canvas = Canvas(20, 30, 0.0, 0.0, 1.0)
    picture = canvas.disc(canvas.blank(BLACK), (25.5, 17.5), 0.4, WHITE)
    assert np.unravel_index(int(picture[..., 0].argmax()), (20, 30)) == (2, 25)


def test_tiles_show_the_last_channel_that_is_set():
    colors = jnp.array([[10.0, 0, 0], [0, 20, 0]])
    cells = jnp.zeros((2, 3, 2)).at[0, 1, 0].set(1).at[1, 2].set(1)
    picture = draw.tiles(cells, colors, 4)
    assert picture.shape == (8, 12, 3)
    np.testing.assert_array_equal(picture[0:4, 4:8], np.broadcast_to([10, 0, 0], (4, 4, 3)))
    np.testing.assert_array_equal(picture[4:8, 8:12], np.broadcast_to([0, 20, 0], (4, 4, 3)))
    np.testing.assert_array_equal(picture[0, 0], draw.PAPER)


def test_hues_differ():
    colors = np.asarray(draw.hues(10))
    apart = np.abs(colors[:, None] - colors[None]).sum(-1) + 1000 * np.eye(10)
    assert apart.min() > 40 and colors.min() >= 0 and colors.max() <= 255


MOVING = [
    ('CartPole-v1', {'x': 1.0}),
    ('CartPole-v1', {'theta': 0.2}),
    ('Pendulum-v1', {'theta': 1.0}),
    ('Pendulum-v1', {'theta_dot': 7.0}),
    ('Acrobot-v1', {'joint_angle2': 1.0}),
    ('MountainCar-v0', {'position': 0.2}),
    ('MemoryChain-bsuite', {'time': 3}),
    ('Breakout-MinAtar', {'pos': 8}),
]


@pytest.mark.parametrize(('name', 'change'), MOVING)
def test_picture_follows_the_state(name, change):
    env = gymnax(name)
    _, state = env.reset(KEY, env.params)
    fields = {
        field: jnp.asarray(value, getattr(state, field).dtype) for field, value in change.items()
    }
    both = jax.tree.map(lambda a, b: jnp.stack([a, b]), state, state.replace(**fields))
    still, moved = jax.jit(jax.vmap(env.render, (0, None)))(both, env.params)
    assert still.dtype == jnp.uint8 and still.shape[-1] == 3
    assert (still != moved).any(-1).sum() > 15


def test_cart_is_where_the_state_says():
    env = gymnax('CartPole-v1')
    _, state = env.reset(KEY, env.params)
    columns = []
    for x in (-2.0, 0.0, 2.0):
        picture = env.render(state.replace(x=jnp.float32(x), theta=jnp.float32(0)), env.params)
        cart = (np.asarray(picture) == draw.INK).all(-1)
        columns.append(np.nonzero(cart)[1].mean() + 0.5)
    np.testing.assert_allclose(
        np.array(columns) / 128, 0.5 + np.array([-2, 0, 2]) / 5.28, atol=0.01
    )


def test_memory_is_seen_only_at_first_and_asked_only_at_the_end():
    env = gymnax('MemoryChain-bsuite', memory_length=6)
    _, state = env.reset(KEY, env.params)

    def shown(time, bit):
        changed = state.replace(time=jnp.int32(time), context=jnp.array([bit], jnp.int32))
        return np.asarray(env.render(changed, env.params))

    for time in range(7):
        assert (shown(time, 0) != shown(time, 1)).any() == (time <= 1)
        assert (shown(time, 0) == draw.GOLD).all(-1).any() == (time == 6)
