"""Temperature of training a linear model against properties of synthetic data, and exactly."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from ...config import Kept, Numbers, Strict, first_mistake
from ...networks import linear_temperature, log_determinant_density, synthetic_data
from ...numerics.choices import nearest
from ...numerics.tables import table_text
from ...plots import COLOURS, MARKERS, caption, error_bars, new_figure
from ...sweeps import Grid
from .._data import (
    NUMBERS,
    UNTRAINED,
    case_of,
    fit_limits,
    ratio_of_means,
    transition_numbers,
    unavoidable_fraction,
)
from .._experiment import predicted, single
from .._study import AbstractStudy
from .._table import column, compared, error_text, numbers

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class SyntheticSetting(Strict):
    """A law of synthetic regression data, and the training of a linear model on them.

    The teacher's weights are standard normal numbers and the variances of the features 1 on
    average, so that `initial_std` is in units of the teacher's weights.
    """

    n_parameters: int = Field(default=20, ge=2)
    aspect_ratio: float = Field(default=0.2, gt=0, lt=1)  # parameters for each example
    anisotropy: float = Field(default=1.0, ge=1, allow_inf_nan=False)  # largest/smallest variance
    label_noise: float = Field(default=0.5, ge=0, allow_inf_nan=False)  # over the signal's
    initial_std: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    bath_temperature: float = Field(default=0.05, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_size(self):
        if self.n_examples <= self.n_parameters:
            raise ValueError(
                f"aspect_ratio must leave more examples than the {self.n_parameters} parameters, "
                f"got {self.aspect_ratio:g}, which leaves {self.n_examples}"
            )
        return self

    @property
    def n_examples(self) -> int:
        """n = d/c, rounded."""
        return round(self.n_parameters / self.aspect_ratio)


KNOBS = {
    "anisotropy": "largest over smallest variance of a feature",
    "label_noise": "label noise over signal",
    "aspect_ratio": "parameters for each example $d/n$",
    "n_parameters": "number of parameters $d$",
    "initial_std": r"initial width over teacher's $\sigma_0$",
    "bath_temperature": r"bath temperature $\tau$  [energy]",
}


def _by_knob(settings: Any) -> Any:
    if not isinstance(settings, Mapping) or not settings:
        raise ValueError(
            "must be a mapping from settings to their values, such as {label_noise: [0, 1]}, got "
            f"{settings!r:.60}"
        )
    for name in settings:
        if name not in KNOBS:
            raise ValueError(f"there is no setting {name} to vary{nearest(name, KNOBS)}")
    return {name: settings[name] for name in KNOBS if name in settings}  # one order of panels


class DataTemperature(SyntheticSetting, Kept):
    """A setting, and values of its numbers, one of which is varied at a time.

    The trajectories are data sets.
    """

    n_trajectories: int = Field(default=400, ge=10)
    vary: Annotated[dict[str, Numbers], BeforeValidator(_by_knob)]

    @model_validator(mode="after")
    def _check_varied(self):
        for name, value in self.knobs:
            self.varied(name, value)
        return self

    @property
    def knobs(self) -> list[tuple[str, float]]:
        """The number that is varied and its value, for each point."""
        return [(name, value) for name, values in self.vary.items() for value in values]

    def varied(self, name: str, value: float) -> SyntheticSetting:
        """The setting with one number changed.

        Raises:
            ValueError: the setting does not take this value.
        """
        base = {knob: getattr(self, knob) for knob in KNOBS}
        try:
            return SyntheticSetting.model_validate(base | {name: value})
        except ValidationError as error:
            message = first_mistake(error, SyntheticSetting)
            raise ValueError(f"vary.{name}: {message}") from None


class DataTemperatureStudy(AbstractStudy):
    """One axis: the config's setting with one number changed, for each value of each number."""

    config: DataTemperature
    replicates = "data_set"
    standard_errors = True

    @property
    def grid(self):
        knobs = self.config.knobs
        return Grid(
            setting={f"{name} = {value:g}": self._numbers(name, value) for name, value in knobs}
        )

    def _numbers(self, name: str, value: float) -> dict[str, Any]:
        setting = self.config.varied(name, value)
        return {
            "n_parameters": setting.n_parameters,
            "n_examples": setting.n_examples,
            "anisotropy": float(setting.anisotropy),
            "label_noise": float(setting.label_noise),
            "initial_std": float(setting.initial_std),
            "bath_temperature": float(setting.bath_temperature),
        }

    def point(self, ensemble, *, setting):
        size, n_examples = setting["n_parameters"], setting["n_examples"]
        spectrum = log_spectrum(size, setting["anisotropy"])
        bath, width = setting["bath_temperature"], setting["initial_std"]
        noise = setting["label_noise"] * size**0.5

        # One after the other also where points are mapped together: many small factorisations at
        # once, on as many threads as cores, may wait for each other for ever.
        @jax.custom_batching.sequential_vmap
        def trained(key, spectrum, noise, width, bath):
            data = synthetic_data(n_examples, spectrum=spectrum, noise=noise, key=key)
            transition = linear_temperature(
                data.features, data.targets, initialisation=width, bath_temperature=bath
            )
            return {name: getattr(transition, name) for name in NUMBERS}

        values = jax.lax.map(
            lambda number: trained(
                jax.random.fold_in(ensemble["key"], number), spectrum, noise, width, bath
            ),
            ensemble["first_trajectory"] + jnp.arange(ensemble["n_trajectories"]),
        )
        exact = expected_training(
            spectrum,
            n_examples,
            label_noise=setting["label_noise"],
            initial_std=width,
            bath_temperature=bath,
        )
        exact_means = predicted(exact, "", "mean over data")
        return transition_numbers(values, self.replicates) | exact_means

    def check(self, results):
        self.refuse_lost(results, UNTRAINED)

    def summary(self, results):
        points = [
            {"varied": name, "value": value}
            | parameters["setting"]
            | _summary_of(entry, parameters["setting"]["bath_temperature"])
            for (name, value), (_, parameters, entry) in zip(
                self.config.knobs, self.points(results), strict=True
            )
        ]
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    def table(self, summary):
        rows = [
            ["varied", "heat", "entropy drop", "T", "exact", "off by", "d, n → ∞", "τ/T", "case"]
        ]
        for entry in summary["points"]:
            hot, share = entry["temperature"], entry["unavoidable_fraction"]
            rows.append(
                [
                    f"{entry['varied'].replace('_', ' ')} = {entry['value']:g}",
                    error_text(entry["heat"]),
                    error_text(entry["entropy_drop"]),
                    "unresolved" if hot["mean"] is None else error_text(hot),
                    f"{hot['predicted']:.5g}",
                    f"{hot['deviation']:+.1f} s.e.",
                    f"{hot['asymptotic']:.5g}",
                    "-" if share["mean"] is None else error_text(share),
                    entry["case"],
                ]
            )
        note = (
            f"T: mean heat over mean entropy drop of {summary['n_trajectories']} data sets ± "
            "standard error; exact: their means at this d and n; k_B = 1."
        )
        return f"{table_text(rows)}\n{note}"

    def figures(self, results):
        points, title = self.summary(results)["points"], self.config.title
        curves = {
            name: [entry for entry in points if entry["varied"] == name]
            for name in self.config.vary
        }
        return {
            "temperature": _temperature_figure(curves, title),
            "unavoidable_fraction": _unavoidable_figure(curves, title),
        }


