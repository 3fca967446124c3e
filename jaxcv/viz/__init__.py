"""What a person looks at: pictures and videos as arrays, and their files."""

from jaxcv.viz.figures import figure, new_figure
from jaxcv.viz.files import save
from jaxcv.viz.media import Media, Picture, Video
from jaxcv.viz.pictures import curves, rows, sweep, titled
from jaxcv.viz.pixels import colorize, encode_png, enlarge, grid, to_uint8
from jaxcv.viz.views import compared

__all__ = [
    'Media', 'Picture', 'Video', 'colorize', 'compared', 'curves', 'encode_png', 'enlarge',
    'figure', 'grid', 'new_figure', 'rows', 'save', 'sweep', 'titled', 'to_uint8',
]  # fmt: skip
