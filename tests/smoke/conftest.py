"""What the smoke tests share."""

import os

import pytest


@pytest.fixture(scope='session')
def needs(tmp_path_factory):
    """One place for what runs need, so that each classifier and tokenizer is trained once."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base) / 'needs'


def pytest_collection_modifyitems(items):
    """The longest first, so that no core waits for one at last."""
    items.sort(key=lambda item: item.path.stem not in ('test_learning', 'test_readme'))
