"""Pages and scenes over HTTP, on this machine alone."""

import http.client
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jaxcv.errors import UserError
from jaxcv.splat import Gaussians, viewer


def scene(count):
    zeros = np.zeros((count, 4), np.float32)
    return Gaussians(zeros[:, :3], zeros[:, :3], zeros, zeros[:, 0], zeros[:, None, :3])


class Training:
    """A scene of as many Gaussians as there were steps."""

    def __init__(self):
        self.step, self.loads, self.damaged = 1, 0, False

    def tag(self):
        return f'step {self.step}'

    def load(self):
        if self.damaged:
            raise UserError('it is damaged')
        self.loads += 1
        return self.tag(), scene(self.step)


@pytest.fixture
def training():
    return Training()


@pytest.fixture
def get(training):
    with viewer.server('<p>déjà vu', viewer.Source(training.tag, training.load), 0) as server:
        assert server.server_address[0] == '127.0.0.1'
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def get(path, tag=''):
            connection = http.client.HTTPConnection(*server.server_address, timeout=10)
            connection.request('GET', path, headers={'If-None-Match': tag})
            reply = connection.getresponse()
            body = reply.read()
            connection.close()
            return reply.status, body, reply.headers

        get.port = server.server_port
        yield get
        server.shutdown()


def test_the_page(get):
    status, body, headers = get('/')
    assert (status, body.decode()) == (200, '<p>déjà vu')
    assert headers['Content-Type'] == 'text/html; charset=utf-8'
    assert get('/etc/passwd')[:2] == (404, b'there is / and /scene')


def test_the_scene_is_sent_when_it_is_another(get, training):
    status, body, headers = get('/scene')
    assert status == 200 and body == viewer.pack(scene(1))
    assert headers['ETag'] == '"step%201"' and headers['X-Told'] == 'step%201'
    assert get('/scene', headers['ETag'])[:2] == (304, b'')
    training.step = 7
    status, body, headers = get('/scene', headers['ETag'])
    assert status == 200 and body == viewer.pack(scene(7))
    assert get('/scene', headers['ETag'])[0] == 304 and training.loads == 2


def test_it_is_packed_once_for_all(get, training):
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: get('/scene')[1], range(16)))
    assert set(replies) == {viewer.pack(scene(1))} and training.loads == 1


def test_what_goes_wrong_is_told_and_passes(get, training):
    training.damaged = True
    assert get('/scene')[:2] == (503, b'it is damaged')
    training.damaged = False
    assert get('/scene')[0] == 200


def test_a_port_that_is_taken(get, training):
    source = viewer.Source(training.tag, training.load)
    with pytest.raises(UserError, match=rf'port {get.port} .* choose another --port'):
        viewer.server('', source, get.port)
    with pytest.raises(UserError, match='port 99999'):
        viewer.server('', source, 99999)
