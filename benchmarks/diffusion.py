"""Networks of diffusion against diffusers', training and drawing 16 images of 32x32x3."""

import tempfile

import jax
import numpy as np
import optax
from jax import numpy as jnp

from benchmarks.case import Case
from benchmarks.record import record
from benchmarks.stepping import stepping
from benchmarks.timing import alternate
from jaxcv.diffusion import diffusers, guidance, parameterization, samplers, schedules, spacing
from jaxcv.diffusion.networks import Condition, DiT, UNet
from jaxcv.diffusion.sampling import sample
from jaxcv.train.update import update

BATCH, SIZE, CLASSES = 16, 32, 10
RATE = 1e-4


def batch():
    """Noisy images, times, labels, and what to predict."""
    generator = np.random.default_rng(0)
    x, target = generator.normal(size=(2, BATCH, SIZE, SIZE, 3)).astype(np.float32)
    time = generator.integers(0, 1000, BATCH).astype(np.float32)
    return {'x': x, 'time': time, 'label': np.arange(BATCH) % CLASSES, 'target': target}


def training(network, devices: int):
    """One training step a call, the batch over some virtual devices."""

    def loss(params, aux, batch, keys):
        condition = Condition(label=batch['label'] if network.num_classes else None)
        output = network.apply(params, batch['x'], batch['time'], condition, True, keys)
        return jnp.mean(jnp.square(output - batch['target'])), aux, {}

    made, data = update(loss, optax.adamw(RATE)), batch()
    condition = Condition(label=data['label'] if network.num_classes else None)
    params = jax.jit(network.init)(jax.random.key(0), data['x'], data['time'], condition)
    return stepping(made, made.init(params), data, devices)


def torch_training(network, labels: bool):
    """The same on two threads."""
    import torch

    torch.set_num_threads(2)
    data = {name: torch.tensor(x) for name, x in batch().items()}
    x, target = (data[name].permute(0, 3, 1, 2).contiguous() for name in ('x', 'target'))
    optimizer = torch.optim.AdamW(network.parameters(), RATE)
    given = {'class_labels': data['label']} if labels else {}
    network.train()

    def step():
        optimizer.zero_grad()
        output = network(x, data['time'], **given).sample
        loss = (output - target).square().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def compared(name, network, devices, peer):
    sides = [training(network, devices)]
    try:
        sides.append(peer())
    except ImportError:
        (ours,) = alternate(*sides)
        return record(name, ours, None, 'diffusers')
    ours, theirs = alternate(*sides, repeats=20, warmup=2, pause=0.2)
    return record(name, ours, theirs, 'diffusers, torch, 2 threads')


def dit_training():
    """Patches of 4, 5 blocks of width 96: 1.04 million parameters."""

    def peer():
        from diffusers import DiTTransformer2DModel

        network = DiTTransformer2DModel(
            num_attention_heads=6, attention_head_dim=16, in_channels=3, num_layers=5,
            sample_size=SIZE, patch_size=4, num_embeds_ada_norm=CLASSES,
        )  # fmt: skip
        return torch_training(network, labels=True)

    network = DiT(CLASSES, patch=4, width=96, depth=5, heads=6, embed_per_block=True)
    return compared('dit_training', network, jax.device_count(), peer)


def unet_training():
    """Widths 32 and 64, attention at 16x16: 1.0 million parameters."""

    def peer():
        from diffusers import UNet2DModel

        network = UNet2DModel(
            sample_size=SIZE, block_out_channels=(32, 64), layers_per_block=2, norm_num_groups=8,
            down_block_types=('DownBlock2D', 'AttnDownBlock2D'),
            up_block_types=('AttnUpBlock2D', 'UpBlock2D'),
        )  # fmt: skip
        return torch_training(network, labels=False)

    network = UNet((32, 64), 2, ('none', 'self'), groups=8, head_width=8)
    return compared('unet_training', network, jax.device_count(), peer)


def dit_sampling():
    """50 steps of DDIM from the same noise with the same weights, which end in the same images."""
    steps = 50
    network = DiT(CLASSES, patch=4, width=96, depth=5, heads=6, embed_per_block=True)
    process = schedules.process('linear')
    levels = spacing.levels('trailing', process, steps)
    labels, ddim = jnp.arange(BATCH) % CLASSES, samplers.sampler('ddim')
    noise = jnp.asarray(batch()['x'])

    def sampling(variables):
        def draw(variables, x, labels):
            def apply(x, time, condition):
                return network.apply(variables, x, time, condition)

            told = Condition(label=labels)
            found = parameterization.denoiser(parameterization.eps(), apply)
            keys = jax.random.split(jax.random.key(0), len(x))
            return sample(ddim, guidance.conditioned(found, told), levels, x, keys)[0]

        count = jax.device_count()
        parts = jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), (noise, labels))
        mapped = jax.pmap(draw, in_axes=(None, 0, 0))
        return lambda: mapped(variables, *parts)

    try:
        import torch

        there = torch_dit()
    except ImportError:
        condition = Condition(label=labels)
        variables = jax.jit(network.init)(jax.random.key(0), noise, jnp.zeros(BATCH), condition)
        (ours,) = alternate(sampling(variables))
        return record('dit_sampling', ours, None, 'diffusers')
    with tempfile.TemporaryDirectory() as folder:
        there.save_pretrained(folder)
        network, variables = diffusers.load(folder)
    here, there = sampling(variables), torch_sampling(there, noise, labels, steps)
    apart = np.abs(np.asarray(here()).reshape(noise.shape) - there().permute(0, 2, 3, 1).numpy())
    ours, theirs = alternate(here, there, repeats=10, pause=0.2)
    peer = f'diffusers, torch {torch.__version__.split("+")[0]}, 2 threads'
    return record('dit_sampling', ours, theirs, peer, {'largest_difference': float(apart.max())})


def torch_dit():
    """Its output layer starts at zero, which would draw nothing: here nothing does."""
    import torch
    from diffusers import DiTTransformer2DModel

    torch.set_num_threads(2)
    torch.manual_seed(0)
    network = DiTTransformer2DModel(
        num_attention_heads=6, attention_head_dim=16, in_channels=3, num_layers=5,
        sample_size=SIZE, patch_size=4, num_embeds_ada_norm=CLASSES,
    )  # fmt: skip
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():
                weight.normal_(0, 0.02)
    return network.eval()


def torch_sampling(network, noise, labels, steps):
    """The loop of diffusers' pipelines."""
    import torch
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(clip_sample=False, timestep_spacing='trailing')
    scheduler.set_timesteps(steps)
    start = torch.tensor(np.asarray(noise)).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor(np.asarray(labels))

    def draw():
        x = start
        with torch.no_grad():
            for time in scheduler.timesteps:
                output = network(x, time.expand(len(x)), class_labels=labels).sample
                x = scheduler.step(output, time, x).prev_sample
        return x

    return draw


# A device and a thread per core; programs with collectives need threads to spare, or wait in vain.
DEVICES = {'JAX_NUM_CPU_DEVICES': '2', 'PJRT_NPROC': '2'}
SPARE = DEVICES | {'PJRT_NPROC': '4'}
CASES = [Case(dit_training, SPARE), Case(unet_training, SPARE), Case(dit_sampling, DEVICES)]
