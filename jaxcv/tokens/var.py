"""Scale after scale, all codes of a scale at once (VAR, Tian et al., 2024)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from jaxcv.errors import UserError
from jaxcv.nn.dense import Dense
from jaxcv.tokens import guidance as guide
from jaxcv.tokens.pick import PLAIN, Pick, draw, nats, uniform
from jaxcv.tokens.sampled import Sampled
from jaxcv.tokens.told import INIT, Told
from jaxcv.tokens.transformer import Cache, Transformer


class Pyramid(NamedTuple):
    """How codes of scales become what the next scale is told; scales are numbered from 0."""

    blank: Callable[[int], PyTree]  # batch -> the sum of no scales
    add: Callable[[PyTree, Int[Array, 'b m'], int], PyTree]  # with the codes of one more scale
    seen: Callable[[PyTree, int], Float[Array, 'b m d']]  # at the places of a scale

    def inputs(self, codes: Int[Array, 'b n'], scales: tuple[int, ...]) -> Float[Array, 'b n d']:
        """For all scales at once, from all codes: for training."""
        total, features = self.blank(len(codes)), []
        for scale, (start, stop) in enumerate(bounds(scales)):
            features.append(self.seen(total, scale))
            total = self.add(total, codes[:, start:stop], scale)
        return jnp.concatenate(features, axis=1)


def pyramid(quantizer: Any, params: PyTree, state: PyTree) -> Pyramid:
    """That of `multiscale.Multiscale`."""
    layout = quantizer.layout()
    return Pyramid(
        lambda batch: quantizer.blank(params, batch),
        lambda total, codes, scale: quantizer.add(params, state, total, codes, layout[scale]),
        lambda total, scale: quantizer.seen(total, layout[scale]),
    )


class VAR(linen.Module):
    """p(codes of a scale | what is told, scales before), the codes of a scale independent of one
    another. `scales` are the sides of the squares; the transformer's length is the sum of their
    squares. Features come from a `Pyramid`."""

    codes: int
    scales: tuple[int, ...]
    transformer: Transformer

    def setup(self):
        places = bounds(self.scales)[-1][1]
        if places != self.transformer.length:
            raise UserError(
                f'scales {self.scales} have {places} codes, but the transformer is for '
                f'{self.transformer.length}: give it length={places}'
            )
        width, dtype = self.transformer.width, self.transformer.dtype
        self.features = Dense(width, dtype=dtype)
        self.scale = self.param('scale', INIT, (len(self.scales), width))
        self.head = Dense(self.codes, kernel_init=INIT, dtype=dtype)

    def __call__(
        self,
        features: Float[Array, 'b n d'],
        told: Told | None = None,
        keys: Key[Array, 'b'] | None = None,
    ) -> Float[Array, 'b n k']:
        """Logits of all scales, each from its features and those of the scales before. `keys` are
        there in training."""
        scale = self.levels()[self.transformer.prefix :] - 1
        x = self.embed(features, scale)
        y = self.transformer(x, told, self.levels(), keys)
        return self.head(y[:, self.transformer.prefix :])

    def begin(
        self, features: Float[Array, 'b m d'], told: Told | None = None
    ) -> tuple[Float[Array, 'b m k'], Cache]:
        """Logits of the first scale."""
        y, cache = self.transformer.begin(self.embed(features, 0), told, self.levels())
        return self.head(y[:, self.transformer.prefix :]), cache

    def extend(
        self, features: Float[Array, 'b m d'], scale: int, cache: Cache
    ) -> tuple[Float[Array, 'b m k'], Cache]:
        """Logits of the next scale, of this number."""
        at = bounds(self.scales)[scale][0]
        x = self.embed(features, scale)
        y, cache = self.transformer.extend(x, at, cache, self.levels())
        return self.head(y), cache

    def embed(self, features, scale):
        x = self.features(features)
        return x + self.scale[scale].astype(x.dtype)

    def levels(self) -> np.ndarray:
        """What is told is level 0, the scales follow."""
        sizes = [side**2 for side in self.scales]
        own = np.repeat(np.arange(1, len(sizes) + 1), sizes)
        return np.concatenate([np.zeros(self.transformer.prefix, int), own])


def bounds(scales: tuple[int, ...]) -> list[tuple[int, int]]:
    """(start, stop) of the codes of every scale."""
    stops = np.cumsum([side**2 for side in scales]).tolist()
    return list(zip([0, *stops[:-1]], stops, strict=True))


def loss(
    apply: Callable[..., Float[Array, 'b n k']],
    codes: Int[Array, 'b n'],
    told: Told | None,
    keys: Key[Array, 'b'] | None,
    inputs: Callable[[Int[Array, 'b n']], Float[Array, 'b n d']],
) -> Float[Array, 'b']:
    """Nats per code. `inputs` gives the features of all scales, such as `Multiscale.inputs` or
    `Pyramid.inputs` with their other arguments."""
    features = jax.lax.stop_gradient(inputs(codes))
    return nats(apply(features, told, keys), codes).mean(-1)


def sample(
    module: VAR,
    variables: PyTree,
    told: Told | None,
    keys: Key[Array, 'b'],
    *,
    pyramid: Pyramid,
    pick: Pick = PLAIN,
    guidance: guide.Scale = 1.0,
    ramped: bool = True,
) -> Sampled:
    """Draws scale after scale, with a cache of the scales before.

    guidance: u + g (c - u) on the logits; `ramped`: g rises from 1 at the first scale, which is
    (1 + t) c - t u with t from 0 to g - 1.
    """
    batch, places = len(keys), bounds(module.scales)
    told = guide.branches(told, guidance, module.transformer.num_classes)
    steps = len(places)
    scales = guide.ramp(guidance, steps) if ramped else jnp.full(steps, guidance)
    noise = uniform(keys, (module.transformer.length,))
    total, cache, found = pyramid.blank(batch), None, []
    for scale, (start, stop) in enumerate(places):
        features = guide.rows(pyramid.seen(total, scale), guidance)
        if cache is None:
            logits, cache = module.apply(variables, features, told, method='begin')
        else:
            logits, cache = module.apply(variables, features, scale, cache, method='extend')
        logits = pick(guide.mixed(logits, guidance, scales[scale]))
        found.append(draw(logits, noise[:, start:stop]))
        total = pyramid.add(total, found[-1], scale)
    codes = jnp.concatenate(found, axis=1)
    when = np.repeat(np.arange(1, steps + 1), [stop - start for start, stop in places])
    return Sampled(codes, jnp.broadcast_to(when, codes.shape))
