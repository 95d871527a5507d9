"""Logarithms of determinants by Lanczos's method, against NumPy's eigenvalues."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thermoml.numerics.lanczos import probe_log_determinants

RNG = np.random.default_rng(0)
PROBES = {"key": jax.random.key(0), "n_probes": 3}


def rotated(eigenvalues):
    """A symmetric matrix of these eigenvalues in a random basis."""
    basis = np.linalg.qr(RNG.normal(size=(len(eigenvalues),) * 2))[0]
    return (basis * eigenvalues) @ basis.T


SPECTRA = {
    "one dimension": [3.0],
    "two": [0.5, 4.0],
    "two alike": [2.0, 2.0],
    "multiple of the identity": [0.7] * 12,
    "two values": [0.3] * 37 + [5.0, 5.0, 5.0],
    "rank 2 and a prior": [0.3] * 38 + [11.0, 2.0],
    "clusters": [1.0 + 1e-9 * i for i in range(20)] + [3.0 + 1e-9 * i for i in range(20)],
    "wide": list(np.geomspace(0.02, 50.0, 12)),
    "all different": list(np.linspace(1.0, 2.0, 30)),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_each_probe_has_its_quadratic_form_of_the_logarithm(dtype, name):
    matrix = rotated(SPECTRA[name]).astype(dtype)
    values, vectors = np.linalg.eigh(matrix.astype(float))
    times = lambda v: jnp.asarray(matrix) @ v
    probed = jax.jit(
        lambda: probe_log_determinants(
            times, jnp.zeros(len(matrix), dtype), order=min(40, len(matrix)), **PROBES
        )
    )()
    rounding = 2e-11 if dtype == jnp.float64 else 2e-4
    for z, logarithm, solution in zip(*map(np.asarray, probed), strict=True):
        assert set(np.abs(z)) == {1.0}
        shares = (vectors.T @ z) ** 2
        scale = shares @ np.abs(np.log(values))
        assert abs(logarithm - shares @ np.log(values)) <= rounding * scale + rounding
        expected = vectors @ (vectors.T @ z / values)
        np.testing.assert_allclose(
            solution,
            expected,
            rtol=0,
            atol=values[-1] / values[0] * rounding * np.abs(expected).max(),
        )


def test_a_matrix_that_is_not_positive_has_no_logarithm(x64):
    matrix = jnp.asarray(rotated([1.0, 2.0, -0.5, 1.0]))
    probed = probe_log_determinants(lambda v: matrix @ v, jnp.zeros(4), order=4, **PROBES)
    assert (np.asarray(probed.log_determinant) == -np.inf).all()
