"""Pictures of gymnax's states, 96 pixels high, light enough to learn from."""

from collections.abc import Callable

from jax import numpy as jnp
from jaxtyping import Array, UInt8

from jaxcv.rl.envs import draw
from jaxcv.rl.envs.draw import Canvas

Picture = UInt8[Array, 'h w 3']


def painter(name: str, game) -> Callable | None:
    """`render(state, params)` of the gymnax environment `name`, or None where it has none."""
    if name.endswith('-MinAtar') or name == 'Catch-bsuite':
        return cells(game)
    return {
        'CartPole-v1': cartpole,
        'Pendulum-v1': pendulum,
        'Acrobot-v1': acrobot,
        'MountainCar-v0': mountain_car,
        'MountainCarContinuous-v0': mountain_car,
        'MemoryChain-bsuite': memory_chain,
    }.get(name)


def cartpole(state, params) -> Picture:
    """The cart on its rail, whose ends are where the episode ends; the pole, pivoted on it."""
    edge = params.x_threshold
    canvas = Canvas(96, 128, -1.1 * edge, -0.55 * edge, 2.2 * edge / 128)
    picture = canvas.segment(canvas.blank(), (-edge, 0.0), (edge, 0.0), 0.05, draw.GRAY)
    for end in (-edge, edge):
        picture = canvas.segment(picture, (end, -0.12), (end, 0.12), 0.05, draw.GRAY)
    pivot = (state.x, 0.15)
    reach = 2.6 * params.length  # longer than it is, so that small angles are seen
    tip = (state.x + reach * jnp.sin(state.theta), 0.15 + reach * jnp.cos(state.theta))
    picture = canvas.rectangle(picture, (state.x, 0.1), 0.8, 0.36, draw.INK)
    picture = canvas.segment(picture, pivot, tip, 0.14, draw.RED)
    return draw.finish(canvas.disc(picture, pivot, 0.08, draw.GOLD))


def pendulum(state, params) -> Picture:
    """The rod, upright at angle 0 and turning counter-clockwise; an arc of dots is its speed."""
    canvas = Canvas(96, 96, -1.3, -1.3, 2.6 / 96)
    tip = (-jnp.sin(state.theta), jnp.cos(state.theta))
    picture = canvas.segment(canvas.blank(), (0.0, 0.0), tip, 0.2, draw.RED)
    for step in range(1, 6):
        angle = state.theta + step * 0.12 * state.theta_dot
        dot = (-1.05 * jnp.sin(angle), 1.05 * jnp.cos(angle))
        picture = canvas.disc(picture, dot, 0.045, draw.BLUE)
    return draw.finish(canvas.disc(picture, (0.0, 0.0), 0.07, draw.INK))


def acrobot(state, params) -> Picture:
    """Two links that hang from the middle; the tip has to rise above the line."""
    first, second = params.link_length_1, params.link_length_2
    canvas = Canvas(96, 96, -2.3, -2.3, 4.6 / 96)
    angle = state.joint_angle1 + state.joint_angle2
    elbow = (first * jnp.sin(state.joint_angle1), -first * jnp.cos(state.joint_angle1))
    tip = (elbow[0] + second * jnp.sin(angle), elbow[1] - second * jnp.cos(angle))
    picture = canvas.segment(canvas.blank(), (-2.2, 1.0), (2.2, 1.0), 0.05, draw.GREEN)
    picture = canvas.segment(picture, (0.0, 0.0), elbow, 0.24, draw.BLUE)
    picture = canvas.segment(picture, elbow, tip, 0.24, draw.RED)
    picture = canvas.disc(picture, elbow, 0.08, draw.PAPER)
    return draw.finish(canvas.disc(picture, (0.0, 0.0), 0.1, draw.INK))


def mountain_car(state, params) -> Picture:
    """The valley sin(3x), the car on its slope, the flag at the goal."""
    canvas = Canvas(96, 128, -1.25, -0.2, 1.9 / 128)

    def hill(x):
        return 0.45 * jnp.sin(3 * x) + 0.5

    flag = (params.goal_position, hill(params.goal_position))
    top = (flag[0], flag[1] + 0.2)
    picture = canvas.segment(canvas.blank(), flag, top, 0.02, draw.INK)
    picture = canvas.segment(picture, (top[0] - 0.06, top[1] - 0.03), top, 0.06, draw.GREEN)
    picture = canvas.below(picture, hill(canvas.x[0]), draw.GRAY)
    slope = jnp.arctan(1.35 * jnp.cos(3 * state.position))
    along, up = (jnp.cos(slope), jnp.sin(slope)), (-jnp.sin(slope), jnp.cos(slope))
    ground = (state.position, hill(state.position))

    def place(forward, above):
        return tuple(ground[i] + forward * along[i] + above * up[i] for i in range(2))

    picture = canvas.segment(picture, place(-0.06, 0.07), place(0.06, 0.07), 0.07, draw.RED)
    for wheel in (-0.05, 0.05):
        picture = canvas.disc(picture, place(wheel, 0.03), 0.03, draw.INK)
    return draw.finish(picture)


def memory_chain(state, params) -> Picture:
    """Above: the bits to remember, as long as they are seen. Below: the time that is gone, and at
    its end the bit that is asked for."""
    bits = state.context.shape[-1]
    canvas = Canvas(64, 96, 0.0, 0.0, 1 / 64)
    seen, asked = state.time <= 1, state.time == params.memory_length
    picture = canvas.blank()
    for bit in range(bits):
        place = (1.5 * (bit + 0.5) / bits, 0.68)
        radius = min(0.2, 0.6 / bits)
        picture = canvas.disc(picture, place, radius, draw.GRAY)
        for value, color in ((0, draw.RED), (1, draw.BLUE)):
            shown = jnp.where(seen & (state.context[bit] == value), 0.85 * radius, -1.0)
            picture = canvas.disc(picture, place, shown, color)
        ring = jnp.where(asked & (state.query == bit), 0.6 * radius, -1.0)
        picture = canvas.disc(picture, place, ring, draw.GOLD)
    share = jnp.clip(state.time / params.memory_length, 0, 1)
    picture = canvas.segment(picture, (0.15, 0.2), (1.35, 0.2), 0.1, draw.GRAY)
    return draw.finish(
        canvas.segment(picture, (0.15, 0.2), (0.15 + 1.2 * share, 0.2), 0.1, draw.GREEN)
    )


def cells(game) -> Callable:
    """A grid of objects: every channel of the observation in a color of its own."""

    def render(state, params):
        grid = game.get_obs(state)
        grid = grid if grid.ndim == 3 else grid[..., None]
        return draw.tiles(grid, draw.hues(grid.shape[-1]), 9)

    return render
