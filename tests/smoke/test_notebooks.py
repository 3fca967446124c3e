"""Every notebook runs from top to bottom."""

import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.smoke
@pytest.mark.parametrize(
    'path', sorted((ROOT / 'experiments' / 'notebooks').glob('*.ipynb')), ids=lambda path: path.stem
)
def test_notebook_runs(path, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get('outputs') for cell in notebook.cells), 'clear the outputs'
    start = time.time()
    NotebookClient(notebook, timeout=300, resources={'metadata': {'path': tmp_path}}).execute()
    print(f'{path.name}: {time.time() - start:.0f} s')
