"""Schedules: their formulas, and torch's schedulers."""

import warnings

import numpy as np
import pytest
from jax import numpy as jnp

from jaxcv.errors import UserError
from jaxcv.train.schedule import schedule

STEPS = 50
CASES = [
    {'name': 'constant'},
    {'name': 'cosine', 'end': 0.1},
    {'name': 'linear', 'end': 0.2},
    {'name': 'step', 'every': 7, 'gamma': 0.5},
    {'name': 'multistep', 'milestones': (5, 5, 30), 'gamma': 0.3},
]


def names(cases):
    return [case['name'] for case in cases]


@pytest.mark.parametrize('case', CASES, ids=names(CASES))
@pytest.mark.parametrize('warmup', [0, 10])
def test_ends_and_warmup(case, warmup):
    rate = schedule(2.0, steps=STEPS, warmup=warmup, **case)
    first = [float(rate(t)) for t in range(warmup + 1)]
    if case['name'] in ('constant', 'cosine', 'linear'):
        np.testing.assert_allclose(first, 2.0 * np.arange(1, warmup + 2) / (warmup + 1), rtol=1e-6)
    last = {'constant': 1, 'cosine': 0.1, 'linear': 0.2, 'step': 0.5**7, 'multistep': 0.3**3}
    for t in (STEPS, STEPS + 5):
        np.testing.assert_allclose(rate(t), 2.0 * last[case['name']], rtol=1e-5)
    assert first[0] > 0


@pytest.mark.parametrize('case', CASES, ids=names(CASES))
def test_an_array_of_steps_is_each_step(case):
    rate = schedule(0.3, steps=STEPS, warmup=4, **case)
    t = jnp.arange(STEPS)
    assert rate(0).dtype == rate(t).dtype == jnp.float32
    np.testing.assert_allclose(rate(t), [rate(i) for i in range(STEPS)], rtol=1e-6)


def test_cosine_is_halfway_at_half_time():
    rate = schedule(1.0, name='cosine', steps=110, warmup=10, end=0.5)
    assert float(rate(60)) == pytest.approx(0.75)


def test_decays_happen_at_their_step():
    rate = schedule(1.0, name='multistep', steps=9, milestones=(3, 5), gamma=0.5)
    assert [float(rate(t)) for t in range(7)] == [1, 1, 1, 0.5, 0.5, 0.25, 0.25]
    rate = schedule(1.0, name='step', steps=9, every=2, gamma=0.5)
    assert [float(rate(t)) for t in range(5)] == [1, 1, 0.5, 0.5, 0.25]


def test_mistakes():
    with pytest.raises(UserError, match=r"optim.schedule is 'cosin'.*did you mean 'cosine'"):
        schedule(1.0, name='cosin', steps=5)
    with pytest.raises(UserError, match=r'warmup is -1, but must not be negative'):
        schedule(1.0, name='cosine', steps=5, warmup=-1)
    with pytest.raises(UserError, match='every'):
        schedule(1.0, name='step', steps=5)
    with pytest.raises(UserError, match='milestones'):
        schedule(1.0, name='multistep', steps=5)


def test_a_run_shorter_than_its_warmup_ends_on_the_way_up():
    rate = schedule(1.0, name='cosine', steps=5, warmup=9)
    np.testing.assert_allclose([rate(t) for t in range(5)], np.arange(1, 6) / 10, rtol=1e-6)


@pytest.mark.oracles
@pytest.mark.parametrize('case', CASES, ids=names(CASES))
@pytest.mark.parametrize('warmup', [0, 6])
def test_equals_torch(case, warmup):
    torch = pytest.importorskip('torch')
    from torch.optim import lr_scheduler as torch_schedules

    lr, rest = 0.3, STEPS - warmup
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)
    shift = warmup  # torch's sequence restarts the count after the warm-up; ours goes on
    shapes = {
        'constant': lambda: torch_schedules.ConstantLR(optimizer, 1.0),
        'cosine': lambda: torch_schedules.CosineAnnealingLR(optimizer, rest, eta_min=0.1 * lr),
        'linear': lambda: torch_schedules.LinearLR(optimizer, 1.0, 0.2, rest),
        'step': lambda: torch_schedules.StepLR(optimizer, 7, 0.5),
        'multistep': lambda: torch_schedules.MultiStepLR(optimizer, [5, 5, 30], 0.3),
    }
    if case['name'] in ('step', 'multistep'):  # shaped from the first step: a product
        parts = [shapes[case['name']]()]
        if warmup:
            parts.append(torch_schedules.LinearLR(optimizer, 1 / (warmup + 1), 1.0, warmup))
        peer = torch_schedules.ChainedScheduler(parts, optimizer)
    elif warmup:
        rise = torch_schedules.LinearLR(optimizer, 1 / (warmup + 1), 1.0, warmup)
        peer = torch_schedules.SequentialLR(optimizer, [rise, shapes[case['name']]()], [shift])
    else:
        peer = shapes[case['name']]()
    expected = []
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for _ in range(STEPS):
            expected.append(optimizer.param_groups[0]['lr'])
            optimizer.step()
            peer.step()
    rate = schedule(lr, steps=STEPS, warmup=warmup, **case)
    np.testing.assert_allclose(rate(jnp.arange(STEPS)), expected, rtol=2e-5, atol=1e-7)
