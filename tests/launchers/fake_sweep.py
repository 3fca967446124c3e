"""experiments.sweep whose workers run fake_run.py."""

from experiments import command, sweep

sweep.RUN = 'fake_run'
command.launch(sweep.main, sweep.__doc__)
