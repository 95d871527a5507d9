"""Data as the studies learn them."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ..config._real_data import RealData
from ..networks import Data, synthetic_data


def principal(chosen: RealData) -> Data:
    """Features standardised and turned to their first principal components, where asked for.

    A regression's targets are standardised too.
    """
    data = chosen.load().drop_constant().standardised(targets=not chosen.classifies)
    if chosen.components is None:
        return data
    features = np.asarray(data.features)
    _, _, axes = np.linalg.svd(features, full_matrices=False)
    axes = axes[: chosen.components]
    axes *= np.sign(axes[np.arange(len(axes)), abs(axes).argmax(axis=1)])[:, None]
    return Data(features @ axes.T, data.targets, class_names=data.class_names, name=data.name)


def classes_of_teachers(settings: Any, n_classes: int, key: Key[Array, ""]) -> Data:
    """White normal features, and the classes that linear teachers with noise give them.

    `settings` have `n_examples`, `n_features` and `label_noise`, over the signal.
    """
    return synthetic_data(
        settings.n_examples,
        spectrum=jnp.ones(settings.n_features),
        noise=settings.label_noise * settings.n_features**0.5,
        key=key,
        kind="classification",
        n_classes=n_classes,
    )
