"""Quadrature on the unit interval."""

import functools

import numpy as np


@functools.cache
def tanh_sinh(n_nodes: int = 79, reach: float = 3.9) -> tuple[np.ndarray, np.ndarray]:
    r"""Nodes and weights of $\int_0^1 f(u)\,du$ by the tanh-sinh rule.

    $u = \tfrac12[1 + \tanh(\tfrac\pi2 \sinh x)]$ with x on an even grid in [-reach, reach]:
    exponentially accurate for f analytic inside (0, 1), with an integrable singularity at 0
    allowed (nodes beside 1 round to 1). Float64 arrays of shape `(n_nodes,)`. (Takahasi and Mori
    1974.)
    """
    x, spacing = np.linspace(-reach, reach, n_nodes, retstep=True)
    inner = np.pi / 2 * np.sinh(x)
    # 1/(1 + e^{-2y}) keeps the nodes beside 0 exact, where singularities sit.
    nodes = 1 / (1 + np.exp(-2 * inner))
    weights = spacing * np.pi / 4 * np.cosh(x) / np.cosh(inner) ** 2
    return nodes, weights


@functools.cache
def gauss_legendre(n_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Nodes and weights of $\int_0^1 f(u)\,du$ by Gauss-Legendre, for smooth f."""
    x, weights = np.polynomial.legendre.leggauss(n_nodes)
    return (x + 1) / 2, weights / 2


@functools.cache
def running_integral(n_nodes: int) -> np.ndarray:
    r"""The matrix that takes f at the nodes of `gauss_legendre` to $\int_0^{u_i}f$ at each."""
    x, weights = np.polynomial.legendre.leggauss(n_nodes)
    legendre = np.polynomial.legendre.legvander(x, n_nodes)  # (node, degree)
    # ∫P_k from -1 on is (P_{k+1} - P_{k-1})/(2k + 1), and f has the coefficients (2k + 1)/2 ΣwP_kf.
    below = np.concatenate([-np.ones((n_nodes, 1)), legendre[:, : n_nodes - 1]], axis=1)
    return (legendre[:, 1:] - below) @ (legendre[:, :n_nodes].T * weights) / 4
