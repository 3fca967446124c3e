"""What stands on the table: a desk arranged by hand, and as many random scenes as one likes."""

import numpy as np

from jaxcv.data.tabletop import solid
from jaxcv.data.tabletop.materials import material
from jaxcv.data.tabletop.world import Scene, assembled, placed

CAPACITY = 7  # objects of a random scene, with its pedestal
TOP = -0.25  # height of the table
RADIUS = 0.85  # of the table
COLORS = (
    '#d94436', '#f08a24', '#f2c230', '#7fb83a', '#2f9a57', '#2aa7a1',
    '#3a86d8', '#3d4fb5', '#8a4fc4', '#d8569a', '#8c5a36', '#e9e4d8',
)  # fmt: skip


def desk() -> Scene:
    """A round table with a cup of coffee, a toy bear, two books, a ball, a doughnut, a pencil. In
    time the ball bounces and rolls, the doughnut tumbles in the air, book and pencil turn."""
    return assembled([*_bear(), *_cup(), *_books(), *_toys(), _table()])


def _table():
    grain = material('#b07a48', '#8a5a30', 'stripes', (2.0, 9.0, 2.0), 1.6, 0.12, 20)
    return placed(solid.cylinder(RADIUS, 0.05, 0.02), grain, (0, 0, TOP - 0.05))


def _bear():
    fur = material('#dca968', '#8f5426', 'noise', 9.0, specular=0.1, shininess=10)
    nose = material('#2b2422', specular=0.9, shininess=80)
    x, y = -0.38, -0.28
    return [
        placed(solid.sphere(0.19), fur, (x, y, TOP + 0.18)),
        placed(solid.sphere(0.14), fur, (x, y, TOP + 0.46), blend=0.08),
        *(
            placed(solid.sphere(0.055), fur, (x + 0.1 * s, y - 0.1 * s, TOP + 0.57), blend=0.05)
            for s in (-1, 1)
        ),
        placed(solid.sphere(0.035), nose, (x - 0.1, y - 0.1, TOP + 0.45)),
    ]


def _cup():
    glaze = material('#2a7fb8', '#f1efe6', 'stripes', (0, 0, 9.0), specular=0.7, shininess=60)
    coffee = material('#3a2115', specular=0.5, shininess=90)
    x, y = 0.42, -0.3
    return [
        placed(solid.tube(0.17, 0.18, 0.016, 0.015), glaze, (x, y, TOP + 0.18)),
        placed(
            solid.torus(0.1, 0.025),
            glaze,
            (x + 0.16, y - 0.06, TOP + 0.18),
            (np.pi / 2 * 0.94, 0, -0.36),
            0.03,
        ),
        placed(solid.cylinder(0.155, 0.13), coffee, (x, y, TOP + 0.14)),
    ]


def _books():
    red = material('#b8322e', '#d9b44a', 'stripes', (4.0, 0, 0), specular=0.2)
    green = material('#2d7d5a', '#1f5f45', 'checks', 12.0, specular=0.2)
    return [
        placed(solid.box((0.3, 0.21, 0.05), 0.012), green, (0.08, 0.42, TOP + 0.05), (0, 0, 0.3)),
        placed(
            solid.box((0.24, 0.17, 0.045), 0.012),
            red,
            (0.08, 0.42, TOP + 0.145),
            (0, 0, -0.2),
            spin=(0, 0, 1.2),
        ),
    ]


def _toys():
    ball = material('#f4f1ea', '#d23f6e', 'checks', 8.0, specular=0.8, shininess=70)
    dough = material('#f7a8c4', '#7a3fb0', 'noise', 9.0, specular=0.9, shininess=40)
    pencil = material('#f3c22b', '#2a2a2a', 'stripes', (0, 0, 8.0), specular=0.4)
    return [
        placed(
            solid.sphere(0.17), ball, (-0.42, 0.32, TOP + 0.17), spin=(0, 3, 2), rise=(0, 0, 0.4)
        ),
        placed(
            solid.torus(0.13, 0.065),
            dough,
            (0.08, 0.42, TOP + 0.255),
            spin=(2, 1, 4),
            rise=(0, 0, 0.35),
        ),
        placed(
            solid.capsule(0.025, 0.3),
            pencil,
            (0, 0, TOP + 0.025),
            (0, np.pi / 2, 0.4),
            spin=(0, 0, 2),
        ),
    ]