def log_spectrum(size: int, anisotropy: ArrayLike) -> Float[Array, " d"]:
    """Variances evenly spaced on a log scale, 1 on average; `anisotropy` is largest/smallest."""
    places = jnp.linspace(-0.5, 0.5, size)
    spectrum = jnp.exp(jnp.log(jnp.asarray(anisotropy, places.dtype)) * places)
    return spectrum / jnp.mean(spectrum)


def expected_training(
    spectrum: Float[Array, " d"],
    n_examples: int,
    *,
    label_noise: Any,
    initial_std: Any,
    bath_temperature: Any,
) -> dict[str, Array]:
    r"""Mean heat and entropy drop over data sets of finite size, mean squared error.

    $$E[\Delta Q] = \tfrac12\big[(\sigma_0^2+1)\,\mathrm{tr}\Lambda + \eta^2\tfrac dn - d\tau\big],
      \quad E[\Delta S] = \tfrac d2\ln\tfrac{\sigma_0^2}\tau + \tfrac12E[\ln\det C]$$

    $$E[\ln\det C] = \ln\det\Lambda + \sum_{i<d}\big[\psi(\tfrac{n-i}2) - \ln\tfrac n2\big]$$

    for normal features of variances Λ, standard normal teachers, and noise η = `label_noise` √d
    in the targets; exact for all n >= d. `asymptotic_temperature` is their ratio for d, n → ∞,
    where $E[\ln\det C] = \ln\det\Lambda + d\,\ell(d/n)$ (Marchenko-Pastur).

    Args:
        spectrum: Λ, `(d,)`.
        n_examples: n.
        label_noise: η/√d, noise over signal where tr Λ = d.
        initial_std: σ₀ of the normal start.
        bath_temperature: τ.

    Returns:
        `heat`, `entropy_drop`, `entropy_production`, `temperature`, `asymptotic_temperature`.

    Source: Bishop 2006, appendix B.79, for the Wishart part; the rest are means of squares.
    """
    size = spectrum.shape[0]
    noise = label_noise**2 * size
    trace = jnp.sum(spectrum)
    heat = (
        (initial_std**2 + 1) * trace + noise * (size / n_examples) - size * bath_temperature
    ) / 2
    scale = size * jnp.log(initial_std**2 / bath_temperature) + jnp.sum(jnp.log(spectrum))
    freedom = (n_examples - jnp.arange(size, dtype=spectrum.dtype)) / 2
    wishart = jnp.sum(digamma(freedom) - np.log(n_examples / 2))
    drop = (scale + wishart) / 2
    limit = (scale + size * log_determinant_density(size / n_examples)) / 2
    return {
        "heat": heat,
        "entropy_drop": drop,
        "entropy_production": heat / bath_temperature - drop,
        "temperature": heat / drop,
        "asymptotic_temperature": heat / limit,
    }


