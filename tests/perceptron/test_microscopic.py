"""One step, drive and ledger against plain NumPy; the plain reference `simulate`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.ensembles import INPUTS as DRAWN_INPUTS, NOISE
from thermoml.numerics.random import row_numbers, trajectory_streams

N, B, M = 6, 4, 3
INPUTS = {
    "binary": tml.perceptron.BinaryInputs,
    "gaussian": tml.perceptron.GaussianInputs,
    "set": lambda: tml.TrainingSet(np.random.default_rng(2).normal(size=(9, N))),
}


def numpy_drive(force, rate, weights, teacher, inputs):
    """(ν/B) Σ_b σ_b ξ_b F(s_b), one input at a time."""
    total = np.zeros(len(weights))
    for xi in inputs:
        sign = -1.0 if teacher @ xi < 0 else 1.0
        total += sign * xi * force(np.array(sign * (weights @ xi) / len(weights) ** 0.5))
    return rate * len(weights) ** 0.5 * total / len(inputs)


def test_drive_is_the_plain_sum(rule, law):
    force = law.force or (lambda s: float(rule(jnp.asarray(s))))
    weights, teacher = np.random.default_rng(0).normal(size=(2, N))
    inputs = np.random.default_rng(1).normal(size=(B, N))
    problem = tml.LearningProblem(rule, learning_rate=0.7, n_inputs=N, batch=B)
    expected = numpy_drive(force, 0.7, weights, teacher, inputs)
    system = tml.perceptron.PerceptronLearning(problem, teacher)
    drive = system.drive_force(jnp.asarray(weights), None, jnp.asarray(inputs))
    np.testing.assert_allclose(drive, expected, rtol=1e-12)
    np.testing.assert_allclose(
        system.energy(jnp.asarray(weights), None, None), weights @ weights / 2
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [("perceptron", k) for k in INPUTS] + [("hebbian", "binary"), ("adatron", "binary")],
)
def test_one_step(generator, dtype, name, kind):
    """Weights, work and |f|² of a step, with the step's own inputs and noise, in NumPy."""
    rule, force = {
        "perceptron": (tml.PerceptronRule(), lambda s: float(s < 0)),
        "hebbian": (tml.Hebbian(), lambda s: 1.0),
        "adatron": (tml.AdaTron(), lambda s: max(-float(s), 0.0)),
    }[name]
    k, temperature, rate, dt = 1.3, 0.8, 0.7, 0.05
    problem = tml.LearningProblem(
        rule,
        learning_rate=rate,
        n_inputs=N,
        stiffness=k,
        temperature=temperature,
        batch=B,
        inputs=INPUTS[kind](),
    )
    weights, teachers = np.random.default_rng(0).normal(size=(2, N, M)).astype(dtype)
    key, indices, step = jax.random.key(1), jnp.arange(M), jnp.asarray(0)
    moved = tml.learn(
        problem,
        tml.Microscopic(dt, generator=generator),
        t1=dt,
        key=key,
        n_trajectories=M,
        weights=jnp.asarray(weights.T),
        teacher=jnp.asarray(teachers.T),
        throw=False,
    )
    streams = [trajectory_streams(key, indices, use, generator) for use in (DRAWN_INPUTS, NOISE)]
    batch = problem.inputs.draw(streams[0].at(step), batch=B, n_inputs=N, dtype=dtype)
    inputs = np.asarray(batch.unpack(), float)
    noise = np.asarray(streams[1].at(step).normals(row_numbers(N), dtype), float)
    for m in range(M):
        w, xi = weights[:, m].astype(float), inputs[:, :, m]
        before = numpy_drive(force, rate, w, teachers[:, m], xi)
        new = w + dt * (before - k * w) + (2 * temperature * dt) ** 0.5 * noise[:, m]
        after = numpy_drive(force, rate, new, teachers[:, m], xi)
        work = (before + after) @ (new - w) / 2
        close = lambda a, b: np.testing.assert_allclose(a, b, atol=30 * np.finfo(dtype).eps)
        close(moved.weights[m], new)
        close(moved.work[m, -1], work / N)
        close(moved.scale_separation[m, -1], dt / (2 * temperature) * (before @ before) / N)
    assert moved.weights.dtype == moved.work.dtype == dtype
    assert (moved.diverged_step == -1).all()


