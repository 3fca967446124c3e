import jax
import numpy as np
import pytest
from jax.experimental import io_callback

from experiments import command
from jaxcv.errors import UserError


def failing(kind, message):
    def raises(x):
        raise kind(message)

    result = jax.ShapeDtypeStruct((), np.float32)
    return lambda argv: jax.block_until_ready(
        jax.jit(lambda x: io_callback(raises, result, x))(1.0)
    )


def told(main, capsys):
    with pytest.raises(SystemExit) as stop:
        command._guarded(main, [])
    return stop.value.code, capsys.readouterr().err.splitlines()[-1]


def test_mistakes_are_told_in_one_line(capsys):
    def main(argv):
        raise UserError('steps is -1')

    assert told(main, capsys) == (2, 'error: steps is -1')


def test_mistakes_that_a_simulator_raises_inside_a_program_too(capsys):
    main = failing(UserError, 'the simulator is gone: look at its log')
    assert told(main, capsys) == (2, 'error: the simulator is gone: look at its log')


def test_other_failures_keep_their_traceback():
    with pytest.raises(jax.errors.JaxRuntimeError, match='out of luck'):
        command._guarded(failing(ValueError, 'out of luck'), [])
