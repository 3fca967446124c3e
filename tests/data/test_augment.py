from functools import partial

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from jax.test_util import check_grads
from scipy import ndimage
from skimage.color import hsv2rgb, rgb2hsv

from jaxcv.data import augment
from jaxcv.data.augment import color, policy
from jaxcv.data.augment.geometry import matrix, warp
from jaxcv.errors import UserError

IMAGES = jax.random.uniform(jax.random.key(0), (6, 12, 10, 3))
KEYS = jax.random.split(jax.random.key(1), 6)
SQUARE = IMAGES[0, :10]

RANDOM = {
    'flip': augment.flip,
    'crop': augment.crop,
    'resized_crop': partial(augment.resized_crop, size=8),
    'affine': partial(augment.affine, rotate=30, translate=0.1, scale=(0.8, 1.2), shear=10),
    'color_jitter': partial(
        augment.color_jitter, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1
    ),
    'noise': augment.noise,
    'cutout': partial(augment.cutout, size=5),
    'rand_augment': augment.rand_augment,
    'compose': augment.compose(augment.flip, augment.crop),
}
IDENTITY = {
    'flip': partial(augment.flip, probability=0),
    'crop': partial(augment.crop, padding=0),
    'resized_crop': partial(augment.resized_crop, size=(12, 10), area=(1, 1), ratio=(10 / 12,) * 2),
    'affine': augment.affine,
    'color_jitter': augment.color_jitter,
    'noise': partial(augment.noise, scale=0),
    'cutout': partial(augment.cutout, size=0),
    'rand_augment': partial(augment.rand_augment, magnitude=0, count=3),
    'compose': augment.compose(),
}


@pytest.mark.parametrize('name', RANDOM)
def test_a_sample_depends_on_its_own_key_alone(name):
    function = jax.jit(RANDOM[name])
    whole = function(IMAGES, KEYS)
    np.testing.assert_allclose(whole[2:4], function(IMAGES[2:4], KEYS[2:4]), atol=1e-6)
    assert whole.dtype == jnp.float32
    assert not np.allclose(whole, function(IMAGES, KEYS[::-1]))
    if name in ('color_jitter', 'noise', 'rand_augment'):
        assert whole.min() >= 0
        assert whole.max() <= 1


@pytest.mark.parametrize('name', IDENTITY)
def test_nothing_asked_nothing_done(name):
    np.testing.assert_allclose(IDENTITY[name](IMAGES, KEYS), IMAGES, atol=1e-5)


def test_flipping_twice_is_the_identity():
    flip = partial(augment.flip, probability=1.0)
    np.testing.assert_array_equal(flip(IMAGES, KEYS), IMAGES[:, :, ::-1])
    np.testing.assert_array_equal(flip(flip(IMAGES, KEYS), KEYS), IMAGES)


