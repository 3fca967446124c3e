"""Words and numbers as they stand on the page."""

import html
import math


def escape(text: object) -> str:
    return html.escape(str(text))


def number(value: float | None, digits: int = 4) -> str:
    """Four digits: 0.9861, 12,480, 3.2e-5."""
    if value is None or not math.isfinite(value):
        return '–'
    if value == int(value) and abs(value) < 1e9:
        return f'{int(value):,}'
    if not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f'{value:.{digits - 2}e}'.split('e')
        return f'{mantissa.rstrip("0").rstrip(".")}e{int(exponent)}'
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f'{value:,.{min(decimals, digits)}f}'


def short(value: float) -> str:
    """For ticks: 0.25, 300, 20k, 1.5M, 1e-4."""
    size = abs(value)
    if size == 0:
        return '0'
    if size < 1e-3 or size >= 1e9:
        mantissa, exponent = f'{value:.1e}'.split('e')
        mantissa = mantissa.removesuffix('.0')
        return f'{mantissa}e{int(exponent)}'
    for unit, letter in ((1e6, 'M'), (1e3, 'k')):
        if size >= (unit if unit > 1e3 else 1e4):
            return f'{value / unit:.4g}{letter}'
    return f'{value:.4g}'


def duration(seconds: float) -> str:
    """42 s, 3 min 20 s, 2 h 05 min."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours} h {minutes:02} min'
    return f'{minutes} min {seconds:02} s' if minutes else f'{seconds} s'
