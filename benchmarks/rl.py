"""Reinforcement learning: whole training against the peers, and whole updates on this device."""

import time

import jax

import experiments
from benchmarks.case import Case
from benchmarks.record import record
from benchmarks.timing import alternate
from jaxcv.train.config import load

SIZES = {'envs': 16, 'steps': 32, 'epochs': 2, 'minibatches': 4}  # those of ppo_cartpole.py
UPDATES = 100


def training(config_path: str, updates: int, overrides=None):
    """(call that runs `updates` updates, their environment steps, seconds of compilation)."""
    config = load(f'configs/{config_path}', overrides or {})
    made = experiments.build(config)
    state = jax.jit(made.init)(jax.random.key(0))

    def step(state, key):
        return made.step(state, None, key)[0], None

    train = jax.jit(lambda s, key: jax.lax.scan(step, s, jax.random.split(key, updates))[0])
    start = time.perf_counter()
    compiled = train.lower(state, jax.random.key(1)).compile()
    seconds = time.perf_counter() - start
    steps = updates * config.agent.steps * config.train.batch_size
    return lambda: compiled(state, jax.random.key(1)), steps, seconds


def measured(name, side, repeats=5, peer=None, peer_name='', peer_steps=None):
    """A record in seconds per 1,000 environment steps; `detail` has steps per second."""
    call, steps, compilation = side
    times = alternate(*([call] if peer is None else [call, peer]), repeats=repeats)
    counts = [steps, peer_steps or steps]
    rates = [
        {key: 1000 * seconds / count for key, seconds in found.items()}
        for found, count in zip(times, counts, strict=False)
    ]
    detail = {'steps_per_second': 1000 / rates[0]['min'], 'compilation': compilation}
    if peer:
        detail['peer_steps_per_second'] = 1000 / rates[1]['min']
    return record(name, rates[0], rates[1] if peer else None, peer_name, detail)


def ppo_cartpole():
    """The demo's sizes, against rejax and Stable-Baselines3; per 1,000 steps."""
    ours = training('rl/ppo_cartpole.py', UPDATES)
    records = []
    for name, make in (('rejax', rejax_cartpole), ('Stable-Baselines3', sb3_cartpole)):
        try:
            peer, steps = make()
        except ImportError:
            records.append(measured('ppo_cartpole', ours, peer_name=name))
            continue
        records.append(measured('ppo_cartpole', ours, peer=peer, peer_name=name, peer_steps=steps))
    return records


def rejax_cartpole():
    """rejax's training iteration, on gymnax's own environment."""
    import gymnax
    from rejax import PPO

    env, params = gymnax.make('CartPole-v1')
    count = SIZES['envs'] * SIZES['steps']
    peer = PPO.create(
        env=five_values(env), env_params=params, num_envs=SIZES['envs'], num_steps=SIZES['steps'],
        num_epochs=SIZES['epochs'], num_minibatches=SIZES['minibatches'], learning_rate=1e-3,
        max_grad_norm=0.5, total_timesteps=UPDATES * count, eval_freq=UPDATES * count,
        agent_kwargs={'hidden_layer_sizes': (64, 64), 'activation': 'tanh'},
    )  # fmt: skip
    state = jax.jit(peer.init_state)(jax.random.key(0))
    train = jax.jit(
        lambda s: jax.lax.fori_loop(0, UPDATES, lambda _, s: peer.train_iteration(s), s)
    )
    return lambda: train(state), UPDATES * count


def five_values(env):
    """gymnax 1.0 as rejax 0.1 knows it: `step` gives five values."""

    class FiveValues(type(env)):
        def step(self, *given):
            observation, state, reward, terminated, truncated, info = super().step(*given)
            return observation, state, reward, terminated | truncated, info

    return FiveValues()


def sb3_cartpole():
    """Stable-Baselines3 on gymnasium's environments, with its best number of threads."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(1)
    count = SIZES['envs'] * SIZES['steps']
    peer = PPO(
        'MlpPolicy', make_vec_env('CartPole-v1', SIZES['envs']), n_steps=SIZES['steps'],
        batch_size=count // SIZES['minibatches'], n_epochs=SIZES['epochs'], learning_rate=1e-3,
        device='cpu',
    )  # fmt: skip
    return lambda: peer.learn(8 * count), 8 * count


def ppo_breakout():
    """MinAtar with the convolutional policy; per 1,000 steps."""
    return measured('ppo_breakout', training('rl/ppo_breakout.py', 4), repeats=3)


def many_environments():
    """2,048 environments at once; per 1,000 steps."""
    sizes = {'train.batch_size': 2048}
    return measured('many_environments', training('rl/ppo_cartpole.py', 4, sizes), repeats=3)


def many_seeds():
    """256 agents at once, by vmap over their seeds; per 1,000 steps of all of them."""
    config = load('configs/rl/ppo_cartpole.py')
    made = experiments.build(config)
    states = jax.jit(lambda keys: jax.lax.map(made.init, keys))(
        jax.random.split(jax.random.key(0), 256)
    )

    def step(state, key):
        return jax.vmap(lambda s, k: made.step(s, None, k)[0])(state, key), None

    keys = jax.vmap(lambda key: jax.random.split(key, 256))(jax.random.split(jax.random.key(1), 4))
    start = time.perf_counter()
    train = jax.jit(lambda s: jax.lax.scan(step, s, keys)[0]).lower(states).compile()
    seconds = time.perf_counter() - start
    steps = 4 * 256 * config.agent.steps * config.train.batch_size
    return measured('many_seeds', (lambda: train(states), steps, seconds), repeats=3)


CASES = [Case(ppo_cartpole), Case(ppo_breakout), Case(many_environments), Case(many_seeds)]
