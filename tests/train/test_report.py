"""The page of a run: whole, self-contained, true to the numbers, and there at every moment."""

import base64
import json
import math
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
import small
from hypothesis import example, given
from hypothesis import strategies as st

from jaxcv.train import records
from jaxcv.train.config import complete, to_json
from jaxcv.train.records import Records
from jaxcv.train.report import axis, curves, gallery, sampling, text, write_report
from jaxcv.viz import Picture, Video

VOID = {'meta', 'input', 'img', 'wbr', 'link'}


class Page(HTMLParser):
    """The elements of a page; every one that opens must close, in order."""

    def __init__(self, workdir):
        super().__init__()
        self.workdir, self.open, self.elements, self.words = workdir, [], [], []
        self.feed((workdir / 'report.html').read_text())
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {'style', 'script'} & set(self.open):
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r'\s+', ' ', ' '.join(self.words))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page(workdir):
    write_report(workdir)
    return Page(workdir)


@pytest.fixture
def workdir(tmp_path):
    """A finished run of 100 steps."""
    workdir = tmp_path / 'a <b>run'
    workdir.mkdir()
    config = complete(small.config(steps=100))
    records.write_json(workdir / 'config.json', to_json(config))
    environment = {
        'command': "python -m x --note='<i>'",
        'python': '3.11',
        'versions': {'jax': '1'},
    }
    records.write_json(workdir / 'environment.json', environment)
    picture = Picture(np.zeros((8, 8, 1)), '<script>alert(1)</script>')
    with Records(workdir, step=0) as run:
        for step in range(1, 101):
            run.write(step, 'train', {'loss': 1 / step, 'lr': 0.1, 'odd': math.nan})
            if step % 25 == 0:
                accuracy = {25: 0.5, 50: 0.9375, 75: 0.25, 100: 0.75}[step]
                run.write(step, 'eval', {'accuracy': accuracy, 'val/<x>': -1.0})
            if step % 5 == 0:
                run.media(step, {'view': picture})
        run.media(100, {'film': Video(np.zeros((3, 16, 16, 3)))})
    result = {
        'status': 'finished',
        'step': 100,
        'metrics': {'accuracy': 0.75},
        'fingerprint': 'f00',
    }
    records.write_json(workdir / 'result.json', result)
    return workdir


def test_the_page_needs_nothing_else(workdir):
    found = page(workdir)
    for _, attributes in found.elements:
        for name in ('src', 'href', 'data', 'poster', 'srcset'):
            assert attributes.get(name, 'data:').startswith('data:')
    source = (workdir / 'report.html').read_text()
    assert '@import' not in source and 'url(' not in source and not found.all('link')
    assert set(re.findall(r'https?://[^\s\'"]+', source)) <= {'http://www.w3.org/2000/svg'}
    assert not [path for path in workdir.iterdir() if path.name.startswith('.')]


def test_what_users_wrote_is_not_markup(workdir):
    found = page(workdir)
    assert '<script>alert(1)</script>' in found.text and 'a <b>run' in found.text
    assert "--note='<i>'" in found.text and len(found.all('script')) == 1


def test_sections_and_figures(workdir):
    words = page(workdir).text
    for word in ('Final figures', 'Curves', 'Over training', 'Config', 'Environment', 'finished'):
        assert word in words
    assert 'Diagnostics' not in words
    assert '0.7500 highest 0.9375 at step 50' in words
    assert '100 steps' in words and 'f00' in words
    assert 'at their defaults' in words and 'eval_every' in words


def test_pictures_are_thinned_and_are_the_files(workdir):
    found = page(workdir)
    sources = [a['src'] for a in found.all('img')]
    assert len(sources) == gallery.PICTURES
    last = (workdir / 'media' / 'view' / '00000100.png').read_bytes()
    assert base64.b64decode(sources[-1].partition(',')[2]) == last
    (video,) = found.all('video')
    film = (workdir / 'media' / 'film' / '00000100.mp4').read_bytes()
    assert base64.b64decode(video['src'].partition(',')[2]) == film


def test_a_long_video_stays_beside_the_page(workdir, monkeypatch):
    monkeypatch.setattr(gallery, 'VIDEO_BYTES', 100)
    found = page(workdir)
    (link,) = found.all('a')
    assert not found.all('video') and (workdir / link['href']).exists()


