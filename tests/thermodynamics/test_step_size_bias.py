"""The bias of a time step: closed forms in traps, quadrature in a well, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.langevin import HarmonicPotential


def divergence(ratio):
    """KL(N(0, r)‖N(0, 1))."""
    return (ratio - 1 - np.log(ratio)) / 2


def run_in(system, start, key, *, dt, integrator, t1=200.0, every=1, count=400):
    return tml.simulate(
        system, start, t1=t1, dt=dt, key=key, n_trajectories=count, save_every=every,
        integrator=integrator,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scale", "published", "verdict"), [(0.1, 6.6914e-4, "fine"), (0.5, 0.0228256, "coarse")]
)
def test_euler_maruyama_in_a_trap(key, scale, published, verdict):
    np.testing.assert_allclose(divergence(1 / (1 - scale / 2)), published, rtol=1e-4)
    trap = tml.Langevin(HarmonicPotential(2.0), temperature=0.7, mobility=0.5)
    bias = tml.step_size_bias(run_in(trap, 0.0, key, dt=scale, integrator=tml.EulerMaruyama()))
    assert bias.standard_error < 0.2 * published
    assert abs(bias.mean - published) < 4 * bias.standard_error
    assert bias.verdict == verdict
    assert verdict in str(bias)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "ratios"),
    [("BAOAB", (1, 3 / 4)), ("OBABO", (4 / 3, 1)), ("ABOBA", (1, 4 / 3)), ("OABAO", (3 / 4, 1))],
)
def test_splittings_in_traps_of_two_frequencies(key, word, ratios):
    """At hω = 1 and at hω = 1/2 (q = 1/16), per position."""
    trap = tml.Langevin(HarmonicPotential(jnp.array([1.0, 0.25])), temperature=1.5)
    system = tml.Underdamped(trap, friction=0.8)
    slow = [15 / 16 if r < 1 else 16 / 15 if r > 1 else 1 for r in ratios]
    expected = (sum(map(divergence, ratios)) + sum(map(divergence, slow))) / 2
    run = run_in(system, jnp.zeros(2), key, dt=1.0, integrator=tml.Splitting(word), t1=400.0)
    bias = tml.step_size_bias(run)
    assert bias.standard_error < 0.1 * expected
    assert abs(bias.mean - expected) < 4 * bias.standard_error


def test_an_exact_step_has_none(key):
    trap = tml.Langevin(HarmonicPotential(2.0))
    bias = tml.step_size_bias(run_in(trap, 0.0, key, dt=0.5, integrator=tml.ExactLinear(2.0)))
    assert abs(bias.mean) < 1e-6
    assert bias.verdict == "fine"


@pytest.mark.slow
def test_a_double_well_against_its_transfer_matrix(key):
    """The stationary density of the steps themselves, from their kernel on a grid."""
    dt, temperature = 0.02, 0.5
    x = np.linspace(-2.2, 2.2, 1201)
    force = -4 * x * (x**2 - 1)
    away = x[:, None] - (x + force * dt)[None]
    kernel = np.exp(-(away**2) / (4 * temperature * dt))
    kernel /= kernel.sum(axis=0)
    density = np.ones(x.size) / x.size
    for _ in range(4000):
        density = kernel @ density
    wanted = np.exp(-((x**2 - 1) ** 2) / temperature)
    wanted /= wanted.sum()
    expected = np.sum(density * np.log(density / wanted))
    well = tml.Langevin(lambda x, _: (x**2 - 1) ** 2, temperature=temperature)
    run = run_in(well, 1.0, key, dt=dt, t1=160.0, every=4, integrator=tml.EulerMaruyama())
    bias = tml.step_size_bias(run)
    assert abs(bias.mean - expected) < 4 * bias.standard_error
    assert bias.standard_error < 0.5 * expected


@pytest.mark.slow
def test_its_intervals_cover(key):
    """95 % intervals of 60 runs of 20 trajectories: 0.85 or more with a false alarm of 1e-4."""
    trap, expected = tml.Langevin(HarmonicPotential(1.0)), divergence(1 / 0.9)
    run = run_in(trap, 0.0, key, dt=0.2, integrator=tml.EulerMaruyama(), count=1200)
    inside = 0

    def part(i):
        chosen = slice(20 * i, 20 * i + 20)
        return jax.tree.map(lambda a: a[chosen] if jnp.ndim(a) and len(a) == 1200 else a, run)

    for i in range(60):
        bias = tml.step_size_bias(part(i))
        inside += bool(abs(bias.mean - expected) < 2.09 * bias.standard_error)
    assert inside >= 51


@pytest.mark.slow
def test_what_has_no_equilibrium_or_no_error_is_refused(key):
    trap = HarmonicPotential(tml.langevin.FromControl())
    still = tml.Langevin(HarmonicPotential(1.0))
    how = {"dt": 0.1, "t1": 10.0, "integrator": tml.EulerMaruyama()}
    moving = tml.Langevin(trap, control=tml.Ramp(1.0, 2.0, t1=10.0))
    with pytest.raises(ValueError, match="this run has work"):
        tml.step_size_bias(run_in(moving, 0.0, key, **how))
    baths = tml.Langevin(HarmonicPotential(1.0), temperature=jnp.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="one temperature"):
        tml.step_size_bias(run_in(baths, jnp.zeros(2), key, **how))
    with pytest.raises(ValueError, match="32 saves and 4 trajectories at least, got 11"):
        tml.step_size_bias(run_in(still, 0.0, key, every=10, **how))
    with pytest.raises(ValueError, match="no shadow work"):
        tml.step_size_bias(run_in(still, 0.0, key, **how | {"integrator": tml.Heun()}))
