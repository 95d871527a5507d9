"""Least absolute deviations, exactly, on the host."""

from typing import Any

import numpy as np


def least_absolute(features: Any, columns: Any, stiffness: Any) -> tuple[np.ndarray, np.ndarray]:
    r"""Minimum of $\frac1n\sum|y - X\theta| + \frac k2|\theta|^2$ and its dual, column by column.

    The dual, $\max_{|u_i|\le1} u\cdot y/n - |X^\top u/n|^2/2k$, is linear without a prior, and
    solved by SciPy; with one it is quadratic, and solved by an interior point.

    Args:
        features, columns: X `(n, d)` and y `(n, outputs)`.
        stiffness: k >= 0.

    Returns:
        θ `(outputs, d)` and u `(n, outputs)`, of the features' dtype.

    Cost: O(nd²) a step, of some 20 steps.
    """
    x, k = np.asarray(features, float), float(stiffness)
    dtype = np.asarray(features).dtype
    solve = _linear if k == 0 else _quadratic
    solved = [solve(x, y, k) for y in np.asarray(columns, float).T]
    parameters, duals = zip(*solved, strict=True)
    return np.asarray(parameters, dtype), np.asarray(duals, dtype).T


def _linear(x: np.ndarray, y: np.ndarray, k: float) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import linprog

    # max u·y over |u| <= 1, Xᵀu = 0; θ are the multipliers of that equality
    solution = linprog(-y, A_eq=x.T, b_eq=np.zeros(x.shape[1]), bounds=(-1, 1), method="highs")
    return -solution.eqlin.marginals, solution.x


def _quadratic(x: np.ndarray, y: np.ndarray, k: float) -> tuple[np.ndarray, np.ndarray]:
    """Mehrotra's steps: residuals are y - Xθ = a - b, with a(1 - u) = b(1 + u) -> 0."""
    n, d = x.shape
    theta = np.linalg.solve(x.T @ x / n + k * np.eye(d), x.T @ y / n)
    residual = y - x @ theta
    scale = max(float(np.abs(residual).mean()), 1e-8 * float(np.abs(y).max()), 1e-300)
    u, s, t = np.zeros(n), np.ones(n), np.ones(n)  # s = 1 - u and t = 1 + u, without cancellation
    a, b = np.maximum(residual, 0) + scale, np.maximum(-residual, 0) + scale
    for _ in range(60):
        lack, force = y - x @ theta - (a - b), x.T @ u / n - k * theta
        gap = (a @ s + b @ t) / (2 * n)
        if gap < 1e-13 * scale:
            break
        width = 1 / (a / s + b / t)
        inner = (x.T * width) @ x / n
        inner += (k + 1e-15 * np.trace(inner)) * np.eye(d)  # fewer examples than parameters
        aims, moves = (-a * s, -b * t), (theta, u, a, b)
        for corrected in (False, True):
            if corrected:
                move, du, da, db = moves
                reach = _reach((s, -du), (t, du), (a, da), (b, db))
                after = (a + reach * da) @ (s - reach * du) + (b + reach * db) @ (t + reach * du)
                aim = gap * (after / (2 * n * gap)) ** 3
                aims = aims[0] + aim + da * du, aims[1] + aim - db * du
            right = width * (lack - aims[0] / s + aims[1] / t)
            move = np.linalg.solve(inner, x.T @ right / n + force)
            du = right - width * (x @ move)
            moves = move, du, (aims[0] + a * du) / s, (aims[1] - b * du) / t
        move, du, da, db = moves
        reach = 0.995 * _reach((s, -du), (t, du), (a, da), (b, db))
        theta, u = theta + reach * move, u + reach * du
        s, t, a, b = s - reach * du, t + reach * du, a + reach * da, b + reach * db
    missed = np.minimum(s, t) < (a + b) / scale
    return _polished(x, y, k, theta, np.clip(u, -1, 1), missed=missed)


def _reach(*pairs: tuple[np.ndarray, np.ndarray]) -> float:
    """The longest step up to 1 that leaves all values positive."""
    ends = [np.min(-v[dv < 0] / dv[dv < 0], initial=1.0) for v, dv in pairs]
    return float(min(ends))


def _polished(
    x: np.ndarray, y: np.ndarray, k: float, theta: np.ndarray, u: np.ndarray, *, missed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The solution to rounding, by equations for the examples that are not missed."""
    n, d = x.shape
    held, duals = x[~missed], np.where(missed, np.sign(u), 0)
    if len(held) > 2 * d + 100:  # data without noise
        return theta, u
    system = np.block([[n * k * np.eye(d), -held.T], [held, np.zeros((len(held),) * 2)]])
    solved = np.linalg.lstsq(system, np.concatenate([x.T @ duals, y[~missed]]), rcond=None)[0]
    duals[~missed] = solved[d:]
    agree = ((y - x @ solved[:d]) * duals >= 0)[missed].all()
    if agree and np.abs(duals).max() <= 1:
        return solved[:d], duals
    return theta, u
