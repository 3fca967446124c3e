"""The same page from a server on this machine, which shows the scene as it becomes another."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import quote

from jaxcv.errors import UserError
from jaxcv.splat.gaussians import Gaussians
from jaxcv.splat.viewer.pack import pack

HOST = '127.0.0.1'  # nobody else's business
SOURCE = '/scene'


class Source(NamedTuple):
    """A scene that changes.

    tag   tells one scene from another, in words that the page shows ('step 300')
    load  the scene there is now: its tag, and itself
    """

    tag: Callable[[], str]
    load: Callable[[], tuple[str, Gaussians]]


class Packed:
    """The bytes of a source's latest scene, made once for each."""

    def __init__(self, source: Source):
        self.source = source
        self.tag, self.bytes = '', b''
        self.lock = threading.Lock()

    def latest(self) -> tuple[str, bytes]:
        with self.lock:
            if self.tag != self.source.tag():
                tag, gaussians = self.source.load()
                self.bytes, self.tag = pack(gaussians), tag
            return self.tag, self.bytes


def server(page: str, source: Source, port: int) -> ThreadingHTTPServer:
    """A server of the page at / and of the scene at /scene; port 0 takes any that is free.

    The scene's ETag is that of the source; a request that names it is answered with 304.
    """
    packed = Packed(source)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_GET(self):
            if self.path == '/':
                self.reply(200, page.encode(), 'text/html; charset=utf-8')
            elif self.path == SOURCE:
                self.scene()
            else:
                self.reply(404, b'there is / and /scene')

        def scene(self):
            try:
                tag, found = packed.latest()
            except UserError as error:
                self.reply(503, str(error).encode())
                return
            words = quote(tag)
            if self.headers.get('If-None-Match') == f'"{words}"':
                self.reply(304)
            else:
                told = {'ETag': f'"{words}"', 'X-Told': words}
                self.reply(200, found, 'application/octet-stream', told)

        def reply(self, status, body=b'', kind='text/plain; charset=utf-8', headers=None):
            self.send_response(status)
            named = {'Content-Type': kind, 'Content-Length': len(body), 'Cache-Control': 'no-store'}
            for name, value in {**named, **(headers or {})}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            """Nothing: it polls every second."""

    try:
        made = ThreadingHTTPServer((HOST, port), Handler)
    except (OSError, OverflowError) as error:
        raise UserError(
            f'port {port} of {HOST} cannot be listened to ({error}): choose another --port'
        ) from error
    made.daemon_threads = True
    return made
