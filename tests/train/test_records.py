"""Records that survive crashes and that other programs can read."""

import json
import math
import struct

import numpy as np
import pytest

from jaxcv.errors import UserError
from jaxcv.train import records
from jaxcv.train.events import PREFIX
from jaxcv.train.records import Records
from jaxcv.viz import Picture, Video


def lines(workdir):
    return [
        json.loads(line, parse_constant=pytest.fail)
        for line in (workdir / 'metrics.jsonl').read_text().splitlines()
    ]


def events(workdir):
    """Every event of every file, by tensorboardX's protocol buffers and this test's framing."""
    event_pb2 = pytest.importorskip('tensorboardX.proto.event_pb2')
    found = []
    for path in sorted((workdir / 'tensorboard').iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack('<Q', data[:8])
            found.append(event_pb2.Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


def test_one_json_object_a_line(tmp_path):
    with Records(tmp_path, step=0) as run:
        run.write(5, 'train', {'loss': np.float32(0.5), 'odd': float('nan')})
        run.write(10, 'eval', {'accuracy': np.float64(0.75), 'far': -math.inf, 'count': 3})
    first, second = lines(tmp_path)
    assert {k: first[k] for k in ('step', 'phase', 'loss', 'odd')} == {
        'step': 5, 'phase': 'train', 'loss': 0.5, 'odd': None,
    }  # fmt: skip
    assert second['accuracy'] == 0.75 and second['far'] is None and second['count'] == 3
    assert abs(second['time'] - first['time']) < 60


def test_series_leave_out_what_is_missing():
    rows = [
        {'step': 1, 'phase': 'train', 'time': 0.0, 'loss': 2.0, 'odd': None},
        {'step': 1, 'phase': 'eval', 'time': 0.0, 'loss': 9.0},
        {'step': 2, 'phase': 'train', 'time': 1.0, 'loss': 1.0, 'odd': 4.0},
    ]
    assert records.series(rows, 'train') == {'loss': ([1, 2], [2.0, 1.0]), 'odd': ([2], [4.0])}
    assert records.series(rows, 'eval') == {'loss': ([1], [9.0])}


def test_the_clock_stands_still_while_a_run_is_evaluated(tmp_path):
    """And between an interruption and the resumption."""
    rows = [
        {'step': 1, 'phase': 'train', 'time': 10.0},
        {'step': 2, 'phase': 'train', 'time': 13.0},
        {'step': 2, 'phase': 'eval', 'time': 18.0},
        {'step': 3, 'phase': 'train', 'time': 22.0},
    ]
    assert records.clock(tmp_path, rows) == [0.0, 3.0, 3.0, 7.0]
    # It began 1 second before the first row, and again 2 before the last.
    (tmp_path / 'tensorboard').mkdir()
    for start in (9.0, 20.0):
        (tmp_path / 'tensorboard' / f'{PREFIX}{start}').touch()
    assert records.clock(tmp_path, rows) == [1.0, 4.0, 4.0, 6.0]


def test_a_half_written_last_line_is_left_out_and_repaired(tmp_path):
    with Records(tmp_path, step=0) as run:
        for step in (1, 2, 3):
            run.write(step, 'train', {'loss': 1.0})
    file = tmp_path / 'metrics.jsonl'
    file.write_text(file.read_text()[:-7])
    assert [row['step'] for row in records.read(tmp_path)] == [1, 2]
    with Records(tmp_path, step=2) as run:
        run.write(3, 'train', {'loss': 0.5})
    assert [(row['step'], row['loss']) for row in lines(tmp_path)] == [(1, 1), (2, 1), (3, 0.5)]


def test_resuming_drops_what_came_after(tmp_path):
    with Records(tmp_path, step=0) as run:
        for step in range(10, 60, 10):
            run.write(step, 'train', {'loss': step})
            run.write(step, 'eval', {'loss': -step})
    with Records(tmp_path, step=30) as run:
        run.write(40, 'train', {'loss': 4.0})
    found = [(row['step'], row['phase']) for row in lines(tmp_path)]
    assert found == [(s, p) for s in (10, 20, 30) for p in ('train', 'eval')] + [(40, 'train')]
    purge = [event.step for event in events(tmp_path) if event.session_log.status == 1]
    assert purge == [1, 31]  # TensorBoard drops what earlier files hold from this step on


def test_tensorboard_files_hold_the_scalars(tmp_path):
    with Records(tmp_path, step=0) as run:
        run.write(300, 'train', {'loss': 0.25, 'größe': 1e300})
        run.write(2**40, 'eval', {'accuracy': -2.0, 'odd': math.nan})
        found = events(tmp_path)  # before it is closed: a crash loses nothing
    scalars = {
        (event.step, value.tag): value.simple_value
        for event in found
        for value in event.summary.value
    }
    assert math.isnan(scalars.pop((2**40, 'eval/odd')))
    assert scalars == {
        (300, 'train/loss'): 0.25,
        (300, 'train/größe'): math.inf,
        (2**40, 'eval/accuracy'): -2.0,
    }
    assert found[0].file_version == 'brain.Event:2'


def test_checksums_are_those_of_tfrecord(tmp_path):
    crc32c = pytest.importorskip('tensorboardX.crc32c')
    with Records(tmp_path, step=0) as run:
        run.write(1, 'train', {'loss': 0.25})
    (path,) = (tmp_path / 'tensorboard').iterdir()
    data, count = path.read_bytes(), 0
    while data:
        (length,) = struct.unpack('<Q', data[:8])
        for start, end in ((0, 8), (12, 12 + length)):
            crc = crc32c.crc32c(data[start:end])
            masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
            assert struct.unpack('<I', data[end : end + 4]) == (masked,)
        data, count = data[16 + length :], count + 1
    assert count == 3


def test_a_metric_may_not_be_called_step(tmp_path):
    with Records(tmp_path, step=0) as run, pytest.raises(UserError, match="'step'"):
        run.write(1, 'train', {'step': 3.0})


def test_media_and_their_captions(tmp_path):
    picture = Picture(np.zeros((4, 4, 3)), 'a "black" square')
    with Records(tmp_path, step=0) as run:
        run.media(10, {'square': picture, 'a/film': Video(np.zeros((2, 16, 16, 1)), caption='b')})
        run.media(20, {'square': picture})
    captions = json.loads((tmp_path / 'media' / 'index.json').read_text())
    assert captions == {
        'square/00000010.png': 'a "black" square',
        'a/film/00000010.mp4': 'b',
        'square/00000020.png': 'a "black" square',
    }
    assert all((tmp_path / 'media' / path).stat().st_size for path in captions)
    assert not list((tmp_path / 'media').rglob('.*'))


def test_a_text_is_replaced_at_once(tmp_path):
    file = tmp_path / 'a.json'
    records.write_json(file, {'a': 1})
    with open(file) as reader:
        records.write_json(file, {'a': 2})
        assert json.load(reader) == {'a': 1}  # who reads keeps the whole old file
    assert json.loads(file.read_text()) == {'a': 2}
    assert [path.name for path in tmp_path.iterdir()] == ['a.json']


def test_tensorboard_shows_the_pictures(tmp_path):
    picture = Picture(np.linspace(0, 1, 300 * 400).reshape(300, 400, 1))
    with Records(tmp_path, step=0) as run:
        run.media(7, {'a': picture, 'film': Video(np.zeros((2, 300, 256, 1)))})
        run.media(8, {'long': Video(np.zeros((70, 16, 16, 1)))})
    found = [(e.step, v.tag, v.image) for e in events(tmp_path) for v in e.summary.value]
    assert [(step, tag, image.width, image.height) for step, tag, image in found] == [
        (7, 'media/a', 400, 300),
        (7, 'media/film', 256, 300),
    ]
    for image, file in zip(
        (x[2] for x in found), ('a/00000007.png', 'film/00000007.gif'), strict=True
    ):
        assert image.encoded_image_string == (tmp_path / 'media' / file).read_bytes()
