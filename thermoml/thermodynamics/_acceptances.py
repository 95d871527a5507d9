"""Works of two ensembles: Bennett's weights and root, and a test of Crooks' relation."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float

from ..numerics.roots import newton_root
from ._samples import FEWEST, relative_spread

ACCEPTED = 25.0  # expected acceptances of an ensemble that overlaps with the other
SCORE_LIMIT = 2.576  # standard errors: 99 % of works that obey Crooks' relation lie within


class ScaledPair(NamedTuple):
    """Works less a common centre, in units of their spread, so that small ones keep their digits.

    Attributes:
        forward, reverse: (W_F - centre)/(T unit) and (W_R + centre)/(T unit).
        centre: the first approximation of ΔF.
        unit: the spread of the works in units of T, at most 1.
        imbalance: ln(n_F/n_R).
    """

    forward: Float[Array, " forward"]
    reverse: Float[Array, " reverse"]
    centre: Float[Array, ""]
    unit: Float[Array, ""]
    imbalance: float


class Acceptances(NamedTuple):
    """Bennett's weights f of one ensemble.

    Attributes:
        logarithms: ln f.
        relative, spread: f/⟨f⟩ - 1, and its root mean square.
        excess: ln⟨f⟩ less that of a work that equals ΔF, in the pair's unit.
    """

    logarithms: Float[Array, " sample"]
    relative: Float[Array, " sample"]
    spread: Float[Array, ""]
    excess: Float[Array, ""]


def scaled_pair(
    forward: Float[Array, " forward"],
    reverse: Float[Array, " reverse"],
    temperature: Float[Array, ""],
) -> ScaledPair:
    """The works of both ensembles, scaled."""
    counts = forward.shape[0], reverse.shape[0]
    share = counts[0] / sum(counts)
    # Medians: a trajectory that runs away would move means so far that the others lose all digits.
    centre = lax.stop_gradient(share * jnp.median(forward) - (1 - share) * jnp.median(reverse))
    works = (forward - centre) / temperature, (reverse + centre) / temperature
    widest = lax.stop_gradient(jnp.maximum(*(relative_spread(x) for x in works)))
    unit = jnp.where((widest > 0) & (widest < 1), widest, 1)
    return ScaledPair(
        works[0] / unit, works[1] / unit, centre, unit, float(np.log(counts[0] / counts[1]))
    )


def bennett_root(pair: ScaledPair) -> Float[Array, ""]:
    """(ΔF - centre)/T in the pair's unit."""

    def mismatch(root: Array) -> Array:  # its slope lies between 0 and 2 everywhere
        ahead, back = acceptances(pair, root)
        return ahead.excess - back.excess

    return newton_root(mismatch, jnp.zeros_like(pair.centre))


def acceptances(pair: ScaledPair, root: Float[Array, ""]) -> tuple[Acceptances, Acceptances]:
    """Bennett's weights in both ensembles."""
    return (
        _acceptances(pair.forward - root, pair.unit, pair.imbalance),
        _acceptances(pair.reverse + root, pair.unit, -pair.imbalance),
    )


class Overlap(NamedTuple):
    """How far two ensembles of works overlap.

    Attributes:
        expected: acceptances Σf, of the ensemble that has fewer.
        sufficient: whether these are 25, or half of those without any dissipation if that is less,
            of enough works that are not all equal.
    """

    expected: Float[Array, ""]
    sufficient: Bool[Array, ""]


def overlap_of(pair: ScaledPair, ahead: Acceptances, back: Acceptances) -> Overlap:
    """The overlap of both ensembles, by their weights at Bennett's root."""
    counts = pair.forward.shape[0], pair.reverse.shape[0]
    expected = jnp.exp(jnp.minimum(logsumexp(ahead.logarithms), logsumexp(back.logarithms)))
    enough = min(ACCEPTED, counts[0] * counts[1] / sum(counts) / 2)
    varies = (jnp.ptp(pair.forward) > 0) & (jnp.ptp(pair.reverse) > 0)
    return Overlap(expected, (expected >= enough) & varies & (min(counts) >= FEWEST))


def _acceptances(
    works: Float[Array, " sample"], unit: Float[Array, ""], imbalance: float
) -> Acceptances:
    x, ratio = unit * works, float(np.exp(imbalance))
    logarithms = -jax.nn.softplus(imbalance + x)
    log_mean = logsumexp(logarithms) - float(np.log(x.shape[0]))
    # f/f₀ - 1 = -e^M (e^x - 1)/(1 + e^{M + x}), of which nothing is lost at small x
    up, down = jnp.maximum(x, 0), jnp.minimum(x, 0)
    change = jnp.expm1(-up) / (jnp.exp(-up) + ratio) - jnp.expm1(down) / (1 + ratio * jnp.exp(down))
    change = ratio * change
    mean = jnp.mean(change)
    near = mean > -0.5
    safe = jnp.where(near, mean, 0)
    excess = jnp.where(near, jnp.log1p(safe), log_mean + float(np.log1p(ratio)))
    relative = jnp.where(near, (change - mean) / (1 + safe), jnp.exp(logarithms - log_mean) - 1)
    return Acceptances(logarithms, relative, relative_spread(relative), excess / unit)


def crooks_score(pair: ScaledPair, root: Float[Array, ""]) -> Float[Array, ""]:
    r"""The score of slope 1 in Crooks' relation, in standard errors: normal if the relation holds.

    Of the logistic regression of a work's ensemble on the work,
    $\sum_i(y_i - p_i)v_i/\sqrt{\sum_ip_i(1-p_i)(v_i-\bar v)^2}$, which needs no fit and stays
    finite where the ensembles do not overlap. NaN if the works are all equal.

    Source: Rao 1948, Proc. Camb. Phil. Soc. 44, 50.
    """
    works = jnp.concatenate([pair.forward - root, -(pair.reverse + root)])
    weights = jnp.exp(jnp.concatenate([x.logarithms for x in acceptances(pair, root)]))
    residuals = weights * jnp.where(jnp.arange(works.shape[0]) < pair.forward.shape[0], 1, -1)
    information = weights * (1 - weights)
    away = works - jnp.sum(information * works) / jnp.sum(information)
    return jnp.sum(residuals * away) / jnp.sqrt(jnp.sum(information * away**2))
