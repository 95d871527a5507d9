"""Initialisations: distributions of the parameters before training."""

import abc
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from ...numerics.arrays import as_parameter, default_float
from ...numerics.checks import check_bound, check_count
from ...numerics.choices import is_choice
from ...numerics.labels import leaf_names, name_fits
from ...numerics.normal_uniform import Widths
from ...thermodynamics import normal_entropy


class AbstractInitialisation(eqx.Module):
    """The distribution of an array of parameters before training.

    Subclass it with `sample`, `entropy` and `widths`. Shapes follow Equinox:
    `(outputs, inputs, …)` for weights.
    """

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
        """Parameters of this shape."""

    @abc.abstractmethod
    def entropy(self, shape: tuple[int, ...]) -> Float[Array, ""]:
        """Gibbs entropy of all parameters of this shape, in nats; -inf where the width is 0."""

    @abc.abstractmethod
    def widths(self, shape: tuple[int, ...]) -> Widths | None:
        """Widths of independent normal and uniform parameters, for which energies are exact.

        None for any other distribution: its expected energy is then a mean of samples.
        """


class AbstractIndependent(AbstractInitialisation):
    """Independent normal or uniform parameters of mean 0, for which all is exact."""

    @abc.abstractmethod
    def widths(self, shape: tuple[int, ...]) -> Widths:
        """Widths that broadcast to the shape."""

    def sample(self, key, shape=()):
        normal, uniform = self.widths(shape)
        first, second = jax.random.split(key)
        dtype = jnp.result_type(normal)
        drawn = jnp.broadcast_to(normal, shape) * jax.random.normal(first, shape, dtype)
        return drawn + jnp.broadcast_to(uniform, shape) * jax.random.uniform(
            second, shape, dtype, -1.0, 1.0
        )

    def entropy(self, shape=()):
        normal, uniform = (jnp.broadcast_to(x, shape) for x in self.widths(shape))
        gauss = normal_entropy(jnp.ones((), normal.dtype)) + jnp.log(
            jnp.where(normal > 0, normal, 1)
        )
        box = jnp.log(2 * uniform)
        return jnp.sum(jnp.where(normal > 0, gauss, jnp.where(uniform > 0, box, -jnp.inf)))

    def variance(self, shape=()) -> Float[Array, "..."]:
        """Variance of each parameter, of this shape."""
        return jnp.broadcast_to(self.widths(shape).variance, shape)


class Normal(AbstractIndependent):
    r"""Independent normal parameters of mean 0, $S = \tfrac12\ln(2\pi e\sigma^2)$ each.

    Args:
        std: σ > 0, a scalar or an array that broadcasts to the parameters.

    Raises:
        ValueError: a width that is not positive: its entropy is -∞ and no transition has a
            temperature; when used, a width that does not fit the parameters.
    """

    std: Float[Array, "..."]

    def __init__(self, std: Any = 1.0):
        check_bound("std", std, ">", 0.0, _POINT)
        self.std = as_parameter(std, "std")

    def widths(self, shape=()):
        std = _fits("std", self.std, shape)
        return Widths(std, jnp.zeros_like(std))


class Uniform(AbstractIndependent):
    r"""Independent parameters uniform on [-a, a], $\sigma^2 = a^2/3$ and $S = \ln 2a$ each.

    Args:
        bound: a > 0, a scalar or an array that broadcasts to the parameters.

    Raises:
        ValueError: a width that is not positive, or that does not fit the parameters.
    """

    bound: Float[Array, "..."]

    def __init__(self, bound: Any = 1.0):
        check_bound("bound", bound, ">", 0.0, _POINT)
        self.bound = as_parameter(bound, "bound")

    def widths(self, shape=()):
        bound = _fits("bound", self.bound, shape)
        return Widths(jnp.zeros_like(bound), bound)


_POINT = "parameters that do not vary have an entropy of -∞"