def test_large_pictures_are_thinned_further(workdir, monkeypatch):
    size = (workdir / 'media' / 'view' / '00000100.png').stat().st_size
    monkeypatch.setattr(gallery, 'BYTES', 4 * size)
    assert len(page(workdir).all('img')) == 3
    monkeypatch.setattr(gallery, 'BYTES', 1)
    assert len(page(workdir).all('img')) == 1


def test_a_page_at_every_moment(tmp_path):
    assert 'Nothing has been recorded yet' in page(tmp_path).text
    records.write_json(tmp_path / 'config.json', to_json(complete(small.config())))
    with Records(tmp_path, step=0) as run:
        run.write(10, 'train', {'loss': math.nan})
        assert 'running' in page(tmp_path).text
        run.write(20, 'train', {'loss': 0.0})
        found = page(tmp_path)
    assert 'step 20 of 40' in found.text and len(found.all('circle')) == 1
    (tmp_path / 'metrics.jsonl').open('a').write('{"step": 30, "pha')
    (tmp_path / 'environment.json').write_text('{"half')
    records.write_json(tmp_path / 'result.json', {'status': 'diverged', 'step': 25, 'metrics': {}})
    assert 'no longer a number' in page(tmp_path).text


def test_diagnostics_in_words_and_bars(tmp_path):
    metrics = {f'diagnostics/grad_norm/Dense_{i}': 10.0 ** (i - 11) for i in range(12)}
    metrics |= {'diagnostics/dead/Activation_0': 0.0, 'diagnostics/dead/Activation_1': 1.0}
    with Records(tmp_path, step=0) as run:
        run.write(10, 'eval', metrics | {'diagnostics/grad_norm/Dense_12': math.inf})
    found = page(tmp_path)
    assert 'Activation_1 is dead' in found.text and 'Gradients vanish: Dense_0' in found.text
    assert 'Dense_12: the gradient is not finite' in found.text
    assert 'Curves' not in found.text and 'Final figures' not in found.text
    widths = [a['style'] for a in found.all('i')]
    assert widths[11:13] == ['width:100.0%', 'width:0.0%'] and widths[-1] == 'width:100.0%'


def test_long_runs_give_small_pages(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        json.dumps({'step': s, 'phase': 'train', 'time': s, 'loss': float(x), 'b': float(x)})
        for s, x in enumerate(rng.normal(size=20_000))
    ]
    (tmp_path / 'metrics.jsonl').write_text('\n'.join(rows))
    write_report(tmp_path)
    assert (tmp_path / 'report.html').stat().st_size < 60_000


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=500), st.integers(2, 40))
def test_downsampling_keeps_extremes_and_order(values, buckets):
    x, y = np.arange(len(values), dtype=float), np.array(values)
    a, b = sampling.downsample(x, y, buckets)
    assert len(a) <= 2 * buckets + 2 or len(a) == len(x) <= 2 * buckets
    assert b.min() == y.min() and b.max() == y.max()
    assert np.all(np.diff(a) > 0) and (a[0], a[-1]) == (x[0], x[-1])
    assert np.array_equal(y[a.astype(int)], b)


def test_downsampling_keeps_every_local_spike():
    x, y = np.arange(10_000.0), np.zeros(10_000)
    spikes = np.arange(50, 10_000, 100)
    y[spikes] = np.where(np.arange(100) % 2, 1, -1) * (1 + np.arange(100))
    a, b = sampling.downsample(x, y, 300)
    assert set(spikes) <= set(a.astype(int)) and np.count_nonzero(b) == 100


def test_smoothing_keeps_lines_and_takes_noise():
    x = np.arange(400.0)
    np.testing.assert_allclose(sampling.smooth(3 * x - 7), 3 * x - 7, atol=1e-8)
    noise = np.random.default_rng(0).normal(size=400)
    assert sampling.smooth(noise).std() < 0.3
    assert np.corrcoef(sampling.smooth(x**2 + noise), x**2)[0, 1] > 0.9999


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 8))
def test_ticks_are_even_and_inside(low, size, about):
    high = low + size
    if high - low < 1e-9 * max(abs(low), abs(high)):
        return
    ticks = np.array(axis.linear_ticks(low, high, about))
    assert about / 2 <= len(ticks) <= 2 * about
    assert ticks.min() >= low - 1e-6 * size and ticks.max() <= high + 1e-6 * size
    if len(ticks) > 2:
        np.testing.assert_allclose(np.diff(ticks), ticks[1] - ticks[0], rtol=1e-3)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60))
