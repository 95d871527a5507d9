"""The Fokker-Planck equation where it is solved: traps, linear systems, equilibria."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad_vec, solve_ivp
from scipy.stats import norm

import thermoml as tml

pytestmark = pytest.mark.usefixtures("x64")

MOBILITY = 1.3


def trap(x, control):
    return control["stiffness"] * (x - control["centre"]) ** 2 / 2


def trapped(stiffness, centre=(0, 0, 0, 0), temperature=(0.7, 0.7, 0.7, 0.7), times=(0, 0, 1, 1)):
    """Each quantity before t = 0, after it, before t = 1, and after: jumps at both ends."""
    times = np.array(times, float)
    knots = {"stiffness": np.array(stiffness, float), "centre": np.array(centre, float)}
    return tml.Langevin(
        trap,
        control=tml.PiecewiseLinear(times, knots),
        temperature=tml.PiecewiseLinear(times, np.array(temperature, float)),
        mobility=MOBILITY,
    )


def evolve(system, density, cells, t1=1.0):
    """Saved four times, with cells and steps in proportion: all errors fall with one order."""
    equation = tml.FokkerPlanck(system, tml.Axis(-5, 6, cells, boundary="natural"))
    if isinstance(density, tml.NormalState):
        density = equation.discretise(density)
    return equation.evolve(density, t1=t1, dt=4 * t1 / cells, save_every=cells // 16)


def evolved(system, mean, variance):
    return [evolve(system, tml.NormalState(mean, variance), cells) for cells in (96, 192)]


@pytest.mark.slow
def test_relaxation_in_a_trap_is_that_of_a_normal_distribution(assert_second_order):
    k, bath, mean, variance = 1.5, 0.7, 0.8, 0.3
    solutions = evolved(trapped([k] * 4), mean, variance)
    t = np.linspace(0, 1, 5)
    means = mean * np.exp(-MOBILITY * k * t)
    variances = bath / k + (variance - bath / k) * np.exp(-2 * MOBILITY * k * t)
    energies = k * (means**2 + variances) / 2
    entropies = np.log(2 * np.pi * np.e * variances) / 2
    heats = energies[0] - energies
    produced = entropies - entropies[0] + heats / bath
    for solution in solutions:
        assert str(solution).startswith("FokkerPlanckSolution at t = 1\n  work")
        np.testing.assert_allclose(solution.times, t, atol=1e-14)
    densities = []
    for solution, cells in zip(solutions, (96, 192), strict=True):
        x = tml.Axis(-5, 6, cells).centres
        exact = norm.pdf(x, means[:, None], np.sqrt(variances[:, None]))
        densities.append(solution.density - exact)
    assert_second_order(densities, 0, 1)
    for name, exact in (
        ("energy", energies),
        ("entropy", entropies),
        ("heat", heats),
        ("entropy_flow", heats / bath),
        ("entropy_production", produced),
    ):
        assert_second_order([getattr(s, name) for s in solutions], exact, np.ptp(exact))
    assert_second_order([s.work for s in solutions], 0, np.ptp(energies))  # the trap stands still


@pytest.mark.slow
def test_dragging_a_trap_does_the_work_of_friction_behind_it(assert_second_order):
    """The lag y of the mean follows y' = v - μky from 0, and the work is ∫ kvy dt."""
    k, v = 1.5, 1.2
    solutions = evolved(trapped([k] * 4, [0, 0, v, v]), 0.0, 0.7 / k)
    t, rate = np.linspace(0, 1, 5), MOBILITY * k
    lag = v / rate * (1 - np.exp(-rate * t))
    work = v**2 / MOBILITY * (t - (1 - np.exp(-rate * t)) / rate)
    heat = work - k * lag**2 / 2
    assert_second_order([s.work for s in solutions], work, np.ptp(work))
    assert_second_order([s.heat for s in solutions], heat, np.ptp(heat), within=0.02)
    # The shape stays: all entropy goes to the bath.
    assert_second_order([s.entropy_production for s in solutions], heat / 0.7, np.ptp(heat))


