"""Forces that are not linear are refused wherever and whenever they are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

QUARTIC_SWITCHED = tml.PiecewiseLinear([0, 0.1, 0.2, 0.3, 1], [0.0, 0.0, 1.0, 0.0, 0.0])


def hidden(x, control):
    """Invisible where all coordinates are equal."""
    return jnp.sum(x**2) / 2 + (x[0] - x[1]) ** 4


def dashed(x, control):
    return jnp.sum(x**2) / 2 + control * jnp.sum(x**4)


@pytest.mark.parametrize(
    ("potential", "options"),
    [
        (hidden, {}),
        (lambda x, _: jnp.sum(x**2) / 2 + x[0] ** 2 * x[1], {}),
        (lambda x, _: jnp.sum(x**2) / 2 + 0.1 * jax.nn.relu(x[1] - 3) ** 2, {}),
        (lambda x, _: jnp.sum(jnp.abs(x)), {}),
        (lambda x, _: jnp.sum(x - jnp.log(x)), {}),
        (lambda x, _: jnp.sum(x**2), {"drive": lambda x, _: jnp.flip(x) * jnp.sum(x)}),
        (dashed, {"control": QUARTIC_SWITCHED}),
        (dashed, {"control": lambda t: jnp.exp(-(((t - 0.371) / 0.01) ** 2))}),
    ],
    ids=["difference", "product", "kink", "modulus", "pole", "drive", "switched", "pulse"],
)
def test_what_is_not_linear_is_seen(dtype, potential, options):
    start = tml.NormalState(jnp.full((2,), 0.5, dtype), 1.0)
    with pytest.raises(ValueError, match="^moment_equations needs a potential quadratic"):
        tml.moment_equations(tml.Langevin(potential, **options), start, t1=1.0)


def test_an_engine_of_coupled_differences_is_refused(x64):
    """Its work would be -2.910 instead of -2.46."""

    def chain(x, k):
        return k * (jnp.sum(x**2) / 2 + jnp.sum(jnp.diff(x) ** 4))

    strokes = [
        tml.Stroke(tml.Ramp(a, b, t1=5.0), duration=5.0, bath=bath)
        for a, b, bath in ((4.0, 1.0, "hot"), (1.0, 4.0, "cold"))
    ]
    engine = tml.Cycle(chain, strokes, temperatures={"hot": 3.0, "cold": 1.0})
    with pytest.raises(ValueError, match="^moment_equations needs a potential quadratic"):
        engine.moment_equations(state=jnp.zeros(3))


@pytest.mark.parametrize("power", [2, 4])
def test_inside_a_trace_what_is_not_linear_is_not_a_number(x64, power):
    @jax.jit
    def energy(k):
        system = tml.Langevin(lambda x, c: c * x**power / 2, control=tml.langevin.Constant(k))
        return tml.moment_equations(system, tml.NormalState(0.0, 1.0), t1=1.0).energy[-1]

    np.testing.assert_allclose(energy(1.0), 0.5 if power == 2 else np.nan, rtol=1e-9)


def test_stiff_and_distant_traps_are_linear(dtype):
    """And nothing but rounding is seen of them."""

    def trap(x, centre):
        return 500 * jnp.sum((x - centre) ** 2) + jnp.sum(jnp.diff(x) ** 2)

    start = tml.NormalState(jnp.full((3,), 30.0, dtype), jnp.asarray(1e-3, dtype))
    system = tml.Langevin(trap, control=tml.Ramp(30.0, 31.0, t1=0.01))
    end = tml.moment_equations(system, start, t1=0.01)
    assert np.isfinite(end.work[-1])
