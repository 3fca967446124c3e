"""A classifier of noisy pictures, which can guide a diffusion run that needs it.

`config.process`        how pictures become noise, as in the run to be guided
`config.model`          fields of `jaxcv.diffusion.networks.classifier.NoisyClassifier`
`config.data.augment`   what happens to training images before the noise, as in `recognition`

How far a picture has gone to noise is measured by the share sigma / (alpha + sigma), from 0 to 1 on
every path. Metrics named noise_0.3/... are at a share of 0.3; those without a name are over levels
drawn as in training.
"""

from functools import partial

import jax
import numpy as np
from jax import numpy as jnp

from experiments.recognition import SHOWN, labeled
from jaxcv import data
from jaxcv.data import augment
from jaxcv.diffusion import losses, schedules
from jaxcv.diffusion.networks import classifier
from jaxcv.diffusion.process import noised
from jaxcv.errors import construct
from jaxcv.ops import across
from jaxcv.ops.noise import normal
from jaxcv.recognition import pictures as mistakes
from jaxcv.recognition import scores
from jaxcv.recognition.losses import cross_entropy
from jaxcv.train import Experiment, Optim, evaluate
from jaxcv.train.config import settings
from jaxcv.train.training import train_step
from jaxcv.viz import sweep

SHARES = (0.1, 0.3, 0.5, 0.7)  # of noise, at which accuracy is reported
CURVE = tuple(np.linspace(0.05, 0.95, 10).round(2).tolist())  # at which it is drawn


def build(config) -> Experiment:
    train, optim = settings(config), Optim(**config.optim.to_dict())
    train_set, test_set = labeled(config.data, 'train'), labeled(config.data, 'test')
    path, classes = config.process.to_dict(), len(train_set.classes)
    process, shape = schedules.process(**path), train_set[0]['image'].shape
    network = construct(
        partial(classifier.NoisyClassifier, classes), config.model.to_dict(), 'config.model'
    )

    def applied(params):
        return lambda x, time: network.apply({'params': params}, x, time)

    def init(key):
        variables = network.init(key, jnp.zeros((1, *shape)), jnp.zeros(1))
        return training.init(variables['params'])

    loss = lessons(process, applied, augment.signed(config.data.augment))
    training = train_step(loss, train, optim)
    return Experiment(
        init=init,
        step=training.step,
        batches=data.batches(train_set, train.batch_size),
        evaluate=evaluate.over(test_set, SHOWN, *judgement(process, applied)),
        show=gallery(process, applied, test_set),
        export=lambda state: classifier.Guide(
            partial(classifier.log_prob, applied(state.eval_params())), path, shape
        ),
    )


def lessons(process, applied, distort):
    """The training loss: pictures, distorted, made noisy at any level; cross-entropy."""

    def loss(params, aux, batch, keys):
        keys = jax.vmap(jax.random.split)(keys)
        images = distort(batch['image'], keys[:, 0])
        lesson = losses.lesson(process, images, keys[:, 1])
        logits = classifier.classified(applied(params), lesson.x, lesson.level)
        hits = logits.argmax(-1) == batch['label']
        return cross_entropy(logits, batch['label']).mean(), aux, {'accuracy': hits.mean()}

    return loss


def judgement(process, applied):
    """(measure, finish) for `evaluate.over`: scores at levels as drawn, and at fixed ones."""
    names = ['', *(f'noise_{share:g}/' for share in SHARES)]
    levels = [level_at(process, share) for share in SHARES]

    def measure(state, batch, keys):
        network, images = applied(state.eval_params()), data.signed(batch['image'])
        drawn = losses.lesson(process, images, keys)
        fixed = [
            jax.tree.map(lambda x: jnp.broadcast_to(x, len(images)), level) for level in levels
        ]

        def look(level):
            x = noised(images, drawn.noise, level)
            logits = classifier.classified(network, x, level)
            return scores.sums(logits, batch['label'], batch['valid'])

        sums = jax.lax.map(look, stacked([drawn.level, *fixed]))
        return {name: jax.tree.map(lambda x, i=i: x[i], sums) for i, name in enumerate(names)}

    def finish(sums):
        found = {name: scores.finish(part) for name, part in sums.items()}
        return {name + score: x for name, part in found.items() for score, x in part.items()}

    return measure, finish


def gallery(process, applied, test_set):
    """Accuracy and confidence against noise, and what goes wrong where there is little."""
    low, *levels = [level_at(process, share) for share in (SHARES[0], *CURVE)]

    @jax.jit
    def seen(state, batch, key):
        batch, keys = across.split((batch, jax.random.split(key, len(batch['label']))))
        network, images = applied(state.eval_params()), data.signed(batch['image'])
        noise = normal(keys, images.shape[1:])

        def look(level):
            return classifier.classified(network, noised(images, noise, level), level)

        logits = jax.lax.map(look, stacked([low, *levels]))
        few, logits = logits[0], logits[1:]
        curve = {
            'accuracy': (logits.argmax(-1) == batch['label']).mean(1),
            'confidence': jax.nn.softmax(logits).max(-1).mean(1),
        }
        return across.whole((curve, noised(images, noise, low) / low.alpha, few))

    def show(state, key):
        batch = data.first(test_set, SHOWN)
        curve, x, logits = jax.device_get(seen(state, batch, key))
        caption = 'Test pictures recognized and how sure the network is, against the share of noise'
        shown = (x.clip(-1, 1) + 1) / 2
        return {
            'accuracy': sweep(list(CURVE), curve, caption, 'sigma / (alpha + sigma)'),
            'mistakes': mistakes.mistakes(shown, logits, batch['label'], test_set.classes),
        }

    return show


def stacked(levels):
    """Many levels as one, along a new axis."""
    return jax.tree.map(lambda *xs: jnp.stack(xs), *levels)


def level_at(process, share):
    """The level of the process whose share of noise is nearest to this one."""
    if process.steps is None:  # the 4th power, because little noise is a small part of EDM's path
        times = process.top * np.linspace(0, 1, 2001, dtype=np.float32) ** 4
    else:
        times = np.arange(process.steps)
    levels = process.level(times)
    shares = levels.sigma / (levels.alpha + levels.sigma)
    return process.level(times[int(abs(shares - share).argmin())])
