"""Moment equations against integrals done by hand, linear systems and simulations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, quad_vec

import thermoml as tml

BATH, MOBILITY = 0.7, 1.3
SAVES = np.linspace(0, 1, 6)


def trap(x, control):
    return control["stiffness"] * (x - control["centre"]) ** 2 / 2


def trapped(stiffness, centre=(0, 0, 0, 0), bath=(BATH,) * 4, times=(0, 0, 1, 1)):
    """Each quantity before t = 0, after it, before t = 1, and after: jumps at both ends."""
    times = np.array(times, float)
    knots = {"stiffness": np.array(stiffness, float), "centre": np.array(centre, float)}
    return tml.Langevin(
        trap,
        control=tml.PiecewiseLinear(times, knots),
        temperature=tml.PiecewiseLinear(times, np.array(bath, float)),
        mobility=MOBILITY,
    )


def moments(system, mean, variance, **options):
    start = tml.NormalState(mean, variance)
    return tml.moment_equations(system, start, **{"t1": 1.0, "saves": 5, **options})


def assert_ledger(found, exact, tolerance=1e-8):
    """All that is given; and heat and work make the energy."""
    for name, values in exact.items():
        np.testing.assert_allclose(
            getattr(found, name), values, rtol=tolerance, atol=tolerance, err_msg=name
        )
    np.testing.assert_allclose(
        found.work - found.heat, found.energy - found.energy[0], atol=1e-3 * tolerance
    )
    np.testing.assert_allclose(jnp.sum(found.heat_by_element, axis=1), found.heat, rtol=1e-6)


def test_a_dragged_trap_does_the_work_of_friction(x64):
    """Behind it by y, with y' = v - μky: the power is kvy."""
    k, v = 1.5, 1.2
    found = moments(trapped([k] * 4, [0, 0, v, v]), 0.0, BATH / k)
    rate, t = MOBILITY * k, SAVES
    lag = v / rate * (1 - np.exp(-rate * t))
    work = v**2 / MOBILITY * (t - (1 - np.exp(-rate * t)) / rate)
    heat = work - k * lag**2 / 2
    exact = {
        "times": t,
        "mean": v * t - lag,
        "covariance": np.full(6, BATH / k),
        "energy": BATH / 2 + k * lag**2 / 2,
        "work": work,
        "heat": heat,
        "entropy_flow": heat / BATH,
    }
    assert_ledger(found, exact)
    np.testing.assert_allclose(found.control["centre"], v * t, rtol=1e-12)
    end = found.state()
    np.testing.assert_allclose([end.mean, end.covariance], [v - lag[-1], BATH / k], rtol=1e-8)
    np.testing.assert_allclose(found.state(2).mean, found.mean[2])
    assert str(found).startswith(f"Moments at t = 1, means\n  work          {work[-1]:.6g}\n")


@pytest.mark.parametrize("jump", [0.0, 0.4, 0.5, 1.0])
def test_a_jump_is_work_on_what_it_finds(x64, jump):
    """At the start, at a save, between two, or at the end, of stiffness and centre."""
    first, then, mean, variance = 1.0, 2.5, 0.6, 0.3
    times = {0.0: [0, 0, 1, 1], 1.0: [0, 0.5, 1, 1]}.get(jump, [0, jump, jump, 1])
    knots = {0.0: [0, 1, 1, 1], 1.0: [0, 0, 0, 1]}.get(jump, [0, 0, 1, 1])
    stiffness = [(first, then)[i] for i in knots]
    found = moments(trapped(stiffness, [0.4 * i for i in knots], times=times), mean, variance)

    def relaxed(t, k, centre, mean, variance):
        decay = np.exp(-MOBILITY * k * t)
        return centre + (mean - centre) * decay, BATH / k + (variance - BATH / k) * decay**2

    at_jump = relaxed(jump, first, 0.0, mean, variance)
    after = relaxed(np.maximum(SAVES - jump, 0), then, 0.4, *at_jump)
    before = relaxed(SAVES, first, 0.0, mean, variance)
    # Where the jump begins the run, the first save comes before it.
    late = (SAVES >= jump) & (SAVES > 0)
    means, variances = (np.where(late, b, a) for a, b in zip(before, after, strict=True))
    k, centre = np.where(late, then, first), np.where(late, 0.4, 0.0)
    mean, variance = at_jump
    work = (then * ((mean - 0.4) ** 2 + variance) - first * (mean**2 + variance)) / 2
    energy = k * ((means - centre) ** 2 + variances) / 2
    work = np.where(late, work, 0)
    heat = energy[0] + work - energy
    exact = {"mean": means, "covariance": variances, "energy": energy, "work": work, "heat": heat}
    assert_ledger(found, exact | {"entropy_flow": heat / BATH})


