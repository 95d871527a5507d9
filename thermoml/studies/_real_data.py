"""Real data as the studies learn them."""

import numpy as np

from ..config._real_data import RealData
from ..networks import Data


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
