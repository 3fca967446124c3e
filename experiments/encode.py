"""What an autoencoder makes of a data set, computed once and stored for the models that learn in
its latents.

    python -m experiments.encode --config=configs/autoencoder/shapes.py \
        --workdir=runs/shapes_kl --out=runs/shapes_latents

trains the autoencoder in the workdir, if it has not finished there, and writes a store that
`jaxcv.data.load('encoded', split, path=OUT)` reads: for every image of the config's data what the
encoder says of it (`mean` and `log_variance` in half precision, or `codes`), and its `label`.
"""

import time
from pathlib import Path

from absl import flags

from experiments import command
from jaxcv import data
from jaxcv.autoencoder.encodings import encodings
from jaxcv.autoencoder.stage import Stage
from jaxcv.data import encoded
from jaxcv.errors import UserError
from jaxcv.train import config as configs
from jaxcv.train import machine

FLAGS = flags.FLAGS
flags.DEFINE_string('config', '', 'Config file of an autoencoder, FILE[:variant].')
flags.DEFINE_string('workdir', '', 'Its run directory; by default runs/<config>.')
flags.DEFINE_string('out', '', 'Folder of the store; by default <workdir>_latents.')
flags.DEFINE_integer('batch_size', 256, 'Images encoded at once.')

SPLITS = ('train', 'test')


def main(argv):
    file = command.config_file()
    config = configs.load(file, argv[1:])
    workdir = command.workdir(file)
    out = Path(FLAGS.out or workdir.with_name(f'{workdir.name}_latents'))
    machine.start(config)
    stage = trained(config, workdir)
    if out.exists():
        encoded.require(out, stage.fingerprint)
        print(f'{out} was written before, by this autoencoder')
        return
    start = time.monotonic()
    info = store(stage, config.data, out, FLAGS.batch_size)
    counts = ', '.join(f'{count:,} of {split}' for split, count in info.lengths.items())
    fields = ', '.join(f'{name} {x.dtype}{list(x.shape)}' for name, x in info.fields.items())
    print(f'{out}: {counts}; {fields}')
    print(f'{info.nbytes / 1e6:,.1f} MB in {time.monotonic() - start:.1f} s')


def trained(config, workdir: Path) -> Stage:
    """The autoencoder of the run in `workdir`, which is finished first."""
    stage = command.trained(config, workdir)
    if not isinstance(stage, Stage):
        raise UserError(f'config.experiment is {config.experiment!r}, which is no autoencoder')
    return stage


def store(stage: Stage, section, out: Path, batch_size: int) -> encoded.Info:
    """Encodes the splits of the data of a config, and writes them."""
    splits = {split: data.configured(section, split) for split in SPLITS}
    classes = splits['train'].classes
    rows = {split: encodings(stage, dataset, batch_size) for split, dataset in splits.items()}
    return encoded.write(
        out, rows, source=section.name, classes=classes, fingerprint=stage.fingerprint
    )


if __name__ == '__main__':
    command.launch(main, __doc__)
