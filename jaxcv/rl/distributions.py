"""Distributions over actions, as small pytrees of their parameters.

A policy keeps what it *sampled* and the environment gets what is *executed*: the same for choices,
clipped to the bounds for `Normal`, squashed into them for `TanhNormal`. Log-probabilities, entropy
and divergence are those of the sample for `Normal` and of the executed action for `TanhNormal`.
Every method sums over the components of an action.

`sample(noise(keys))` draws: the noise depends on no parameter, so that a rollout draws it for all
of its steps at once.
"""

import math

import jax
import numpy as np
from flax import struct
from jax import numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxcv.errors import UserError
from jaxcv.rl.envs.environment import Box, Discrete, MultiDiscrete, Space

# Gauss-Hermite rule: integrates polynomials up to degree 31 against a Gaussian exactly.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(16)
_WEIGHTS = _WEIGHTS / math.sqrt(2 * math.pi)


def each(draw, keys):
    """`draw(key)` for keys of any shape."""
    for _ in range(keys.ndim):
        draw = jax.vmap(draw)
    return draw(keys)


@struct.dataclass
class Categorical:
    """One of k choices."""

    logits: Float[Array, '... k']

    def noise(self, keys: Key[Array, '*n']) -> Float[Array, '*n k']:
        return each(lambda key: jax.random.gumbel(key, self.logits.shape[-1:]), keys)

    def sample(self, noise: Float[Array, '... k']) -> Int[Array, '...']:
        """The Gumbel-max trick."""
        return jnp.argmax(self.logits + noise, -1).astype(jnp.int32)

    def mode(self) -> Int[Array, '...']:
        return jnp.argmax(self.logits, -1).astype(jnp.int32)

    def executed(self, sample: Int[Array, '...']) -> Int[Array, '...']:
        return sample

    def log_prob(self, sample: Int[Array, '...']) -> Float[Array, '...']:
        # A product with a mask, since the gradient of a gather is a scatter.
        chosen = sample[..., None] == jnp.arange(self.logits.shape[-1])
        return jnp.where(chosen, jax.nn.log_softmax(self.logits), 0.0).sum(-1)

    def entropy(self) -> Float[Array, '...']:
        """-sum p log p."""
        log_p = jax.nn.log_softmax(self.logits)
        return -(jnp.exp(log_p) * log_p).sum(-1)

    def kl(self, other: 'Categorical') -> Float[Array, '...']:
        """KL(self || other)."""
        log_p, log_q = jax.nn.log_softmax(self.logits), jax.nn.log_softmax(other.logits)
        return (jnp.exp(log_p) * (log_p - log_q)).sum(-1)


@struct.dataclass
class MultiCategorical:
    """Several independent choices; the logits of all of them side by side."""

    logits: Float[Array, '... k']
    sizes: tuple[int, ...] = struct.field(pytree_node=False)

    def parts(self) -> list[Categorical]:
        ends = np.cumsum(self.sizes)[:-1]
        return [Categorical(part) for part in jnp.split(self.logits, ends, -1)]

    def noise(self, keys: Key[Array, '*n']) -> Float[Array, '*n k']:
        return Categorical(self.logits).noise(keys)

    def sample(self, noise: Float[Array, '... k']) -> Int[Array, '... m']:
        return MultiCategorical(self.logits + noise, self.sizes).mode()

    def mode(self) -> Int[Array, '... m']:
        return jnp.stack([part.mode() for part in self.parts()], -1)

    def executed(self, sample: Int[Array, '... m']) -> Int[Array, '... m']:
        return sample

    def log_prob(self, sample: Int[Array, '... m']) -> Float[Array, '...']:
        return sum(part.log_prob(sample[..., i]) for i, part in enumerate(self.parts()))

    def entropy(self) -> Float[Array, '...']:
        return sum(part.entropy() for part in self.parts())

    def kl(self, other: 'MultiCategorical') -> Float[Array, '...']:
        return sum(p.kl(q) for p, q in zip(self.parts(), other.parts(), strict=True))


@struct.dataclass
class Normal:
    """Independent Gaussians. The executed action is the sample, clipped to the bounds."""

    mean: Float[Array, '... d']
    log_std: Float[Array, '... d']
    low: float = struct.field(pytree_node=False, default=-math.inf)
    high: float = struct.field(pytree_node=False, default=math.inf)

    def noise(self, keys: Key[Array, '*n']) -> Float[Array, '*n d']:
        return each(lambda key: jax.random.normal(key, self.mean.shape[-1:]), keys)

    def sample(self, noise: Float[Array, '... d']) -> Float[Array, '... d']:
        return self.mean + jnp.exp(self.log_std) * noise

    def mode(self) -> Float[Array, '... d']:
        return self.mean

    def executed(self, sample: Float[Array, '... d']) -> Float[Array, '... d']:
        return jnp.clip(sample, self.low, self.high)

    def log_prob(self, sample: Float[Array, '... d']) -> Float[Array, '...']:
        z = (sample - self.mean) * jnp.exp(-self.log_std)
        return (-0.5 * z**2 - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self) -> Float[Array, '...']:
        log_std = jnp.broadcast_to(self.log_std, self.mean.shape)
        return (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)

    def kl(self, other: 'Normal') -> Float[Array, '...']:
        """KL(self || other), closed form."""
        variance = jnp.exp(2 * (self.log_std - other.log_std))
        z = (self.mean - other.mean) * jnp.exp(-other.log_std)
        return (0.5 * (variance + z**2 - 1) + other.log_std - self.log_std).sum(-1)


