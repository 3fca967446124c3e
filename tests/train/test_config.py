"""Configs: what is filled in, what is refused, and in which words."""

import ml_collections
import pytest

from jaxcv.errors import UserError, construct
from jaxcv.train import config as configs

FILE = """
import ml_collections

VARIANTS = {'long': {'train.steps': 500, 'model.width': 9}}


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'recognition'
    config.model = {'name': 'cnn'}
    config.data = {'name': 'digits'}
    config.optim = {'lr': 1e-2}
    config.train = {'steps': 40}
    return config
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / 'small.py'
    file.write_text(FILE)
    return str(file)


def test_defaults_file_variant_overrides_in_this_order(path):
    assert configs.load(path).train.steps == 40
    assert configs.load(path).train.batch_size == 128
    assert configs.load(f'{path}:long').train.steps == 500
    config = configs.load(f'{path}:long', ['train.steps=1e3', 'seed=7'])
    assert config.train.steps == 1000 and config.seed == 7
    assert config.model.width == 9  # the model section is open: the model checks it
    assert configs.load(path, {'optim.lr': 1}).optim.lr == 1.0


@pytest.mark.parametrize(
    ('override', 'words'),
    [
        ('trian.steps=3', r"field of config is 'trian'.*did you mean 'train'"),
        ('train.step=3', r"field of config\.train is 'step'.*did you mean 'steps'"),
        ('train.steps=many', r"config\.train\.steps is 'many'.*type int"),
        ('train.steps=2.5', r'config\.train\.steps.*type int'),
        ('train.fsdp=3', r'config\.train\.fsdp.*type bool'),
        ('optim.lr=fast', r'config\.optim\.lr.*type float'),
        ('train.steps.more=3', r"config\.train\.steps is a value and has no field 'more'"),
        ('data.nmae=x', r"field of config\.data is 'nmae'.*did you mean 'name'"),
        ('seed', r'no override'),
    ],
)
def test_a_wrong_override_is_named(path, override, words):
    with pytest.raises(UserError, match=words):
        configs.load(path, [override])


def test_a_wrong_value_is_named(path):
    config = configs.load(path, ['train.parallel=pmpa'])
    with pytest.raises(UserError, match=r"parallel is 'pmpa'.*did you mean 'pmap'"):
        configs.settings(config)
    with pytest.raises(UserError, match=r'train\.steps is 0'):
        configs.settings(configs.load(path, ['train.steps=0']))


def test_a_missing_file_or_variant_lists_what_exists(path):
    with pytest.raises(UserError, match=r'configs/recognition/digits\.py'):
        configs.load('configs/recognition/digit.py')
    with pytest.raises(UserError, match=r"variant of .* is 'lnog'.*did you mean 'long'"):
        configs.load(f'{path}:lnog')


def test_every_config_file_is_complete():
    for name in configs.available():
        configs.settings(configs.load(name))


def test_fingerprint_is_of_the_computation():
    base = configs.complete(ml_collections.ConfigDict({'experiment': 'recognition'}))
    same = configs.complete(base.copy_and_resolve_references())
    same.train.log_every = 1
    same.train.parallel = 'mesh'
    other = configs.complete(base.copy_and_resolve_references())
    other.optim.lr = 0.5
    assert configs.fingerprint(same) == configs.fingerprint(base)
    assert configs.fingerprint(other) != configs.fingerprint(base)
    assert configs.fingerprint(base, version=1) != configs.fingerprint(base)
    found = configs.differences(configs.to_json(base), configs.to_json(other))
    assert found == ['config.optim.lr was 0.001, now 0.5']


def test_construct_names_the_field():
    def model(width, depth=2):
        return width * depth

    assert construct(model, {'width': 3}, 'config.model') == 6
    with pytest.raises(UserError, match=r"field of config\.model is 'widht'.*'width'"):
        construct(model, {'widht': 3}, 'config.model')


def test_configs_are_found_from_anywhere(tmp_path, monkeypatch):
    """A need names its config from the root of the project; notebooks start elsewhere."""
    here = configs.load('configs/recognition/digits.py')
    monkeypatch.chdir(tmp_path)
    assert configs.load('configs/recognition/digits.py') == here
