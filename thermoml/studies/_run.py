"""Running a study: its sweep into the store, then the summary and the figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from ..config import config_json
from ..sweeps import Store, Sweep, Task, parse_size
from ._base import AbstractStudy


def run_study(
    study: AbstractStudy,
    folder: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    executor: Any = None,
) -> Mapping[str, Any]:
    """Run a study into `folder`, in this process or on a Dask client; returns the summary.

    Raises:
        StoreError, SchedulerLost: see `sweep`.
        MemoryError: the config's memory does not hold one trajectory.
    """
    config = study.config
    sweep = Sweep(
        Task.of(
            study.point,
            study.grid,
            n_trajectories=config.n_trajectories,
            key=jax.random.key(config.seed),
            x64=config.precision == "float64",
            static=[name for name in study.static if name in study.grid.names],
        ),
        identity=config_json(config),
        keep=config.trajectories,
        memory=parse_size(config.memory),
        per_unit=config.per_unit,
    )
    with Store.claim(folder, resume=resume, overwrite=overwrite) as store:
        sweep.run(store, executor=executor, resume=resume)
        results = store.load().load()
        summary = study.summary(results)
        save_figures(study.figures(results), folder)
        store.finish(summary)
    return summary


def redraw(study: AbstractStudy, folder: Path) -> list[Path]:
    """Draw the figures of a finished run again; returns their files."""
    return save_figures(study.figures(Store(folder).open()), folder)


def save_figures(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Each figure as PNG and SVG in `folder/figures`, the same bytes for the same figure."""
    import matplotlib

    target = folder / "figures"
    target.mkdir(exist_ok=True)
    files = []
    with matplotlib.rc_context({"svg.hashsalt": "thermoml"}):
        for name, figure in figures.items():
            figure.savefig(target / f"{name}.png", dpi=160)
            figure.savefig(target / f"{name}.svg", metadata={"Date": None})
            files += [target / f"{name}.png", target / f"{name}.svg"]
    return files
