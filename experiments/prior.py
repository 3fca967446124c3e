"""Priors: pictures are drawn as the codes of a tokenizer; see `jaxcv.tokens.methods`.

`config.needs.tokenizer`  an autoencoder of codes (`experiments.autoencoder`)
`config.needs.judge`      a classifier that scores what is drawn (optional)
`config.codes.path`       what `experiments.encode` made of the pictures (optional)
`config.told`             the fields of `Telling`: what the prior is told
`config.method`           name (autoregressive, pixelcnn, maskgit, var) and fields of its loss
`config.model`            fields of its network
`config.sampler`          how codes are drawn
`config.judged`           the fields of `Judged`: how much is drawn to be judged
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

from jaxcv import data
from jaxcv.autoencoder.encodings import encodings
from jaxcv.data import encoded
from jaxcv.errors import UserError, choose, construct
from jaxcv.metrics import judge as judging
from jaxcv.metrics.scenes import agrees, withheld
from jaxcv.ops import across
from jaxcv.tokens import methods, text
from jaxcv.tokens.gallery import Real, gallery
from jaxcv.tokens.stage import TokenStage
from jaxcv.tokens.told import Told, dropped
from jaxcv.train import Experiment, Optim, evaluate
from jaxcv.train.config import settings
from jaxcv.train.training import train_step
from jaxcv.viz import to_uint8

BATCH = 256  # pictures encoded, or codes judged, at once
FEW = 8  # pictures of one kind that are shown
ROWS = 10  # classes of which pictures are shown, at most


@dataclass(frozen=True)
class Telling:
    """`config.told`."""

    what: str = 'label'  # or 'text', or 'nothing'
    drop: float = 0.1  # how often training says nothing, so that guidance has something to leave
    words: int = 320  # ids of the vocabulary that is learned from the captions
    text_length: int = 32  # ids of a caption, at most
    withheld: int = 0  # one in so many pairs of color and shape is for the test only; 0: none


@dataclass(frozen=True)
class Judged:
    """`config.judged`."""

    count: int = 0  # pictures that the judge compares; 0: as many as there are to learn from
    captions: int = 256  # pictures drawn from captions of the test, which are read again
    scales: tuple[float, ...] = ()  # of the guidance, whose scores are shown beside one another


class Split(NamedTuple):
    """The pictures of a split as the prior sees them."""

    arrays: Mapping[str, np.ndarray]  # codes [n length], label [n], text [n t]
    captions: list[str]


class Prior(NamedTuple):
    """What a run that needs this one receives."""

    method: methods.Method
    params: Any
    stage: TokenStage


def build(config, tokenizer: TokenStage, judge=None) -> Experiment:
    if not isinstance(tokenizer, TokenStage):
        raise UserError('config.needs.tokenizer makes no codes: name an autoencoder of codes')
    train, optim = settings(config), Optim(**config.optim.to_dict())
    telling = construct(Telling, config.told.to_dict(), 'config.told')
    choose(telling.what, ('nothing', 'label', 'text'), 'config.told.what')
    judged = construct(Judged, config.judged.to_dict(), 'config.judged')
    images = data.configured(config.data, 'train')
    train_split, test_split, vocabulary = splits(config, tokenizer, telling)
    terms = methods.Terms(
        num_classes=classes_of(images, telling),
        words=vocabulary.size if vocabulary else None,
        text_length=telling.text_length if vocabulary else 0,
    )
    method = methods.method(
        stage=tokenizer,
        terms=terms,
        model=config.model.to_dict(),
        drawing=config.sampler.to_dict(),
        **config.method.to_dict(),
    )
    training = train_step(lesson(method, terms, telling.drop), train, optim)
    scores = scorer(judge, images, train_split, judged, method, tokenizer) if judge else None
    return Experiment(
        init=lambda key: training.init(method.init(key)),
        step=training.step,
        batches=data.batches(train_split.arrays, train.batch_size),
        evaluate=evaluations(method, tokenizer, test_split, scores, judged),
        show=exhibition(method, tokenizer, images, train_split, test_split, terms, judged, scores),
        export=lambda state: Prior(method, state.eval_params(), tokenizer),
    )


def splits(config, stage, telling):
    """(training, test, vocabulary of the captions if those are told)."""
    found = [split(config, stage, telling.what, name) for name in ('train', 'test')]
    if telling.what != 'text':
        return *found, None
    if telling.withheld:
        found = [chosen(part, telling.withheld, i == 1) for i, part in enumerate(found)]
    vocabulary = text.learn(found[0].captions, telling.words)
    encode = partial(text.encode, vocabulary, length=telling.text_length)
    found = [part._replace(arrays=part.arrays | {'text': encode(part.captions)}) for part in found]
    return *found, vocabulary


def split(config, stage, what, name) -> Split:
    """The codes of a split, and its labels or captions if those are told."""
    images, path = data.configured(config.data, name), config.codes.path
    captions = []
    if what == 'text':
        found = data.arrays(images)
        if 'caption' not in found:
            raise UserError(f'config.told.what is text, but {images.name!r} has no captions')
        captions = [str(caption) for caption in found['caption']]
        images = data.Dataset(images.name, data.ArraySource(found))  # decoded once
    if path:
        encoded.require(Path(path), stage.fingerprint)
        arrays = data.arrays(data.some(data.load('encoded', name, path=path), config.data.count))
    else:
        parts = list(encodings(stage, images, BATCH))
        arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    kept = {'codes': arrays['codes'].reshape(len(arrays['codes']), -1)}
    if what == 'label':
        kept['label'] = arrays['label']
    return Split(kept, captions)


def chosen(split: Split, one_in: int, withheld_ones: bool) -> Split:
    """The pictures whose captions are withheld from training, or the others."""
    rows = [i for i, x in enumerate(split.captions) if withheld(x, one_in) == withheld_ones]
    arrays = {name: values[rows] for name, values in split.arrays.items()}
    return Split(arrays, [split.captions[i] for i in rows])


def classes_of(images, telling) -> int | None:
    if telling.what != 'label':
        return None
    if not images.classes:
        raise UserError(f'config.told.what is label, but {images.name!r} has no classes')
    return len(images.classes)


def lesson(method, terms, drop):
    """The training loss."""

    def loss(params, aux, batch, keys):
        keys = jax.vmap(jax.random.split)(keys)
        told = dropped(told_of(batch), keys[:, 0], drop, terms.num_classes)
        value = method.loss(params, codes_of(batch), told, keys[:, 1], True)
        return value.mean(), aux, {}

    return loss


def scorer(judge, images, split, judged, method, stage):
    """(params, key, scale of the guidance) -> scores of as many pictures as real ones."""
    real = data.signed(data.first(images, judged.count or len(images))['image'])
    told = rows_of(split, range(len(real)))

    def drawn(params, rows, keys, scale=None):
        asked = told_of({name: x[rows] for name, x in told.items()})
        return stage.detokenize(method.sample(params, asked, keys, scale).codes)

    return judging.scorer(judge.apply, judge.variables, real, drawn, told.get('label'))


def evaluations(method, stage, split, scores, judged):
    """Nats per code of test pictures; the judge's scores; how many captions are drawn right."""
    count = len(split.arrays['codes'])

    def measure(state, batch, keys):
        found = method.loss(state.eval_params(), codes_of(batch), told_of(batch), keys, False)
        return jnp.where(batch['valid'], found, 0).sum()

    nats = evaluate.over(split.arrays, BATCH, measure, lambda total: {'nats': total / count})
    read = reader(method, stage, split, judged.captions) if split.captions else None

    def evaluation(state, key):
        found = dict(nats(state, key))
        if scores:
            found |= scores(state.eval_params(), key)
        if read:
            found |= read(state.eval_params(), key)
        return found

    return evaluation


