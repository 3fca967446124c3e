"""What a config promises, it keeps."""

import pytest

import experiments
from jaxcv.train import run
from jaxcv.train.config import load


@pytest.mark.smoke
def test_digits(tmp_path):
    """At least 98% of the test digits; a classifier that never sees a label gets a tenth."""
    config = load(experiments.config_path('recognition/digits.py'))
    result = run(experiments.build(config), config, tmp_path / 'digits', devices='auto')
    assert result.metrics['accuracy'] >= 0.98
