"""Another program or environment is never mixed into a store; the same one always goes on."""

import functools
import os
import subprocess
import sys
import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thermoml.perceptron import CustomRule
from thermoml.sweeps import StoreError, _environment, _executors

GRID = {"a": [1.0, 2.0]}


def numbers(ensemble, value):
    return {"y": value * jnp.ones(ensemble["n_trajectories"])}


def scaled(ensemble, a, c):
    return numbers(ensemble, a * c)


def with_closure(c):
    return lambda ensemble, a: numbers(ensemble, a * c)


def with_default(c):
    def function(ensemble, a, c=c):
        return numbers(ensemble, a * c)

    return function


def with_keyword_default(c):
    def function(ensemble, a, *, c=c):
        return numbers(ensemble, a * c)

    return function


class Scale:
    """An object that is called, with a value and a helper."""

    def __init__(self, c):
        self.c = c

    def __call__(self, ensemble, a):
        return numbers(ensemble, a * self.c)


class ScaleModule(eqx.Module):
    c: float

    def scaled(self, ensemble, a):
        return numbers(ensemble, a * self.c)


def deep(c):
    def inner(a):
        return a * c

    outer = jax.jit(lambda a: inner(a))
    return lambda ensemble, a: numbers(ensemble, outer(a))


MAKERS = {
    "closure": with_closure,
    "default": with_default,
    "keyword default": with_keyword_default,
    "partial": lambda c: functools.partial(scaled, c=c),
    "partial of a partial": lambda c: functools.partial(functools.partial(scaled), c=c),
    "array": lambda c: with_closure(c * jnp.ones(())),
    "NumPy array": lambda c: with_closure(np.full((), c)),
    "list": lambda c: (lambda c: lambda e, a: numbers(e, a * c[0]))([c]),
    "dictionary": lambda c: (lambda c: lambda e, a: numbers(e, a * c["c"]))({"c": c}),
    "object": Scale,
    "method": lambda c: ScaleModule(c).scaled,
    "jit in a closure": deep,
    "vmap in a closure": lambda c: (lambda f: lambda e, a: numbers(e, f(jnp.full((1,), a))[0]))(
        jax.vmap(lambda x: c * x)
    ),
}


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_what_a_function_refers_to_belongs_to_it(maker, go):
    go(GRID, maker(1.0))
    go(GRID, maker(1.0), resume=True)
    with pytest.raises(StoreError, match="is not of this run: .* in the store and .* now"):
        go(GRID, maker(100.0), resume=True)


def test_two_lambdas_on_one_line_differ(go):
    one, two = lambda e, a: numbers(e, a), lambda e, a: numbers(e, 100 * a)
    go(GRID, one)
    with pytest.raises(StoreError, match="is not of this run: code of .*lambda"):
        go(GRID, two, resume=True)


HELPERS = """
import jax.numpy as jnp
FACTOR = {factor}

def inner(x):
    {comment}
    return FACTOR * x

def helper(x):
    return inner(x)
"""


