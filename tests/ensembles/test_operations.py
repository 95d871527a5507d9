"""What a function computes on its way, and loops as one function of machine code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import thermoml as tml
from thermoml.ensembles import Layout, can_be_one_function, is_plain, widest_array
from thermoml.ensembles._operations import as_one_function


def test_the_widest_array_is_found_inside_loops_and_calls():
    def function(x):
        def body(total, i):
            return total + jnp.sum(jnp.outer(x, jnp.arange(7.0) * i)), None

        return lax.scan(body, 0.0, jnp.arange(3.0))[0] + jax.jit(jnp.sum)(x)

    assert widest_array(function, jnp.ones(5)) == 35
    assert widest_array(lambda x: x, jnp.ones(5)) == 1


PLAIN = {
    "polynomial": lambda x: x**4 - 2 * x**2,
    "the sum of one number": lambda x: jnp.sum(x[0]),
    "special functions": lambda x: jax.scipy.special.erf(x) + jnp.log1p(jnp.abs(x)),
    "branches": lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x),
    "a loop": lambda x: lax.fori_loop(0, 3, lambda i, y: 0.9 * y, x),
    "a gradient": jax.grad(lambda x: jnp.tanh(x[0]) * x[1]),
}
OTHERS = {
    "a sum": jnp.sum,
    "a running sum": jnp.cumsum,
    "a product of matrices": lambda x: jnp.outer(x, x) @ x,
    "linear algebra": lambda x: jnp.linalg.solve(jnp.eye(2), x),
    "sorting": jnp.sort,
    "a call of Python": lambda x: jax.pure_callback(lambda a: a, x, x),
    "jax.random": lambda x: x + jax.random.normal(jax.random.key(0), x.shape),
    "many numbers": lambda x: jnp.outer(jnp.ones(5), x),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_operations(name):
    assert is_plain(PLAIN[name], jnp.ones(2))


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_plain(name):
    assert not is_plain(OTHERS[name], jnp.ones(2))


@pytest.mark.slow
def test_an_energy_of_several_examples_is_simulated():
    """XLA gives the mean to a library, which no loop in one function can call."""
    places = jnp.linspace(-1.5, 1.5, 5)

    def energy(w, control):
        return jnp.mean((jnp.tanh(w * places) - places) ** 2)

    settings = {"t1": 5.0, "dt": 0.1, "key": jax.random.key(0), "n_trajectories": 2000}
    heat = tml.simulate(tml.Langevin(energy), jnp.zeros(()), **settings).heat
    assert np.isfinite(heat).all()


def loop(x):
    return lax.scan(lambda y, i: (y - 0.1 * jnp.sin(y) * i, None), x, jnp.arange(4.0))[0]


def test_one_function_is_marked_where_xla_looks_for_it():
    x = jnp.linspace(-1.0, 2.0, 5)
    one = as_one_function(loop)
    assert 'inlineable = "false", xla_cpu_small_call = "true"' in jax.jit(one).lower(x).as_text()
    np.testing.assert_allclose(jax.jit(one)(x), loop(x), rtol=1e-6)


def test_only_programs_that_nobody_transforms_are_one_function():
    """XLA would abort the process where a transformation leaves an argument without use."""
    assert can_be_one_function("cpu")
    assert not can_be_one_function("gpu")
    seen = []

    def function(x):
        seen.append(can_be_one_function("cpu"))
        return x

    jax.jit(function)(1.0)
    jax.grad(function)(1.0)
    jax.vmap(function)(jnp.ones(2))
    assert seen == [False] * 3


@pytest.mark.slow
@pytest.mark.parametrize("integrator", [tml.EulerMaruyama(), tml.LeimkuhlerMatthews()])
def test_simulations_are_the_same_as_one_function(integrator):
    """The layout of another platform leaves the loop as it is."""
    system = tml.Langevin(lambda x, control: (x**2 - 1) ** 2 - control * x, control=tml.Ramp(0, 1))
    settings = {"t1": 1.0, "dt": 0.01, "key": jax.random.key(0), "n_trajectories": 100}
    one, other = (
        tml.simulate(
            system,
            jnp.zeros(()),
            integrator=integrator,
            save_every=50,
            layout=Layout(platform=platform),
            **settings,
        )
        for platform in ("cpu", "gpu")
    )
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