def _summary_of(entry: "xarray.Dataset", bath: float) -> dict[str, Any]:
    """Heat, entropies, temperature and the unavoidable fraction at one point."""
    values = {name: compared(entry, name) for name in NUMBERS}
    temperature = _temperature(entry)
    share = unavoidable_fraction(temperature, bath)
    exact = {"mean": temperature["predicted"], "standard_error": 0.0}
    return values | {
        "temperature": temperature,
        "unavoidable_fraction": share | {"predicted": unavoidable_fraction(exact, bath)["mean"]},
        "case": case_of(values["heat"]["mean"], temperature),
    }


def _temperature(entry: "xarray.Dataset") -> dict[str, Any]:
    """Mean heat over mean entropy drop, its prediction, and the spread of single data sets."""
    heats, drops = (single(entry, name, "data_set") for name in ("heat", "entropy_drop"))
    exact = float(entry.predicted_temperature)
    away = heats - exact * drops  # of mean 0 if the prediction is right, whatever ΔS
    return ratio_of_means(heats, drops) | {
        "predicted": exact,
        "asymptotic": float(entry.predicted_asymptotic_temperature),
        "deviation": float(away.mean() / (heats.size**-0.5 * away.std(ddof=1))),
        "single": [float(x) for x in np.percentile(heats / drops, [5, 95])],
    }


_Curves = Mapping[str, Sequence[Mapping[str, Any]]]


def _panels(curves: _Curves) -> "tuple[Figure, dict[str, Axes]]":
    """A panel for each number that is varied, with a log scale for values that span decades."""
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure, axes = new_figure(4.3 * columns, 3.5 * rows, columns, rows=rows)
    for ax in axes[len(curves) :]:
        ax.set_visible(False)
    panels = dict(zip(curves, axes, strict=False))
    for name, ax in panels.items():
        values = [entry["value"] for entry in curves[name]]
        if min(values) > 0 and max(values) > 10 * min(values):
            ax.set_xscale("log")
        fit_limits(ax, values)
        if name == "n_parameters":
            ax.set_xticks(values, [f"{value:g}" for value in values])
            ax.minorticks_off()
        ax.set_xlabel(KNOBS[name])
    return figure, panels


def _temperature_figure(curves: _Curves, title: str) -> "Figure":
    """T of ensembles of data sets on its prediction, a panel for each number that is varied."""
    figure, panels = _panels(curves)
    for index, (name, ax) in enumerate(panels.items()):
        entries, color = curves[name], COLOURS[index % len(COLOURS)]
        x = np.asarray([entry["value"] for entry in entries])
        for which, style in (("predicted", "-"), ("asymptotic", ":")):
            values = numbers([entry["temperature"][which] for entry in entries])
            positive = np.where(values > 0, values, np.nan)
            ax.plot(x, positive, style, color=color, linewidth=1.4)
        hot = [entry["temperature"] for entry in entries]
        kept = np.flatnonzero(column(hot).mean > 0)
        error_bars(ax, x[kept], column([hot[i] for i in kept]), index, fmt=MARKERS[0])
        if kept.size:
            low, high = np.asarray([hot[i]["single"] for i in kept]).T
            ax.vlines(x[kept], low, high, color=color, alpha=0.25, linewidth=5)
        ax.plot(x, [entry["bath_temperature"] for entry in entries], color="0.3", linewidth=1)
        ax.set_yscale("log")
        ax.set_ylabel(r"temperature $T=\Delta Q/\Delta S$  [energy]")
    caption(
        next(iter(panels.values())),
        title,
        "bars: 2 standard errors; broad: 5 to 95 % of single data sets; lines: exact mean, dotted "
        r"for $d, n\to\infty$; grey: bath $\tau$; only $T>0$ is shown",
    )
    return figure


def _unavoidable_figure(curves: _Curves, title: str) -> "Figure":
    """The unavoidable share τ/T of the heat, a panel for each number that is varied."""
    figure, panels = _panels(curves)
    for index, (name, ax) in enumerate(panels.items()):
        shares = [entry["unavoidable_fraction"] for entry in curves[name]]
        x = [entry["value"] for entry in curves[name]]
        exact = numbers([share["predicted"] for share in shares])
        ax.plot(x, exact, color=COLOURS[index % len(COLOURS)])
        error_bars(ax, x, column(shares), index, fmt=MARKERS[0])
        ax.set_ylim(bottom=0)
        ax.set_ylabel(r"unavoidable share of the heat $\tau/T$")
    caption(next(iter(panels.values())), title, "bars: 2 standard errors; lines: exact")
    return figure