def scene(seed: int) -> Scene:
    """Three to six solids of any shape, color and pattern on a pedestal; some stand on the one
    before and melt into it. All seeds have the same number of objects: copies fill up."""
    rng = np.random.Generator(np.random.Philox(key=[seed, 0]))
    objects, places = [], []
    for _ in range(int(rng.integers(3, CAPACITY))):
        if objects and objects[-1].blend == 0 and rng.uniform() < 0.3:
            body, (x, y, _, height) = solid.sphere(rng.uniform(0.12, 0.16)), places[-1]
            objects.append(placed(body, _look(rng), (x, y, TOP + height + 0.04), blend=0.08))
            continue
        body, turned, place = _found(rng, places)
        x, y, _, height = place
        places.append(place)
        objects.append(placed(body, _look(rng), (x, y, TOP + height / 2), turned))
    first, second = rng.choice(COLORS, 2, replace=False)
    top = material(first, second, rng.choice(['plain', 'noise', 'checks']), 5.0, specular=0.1)
    return assembled(
        [*objects, placed(solid.cylinder(RADIUS, 0.05, 0.02), top, (0, 0, TOP - 0.05))], CAPACITY
    )


def _found(rng, places):
    """(solid, rotation vector, (x, y, radius, height)) of an object that is clear of the others;
    the longer none is found, the smaller it is drawn."""
    size = rng.uniform(0.24, 0.34)
    while True:
        body, turned, radius, height = _shape(rng, size)
        reach, angle = (RADIUS - 0.04 - radius) * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
        x, y = reach * np.cos(angle), reach * np.sin(angle)
        if all(np.hypot(x - u, y - v) > radius + r + 0.04 for u, v, r, _ in places):
            return body, turned, (x, y, radius, height)
        size *= 0.97


def _shape(rng, size):
    """(solid, rotation vector, radius of the ground it takes, height)."""
    kind, yaw, wide, flat = rng.integers(8), rng.uniform(0, np.pi), *rng.uniform(0.6, 1, 2) * size
    upright, tipped = (0, 0, yaw), np.pi / 2 * np.array([np.cos(yaw), np.sin(yaw), 0])
    if kind == 0:
        return solid.sphere(size * 0.85), upright, size * 0.85, size * 1.7
    if kind == 1:
        return solid.box((wide, flat, wide), size * 0.1), upright, np.hypot(wide, flat), 2 * wide
    if kind == 2:
        return solid.torus(0.7 * size, 0.3 * size), upright, size, 0.6 * size
    if kind == 3:
        return solid.torus(0.7 * size, 0.3 * size), tipped, size, 2 * size
    if kind == 4:
        return solid.capsule(0.4 * size, 1.2 * size), upright, 0.4 * size, 2.4 * size
    if kind == 5:
        return solid.capsule(0.35 * size, size), tipped, size, 0.7 * size
    if kind == 6:
        return solid.cylinder(0.7 * size, wide, 0.1 * size), upright, 0.7 * size, 2 * wide
    return solid.tube(0.8 * size, wide, 0.1 * size, 0.05 * size), upright, 0.8 * size, 2 * wide


def _look(rng):
    first, second = rng.choice(COLORS, 2, replace=False)
    pattern = rng.choice(['plain', 'checks', 'stripes', 'noise'])
    scale = rng.uniform(0.7, 1.3) * {'plain': 1.0, 'checks': 8.0, 'noise': 8.0}.get(pattern, 0)
    if pattern == 'stripes':
        scale = rng.uniform(3, 6) * np.eye(3)[rng.integers(3)]
    strong = rng.uniform() < 0.6
    return material(
        first,
        second,
        pattern,
        scale,
        specular=0.7 if strong else 0.1,
        shininess=50 if strong else 12,
    )
