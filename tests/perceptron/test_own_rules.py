"""Rules written outside the package give the numbers of the shipped ones in every algorithm."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parts import exhaustive

import thermoml as tml
from thermoml.perceptron import Power

ALPHA, RATE = 0.4, 0.7
KEY = jax.random.key(12)
TEACHER = np.random.default_rng(0).normal(size=5).astype(np.float32)
EXAMPLES = np.random.default_rng(1).normal(size=(9, 5)).astype(np.float32)
FORWARD = tml.langevin.ForwardMode()


def force(s, alpha):
    return jnp.where(s > 0, jnp.where(s > 0, s, 1) ** alpha, jnp.ones_like(s))


def potential(s, alpha):
    return jnp.where(s > 0, jnp.where(s > 0, s, 1) ** (alpha + 1) / (alpha + 1), s)


class Plain(tml.AbstractRule):
    """The α-tron by its force and potential."""

    alpha: float | jax.Array

    def __call__(self, s):
        return force(s, self.alpha)

    def potential(self, s):
        return potential(s, self.alpha)

    @property
    def smooth(self):
        return False


class WithPowers(tml.perceptron.AbstractPowerRule):
    """The same, with its powers."""

    alpha: float | jax.Array

    def __call__(self, s):
        return force(s, self.alpha)

    def potential(self, s):
        return potential(s, self.alpha)

    @property
    def smooth(self):
        return False

    @property
    def powers(self):
        return (Power(1.0, 0.0),), (Power(1.0, self.alpha),)


def function(alpha):
    """The same as a function."""
    return lambda s: force(s, alpha)


@pytest.fixture(params=[Plain, WithPowers, function])
def own(request):
    return request.param


def problem_of(rule, **more):
    settings = {"learning_rate": RATE, "n_inputs": 5, "batch": 3, "inputs": "gaussian"} | more
    return tml.LearningProblem(rule, **settings)


def agree(mine, expected, rtol):
    """The same numbers; `rtol` is relative to the largest of each array."""
    mine, expected = (jax.tree.leaves(eqx.filter(x, eqx.is_array)) for x in (mine, expected))
    assert mine
    for a, b in zip(mine, expected, strict=True):
        scale = np.abs(np.asarray(b)).max()
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * scale, equal_nan=True)


LEVELS = {
    "microscopic": (tml.Microscopic(0.02, generator="threefry"), {"inputs": "binary"}),
    "training set": (tml.Microscopic(0.02), {"inputs": tml.TrainingSet(EXAMPLES)}),
    "reduced": (tml.Reduced(0.02, generator="threefry"), {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.filterwarnings("ignore::thermoml.perceptron.ScaleSeparationWarning")
def test_simulated_learning(name):
    level, more = LEVELS[name]
    options = {"t1": 0.2, "key": KEY, "n_trajectories": 4, "save_every": 5, "adjoint": FORWARD}
    if name == "training set":
        options["test_inputs"] = -EXAMPLES
    curves = [
        tml.learn(problem_of(rule(ALPHA), **more), level, **options).quantities()
        for rule in (tml.AlphaTron, Plain)
    ]
    assert curves[0].keys() == curves[1].keys()
    agree(curves[1], curves[0], 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("finite_step", [False, *exhaustive(True)])
def test_mean_field_and_information_bound(x64, own, finite_step):
    level = tml.MeanField(0.05, finite_step=finite_step)
    options = {"t1": 0.5, "save_every": 5, "adjoint": FORWARD}

    def run(rule):
        curve = tml.learn(problem_of(rule), level, **options)
        return curve.quantities(), tml.information_bound(problem_of(rule), curve)

    agree(run(own(ALPHA)), run(tml.AlphaTron(ALPHA)), 1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("exact", [False, *exhaustive(True)])
def test_steady_state(x64, own, exact):
    """As N → ∞, where the least dissipation bounds it, and at finite N."""
    mine, expected = (
        tml.steady_state(problem_of(rule, n_inputs=5 if exact else None), exact=exact)
        for rule in (own(ALPHA), tml.AlphaTron(ALPHA))
    )
    agree(mine, expected, 1e-8)
    assert exact or tml.dissipation_bound(mine.error) < mine.dissipation


@pytest.mark.exhaustive
def test_learning_rate_at_a_dissipation(x64, own):
    mine, expected = (
        tml.perceptron.at_dissipation(problem_of(rule), 0.3)
        for rule in (own(ALPHA), tml.AlphaTron(ALPHA))
    )
    agree(mine.learning_rate, expected.learning_rate, 1e-8)


METHODS = {
    "pathwise": tml.MeanField(0.05),
    "auto": tml.Reduced(0.05),
    "jump_corrected": tml.Reduced(0.05),
    "likelihood_ratio": tml.Microscopic(0.05),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("method", METHODS)
def test_gradients(x64, method):
    def gradient(rule):
        objective = tml.LearningObjective(
            lambda alpha: problem_of(rule(alpha)),
            METHODS[method],
            t1=0.2,
            n_trajectories=1 if method == "pathwise" else 32,
            method=method,
        )
        assert method != "auto" or objective.method_for(ALPHA) == "finite_difference"
        return objective.value_and_gradient(ALPHA, KEY)

    mine = gradient(Plain)
    assert abs(mine.gradient) > 1e-6
    agree(mine, gradient(tml.AlphaTron), 1e-6)


@pytest.mark.exhaustive
def test_tuning(x64):
    def best(rule):
        def cost(alpha):
            state = tml.steady_state(problem_of(rule(alpha), n_inputs=None))
            return state.error + 0.05 * state.dissipation

        return tml.tune(cost, ALPHA, max_steps=8)

    mine, expected = best(Plain), best(tml.AlphaTron)
    agree(mine.parameters, expected.parameters, 1e-6)
    agree(mine.value, expected.value, 1e-8)


def test_simulation_as_a_system():
    def final(rule):
        system = tml.perceptron.PerceptronLearning(problem_of(rule), TEACHER)
        return tml.simulate(
            system, jnp.ones(5), t1=0.1, dt=0.02, key=KEY, n_trajectories=2, adjoint=FORWARD
        )

    mine, expected = final(Plain(ALPHA)), final(tml.AlphaTron(ALPHA))
    agree((mine.work, mine.heat), (expected.work, expected.heat), 1e-5)


def test_files(own, tmp_path):
    """The class is not in the file: `like` gives it."""
    path = tmp_path / "problem"
    problem = problem_of(own(ALPHA))
    tml.save(path, problem)
    with pytest.raises(ValueError, match="pass like=, a tree of the same structure"):
        tml.load(path)
    like = problem_of(own(0.1), learning_rate=0.1) if own is not function else problem
    assert eqx.tree_equal(tml.load(path, like=like), problem)


class Bell(tml.AbstractRule):
    """F(s) = exp(-(s/width)²), whose potential is left to quadrature."""

    width: float | jax.Array

    def __call__(self, s):
        return jnp.exp(-((s / self.width) ** 2))

    def potential(self, s):
        return tml.perceptron.potential_by_quadrature(self, s)

    @property
    def smooth(self):
        return True


class ClosedBell(tml.AbstractRule):
    """The same with Φ(s) = (√π/2) width erf(s/width)."""

    width: float | jax.Array

    def __call__(self, s):
        return jnp.exp(-((s / self.width) ** 2))

    def potential(self, s):
        return jnp.pi**0.5 / 2 * self.width * jax.lax.erf(s / self.width)

    @property
    def smooth(self):
        return True


@pytest.mark.slow
def test_a_potential_by_quadrature(x64):
    s = jnp.asarray([[-3.0, -0.1], [0.0, 2.0]])
    mine, expected = (rule(1.5).potential(s) for rule in (Bell, ClosedBell))
    np.testing.assert_allclose(mine, expected, rtol=1e-12)
    states = [tml.steady_state(problem_of(rule(1.5))) for rule in (Bell, ClosedBell)]
    agree(*states, 1e-8)


@pytest.mark.exhaustive
def test_many_rules_at_once(x64):
    """By vmap, and as derivatives in the parameter."""

    def error(rule, alpha):
        return tml.steady_state(problem_of(rule(alpha))).error

    alphas = jnp.asarray([0.1, 0.6])
    mine, expected = (
        jax.vmap(jax.value_and_grad(lambda alpha, rule=rule: error(rule, alpha)))(alphas)
        for rule in (WithPowers, tml.AlphaTron)
    )
    agree(mine, expected, 1e-9)


def test_a_rule_that_runs_away_is_named():
    with pytest.warns(tml.perceptron.RuleWarning, match=r"\(WithPowers, α = 1\)"):
        problem = problem_of(WithPowers(1.0), learning_rate=1.0)
    with pytest.raises(ValueError, match="no steady state.* got WithPowers, α = 1$"):
        tml.steady_state(problem)
