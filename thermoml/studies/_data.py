"""Data sets in studies: their settings, their preparation, and temperatures of learning them."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from ..config import Strict
from ..networks import (
    CrossEntropy,
    Data,
    LinearLearning,
    MeanSquaredError,
    example_data,
    read_csv,
    synthetic_data,
)
from ..numerics.labels import Labelled
from ._table import per_trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Numbers of features that vary (also among the first two classes) and of classes; loading is slow
_SHIPPED = {"diabetes": (10, 0), "breast_cancer": (30, 2), "digits": (52, 10)}

NUMBERS = {
    "heat": ("energy", "heat released by training"),
    "entropy_drop": ("nat", "entropy drop of the parameters"),
    "entropy_production": ("nat", "entropy production"),
}
UNTRAINED = (
    "trained states are not finite; use more examples, a stiffer prior, or precision: float64"
)
_RESOLVED = 4.0  # standard errors


class Facts(Strict):
    """Sizes of a data set and the names of its features; those that vary are learned from."""

    n_examples: int
    n_varying: int
    n_classes: int
    features: tuple[str, ...]


class RealData(Strict):
    """A data set, and the part of it that is learned.

    Either one that ships with scikit-learn by its `name`; or a CSV `file` (a path from the working
    directory) whose column `target` is learned from the other columns, or from `features`; `kind`
    says whether whole numbers are labels. `components` keeps the first principal components of the
    standardised features, `classes` the first classes. Classifications get an intercept, and need
    the prior. `sha256` is that of the file and `facts` are its sizes, both computed when the config
    is read: results of another file are not resumed, and results are drawn without the file.
    """

    name: Literal["diabetes", "breast_cancer", "digits"] | None = None
    file: str | None = None
    target: str | None = None
    features: tuple[str, ...] | None = None
    kind: Literal["regression", "classification"] | None = None
    components: int | None = Field(default=None, ge=1)
    classes: int | None = Field(default=None, ge=2)
    prior_stiffness: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    sha256: str | None = None
    facts: Facts | None = None

    @model_validator(mode="before")
    @classmethod
    def _identify(cls, settings: Any) -> Any:
        if not isinstance(settings, Mapping) or not isinstance(settings.get("file"), str):
            return settings
        if settings.get("facts") is not None and settings.get("sha256") is not None:
            return settings  # of a store
        return {**settings, "sha256": _digest(settings["file"], settings.get("sha256"))}

    @model_validator(mode="after")
    def _check_parts(self):
        if (self.name is None) == (self.file is None):
            raise ValueError("give the name of a data set, or the file of your own")
        own = {"target": self.target, "features": self.features, "kind": self.kind}
        if self.file is None:
            for key, value in own.items():
                if value is not None:
                    raise ValueError(f"{key} belongs to a file of your own; leave it out")
        elif self.target is None:
            raise ValueError(f"target must name the column of {self.file} to learn")
        if self.file is not None and self.facts is None:
            object.__setattr__(self, "facts", self._read_facts())  # frozen for all others
        most, n_classes = self._facts
        if self.components is not None and self.components > most:
            raise ValueError(
                f"components must be at most {most} for {self.title}, got {self.components}"
            )
        if self.classes is not None and self.classes > n_classes:
            raise ValueError(
                f"classes must be at most {n_classes} for {self.title}, got {self.classes}"
                if n_classes
                else f"classes do not belong to {self.title}, a regression; leave them out"
            )
        if self.classifies and self.prior_stiffness == 0:
            raise ValueError(
                f"{self.title} needs prior_stiffness > 0: without a prior e^(-E/τ) of classes "
                "that are separable or shift together cannot be normalised"
            )
        return self

    def load(self) -> Data:
        """The data as they are, of the classes that are learned."""
        data = self._load_all()
        if self.classes is None:
            return data
        rows = np.flatnonzero(np.asarray(data.targets) < self.classes)
        return Data(
            np.asarray(data.features)[rows],
            np.asarray(data.targets)[rows],
            feature_names=data.feature_names,
            class_names=data.class_names[: self.classes],
            name=data.name,
        )

    def _load_all(self) -> Data:
        if self.file is None:
            return example_data(str(self.name))
        _digest(self.file, self.sha256)
        return read_csv(self.file, target=str(self.target), features=self.features, kind=self.kind)

    def _read_facts(self) -> Facts:
        """The facts in double precision, whatever that of the study."""
        with jax.enable_x64(True):
            data = self._load_all()
            varying = data.drop_constant().n_features
        return Facts(
            n_examples=data.n_examples,
            n_varying=varying,
            n_classes=data.n_classes,
            features=data.feature_names,
        )

    @property
    def _facts(self) -> tuple[int, int]:
        """Numbers of features that vary and of classes, 0 for a regression."""
        if self.facts is None:
            return _SHIPPED[str(self.name)]
        return self.facts.n_varying, self.facts.n_classes

    @property
    def n_examples(self) -> int:
        """Number of examples."""
        if self.facts is None or self.classes is not None:
            return self.load().n_examples
        return self.facts.n_examples

    @property
    def n_columns(self) -> int:
        """Number of columns of the prepared data: features, and the intercept of a classifier."""
        return self.n_inputs + self.classifies

    @property
    def n_inputs(self) -> int:
        """Number of features that are learned from."""
        return self.components or self._facts[0]

    @property
    def title(self) -> str:
        """Name of the data set; of a file, with the column that is learned."""
        return str(self.name) if self.file is None else f"{Path(self.file).stem}: {self.target}"

    @property
    def classifies(self) -> bool:
        """Whether targets are labels."""
        return self._facts[1] > 0

    @property
    def n_classes(self) -> int:
        """Number of classes that are learned; 0 for a regression."""
        return self.classes or self._facts[1]

    @property
    def label(self) -> str:
        """The data in figures and tables."""
        part = self.classes not in (None, self._facts[1])
        classes = f", {self.classes} classes" if part else ""
        components = "" if self.components is None else f", {self.components} components"
        return f"{self.title.replace('_', ' ')}{classes}{components}"


def _digest(file: str, expected: str | None) -> str:
    """The sha256 of a file; ValueError if it cannot be read, or is not the expected one."""
    try:
        digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"file {file} cannot be read: {reason}") from None
    if expected not in (None, digest):
        raise ValueError(
            f"file {file} has changed, its sha256 is now {digest}; bring it back, or run the "
            "config anew"
        )
    return digest


def principal(settings: RealData) -> Data:
    """Standardised features, turned to their first principal components if `components` is set.

    A regression's targets are standardised too.
    """
    data = settings.load().drop_constant()
    if settings.file is not None and data.n_features < settings._facts[0]:
        raise ValueError(
            f"features of {settings.title} must vary in the study's precision, and only "
            f"{data.n_features} of {settings._facts[0]} do; use precision: float64"
        )
    data = data.standardised(targets=not settings.classifies)
    if settings.components is None:
        return data
    features = np.asarray(data.features)
    _, _, axes = np.linalg.svd(features, full_matrices=False)
    axes = axes[: settings.components]
    axes *= np.sign(axes[np.arange(len(axes)), abs(axes).argmax(axis=1)])[:, None]
    return Data(features @ axes.T, data.targets, class_names=data.class_names, name=data.name)


def prepared(settings: RealData) -> Data:
    """The same for a linear model: a classification gets an intercept."""
    data = principal(settings)
    return data.with_intercept() if settings.classifies else data


def learning(data: Data, settings: RealData, bath_temperature: ArrayLike | Array) -> LinearLearning:
    """The linear model that learns a prepared data set."""
    return LinearLearning(
        CrossEntropy() if settings.classifies else MeanSquaredError(),
        data,
        prior_stiffness=settings.prior_stiffness,
        temperature=bath_temperature,
    )


@runtime_checkable
class _Teachers(Protocol):
    @property
    def n_examples(self) -> int: ...
    @property
    def n_features(self) -> int: ...
    @property
    def label_noise(self) -> float: ...


def classes_of_teachers(settings: _Teachers, n_classes: int, key: Key[Array, ""]) -> Data:
    """White normal features, and the classes that noisy linear teachers give them.

    `label_noise` is in units of the signal.
    """
    return synthetic_data(
        settings.n_examples,
        spectrum=jnp.ones(settings.n_features),
        noise=settings.label_noise * settings.n_features**0.5,
        key=key,
        kind="classification",
        n_classes=n_classes,
    )


def transition_numbers(values: Mapping[str, Any], replicates: str) -> dict[str, Labelled]:
    """Heat, entropy drop and entropy production of transitions, one row for each."""
    return {
        name: per_trajectory(values[name], *words, replicates) for name, words in NUMBERS.items()
    }


def ratio(
    heat: float, drop: float, heats: np.ndarray, drops: np.ndarray, scale: float
) -> dict[str, float | None]:
    r"""$T = \Delta Q/\Delta S$ with its standard error.

    To first order $\delta T = (\delta Q - T\,\delta S)/\Delta S$: heat and entropy vary together
    over data sets. None unless ΔS is 4 standard errors away from 0.

    Args:
        heat, drop: ΔQ and ΔS.
        heats, drops: of single data sets.
        scale: standard error of ΔQ and ΔS over the spread of these, 1/√M for their means.
    """
    if abs(drop) <= _RESOLVED * scale * np.std(drops, ddof=1):
        return {"mean": None, "standard_error": None}
    temperature = heat / drop
    error = scale * np.std(heats - temperature * drops, ddof=1) / abs(drop)
    return {"mean": float(temperature), "standard_error": float(error)}


def ratio_of_means(heats: np.ndarray, drops: np.ndarray) -> dict[str, float | None]:
    """The same of data sets together."""
    return ratio(heats.mean(), drops.mean(), heats, drops, heats.size**-0.5)


def unavoidable_fraction(temperature: Mapping[str, Any], bath: float) -> dict[str, float | None]:
    """τ/T, the share of the heat that a reversible transition would have released too.

    None where heat is absorbed, or where T is negative or unknown.
    """
    mean, error = temperature["mean"], temperature["standard_error"]
    if mean is None or mean < bath:
        return {"mean": None, "standard_error": None}
    return {"mean": bath / mean, "standard_error": bath * error / mean**2}


def case_of(heat: float, temperature: Mapping[str, Any]) -> str:
    """The case of a heat and a temperature in a word; `networks.Case` has sentences."""
    if temperature["mean"] is None:
        return "unresolved"
    if temperature["mean"] < 0:
        return "inverted"
    return "releasing" if heat > 0 else "absorbing"


def fit_limits(ax: "Axes", values: Sequence[float]) -> None:
    """Horizontal limits that hold all values, also those without a point."""
    low, high = min(values), max(values)
    if ax.get_xscale() == "log":
        room = max((high / low) ** 0.05, 1.1)
        ax.set_xlim(low / room, high * room)
    else:
        room = 0.05 * (high - low) or 0.5
        ax.set_xlim(low - room, high + room)
