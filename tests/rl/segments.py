"""A random segment of experience of a small agent, and one update from it in any layout."""

import jax
import numpy as np
from jax import numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxcv.ops import across
from jaxcv.rl import advantages
from jaxcv.rl.envs.environment import Discrete
from jaxcv.rl.networks import ActorCritic
from jaxcv.rl.rollout import Trajectory

CHOICES = Discrete(3)


def made(seed=0, t=8, n=16, memory='', action=CHOICES):
    """(params, network, segment, carry): what an agent with random weights did among random
    observations, rewards and ends of episodes."""
    encoder = {'name': 'mlp', 'widths': (8,)}
    net = ActorCritic(action=action, encoder=encoder, memory=memory, width=6)
    keys = jax.random.split(jax.random.key(seed), 3)
    rng = np.random.default_rng(seed)
    observation = jnp.asarray(rng.normal(size=(t, n, 4)), jnp.float32)
    terminated, truncated = rng.random((2, t, n)) < 0.1
    truncated &= ~terminated
    start = jnp.asarray(np.concatenate([np.ones((1, n), bool), (terminated | truncated)[:-1]]))
    carry = net.blank(n)
    init = jax.jit(net.init)
    params = init(keys[0], observation[:1, :1], start[:1, :1], net.blank(1))['params']
    # The initial policy is nearly uniform, which would hide much.
    noise = rng.normal(size=params['actor']['Dense_0']['kernel'].shape).astype(np.float32)
    params['actor']['Dense_0']['kernel'] += 0.5 * noise

    def network(params, *inputs):
        return net.apply({'params': params}, *inputs)

    @jax.jit
    def act(params):
        policy, value, _ = network(params, observation, start, carry)
        chosen = policy.sample(policy.noise(jax.random.split(keys[1], (t, n))))
        return chosen, policy.log_prob(chosen), value

    chosen, log_prob, value = act(params)
    last, final = rng.normal(size=n), jnp.asarray(rng.normal(size=(t, n)), jnp.float32)
    segment = Trajectory(
        observation=observation,
        start=start,
        action=chosen,
        log_prob=log_prob,
        value=value,
        next_value=advantages.following(value, jnp.float32(last), final, truncated),
        reward=jnp.asarray(rng.normal(size=(t, n)), jnp.float32),
        terminated=jnp.asarray(terminated),
        truncated=jnp.asarray(truncated),
    )
    return params, network, segment, carry


def update(algorithm, agent, optimizer, made, layout='one', rate=1.0, key=0):
    """(parameters, metrics) after one update; 'pmap' and 'mesh' divide it over all devices."""
    params, network, segment, carry = made
    learner, key = algorithm.start(optimizer, params, rate), jax.random.key(key)

    def learn(segment, carry):
        learned, metrics = algorithm.learn(agent, optimizer, network, learner, segment, carry, key)
        return learned.params, metrics

    count = jax.device_count()
    if layout == 'pmap':
        segment = jax.tree.map(lambda x: x.reshape(len(x), count, -1, *x.shape[2:]), segment)
        carry = jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), carry)
        found = jax.pmap(learn, axis_name=across.DATA, in_axes=(1, 0))(segment, carry)
        for leaf in map(np.asarray, jax.tree.leaves(found)):
            np.testing.assert_array_equal(leaf, np.broadcast_to(leaf[:1], leaf.shape))
        return jax.tree.map(lambda x: np.asarray(x)[0], found)
    if layout == 'mesh':
        mesh = Mesh(np.array(jax.devices()), (across.DATA,))

        def spread(tree, *axes):
            return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(*axes)))

        segment, carry = spread(segment, None, across.DATA), spread(carry, across.DATA)
    return jax.device_get(jax.jit(learn)(segment, carry))
