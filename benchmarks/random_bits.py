"""Tests of the random bits of `learn` and `simulate` by TestU01 (L'Ecuyer and Simard 2007).

    python benchmarks/random_bits.py --battery crush --order kernel

Needs the shared library of TestU01 1.2.3. The bits are those of `Draws.bits` as the kernel of ±1
inputs draws them, of many trajectories and steps, in one of these orders:

* kernel: the order in memory: step by step, weight by weight, trajectories innermost;
* stream: one trajectory after the other, each step by step and weight by weight;
* input: the bits of one input of a batch: bit b of the words of all weights, 32 in a word;

or those of the noise of `simulate`, two words for each normal, of a system of `--n-inputs` numbers:

* noise: step by step, number by number, the first words of all trajectories, then their second.

SmallCrush tests 2^28 words in a quarter of a minute, Crush at 2^35 in under an hour, BigCrush at
2^38 in half a day; `--tests 1-20` runs a part of it, each part on bits of its own if `--seed` is.
"""

import argparse
import ctypes
import ctypes.util
import itertools
import os
import tempfile
import threading
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thermoml.ensembles import NOISE
from thermoml.numerics.bits import GENERATORS
from thermoml.numerics.random import row_numbers, trajectory_streams

BATTERIES = {"small": "SmallCrush", "crush": "Crush", "big": "BigCrush"}
N_TESTS = {"small": 10, "crush": 96, "big": 106}
WORDS = 2**22  # in one array


def transposed(words: jax.Array) -> jax.Array:
    """Words transposed as bits: of every 32 words, the 32 words made of their columns."""
    places = jnp.arange(32, dtype=jnp.uint32)
    bits = (words.reshape(-1, 32)[:, None] >> places[:, None]) & jnp.uint32(1)
    return jnp.sum(bits << places, axis=2, dtype=jnp.uint32).T.reshape(-1)


def source(generator: str, order: str, n_inputs: int, trajectories: int, seed: int):
    """An endless series of arrays of words."""
    n_steps = max(1, WORDS // (n_inputs * trajectories))
    in_memory = order in ("kernel", "noise")

    @jax.jit
    def make(first_step, first_trajectory):
        indices = first_trajectory + jnp.arange(trajectories)
        purpose = NOISE if order == "noise" else 0
        streams = trajectory_streams(jax.random.key(seed), indices, purpose, generator)

        def of_step(n):
            draws, numbers = streams.at(first_step + n), row_numbers(n_inputs)
            if order == "noise":
                return jnp.stack(draws.source.blocks(numbers), axis=1)
            return draws.bits(numbers)

        words = jax.lax.map(of_step, jnp.arange(n_steps))
        if in_memory:
            return words.reshape(-1)
        words = jnp.moveaxis(words, 2, 0).reshape(-1)
        return words if order == "stream" else transposed(words[: len(words) // 32 * 32])

    for part in itertools.count():
        if in_memory:
            yield make(part * n_steps, 0)
        else:
            yield make(0, part * trajectories)


def load_testu01() -> Any:
    """The library; OSError if it is not installed."""
    name = os.environ.get("TESTU01") or ctypes.util.find_library("testu01")
    if name is None:
        raise OSError(
            "TestU01 was not found; install it, or set TESTU01 to the path of its library"
        )
    library = ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    library.ufile_CreateReadBin.restype = ctypes.c_void_p
    library.ufile_CreateReadBin.argtypes = [ctypes.c_char_p, ctypes.c_long]
    library.unif01_StripB.restype = ctypes.c_ulong
    library.unif01_StripB.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    return library


def run_battery(
    library: Any, battery: str, tests: range, words: Any
) -> tuple[dict[str, float], int]:
    """The p-value of each statistic, and the number of words read, through a named pipe."""
    written = 0
    first = np.asarray(next(words))
    with tempfile.TemporaryDirectory() as folder:
        pipe = os.path.join(folder, "bits")
        os.mkfifo(pipe)

        def write():
            nonlocal written
            try:
                with open(pipe, "wb") as sink:
                    for part in itertools.chain([first], words):
                        sink.write(np.asarray(part).astype(">u4").tobytes())
                        written += len(part)
            except BrokenPipeError:
                pass

        threading.Thread(target=write, daemon=True).start()
        generator = library.ufile_CreateReadBin(pipe.encode(), 2**20)
        read = library.unif01_StripB(generator, 0, 32)
        assert read == first[0], "the library reads other words than were written"
        ctypes.c_int.in_dll(library, "swrite_Basic").value = 0
        repetitions = (ctypes.c_int * (N_TESTS[battery] + 1))()
        for number in tests:
            repetitions[number] = 1
        repeat = getattr(library, f"bbattery_Repeat{BATTERIES[battery]}")
        repeat.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]
        repeat(generator, repetitions)
        count = ctypes.c_int.in_dll(library, "bbattery_NTests").value
        values = (ctypes.c_double * count).in_dll(library, "bbattery_pVal")
        names = (ctypes.c_char_p * count).in_dll(library, "bbattery_TestNames")
        p_values = {f"{i} {names[i].decode()}": values[i] for i in range(count)}
    return p_values, written


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--battery", choices=BATTERIES, default="small")
    parser.add_argument("--generator", choices=GENERATORS, default="hash")
    orders = ("kernel", "stream", "input", "noise")
    parser.add_argument("--order", choices=orders, default="kernel")
    parser.add_argument("--tests", metavar="FIRST-LAST", help="numbers of tests of the battery")
    parser.add_argument("--n-inputs", type=int, default=1000)
    parser.add_argument("--trajectories", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    library = load_testu01()
    words = source(
        options.generator, options.order, options.n_inputs, options.trajectories, options.seed
    )
    begin = time.perf_counter()
    first, last = 1, N_TESTS[options.battery]
    if options.tests:
        first, last = (int(number) for number in options.tests.split("-"))
    p_values, written = run_battery(library, options.battery, range(first, last + 1), words)
    odd = {name: p for name, p in p_values.items() if 0 <= p < 1e-3 or p > 1 - 1e-3}
    print(
        f"{BATTERIES[options.battery]} {first}-{last}, {options.generator}, order {options.order}, "
        f"N = {options.n_inputs}, {options.trajectories} trajectories, seed {options.seed}: "
        f"{len(p_values)} statistics of 2^{np.log2(written):.1f} words, "
        f"{(time.perf_counter() - begin) / 60:.1f} min; outside of [0.001, 0.999]: "
        + (", ".join(f"{name} p = {p:.2g}" for name, p in odd.items()) or "none")
    )


if __name__ == "__main__":
    main()
