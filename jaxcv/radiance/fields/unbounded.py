"""Fields of more than a box: places are brought into [-1, 1]^3 before the field sees them."""

from flax import linen
from jaxtyping import Array, Float, PyTree

from jaxcv.radiance import contraction
from jaxcv.radiance.fields.field import Condition, Field, Radiance

SPACES = {'ball': contraction.ball, 'frustum': contraction.frustum}


class UnboundedField(Field):
    """The field `inner` where `SPACES[space]` takes it; its density is per length of the world."""

    inner: linen.Module
    space: str

    def __call__(
        self,
        positions: Float[Array, 'n 3'],
        directions: Float[Array, 'n 3'],
        condition: Condition | None = None,
    ) -> Radiance:
        return self.inner(self.place(positions), directions, self.told(positions, condition))

    def density(
        self, positions: Float[Array, 'n 3'], condition: Condition | None = None
    ) -> Float[Array, 'n']:
        return self.inner.density(self.place(positions), self.told(positions, condition))

    def place(self, positions):
        return SPACES[self.space](positions)

    def told(self, positions, condition):
        if condition is None or condition.variance is None:
            return condition
        variance = contraction.spread(self.place, positions, condition.variance)
        return condition._replace(variance=variance)

    def penalties(self, key):
        return self.inner.penalties(key)

    @linen.nowrap
    def grown(self, params: PyTree[Array]) -> PyTree[Array]:
        return self.within(self.inner.grown, params)

    @linen.nowrap
    def opened(self, params: PyTree[Array], share: float | Float[Array, '']) -> PyTree[Array]:
        return self.within(lambda own: self.inner.opened(own, share), params)

    @linen.nowrap
    def within(self, change, params):
        return {'params': {'inner': change({'params': params['params']['inner']})['params']}}
