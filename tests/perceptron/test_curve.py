"""LearningCurve: what follows from R, Q, work and the bath."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml
from thermoml.ensembles import Clock
from thermoml.numerics.sums import CompensatedSum

K, T = 1.5, 0.6


@pytest.fixture
def curve(x64):
    """2 trajectories, 3 saves, numbers of our own."""
    overlap = jnp.asarray([[0.0, 0.4, 0.8], [-0.2, 0.1, 0.5]])
    transverse = jnp.asarray([[1.0, 1.1, 0.9], [0.7, 0.8, 0.6]])
    work = jnp.asarray([[0.0, 0.9, 2.0], [0.0, 1.0, 2.5]])
    curve = tml.LearningCurve(
        times=jnp.asarray([0.0, 1.0, 2.0]),
        overlap=overlap,
        norm=overlap**2 + transverse,
        transverse=transverse,
        work=work,
        scale_separation=0.01 * jnp.ones((2, 3)),
        jump_loss=jnp.zeros(()),
        stiffness=jnp.asarray(K),
        temperature=jnp.asarray(T),
        initial={},
        diverged_step=jnp.asarray([-1, -1]),
        teacher=jnp.ones(4),
        checkpoint=tml.perceptron.WeightsCheckpoint(
            weights=jnp.ones((2, 4)),
            work=CompensatedSum.zeros((2,), float),
            diverged_step=jnp.asarray([-1, -1]),
            stiffness=jnp.asarray(K),
            step=jnp.asarray(2),
            clock=Clock.at(0, 0.0, 1.0, float),
            first_trajectory=jnp.asarray(0),
        ),
    )
    return dataclasses.replace(curve, initial=curve.at_start())


def test_observables_from_overlap_norm_and_work(curve):
    r, p2, w = (np.asarray(x) for x in (curve.overlap, curve.transverse, curve.work))
    q = r**2 + p2
    heat = w - K / 2 * (q - q[:, :1])
    information = np.log(q / p2) / 2
    entropy = np.log(q / q[:, :1]) / 2 + heat / T
    for value, expected in (
        (curve.norm, q),
        (curve.error, np.arccos(r / q**0.5) / np.pi),
        (curve.energy, K * q / 2),
        (curve.heat, heat),
        (curve.information, information),
        (curve.entropy_production, entropy),
        (curve.efficiency[:, 1:], ((information - information[:, :1]) / entropy.clip(1e-9))[:, 1:]),
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-15)
    assert (curve.efficiency[:, 0] == 0).all()
    assert {v.shape for v in curve.quantities().values()} == {(2, 3)}


def test_efficiency_of_the_means(curve):
    gained = np.asarray(curve.information - curve.information[:, :1]).mean(axis=0)
    produced = np.asarray(curve.entropy_production).mean(axis=0)
    mean, error = curve.mean_efficiency
    np.testing.assert_allclose(mean, [0, *(gained[1:] / produced[1:])], rtol=1e-12)
    np.testing.assert_array_equal(curve.to_xarray().mean_efficiency, mean)
    np.testing.assert_array_equal(curve.to_xarray().mean_efficiency_standard_error, error)


def test_labelled_results(curve):
    data = curve.to_xarray()
    assert dict(data.sizes) == {"trajectory": 2, "time": 3}
    assert "training_error" not in data
    for name, value in curve.quantities().items():
        np.testing.assert_array_equal(data[name], value)
        assert data[name].attrs["long_name"]
    assert "nat" in data.information.attrs["units"]


def test_curve_reads_well(curve):
    text = str(curve)
    assert "2 trajectories at 3 saves" in text
    for name in ("time", "error", "heat", "work", "energy", "scale_separation"):
        assert name in text


def test_without_a_bath_entropy_is_unknown(curve):
    cold = eqx.tree_at(lambda c: c.temperature, curve, jnp.asarray(0.0))
    assert jnp.isnan(cold.entropy_production).all()
    assert jnp.isfinite(cold.heat).all()