def test_crop_is_a_window_of_the_padded_image():
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)))
    for image, around in zip(augment.crop(IMAGES, KEYS, padding=2), padded, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(around, (12, 10, 3))
        assert (windows == image).all((-3, -2, -1)).any()


def test_quarter_turn_equals_rot90():
    turned = warp(SQUARE, matrix(angle=np.pi / 2))
    np.testing.assert_allclose(turned, np.rot90(SQUARE), atol=1e-5)


def test_whole_pixel_shift_equals_roll_inside():
    shifted = warp(SQUARE, matrix(shift=(2, -3)))
    expected = np.roll(SQUARE, (-3, 2), (0, 1))
    np.testing.assert_array_equal(shifted[:-3, 2:], expected[:-3, 2:])
    assert np.all(shifted[-3:] == 0)
    assert np.all(shifted[:, :2] == 0)


def test_warp_equals_scipy():
    source = np.asarray(matrix(0.4, (1.3, -0.7), 1.2, 0.2))
    middle = (np.array(SQUARE.shape[:2]) - 1) / 2
    linear, offset = source[::-1, 1::-1], source[::-1, 2]  # rows and columns for x and y
    for i in range(3):
        expected = ndimage.affine_transform(
            np.asarray(SQUARE[..., i]),
            linear,
            middle + offset - linear @ middle,
            order=1,
            mode='grid-constant',
            cval=0.5,
        )
        np.testing.assert_allclose(warp(SQUARE, source, 0.5)[..., i], expected, atol=1e-5)


def test_gradients_through_warp_equal_finite_differences():
    smooth = jnp.asarray(ndimage.gaussian_filter(np.asarray(SQUARE), (2, 2, 0)))

    def loss(p):
        return (warp(smooth, matrix(p[0], p[1:3], 1 + p[3], p[4])) ** 2).sum()

    check_grads(loss, (jnp.array([0.31, 0.43, -0.27, 0.1, 0.05]),), 1, rtol=0.05)
    adjoint = jax.grad(lambda x: warp(x, matrix(0.3)).sum())(SQUARE)
    covered = warp(jnp.ones_like(SQUARE), matrix(0.3)).sum()
    assert float(adjoint.sum()) == pytest.approx(float(covered), 1e-4)


def test_resized_crop_of_a_ramp_is_linear():
    ramp = jnp.broadcast_to(jnp.arange(32.0)[:, None, None], (4, 32, 32, 1))
    crops = augment.resized_crop(ramp, KEYS[:4], 32, area=(0.3, 0.6))
    inner = np.diff(np.asarray(crops)[:, 2:-2], 2, axis=1)
    np.testing.assert_allclose(inner, 0, atol=1e-3)
    assert crops.min() >= 0
    assert crops.max() <= 31
    assert len(np.unique(crops[:, 0, 0, 0])) == 4


def test_resize_keeps_constants():
    np.testing.assert_allclose(augment.resize(jnp.full((1, 9, 7, 2), 0.3), (4, 11)), 0.3, rtol=1e-6)


def test_hue_equals_scikit_image():
    hsv = np.stack(color.rgb_to_hsv(IMAGES[0]), -1)
    np.testing.assert_allclose(hsv, rgb2hsv(np.asarray(IMAGES[0])), atol=1e-5)
    turned = rgb2hsv(np.asarray(IMAGES[0]))
    turned[..., 0] = (turned[..., 0] + 0.3) % 1
    np.testing.assert_allclose(color.adjust_hue(IMAGES[0], 0.3), hsv2rgb(turned), atol=1e-5)


def test_a_full_turn_of_hue_is_the_identity():
    np.testing.assert_allclose(color.adjust_hue(IMAGES[0], 1.0), IMAGES[0], atol=1e-5)


@pytest.mark.parametrize('channels', [1, 3])
def test_factors_of_zero_and_one(channels):
    image = IMAGES[0, ..., :channels]
    for adjust in (color.adjust_brightness, color.adjust_contrast, color.adjust_saturation):
        np.testing.assert_allclose(adjust(image, 1.0), image, atol=1e-6)
    assert np.all(color.adjust_brightness(image, 0.0) == 0)
    mean = color.luma(image).mean()
    np.testing.assert_allclose(color.adjust_contrast(image, 0.0), mean, rtol=1e-5)
    gray = color.adjust_saturation(image, 0.0)
    np.testing.assert_allclose(gray, np.broadcast_to(color.luma(image), image.shape), atol=1e-6)


def test_color_gradients_are_finite_at_gray():
    grad = jax.grad(lambda x: color.adjust_hue(x, 0.2).sum())(jnp.zeros((2, 2, 3)))
    assert np.all(np.isfinite(grad))


def test_noise_has_its_scale():
    gray = jnp.full((4, 64, 64, 3), 0.5)
    assert augment.noise(gray, KEYS[:4], 0.1).std() == pytest.approx(0.1, rel=0.02)


def test_cutout_fills_at_most_a_square():
    cut = augment.cutout(jnp.ones((6, 12, 10, 3)), KEYS, 5)
    missing = np.asarray((cut == 0).sum((1, 2, 3))) / 3
    assert missing.max() <= 25
    assert missing.min() >= 9  # centered inside, so at least a quarter of it


def test_rand_augment_operations():
    image = IMAGES[0]

    def apply(name, strength):
        return np.asarray(policy.apply(image, policy.OPERATIONS.index(name), jnp.float32(strength)))

    np.testing.assert_allclose(apply('rotate', 1.0), warp(image, matrix(np.pi / 6), 0.5), atol=1e-5)
    np.testing.assert_allclose(apply('brightness', -1.0), 0.1 * image, atol=1e-6)
    np.testing.assert_allclose(apply('posterize', 1.0), np.round(image * 15) / 15, atol=1e-6)
    np.testing.assert_allclose(apply('solarize', 1.0), np.where(image > 0, 1 - image, image))
    stretched = apply('autocontrast', 1.0)
    np.testing.assert_allclose(stretched.min((0, 1)), 0, atol=1e-6)
    np.testing.assert_allclose(stretched.max((0, 1)), 1, atol=1e-6)
    flat = np.sort(apply('equalize', 1.0)[..., 0].ravel())
    np.testing.assert_allclose(flat, (np.arange(120) + 0.5) / 120, atol=0.03)
    one, other = apply('shear_x', 0.5), apply('shear_y', 0.5)
    assert not np.allclose(one, other)
    for i, name in enumerate(policy.OPERATIONS[1:], 1):
        assert not np.allclose(policy.apply(image, i, jnp.float32(0.8)), image), name


def test_mixup_blends_neighbors_the_same_way_for_every_shard():
    labels = jax.nn.one_hot(jnp.arange(6), 6)
    images, mixed = augment.mixup(IMAGES, labels, KEYS, alpha=1.0)
    np.testing.assert_allclose(mixed.sum(1), 1, rtol=1e-6)
    share = np.diag(mixed)
    assert len(np.unique(share)) == 6
    expected = share[0] * IMAGES[0] + (1 - share[0]) * IMAGES[1]
    np.testing.assert_allclose(images[0], expected, atol=1e-6)
    half, _ = augment.mixup(IMAGES[2:4], labels[2:4], KEYS[2:4], alpha=1.0)
    np.testing.assert_allclose(half, images[2:4], atol=1e-6)
    with pytest.raises(UserError, match='even'):
        augment.mixup(IMAGES[:3], labels[:3], KEYS[:3])
