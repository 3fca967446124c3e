"""Looking at a scene of Gaussians in a browser.

pack    the scene as bytes
start   where one begins to look from
page    one file that shows it, without a server or a network
server  the same page, of a scene that is being trained
assets  what the page is made of: WebGL 2, and a worker that sorts
"""

from jaxcv.splat.viewer.pack import pack
from jaxcv.splat.viewer.page import assemble, page
from jaxcv.splat.viewer.server import SOURCE, Source, server
from jaxcv.splat.viewer.start import framing, start

__all__ = ['SOURCE', 'Source', 'assemble', 'framing', 'pack', 'page', 'server', 'start']
