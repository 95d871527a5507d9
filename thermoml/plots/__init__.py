"""Figures of results: each function draws on given axes or makes a figure, and returns it.

    figure = tml.plots.learning_curve({"Hebbian": curve})    # shown if it ends a notebook's cell
    figure.savefig("curve.svg")                              # the same bytes for the same results

A new figure lies outside pyplot. To change it, use its axes: `figure.axes[0].set_xlim(0, 5)`.
With `axes=` a figure of your own is drawn on, such as one of `matplotlib.pyplot.subplots`.
"""

from ..numerics.public import publish as _publish
from ._artists import (
    COLOURS as COLOURS,
    DASHES as DASHES,
    MARKERS as MARKERS,
    band as band,
    caption as caption,
    error_bars as error_bars,
    histogram as histogram,
    legend_beside as legend_beside,
    line_style as line_style,
    new_figure as new_figure,
    plain_text as plain_text,
)
from ._engines import (
    efficiency as efficiency,
    engine_balance as engine_balance,
    engine_chain as engine_chain,
    engines as engines,
)
from ._learning import (
    frontier as frontier,
    information as information,
    learning_curve as learning_curve,
    rules as rules,
)
from ._systems import cycle as cycle, density as density
from ._training import (
    temperatures as temperatures,
    training_path as training_path,
    transition as transition,
)
from ._trajectories import (
    ledger as ledger,
    protocol as protocol,
    work_distribution as work_distribution,
)

_publish(globals())
