"""Example data: sets shipped with scikit-learn, and synthetic ones of a linear teacher."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Key

from ...numerics.arrays import default_float
from ...numerics.checks import check_bound, check_count, check_key
from ...numerics.choices import is_choice
from ._data import KINDS, Data, Kind

_EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {  # their loaders in scikit-learn
    "diabetes": ("load_diabetes", {"scaled": False}),
    "breast_cancer": ("load_breast_cancer", {}),
    "digits": ("load_digits", {}),
}


def example_data(name: str) -> Data:
    """A real data set shipped with scikit-learn, in its own units.

    Args:
        name: "diabetes" (regression, 442 examples of 10 features), "breast_cancer" (2 classes, 569
            of 30), or "digits" (10 classes, 1797 images of 8 × 8 pixels from 0 to 16).

    Raises:
        ValueError: another name.

    Source: Efron et al. 2004, Ann. Stat. 32, 407; Street, Wolberg and Mangasarian 1993; Alpaydin
    and Kaynak 1998 (both UCI Machine Learning Repository).
    """
    if not is_choice(name, _EXAMPLES):
        listed = ", ".join(f'"{example}"' for example in _EXAMPLES)
        raise ValueError(f"name must be one of {listed}, got {name!r:.80}")
    from sklearn import datasets  # imported here: slow to load, and rarely used

    loader, options = _EXAMPLES[name]
    bunch = getattr(datasets, loader)(**options)
    return Data(
        bunch.data,
        bunch.target,
        feature_names=[str(feature) for feature in bunch.feature_names],
        class_names=[str(label) for label in bunch.get("target_names", ())],
        name=name,
    )


def synthetic_data(
    n_examples: int,
    *,
    spectrum: Any,
    noise: Any,
    key: Key[Array, ""],
    teacher: Any = None,
    kind: Kind = "regression",
    n_classes: int = 2,
) -> Data:
    r"""Normal features with a chosen spectrum, and the noisy answers of a linear teacher.

    $$x = \sqrt{\Lambda}\,g, \qquad y = x\cdot\theta + \eta\,\zeta, \qquad
      g_i, \zeta \sim \mathcal N(0, 1)$$

    A regression's target is y. Of two classes the label is y > 0; of c > 2 it is the class with the
    largest of y_1, …, y_c, each with its own teacher and noise.

    Args:
        n_examples: n.
        spectrum: Λ, the variance of each feature, `(d,)`, not negative.
        noise: η, the standard deviation of the noise, a scalar.
        key: random key.
        teacher: θ, `(d,)`, or `(d, outputs)` for a regression with several; `(d, c)` for c > 2
            classes. Standard normal, drawn from `key`, if left out.
        kind: "regression" or "classification".
        n_classes: c.

    Returns:
        `Data`. In `spectrum`, `noise` and `teacher` differentiable (in a variance where it is not
        0); traceable in those and `key`.

    Raises:
        ValueError: other shapes, negative variances or noise, another kind, fewer than 2 classes.

    Cost: O(n d).
    """
    check_key(key, "examples")
    n_examples = check_count("n_examples", n_examples)
    n_classes = check_count("n_classes", n_classes, 2)
    if kind not in KINDS:
        raise ValueError(f'kind must be "regression" or "classification", got {kind!r}')
    if kind == "regression" and n_classes != 2:
        raise ValueError(f'n_classes needs kind="classification", got {n_classes} classes')
    check_bound("spectrum", spectrum, ">=", 0.0)
    check_bound("noise", noise, ">=", 0.0)
    dtype = default_float()
    variances, amplitude = jnp.asarray(spectrum, dtype), jnp.asarray(noise, dtype)
    if variances.ndim != 1 or not variances.size:
        raise ValueError(f"spectrum must have shape (d,) with d > 0, got {variances.shape}")
    if amplitude.ndim:
        raise ValueError(f"noise must be a scalar, got shape {amplitude.shape}")
    d = variances.shape[0]
    for_features, for_teacher, for_noise = jax.random.split(key, 3)
    shape = (d, n_classes) if n_classes > 2 else (d,)
    if teacher is None:
        directions = jax.random.normal(for_teacher, shape, dtype)
    else:
        directions = jnp.asarray(teacher, dtype)
    several = kind == "regression" and directions.ndim == 2 and directions.shape[0] == d
    if directions.shape != shape and not several:
        raise ValueError(f"teacher must have shape {shape}, got {directions.shape}")
    features = jax.random.normal(for_features, (n_examples, d), dtype) * jnp.sqrt(variances)[None]
    targets = jnp.matmul(features, directions, precision=lax.Precision.HIGHEST)
    targets = targets + amplitude * jax.random.normal(for_noise, targets.shape, dtype)
    if kind == "regression":
        return Data(features, targets)
    labels = jnp.argmax(targets, axis=1) if n_classes > 2 else targets > 0
    return Data(features, labels, class_names=[str(label) for label in range(n_classes)])
