"""Entropy along single trajectories: of the system, and produced in all."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..langevin import Solution
from ..numerics.types import AnyArray
from ._entropy import LOG_2PI
from ._entropy_estimates import gaussian_entropy, neighbour_surprise
from ._samples import check_batch

Density = Literal["normal", "neighbours"]


def system_entropy(
    states: PyTree[Float[AnyArray, "trajectory ..."]],
    density: Density | Callable[[Any], Float[Array, ""]] = "normal",
) -> Float[Array, " trajectory"]:
    r"""Entropy of the system along each trajectory, $s(t) = -\ln p(x_t, t)$, in nats.

    Args:
        states: of all trajectories at one time.
        density: the source of p: "normal", mean and covariance of these states; "neighbours",
            distances to the 4 nearest of them; or a function `x -> ln p(x, t)` of one state.

    Returns:
        s of each trajectory, `(trajectory,)`; their mean is the Gibbs entropy.

    Raises:
        ValueError: as for `gaussian_entropy` and `knn_entropy`.

    Source: Seifert 2005, Phys. Rev. Lett. 95, 040602, eq. 9.
    """
    if callable(density):
        return -jax.vmap(density)(states)
    if density not in ("normal", "neighbours"):
        raise ValueError(
            f'density must be "normal", "neighbours" or a function x -> ln p(x), got {density!r}'
        )
    points = check_batch("states", states)
    if density == "neighbours":
        return neighbour_surprise(points, 4)
    gaussian_entropy(points)  # refuses too few states, and states in a plane
    away = points - jnp.mean(points, axis=0, keepdims=True)
    covariance = away.T @ away / (points.shape[0] - 1)
    whitened = jnp.linalg.solve(covariance, away.T).T
    constant = points.shape[1] * LOG_2PI + jnp.linalg.slogdet(covariance)[1]
    return (jnp.sum(away * whitened, axis=1) + constant) / 2


def entropy_production(
    solution: Solution,
    states: str | PyTree[Float[AnyArray, "trajectory save ..."]] = "state",
    density: Density | Callable[[Any, Float[Array, ""]], Float[Array, ""]] = "normal",
    *,
    of_steps: bool = False,
) -> Float[Array, "trajectory save"]:
    r"""Total entropy production along each trajectory since save 0, in nats.

    $$\Delta s_\text{tot}(t) = \ln\frac{p(x_0, 0)}{p(x_t, t)} + \sum_l\frac{Q_l}{T_l}$$

    Its mean is not negative, and `integral_fluctuation` of it is 1.

    Args:
        solution: of `simulate`, with all trajectories finite.
        states: the states at its saves: the name of the observable `State()` that has recorded
            them, or the states themselves.
        density: as for `system_entropy`, estimated at each save; a function is of x and t.
        of_steps: take the heat of the steps' own path probabilities, Q + W_shadow, in place of the
            ledger's. The integral fluctuation theorem then holds at any dt, not only as dt → 0.

    Returns:
        Δs_tot, `(trajectory, save)`.

    Raises:
        ValueError: no observable of that name, states of other shapes, and as for `system_entropy`;
            of steps without shadow work, where it is asked for.

    Example:
        >>> run = simulate(system, 0.0, observables={"state": State()}, ...)
        >>> produced = entropy_production(run)

    Source: Seifert 2005, Phys. Rev. Lett. 95, 040602, eq. 13.
    """
    if isinstance(states, str):
        if states not in solution.observables:
            raise ValueError(
                f"states must name an observable of the solution, one of "
                f"{sorted(solution.observables)}, got {states!r}; record the states by "
                f"observables={{{states!r}: State()}}"
            )
        states = solution.observables[states]
    shape = solution.work.shape
    for leaf in jax.tree.leaves(states):
        if jnp.shape(leaf)[:2] != shape:
            raise ValueError(
                f"states must begin with the axes [trajectory, save] of the solution, {shape}, got "
                f"a leaf of shape {jnp.shape(leaf)}"
            )

    def entropy_at(save):
        at_save = jax.tree.map(lambda leaf: leaf[:, save], states)
        if callable(density):
            log_density: Any = density  # pyright takes the strings for functions
            return system_entropy(at_save, lambda x: log_density(x, solution.times[save]))
        return system_entropy(at_save, density)

    entropies = jnp.stack([entropy_at(save) for save in range(shape[1])], axis=1)
    flow = solution.path_entropy_flow if of_steps else solution.entropy_flow
    return entropies - entropies[:, :1] + flow
