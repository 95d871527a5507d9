"""Data sets: features with targets, their units, names and subsets."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key

from ...numerics.arrays import default_float, is_concrete, known_now
from ...numerics.checks import check_bound

Kind = Literal["regression", "classification"]
KINDS = ("regression", "classification")


class Data(eqx.Module):
    """A data set: n rows of d features, and a target for each.

    Args:
        features: `(n, d)`, numbers in any units; they become JAX's default float.
        targets: `(n,)` or `(n, outputs)`. Floats are a regression's. Integers and booleans are
            labels 0 to c - 1 of a classification, `(n,)`, stored as int32: convert integers to
            floats for a regression.
        feature_names: one for each column; none if left out.
        class_names: one for each label; none for a regression. Without them the largest label
            plus 1 is the number of classes.
        name: the name of the data set.

    Raises:
        ValueError: shapes that do not fit, no rows or columns, values that are not finite, labels
            that are negative or without a name, names of another number. Traced values pass.
        TypeError: entries that are not numbers, or names that are not strings.

    Arrays are leaves, names are static. Cost: O(n d).
    """

    features: Float[Array, "n d"]
    targets: Float[Array, "n *outputs"] | Int[Array, " n"]
    feature_names: tuple[str, ...] = eqx.field(static=True)
    class_names: tuple[str, ...] = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(
        self,
        features: Any,
        targets: Any,
        *,
        feature_names: Sequence[str] | None = None,
        class_names: Sequence[str] = (),
        name: str = "",
    ) -> None:
        self.feature_names = _names("feature_names", () if feature_names is None else feature_names)
        self.class_names = _names("class_names", class_names)
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, got {name!r}")
        self.name = name
        features = _numbers("features", features, "leave out text, or make it numbers")
        if features.ndim != 2 or 0 in features.shape:
            raise ValueError(
                "features must have shape (n, d) with at least one row and one column, got "
                f"{features.shape}"
            )
        if len(self.feature_names) not in (0, features.shape[1]):
            raise ValueError(
                f"feature_names must name each of the {features.shape[1]} columns of features, got "
                f"{len(self.feature_names)} names"
            )
        targets = _numbers("targets", targets, "number the classes 0, 1, …, as read_csv does")
        if targets.ndim not in (1, 2) or targets.shape[0] != features.shape[0] or not targets.size:
            raise ValueError(
                f"targets must have shape (n,) or (n, outputs) with the n = {features.shape[0]} "
                f"rows of features, got {targets.shape}"
            )
        self.features = _as_floats("features", features, self.feature_names)
        if jnp.issubdtype(targets.dtype, jnp.floating) and not self.class_names:
            self.targets = _as_floats("targets", targets)
        else:
            self.targets = _as_labels(targets, self.class_names)

    @property
    def n_examples(self) -> int:
        """n, the number of rows."""
        return self.features.shape[-2]

    @property
    def n_features(self) -> int:
        """d, the number of columns of features."""
        return self.features.shape[-1]

    @property
    def n_classes(self) -> int:
        """The number of classes: of names, or the largest label + 1; 0 for a regression."""
        if self.class_names or not self._classifies:
            return len(self.class_names)
        if not is_concrete(self.targets):
            raise TypeError("n_classes of traced labels is not known; give Data class_names")
        return int(np.max(np.asarray(self.targets))) + 1

    @property
    def _classifies(self) -> bool:
        return jnp.issubdtype(self.targets.dtype, jnp.integer)

    def __str__(self) -> str:
        kind = "regression"
        if self._classifies:
            countable = self.class_names or is_concrete(self.targets)
            into = f" into {self.n_classes} classes" if countable else ""
            kind = f"classification{into}"
        lines = [f'Data "{self.name}": {kind}' if self.name else f"Data: {kind}"]
        for label, array, names in (
            ("features", self.features, self.feature_names),
            ("targets", self.targets, self.class_names),
        ):
            ending = f": {listing(names)}" if names else ""
            lines.append(f"  {label:<8}  {array.shape} {array.dtype}{ending}")
        return "\n".join(lines)

    def _with(
        self, features: Array, targets: Array, names: tuple[str, ...] | None = None
    ) -> "Data":
        return Data(
            features,
            targets,
            feature_names=self.feature_names if names is None else names,
            class_names=self.class_names,
            name=self.name,
        )

    def take(self, rows: Any) -> "Data":
        """The examples at `rows`: their indices, or a boolean mask `(n,)`.

        Raises:
            ValueError: an index out of range, a mask of another length, or no row at all.
            TypeError: neither integers nor booleans, or a traced mask.
        """
        rows = _numbers("rows", rows, "give indices or a boolean mask")
        if jnp.issubdtype(rows.dtype, np.bool_):
            if not is_concrete(rows):
                raise TypeError("rows must be indices where they are traced, got a mask")
            if rows.shape != (self.n_examples,):
                raise ValueError(
                    f"rows must have one entry for each of the {self.n_examples} examples where it "
                    f"is a mask, got shape {rows.shape}"
                )
            rows = np.flatnonzero(np.asarray(rows))
        elif rows.size and not jnp.issubdtype(rows.dtype, jnp.integer):
            raise TypeError(f"rows must be integers or a boolean mask, got {rows.dtype}")
        if rows.ndim != 1 or not rows.size:
            raise ValueError(f"rows must be a list of at least one row, got shape {rows.shape}")
        if is_concrete(rows):
            rows = np.asarray(rows).astype(np.int64)
            wrong = rows[(rows < -self.n_examples) | (rows >= self.n_examples)]
            if wrong.size:  # JAX would clip them
                raise ValueError(f"rows must lie below n = {self.n_examples}, got {wrong[0]}")
            rows = (rows % self.n_examples).astype(np.int32)
        return self._with(self.features[rows], self.targets[rows])

    def split(self, fraction: float, *, key: Key[Array, ""]) -> tuple["Data", "Data"]:
        """Two sets without a common example, the first with round(`fraction` n) drawn at random.

        Raises:
            ValueError: a fraction outside (0, 1), or that leaves one set empty.
        """
        if not is_concrete(fraction):
            raise TypeError("fraction fixes array shapes, so it must be a number, not traced")
        check_bound("fraction", fraction, ">", 0.0)
        check_bound("fraction", fraction, "<", 1.0)
        count = round(float(fraction) * self.n_examples)
        if count in (0, self.n_examples):
            raise ValueError(
                f"fraction must leave examples on both sides, got {fraction:g} of "
                f"{self.n_examples}, which is {count}"
            )
        rows = jax.random.permutation(key, self.n_examples)
        return self.take(rows[:count]), self.take(rows[count:])

    def standardised(self, like: "Data | None" = None, *, targets: bool = False) -> "Data":
        """Features shifted and scaled to mean 0 and variance 1.

        Args:
            like: other data, not standardised, whose means and deviations (divisor n) are used:
                new data are then in the units of the first.
            targets: whether a regression's targets are scaled too.

        Raises:
            ValueError: a feature (or target) of `like` is constant to rounding, so that it has no
                scale (NaN where it is traced); columns that differ from those of `like`; targets
                that are labels.

        Cost: O(n d).
        """
        name = "features" if like is None else "features of like"
        like = self if like is None else like
        if not isinstance(like, Data):
            raise TypeError(f"like must be Data, got {type(like).__name__}")
        if self.n_features != like.n_features or (
            self.feature_names and like.feature_names and self.feature_names != like.feature_names
        ):
            raise ValueError(
                f"like must have the columns of this data, {_columns_of(self)}, got "
                f"{_columns_of(like)}"
            )
        constant = like._constant()
        if constant:
            raise ValueError(
                f"{name} must vary to have a scale, got constant {listing(constant)}; drop them "
                "with drop_constant(), and add an intercept afterwards"
            )
        features = _scaled(self.features, _moments(like.features))
        if not targets:
            return self._with(features, self.targets)
        if self._classifies or like._classifies:
            raise ValueError("targets=True needs a regression, got labels, which have no scale")
        if self.targets.shape[1:] != like.targets.shape[1:]:
            raise ValueError(
                f"like must have as many targets as this data, {self.targets.shape[1:]}, got "
                f"{like.targets.shape[1:]}"
            )
        if _constant(like.targets).any():
            raise ValueError("targets must vary to have a scale, got constant ones")
        return self._with(features, _scaled(self.targets, _moments(like.targets)))

    def drop_constant(self) -> "Data":
        """The data without features that are constant to rounding.

        Raises:
            ValueError: no other features.
            TypeError: traced features, as their values fix a shape here.
        """
        if not is_concrete(self.features):
            raise TypeError("features fix a shape in drop_constant, so they must not be traced")
        keep = np.flatnonzero(~_constant(self.features))
        if not keep.size:
            raise ValueError("features must not all be constant: drop_constant() would leave none")
        names = tuple(self.feature_names[j] for j in keep) if self.feature_names else ()
        return self._with(self.features[:, keep], self.targets, names)

    def with_intercept(self) -> "Data":
        """The data with a last column of ones, "intercept"; unnamed features become x0, x1, ….

        Raises:
            ValueError: there is a constant column already.
        """
        constant = self._constant()
        if constant:
            raise ValueError(
                f"features must not be constant next to an intercept, got {listing(constant)}; "
                "drop them with drop_constant()"
            )
        names = self.feature_names or tuple(f"x{j}" for j in range(self.n_features))
        ones = jnp.ones((self.n_examples, 1), self.features.dtype)
        features = jnp.concatenate([self.features, ones], axis=1)
        return self._with(features, self.targets, (*names, "intercept"))

    def whitened(self) -> "Data":
        r"""Features of mean 0 and covariance 1 (divisor n).

        $$z = P^{-1/2}V^{-1/2}(x - \bar x)$$

        with V the variances and P the matrix of correlations: of all whitened features those most
        correlated with the old ones, one by one, in any units; so they keep their names.

        Raises:
            ValueError: n <= d, constant or linearly dependent features.

        Cost: O(n d²).

        Source: Kessy, Lewin and Strimmer 2018, Am. Stat. 72, 309 (ZCA-cor).
        """
        n, d = self.n_examples, self.n_features
        if n <= d:
            raise ValueError(
                f"features must have more examples than columns to be whitened, got shape {(n, d)}"
            )
        features = self.standardised().features
        # From the features rather than their correlations, whose condition number is squared:
        # with features = U S Vᵀ and P = V S² Vᵀ / n the whitened features are √n U Vᵀ.
        left, size, right = jnp.linalg.svd(features, full_matrices=False)
        if is_concrete(size):
            mean, _, deviation = (np.asarray(x) for x in _moments(self.features))
            # Rounding matters more for features far from 0.
            rounding = max(n * float(size[0]), np.sqrt(n * d) * np.max(np.abs(mean) / deviation))
            if not float(size[-1]) > rounding * np.finfo(features.dtype).eps:
                raise ValueError(
                    "features must not depend on each other linearly to be whitened; leave out "
                    "sums and multiples of other columns"
                )
        white = jnp.matmul(left, right, precision=lax.Precision.HIGHEST) * float(np.sqrt(n))
        return self._with(white, self.targets)

    def _constant(self) -> list[str]:
        """The constant columns in words; none where they are traced."""
        return [
            _column(int(j), self.feature_names) for j in np.flatnonzero(_constant(self.features))
        ]


def listing(items: Iterable[str], most: int = 8) -> str:
    """The first items, and the number of the others."""
    items = list(items)
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def _column(index: int, names: Sequence[str]) -> str:
    return f'column {index} ("{names[index]}")' if names else f"column {index}"


def _columns_of(data: Data) -> str:
    return f"{data.n_features} ({listing(data.feature_names) or 'without names'})"


def _names(argument: str, names: Any) -> tuple[str, ...]:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{argument} must be a list of strings, got {names!r}")
    return tuple(str(name) for name in names)


def _numbers(name: str, values: Any, remedy: str) -> Any:
    """`values` as an array of JAX or NumPy; TypeError unless of real numbers."""
    if isinstance(values, jax.Array) or not is_concrete(values):
        array = jnp.asarray(values)
    else:
        try:
            array = np.asarray(values)
        except ValueError:
            raise TypeError(f"{name} must be an array of numbers, got rows that differ") from None
    if not any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.floating, jnp.integer, np.bool_)):
        raise TypeError(f"{name} must be numbers, got {array.dtype}; {remedy}")
    return array


def _as_floats(name: str, array: Any, names: Sequence[str] = ()) -> Array:
    """The array in JAX's default float, checked to be finite where it is concrete, also in jit."""
    with known_now(array), np.errstate(over="ignore"):
        floats = jnp.asarray(array, default_float())
        if not is_concrete(floats) or bool(jnp.all(jnp.isfinite(floats))):
            return floats
        bad = np.argwhere(~np.isfinite(np.asarray(floats)))
        row, *column = (int(i) for i in bad[0])
        where = "".join(f", {_column(j, names)}" for j in column)
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise ValueError(
            f"{name} must be finite in {floats.dtype}, got {float(floats[tuple(bad[0])])} in row "
            f"{row}{where}{more} (counted from 0); leave out such rows or fill them in"
        )