def _fits(name: str, width: Array, shape: tuple[int, ...]) -> Array:
    padded = (1,) * (len(shape) - width.ndim) + width.shape
    if len(padded) != len(shape) or any(
        a not in (1, b) for a, b in zip(padded, shape, strict=True)
    ):
        raise ValueError(
            f"{name} must be a scalar or broadcast to the parameters' shape {shape}, got shape "
            f"{width.shape}"
        )
    return width


class AbstractScaled(AbstractIndependent):
    """Weights whose variance is set by the number of their inputs and outputs."""

    distribution: eqx.AbstractVar[Literal["normal", "uniform"]]

    def __check_init__(self):
        if not is_choice(self.distribution, ("normal", "uniform")):
            raise ValueError(
                f'distribution must be "normal" or "uniform", got {self.distribution!r}'
            )

    @abc.abstractmethod
    def variance_for(self, inputs: int, outputs: int) -> float:
        """Variance of each weight."""

    def widths(self, shape=()):
        if len(shape) < 2:
            raise ValueError(
                f"{type(self).__name__} sets the width of weights (outputs, inputs, …) and leaves "
                f"biases at 0, whose entropy is -∞; parameters of shape {shape} need another "
                "distribution, as in "
                f'Mixed({{"*bias": Normal(0.1), "*": {type(self).__name__}()}})'
            )
        field = math.prod(shape[2:])
        variance = self.variance_for(shape[1] * field, shape[0] * field)
        std = jnp.asarray(variance**0.5, default_float())
        nothing = jnp.zeros_like(std)
        if self.distribution == "normal":
            return Widths(std, nothing)
        return Widths(nothing, std * 3**0.5)


class LeCun(AbstractScaled):
    """Weights of variance 1/inputs (LeCun et al. 1998, Efficient BackProp)."""

    distribution: Literal["normal", "uniform"] = eqx.field(static=True, default="normal")

    def variance_for(self, inputs, outputs):
        return 1 / inputs


class Glorot(AbstractScaled):
    """Weights of variance 2/(inputs + outputs) (Glorot and Bengio 2010, eq. 12 and 16)."""

    distribution: Literal["normal", "uniform"] = eqx.field(static=True, default="uniform")

    def variance_for(self, inputs, outputs):
        return 2 / (inputs + outputs)


class He(AbstractScaled):
    """Weights of variance 2/inputs (He et al. 2015, arXiv:1502.01852, eq. 10)."""

    distribution: Literal["normal", "uniform"] = eqx.field(static=True, default="normal")

    def variance_for(self, inputs, outputs):
        return 2 / inputs


