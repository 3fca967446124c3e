"""DQN plays MinAtar's Breakout, from its 10x10 pictures.

python -m experiments.main --config=configs/rl/dqn_breakout.py --workdir=runs/dqn_breakout

A million steps. It has been run for a few steps only.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'dqn'
    config.env = {'name': 'gymnax:Breakout-MinAtar', 'limit': 1000}
    config.agent = {
        'name': 'dqn',
        'capacity': 100_000,
        'stored': 'bool',  # 40 MB instead of 160
        'warmup': 5000,
        'epsilon_steps': 100_000,
        'target_every': 100,
    }
    config.model = {'name': 'cnn', 'layers': ((16, 3, 1),), 'widths': (128,), 'dueling': True}
    config.optim = {'name': 'adam', 'lr': 1e-3, 'schedule': 'linear', 'clip_norm': 10.0}
    # 31,250 iterations of 32 environments: a million steps.
    config.train = {'steps': 31_250, 'batch_size': 32, 'log_every': 500, 'checkpoint_every': 0}
    return config
