"""A run in a process of its own: python child.py WORKDIR field=value ..."""

import atexit
import os
import sys

import small

from jaxcv.errors import UserError
from jaxcv.train import machine
from jaxcv.train.config import complete, override
from jaxcv.train.interrupt import Interrupted
from jaxcv.train.loop import run


def main(workdir, assignments):
    config = complete(small.config())
    for assignment in assignments:
        override(config, *assignment.split('=', 1))
    machine.start(config, *machine.processes_from(os.environ))
    made = small.experiment(config.train.batch_size, split=False)
    return run(made, config, workdir)


def count_cache():
    """Prints at exit how often the compilation cache served, and did not."""
    import jax

    events = []
    jax.monitoring.register_event_listener(lambda event, **_: events.append(event))

    def tell():
        hits, misses = (
            events.count(f'/jax/compilation_cache/cache_{x}') for x in ('hits', 'misses')
        )
        print('cache hits, misses:', hits, misses, flush=True)

    atexit.register(tell)


if __name__ == '__main__':
    if 'JAXCV_COUNT_CACHE' in os.environ:
        count_cache()
    try:
        print('finished at', main(sys.argv[1], sys.argv[2:]).step)
    except Interrupted as stop:
        print(stop, flush=True)
        os._exit(128 + stop.number)
    except UserError as error:
        print(f'error: {error}', flush=True)
        os._exit(2)
