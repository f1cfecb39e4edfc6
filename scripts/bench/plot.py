"""The ratios and figures as one picture: how far each is from its target. A small SVG, made by hand."""

import math
from collections.abc import Sequence
from html import escape

from scripts.bench.figures import Figure

_ROW, _LEFT, _WIDTH, _TOP = 26, 520, 420, 40
_DECADES = 1.0  # a tenth of the target to ten times it
_COLOURS = {"pass": "#2e7d32", "FAIL": "#c62828"}


def svg(figures: Sequence[Figure], *, title: str) -> str:
    shown = [figure for figure in figures if figure.value is not None and figure.target is not None]
    height = _TOP + _ROW * len(shown) + 30
    middle = _LEFT + _WIDTH / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 140}" height="{height}" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="20" font-size="14" font-family="sans-serif">{escape(title)}</text>',
        f'<line x1="{middle}" x2="{middle}" y1="{_TOP - 8}" y2="{height - 24}" stroke="#888"/>',
        f'<text x="{middle}" y="{height - 8}" text-anchor="middle">the target; better to the right</text>',
    ]
    parts += [_bar(figure, _TOP + _ROW * place, middle) for place, figure in enumerate(shown)]
    return "\n".join([*parts, "</svg>", ""])


def _bar(figure: Figure, y: float, middle: float) -> str:
    assert figure.value is not None
    assert figure.target is not None
    ratio = max(figure.value, 1e-9) / figure.target.bound
    better = math.log10(ratio if figure.target.sense == "≥" else 1 / ratio)
    length = max(min(better, _DECADES), -_DECADES) / _DECADES * _WIDTH / 2
    label = escape(f"{figure.row} {figure.work}"[:86])
    return (
        f'<text x="10" y="{y + 12}">{label}</text>'
        f'<rect x="{min(middle, middle + length):.1f}" y="{y}" width="{abs(length):.1f}" height="16" '
        f'fill="{_COLOURS[figure.verdict]}"/>'
        f'<text x="{_LEFT + _WIDTH + 8}" y="{y + 12}">{escape(figure.measured)}</text>'
    )
