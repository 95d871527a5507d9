"""The progress of a sweep: a bar on stderr with rate and time left."""

import sys
from typing import SupportsFloat

import diffrax
import jax
import jax.numpy as jnp


class ProgressBar:
    """A bar over units; silent unless `visible`, by default on a terminal only."""

    def __init__(self, visible: bool | None):
        import tqdm

        self.done = 0
        self.bar = tqdm.tqdm(
            unit="unit",
            disable=not (sys.stderr.isatty() if visible is None else visible),
            bar_format="{desc}{percentage:3.0f}%|{bar}| {n:.4g}/{total} units, {elapsed}, "
            "{remaining} left, {rate_fmt}",
        )

    @property
    def meter(self) -> diffrax.AbstractProgressMeter | bool:
        """The meter of a running unit. False when silent: equal runs then share their code."""
        return False if self.bar.disable else _UnitMeter(self)

    def begin(self, n_units: int, n_done: int) -> None:
        """Start with `n_done` of `n_units` units done."""
        self.done = self.bar.initial = n_done
        self.bar.reset(total=n_units)
        self.within(0.0)

    def advance(self, label: str) -> None:
        """Count one more finished unit."""
        self.done += 1
        self.bar.set_description_str(f"{label} ", refresh=False)
        self.within(0.0)

    def within(self, fraction: SupportsFloat) -> None:
        """Show the fraction of the next unit that is done."""
        self.bar.n = self.done + float(fraction)
        self.bar.refresh()

    def close(self) -> None:
        """Leave the bar in its last state."""
        self.bar.close()


class _UnitMeter(diffrax.AbstractProgressMeter):
    """Passes the progress of one unit on to the bar over all."""

    bar: ProgressBar

    def init(self):
        return jnp.zeros(())

    def step(self, state, progress):
        jax.debug.callback(self.bar.within, progress)
        return state

    def close(self, state):
        del state
