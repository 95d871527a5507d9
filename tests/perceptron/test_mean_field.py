"""The mean field against closed forms, and what becomes of its runs."""

import time
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from students import GIVEN, START, STUDENT

import thermoml as tml

pytestmark = pytest.mark.filterwarnings("ignore::thermoml.perceptron.ScaleSeparationWarning")

ROOT = (2 / np.pi) ** 0.5


DT = 0.05
STEPS = tml.MeanField(DT, finite_step=True)


@pytest.mark.parametrize(
    ("rate", "k", "temperature", "start"),
    [(1.0, 1.0, 1.0, {}), (0.3, 1.9, 0.5, {}), (2.0, 0.7, 1.5, GIVEN), (0.5, 0.2, 0.0, GIVEN)],
)
def test_hebbian_in_closed_form(
    x64, rate, k, temperature, start, mean_field_problem, run_mean_field
):
    """Theory 2.2 for any k and T: R relaxes to √(2/π)ν̃/k with k, Q - R² to T/k with 2k.

    Without N the heat is what V̄ = kQ/2 - √(2/π)ν̃R has lost.
    """
    settings = {"learning_rate": rate, "stiffness": k, "temperature": temperature}
    problem = mean_field_problem(tml.Hebbian(), n_inputs=None, **settings)
    curve = run_mean_field(problem, tml.MeanField(0.1), t1=16.0, save_every=10, **start)
    overlap, norm = START if start else (0.0, temperature / k)
    fading = np.exp(-k * np.asarray(curve.times))
    overlap, across = ROOT * rate / k * (1 - fading) + overlap * fading, norm - overlap**2
    across = temperature / k * (1 - fading**2) + across * fading**2
    potential = k * (across + overlap**2) / 2 - ROOT * rate * overlap
    np.testing.assert_allclose(curve.overlap[0], overlap, atol=1e-8)
    np.testing.assert_allclose(curve.transverse[0], across, atol=1e-8)
    np.testing.assert_allclose(curve.norm[0], across + overlap**2, atol=1e-8)
    np.testing.assert_allclose(curve.error[0], np.arctan2(across**0.5, overlap) / np.pi, atol=1e-8)
    np.testing.assert_allclose(curve.heat[0], potential[0] - potential, atol=1e-8)
    if temperature > 0:
        rest = np.arctan((np.pi * k * temperature / 2) ** 0.5 / rate) / np.pi
        np.testing.assert_allclose(curve.error[0, -1], rest, atol=1e-5)
    assert (curve.scale_separation == 0).all()
    assert (curve.heat_rate_bias == 0).all()


@pytest.mark.slow
def test_it_goes_on_from_all_the_weights(run_mean_field, mean_field_problem):
    """From where they are, with their ledger; at the times of `Microscopic`."""
    level, options = tml.Microscopic(DT), {"key": jax.random.key(2), "n_trajectories": 5}
    start = run_mean_field(mean_field_problem(n_inputs=10), level, **options)
    np.testing.assert_array_equal(start.times, run_mean_field(level=STEPS).times)
    later = run_mean_field(
        mean_field_problem(n_inputs=10), tml.MeanField(DT), weights=start, t1=2.0
    )
    clock = start.checkpoint.clock
    np.testing.assert_array_equal(later.times, clock.time(start.checkpoint.step, np.arange(5) * 5))
    for name in ("overlap", "norm", "transverse", "error", "work", "heat", "information"):
        ours, theirs = getattr(later, name), getattr(start, name)
        np.testing.assert_allclose(ours[:, 0], theirs[:, -1], rtol=1e-5, atol=1e-6)
    stored = later.energy - start.energy[:, :1]
    np.testing.assert_allclose(later.work - later.heat, stored, atol=5e-6)
    assert jnp.abs(later.overlap[:, -1] - later.overlap[:, 0]).min() > 1e-3
    assert later.weights is None


@pytest.mark.parametrize("level", [tml.MeanField(), STEPS])
def test_trajectories_are_repeated(level, run_mean_field):
    """As many as are asked for, all alike."""
    curve = run_mean_field(level=level, n_trajectories=5)
    assert curve.heat.shape == (5, curve.times.size)
    assert (curve.heat == curve.heat[:1]).all()


@pytest.mark.slow
def test_the_end_need_not_be_a_whole_number_of_steps(x64, run_mean_field):
    """Where only the end is saved; and a run goes on from there as if it had not stopped."""
    first = run_mean_field(t1=0.123456789)
    np.testing.assert_allclose(first.times, [0, 0.123456789], rtol=1e-15)
    second, whole = run_mean_field(weights=first, t1=0.3), run_mean_field(t1=0.3)
    np.testing.assert_allclose(second.times, [0.123456789, 0.3], rtol=1e-15)
    for name in ("overlap", "norm", "work", "heat", "entropy_production", "efficiency"):
        ours = getattr(second, name)[0]
        np.testing.assert_allclose(ours[0], getattr(first, name)[0, -1], rtol=1e-14)
        np.testing.assert_allclose(ours[1], getattr(whole, name)[0, -1], rtol=1e-8)
    with pytest.raises(ValueError, match="^dt must divide"):
        run_mean_field(t1=0.123456789, save_every=1)
    with pytest.raises(ValueError, match="^t1 must be"):
        run_mean_field(weights=first, t1=0.1)


