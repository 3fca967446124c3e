"""Instant-NGP's training step in plain torch, as its ports to Python have it: the peer of
`benchmarks.radiance`. Samples are packed by their number, for which torch need not know a capacity.
"""

import importlib.util
import itertools
import math

NAME = 'torch, 2 threads'
PRIMES = 1, 2654435761, 805459861


def installed() -> bool:
    return importlib.util.find_spec('torch') is not None


def training(data, occupied, field, steps, rate, eps):
    """One training step a call on the rays `data`."""
    import torch

    torch.set_num_threads(2)
    torch.manual_seed(0)
    network = field_of(**field)
    optimizer = torch.optim.Adam(network.parameters(), rate, eps=eps)
    origins, directions, color = (
        torch.tensor(data[name]) for name in ('origins', 'directions', 'color')
    )
    grid = torch.tensor(occupied)

    def step():
        optimizer.zero_grad()
        ray, start, width = march(grid, origins, directions, steps)
        seen = directions[ray]
        points = origins[ray] + (start + width / 2)[:, None] * seen
        density, values = network(points, seen)
        loss = (render(ray, len(color), width, density, values) - color).square().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def march(grid, origins, directions, steps):
    """Ray, start and width of the steps in occupied cells of [-1, 1]^3."""
    import torch

    size = 2 * 3**0.5 / steps
    low, high = (-1 - origins) / directions, (1 - origins) / directions
    near = torch.minimum(low, high).amax(-1, keepdim=True).clamp(min=0)
    far = torch.maximum(torch.maximum(low, high).amin(-1, keepdim=True), near)
    edges = torch.minimum(near + size * torch.arange(steps + 1), far)
    width, center = edges.diff(dim=-1), (edges[:, 1:] + edges[:, :-1]) / 2
    points = origins[:, None] + center[..., None] * directions[:, None]
    cell = ((points + 1) * (len(grid) / 2)).long().clamp(0, len(grid) - 1)
    kept = grid[cell[..., 0], cell[..., 1], cell[..., 2]] & (width > 0)
    ray, place = kept.nonzero(as_tuple=True)
    return ray, edges[ray, place], width[ray, place]


def render(ray, count, width, density, values):
    """Colors of rays from packed samples, in front of black."""
    import torch

    optical = density * width
    total = torch.zeros(count).index_add(0, ray, optical)
    passed = optical.cumsum(0) - optical - (total.cumsum(0) - total)[ray]
    weights = torch.exp(-passed) * -torch.expm1(-optical)
    return torch.zeros(count, 3).index_add(0, ray, weights[:, None] * values)


def field_of(levels, rows, features, growth, widths, color_widths, activation, coarsest=16):
    """The hash grid and its two networks."""
    import torch
    from torch import nn

    assert activation == 'shifted_exponential'
    cells = [math.floor(coarsest * growth**i + 1e-6) for i in range(levels)]

    def network(*sizes):
        layers = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [min((count + 1) ** 3, rows) for count in cells]
            self.tables = nn.ParameterList(
                nn.Parameter(2e-4 * torch.rand(size, features) - 1e-4) for size in sizes
            )
            self.first = network(levels * features, *widths, 16)
            self.second = network(16 + 16, *color_widths, 3)
            ends = torch.cartesian_prod(*[torch.arange(2)] * 3)
            self.register_buffer('ends', ends)  # [8, 3]

        def encoded(self, points, table, count):
            x = (points + 1) * (count / 2)
            low = x.floor().clamp(0, count - 1)
            share = x - low
            node = low.long()[:, None] + self.ends
            if len(table) == (count + 1) ** 3:
                row = (node[..., 0] * (count + 1) + node[..., 1]) * (count + 1) + node[..., 2]
            else:
                row = (
                    node[..., 0] * PRIMES[0] ^ node[..., 1] * PRIMES[1] ^ node[..., 2] * PRIMES[2]
                ) & (len(table) - 1)
            weights = torch.where(self.ends == 1, share[:, None], 1 - share[:, None]).prod(-1)
            corners = nn.functional.embedding(row, table)
            return (weights[..., None] * corners).sum(1)

        def forward(self, points, directions):
            found = [
                self.encoded(points, table, count)
                for table, count in zip(self.tables, cells, strict=True)
            ]
            inner = self.first(torch.cat(found, -1))
            seen = torch.cat([inner, harmonics(directions)], -1)
            density = torch.exp((inner[:, 0] - 1).clamp(max=15))
            return density, torch.sigmoid(self.second(seen))

    return Field()


def harmonics(directions):
    """Spherical harmonics up to degree 3."""
    import torch

    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    values = [
        0.28209479 * torch.ones_like(x),
        -0.48860251 * y, 0.48860251 * z, -0.48860251 * x,
        1.09254843 * x * y, -1.09254843 * y * z, 0.31539157 * (3 * zz - 1),
        -1.09254843 * x * z, 0.54627422 * (xx - yy),
        -0.59004359 * y * (3 * xx - yy), 2.89061144 * x * y * z,
        -0.45704580 * y * (5 * zz - 1), 0.37317633 * z * (5 * zz - 3),
        -0.45704580 * x * (5 * zz - 1), 1.44530572 * z * (xx - yy),
        -0.59004359 * x * (xx - 3 * yy),
    ]  # fmt: skip
    return torch.stack(values, -1)
