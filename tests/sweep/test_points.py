"""Sweeps: what is written means which points, and what they are called."""

import csv
import io
import itertools
import json
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcv.errors import UserError
from jaxcv.sweep import points as sweep
from jaxcv.sweep import table
from jaxcv.sweep.points import Axis, Interval, expand, parse, points, title, values
from jaxcv.train.better import direction

CONFIG = """
import ml_collections

def get_config():
    return ml_collections.ConfigDict({
        'experiment': 'small', 'model': {'name': 'mlp', 'widths': (8, 8)},
    })
"""


@pytest.fixture
def config(tmp_path):
    file = tmp_path / 'small.py'
    file.write_text(CONFIG)
    return str(file)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('1e-3,3e-4', ('1e-3', '3e-4')),
        ('cnn, mlp', ('cnn', 'mlp')),
        ('0:3', (0, 1, 2)),
        (':2', (0, 1)),
        ('8:0:-4', (8, 4)),
        ('5,0:2', ('5', 0, 1)),
        ('(1,2),(3,4)', ('(1,2)', '(3,4)')),
        ('[(1,2),3],[]', ('[(1,2),3]', '[]')),
        ("'a,b',c", ("'a,b'", 'c')),
        ('choice(4:6)', (4, 5)),
        ('configs/a.py:big', ('configs/a.py:big',)),
        ('log(1e-4,1e-2)', Interval(1e-4, 1e-2, log=True)),
        ('uniform(0,1)', Interval(0, 1)),
    ],
)
def test_values(text, expected):
    assert values(text) == expected


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('optim.lr', 'field=a,b,c'),
        ('optim.lr=', 'empty value'),
        ('optim.lr=1,,2', 'empty value'),
        ('optim.lr=(1,2', r'closing \)'),
        ('seed=4:0', 'range 4:0 is empty'),
        ('optim.lr=log(0,1)', '0 < low < high'),
        ('optim.lr=uniform(1)', r'uniform\(low,high\)'),
        ('missing.py', 'does not exist'),
    ],
)
def test_what_cannot_be_read_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        parse(text)


def test_a_file_holds_axes_or_points(tmp_path):
    axes, listed = tmp_path / 'axes.py', tmp_path / 'points.py'
    axes.write_text("SWEEP = {'optim.lr': (1e-3, 3e-4), 'seed': range(2), 'model.name': 'a,b'}")
    listed.write_text("SWEEP = [{'optim.lr': 1.0}, {'optim.lr': 2.0, 'train.steps': 5}]")
    assert len(expand(parse(str(axes)))) == 8
    assert expand(parse(str(axes)))[0] == {'optim.lr': 1e-3, 'seed': 0, 'model.name': 'a'}
    assert expand(parse(str(listed)) + parse('seed=0,1'))[-1] == {
        'optim.lr': 2.0,
        'train.steps': 5,
        'seed': '1',
    }


@given(st.lists(st.lists(st.integers(), min_size=1, max_size=4), min_size=1, max_size=3))
def test_a_grid_is_the_product_of_its_axes(lists):
    parts = [Axis(f'f{i}', tuple(found)) for i, found in enumerate(lists)]
    expected = [tuple(choice) for choice in itertools.product(*lists)]
    assert [tuple(point.values()) for point in expand(parts)] == expected


def test_draws_are_stable_and_within_their_bounds():
    parts = [*parse('optim.lr=log(1e-4,1e-2)'), *parse('ema=uniform(0.5,0.9)'), *parse('seed=0:2')]
    drawn = expand(parts, draws=200)
    assert len(drawn) == 400 and [point['seed'] for point in drawn[:4]] == [0, 1, 0, 1]
    rates = [point['optim.lr'] for point in drawn[::2]]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert abs(statistics.fmean(map(math.log10, rates)) + 3) < 0.15  # the middle of the decades
    assert all(0.5 <= point['ema'] <= 0.9 for point in drawn)
    assert expand(parts, draws=300)[:400] == drawn, 'more draws extend a sweep'
    other = expand([*parts, *parse('name=a,b')], draws=200)
    assert [point['optim.lr'] for point in other[::2]] == rates, 'a new axis changes no other'
    assert expand(parts, draws=200, seed=1) != drawn