@pytest.fixture
def helpers(tmp_path, monkeypatch):
    """A module of the user's own, imported anew after each change."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(**changes):
        text = HELPERS.format(**({"factor": 1.0, "comment": "# same"} | changes))
        (tmp_path / "own_helpers.py").write_text(text)
        sys.modules.pop("own_helpers", None)
        import own_helpers  # pyright: ignore[reportMissingImports]

        return own_helpers

    yield write
    sys.modules.pop("own_helpers", None)


def by_module(module):
    return lambda e, a: numbers(e, module.helper(a))


def by_function(module):
    helper = module.helper
    return lambda e, a: numbers(e, helper(a))


def by_import(module):
    def function(e, a):
        from own_helpers import helper  # pyright: ignore[reportMissingImports]

        return numbers(e, helper(a))

    return function


@pytest.mark.parametrize("way", [by_module, by_function, by_import])
def test_helpers_of_own_modules_belong_to_a_function(way, helpers, go):
    go(GRID, way(helpers()))
    go(GRID, way(helpers(comment="# other words\n\n    # and lines")), resume=True)
    with pytest.raises(StoreError, match="is not of this run: .*FACTOR.* of inner is"):
        go(GRID, way(helpers(factor=100.0)), resume=True)


VALUES = {
    "arrays": lambda c: {"w": c * np.ones(2)},
    "numbers in a dictionary": lambda c: {"w": c},
    "rules with closures": lambda c: CustomRule(lambda s: c * s),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_values_behind_the_same_labels_belong_to_the_grid(value, go):
    def function(e, a):
        return numbers(e, 1.0)

    go({"a": {"one": value(1.0), "two": value(2.0)}}, function)
    go({"a": {"one": value(1.0), "two": value(2.0)}}, function, resume=True)
    with pytest.raises(StoreError, match="is not of this run: .*values of a is"):
        go({"a": {"one": value(1.0), "two": value(200.0)}}, function, resume=True)


@pytest.mark.parametrize("thing", [threading.Lock(), (i for i in range(3))])
def test_what_cannot_be_compared_needs_the_users_word(thing, go):
    def function(e, a):
        return numbers(e, a + 0 * (thing is None))

    first = go(GRID, function)
    with pytest.raises(
        StoreError, match="cannot be compared: closure thing of .*same_program=True"
    ):
        go(GRID, function, resume=True)
    again = go(GRID, function, resume=True, same_program=True)
    assert (again.y.values == first.y.values).all()
    with pytest.raises(StoreError, match="grid"):  # the word is about the program alone
        go({"a": [1.0, 3.0]}, function, resume=True, same_program=True)


SCRIPT = """
import jax, jax.numpy as jnp, thermoml as tml
words = {"alpha", "beta", "gamma"}
rule = tml.perceptron.CustomRule(lambda s: jnp.exp(-s) if "alpha" in words else s)
def helper(x): return jnp.where(x in {1, 2} if isinstance(x, int) else True, x, 0)
def f(e, a): return {"y": rule(helper(a) * jnp.ones(e["n_trajectories"]))}
tml.sweep({"a": [1.0]}, f, store="store", key=jax.random.key(0), resume=True, n_trajectories=2)
"""


@pytest.mark.slow
def test_another_process_goes_on(tmp_path):
    for seed, prefix in (("1", ""), ("2", "\n\n# lines before\n")):
        (tmp_path / "script.py").write_text(prefix + SCRIPT)
        environment = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "script.py"]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)


# The environment


def function(e, a):
    return {"y": a * jax.random.normal(e["key"], (e["n_trajectories"],))}


CHANGES = {
    "jax_threefry_partitionable": False,
    "jax_default_prng_impl": "rbg",
    "jax_default_matmul_precision": "bfloat16",
    "jax_random_seed_offset": 3,
}


@pytest.mark.parametrize("name", CHANGES)
def test_settings_that_change_numbers_are_refused(name, go):
    go(GRID, function)
    before = jax.config.values[name]
    jax.config.update(name, CHANGES[name])
    try:
        with pytest.raises(StoreError, match=f"environment.{name[4:]} is .* in the store and"):
            go(GRID, function, resume=True)
    finally:
        jax.config.update(name, before)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--xla_cpu_max_isa=SSE4_2", "environment.device is .* and .*SSE4_2"),
        ("--xla_cpu_enable_fast_math=true", "environment.xla_flags is .*fast_math=true"),
        ("--xla_cpu_prefer_vector_width=128", "environment.xla_flags is .*width=128"),
    ],
)
def test_flags_that_change_numbers_are_refused(flags, words, go, monkeypatch):
    go(GRID, function)
    monkeypatch.setenv("XLA_FLAGS", f"{os.environ.get('XLA_FLAGS', '')} {flags}")
    with pytest.raises(StoreError, match=words):
        go(GRID, function, resume=True)


def test_flags_that_change_no_number_are_free(monkeypatch):
    before = _environment.environment()
    flags = "--xla_force_host_platform_device_count=3 --xla_dump_to=/tmp/x"
    monkeypatch.setenv("XLA_FLAGS", f"{os.environ.get('XLA_FLAGS', '')} {flags}")
    assert _environment.environment() == before


def test_a_worker_of_another_environment_is_refused(monkeypatch):
    ours = _executors.versions() | _environment.environment()
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX")
    assert _executors.versions() | _environment.environment() != ours
