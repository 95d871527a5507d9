"""Rules beside their formulas in NumPy, and helpers that several files of tests share."""

import itertools
import warnings
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.numerics.bits import GENERATORS


class Law(NamedTuple):
    """A rule, made under the test's dtype, and its F and Φ in NumPy (None: no closed form)."""

    build: Callable
    force: Callable | None
    potential: Callable | None
    smooth: bool


def alpha_tron(alpha):
    """An alpha-tron without its warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tml.perceptron.RuleWarning)
        return tml.AlphaTron(alpha)


def _alpha_law(alpha):
    at_zero = 0.0 if alpha > 0 else 1.0

    def force(s):
        right = np.abs(np.where(s == 0, 1, s)) ** alpha
        return np.where(s < 0, 1.0, np.where(s > 0, right, at_zero))

    return Law(
        lambda: alpha_tron(alpha),
        force,
        lambda s: np.where(s > 0, np.abs(s) ** (alpha + 1) / (alpha + 1), s),
        False,
    )


def _mlp():
    return eqx.nn.MLP("scalar", "scalar", 8, 1, jnp.tanh, key=jax.random.key(1))


LAWS = {
    "hebbian": Law(tml.Hebbian, lambda s: np.ones_like(s), lambda s: s, True),
    "perceptron": Law(
        tml.PerceptronRule, lambda s: np.where(s < 0, 1.0, 0.0), lambda s: np.minimum(s, 0), False
    ),
    "adatron": Law(
        tml.AdaTron, lambda s: np.maximum(-s, 0), lambda s: -(np.minimum(s, 0) ** 2) / 2, True
    ),
    "linear": Law(
        lambda: tml.perceptron.LinearAlphaTron(0.3),
        lambda s: np.where(s < 0, 1.0, 0.3 * s),
        lambda s: np.where(s < 0, s, 0.15 * s**2),
        False,
    ),
    "custom": Law(
        lambda: tml.perceptron.CustomRule(lambda s: jnp.exp(-s), continuous=True),
        lambda s: np.exp(-s),
        lambda s: 1 - np.exp(-s),
        True,
    ),
    "network": Law(lambda: tml.perceptron.CustomRule(_mlp(), continuous=True), None, None, True),
} | {f"alpha={a}": _alpha_law(a) for a in (-0.6, -0.2, 0.0, 0.5, 1.5)}


OTHERS = [pytest.param(g, marks=pytest.mark.slow) for g in GENERATORS if g != "hash"]


@pytest.fixture(scope="session", params=["hash", *OTHERS])
def generator(request):
    """Every generator of random bits."""
    return request.param


@pytest.fixture(params=LAWS)
def law(request):
    return LAWS[request.param]


@pytest.fixture
def rule(x64, law):
    """Every rule, in float64."""
    return law.build()


@pytest.fixture
def quiet_alpha_tron():
    return alpha_tron


@pytest.fixture
def all_inputs():
    """n -> all 2^n inputs of ±1."""
    return lambda n: np.array(list(itertools.product((-1.0, 1.0), repeat=n)))


class Traces(list):
    """One entry for each time that a function is traced; it may be part of a program."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


class TracedRule(tml.AbstractRule):
    """The α-tron, which notes how often it is traced."""

    alpha: jax.Array = eqx.field(converter=jnp.asarray)
    traces: Traces = eqx.field(static=True)

    def __call__(self, s):
        self.traces.append(1)
        return alpha_tron(self.alpha)(s)

    def potential(self, s):
        return alpha_tron(self.alpha).potential(s)

    @property
    def smooth(self):
        return False


@pytest.fixture
def traced_rule():
    """(alpha -> rule, its traces)."""
    traces = Traces()
    return (lambda alpha: TracedRule(jnp.asarray(alpha, float), traces)), traces


@pytest.fixture(scope="session")
def mean_field_problem():
    """(rule, changes) -> a problem of 40 inputs at ν̃ = 0.8, k = 1.2 and T = 0.6."""

    def make(rule=None, **changes):
        settings = {"learning_rate": 0.8, "stiffness": 1.2, "temperature": 0.6, "batch": 6}
        settings |= {"n_inputs": 40} | changes
        return tml.LearningProblem(tml.AlphaTron(0.5) if rule is None else rule, **settings)

    return make


@pytest.fixture(scope="session")
def run_mean_field(mean_field_problem):
    """By time only the end is saved; by steps (of 0.05) there are four saves of five steps."""

    def run(problem=None, level=None, *, t1=1.0, **options):
        level = tml.MeanField() if level is None else level
        if level.dt == 0.05:
            options = {"save_every": 5, "adjoint": tml.langevin.ForwardMode()} | options
        return tml.learn(
            mean_field_problem() if problem is None else problem, level, t1=t1, **options
        )

    return run


@pytest.fixture(scope="session")
def reduced_problem():
    """(rule, changes) -> a problem of 10 Gaussian inputs at ν̃ = k = 1.2 and T = 0.6."""

    def make(rule=None, **changes):
        settings = {"n_inputs": 10, "batch": 3, "inputs": "gaussian", "learning_rate": 1.2}
        settings |= {"stiffness": 1.2, "temperature": 0.6} | changes
        return tml.LearningProblem(tml.AlphaTron(0.5) if rule is None else rule, **settings)

    return make


@pytest.fixture(scope="session")
def run_reduced(reduced_problem):
    """20 steps and 5 saves of 2100 trajectories, two chunks, in the loop that compiles fastest."""
    key, steps = jax.random.key(12), tml.Reduced(0.05)

    def run(problem=None, level=steps, *, t1=1.0, key=key, **options):
        settings = {
            "n_trajectories": 2100,
            "save_every": 5,
            "adjoint": tml.langevin.ForwardMode(),
        } | options
        problem = reduced_problem() if problem is None else problem
        return tml.learn(problem, level, t1=t1, key=key, **settings)

    return run
