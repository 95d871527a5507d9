"""The rate of heat of a state: the conditional mean of the heat of an infinitesimal step."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from ._ledger import evaluate, total
from ._momentum import PhaseState, Underdamped, acting
from ._parameters import as_vector
from ._systems import AbstractSystem
from ._types import StateTree, Time


class HeatRate(eqx.Module):
    r"""An observable, the mean rate of heat into the baths from a state, without its noise.

    $$q(x) = \sum_i\mu_i\big(F_i^2 + T_i\,\partial_iF_i\big), \qquad
      \text{with momentum}\quad q(x, p) = \sum_i\gamma_i\big(p_i^2/m_i - T_i\big)$$

    In a driven steady state without momentum the heat of the ledger is off by order dt whatever the
    integrator, since the chord of a step cuts a path that turns. The mean of q is as good as the
    states: of order 2 with `Heun`. (The states of `LeimkuhlerMatthews` are of order 2 without a
    drive alone.) Average it over the steps of a run,

        rate = tml.langevin.Mean(tml.langevin.HeatRate(system))
        run = tml.simulate(system, ..., integrator=tml.Heun(), observables={"heat_rate": rate})

    Args:
        system: the system that is simulated, without samples of an environment.
        key: of random signs that estimate $\sum\mu T\,\partial F$ by one product (Hutchinson),
            anew for each state; None for the exact sum.

    Raises:
        TypeError: no system, or one with samples.

    Cost: d derivatives of the force for each state, or one with a key; none with momentum.

    Source: Sekimoto 2010, Stochastic Energetics, ch. 4; Hutchinson 1990.
    """

    system: AbstractSystem
    key: Key[Array, ""] | None

    def __init__(self, system: AbstractSystem, *, key: Key[Array, ""] | None = None):
        if not isinstance(system, AbstractSystem):
            raise TypeError(f"system must be a Langevin or an AbstractSystem, got {system!r:.80}")
        sample = eqx.filter_eval_shape(system.draw, jax.random.key(0))
        if sample is not None:
            raise TypeError("the rate of heat of a state is not defined where steps draw samples")
        self.system, self.key = system, key

    def __call__(self, state: StateTree, control: PyTree, t: Time) -> Float[Array, ""]:
        if isinstance(self.system, Underdamped):
            return self._of_momenta(state, t)
        baths = self.system.baths.at(t, state)
        flat, unravel = ravel_pytree(state)

        mobility, temperature = (
            as_vector(values, state) for values in (baths.mobility, baths.temperature)
        )

        def force(vector):
            return ravel_pytree(evaluate(self.system, unravel(vector), control, None).force)[0]

        if self.key is None:
            slopes = jnp.diagonal(jax.jacfwd(force)(flat))
        else:  # states differ, so their bits give each its own signs
            bits = lax.bitcast_convert_type(jnp.sum(flat).astype(jnp.float32), jnp.uint32)
            key = jax.random.fold_in(self.key, bits)
            signs = jax.random.rademacher(key, flat.shape, flat.dtype)
            slopes = signs * jax.jvp(force, (flat,), (signs,))[1]
        return jnp.sum(mobility * (force(flat) ** 2 + temperature * slopes))

    def _of_momenta(self, state: PhaseState, t: Time) -> Float[Array, ""]:
        assert isinstance(self.system, Underdamped)
        inertia = self.system.inertia_at(t, state.position)
        temperature = acting(self.system).baths.at(t, state.position).temperature

        def rate(p, m, friction, T):
            return friction * (p**2 / m - T)

        parts = inertia.mass, inertia.friction, temperature
        return total(jax.tree.map(rate, state.momentum, *parts))
