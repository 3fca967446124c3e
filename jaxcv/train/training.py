"""The training step that the sections `train` and `optim` of a config ask for."""

from jaxcv.train.optimize import Optim, optimizer
from jaxcv.train.settings import Settings
from jaxcv.train.update import Loss, Update, update


def train_step(loss: Loss, train: Settings, optim: Optim) -> Update:
    return update(
        loss,
        optimizer(optim, train.steps),
        accumulate=train.accumulate,
        precision=train.precision,
        ema=train.ema,
        frozen=train.frozen,
    )
