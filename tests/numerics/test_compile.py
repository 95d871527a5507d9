"""Programs with options for the compiler, alone and inside of others."""

import functools
import gc
import multiprocessing
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thermoml.numerics import CompilationWarning
from thermoml.numerics.compile import compiled, compiler_options, jitted


def test_options_are_given_where_jax_allows_them():
    """Alone; not under jit, grad, vmap, or a jit that knows all values. One trace for each way."""
    traces = []

    @compiled
    def double(x, name):
        traces.append(name)
        return 2 * x

    assert "xla_cpu_prefer_vector_width" in compiler_options()
    assert double(jnp.asarray(2.0), "a") == 4
    assert double(jnp.asarray(3.0), "a") == 6
    assert traces == ["a"]
    assert jax.jit(lambda x: double(x, "b"))(jnp.asarray(2.0)) == 4
    assert jax.jit(lambda: double(np.float32(2), "b"))() == 4
    assert jax.grad(lambda x: double(x, "c"))(2.0) == 2
    np.testing.assert_array_equal(jax.vmap(lambda x: double(x, "d"))(jnp.arange(3.0)), [0, 2, 4])


def call_with_new_functions(count):
    """Each call's lambda is another function to JAX, and compiled by itself."""
    apply = jitted(lambda function, x: function(x))
    for i in range(count):
        assert apply(functools.partial(lambda shift, x: x + shift, i), jnp.ones(())) == 1 + i


def test_functions_made_anew_are_told_of_and_their_programs_dropped():
    client = jax.devices()[0].client
    before = len(client.live_executables())
    with pytest.warns(CompilationWarning, match=r"<lambda> in line \d+ of .* was made 10 times"):
        call_with_new_functions(60)
    gc.collect()
    assert len(client.live_executables()) < before + 40


def test_one_function_is_no_reason_for_a_warning():
    apply = jitted(lambda function, x: function(x))
    for i in range(20):
        assert apply(np.square, float(i)) == i**2
        assert apply(parabola, float(i)) == i**2


def parabola(x):
    return x**2


def add_in_child(results):
    try:
        results.send(str(add(1.0)))
    except RuntimeError as error:
        results.send(str(error))


@jitted
def add(x):
    return x + 1


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_refuses_to_compute():
    add(1.0)
    context = multiprocessing.get_context("fork")
    results, sender = context.Pipe(duplex=False)
    child = context.Process(target=add_in_child, args=(sender,), daemon=True)
    child.start()
    assert results.poll(60)
    assert "is a fork of one that has used JAX" in results.recv()


@pytest.mark.slow
def test_batches_of_matrices_do_not_wait_for_each_other_on_two_cores():
    """Two solutions of many systems, each ready in a thread of XLA's own."""
    code = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
import jax, jax.numpy as jnp
from thermoml.numerics.compile import jitted

def solve(b):
    x = (b @ b).reshape(-1)[:100_000].reshape(1000, 10, 10)
    return jnp.linalg.solve(x @ jnp.swapaxes(x, 1, 2) + jnp.eye(10), x[..., :1]).sum()

both = jitted(lambda b: solve(b[0]) + solve(b[1]))
b = jax.random.normal(jax.random.key(0), (2, 600, 600))
for _ in range(1500):
    both(b).block_until_ready()
"""
    subprocess.run([sys.executable, "-c", code], timeout=300, check=True)
