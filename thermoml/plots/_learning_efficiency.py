"""Figure of the study `learning_efficiency`."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ._style import band, caption, legend_beside, line_style, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = {
    "averaged_entropy_production": "without the excess heat",
    "entropy_production": "with the excess heat",
}


def efficiency_of_learning(times: Any, found: dict[str, Any], title: str) -> "Figure":
    """η(t) by rule, measured with bands and of the mean field, for both bounds."""
    figure, axes = new_figure(10.8, 4.4, columns=2)
    for ax, (name, words) in zip(axes, _PANELS.items(), strict=True):
        for index, (rule, curves) in enumerate(found.items()):
            curve = curves[name]
            band(ax, times, curve["mean"], np.nan_to_num(curve["standard_error"]), index, rule)
            ax.plot(times, curve["predicted"], ":", color=line_style(index)["color"], linewidth=1.2)
        ax.set_xscale("log")
        ax.set_xlabel(r"time $t$  [$1/\mu k$]")
        ax.set_ylabel(rf"efficiency $\eta$ {words}")
        ax.set_ylim(bottom=0)
    top = axes[0].get_ylim()[1]
    axes[0].set_ylim(top=min(1.05, max(top, 0.1)))
    caption(axes[0], title, "bands: ± 2 standard errors; dotted: mean field")
    legend_beside(axes[1])
    return figure
