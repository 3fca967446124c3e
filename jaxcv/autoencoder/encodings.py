"""What an encoder says of a whole data set."""

from collections.abc import Iterator

import jax
import numpy as np
from jax import numpy as jnp
from jax.sharding import Mesh

from jaxcv import data
from jaxcv.autoencoder.stage import Stage
from jaxcv.errors import UserError
from jaxcv.ops import across


def encodings(
    stage: Stage, dataset: data.Dataset, batch_size: int
) -> Iterator[dict[str, np.ndarray]]:
    """Batches of posteriors, with labels where there are some, in the order of the data: floats in
    half precision, codes below 2^16 as uint16. On all devices."""

    @jax.jit
    def posterior(images):
        found = stage.posterior(across.split(data.signed(images)))
        return jax.tree.map(narrow, across.whole(found))

    def narrow(x):
        if jnp.issubdtype(x.dtype, jnp.floating):
            return x.astype(jnp.float16)
        return x.astype(jnp.uint16) if stage.vocabulary <= 2**16 else x

    mesh = Mesh(np.array(jax.devices()), (across.DATA,))
    for batch in data.epoch(dataset, batch_size):
        with jax.set_mesh(mesh):
            found = jax.device_get(posterior(batch['image']))
        kept = found | {name: batch[name] for name in ('label',) if name in batch}
        rows = {name: values[batch['valid']] for name, values in kept.items()}
        if not all(np.isfinite(values).all() for values in rows.values()):
            raise UserError('what the encoder says does not fit half precision: train it again')
        yield rows
