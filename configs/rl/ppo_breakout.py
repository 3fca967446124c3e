"""PPO plays MinAtar's Breakout, from its 10x10 pictures.

python -m experiments.main --config=configs/rl/ppo_breakout.py --workdir=runs/ppo_breakout

TEXT
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'policy_gradient'
    config.env = {'name': 'gymnax:Breakout-MinAtar', 'normalize': ('reward',), 'limit': 1000}
    config.agent = {'name': 'ppo', 'steps': 128, 'epochs': 2, 'minibatches': 8, 'entropy': 0.03}
    config.model = {'name': 'cnn', 'layers': ((16, 3, 1),), 'widths': (64,), 'shared': True}
    config.optim = {'name': 'adam', 'lr': 5e-3, 'eps': 1e-5, 'clip_norm': 0.5, 'schedule': 'linear'}
    # 1,220 updates of 64 environments x 128 steps: 10 million steps.
    config.train = {'steps': 1220, 'batch_size': 64, 'checkpoint_every': 200}
    return config
