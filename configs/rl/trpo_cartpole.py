"""TRPO balances a pole: 500 steps is all an episode lasts. 500,000 steps, 30 s on 2 cores.

python -m experiments.main --config=configs/rl/trpo_cartpole.py --workdir=runs/trpo_cartpole

16 seeds, mean of the last 5% of training: 500, worst seed 500.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'policy_gradient'
    config.env = {'name': 'gymnax:CartPole-v1', 'limit': 500}
    config.agent = {'name': 'trpo', 'steps': 256}
    config.model = {'name': 'mlp', 'widths': (64, 64), 'activation': 'tanh'}
    config.optim = {'name': 'adam', 'lr': 1e-3}
    # 122 updates of 16 environments x 256 steps.
    config.train = {'steps': 122, 'batch_size': 16, 'eval_every': 0, 'checkpoint_every': 0}
    return config
