"""What is learned beside the Gaussians: how they move, where cameras are, and what photographs do
to colors.

Parameters are by kind ('planes', 'network', 'twists', 'appearance'); those that are not learned are
not there.
"""

from dataclasses import dataclass

import jax
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from jaxcv.cameras import Camera
from jaxcv.cameras.uncertain import Uncertain
from jaxcv.splat import appearance
from jaxcv.splat.deformation import Motion
from jaxcv.splat.gaussians import Gaussians
from jaxcv.splat.rates import Rates
from jaxcv.train.update import TrainState

Params = dict[str, PyTree[Array]]


@dataclass(frozen=True)
class Beside:
    """What the parameters mean, and how fast they are learned. Of so many `photographs` each
    changes colors; 0: none does."""

    motion: Motion
    posed: Uncertain
    rates: Rates
    photographs: int = 0

    def start(self, key: Key[Array, ''], optimizer: optax.GradientTransformation) -> TrainState:
        moving, posing = jax.random.split(key)
        twists, aux = self.posed.init(posing)
        params = self.motion.init(moving) | twists
        if self.photographs:
            params['appearance'] = appearance.same(self.photographs)
        return TrainState(params, aux, optimizer.init(params))

    def advanced(
        self, state: TrainState, slope: Params, optimizer: optax.GradientTransformation
    ) -> TrainState:
        """A step down the slope of the parameters."""
        updates, opt = optimizer.update(slope, state.opt, state.params)
        # Cameras have their own rate.
        rates = {kind: getattr(self.rates, kind, 1.0) for kind in state.params}
        updates = jax.tree.map(lambda rate, part: optax.tree.scale(rate, part), rates, updates)
        return state.replace(params=optax.apply_updates(state.params, updates), opt=opt)

    def at(self, params: Params, gaussians: Gaussians, times: Float[Array, '*b']) -> Gaussians:
        """The Gaussians [*b n] at each time, or [n] of a still scene."""
        return self.motion.at(params, gaussians, times)

    def cameras(self, params: Params, aux: Params) -> Camera:
        """Of the photographs."""
        return self.posed.found(params, aux)

    def placed(
        self, state: TrainState, others: Camera
    ) -> tuple[Camera, dict[str, Float[Array, '']]]:
        """Other cameras where they see the scene as it was learned; how well that is known."""
        return self.posed.placed(state.params, state.aux, others)

    def changed(
        self,
        params: Params,
        color: Float[Array, 'b h w 3'],
        alpha: Float[Array, 'b h w'],
        frame: Int[Array, 'b'],
    ) -> Float[Array, 'b h w 3']:
        """Colors as these photographs show them."""
        if not self.photographs:
            return color
        return appearance.changed(color, alpha, params['appearance'][frame])

    def penalties(self, params: Params) -> dict[str, Float[Array, '']]:
        """What is to be kept small, by name."""
        found = self.motion.penalties(params)
        if self.photographs:
            found['appearance'] = appearance.size(params['appearance'])
        return found
