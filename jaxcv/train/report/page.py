"""The page: what a run directory holds, section by section."""

import json
from pathlib import Path

from jaxcv.train import records
from jaxcv.train.report import curves, gallery, style, tables
from jaxcv.train.report.text import escape


def write_report(workdir: Path) -> None:
    """Writes `workdir`/report.html from whatever is there so far."""
    workdir = Path(workdir)
    rows = records.read(workdir)
    config, environment, result = (
        _read(workdir / f'{name}.json') for name in ('config', 'environment', 'result')
    )
    train, evaluated = (records.series(rows, phase) for phase in ('train', 'eval'))
    worked = records.seconds(workdir, rows)
    sections = {
        '': tables.headline(workdir.name, config, result, rows, worked),
        'Final figures': tables.figures(result, train, evaluated),
        'Curves': curves.section(train, evaluated),
        'Over training': gallery.section(workdir / 'media'),
        'Diagnostics': tables.diagnostics(rows),
        'Config': tables.config(config),
        'Environment': tables.environment(environment, result),
    }
    if not result and not rows:
        sections['Final figures'] = '<p class=quiet>Nothing has been recorded yet.</p>'
    body = ''.join(
        f'<section>{f"<h2>{name}</h2>" if name else ""}{content}</section>\n'
        for name, content in sections.items()
        if content
    )
    records.write_text(workdir / 'report.html', _page(workdir.name, body))


def _read(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _page(title, body):
    return f"""<!doctype html>
<html lang=en>
<head>
<meta charset=utf-8>
<meta name=viewport content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style.CSS}</style>
</head>
<body>
<main>
{body}</main>
<script>{style.SCRIPT}</script>
</body>
</html>
"""
