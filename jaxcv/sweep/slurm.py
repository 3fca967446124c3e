"""A sweep as a SLURM job array: a bash script with a task for each job."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from jaxcv.sweep.workers import Job

SCRIPT = """#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=0-{last}{limit}
#SBATCH --ntasks=1
#SBATCH --output={output}
#SBATCH --open-mode=append
#SBATCH --signal=B:TERM@120
# Submit this from the directory in which it was made; what your cluster asks for beyond it goes
# before the file name: sbatch --time=2:00:00 --gres=gpu:1 FILE
# A run that reaches its time limit saves, and continues when it is submitted again. The table:
#   {again}
set -eu
cd "${{SLURM_SUBMIT_DIR:-.}}"
case "$SLURM_ARRAY_TASK_ID" in
{tasks}
  *) echo "there is no task $SLURM_ARRAY_TASK_ID" >&2; exit 2 ;;
esac
exec "${{PYTHON:-python}}" "$@"
"""


def script(jobs: Sequence[Job], workdir: Path, at_once: int, again: str) -> str:
    """The text of the script: task i does `jobs[i]`, `at_once` at a time (0: no limit). `again`
    is the command that makes the table."""
    tasks = [f'  {i}) set -- {shlex.join(job.words)} ;;' for i, job in enumerate(jobs)]
    return SCRIPT.format(
        name=shlex.quote(workdir.name),
        last=len(jobs) - 1,
        limit=f'%{at_once}' if at_once else '',
        output=shlex.quote(f'{workdir}/slurm-%A_%a.txt'),
        again=again,
        tasks='\n'.join(tasks),
    )
