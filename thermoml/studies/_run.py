"""Running a study: units into the store, then the summary and the figures."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffrax
import jax
import jax.numpy as jnp

from ..config import config_json
from ..langevin import SimulationDiverged
from ..sweep import Store
from ._base import AbstractStudy


class _ProgressBar:
    """A bar over all units on stderr, with rate and time left; silent when not on a terminal."""

    def __init__(self, n_units: int):
        import tqdm

        self.unit = 0
        self.bar = tqdm.tqdm(
            total=100 * n_units,
            unit="%",
            disable=not sys.stderr.isatty(),
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left, {rate_fmt}",
        )

    @property
    def meter(self) -> Any:
        """What `learn` reports to. None when silent: then equal runs share their compiled code."""
        return False if self.bar.disable else _UnitMeter(self)

    def begin(self, unit: int, label: str) -> None:
        self.unit = unit
        self.bar.set_description_str(label)
        self.update(0.0)

    def update(self, fraction: Any) -> None:
        self.bar.n = round(100 * (self.unit + float(fraction)), 1)
        self.bar.refresh()

    def close(self) -> None:
        self.bar.close()


class _UnitMeter(diffrax.AbstractProgressMeter):
    """Passes the progress of one unit on to the bar over all."""

    bar: _ProgressBar

    def init(self):
        return jnp.zeros(())

    def step(self, state, progress):
        jax.debug.callback(self.bar.update, progress)
        return state

    def close(self, state):
        del state


def run_study(study: AbstractStudy, folder: Path, *, overwrite: bool = False) -> Mapping[str, Any]:
    """Run every unit of a study into `folder`; returns the summary.

    Raises:
        StoreError: the folder cannot be used.
        SimulationDiverged: a unit turned non-finite. What is good of it is in the store, which
            stays marked incomplete.
    """
    labels = study.unit_labels
    config = study.config
    key = jax.random.key(config.seed)
    store = Store.create(
        folder,
        variables=study.variables(),
        coordinates=study.coordinates(),
        attributes={
            "config": config_json(config),
            "key_data": [int(word) for word in jax.random.key_data(key)],
            "key_implementation": str(jax.random.key_impl(key)),
        },
        overwrite=overwrite,
    )
    bar = _ProgressBar(len(labels))
    try:
        for unit, label in enumerate(labels):
            began = time.perf_counter()
            bar.begin(unit, label)
            try:
                values = study.run(unit, bar.meter)
            except SimulationDiverged as error:
                seconds = time.perf_counter() - began
                store.write(unit, error.good_part, f"{label} (diverged)", seconds)
                raise SimulationDiverged(f"{label}: {error}", error.solution) from None
            store.write(unit, values, label, time.perf_counter() - began)
        bar.update(1.0)
    finally:
        bar.close()
    results = store.load()
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
