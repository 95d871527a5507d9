"""What a time step does to states, free energies and heat, for each integrator."""

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import AfterValidator, Field, model_validator

from ...config import Kept, Positive
from ...langevin import (
    AbstractIntegrator,
    EulerMaruyama,
    ExactLinear,
    FromControl,
    HarmonicPotential,
    Heun,
    Langevin,
    LeimkuhlerMatthews,
    Ramp,
    Solution,
    Splitting,
    Underdamped,
    position_of,
    simulate,
)
from ...numerics.checks import count_steps
from ...numerics.statistics import Estimate
from ...numerics.tables import table_text
from ...plots import COLOURS, caption, error_bars, legend_beside, new_figure
from ...sweeps import Grid
from ...thermodynamics import FreeEnergyWarning, Moments, NormalState, jarzynski, moment_equations
from .._experiment import BARS, diverged, predicted, single
from .._study import AbstractStudy
from .._table import column, compared, error_text, numbers, per_trajectory, sample_text

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

_TRAP = HarmonicPotential(FromControl())
_OVERDAMPED: dict[str, Callable[[], AbstractIntegrator]] = {
    "euler_maruyama": EulerMaruyama,
    "heun": Heun,
    "leimkuhler_matthews": LeimkuhlerMatthews,
    "exact_linear": lambda: ExactLinear(_TRAP.stiffness),
}
_SHADOWLESS = ("heun", "leimkuhler_matthews")
_RELAXED = 10.0  # relaxation times of the trap after which its states are looked at
_TURNED = 30.0  # duration of turning, of which the second half counts


def _integrator(name: str) -> AbstractIntegrator:
    """The integrator of a name: one of the overdamped ones, or a word in A, B and O.

    Raises:
        ValueError: neither.
    """
    if name in _OVERDAMPED:
        return _OVERDAMPED[name]()
    try:
        return Splitting(name)
    except ValueError as error:
        names = ", ".join(_OVERDAMPED)
        raise ValueError(f"must be one of {names} or a word of a Splitting: {error}") from None


def _known(name: str) -> str:
    _integrator(name)
    return name


class _Rotation(eqx.Module):
    """A force across the position, w (y, -x)."""

    rotation: float

    def __call__(self, x, control):
        return self.rotation * jnp.stack([x[1], -x[0]])


class Integrators(Kept):
    """A trap at rest, a trap stiffened from 1 to `compression`, and a trap that a drive turns.

    In units of the first trap, with m = γ = 1 for the integrators with momentum.
    """

    n_trajectories: int = Field(default=20_000, ge=20)
    integrators: list[Annotated[str, AfterValidator(_known)]] = Field(min_length=1)
    steps: Positive
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    compression: float = Field(default=4.0, gt=0, allow_inf_nan=False)
    duration: float = Field(default=2.0, gt=0, allow_inf_nan=False)
    stiffness: float = Field(default=1.5, gt=0, allow_inf_nan=False)
    rotation: float = Field(default=0.7, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_steps(self):
        for dt in self.steps:
            for duration in (self.duration, _RELAXED, _TURNED):
                count_steps(0.0, duration, dt, self.precision)
        if self.rotation**2 >= self.stiffness:
            raise ValueError(
                f"rotation must be below the root of stiffness = {self.stiffness:g}, or momenta "
                f"run away; got {self.rotation:g}"
            )
        return self


class IntegratorsStudy(AbstractStudy):
    """Integrators along one axis, time steps along the other."""

    config: Integrators
    static = ("integrator", "dt")

    @property
    def grid(self):
        return Grid(integrator=self.config.integrators, dt=self.config.steps)

    def point(self, ensemble, *, integrator, dt):
        config, temperature = self.config, self.config.temperature
        steps = _Steps(_integrator(integrator), dt, ensemble)
        start = NormalState(jnp.zeros(()), jnp.asarray(temperature))
        trap = Langevin(_TRAP, control=Ramp(1.0, 1.0), temperature=temperature)
        still, still_exact = steps.pair(0, trap, start, _RELAXED)
        ramp = Ramp(1.0, config.compression, t1=config.duration)
        squeeze = Langevin(_TRAP, control=ramp, temperature=temperature)
        squeezed, squeezed_exact = steps.pair(1, squeeze, start, config.duration)
        start = NormalState(jnp.zeros(2), temperature / config.stiffness)
        turning, turning_exact = steps.pair(2, self._turning(), start, _TURNED)

        free = squeezed_exact.free_energy_from_work, squeezed_exact.free_energy_from_total_work
        assert free[0] is not None  # known with a dt, NaN where there is no shadow work
        assert free[1] is not None
        shadow = integrator not in _SHADOWLESS
        unknown = jnp.full(squeezed.diverged_step.shape, jnp.nan)
        rate = 2 / _TURNED
        runs = {
            "variance": position_of(still.final_state) ** 2 / temperature,
            "work": squeezed.work[:, -1],
            "total_work": squeezed.total_work[:, -1] if shadow else unknown,
            "heat_rate": rate * (turning.heat[:, -1] - turning.heat[:, 1]),
        }
        exact = {
            "variance": jnp.ravel(still_exact.covariance[-1])[0] / temperature,
            "work": free[0][-1],
            "total_work": free[1][-1],
            "heat_rate": rate * (turning_exact.heat[-1] - turning_exact.heat[1]),
        }
        return {
            **{name: per_trajectory(runs[name], *words) for name, words in _WORDS.items()},
            **predicted(exact, "", "recursion of the steps"),
            **diverged(still, squeezed, turning),
        }

    def _turning(self) -> Langevin:
        """A trap in two dimensions, turned by a drive."""
        stiffness = self.config.stiffness
        return Langevin(
            _TRAP,
            control=Ramp(stiffness, stiffness),
            drive=_Rotation(self.config.rotation),
            temperature=self.config.temperature,
        )

    def check(self, results):
        self.refuse_lost(results, "trajectories turned non-finite; leave out the largest steps")

    def _limit(self, integrator: str) -> float:
        """The heat rate of the turned trap for dt → 0."""
        config = self.config
        moved = integrator not in _OVERDAMPED
        stiffness = config.stiffness - (config.rotation**2 if moved else 0)
        return 2 * config.temperature * config.rotation**2 / stiffness

    def _free_energies(self, entry: "xarray.Dataset") -> dict[str, Any]:
        """Jarzynski's estimates from the work, and from work and shadow work if there is one."""
        free = {}
        for name in ("work", "total_work"):
            works = single(entry, name)
            free[name] = {"mean": None, "standard_error": None, "predicted": None}
            if np.isfinite(works).all():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", FreeEnergyWarning)
                    estimate = jarzynski(works, self.config.temperature)
                free[name] = {
                    "mean": float(estimate.free_energy_difference),
                    "standard_error": float(estimate.standard_error),
                    "predicted": float(entry[f"predicted_{name}"]),
                }
        return free

    def summary(self, results):
        points = []
        for _, parameters, entry in self.points(results):
            free = self._free_energies(entry)
            points.append(
                parameters
                | {
                    "variance": compared(entry, "variance"),
                    "free_energy": free["work"],
                    "free_energy_with_shadow_work": free["total_work"],
                    "heat_rate": compared(entry, "heat_rate"),
                    "heat_rate_limit": self._limit(parameters["integrator"]),
                }
            )
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "free_energy_difference": self.config.temperature * np.log(self.config.compression) / 2,
            "points": points,
        }

    def table(self, summary):
        names = ("variance", "free_energy", "free_energy_with_shadow_work", "heat_rate")
        heads = ("x²k/T", "-T ln⟨exp(-W/T)⟩", "with shadow work", "heat rate")
        rows = [["integrator", "dt", *(x for head in heads for x in (head, "exact"))]]
        for entry in summary["points"]:
            row = [entry["integrator"], f"{entry['dt']:g}"]
            for name in names:
                known = entry[name]["mean"] is not None
                row += (
                    [error_text(entry[name]), f"{entry[name]['predicted']:.5g}"]
                    if known
                    else ["–", "–"]
                )
            rows.append(row)
        free = summary["free_energy_difference"]
        note = f"Exact: of these steps; for dt → 0 they are 1, {free:.5g}, {free:.5g};"
        return f"{table_text(rows)}\n{note} {sample_text(summary['n_trajectories'])}; k_B = 1."

    def figures(self, results):
        return {"time_steps": _figure(self.summary(results), self.config.title)}


