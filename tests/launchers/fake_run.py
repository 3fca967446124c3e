"""Stands for experiments.main in tests of a sweep: a 'run' that counts to its number of steps,
saves after each, and behaves as a run does: lock, signals, result. It waits before step 3 as
long as there is a file `hold` in its directory. With optim.lr=13 it fails."""

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path


def main():
    words = dict(word.lstrip('-').split('=', 1) for word in sys.argv[1:])
    workdir = Path(words['workdir'])
    lock = open(workdir / '.lock', 'a+')  # noqa: SIM115 (held to the end)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    with open(workdir / 'starts', 'a') as file:
        file.write('start\n')
    if float(words.get('config.optim.lr', 0)) == 13:
        print('error: 13 brings bad luck', flush=True)
        print('(not the reason)', flush=True)
        sys.exit(2)
    received = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: received.append(number))
    count(workdir, int(words['config.train.steps']), received, int(words['config.seed']))


def count(workdir, steps, received, seed):
    saved = workdir / 'saved'
    first = int(saved.read_text()) if saved.exists() else 0
    deadline = time.time() + 60  # a test that fails leaves nothing running
    for step in range(first + 1, steps + 1):
        while holds(workdir, step) and not received and time.time() < deadline:
            time.sleep(0.01)
        with open(workdir / 'metrics.jsonl', 'a') as file:
            file.write(json.dumps({'step': step, 'phase': 'train', 'loss': 1 / step}) + '\n')
        saved.write_text(str(step))
        if received:
            finish(workdir, 'interrupted', step, seed)
            sys.exit(128 + received[0])
    finish(workdir, 'finished', steps, seed)


def holds(workdir, step):
    return step == 3 and (workdir / 'hold').exists()


def finish(workdir, status, step, seed):
    result = {'status': status, 'step': step, 'metrics': {'accuracy': 0.5 + seed / 10}}
    (workdir / 'result.json').write_text(json.dumps(result))


if __name__ == '__main__':
    main()
