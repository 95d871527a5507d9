"""The operations of a function, and loops of plain ones as one function of machine code."""

from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import subjaxprs

from ..numerics.compile import is_traced_now

_KNOWN = (0, 10), (0, 12)  # versions of JAX with which `as_one_function` has been tested
_FEW = 8  # numbers in an array of one trajectory that count as few
# Elementwise operations, parts of arrays, loops and branches.
_PLAIN = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e
    bitcast_convert_type broadcast_in_dim cbrt ceil checkpoint clamp closed_call clz concatenate
    cond convert_element_type copy copy_p cos cosh custom_jvp_call custom_vjp_call digamma div
    dynamic_slice dynamic_update_slice eq erf erf_inv erfc exp exp2 expm1 floor gather ge gt
    integer_pow iota is_finite jit le le_to lgamma log log1p logistic lt lt_to max min mul ne neg
    nextafter not one_minus_square or pad pjit population_count pow random_fold_in random_wrap rem
    reshape rev round rsqrt scan select_n shift_left shift_right_arithmetic shift_right_logical sign
    sin sinh slice split sqrt square squeeze stack stop_gradient sub tan tanh transpose unstack
    while xor
    """.split()
)


def can_be_one_function(platform: str | None) -> bool:
    """True where `as_one_function` serves: on CPUs, in a program that is compiled as it stands."""
    known = _KNOWN[0] <= jax.__version_info__ < _KNOWN[1]
    return platform == "cpu" and known and not is_traced_now()


def _equations(jaxpr: Any) -> Iterator[Any]:
    yield from jaxpr.eqns
    for inner in subjaxprs(jaxpr):
        yield from _equations(inner)


def _sizes(equations: Iterator[Any]) -> Iterator[int]:
    for equation in equations:
        yield from (getattr(variable.aval, "size", 0) for variable in equation.outvars)


def widest_array(function: Callable[..., Any], *arguments: Any) -> int:
    """The numbers in the largest array that `function` computes on its way."""
    equations = _equations(jax.make_jaxpr(function)(*arguments).jaxpr)
    return max(_sizes(equations), default=1)


def is_plain(function: Callable[..., Any], *arguments: Any) -> bool:
    """True where `function` consists of plain operations on few numbers at once.

    Not plain are sums, products of matrices, linear algebra, sorting, random numbers of
    `jax.random` and calls of Python.
    """
    equations = list(_equations(jax.make_jaxpr(function)(*arguments).jaxpr))
    return all(map(_is_plain, equations)) and max(_sizes(iter(equations)), default=1) <= _FEW


def _is_plain(equation: Any) -> bool:
    name = equation.primitive.name
    if name == "reduce_sum":  # XLA leaves true sums to a library
        return equation.invars[0].aval.size == equation.outvars[0].aval.size
    return name in _PLAIN


def as_one_function(loop: Callable[..., Any]) -> Callable[..., Any]:
    """A loop of plain operations, compiled by XLA for the CPU as one function of machine code.

    Otherwise each operation of each turn is handed to a pool of threads, which for some thousand
    numbers takes longer than the operation. XLA does so of itself with loops of less than 1 kB.
    Only for programs that nobody transforms: XLA aborts where such a function does not use one of
    its arguments, or is given a constant.
    """

    def call(*arguments):
        converted = eqx.filter_closure_convert(loop, *arguments)
        arrays, rest = eqx.partition((converted, arguments), eqx.is_array)

        # All arguments are returned, too; barriers hide that this serves nothing.
        def function(arrays):
            arrays = lax.optimization_barrier(arrays)
            converted, arguments = eqx.combine(arrays, rest)
            return converted(*arguments), arrays

        outcome = set_xla_metadata(
            jax.jit(function)(lax.optimization_barrier(arrays)),
            inlineable="false",
            xla_cpu_small_call="true",
        )
        return lax.optimization_barrier(outcome)[0]

    return call