def test_an_interval_needs_draws_and_draws_need_an_axis():
    with pytest.raises(UserError, match='--random=K'):
        expand(parse('optim.lr=uniform(0,1)'))
    with pytest.raises(UserError, match='nothing to draw'):
        expand(parse('seed=0:3'), draws=4)
    with pytest.raises(UserError, match='swept twice'):
        expand(parse('seed=0:3') + parse('config.seed=1'))


def test_points_have_typed_values_and_appear_once(config):
    found = points(config, expand(parse('seed=0:2') + parse('optim.lr=1e-3,0.001')), {})
    assert [point.name for point in found] == ['optim.lr=0.001,seed=0', 'optim.lr=0.001,seed=1']
    assert found[1].config.seed == 1 and found[1].config.optim.lr == 0.001
    assert sweep.flags(found[0].fields) == ['--config.optim.lr=0.001', '--config.seed=0']


def test_tuples_arrive_whole(config):
    found = points(config, expand(parse('optim.milestones=(1,2),(3,)')), {'train.steps': '7'})
    assert [point.config.optim.milestones for point in found] == [(1, 2), (3,)]
    assert all(point.config.train.steps == 7 for point in found)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('optim.lrr=1', "config.optim is 'lrr'.*did you mean 'lr'"),
        ('seeds=0:3', "'seeds'.*did you mean 'seed'"),
        ('train.steps=a,b', "config.train.steps is 'a'.*type int"),
        ('optim.lr=1', r'both swept and given as --config.optim.lr'),
    ],
)
def test_mistakes_are_refused_with_their_field(config, text, message):
    with pytest.raises(UserError, match=message):
        points(config, expand(parse(text)), {'optim.lr': '1.0'})


@given(st.dictionaries(st.sampled_from('abc'), st.text() | st.floats() | st.integers(), min_size=1))
def test_names_are_safe(fields):
    name = title(fields)
    assert 0 < len(name) <= sweep.LONGEST
    assert not set(name) - set(
        'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._=,+-'
    )


@given(st.text(), st.text())
def test_names_differ_where_values_do(a, b):
    assert (title({'f': a}) == title({'f': b})) == (a == b)


def run(workdir, point, status='finished', step=1000, **metrics):
    directory = workdir / point.name
    directory.mkdir()
    result = {'status': status, 'step': step, 'metrics': metrics}
    (directory / 'result.json').write_text(json.dumps(result))


def test_the_table_groups_seeds_and_ranks(config, tmp_path):
    found = points(config, expand(parse('optim.lr=1e-3,3e-3') + parse('seed=0:3')), {})
    scores = [0.1, 0.2, 0.3, 0.5, 0.7, None]
    for point, score in zip(found[:5], scores, strict=False):
        run(tmp_path, point, accuracy=score, **{'train/accuracy': 1.0})
    rows = [table.read(point, tmp_path / point.name, 2.0) for point in found[:5]]
    rows.append(table.read(found[5], tmp_path / found[5].name, 1.0, 'out of memory'))
    assert [row.status for row in rows] == ['finished'] * 5 + ['failed']
    assert table.preferred(rows) == 'accuracy'
    lines = table.to_markdown(rows, 'accuracy', 'max').splitlines()
    best, second = lines[4], lines[5]
    assert ' '.join(best.split()) == '| 0.003 | 0.6 ± 0.14 | 2 of 3 | best |'
    assert ' '.join(second.split()) == '| 0.001 | 0.2 ± 0.1 | 3 of 3 | |'
    assert 'out of memory' in lines[-2] and 'train/accuracy' not in '\n'.join(lines)
    assert '0.001' in table.to_markdown(rows, 'accuracy', 'min').splitlines()[4]
    read = list(csv.DictReader(io.StringIO(table.to_csv(rows))))
    assert [row['accuracy'] for row in read] == ['0.1', '0.2', '0.3', '0.5', '0.7', '']
    assert read[0]['train/accuracy'] == '1.0' and read[5]['error'] == 'out of memory'
    assert [row['seed'] for row in read] == ['0', '1', '2'] * 2


def test_a_run_that_is_to_go_further_is_not_finished(config, tmp_path):
    (point,) = points(config, expand(parse('train.steps=2000')), {})
    run(tmp_path, point, step=1000)
    assert table.read(point, tmp_path / point.name).status == 'interrupted'
    point.config.train.early_stop = 'loss'
    assert table.read(point, tmp_path / point.name).status == 'finished'


def test_less_is_better_for_losses():
    assert [direction(m) for m in ('loss', 'test/frechet', 'accuracy')] == [
        'min',
        'min',
        'max',
    ]