def reader(method, stage, split, count):
    """(params, key) -> shares of the captions of the test whose pictures show what they say."""
    captions = split.captions[:count]
    told = Told(text=jnp.asarray(split.arrays['text'][:count]))

    @jax.jit
    def drawn(params, told, keys):
        told, keys = across.split((told, keys))
        return across.whole(stage.detokenize(method.sample(params, told, keys).codes))

    def read(params, key):
        images = jax.device_get(drawn(params, told, jax.random.split(key, len(captions))))
        pixels = to_uint8((images + 1) / 2)
        pairs = list(zip(captions, pixels, strict=True))
        return {
            'captions': np.mean([agrees(*pair, shapes=False) for pair in pairs]),
            'captions_shapes': np.mean([agrees(*pair) for pair in pairs]),
        }

    return read


def exhibition(method, stage, images, train_split, test_split, terms, judged, scores):
    """The gallery, captions with their pictures, and what guidance does to the scores."""
    batch = data.first(images, FEW)
    few = len(batch['image'])
    real = Real(data.signed(batch['image']), told_of(rows_of(train_split, range(few))))
    if terms.num_classes:
        asked = [Told(jnp.full(few, k)) for k in range(min(terms.num_classes, ROWS))]
    else:
        asked = [told_of(rows_of(test_split, range(few * i, few * (i + 1)))) for i in range(3)]
    captions = captions_of(test_split, few * len(asked))
    shown = gallery(method, stage, real, asked, terms.num_classes, captions)

    def show(state, key):
        params = state.eval_params()
        media = shown(params, key)
        if scores and judged.scales:
            media['guidance_scores'] = judging.swept(partial(scores, params, key), judged.scales)
        return media

    return show


def rows_of(split: Split, places) -> dict[str, jnp.ndarray]:
    """Some rows, from the start again after the last."""
    places = np.asarray(places) % len(split.arrays['codes'])
    return {name: jnp.asarray(x[places]) for name, x in split.arrays.items()}


def captions_of(split: Split, count: int) -> list[str]:
    """Those of the rows, likewise."""
    return list(islice(cycle(split.captions), count))


def told_of(batch: Mapping[str, Any]) -> Told:
    return Told(batch.get('label'), batch.get('text'))


def codes_of(batch: Mapping[str, Any]):
    return batch['codes'].astype(jnp.int32)