@pytest.mark.slow
def test_a_protocol_of_trap_and_bath_has_the_ledger_of_its_moments(assert_second_order):
    """Jumps at both ends, a moving and stiffening trap, and a bath that warms up meanwhile."""
    stiffness, centre, bath = [1.0, 1.4, 2.0, 1.7], [0, 0.2, 0.6, 0.9], [0.5, 0.5, 0.8, 0.8]
    solutions = evolved(trapped(stiffness, centre, bath), 0.4, 0.3)

    def field(t, y):
        k, c, bath_now = (a[1] + t * (a[2] - a[1]) for a in (stiffness, centre, bath))
        away, variance = y[0] - c, y[1]
        heat = MOBILITY * (k**2 * (away**2 + variance) - bath_now * k)
        spread = 2 * MOBILITY * (bath_now - k * variance)
        return [-MOBILITY * k * away, spread, heat, heat / bath_now]

    t = np.linspace(0, 1, 5)
    found = solve_ivp(field, (0, 1), [0.4, 0.3, 0, 0], t_eval=t, rtol=1e-10, atol=1e-12)
    mean, variance, heat, flow = found.y
    shown = [[a[0], *(a[1] + t[1:4] * (a[2] - a[1])), a[3]] for a in (stiffness, centre)]
    energy = np.array(shown[0]) * ((mean - shown[1]) ** 2 + variance) / 2
    entropy = np.log(2 * np.pi * np.e * variance) / 2
    for name, exact in (
        ("energy", energy),
        ("heat", heat),
        ("work", energy - energy[0] + heat),
        ("entropy", entropy),
        ("entropy_flow", flow),
        ("entropy_production", entropy - entropy[0] + flow),
    ):
        assert_second_order([getattr(s, name) for s in solutions], exact, np.ptp(exact), 0.02)


@pytest.mark.slow
def test_what_is_produced_is_gained_or_flows_away_and_is_never_undone(assert_second_order):
    system = trapped([1.0, 1.6, 1.2, 1.0], [0, 0.5, 0, 0.2], [0.5, 0.6, 0.7, 0.7])
    solutions = evolved(system, 0.4, 0.3)
    balances = [s.entropy - s.entropy[0] + s.entropy_flow - s.entropy_production for s in solutions]
    assert_second_order(balances, 0, 1)
    for s in solutions:
        np.testing.assert_allclose(s.work - s.heat, s.energy - s.energy[0], atol=1e-12)
        np.testing.assert_allclose(s.heat_by_axis, s.heat[:, None], rtol=1e-12)
        assert (np.diff(s.entropy_production) > 0).all()


def test_equilibrium_stands_still():
    solution = evolve(trapped([1.5] * 4), tml.NormalState(0.0, 0.7 / 1.5), 96)
    for density in solution.density[1:]:
        np.testing.assert_allclose(density, solution.density[0], rtol=1e-9)
    for name in ("work", "heat", "entropy_flow", "entropy_production"):
        np.testing.assert_allclose(getattr(solution, name), 0, atol=1e-13)


@pytest.mark.slow
def test_a_slow_cycle_takes_the_work_from_its_baths_that_its_reverse_costs():
    """Widened in one bath and narrowed in the other: (T₁ - T₂)/2 ln(k₁/k₂), but for losses."""
    wide, narrow, hot, cold = 1.0, 1.8, 0.8, 0.5
    ideal = (hot - cold) / 2 * np.log(narrow / wide)
    losses = []
    for leg in (3.0, 6.0):
        work = []
        for first, second in ((hot, cold), (cold, hot)):
            density, done = tml.NormalState(0.0, second / narrow), 0.0
            for ends, bath in (((narrow, wide), first), ((wide, narrow), second)):
                knots = np.repeat(ends, 2)
                system = trapped(knots, temperature=[bath] * 4, times=[0, 0, leg, leg])
                solution = evolve(system, density, 192, leg)
                density, done = solution.density[-1], done + solution.work[-1]
            work.append(float(done))
        engine, pump = work
        assert -ideal < engine < -0.2 * ideal < 0 < -engine < pump
        losses.append(engine + pump)
    assert 0.45 < losses[1] / losses[0] < 0.62


BATHS = np.array([0.7, 1.0])
FRICTION = np.array([1.0, 1.5])
# Coupled both ways, not alike: heat goes from the hot to the cold, and the drive turns it.
FORCES = np.array([[2.0, 0.7], [-0.3, 1.0]])


def plane(system, **options):
    axes = [tml.Axis(-end, end, 76, boundary="natural") for end in (4.5, 5.6)]
    return tml.FokkerPlanck(system, axes, **options)


def covariance(equation, density):
    x, y = (np.asarray(axis.centres) for axis in equation.axes)
    p = np.asarray(density) * equation.cell
    x, y = x[:, None], y[None]
    return np.array([np.sum(p * x * x), np.sum(p * x * y), np.sum(p * y * y)])


