"""One cache folder for the embedded sets of a test run."""

import pytest


@pytest.fixture(scope='session')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('tensorflow_datasets')
