"""Properties of all systems: units, names of leaves, parts of an ensemble, dtypes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from jaxtyping import Array

import thermoml as tml

STEPS, DT = 6, 0.05
LEDGER = ("work", "heat", "energy", "heat_by_leaf", "entropy_flow", "entropy_flow_by_leaf")
positive = st.floats(0.25, 4.0)


class Landscape(eqx.Module):
    """A potential and a drive of a particle `a` in the plane and a particle `b` on a line.

    In units of energy and length, so that both may be changed with everything else the same.
    """

    stiffness: Array = eqx.field(converter=jnp.asarray)
    energy: Array = eqx.field(converter=jnp.asarray)
    length: Array = eqx.field(converter=jnp.asarray)
    drives: bool = eqx.field(default=False, static=True)

    def __call__(self, x, control):
        a, b = x["a"] / self.length, x["b"] / self.length
        if self.drives:
            turned = jnp.stack([-a[1], a[0]]) / 4
            return {"a": self.energy / self.length * turned, "b": jnp.zeros_like(b)}
        trap = self.stiffness * (jnp.sum(a**2) + (b - control) ** 2) / 2
        return self.energy * (trap + jnp.cos(a[0]) * jnp.sin(b))


def run(parameters, *, energy=1.0, time=1.0, length=1.0, integrator=None, first=0, count=3):
    """Trajectories in other units, of the same noise."""
    stiffness, cold, hot, mobility, end = parameters
    unit = energy, length
    system = tml.Langevin(
        Landscape(stiffness, *unit),
        drive=Landscape(stiffness, *unit, drives=True),
        control=tml.Ramp(0.0, end, t1=time * STEPS * DT),
        temperature={"a": energy * cold, "b": energy * hot},
        mobility=mobility * length**2 / energy / time,
    )
    return tml.simulate(
        system,
        {"a": length * jnp.array([0.5, -1.0]), "b": length * jnp.array(0.25)},
        t1=time * STEPS * DT,
        dt=time * DT,
        key=jax.random.key(3),
        n_trajectories=count,
        first_trajectory=first,
        save_every=2,
        integrator=integrator or tml.Heun(),
    )


PARAMETERS = st.tuples(positive, positive, positive, positive, st.floats(-2.0, 2.0))
# Powers of 4, whose roots are powers of 2: every product and root is scaled without rounding.
UNITS = st.integers(-3, 3).map(lambda n: 4.0**n)


def assert_scaled(actual, expected, *, energy=1.0, length=1.0):
    """The same run to the bit, apart from units."""
    units = dict.fromkeys(LEDGER, energy) | {"entropy_flow": 1.0, "entropy_flow_by_leaf": 1.0}
    for name, unit in units.items():
        pairs = zip(*(jax.tree.leaves(getattr(x, name)) for x in (actual, expected)), strict=True)
        for scaled, plain in pairs:
            np.testing.assert_array_equal(scaled, unit * plain, err_msg=name)
    ends = (jax.tree.leaves(x.final_state) for x in (actual, expected))
    for scaled, plain in zip(*ends, strict=True):
        np.testing.assert_array_equal(scaled, length * plain)


@pytest.mark.parametrize("integrator", [tml.EulerMaruyama(), tml.Heun()], ids=["Euler", "Heun"])
def test_units_of_energy_time_and_length_are_free(integrator):
    """U, T -> cU, cT with μ -> μ/c; dt -> c dt with μ -> μ/c; x -> cx with μ -> c²μ."""

    @given(parameters=PARAMETERS, energy=UNITS, time=UNITS, length=UNITS)
    @settings(max_examples=12)
    def check(parameters, energy, time, length):
        plain = run(parameters, integrator=integrator)
        scaled = run(parameters, energy=energy, time=time, length=length, integrator=integrator)
        np.testing.assert_array_equal(scaled.times, time * np.asarray(plain.times))
        assert_scaled(scaled, plain, energy=energy, length=length)

    check()


def test_units_that_round_change_digits_alone(x64):
    @given(parameters=PARAMETERS, energy=st.floats(0.1, 10.0), time=st.floats(0.1, 10.0))
    @settings(max_examples=8)
    def check(parameters, energy, time):
        plain, scaled = run(parameters), run(parameters, energy=energy, time=time)
        np.testing.assert_allclose(scaled.work, energy * plain.work, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(scaled.heat, energy * plain.heat, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(scaled.entropy_flow, plain.entropy_flow, rtol=1e-9, atol=1e-10)

    check()


def test_units_of_moment_equations(x64):
    """Mean and covariance stay; energy, work and heat are in the new unit."""

    @given(parameters=PARAMETERS, energy=UNITS, time=UNITS)
    @settings(max_examples=6)
    def check(parameters, energy, time):
        def moments(energy, time):
            stiffness, temperature, _, mobility, end = parameters
            system = tml.Langevin(
                tml.langevin.HarmonicPotential(
                    energy * stiffness, centre=tml.langevin.FromControl()
                ),
                control=tml.Ramp(0.0, end, t1=time),
                temperature=energy * temperature,
                mobility=mobility / energy / time,
            )
            return tml.moment_equations(system, tml.NormalState(0.5, 2.0), t1=time)

        plain, scaled = moments(1.0, 1.0), moments(energy, time)
        for name, unit in {"mean": 1.0, "covariance": 1.0, "work": energy, "heat": energy}.items():
            values = getattr(scaled, name), unit * getattr(plain, name)
            np.testing.assert_allclose(*values, rtol=1e-6, atol=1e-7 * unit, err_msg=name)

    check()


NAMES = ({"a": "a", "b": "b", "c": "c"}, {"a": "z", "b": "m", "c": "b"}, {"a": 2, "b": 0, "c": 1})


@pytest.mark.slow
def test_names_and_order_of_leaves_change_nothing_where_there_is_no_noise(x64):
    """Each is another order of the leaves: the ledger is the same but for the order of sums."""

    def ledger(names):
        def potential(x, control):
            a, b, c = (x[names[name]] for name in "abc")
            return jnp.sum(a**2) + a[0] * b + jnp.cos(b - c[0]) + control * jnp.sum(c**4)

        system = tml.Langevin(potential, control=tml.Ramp(0.5, 1.0), temperature=0.0)
        state = {"a": jnp.array([1.0, 2.0]), "b": jnp.array(0.5), "c": jnp.array([-1.0])}
        return tml.simulate(
            system,
            {names[name]: value for name, value in state.items()},
            t1=0.5,
            dt=0.05,
            key=jax.random.key(0),
        )

    plain, *others = (ledger(names) for names in NAMES)
    for names, other in zip(NAMES[1:], others, strict=True):
        for name in ("work", "heat", "energy"):
            np.testing.assert_allclose(getattr(other, name), getattr(plain, name), rtol=1e-12)
        for before, after in names.items():
            pair = other.final_state[after], plain.final_state[before]
            np.testing.assert_allclose(*pair, rtol=1e-12)
            pair = other.heat_by_leaf[after], plain.heat_by_leaf[before]
            np.testing.assert_allclose(*pair, rtol=1e-12)


@pytest.mark.parametrize("order", [(2, 0, 1), (1, 0, 2)])
def test_the_order_of_coordinates_permutes_moments(x64, order):
    random, order = np.random.default_rng(0), np.asarray(order)
    drift = random.normal(size=(3, 3)) + 3 * np.eye(3)
    baths = random.uniform(0.5, 2.0, (2, 3))
    mean = random.normal(size=3)

    def moments(order):
        system = tml.LinearSystem(drift[np.ix_(order, order)], *baths[:, order]).langevin()
        return tml.moment_equations(system, tml.NormalState(mean[order], 0.5), t1=0.7)

    plain, other = moments(np.arange(3)), moments(order)
    np.testing.assert_allclose(other.mean, plain.mean[:, order], rtol=1e-6, atol=1e-8)
    permuted = plain.covariance[:, order][:, :, order]
    np.testing.assert_allclose(other.covariance, permuted, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(other.heat, plain.heat, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        other.heat_by_element, plain.heat_by_element[:, order], rtol=1e-6, atol=1e-8
    )


@pytest.mark.exhaustive
def test_the_order_of_axes_transposes_the_fokker_planck_density(x64):
    def evolved(first):
        def potential(x, control):
            a, b = x[first], x[1 - first]
            return a**2 / 2 + a * b / 3 + b**4 / 4

        baths = np.array([0.7, 1.3])[[first, 1 - first]]
        axes = [tml.Axis(-2.5, 2.5, 14), tml.Axis(-2.0, 2.0, 19)]
        equation = tml.FokkerPlanck(
            tml.Langevin(potential, temperature=baths), axes if first == 0 else axes[::-1]
        )
        start = equation.discretise(lambda x: -jnp.sum(x**2))
        return equation.evolve(start, t1=0.2, dt=0.05)

    plain, other = evolved(0), evolved(1)
    # The two axes of a step are taken in turn, in their order: of second order in dt.
    np.testing.assert_allclose(other.density, plain.density.transpose(0, 2, 1), atol=2e-3)
    np.testing.assert_allclose(other.heat_by_axis, plain.heat_by_axis[:, ::-1], atol=2e-3)
    np.testing.assert_allclose(other.entropy, plain.entropy, atol=2e-3)


def parts_and_whole(simulate, count, cut):
    """All trajectories at once, and in two parts, as trees with the trajectory axis first."""
    whole, first, second = simulate(0, count), simulate(0, cut), simulate(cut, count - cut)
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), first, second)
    return jax.tree.leaves(joined), jax.tree.leaves(whole)


@pytest.mark.parametrize("cut", [1, 3])
def test_parts_of_an_ensemble_are_the_whole(cut):
    """To the bit; a lone trajectory is computed as scalars, whose cosine rounds differently."""

    def simulate(first, count):
        solution = run((1.0, 0.5, 2.0, 1.0, 1.0), first=first, count=count)
        return {name: getattr(solution, name) for name in (*LEDGER, "final_state")}

    for part, whole in zip(*parts_and_whole(simulate, 5, cut), strict=True):
        rounding = 1e-6 if cut == 1 else 0
        np.testing.assert_allclose(part, whole, rtol=rounding, atol=rounding)


@pytest.mark.exhaustive
@pytest.mark.parametrize("level", [tml.Microscopic(0.02), tml.Reduced(0.02)], ids=["micro", "red"])
@pytest.mark.parametrize("rule", [tml.Hebbian(), tml.AlphaTron(0.5)], ids=["Hebbian", "α-tron"])
def test_parts_of_learning_are_the_whole_to_the_bit(level, rule):
    problem = tml.LearningProblem(rule, learning_rate=1.0, n_inputs=12, batch=4)

    def simulate(first, count):
        curve = tml.learn(
            problem,
            level,
            t1=0.2,
            key=jax.random.key(1),
            n_trajectories=count,
            first_trajectory=first,
            teachers="ensemble",
            save_every=5,
        )
        return {name: getattr(curve, name) for name in ("error", "norm", "overlap", "work", "heat")}

    for part, whole in zip(*parts_and_whole(simulate, 7, 3), strict=True):
        np.testing.assert_array_equal(part, whole)


def floats(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)}


def deterministic(parameters, dtype):
    stiffness, *_, end = parameters
    numbers = (jnp.asarray(x, dtype) for x in (stiffness, 1.0, 1.0))
    system = tml.Langevin(Landscape(*numbers), control=tml.Ramp(0.0, end), temperature=0.0)
    state = {"a": jnp.array([0.5, -1.0], dtype), "b": jnp.array(0.25, dtype)}
    return tml.simulate(
        system, state, t1=0.5, dt=0.05, key=jax.random.key(0), integrator=tml.Heun(), save_every=5
    )


def test_results_keep_the_dtype_and_precisions_agree(x64):
    """Without noise, which float32 and float64 draw differently."""

    @given(parameters=PARAMETERS)
    @settings(max_examples=10)
    def check(parameters):
        single, double = (deterministic(parameters, x) for x in (jnp.float32, jnp.float64))
        for solution, dtype in ((single, np.float32), (double, np.float64)):
            ledger = [getattr(solution, name) for name in (*LEDGER, "final_state", "times")]
            assert floats(ledger) == {np.dtype(dtype)}
        for name in ("work", "heat", "energy"):
            values = getattr(single, name), getattr(double, name)
            np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-5, err_msg=name)

    check()
