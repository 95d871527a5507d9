"""Transformations of JAX where a user's function closes over the parameter.

The parameter k stands in a closure, in a module or among the arguments; grad, jvp, vmap,
vmap(grad), hessian and jit give the same numbers, those of finite differences.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parts import exhaustive

import thermoml as tml

KEY = jax.random.key(0)
AT = 1.1
BOTH_MODES = tml.ensembles.Direct()  # of derivatives, through an adaptive solver
REVERSE_ONLY = {"a cycle"}  # whose rounds would all be stored; forward mode has a test of its own
ONCE = {"slow modes"}  # refused: eigenvectors that are not differentiated
LONG = {"an exact steady state"}  # a minute each way


class Scaled(eqx.Module):
    """k f(...), with k as a leaf."""

    scale: jax.Array
    function: object = eqx.field(static=True)

    def __call__(self, *arguments):
        return self.scale * self.function(*arguments)


def as_closure(k, function):
    return lambda *arguments: k * function(*arguments)


def as_module(k, function):
    return Scaled(jnp.asarray(k, float), function)


def half_square(x, *control):
    return jnp.sum(x**2) / 2


def simulate(system, **options):
    start = options.pop("start", jnp.array([1.0, -0.5]))
    options = {"t1": 0.1, "dt": 0.05, "key": KEY, "n_trajectories": 3} | options
    return tml.simulate(system, start, **options)


def problem(way, k):
    rule = tml.perceptron.CustomRule(way(k, lambda s: jnp.exp(-(s**2))), continuous=True)
    return tml.LearningProblem(rule, learning_rate=1.0, n_inputs=11, batch=3)


def learned(level):
    def error(way, k):
        options = {"t1": 0.02, "key": KEY, "n_trajectories": 3, "save_every": 1}
        return tml.learn(problem(way, k), level, **options).error.mean()

    return error


def trap(way, k):
    return tml.Langevin(way(k, half_square))


def ring(way, k):
    system = tml.Langevin(way(k, lambda x, control: jnp.cos(x)), drive=lambda x, _: 1 + 0 * x)
    axis = tml.Axis(0.0, 2 * jnp.pi, 24, boundary="periodic")
    return tml.FokkerPlanck(system, axis)


def wells(way, k, boundary):
    system = tml.Langevin(way(k, lambda x, control: (x**2 - 1) ** 2))
    return tml.FokkerPlanck(system, tml.Axis(-2.0, 0.5, 24, boundary=boundary))


def relaxed(way, k):
    equation = tml.FokkerPlanck(
        tml.Langevin(way(k, lambda x, control: x**2 / 2)), tml.Axis(-6.0, 6.0, 48)
    )
    density = equation.discretise(tml.NormalState(0.5, 1.0))
    return equation.evolve(density, t1=0.1, dt=0.05).heat[-1].sum()


def work_of_cycle(way, k, **options):
    piston = way(k, lambda x, stiffness: stiffness * jnp.sum(x**2) / 2)
    strokes = [
        tml.Stroke(tml.Ramp(1.0, 4.0, t1=1.0), duration=1.0, bath="cold"),
        tml.Stroke(tml.Ramp(4.0, 1.0, t1=1.0), duration=1.0, bath="hot"),
    ]
    cycle = tml.Cycle(piston, strokes, temperatures={"hot": 3.0, "cold": 1.0})
    return cycle.moment_equations(state=jnp.zeros(2), **options).work


def moments(way, k):
    start = tml.NormalState(jnp.ones(2), 1.0)
    return tml.moment_equations(trap(way, k), start, t1=1.0, adjoint=BOTH_MODES).energy[-1]


def continued(way, k):
    system = trap(way, k)
    return simulate(system, start=simulate(system), t1=0.2).heat[:, -1].mean()


def entropy_along(way, k):
    run = simulate(trap(unscaled, 1.0), observables={"x": tml.langevin.State()})
    density = way(-k, half_square)
    return tml.thermodynamics.system_entropy(run.observables["x"], density).mean()


def unscaled(k, function):
    return function


def chained(way, k):
    activation = way(k, jnp.tanh)
    return tml.engine_chain(activation, depth=2, weight_variance=2.3).temperature[-1]


CASES = {
    "a potential": lambda way, k: simulate(trap(way, k)).heat[:, -1].mean(),
    "a drive": lambda way, k: (
        simulate(tml.Langevin(half_square, drive=way(k, lambda x, control: jnp.ones_like(x))))
        .heat[:, -1]
        .mean()
    ),
    "a control": lambda way, k: (
        simulate(tml.Langevin(lambda x, c: c * half_square(x), control=way(k, lambda t: 1 + t)))
        .work[:, -1]
        .mean()
    ),
    "a bath": lambda way, k: (
        simulate(tml.Langevin(half_square, temperature=way(k, lambda t: 1 + t))).heat[:, -1].mean()
    ),
    "an integrator": lambda way, k: (
        simulate(tml.Langevin(half_square), integrator=tml.ExactLinear(way(k, lambda control: 1.0)))
        .heat[:, -1]
        .mean()
    ),
    "an observable": lambda way, k: (
        simulate(tml.Langevin(half_square), observables={"a": way(k, lambda x, c, t: x[0] ** 2)})
        .observables["a"]
        .mean()
    ),
    "an observer": lambda way, k: (
        simulate(
            tml.Langevin(half_square),
            observables={"a": tml.langevin.Mean(way(k, lambda x, c, t: x[0] ** 2))},
        )
        .observables["a"]
        .mean()
    ),
    "a start": lambda way, k: (
        simulate(
            tml.Langevin(half_square),
            start=lambda key: way(k, lambda key: jax.random.normal(key, (2,)))(key),
        )
        .energy[:, -1]
        .mean()
    ),
    "a run that is continued": continued,
    "a rule, all weights": learned(tml.Microscopic(0.01)),
    "a rule, reduced": learned(tml.Reduced(0.01)),
    "a rule, mean field": learned(tml.MeanField(dt=0.01, finite_step=True)),
    "a steady state": lambda way, k: tml.steady_state(problem(way, k)).error,
    "an exact steady state": lambda way, k: tml.steady_state(problem(way, k), exact=True).error,
    "moment equations": moments,
    "a cycle": work_of_cycle,
    "a ring at rest": lambda way, k: ring(way, k).entropy_production_rate(
        ring(way, k).steady_state()
    ),
    "a passage": lambda way, k: wells(
        way, k, ("reflecting", "absorbing")
    ).mean_first_passage_time()[8],
    "slow modes": lambda way, k: wells(way, k, "reflecting").spectrum(2).rates[1],
    "transport": lambda way, k: ring(way, k).transport().velocity,
    "a density in time": relaxed,
    "a density": entropy_along,
    "an engine": lambda way, k: tml.work_efficiency(way(k, jnp.tanh), 1.5),
    "a chain of engines": chained,
}
QUICK = {"a potential"}
MARKED = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES]


@pytest.fixture(scope="module")
def differences():
    """Value, slope and curvature at k = 1.1 by finite differences of the undifferentiated."""
    cache = {}

    def of(name):
        if name not in cache:
            step = 1e-3
            function = jax.jit(lambda k: jnp.asarray(CASES[name](as_module, k), float))
            low, value, high = (float(function(AT + i * step)) for i in (-1, 0, 1))
            slope = (high - low) / (2 * step)
            cache[name] = value, slope, (high - 2 * value + low) / step**2
        return cache[name]

    return of


def by_night(excepted):
    """All cases but the excepted: the quick one always, the others in the exhaustive part."""
    others = (name for name in CASES if name not in QUICK | excepted)
    return [*QUICK, *exhaustive(*others)]


def function_of(name, way):
    return lambda k: jnp.asarray(CASES[name](way, k), float)


def close(actual, expected, value):
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-6 * (1 + abs(value)))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("way", [as_closure, *exhaustive(as_module)])
@pytest.mark.parametrize("name", MARKED)
def test_gradients_are_finite_differences(x64, differences, name, way):
    value, slope, _ = differences(name)
    close(np.array(jax.value_and_grad(function_of(name, way))(AT)), [value, slope], value)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", by_night(REVERSE_ONLY))
def test_forward_and_second_derivatives(x64, differences, name):
    """Of a closure: the leaf of a module is traced as arguments are."""
    value, slope, curvature = differences(name)
    function = function_of(name, as_closure)
    close(jax.jvp(function, (AT,), (1.0,))[1], slope, value)
    if name in LONG:
        return
    if name in ONCE:
        with pytest.raises(NotImplementedError, match="no second derivatives"):
            jax.hessian(function)(AT)
        return
    np.testing.assert_allclose(
        jax.hessian(function)(AT), curvature, rtol=1e-3, atol=1e-3 * (1 + abs(value))
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", by_night(LONG))
def test_compiled_gradients_of_many(x64, differences, name):
    value, slope, _ = differences(name)
    many = jax.jit(jax.vmap(jax.value_and_grad(function_of(name, as_closure))))
    close(np.array(many(jnp.array([AT, AT]))), [[value] * 2, [slope] * 2], value)


@pytest.mark.exhaustive
@pytest.mark.parametrize("way", [as_closure, as_module])
def test_forward_mode_through_the_rounds_of_a_cycle(x64, differences, way):
    forward = tml.ensembles.ForwardMode()
    _, slope = jax.jvp(lambda k: work_of_cycle(way, k, adjoint=forward), (AT,), (1.0,))
    np.testing.assert_allclose(slope, differences("a cycle")[1], rtol=2e-5)
