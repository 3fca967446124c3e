"""An advantage actor-critic balances a pole: 500 steps is all an episode lasts.

python -m experiments.main --config=configs/rl/actor_critic_cartpole.py --workdir=runs/a2c_cartpole

500,000 steps. 8 seeds, mean of the last 5% of training: 500, worst seed 500. Without normalized
rewards the critic's errors drown the policy's gradient, and some seeds end at 200.
"""

import ml_collections


def get_config():
    config = ml_collections.ConfigDict()
    config.experiment = 'policy_gradient'
    config.env = {'name': 'gymnax:CartPole-v1', 'limit': 500, 'normalize': ('reward',)}
    config.agent = {'name': 'actor_critic', 'steps': 32, 'entropy': 0.0}
    config.model = {'name': 'mlp', 'widths': (64, 64), 'activation': 'tanh'}
    config.optim = {'name': 'adam', 'lr': 3e-3, 'eps': 1e-5, 'clip_norm': 0.5, 'schedule': 'linear'}
    # 976 updates of 16 environments x 32 steps.
    config.train = {'steps': 976, 'batch_size': 16, 'eval_every': 0, 'checkpoint_every': 0}
    return config