class Mixed(AbstractInitialisation):
    """Different distributions for different parameters.

    Args:
        parts: pairs `(initialisation, count)`, for consecutive blocks of a vector of parameters
            (or of each row, for several outputs); or a mapping from patterns to initialisations,
            for a network: the first pattern that fits a leaf's name (`*bias`, `layers_0_*`, `*`)
            decides. LeCun, Glorot and He count the inputs of their own block.

    Raises:
        ValueError: no parts, or counts that are not those of the parameters.
        TypeError: parts of another kind.
    """

    blocks: tuple[AbstractInitialisation, ...]
    counts: tuple[int, ...] | None = eqx.field(static=True)
    patterns: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, parts: Mapping[str, Any] | Sequence[tuple[Any, int]]):
        if not parts:
            raise ValueError("parts must not be empty")
        if isinstance(parts, Mapping):
            self.blocks = tuple(initialisation(x) for x in parts.values())
            self.counts, self.patterns = None, tuple(parts)
            return
        pairs = list(parts) if isinstance(parts, Sequence) else [parts]
        if not all(isinstance(x, tuple | list) and len(x) == 2 for x in pairs):
            raise TypeError(
                f"parts must be pairs (initialisation, count) or a mapping, got {parts!r}"
            )
        self.blocks = tuple(initialisation(x) for x, _ in pairs)
        self.counts = tuple(check_count("count", n) for _, n in pairs)
        self.patterns = ()

    def for_leaf(self, name: str) -> AbstractInitialisation:
        """The initialisation of a network's leaf.

        Raises:
            ValueError: no pattern fits, or these are blocks.
        """
        for pattern, block in zip(self.patterns, self.blocks, strict=False):
            if name_fits(name, [pattern]):
                return block
        reason = f"the patterns {self.patterns} do not fit" if self.patterns else "blocks ignore"
        raise ValueError(f'{reason} the leaf {name!r}; add "*" for the rest')

    def _parts(self, shape: tuple[int, ...]):
        if self.counts is None:
            raise ValueError(
                "patterns choose among the leaves of a network; for one array of parameters give "
                "pairs (initialisation, count)"
            )
        if not shape or sum(self.counts) != shape[-1]:
            raise ValueError(
                f"the counts {self.counts} must add up to the {shape[-1] if shape else 0} "
                "parameters of the last axis"
            )
        return zip(self.blocks, self.counts, strict=True)

    def sample(self, key, shape):
        parts = list(self._parts(shape))
        keys = jax.random.split(key, len(parts))
        drawn = [
            block.sample(k, (*shape[:-1], n)) for k, (block, n) in zip(keys, parts, strict=True)
        ]
        return jnp.concatenate(drawn, axis=-1)

    def entropy(self, shape):
        entropies = [block.entropy((*shape[:-1], n)) for block, n in self._parts(shape)]
        return jnp.sum(jnp.stack(entropies))

    def widths(self, shape):
        parts = []
        for block, n in self._parts(shape):
            widths = block.widths((*shape[:-1], n))
            if widths is None:
                return None
            parts.append(widths.broadcast_to((*shape[:-1], n)))
        return Widths(*(jnp.concatenate(ends, axis=-1) for ends in zip(*parts, strict=True)))

    def variance(self, shape) -> Float[Array, "..."]:
        """Variance of each parameter, of this shape."""
        widths = self.widths(shape)
        if widths is None:
            raise ValueError("a part is neither normal nor uniform: its variance is not known")
        return widths.variance


NAMES: dict[str, AbstractInitialisation] = {
    "lecun_normal": LeCun("normal"),
    "lecun_uniform": LeCun("uniform"),
    "glorot_normal": Glorot("normal"),
    "glorot_uniform": Glorot("uniform"),
    "he_normal": He("normal"),
    "he_uniform": He("uniform"),
}


def initialisation(start: Any) -> AbstractInitialisation:
    """An initialisation from its name: `lecun_normal`, `glorot_uniform`, `he_normal`, …

    An `AbstractInitialisation` is returned unchanged.

    Raises:
        ValueError: no such name.
        TypeError: neither a name nor an initialisation.
    """
    if isinstance(start, AbstractInitialisation):
        return start
    if not isinstance(start, str):
        raise TypeError(f"an initialisation must be an AbstractInitialisation, got {start!r}")
    if start not in NAMES:
        raise ValueError(f"initialisation must be one of {', '.join(NAMES)}, got {start!r}")
    return NAMES[start]


def sample_leaves(
    start: AbstractInitialisation, key: Key[Array, ""], like: PyTree[Any]
) -> PyTree[Array]:
    """A state with every leaf drawn from an initialisation; `like` has its shapes."""
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        _of_leaf(start, name).sample(k, leaf.shape).astype(leaf.dtype)
        for k, name, leaf in zip(keys, leaf_names(like), leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)


def entropy_of_leaves(start: AbstractInitialisation, like: PyTree[Any]) -> list[Array]:
    """The entropy of each leaf of a state."""
    return [
        _of_leaf(start, name).entropy(leaf.shape)
        for name, leaf in zip(leaf_names(like), jax.tree.leaves(like), strict=True)
    ]


def widths_of(start: AbstractInitialisation, like: Any) -> Widths | None:
    """The widths of a state that is one array, or None where they are not known."""
    return _of_leaf(start, leaf_names(like)[0]).widths(like.shape)


def _of_leaf(start: AbstractInitialisation, name: str) -> AbstractInitialisation:
    if isinstance(start, Mixed) and start.patterns:
        return start.for_leaf(name)
    return start
