"""The first samples are read alone."""

import numpy as np
import pytest

from jaxcv import data


class Counted:
    """Remembers what was read."""

    def __init__(self, length):
        self.length, self.read = length, []

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.read.append(index)
        return {'image': np.full((2, 2, 1), index, np.uint8), 'caption': np.asarray('a word')}


@pytest.mark.parametrize(('length', 'count', 'wanted'), [(100, 3, 3), (2, 8, 2)])
def test_the_first_are_read_alone(length, count, wanted):
    source = Counted(length)
    found = data.first(data.Dataset('counted', source), count)
    assert source.read == list(range(wanted))
    assert set(found) == {'image', 'valid'} and found['valid'].all()
    np.testing.assert_array_equal(found['image'][:, 0, 0, 0], range(wanted))
