"""What the studies of engines share: settled rounds, and what they say of efficiency."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..numerics.labels import Labelled
from ..numerics.statistics import text_with_error
from ..thermodynamics import Cycle, settled_rounds
from ._base import pair, per_trajectory
from ._experiments import single


def engine_rounds(
    config: Any, engine: Cycle, start: Any, ensemble: Mapping[str, Any], **how: Any
) -> dict[str, Labelled]:
    """Work, heat from the hot bath and heat by stroke of each trajectory, in a settled round."""
    rest = {name: value for name, value in ensemble.items() if name != "key"}
    solution, saves = engine.trajectories(
        start,
        dt=config.dt,
        key=ensemble["key"],
        rounds=config.rounds,
        settle=config.settle,
        throw=False,
        **rest,
        **how,
    )
    work, heat = settled_rounds(solution, saves, config.rounds)
    hot = [i for i, stroke in enumerate(engine.strokes) if stroke.bath == "hot"]
    intake = -jnp.sum(heat[:, np.asarray(hot)], axis=1)
    return {
        "work": per_trajectory(work, "energy", "work in a round"),
        "intake": per_trajectory(intake, "energy", "heat from the hot bath in a round"),
        "heat": Labelled(("trajectory", "stroke"), heat, "energy", "heat into the bath"),
        "diverged": per_trajectory(solution.diverged_step >= 0, "", "fraction not finite"),
    }


def work_and_efficiency(entry: Any) -> dict[str, dict[str, Any]]:
    """Both with their errors, from single trajectories; no efficiency where no work is gained."""
    work, intake = pair(entry, "work"), pair(entry, "intake")
    ratio = -work["mean"] / intake["mean"]
    each = -single(entry, "work") - ratio * single(entry, "intake")
    error = float(np.std(each, ddof=1) / np.sqrt(each.size) / intake["mean"])
    gains = work["mean"] < 0 < intake["mean"]
    efficiency = {"mean": ratio, "standard_error": error}
    return {
        "work": work,
        "efficiency": efficiency if gains else dict.fromkeys(efficiency),
    }


def efficiency_text(efficiency: Mapping[str, Any]) -> str:
    """For a table."""
    if efficiency["mean"] is None:
        return "no engine"
    return text_with_error(efficiency["mean"], efficiency["standard_error"])