@example([5e-324, 1.7e308])
@example([-1.7e308, 1.7e308])
@example([0.0, 5e-324])
def test_every_series_can_be_drawn(values):
    series = (list(range(1, len(values) + 1)), values)
    drawing = curves.chart('m', len(values), series, series)
    numbers = re.findall(r'[\d.]+,[\d.]+', ' '.join(re.findall(r'points="([^"]*)"', drawing)))
    for point in numbers:
        x, y = map(float, point.split(','))
        assert 0 <= x <= curves.WIDTH and 0 <= y <= curves.HEIGHT
    assert 'nan' not in drawing


def test_decades_make_the_axis_logarithmic():
    assert 'data-scale="0,3,0,2,1"' in curves.chart(
        'm', 3, ([1, 2, 3], [1.0, 10.0, 100.0])
    ).replace('-0.1,2.1,1', '0,2,1')
    assert ',0"' in curves.chart('m', 3, ([1, 2, 3], [1.0, 10.0, 50.0]))


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (0.98611, '0.9861'), (12480.0, '12,480'), (3.2e-5, '3.2e-5'), (0.0, '0'), (1.0, '1'),
        (-0.5, '-0.5000'), (123.456, '123.5'), (1.5e9, '1.5e9'), (None, '–'), (math.nan, '–'),
    ],
)  # fmt: skip
def test_numbers_have_four_digits(value, expected):
    assert text.number(value) == expected


def test_short_numbers_and_durations():
    values = (0, 0.25, 300, 20_000, 1_500_000, 1e-4, -5e10, 2.5e-7)
    shorts = ['0', '0.25', '300', '20k', '1.5M', '1e-4', '-5e10', '2.5e-7']
    assert [text.short(value) for value in values] == shorts
    assert [text.duration(s) for s in (42, 200, 7500)] == ['42 s', '3 min 20 s', '2 h 05 min']


def test_thinning_keeps_both_ends():
    assert gallery.thin(list(range(100)), 4) == [0, 33, 66, 99]
    assert gallery.thin([1, 2, 3], 4) == [1, 2, 3] and gallery.thin([1, 2, 3], 1) == [3]


def test_wide_pictures_get_the_width_of_the_page(tmp_path):
    with Records(tmp_path, step=0) as run:
        run.media(
            1, {'plot': Picture(np.zeros((50, 1000, 3))), 'small': Picture(np.zeros((8, 8, 1)))}
        )
    kinds = [
        a['class'] for a in page(tmp_path).all('div') if a.get('class', '').startswith('film ')
    ]
    assert kinds == ['film wide']


def test_links_lead_to_their_files(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, 'VIDEO_BYTES', 0)
    with Records(tmp_path, step=0) as run:
        run.media(1, {'50% of #1?': Video(np.zeros((2, 16, 16, 1)))})
    (link,) = page(tmp_path).all('a')
    assert (tmp_path / unquote(link['href'])).exists() and not {'#', '?'} & set(link['href'])


def test_training_has_final_figures_where_only_diagnostics_are_evaluated(tmp_path):
    with Records(tmp_path, step=0) as run:
        run.write(1, 'train', {'loss': 0.5})
        run.write(1, 'eval', {'diagnostics/dead/a': math.nan})
    assert 'Final figures loss 0.5' in page(tmp_path).text


def test_the_time_between_two_sessions_is_not_training(tmp_path):
    def session(start, *ends):
        (tmp_path / 'tensorboard').mkdir(exist_ok=True)
        (tmp_path / 'tensorboard' / f'events.out.tfevents.{start:.6f}').touch()
        return [{'step': int(end), 'phase': 'train', 'time': end, 'loss': 1.0} for end in ends]

    rows = session(1000.0, 1005.0, 1020.0) + session(90_000.0) + session(500_000.0, 500_040.0)
    assert records.seconds(tmp_path, rows) == 20 + 40
    (tmp_path / 'tensorboard' / 'events.out.tfevents.1.of-another-program').touch()
    assert records.seconds(tmp_path, rows) == 20 + 40
    assert records.seconds(tmp_path / 'elsewhere', rows[:2]) == 15
    assert records.seconds(tmp_path, []) == 0
