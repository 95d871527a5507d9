"""The study `data_temperature`: how hot it is to learn from synthetic data, and what changes it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma
from jaxtyping import Array, Float

from ..config import DataTemperature
from ..networks import linear_temperature, log_determinant_density, synthetic_data
from ..numerics.statistics import text_with_error
from ..plots import temperature_by_knob, unavoidable_by_knob
from ..sweeps import Grid
from ._base import deviation, pair
from ._experiments import predicted, single
from ._table import table_text
from ._temperatures import NUMBERS, TemperatureStudy, case_of, measured, ratio, unavoidable_fraction


def log_spectrum(size: int, anisotropy: Any) -> Float[Array, " d"]:
    """Variances evenly spaced on a log scale, 1 on average; `anisotropy` is largest/smallest."""
    places = jnp.linspace(-0.5, 0.5, size)
    found = jnp.exp(jnp.log(jnp.asarray(anisotropy, places.dtype)) * places)
    return found / jnp.mean(found)


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

    Source: Bishop 2006, appendix B.79, for the Wishart part, of which the rest is means of squares.
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


class DataTemperatureStudy(TemperatureStudy):
    """One axis: the config's setting with one number changed, for each that it varies."""

    config: DataTemperature

    @property
    def grid(self):
        varied = {
            f"{name} = {value:g}": self._numbers(name, value)
            for name, values in self.config.vary.items()
            for value in values
        }
        return Grid(setting=varied)

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

    @property
    def varied(self) -> list[tuple[str, float]]:
        """What is varied and its value, for each point."""
        return [(name, value) for name, values in self.config.vary.items() for value in values]

    def point(self, ensemble, **parameters):
        setting = parameters["setting"]
        size, n_examples = setting["n_parameters"], setting["n_examples"]
        spectrum = log_spectrum(size, setting["anisotropy"])
        bath, width = setting["bath_temperature"], setting["initial_std"]
        noise = setting["label_noise"] * size**0.5

        # One after the other also where points are mapped together: many small factorisations at
        # once, on as many threads as cores, may wait for each other for ever.
        @jax.custom_batching.sequential_vmap
        def trained(key, spectrum, noise, width, bath):
            data = synthetic_data(n_examples, spectrum=spectrum, noise=noise, key=key)
            found = linear_temperature(
                data.features, data.targets, initialisation=width, bath_temperature=bath
            )
            return {name: getattr(found, name) for name in NUMBERS}

        rows = ensemble["n_trajectories"]
        numbers = ensemble["first_trajectory"] + jnp.arange(rows)
        found = jax.lax.map(
            lambda number: trained(
                jax.random.fold_in(ensemble["key"], number), spectrum, noise, width, bath
            ),
            numbers,
        )
        exact = expected_training(
            spectrum,
            n_examples,
            label_noise=setting["label_noise"],
            initial_std=width,
            bath_temperature=bath,
        )
        return measured(found) | predicted(exact, rows, "", "mean over data")

    def summary(self, results):
        points = []
        for (name, value), (_, parameters, entry) in zip(
            self.varied, self.points(results), strict=True
        ):
            setting = parameters["setting"]
            numbers = {
                which: pair(entry, which)
                | {
                    "predicted": float(entry[f"predicted_{which}"]),
                    "deviation": deviation(entry, which),
                }
                for which in NUMBERS
            }
            temperature = self._temperature(entry)
            bath = setting["bath_temperature"]
            exact = {"mean": temperature["predicted"], "standard_error": 0.0}
            points.append(
                {"varied": name, "value": value}
                | setting
                | numbers
                | {
                    "temperature": temperature,
                    "unavoidable_fraction": unavoidable_fraction(temperature, bath)
                    | {"predicted": unavoidable_fraction(exact, bath)["mean"]},
                    "case": case_of(numbers["heat"]["mean"], temperature),
                }
            )
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    def _temperature(self, entry: Any) -> dict[str, Any]:
        """Mean heat over mean entropy drop, its prediction, and the spread of single data sets."""
        heats, drops = single(entry, "heat"), single(entry, "entropy_drop")
        scale = heats.size**-0.5
        exact = float(entry.predicted_temperature)
        away = heats - exact * drops  # of mean 0 where the prediction is right, whatever ΔS
        return ratio(heats.mean(), drops.mean(), heats, drops, scale) | {
            "predicted": exact,
            "asymptotic": float(entry.predicted_asymptotic_temperature),
            "deviation": float(away.mean() / (scale * away.std(ddof=1))),
            "single": [float(x) for x in np.percentile(heats / drops, [5, 95])],
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
                    text_with_error(entry["heat"]["mean"], entry["heat"]["standard_error"]),
                    text_with_error(
                        entry["entropy_drop"]["mean"], entry["entropy_drop"]["standard_error"]
                    ),
                    "unresolved"
                    if hot["mean"] is None
                    else text_with_error(hot["mean"], hot["standard_error"]),
                    f"{hot['predicted']:.5g}",
                    f"{hot['deviation']:+.1f} s.e.",
                    f"{hot['asymptotic']:.5g}",
                    "-"
                    if share["mean"] is None
                    else text_with_error(share["mean"], share["standard_error"]),
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
            "temperature": temperature_by_knob(curves, title),
            "unavoidable_fraction": unavoidable_by_knob(curves, title),
        }
