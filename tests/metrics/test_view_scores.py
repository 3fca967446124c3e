"""What is said of a rendered view: the scores of its parts."""

import jax
import numpy as np

from jaxcv.metrics import psnr, ssim, view_scores
from jaxcv.metrics.perceptual import distance


def test_scores_are_those_of_the_parts():
    seen, truth = jax.random.uniform(jax.random.key(0), (2, 12, 14, 3))
    found = view_scores()(seen, truth)
    assert found.keys() == {'psnr', 'ssim'}
    np.testing.assert_allclose(found['psnr'], psnr(seen[None], truth[None])[0])
    np.testing.assert_allclose(found['ssim'], ssim(seen[None], truth[None])[0])


def test_features_see_images_from_minus_one_to_one():
    seen, truth = jax.random.uniform(jax.random.key(0), (2, 12, 14, 3))

    def maps(x):
        return [x, x[:, ::2, ::2] ** 2]

    found = view_scores(maps)(seen, truth)
    expected = distance(maps(2 * seen[None] - 1), maps(2 * truth[None] - 1))[0]
    np.testing.assert_allclose(found['perceptual'], expected, rtol=1e-6)
    assert expected > 0
