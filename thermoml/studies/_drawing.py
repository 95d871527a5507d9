"""Figures of a study as files: one that cannot be drawn is named, and costs nothing else."""

import io
from typing import TYPE_CHECKING

from ..sweeps import Store

if TYPE_CHECKING:
    from pathlib import Path

    import xarray

    from ._study import AbstractStudy


def draw(
    study: "AbstractStudy", results: "xarray.Dataset", store: Store
) -> "tuple[list[Path], list[str]]":
    """Each figure as PNG and SVG in `figures`, the same bytes for the same figure.

    Returns their files, and a sentence for each figure that could not be drawn.
    """
    import matplotlib

    from ..plots import plain_text

    files: list[Path] = []
    failures: list[str] = []
    config = study.config
    study.config = config.model_copy(update={"title": plain_text(config.title)})
    try:
        figures = study.figures(results)
    except Exception as error:
        return files, [_failure("the figures", store, error)]
    finally:
        study.config = config
    for name, figure in figures.items():
        try:
            png, svg = io.BytesIO(), io.BytesIO()
            with matplotlib.rc_context({"svg.hashsalt": "thermoml"}):
                figure.savefig(png, format="png", dpi=160)
                figure.savefig(svg, format="svg", metadata={"Date": None})
            for suffix, file in (("png", png), ("svg", svg)):
                files.append(store.write_file(f"figures/{name}.{suffix}", file.getvalue()))
        except Exception as error:
            failures.append(_failure(f"the figure {name}", store, error))
    return files, failures


def _failure(figure: str, store: Store, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"{figure} could not be drawn: {reason:.200}; the results in {store.folder} are complete"
