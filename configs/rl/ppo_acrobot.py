"""PPO swings a double pendulum up: minus one for every step until its tip is high enough.

python -m experiments.main --config=configs/rl/ppo_acrobot.py --workdir=runs/ppo_acrobot

500,000 steps in about 15 seconds on 2 CPU cores. Mean of the last 5% over 8 seeds: -84.1,
worst seed -85.8.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'policy_gradient'
    config.env = {
        'name': 'gymnax:Acrobot-v1',
        'limit': 500,
        'normalize': ('observation', 'reward'),
    }
    config.agent = {'name': 'ppo', 'steps': 128, 'epochs': 4, 'minibatches': 4}
    config.model = {'name': 'mlp', 'widths': (64, 64), 'activation': 'tanh'}
    config.optim = {'name': 'adam', 'lr': 1e-3, 'eps': 1e-5, 'clip_norm': 0.5, 'schedule': 'linear'}
    config.train = {'steps': 244, 'batch_size': 16, 'checkpoint_every': 0}
    return config
