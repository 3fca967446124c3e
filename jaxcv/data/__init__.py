"""Data: what there is, how it becomes batches, how it is augmented (`jaxcv.data.augment`)."""

from jaxcv.data.batches import Batch, BatchIterator, Held, Stream
from jaxcv.data.dataset import ArraySource, Dataset, MappedSource, arrays, some
from jaxcv.data.epoch import decoded, epoch, first
from jaxcv.data.feed import batches
from jaxcv.data.held import held
from jaxcv.data.load import EMBEDDED, configured, load
from jaxcv.data.pixels import signed, unit
from jaxcv.data.shapes import scene, scenes
from jaxcv.data.stream import stream

__all__ = [
    'EMBEDDED',
    'ArraySource',
    'Batch',
    'BatchIterator',
    'Dataset',
    'Held',
    'MappedSource',
    'Stream',
    'arrays',
    'batches',
    'configured',
    'decoded',
    'epoch',
    'first',
    'held',
    'load',
    'scene',
    'scenes',
    'signed',
    'some',
    'stream',
    'unit',
]