@struct.dataclass
class TanhNormal:
    """Independent Gaussians squashed into [low, high] by tanh (Haarnoja et al. 2018, appendix C).

    The sample is kept before squashing, so that its log-probability needs no inverse.
    """

    mean: Float[Array, '... d']
    log_std: Float[Array, '... d']
    low: float = struct.field(pytree_node=False, default=-1.0)
    high: float = struct.field(pytree_node=False, default=1.0)

    def before(self) -> Normal:
        """The Gaussian before squashing."""
        return Normal(self.mean, self.log_std)

    def noise(self, keys: Key[Array, '*n']) -> Float[Array, '*n d']:
        return self.before().noise(keys)

    def sample(self, noise: Float[Array, '... d']) -> Float[Array, '... d']:
        return self.before().sample(noise)

    def mode(self) -> Float[Array, '... d']:
        """The squashed mean (the median of the executed action)."""
        return self.mean

    def executed(self, sample: Float[Array, '... d']) -> Float[Array, '... d']:
        return self.low + 0.5 * (self.high - self.low) * (jnp.tanh(sample) + 1)

    def log_prob(self, sample: Float[Array, '... d']) -> Float[Array, '...']:
        """Density of the executed action: log N(u) - log |da/du|."""
        return self.before().log_prob(sample) - self._log_slope(sample).sum(-1)

    def entropy(self) -> Float[Array, '...']:
        """H(u) + E[log |da/du|]; the expectation by Gauss-Hermite quadrature."""
        u = self.mean[..., None] + jnp.exp(self.log_std)[..., None] * _NODES.astype(np.float32)
        slope = (self._log_slope(u) * _WEIGHTS.astype(np.float32)).sum(-1)
        return self.before().entropy() + slope.sum(-1)

    def kl(self, other: 'TanhNormal') -> Float[Array, '...']:
        """KL(self || other): one bijection on both sides changes nothing."""
        return self.before().kl(other.before())

    def _log_slope(self, u):
        """log da/du with 1 - tanh(u)^2 = 4 / (e^u + e^-u)^2, finite for every u."""
        scale = math.log(0.5 * (self.high - self.low))
        return scale + 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))


Distribution = Categorical | MultiCategorical | Normal | TanhNormal


def outputs(space: Space) -> int:
    """How many numbers per action a network has to give for `policy`."""
    match space:
        case Discrete(n=n):
            return n
        case MultiDiscrete(n=n):
            return sum(n)
        case Box(shape=shape):
            return math.prod(shape)


def policy(
    space: Space,
    output: Float[Array, '... k'],
    log_std: Float[Array, ' k'] | None = None,
    squash: bool = False,
) -> Distribution:
    """The distribution over `space` that a network's output describes.

    log_std: for Box spaces; it does not depend on the observation.
    squash: TanhNormal rather than Normal.
    """
    match space:
        case Discrete():
            return Categorical(output)
        case MultiDiscrete(n=n):
            return MultiCategorical(output, n)
    log_std = jnp.broadcast_to(log_std, output.shape)
    bounds = float(space.low), float(space.high)
    return TanhNormal(output, log_std, *bounds) if squash else Normal(output, log_std, *bounds)


def require(kind: str, space: Space, name: str) -> None:
    """Refuses a policy that the environment's actions do not fit. kind: 'auto', 'categorical',
    'normal' or 'tanh_normal', as in `config.model.policy`."""
    continuous = isinstance(space, Box)
    if kind in ('normal', 'tanh_normal') and not continuous:
        raise UserError(
            f'config.model.policy is {kind!r}, which is continuous, but {name} takes discrete'
            f" actions; use 'categorical' or 'auto'"
        )
    if kind == 'categorical' and continuous:
        raise UserError(
            f"config.model.policy is 'categorical', but {name} takes continuous actions; use"
            " 'normal', 'tanh_normal' or 'auto'"
        )
    if kind == 'tanh_normal' and not np.isfinite([space.low, space.high]).all():
        raise UserError(
            f"config.model.policy is 'tanh_normal', but the actions of {name} have no bounds; use"
            " 'normal'"
        )
