"""Figures: one palette, one style, no global state."""

from ..numerics.public import publish as _publish
from ._style import (
    COLOURS as COLOURS,
    DASHES as DASHES,
    MARKERS as MARKERS,
    band as band,
    caption as caption,
    legend_beside as legend_beside,
    line_style as line_style,
    new_figure as new_figure,
)

_publish(globals())
