"""Pixels to bytes and files, read back by other programs."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcv.errors import UserError
from jaxcv.viz import Picture, Video, colorize, encode_png, enlarge, figure, grid, save, to_uint8

# imageio_ffmpeg's reader forks, of which JAX warns.
FORKS = pytest.mark.filterwarnings('ignore:os.fork')


def read_video(path):
    import imageio_ffmpeg

    frames = imageio_ffmpeg.read_frames(str(path))
    width, height = next(frames)['size']
    return np.stack([np.frombuffer(f, np.uint8).reshape(height, width, 3) for f in frames])


def test_floats_are_rounded_and_clipped():
    values = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, np.nan, np.inf, -np.inf])
    assert to_uint8(values).tolist() == [0, 0, 128, 255, 255, 0, 255, 0]
    assert to_uint8(np.array([True, False])).tolist() == [255, 0]
    assert to_uint8(np.array([-3, 7, 300])).tolist() == [0, 7, 255]


def test_every_byte_survives_the_way_through_floats():
    bytes_ = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_uint8(bytes_ / 255), bytes_)
    assert np.array_equal(to_uint8((bytes_ / 255).astype(np.float32)), bytes_)


@given(st.integers(1, 13), st.one_of(st.none(), st.integers(1, 15)), st.integers(0, 3))
def test_a_grid_holds_every_image_in_order(n, columns, pad):
    images = np.random.default_rng(n).integers(0, 255, (n, 3, 5, 2), dtype=np.uint8)
    sheet = grid(images, columns, pad)
    across = (sheet.shape[1] + pad) // (5 + pad)
    for i, image in enumerate(images):
        y, x = i // across * (3 + pad), i % across * (5 + pad)
        assert np.array_equal(sheet[y : y + 3, x : x + 5], image)
    assert sheet.shape[0] == -(-n // across) * (3 + pad) - pad
    assert columns is None or across == min(columns, n)


def test_what_is_between_images_is_white():
    assert (grid(np.zeros((3, 2, 2, 1)), 2, pad=1) == 1).sum() == 5 + 5 - 1 + 4
    assert (grid(np.zeros((3, 2, 2, 1), np.uint8), 2, pad=1) == 255).sum() == 13


def test_enlarging_repeats_pixels():
    pixels = np.random.default_rng(0).random((2, 5, 9, 3))
    large = enlarge(pixels, 20)
    assert large.shape == (2, 15, 27, 3) and np.array_equal(large[:, ::3, ::3], pixels)
    assert enlarge(pixels, 9) is pixels


@pytest.mark.parametrize('channels', [1, 3])
def test_png_round_trip(channels):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (7, 11, channels), dtype=np.uint8)
    back = np.asarray(Image.open(io.BytesIO(encode_png(pixels)))).reshape(7, 11, channels)
    assert np.array_equal(back, pixels)


def test_a_picture_becomes_a_large_png(tmp_path):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (10, 20, 3), dtype=np.uint8)
    path = save(Picture(pixels), tmp_path / 'new' / 'a.b')
    assert path == tmp_path / 'new' / 'a.b.png'
    back = np.asarray(Image.open(path))
    assert back.shape == (130, 260, 3) and np.array_equal(back[::13, ::13], pixels)


@FORKS
def test_a_video_can_be_played(tmp_path):
    rng = np.random.default_rng(0)
    small = rng.random((12, 3, 5, 3))  # 5 x 3 becomes 260 x 156
    path = save(Video(small, fps=6), tmp_path / 'film')
    frames = read_video(path)
    assert frames.shape == (12, 156, 260, 3)
    error = np.abs(frames[:, 26::52, 26::52] / 255 - small).mean()
    assert error < 0.15 < np.abs(frames[::-1, 26::52, 26::52] / 255 - small).mean()
    from PIL import Image

    animation = Image.open(tmp_path / 'film.gif')
    assert animation.n_frames == 12 and animation.size == (260, 156)


@FORKS
def test_odd_sides_are_padded_and_long_videos_have_no_gif(tmp_path):
    path = save(Video(np.zeros((70, 257, 301, 1), np.uint8)), tmp_path / 'film')
    assert read_video(path).shape == (70, 258, 302, 3)
    assert [file.name for file in tmp_path.iterdir()] == ['film.mp4']


@pytest.mark.parametrize(
    'media',
    [Picture(np.zeros((4, 4))), Picture(np.zeros((4, 4, 2))), Video(np.zeros((4, 4, 3))),
     Picture(np.zeros((0, 4, 3))), np.zeros((4, 4, 3))],
)  # fmt: skip
def test_what_is_not_media_is_named(tmp_path, media):
    with pytest.raises(UserError, match='samples'):
        save(media, tmp_path / 'samples' / '1')


def test_a_figure_becomes_a_picture():
    from matplotlib.figure import Figure

    fig = Figure(figsize=(3, 2), dpi=100, facecolor='red')
    picture = figure(fig, 'red')
    assert picture.pixels.shape == (200, 300, 3) and picture.caption == 'red'
    assert (picture.pixels == (255, 0, 0)).all()


def test_colors_span_the_map():
    import matplotlib

    values = np.array([[0.0, 5.0, 10.0], [np.nan, -5.0, np.inf]])
    colors = colorize(values, 0, 10, 'magma')
    cmap = matplotlib.colormaps['magma']
    np.testing.assert_allclose(colors[0], [cmap(x)[:3] for x in (0.0, 0.5, 1.0)], atol=1e-6)
    np.testing.assert_allclose(colors[1], [[0.5] * 3, cmap(0.0)[:3], cmap(1.0)[:3]], atol=1e-6)
    assert np.array_equal(colorize(values[0]), colorize(values[0], 0, 10))
    assert colorize(np.full(3, np.nan)).shape == colorize(np.ones(3)).shape == (3, 3)
