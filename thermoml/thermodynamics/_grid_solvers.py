"""Linear equations of jumps between the cells of a grid, solved without a subtraction."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array


def line_step(up: Array, down: Array, out: Array, before: Array) -> tuple[Array, Array]:
    """An implicit step on a line of cells between its ends, and the flux over each face."""
    after = _solve(up[:-1], down[:-1], 1 + out, before)
    return after, _crossed(up, down, before - out * after, after)


def ring_step(up: Array, down: Array, out: Array, before: Array) -> tuple[Array, Array]:
    """The same on a ring of cells, of which the last is treated apart; nothing leaves it."""
    del out
    to_last = jnp.zeros_like(up[:-1]).at[0].add(down[-1]).at[-1].add(up[-2])
    from_last = jnp.zeros_like(up[:-1]).at[0].add(up[-1]).at[-1].add(down[-2])
    own, shared = (_solve(up[:-2], down[:-2], 1 + to_last, x) for x in (before[:-1], from_last))
    last = (before[-1] + to_last @ own) / (1 + jnp.sum(shared))
    after = jnp.append(own + shared * last, last)
    return after, _crossed(up, down, before, after)


def _solve(up: Array, down: Array, out: Array, right: Array) -> Array:
    """The solution x of (out - L)x = right, with `out` the rate that leaves the line at each cell.

    Nothing is subtracted, as in `Rates.steady_state`, so that it is positive at any rates.
    """

    def eliminate(carry, cell):
        kept, source = carry
        up, down, out, right = cell
        leaving = kept + up
        return (out + down * (kept / leaving), right + source * (up / leaving)), (leaving, source)

    rest = (up, down, out[1:], right[1:])
    (kept, source), ways = lax.scan(eliminate, (out[0], right[0]), rest)

    def restore(after, cell):
        (leaving, source), down = cell
        here = (source + down * after) / leaving
        return here, here

    last = source / kept
    _, others = lax.scan(restore, last, (ways, down), reverse=True)
    return jnp.append(others, last)


def _crossed(up: Array, down: Array, before: Array, after: Array) -> Array:
    """Net flux over each face: jumps up minus jumps down, or the loss of all cells up to it.

    The second where many jumps go both ways, and the first would lose its digits.
    """
    ahead, back = up * after, down * jnp.roll(after, -1)
    jumped, lost = ahead - back, jnp.cumsum(before - after)
    quiet = jnp.argmin(ahead + back)
    lost = lost + (jumped - lost)[quiet]
    return jnp.where(ahead + back < jnp.sum(before), jumped, lost)


def eliminate(up: list[Array], down: list[Array]) -> Array:
    """The steady state up to a factor, row after row; the last row holds the lowest cell first."""
    count, size = up[0].shape

    def within(i):
        return _within(up[1][i], down[1][i])

    def closed(jumps, leaving):
        jumps = jumps - jnp.diag(jnp.diagonal(jumps))
        return jumps - jnp.diag(jnp.sum(jumps, axis=0) + leaving)

    def one_row(carry, i):
        # Jumps within row i, to it from the last row, from it to the last, and within the last
        inside, from_last, to_last, last = carry
        penultimate = i == count - 2
        # The penultimate row's jumps up are among those to the last row.
        onward = jnp.where(penultimate, 0, up[0][i])
        operator = closed(inside, onward + jnp.sum(to_last, axis=0))
        back = jnp.diag(jnp.where(penultimate, 0, down[0][i]))
        solved = -jnp.linalg.solve(operator, jnp.concatenate([back, from_last], axis=1))
        via_next, via_last = jnp.maximum(solved[:, :size], 0), jnp.maximum(solved[:, size:], 0)
        beside_last = i + 1 == count - 2
        next_up = jnp.where(beside_last, up[0][count - 2], 0)
        next_down = jnp.where(beside_last, down[0][count - 2], 0)
        carry = (
            within(i + 1) + onward[:, None] * via_next,
            onward[:, None] * via_last + jnp.diag(next_down),
            to_last @ via_next + jnp.diag(next_up),
            last + to_last @ via_last,
        )
        return carry, (via_next, via_last)

    start = (within(0), jnp.diag(up[0][-1]), jnp.diag(down[0][-1]), within(count - 1))
    (_, _, _, last), (via_next, via_last) = lax.scan(one_row, start, jnp.arange(count - 1))
    final = _null(last)

    def restore(after, ways):
        here = ways[0] @ after + ways[1] @ final
        return here, here

    _, rows = lax.scan(restore, final, (via_next, via_last), reverse=True)
    return jnp.concatenate([rows, final[None]])


def _within(up: Array, down: Array) -> Array:
    """Jumps inside a row, target by source, without the diagonal."""
    cells = jnp.arange(up.size)
    after = (cells + 1) % up.size
    jumps = jnp.zeros((up.size, up.size), up.dtype)
    jumps = jumps.at[after, cells].add(up).at[cells, after].add(down)
    return jumps - jnp.diag(jnp.diagonal(jumps))


def passage_times(up: list[Array], down: list[Array], absorbed: Array) -> Array:
    """Mean times until absorption; `up` and `down` between rows, then within each of them."""

    def one_row(carry, row):
        # Of this row, by the rows before: jumps within it, rates of absorption, waiting times
        within, lost, waited = carry
        onward, back, next_within, next_lost = row
        rates = within - jnp.diag(jnp.diagonal(within))
        operator = jnp.diag(jnp.sum(rates, axis=1) + onward + lost) - rates
        sources = jnp.concatenate([jnp.diag(onward), lost[:, None], waited[:, None]], axis=1)
        reached = jnp.maximum(jnp.linalg.solve(operator, sources), 0)
        through, gone, spent = reached[:, :-2], reached[:, -2], reached[:, -1]
        later = (
            next_within + back[:, None] * through,
            next_lost + back * gone,
            1 + back * spent,
        )
        return later, (through, spent)

    inside = jax.vmap(lambda up, down: _within(up, down).T)(up[1], down[1])  # source by target
    start = (inside[0], absorbed[0], jnp.ones_like(absorbed[0]))

    def following(x):  # of the next row; the last has none
        return jnp.concatenate([x[1:], jnp.zeros_like(x[:1])])

    onward = up[0].at[-1].set(0)
    back = down[0].at[-1].set(0)
    rows = (onward, back, following(inside), following(absorbed))
    _, ways = lax.scan(one_row, start, rows)

    def restore(after, way):
        through, spent = way
        here = through @ after + spent
        return here, here

    return lax.scan(restore, jnp.zeros_like(absorbed[0]), ways, reverse=True)[1]


def _null(jumps: Array) -> Array:
    """The steady state of dense jumps, target by source, cells eliminated from the last on."""
    cells = jnp.arange(jumps.shape[0])

    def eliminate(jumps, i):
        before = cells < i
        leaving = jnp.where(before, jumps[:, i], 0)
        arriving = jnp.where(before, jumps[i], 0) / jnp.sum(leaving)
        return jumps + leaving[:, None] * arriving[None], arriving

    order = cells[:0:-1]
    _, ways = lax.scan(eliminate, jumps, order)

    def restore(chances, way):
        i, arriving = way
        return chances.at[i].set(arriving @ chances), None

    first = jnp.zeros(cells.shape, jumps.dtype).at[0].set(1)
    return lax.scan(restore, first, (order, ways), reverse=True)[0]