_WORDS = {
    "variance": ("", "x²k/T at rest"),
    "work": ("energy", "work of stiffening"),
    "total_work": ("energy", "work and shadow work of stiffening"),
    "heat_rate": ("energy/time", "heat rate of turning"),
}


class _Steps(NamedTuple):
    """An integrator with its time step, and the ensemble that takes the steps."""

    integrator: AbstractIntegrator
    dt: float
    ensemble: Mapping[str, Any]

    def pair(
        self, number: int, trap: Langevin, start: NormalState, t1: float
    ) -> tuple[Solution, Moments]:
        """A simulation, and the exact moments of its steps, with a save in the middle."""
        moved = isinstance(self.integrator, Splitting)
        system = Underdamped(trap) if moved else trap
        how = {"t1": t1, "dt": self.dt, "integrator": self.integrator}
        moments = moment_equations(system, start, saves=2, **how)
        rest = dict(self.ensemble)
        key = jax.random.fold_in(rest.pop("key"), number)
        save_every = count_steps(0.0, t1, self.dt, float) // 2
        run = simulate(
            system, start.sample, key=key, save_every=save_every, throw=False, **how, **rest
        )
        return run, moments


def _figure(summary: Mapping[str, Any], title: str) -> "Figure":
    """Variance, free energy and heat against the time step, measured and exact."""
    figure, axes = new_figure(13.4, 4.4, columns=3)
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for entry in summary["points"]:
        by_name.setdefault(entry["integrator"], []).append(entry)
    ticks = sorted({entry["dt"] for entry in summary["points"]})
    panels = (
        ("variance", 1.0, r"variance $\langle x^2\rangle k/T$"),
        ("free_energy", 1.0, r"$-T\,\ln\langle e^{-W/T}\rangle$  [energy]"),
        ("heat_rate", None, r"heat rate / its limit $\mathrm{d}t\to0$"),
    )
    for ax, (name, scale, label) in zip(axes, panels, strict=True):
        for i, (integrator, entries) in enumerate(by_name.items()):
            scales = np.asarray([scale or entry["heat_rate_limit"] for entry in entries])
            steps = np.asarray([entry["dt"] for entry in entries])
            exact = numbers([entry[name]["predicted"] for entry in entries])
            ax.plot(steps, exact / scales, color=COLOURS[i % len(COLOURS)], linewidth=1.3)
            mean, error = column([entry[name] for entry in entries])
            error_bars(ax, steps, Estimate(mean / scales, error / scales), i, label=integrator)
        limit = summary["free_energy_difference"] if name == "free_energy" else 1.0
        ax.axhline(limit, color="0.6", linewidth=1.0, zorder=0)
        ax.set_xscale("log")
        ax.set_xticks(ticks, [f"{dt:g}" for dt in ticks])
        ax.minorticks_off()
        ax.set_xlabel(r"time step $\mathrm{d}t$  [time]")
        ax.set_ylabel(label)
    caption(axes[0], title, f"{BARS}; lines: exact for these steps; grey: exact for dt → 0")
    legend_beside(axes[-1])
    return figure