@pytest.mark.slow
def test_a_driven_linear_system_between_two_baths(assert_second_order):
    """At two temperatures on the same cells, whose widths in units of √T are as 1 to 1.4."""
    found = {"covariance": [], "heat": [], "produced": []}
    for scale in (0.5, 1.0):
        exact = tml.LinearSystem(FRICTION[:, None] * FORCES, scale * BATHS, FRICTION)
        equation = plane(exact.langevin())
        density = equation.steady_state()
        heat, produced = equation.heat_rate(density), equation.entropy_production_rate(density)
        np.testing.assert_allclose(produced, np.sum(np.asarray(heat) / scale / BATHS), rtol=1e-10)
        resting = np.asarray(exact.steady_state().covariance)[[0, 0, 1], [0, 1, 1]]
        found["covariance"].append((covariance(equation, density) - resting) / scale)
        found["heat"].append((heat - exact.heat_rate()) / scale)
        found["produced"].append(produced - exact.entropy_production_rate())
        for axis, current in enumerate(equation.current(density)):
            assert abs(np.asarray(current)).max() > 1e-3
            # Nothing in all through any line across
            np.testing.assert_allclose(np.sum(np.asarray(current), axis=1 - axis), 0, atol=1e-12)
    assert np.ptp(exact.heat_rate()) > 0.1
    for errors in found.values():
        assert_second_order(errors, 0, 1, ratio=2**0.5)


def bowl(state, control):
    return state["cold"] ** 2 + 0.2 * state["cold"] * state["hot"] + state["hot"] ** 2 / 2


def swirl(state, control):
    return {"cold": -0.5 * state["hot"], "hot": 0.5 * state["cold"]}


@pytest.mark.slow
def test_a_pair_in_two_baths_goes_from_one_normal_distribution_to_another():
    """A state with names, and a bath for each."""
    baths = dict(zip(("cold", "hot"), BATHS, strict=True))
    system = tml.Langevin(
        bowl, drive=swirl, temperature=baths, mobility=dict(zip(baths, FRICTION, strict=True))
    )
    equation = plane(system, state={"cold": 0.0, "hot": 0.0})
    exact = tml.LinearSystem(FRICTION[:, None] * FORCES, BATHS, FRICTION)
    start = tml.NormalState([0.4, -0.5], [[0.4, 0.1], [0.1, 0.6]])
    t1 = 0.8
    solution = equation.evolve(
        equation.discretise(lambda s: start.log_density(jnp.stack([s["cold"], s["hot"]]))),
        t1=t1,
        dt=t1 / 40,
    )
    end, density = exact.at(t1, start), solution.density[-1]
    for i, name in enumerate(baths):
        mean = equation.mean(lambda s, name=name: s[name], density)
        np.testing.assert_allclose(mean, end.mean[i], atol=2e-3)
    second = end.covariance + jnp.outer(end.mean, end.mean)
    moments = np.asarray(second)[[0, 0, 1], [0, 1, 1]]
    np.testing.assert_allclose(covariance(equation, density), moments, atol=5e-3)
    np.testing.assert_allclose(solution.entropy[-1], end.entropy, atol=5e-3)
    for name in ("heat_rate", "entropy_production_rate"):
        rate = lambda t, name=name: np.asarray(getattr(exact, name)(exact.at(t, start)))
        total = quad_vec(rate, 0, t1, epsrel=1e-4)[0]
        shown = solution.heat_by_axis if name == "heat_rate" else solution.entropy_production
        np.testing.assert_allclose(shown[-1], total, atol=0.01 * np.abs(total).max())


def wells(x, control):
    return (x**2 - 1) ** 2 * control


def barrier(x, control):
    return x[0] ** 2 * (1 + 0.3 * jnp.cos(x[1])) + jnp.sin(x[1]) + 0.5 * x[0] * jnp.cos(2 * x[1])


@pytest.mark.parametrize(
    ("potential", "axes"),
    [
        (wells, [tml.Axis(-3, 3, 160, boundary="natural")]),
        (
            barrier,
            [
                tml.Axis(-5, 5, 80, boundary="natural"),
                tml.Axis(0, 2 * np.pi, 40, boundary="periodic"),
            ],
        ),
    ],
    ids=["1-D", "2-D"],
)
def test_equilibrium_is_boltzmanns_to_the_last_tail(potential, axes):
    system = tml.Langevin(
        potential, control=tml.langevin.Constant(1.0), temperature=0.3, mobility=0.7
    )
    equation = tml.FokkerPlanck(system, axes)
    density = equation.steady_state()
    expected = np.exp(-np.asarray(equation.potential()) / 0.3)
    expected /= expected.sum() * equation.cell
    assert expected.min() < 1e-35
    np.testing.assert_allclose(density, expected, rtol=1e-11)
    np.testing.assert_allclose(equation.heat_rate(density), 0, atol=1e-11)
    np.testing.assert_allclose(equation.entropy_production_rate(density), 0, atol=1e-20)
    for current in equation.current(density):
        np.testing.assert_allclose(current, 0, atol=1e-11)
    gibbs = -np.sum(expected * np.log(expected)) * equation.cell
    np.testing.assert_allclose(equation.entropy(density), gibbs, rtol=1e-11)
