"""The settings of the study `heat_engines`, and the activations that it knows by name."""

import itertools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from pydantic import Field, field_validator, model_validator

from ..numerics.checks import count_steps, divide_steps
from ._numbers import Positive
from ._parts import check_different
from ._real_data import RealData
from ._strict import Strict
from ._thermodynamics import Experiment


def identity(z):
    """φ(z) = z."""
    return z


# By name: the function, and where it or a derivative jumps
ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], tuple[float, ...]]] = {
    "identity": (identity, (0.0,)),
    "relu": (jax.nn.relu, (0.0,)),
    "leaky_relu": (jax.nn.leaky_relu, (0.0,)),
    "tanh": (jnp.tanh, (0.0,)),
    "hard_tanh": (jax.nn.hard_tanh, (-1.0, 1.0)),
    "erf": (jax.scipy.special.erf, (0.0,)),
    "sine": (jnp.sin, (0.0,)),
    "sigmoid": (jax.nn.sigmoid, (0.0,)),
    "softplus": (jax.nn.softplus, (0.0,)),
    "softsign": (jax.nn.soft_sign, (0.0,)),
    "elu": (jax.nn.elu, (0.0,)),
    "selu": (jax.nn.selu, (0.0,)),
    "gelu": (jax.nn.gelu, (0.0,)),
    "silu": (jax.nn.silu, (0.0,)),
    "mish": (jax.nn.mish, (0.0,)),
}


class Synthetic(Strict):
    """Classes that noisy linear teachers give to normal features."""

    n_features: int = Field(default=6, ge=1)
    n_classes: int = Field(default=4, ge=2)
    n_examples: int = Field(default=2000, ge=10)
    label_noise: float = Field(default=0.3, ge=0, allow_inf_nan=False)
    prior_stiffness: float = Field(default=0.02, gt=0, allow_inf_nan=False)


class HeatEngines(Experiment):
    """The study `heat_engines`: networks that differ in their activation alone."""

    study: Literal["heat_engines"]
    n_trajectories: int = Field(default=256, ge=10)
    precision: Literal["float32", "float64"] = "float32"
    dt: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    data: list[RealData] = Field(default_factory=list)
    synthetic: Synthetic | None = None
    activation: list[str] = Field(min_length=2)
    hidden: int = Field(default=5, ge=1)
    depth: int = Field(default=2, ge=1)
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    bias_share: float = Field(default=0.01, gt=0, lt=1)
    bath_temperature: float = Field(default=0.01, gt=0, allow_inf_nan=False)
    splits: int = Field(default=3, ge=2)
    n_train: int = Field(default=300, ge=2)
    n_test: int = Field(default=500, ge=1)
    t1: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    saves: int = Field(default=12, ge=2)
    curve: Positive = Field(default_factory=lambda: [0.01, 0.1, 1.0, 10.0, 100.0])

    @field_validator("activation")
    @classmethod
    def _known(cls, given: list[str]) -> list[str]:
        for name in given:
            if name not in ACTIVATIONS:
                raise ValueError(f"{name!r} is unknown; there are {', '.join(ACTIVATIONS)}")
        check_different("activations", given)
        return given

    @model_validator(mode="after")
    def _check_parts(self):
        divide_steps("saves", count_steps(0.0, self.t1, self.dt, self.precision), self.saves)
        if not self.data and self.synthetic is None:
            raise ValueError("give data, or a synthetic task")
        check_different("data", [entry.label for entry in self.data])
        for entry in self.data:
            if not entry.classifies:
                raise ValueError(f"data: {entry.label} is a regression, but accuracy needs classes")
        counts = {entry.label: entry.n_examples for entry in self.data}
        if self.synthetic is not None:
            counts["synthetic"] = self.synthetic.n_examples
        for label, count in counts.items():
            if self.n_train + self.n_test > count:
                raise ValueError(
                    f"n_train + n_test must be at most the {count} examples of {label}, got "
                    f"{self.n_train} + {self.n_test}"
                )
        if self.n_trajectories <= self.most_parameters:
            raise ValueError(
                f"n_trajectories must exceed the {self.most_parameters} parameters of the largest "
                f"network, whose entropy is estimated, got {self.n_trajectories}"
            )
        return self

    def n_parameters(self, n_features: int, n_classes: int) -> int:
        """Of a network: weights and biases of all layers."""
        widths = [n_features, *[self.hidden] * self.depth, n_classes]
        return sum((a + 1) * b for a, b in itertools.pairwise(widths))

    @property
    def most_parameters(self) -> int:
        """Those of the largest network."""
        sizes = [self.n_parameters(entry.n_inputs, entry.n_classes) for entry in self.data]
        if self.synthetic is not None:
            some = self.synthetic
            sizes.append(self.n_parameters(some.n_features, some.n_classes))
        return max(sizes)