def _as_labels(targets: Any, class_names: tuple[str, ...]) -> Array:
    if jnp.issubdtype(targets.dtype, jnp.floating):
        raise TypeError(
            f"targets must be integers where class_names are given, got {targets.dtype}"
        )
    if targets.ndim != 1:
        raise ValueError(
            f"targets must have shape (n,) where they are labels, got {targets.shape}; make them "
            "floats for a regression"
        )
    if is_concrete(targets):
        labels = np.asarray(targets).astype(np.int64)
        most = len(class_names) or np.iinfo(np.int32).max
        wrong = np.flatnonzero((labels < 0) | (labels >= most))
        if wrong.size:
            named = f" of the {len(class_names)} class_names" if class_names else ""
            raise ValueError(
                f"targets must be labels from 0 to c - 1{named} where they are integers, got "
                f"{labels[wrong[0]]} in row {wrong[0]}; number them from 0, or make them floats "
                "for a regression"
            )
    with known_now(targets):
        return jnp.asarray(targets, jnp.int32)


def _constant(values: Array) -> np.ndarray:
    """Which columns are the same in all rows, to rounding; none where they are traced."""
    if not is_concrete(values):
        return np.zeros(values.shape[1:], bool)
    with known_now(values):
        low, high = jnp.min(values, axis=0), jnp.max(values, axis=0)
        size = jnp.maximum(jnp.abs(low), jnp.abs(high))
        return np.asarray(high - low <= 4 * jnp.finfo(values.dtype).eps * size)


def _moments(values: Array) -> tuple[Array, Array, Array]:
    """Mean, its rounding error, and standard deviation of each column."""
    mean = jnp.mean(values, axis=0, keepdims=True)
    rest = jnp.mean(values - mean, axis=0, keepdims=True)
    away = (values - mean) - rest
    # Squares of numbers in SI units overflow float32.
    size = lax.stop_gradient(jnp.max(jnp.abs(away), axis=0, keepdims=True))
    return mean, rest, size * jnp.sqrt(jnp.mean((away / size) ** 2, axis=0, keepdims=True))


def _scaled(values: Array, moments: tuple[Array, Array, Array]) -> Array:
    mean, rest, deviation = moments
    return ((values - mean) - rest) / deviation