@pytest.mark.slow
def test_float32_agrees_with_float64(run_mean_field):
    single = run_mean_field(t1=2.0)
    with jax.enable_x64(True):
        double = run_mean_field(t1=2.0)
        for name in ("overlap", "norm", "error", "heat", "efficiency"):
            found = getattr(single, name)
            assert found.dtype == "float32"
            np.testing.assert_allclose(found, getattr(double, name), rtol=1e-4, atol=1e-5)


@pytest.fixture
def final_error(mean_field_problem, run_mean_field):
    def error(alpha, adjoint):
        problem = mean_field_problem(tml.AlphaTron(alpha), n_inputs=None)
        return run_mean_field(problem, t1=2.0, adjoint=adjoint).error[0, -1]

    return error


@pytest.mark.exhaustive
def test_derivatives_in_alpha_agree_in_both_modes_and_with_differences(x64, final_error):
    at, h = jnp.asarray(0.5), 1e-4

    @jax.jit
    def push(alpha):
        forward = lambda a: final_error(a, tml.langevin.ForwardMode())
        return jax.jvp(forward, (alpha,), (jnp.ones_like(alpha),))

    reverse = jax.jit(jax.grad(lambda a: final_error(a, tml.langevin.RecursiveCheckpoint())))(at)
    difference = (push(at + h)[0] - push(at - h)[0]) / (2 * h)
    assert abs(difference) > 1e-3
    np.testing.assert_allclose(push(at)[1], difference, rtol=1e-6)
    np.testing.assert_allclose(reverse, difference, rtol=1e-6)


@pytest.mark.parametrize("level", [tml.MeanField(), STEPS])
def test_a_rule_that_runs_away_is_reported(level, mean_field_problem, run_mean_field):
    with pytest.warns(tml.perceptron.RuleWarning, match="no steady state"):
        problem = mean_field_problem(tml.AlphaTron(1.5), learning_rate=40.0)
    with pytest.raises(tml.SimulationDiverged, match="non-finite at step"):
        run_mean_field(problem, level)
    curve = run_mean_field(problem, level, throw=False)
    for values in (curve.overlap, curve.norm, curve.heat):
        assert jnp.isfinite(values[0, 0])
        assert jnp.isnan(values[0, -1])
    assert 0 <= int(curve.diverged_step[0]) < 20


def test_what_is_not_finite_ends_at_once(run_mean_field, mean_field_problem):
    """A search that steps out of a rule's domain must not wait for a hopeless integration."""

    @jax.jit
    def end(rate):
        return run_mean_field(mean_field_problem(learning_rate=rate), throw=False).error[0, -1]

    def seconds(rate):
        """The shortest of three: other work must not count."""
        taken = []
        for _ in range(3):
            begun = time.perf_counter()
            found = float(end(rate))
            taken.append(time.perf_counter() - begun)
        return found, min(taken)

    seconds(0.5)
    _, fine = seconds(0.5)
    found, taken = seconds(np.nan)
    assert np.isnan(found)
    assert taken < 20 * fine + 0.1


class Counted(tml.perceptron.AbstractPowerRule):
    """A rule that notes each time it is traced."""

    inner: tml.perceptron.AbstractPowerRule
    traces: ClassVar[list] = []

    def __call__(self, s):
        self.traces.append(s)
        return self.inner(s)

    def potential(self, s):
        return self.inner.potential(s)

    @property
    def smooth(self):
        return self.inner.smooth

    @property
    def powers(self):
        return self.inner.powers


@pytest.mark.parametrize("level", [tml.MeanField, lambda dt: tml.MeanField(dt, finite_step=True)])
def test_values_do_not_retrace(level, mean_field_problem, run_mean_field):
    """α, ν̃, k, T, N, the step and the end."""
    Counted.traces.clear()
    seen = []
    options = {"save_every": 5, "adjoint": tml.langevin.ForwardMode()}
    if level is tml.MeanField:
        options = {"save_every": None}
    for value, n in ((0.51, 11), (0.52, np.int64(12)), (jnp.asarray(0.53), 13)):
        settings = {"learning_rate": value, "stiffness": value, "temperature": value}
        problem = mean_field_problem(Counted(tml.AlphaTron(value)), n_inputs=n, **settings)
        for dt in (0.01, 0.02):
            run_mean_field(problem, level(dt), t1=20 * dt, **options)
            seen.append(len(Counted.traces))
    assert 0 < seen[0] == seen[-1]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"n_inputs": None}, {"level": STEPS}, "n_inputs must be given"),
        ({"inputs": tml.TrainingSet(np.ones((9, 40)))}, {}, "inputs must be binary or gaussian"),
        ({}, {"test_inputs": np.ones((2, 10))}, "test_inputs must be left out for MeanField"),
        ({}, {"weights": STUDENT}, "weights must be left out"),
        ({}, {"weights": lambda key: jnp.ones(10)}, "weights must be left out"),
        ({"stiffness": 0.0}, {}, "weights must be given"),
        ({}, {"t1": -1.0}, "t1 must be"),
    ],
)
def test_impossible_runs_are_refused(changes, options, message, run_mean_field, mean_field_problem):
    with pytest.raises(ValueError, match=f"^{message}"):
        run_mean_field(mean_field_problem(**changes), **options)


@pytest.mark.parametrize("dt", [0.0, -0.1, np.nan])
def test_impossible_steps_are_refused(dt):
    with pytest.raises(ValueError, match="^dt must"):
        tml.MeanField(dt)
