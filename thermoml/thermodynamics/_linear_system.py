"""Linear systems between heat baths, in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ..langevin import Langevin, LinearForce, QuadraticPotential, Time
from ..numerics.arrays import as_parameter, cast_floats, is_concrete
from ..numerics.checks import check_bound
from ..numerics.compile import jitted
from ..numerics.types import Numbers
from ._normal import NormalState

_DOUBLINGS = 64


class LinearSystem(eqx.Module):
    r"""A linear force in any number of heat baths.

    $$dx = -A x\,dt + \sqrt{2\mu T}\,dW, \qquad F = -Bx, \quad B = \mu^{-1}A, \quad D = \mu T$$

    with a bath of its own for each coordinate. If B is not symmetric, part of the force has no
    potential (rotation, non-reciprocal coupling). An oracle for simulations with several baths:
    distributions that start normal stay normal, and everything here is exact.

    Args:
        drift: A, `(d, d)`.
        temperature, mobility: T and μ of each coordinate, scalars or `(d,)`; T >= 0, μ > 0.

    Raises:
        ValueError: a drift that is not a square matrix or not finite, baths of another length,
            T < 0 or μ <= 0.

    Cost: `at` O(d³); `steady_state` O(d⁶), about a second for d = 50.

    Source: Gardiner 2009, Stochastic Methods, section 4.4; heat: Sekimoto 2010, ch. 4.
    """

    drift: Float[Array, "d d"]
    temperature: Float[Array, " d"]
    mobility: Float[Array, " d"]

    def __init__(self, drift: Numbers, temperature: Numbers = 1.0, mobility: Numbers = 1.0):
        drift = as_parameter(drift, "drift")
        if drift.ndim != 2 or drift.shape[0] != drift.shape[1]:
            raise ValueError(f"drift must be a square matrix (d, d), got shape {drift.shape}")
        if is_concrete(drift) and not np.isfinite(np.asarray(drift)).all():
            raise ValueError(f"drift must be finite, got {drift}")
        check_bound("temperature", temperature, ">=", 0.0)
        check_bound("mobility", mobility, ">", 0.0)

        def each(name: str, value: Numbers) -> Array:
            value = as_parameter(value, name).astype(drift.dtype)
            if value.shape not in ((), drift.shape[:1]):
                raise ValueError(
                    f"{name} must be a scalar or have shape {drift.shape[:1]}, one bath for each "
                    f"coordinate, got shape {value.shape}"
                )
            return jnp.broadcast_to(value, drift.shape[:1])

        self.drift = drift
        self.temperature = each("temperature", temperature)
        self.mobility = each("mobility", mobility)

    @property
    def stiffness(self) -> Float[Array, "d d"]:
        """B = μ⁻¹A, so that the force is -Bx."""
        return self.drift / self.mobility[:, None]

    @property
    def diffusion(self) -> Float[Array, "d d"]:
        """D = diag(μT)."""
        return jnp.diag(self.mobility * self.temperature)

    def langevin(self) -> Langevin:
        """The same system for `simulate`, with potential ½x·B_s x and drive -B_a x.

        B_s and B_a are the symmetric and the antisymmetric part of B. States have shape `(d,)`.
        """
        stiffness = self.stiffness
        return Langevin(
            QuadraticPotential((stiffness + stiffness.T) / 2),
            drive=LinearForce((stiffness - stiffness.T) / -2),
            temperature=self.temperature,
            mobility=self.mobility,
        )

    def at(self, t: Time, start: NormalState | None = None) -> NormalState:
        r"""The distribution after a time t.

        $$m(t) = e^{-At}m_0, \quad \Sigma(t) = e^{-At}\Sigma_0e^{-A^\top t} +
          \int_0^t e^{-As}\,2D\,e^{-A^\top s}ds$$

        Args:
            t: time, scalar, >= 0. The drift may be unstable.
            start: the distribution at t = 0; by default the point x = 0.

        Raises:
            ValueError: t < 0, or a start of another size.

        Rounding errors are the dtype's epsilon times ‖A‖t, or times ‖A‖ over the slowest rate of
        decay if that is less: use float64 for stiff systems.

        Source: Van Loan 1978, IEEE Trans. Autom. Control 23, 395, then by doubling the time.
        """
        check_bound("t", t, ">=", 0.0)
        size = self.drift.shape[0]
        if start is None:
            start = NormalState(jnp.zeros((size,), self.drift.dtype), 0.0)
        start = cast_floats(self._fits(start), self.drift.dtype)
        propagator, spread = _transition(
            self.drift, self.diffusion, jnp.asarray(t, self.drift.dtype)
        )
        covariance = propagator @ start.matrix @ propagator.T + spread
        return start.like(propagator @ start.vector, _symmetric(covariance))

    def steady_state(self) -> NormalState:
        r"""The distribution in the steady state: mean 0, and $A\Sigma + \Sigma A^\top = 2D$.

        Raises:
            ValueError: there is none, since an eigenvalue of A has no positive real part. Inside
                jit, vmap or grad the covariance is NaN.

        Source: Gardiner 2009, section 4.4.6; solved by lineax.
        """
        drift = self.drift
        if is_concrete(drift):
            slowest = float(np.linalg.eigvals(np.asarray(drift)).real.min())
            if slowest <= 0:
                raise ValueError(
                    "drift must have eigenvalues with positive real parts for a steady state, the "
                    f"smallest is {slowest:.3g}; a distribution that spreads for ever cannot be "
                    "normalised, add a stiffness"
                )
        covariance = _lyapunov(drift, self.diffusion)
        if not is_concrete(drift):
            covariance = jnp.where(_settles(drift), covariance, jnp.nan)
        return NormalState(jnp.zeros(drift.shape[:1], drift.dtype), covariance)

    def heat_rate(self, state: NormalState | None = None) -> Float[Array, " d"]:
        r"""Mean heat into the bath of each coordinate, per unit of time.

        $$\dot Q_i = \langle F_i\circ\dot x_i\rangle =
          \mu_i\big[(B\langle xx^\top\rangle B^\top)_{ii} - T_iB_{ii}\big]$$

        Args:
            state: the present distribution; the steady state by default.
        """
        state = self.steady_state() if state is None else self._fits(state)
        second = state.matrix + jnp.outer(state.vector, state.vector)
        stiffness = self.stiffness
        squares = jnp.sum(stiffness @ second * stiffness, axis=1)
        return self.mobility * (squares - self.temperature * jnp.diagonal(stiffness))

    def heat_currents(self) -> Float[Array, "d d"]:
        r"""Mean heat per unit of time from bath j to bath i, in the steady state.

        $$J_{ij} = -B_{ij}\langle x_j\circ\dot x_i\rangle, \qquad \sum_jJ_{ij} = \dot Q_i$$

        through the coupling B_ij; J is antisymmetric if B is symmetric. Otherwise the
        non-reciprocal couplings do work, and dissipate it at the rate J + Jᵀ.
        """
        covariance = self.steady_state().matrix
        moving = self.diffusion - self.drift @ covariance  # ⟨ẋ∘xᵀ⟩, antisymmetric here
        return -self.stiffness * (moving - moving.T) / 2

    def entropy_production_rate(self, state: NormalState | None = None) -> Float[Array, ""]:
        r"""Total entropy production in nats per unit of time.

        $$\dot S_\text{tot} = \langle v\cdot D^{-1}v\rangle, \qquad
          v(x) = -Ax + D\Sigma^{-1}(x - m)$$

        Never negative, and 0 in equilibrium only. It equals $\dot S + \sum_i\dot Q_i/T_i$.

        Args:
            state: the present distribution; the steady state by default.
        """
        state = self.steady_state() if state is None else self._fits(state)
        inverse = jnp.linalg.inv(state.matrix)
        local = self.diffusion @ inverse - self.drift
        mean = self.drift @ state.vector
        squares = jnp.sum(local @ state.matrix * local, axis=1) + mean**2
        return jnp.sum(squares / jnp.diagonal(self.diffusion))

    def _fits(self, state: NormalState) -> NormalState:
        if state.size != self.drift.shape[0]:
            raise ValueError(
                f"the state must have {self.drift.shape[0]} coordinates, got {state.size}"
            )
        return state


@jitted
def _transition(drift: Array, diffusion: Array, t: Array) -> tuple[Array, Array]:
    """The propagator e^{-At}, and the covariance due to the noise in time t."""
    norm = jnp.max(jnp.sum(jnp.abs(drift), axis=0)) * t
    doublings = jnp.ceil(jnp.log2(jnp.maximum(lax.stop_gradient(norm), 1)))
    h = t * jnp.exp2(-doublings)
    largest = lax.stop_gradient(jnp.max(diffusion))
    scale = jnp.where(largest > 0, largest, 1)
    noise = 2 * diffusion / scale
    blocks = [[-drift * h, noise], [jnp.zeros_like(noise), drift.T * h]]
    exponential = jax.scipy.linalg.expm(jnp.block(blocks))
    size = drift.shape[0]
    propagator = exponential[:size, :size]
    spread = exponential[:size, size:] @ propagator.T * (scale * h)

    def double(carry, i):
        phi, covariance = carry
        twice = (phi @ phi, covariance + phi @ covariance @ phi.T)
        return jax.tree.map(lambda a, b: jnp.where(i < doublings, a, b), twice, carry), None

    return lax.scan(double, (propagator, spread), jnp.arange(_DOUBLINGS, dtype=t.dtype))[0]


def _settles(drift: Array) -> Array:
    """True if all eigenvalues of A have positive real parts, up to rounding.

    Then, and only then, those of the Cayley transform lie inside the unit circle and its powers
    vanish.
    """
    drift = lax.stop_gradient(drift)
    norm = jnp.max(jnp.sum(jnp.abs(drift), axis=0))
    scaled = drift / jnp.maximum(norm, jnp.finfo(drift.dtype).tiny)
    one = jnp.eye(drift.shape[0], dtype=drift.dtype)
    cayley = jnp.linalg.solve(one + scaled, one - scaled)
    squarings = jnp.finfo(drift.dtype).nmant - 2
    power = lax.fori_loop(0, squarings, lambda _, power: power @ power, cayley)
    return jnp.all(jnp.abs(power) < 0.5)


@jitted
def _lyapunov(drift: Array, diffusion: Array) -> Array:
    """The solution Σ of AΣ + ΣAᵀ = 2D, from the equations of its upper triangle."""
    upper = np.triu_indices(drift.shape[0])

    def whole(entries):
        half = jnp.zeros_like(drift).at[upper].set(entries)
        return half + half.T - jnp.diag(jnp.diagonal(half))

    def equations(entries):
        product = drift @ whole(entries)
        return (product + product.T)[upper]

    right = 2 * diffusion[upper]
    operator = lx.FunctionLinearOperator(equations, jax.eval_shape(lambda: right))
    operator = lx.MatrixLinearOperator(operator.as_matrix())
    return whole(lx.linear_solve(operator, right, throw=False).value)


def _symmetric(matrix: Float[Array, "d d"]) -> Float[Array, "d d"]:
    return (matrix + matrix.T) / 2