def test_a_stiffening_trap_compresses(x64):
    first, last, start = 1.0, 3.0, 0.5
    found = moments(trapped([first, first, last, last]), 0.0, start)

    def variance(t):
        grown = lambda s: np.exp(2 * MOBILITY * (first * s + (last - first) * s**2 / 2))
        return (start + 2 * MOBILITY * BATH * quad(grown, 0, t, epsabs=1e-13)[0]) / grown(t)

    work = [quad(lambda s: (last - first) * variance(s) / 2, 0, t)[0] for t in SAVES]
    variances = np.array([variance(t) for t in SAVES])
    energy = (first + (last - first) * SAVES) * variances / 2
    assert_ledger(found, {"covariance": variances, "work": work, "energy": energy})


def test_a_bath_that_warms_up(x64):
    """Variance T(t)/k - T'/(2μk²), but for what decays."""
    k, bath, rise, start = 1.5, 0.5, 0.6, 0.9
    warmer = [bath, bath, bath + rise, bath + rise]
    found = moments(trapped([k] * 4, bath=warmer), 0.0, start)
    rate = 2 * MOBILITY * k
    away = start - bath / k + rise / (rate * k)

    def variance(t):
        return (bath + rise * t) / k - rise / (rate * k) + away * np.exp(-rate * t)

    def heated(t):
        return -k / 2 * (rise / k - rate * away * np.exp(-rate * t))

    energy = k * variance(SAVES) / 2
    flow = [quad(lambda s: heated(s) / (bath + rise * s), 0, t)[0] for t in SAVES]
    exact = {"energy": energy, "heat": energy[0] - energy, "entropy_flow": flow}
    assert_ledger(found, exact | {"work": np.zeros(6)})


def test_without_noise_all_that_is_lost_is_heat(x64):
    found = moments(trapped([1.5] * 4, bath=[0.0] * 4), 2.0, 0.0)
    decay = np.exp(-MOBILITY * 1.5 * SAVES)
    heat = 1.5 * 2.0 * (1 - decay**2)
    assert_ledger(found, {"mean": 2 * decay, "covariance": np.zeros(6), "heat": heat})
    assert np.isnan(found.entropy_flow[1:]).all()  # there is no bath for it


def warming(t):
    return 0.7 + 0.3 * jnp.sin(3 * t)


def pulled(x, centre):
    return (x - centre) ** 2


def test_a_ramp_within_a_longer_run_and_a_bath_in_time(x64):
    """Against integrals, and against simulations to their errors and O(dt)."""
    system = tml.Langevin(pulled, control=tml.Ramp(0.0, 1.0, t0=0.3, t1=0.7), temperature=warming)
    found = moments(system, 0.0, 0.35, saves=np.array([0, 0.3, 0.5, 1.0]))
    k = 2.0

    def lag(t):
        stop = min(t, 0.7)
        pushed = quad(lambda s: 2.5 * np.exp(k * s), 0.3, stop)[0] if t > 0.3 else 0
        return pushed * np.exp(-k * t)

    def variance(t):
        spread = quad(lambda s: 2 * (0.7 + 0.3 * np.sin(3 * s)) * np.exp(2 * k * s), 0, t)[0]
        return (0.35 + spread) * np.exp(-2 * k * t)

    times = [0, 0.3, 0.5, 1.0]
    lags, variances = (np.array([f(t) for t in times]) for f in (lag, variance))
    work = [quad(lambda s: 2.5 * k * lag(s), 0.3, t)[0] for t in (0.3, 0.3, 0.5, 0.7)]
    energy = k * (lags**2 + variances) / 2
    assert_ledger(found, {"times": times, "covariance": variances, "work": work, "energy": energy})
    np.testing.assert_allclose(found.mean, [0, 0, 0.5 - lags[2], 1 - lags[3]], atol=1e-9)

    ensemble = tml.simulate(
        system,
        tml.NormalState(0.0, 0.35).sample,
        t1=1.0,
        dt=0.005,
        key=jax.random.key(3),
        n_trajectories=4000,
        integrator=tml.ExactLinear(k),
    )
    for name in ("work", "heat", "energy", "entropy_flow"):
        shown = np.asarray(getattr(ensemble, name))[:, -1]
        error = shown.std() / 4000**0.5
        assert abs(shown.mean() - getattr(found, name)[-1]) < 4 * error + 0.005, name
        assert error < 0.03


