"""Escape from one well to another against friction: Kramers' turnover, beside its limits."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from pydantic import Field
from scipy.integrate import cumulative_trapezoid, quad

from ...config import Kept, Positive
from ...langevin import BAOAB, Langevin, State, Underdamped, position_of, simulate
from ...numerics.statistics import Estimate
from ...numerics.tables import table_text
from ...plots import COLOURS, caption, error_bars, legend_beside, new_figure
from ...sweeps import Grid
from ...thermodynamics import Axis, FokkerPlanck
from .._experiment import BARS, diverged, single
from .._study import AbstractStudy
from .._table import column, error_text, once, per_trajectory, sample_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_EDGE, _CELLS = 1.9, 600  # U = 6.8 ΔU at the edge
_FRICTION_STEP = 0.4  # the largest γdt
_LIMITS = {
    "turnover": "Mel'nikov and Meshkov",
    "strong": "Kramers, strong friction",
    "weak": "energy diffusion, weak friction",
    "overdamped": "overdamped, Fokker-Planck",
}


class KramersTurnover(Kept):
    """A particle of mass 1 in U = ΔU (x² - 1)², from equilibrium in the left well.

    A run lasts until a fraction of about `escaped` is in the right one, or at most `steps` steps.
    The time step is `dt`, or 0.4/γ where that is smaller: BAOAB diffuses too fast by a factor
    (γdt/2) coth(γdt/2), 1.3 % then.
    """

    n_trajectories: int = Field(default=4000, ge=20)
    precision: Literal["float32", "float64"] = "float32"
    barrier: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    friction: Positive
    escaped: float = Field(default=0.2, gt=0, lt=0.45)
    dt: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    steps: int = Field(default=400_000, ge=2)


class KramersStudy(AbstractStudy):
    """One axis, the friction."""

    config: KramersTurnover
    static = ("friction",)

    @property
    def grid(self):
        return Grid(friction=self.config.friction)

    def _potential(self, x: Any, control: Any = None) -> Any:
        return self.config.barrier * (x**2 - 1) ** 2

    def _steps(self, friction: float) -> tuple[int, float]:
        """An even number of steps, after which a fraction `escaped` is on the right, and dt."""
        dt = min(self.config.dt, _FRICTION_STEP / friction)
        time = -np.log(1 - 2 * self.config.escaped) / (2 * self.limits(friction)["turnover"])
        return 2 * max(1, min(self.config.steps, round(time / dt)) // 2), dt

    def _start(self, key: Key[Array, ""]) -> Float[Array, ""]:
        """A place in equilibrium in the left well, by the inverse of its distribution."""
        x = np.linspace(-_EDGE, 0, 4001)
        weight = np.exp(-self._potential(x) / self.config.temperature)
        share = np.concatenate([[0], np.cumsum((weight[1:] + weight[:-1]) / 2)])
        uniform = jax.random.uniform(key, ())
        return jnp.interp(
            uniform, jnp.asarray(share / share[-1], uniform.dtype), jnp.asarray(x, uniform.dtype)
        )

    def limits(self, friction: float) -> dict[str, float]:
        r"""Escape rates in theory: the whole turnover, and its limits.

        $$k_\text{TST} = \sqrt{\frac T{2\pi}}\,\frac{e^{-\Delta U/T}}{\int_{x<0}e^{-U/T}}, \qquad
          \kappa = \sqrt{1 + \frac{\gamma^2}{4\omega_b^2}} - \frac\gamma{2\omega_b}, \qquad
          k = k_\text{TST}\,\kappa\,\frac{A(\delta)^2}{A(2\delta)}$$

        with δ = γI/T of the action I of an orbit at the top, and
        $\ln A(\delta) = \frac1{2\pi}\int\frac{\ln(1 - e^{-\delta(u^2 + 1/4)})}{u^2 + 1/4}du$: but
        for O(T/ΔU). At weak friction that matters, and the limit is made by quadrature.

        Source: Kramers 1940, Physica 7, 284; Mel'nikov and Meshkov 1986, J. Chem. Phys. 85, 1018;
        Hänggi, Talkner and Borkovec 1990, Rev. Mod. Phys. 62, 251.
        """
        barrier, temperature = self.config.barrier, self.config.temperature
        weight = quad(lambda x: np.exp(-self._potential(x) / temperature), -np.inf, 0)[0]
        transition_state = (
            np.sqrt(temperature / (2 * np.pi)) * np.exp(-barrier / temperature) / weight
        )
        top = np.sqrt(4 * barrier)
        crossed = np.sqrt(1 + (friction / (2 * top)) ** 2) - friction / (2 * top)

        def speed(x):
            return np.sqrt(2 * np.maximum(barrier - self._potential(x), 0))

        def in_part(u, loss):
            return np.log(-np.expm1(-loss * (u**2 + 0.25))) / (u**2 + 0.25)

        loss = friction * 2 * quad(speed, 0, np.sqrt(2))[0] / temperature

        def depopulation(loss):
            return np.exp(quad(in_part, 0, np.inf, (loss,), limit=500)[0] / np.pi)

        bridge = depopulation(loss) ** 2 / depopulation(2 * loss)
        return {
            "turnover": transition_state * crossed * bridge,
            "strong": transition_state * crossed,
            "weak": self._energy_diffusion(friction),
        }

    def _energy_diffusion(self, friction: float) -> float:
        r"""Half of the rate at which the energy E of an orbit diffuses to the top of a well.

        $$\frac1k = \int_0^{\Delta U}\frac{dE\,e^{E/T}}{\gamma TI(E)}
          \int_0^E I'(E')\,e^{-E'/T}\,dE'$$

        with the action I(E) = ∮ p dx and its slope, the period.
        """
        barrier, temperature = self.config.barrier, self.config.temperature
        energy = barrier * (1 - np.linspace(1, 1e-3, 3000) ** 2)[1:]  # dense at the top
        inner, outer = (np.sqrt(1 + sign * np.sqrt(energy / barrier)) for sign in (-1, 1))
        # Chebyshev's points of each orbit
        angle = (np.arange(400) + 0.5)[:, None] * np.pi / 400
        x = (inner + outer) / 2 + (outer - inner) / 2 * np.cos(angle)
        width = (outer - inner) / 2 * np.sin(angle) * np.pi / 400
        momentum = np.sqrt(2 * (energy - self._potential(x)))
        action, period = 2 * np.sum(momentum * width, axis=0), 2 * np.sum(width / momentum, axis=0)
        below = cumulative_trapezoid(period * np.exp(-energy / temperature), energy, initial=0)
        below += period[0] * energy[0]
        rise = np.exp(energy / temperature) / (friction * temperature * action)
        return 0.5 / float(np.trapezoid(rise * below, energy))

    def _overdamped(self, friction: float) -> Float[Array, ""]:
        """The escape rate of the overdamped system, half of its slowest relaxation."""
        system = Langevin(
            self._potential, temperature=self.config.temperature, mobility=1 / friction
        )
        return FokkerPlanck(system, Axis(-_EDGE, _EDGE, _CELLS)).spectrum(2).rates[1] / 2

    def point(self, ensemble, *, friction):
        config, (steps, dt) = self.config, self._steps(friction)
        system = Langevin(self._potential, temperature=config.temperature)
        run = simulate(
            Underdamped(system, friction=friction),
            self._start,
            t1=steps * dt,
            dt=dt,
            save_every=steps // 2,
            integrator=BAOAB(),
            observables={"state": State()},
            throw=False,
            **ensemble,
        )
        right = (position_of(run.observables["state"]) > 0).astype(run.energy.dtype)
        limits: dict[str, Any] = {**self.limits(friction), "overdamped": self._overdamped(friction)}
        return {
            "right_halfway": per_trajectory(right[:, 1], "", "fraction on the right, halfway"),
            "right": per_trajectory(right[:, 2], "", "fraction on the right"),
            "duration": once(jnp.asarray(steps * dt), "time", "duration"),
            **{
                f"predicted_{name}": once(jnp.asarray(value), "1/time", f"rate, {_LIMITS[name]}")
                for name, value in limits.items()
            },
            **diverged(run),
        }

    def check(self, results):
        self.refuse_lost(results, "trajectories turned non-finite; use a smaller dt")

    def summary(self, results):
        points = []
        for _, parameters, entry in self.points(results):
            rate = escape_rate(
                single(entry, "right_halfway"), single(entry, "right"), float(entry.duration)
            )
            limits = {name: float(entry[f"predicted_{name}"]) for name in _LIMITS}
            points.append(parameters | {"rate": rate.as_dict()} | limits)
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    def table(self, summary):
        rows = [["friction", "rate", *_LIMITS.values()]]
        for entry in summary["points"]:
            limits = [f"{entry[name]:.4g}" for name in _LIMITS]
            rows.append([f"{entry['friction']:g}", error_text(entry["rate"]), *limits])
        return f"{table_text(rows)}\n{sample_text(summary['n_trajectories'])}; k_B = 1."

    def figures(self, results):
        return {"turnover": _figure(self.summary(results)["points"], self.config.title)}


def escape_rate(before: np.ndarray, after: np.ndarray, duration: float) -> Estimate:
    r"""The rate k of p(t) = ½(1 - e^{-2kt}) + const. in the second half of a duration.

    From who is on the right at the middle and at the end, `(trajectory,)`; its error to first order
    in the fluctuations of both fractions.
    """
    p, q = before.mean(), after.mean()
    rate = np.log((1 - 2 * p) / (1 - 2 * q)) / duration
    slopes = (after - q) / (1 - 2 * q) - (before - p) / (1 - 2 * p)
    return Estimate(rate, 2 / duration * Estimate.of(slopes).standard_error)


def _figure(points: Sequence[Mapping[str, Any]], title: str) -> "Figure":
    """Escape rate against friction, with the limits of theory."""
    figure, (ax,) = new_figure(7.6, 4.8)
    friction = np.asarray([entry["friction"] for entry in points])
    styles = ("-", "--", ":", "-.")
    for i, ((name, label), style) in enumerate(zip(_LIMITS.items(), styles, strict=True)):
        color = "black" if name == "turnover" else COLOURS[i]
        rates = [entry[name] for entry in points]
        ax.plot(friction, rates, color=color, linestyle=style, linewidth=1.4, label=label)
    error_bars(ax, friction, column([entry["rate"] for entry in points]), 0, label="simulated")
    ax.set_xscale("log")
    ax.set_yscale("log")
    rates = np.asarray([entry["turnover"] for entry in points])
    ax.set_ylim(rates.min() / 2, 4 * rates.max())
    ax.set_xlabel(r"friction $\gamma$  [1/time]")
    ax.set_ylabel("escape rate  [1/time]")
    caption(ax, title, f"{BARS}; mass 1, BAOAB")
    legend_beside(ax)
    return figure