@pytest.fixture(scope="module", params=["binary", "gaussian"])
def two_ways(request, generator):
    """The same ensemble by `learn` and by the plain `simulate`: N = 10, B = 3, 200 steps."""
    n = 10
    problem = tml.LearningProblem(
        tml.AlphaTron(0.5),
        learning_rate=0.6,
        n_inputs=n,
        batch=3,
        inputs=request.param,
        stiffness=1.5,
        temperature=0.7,
    )
    teacher = tml.perceptron.sphere_teacher(jax.random.key(4), n)
    start = lambda key: (0.7 / 1.5) ** 0.5 * jax.random.normal(key, (n,))
    fast = tml.learn(
        problem,
        tml.Microscopic(0.01, generator=generator),
        t1=2.0,
        key=jax.random.key(0),
        n_trajectories=2000,
        save_every=50,
        teacher=teacher,
    )
    plain = tml.simulate(
        tml.perceptron.PerceptronLearning(problem, teacher),
        start,
        t1=2.0,
        dt=0.01,
        key=jax.random.key(1),
        n_trajectories=2000,
        save_every=50,
        observables={"R": lambda w, c, t: w @ teacher / n, "Q": lambda w, c, t: w @ w / n},
    )
    return n, fast, plain


@pytest.mark.slow
@pytest.mark.parametrize("quantity", ["overlap", "norm", "heat", "work"])
def test_learn_agrees_with_simulate(two_ways, quantity):
    """Means of two independent ensembles of 2000 agree within 4 standard errors at every save."""
    n, fast, plain = two_ways
    values = np.asarray(getattr(fast, quantity))
    others = {"overlap": plain.observables["R"], "norm": plain.observables["Q"]}
    other = np.asarray(others.get(quantity, getattr(plain, quantity, 0.0) / n))
    error = (values.var(axis=0) / len(values) + other.var(axis=0) / len(other)) ** 0.5
    assert (np.abs(values.mean(axis=0) - other.mean(axis=0)) <= 4 * error + 1e-6).all()


@pytest.mark.slow
def test_first_law_of_both(two_ways):
    """U is quadratic: the trapezoid is exact; the ledger closes on energies of saved weights."""
    n, fast, plain = two_ways
    scale = float(jnp.abs(plain.heat).max())
    np.testing.assert_allclose(plain.heat, plain.heat_by_leaf, atol=1e-5 * scale)
    change = 0.75 * n * (plain.observables["Q"] - plain.observables["Q"][:, :1])
    np.testing.assert_allclose(plain.work - plain.heat, change, atol=1e-5 * scale)
    final = 0.75 * jnp.mean(fast.weights**2, axis=1)
    np.testing.assert_allclose(fast.energy[:, -1], final, rtol=1e-5)
    np.testing.assert_allclose(
        fast.work - fast.heat, fast.energy - fast.energy[:, :1], atol=1e-5 * scale / n
    )


def test_inputs_of_the_system_are_the_problem_s():
    problem = tml.LearningProblem(tml.Hebbian(), learning_rate=1.0, n_inputs=N, batch=B)
    drawn = tml.perceptron.PerceptronLearning(problem, jnp.ones(N)).draw(jax.random.key(0))
    assert drawn.shape == (B, N)
    assert (jnp.abs(drawn) == 1).all()
    with pytest.raises(ValueError, match="teacher must have shape"):
        tml.perceptron.PerceptronLearning(problem, jnp.ones(N + 1))