def test_a_driven_pair_between_two_baths_is_that_linear_system(x64):
    exact = tml.LinearSystem([[2.0, 0.7], [-0.45, 1.5]], [0.7, 1.0], [1.0, 1.5])
    start = tml.NormalState([0.4, -0.5], [[0.4, 0.1], [0.1, 0.6]])
    found = moments(exact.langevin(), start.mean, start.covariance)
    for i, t in enumerate(SAVES):
        now = exact.at(t, start)
        np.testing.assert_allclose(found.mean[i], now.mean, atol=1e-9)
        np.testing.assert_allclose(found.covariance[i], now.covariance, atol=1e-9)
    heat = quad_vec(lambda t: np.asarray(exact.heat_rate(exact.at(t, start))), 0, 1, epsrel=1e-8)[0]
    np.testing.assert_allclose(found.heat_by_element[-1], heat, rtol=1e-7)
    np.testing.assert_allclose(found.entropy_flow[-1], heat @ [1 / 0.7, 1 / 1.0], rtol=1e-7)
    rest = exact.steady_state()
    found = moments(exact.langevin(), rest.mean, rest.covariance)
    heat = SAVES[:, None] * np.asarray(exact.heat_rate())
    exact = {"heat_by_element": heat, "heat": heat.sum(1), "work": heat.sum(1)}
    assert_ledger(found, exact | {"energy": np.full(6, found.energy[0])})


def test_float32_stays_so():
    found = moments(trapped([1.5] * 4, [0, 0, 1.2, 1.2]), 0.0, BATH / 1.5)
    rate, v = MOBILITY * 1.5, 1.2
    work = v**2 / MOBILITY * (SAVES - (1 - np.exp(-rate * SAVES)) / rate)
    np.testing.assert_allclose(found.work, work, atol=3e-6)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype("float32")}


def bowl(x, control):
    return jnp.sum(x**2) / 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"potential": lambda x, _: x**4}, "^moment_equations needs a potential quadratic"),
        ({"potential": lambda x, _: jnp.cos(x)}, "quadratic and a drive linear in x; simulate"),
        ({"drive": lambda x, _: x**2}, "^moment_equations needs .* a drive linear in x"),
        (
            {"potential": lambda x, k: k * x**4, "control": tml.Ramp(0.0, 1.0)},
            "^moment_equations needs a potential quadratic",
        ),
        ({"t1": 0.0}, "^t1 must be later than t0 = 0.0, got 0.0"),
        ({"t0": 2.0}, "^t1 must be later than t0 = 2.0, got 1.0"),
        ({"saves": 0}, "^saves must be at least 1, got 0"),
        ({"saves": np.array([0, 0.5])}, "^saves must ascend from t0 to t1 = 1"),
        ({"saves": np.array([0, 0.5, 0.4, 1.0])}, "^saves must ascend"),
        ({"temperature": -1.0}, "^temperature must be finite and >= 0"),
        ({"temperature": lambda t: 0.5 - t}, "^temperature must be finite and >= 0"),
        ({"mobility": -1.0}, "^mobility must be finite and >= 0"),
        ({"temperature": jnp.ones(3)}, "^temperature of shape .* does not broadcast"),
    ],
)
def test_what_has_no_such_moments_is_refused(options, message):
    names = ("potential", "drive", "control", "temperature", "mobility")
    system = {"potential": bowl, **{name: options[name] for name in names if name in options}}
    options = {name: value for name, value in options.items() if name not in names}
    with pytest.raises(ValueError, match=message):
        moments(tml.Langevin(**system), 0.0, 1.0, **options)


@pytest.mark.usefixtures("unchecked")
def test_types_that_do_not_fit_are_named():
    with pytest.raises(TypeError, match="^system must be a Langevin, or one with momentum, got 3"):
        moments(3, 0.0, 1.0)
    with pytest.raises(TypeError, match="^saves must be a whole number"):
        moments(tml.Langevin(bowl), 0.0, 1.0, saves=2.5)
