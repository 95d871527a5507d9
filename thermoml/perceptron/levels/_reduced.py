"""The reduced level: overlap, norm and heat without the weights, exact in law."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import ndtr
from jax.scipy.stats import norm as normal
from jaxtyping import Array, Float, Int, Key

from ...ensembles import NOISE, Footprint
from ...numerics.arrays import is_concrete
from ...numerics.checks import check_bound, check_count, flag
from ...numerics.random import Streams, check_generator, row_numbers, trajectory_streams
from ...numerics.sums import by_blocks, ordered_sum
from ...numerics.types import AnyArray
from .._curve import PlaneCheckpoint
from ..problem import LearningProblem
from ..theory import Jumps, force_jumps
from ._level import AbstractLevel
from ._order_parameters import PlaneStudents, plane_checkpoint
from ._students import (
    AbstractLearningProcess,
    follow,
    students_footprint,
    with_empty_meter,
)


class Reduced(AbstractLevel):
    r"""The pair (R, Q) and the ledger alone, by Euler-Maruyama steps of size dt.

    In the frame of teacher and student, $w = \sqrt N(R e_1 + P e_2)$, an input has components
    λ*, c along e₁, e₂ and N - 2 others that enter through χ² variates only:

    $$R' = (1 - k\,dt)R + \tfrac{\tilde\nu dt}{B}\sum_b d_b\lambda^*_b + \sqrt{\tfrac{2T dt}N}n_1,
      \qquad d_b = \sigma_b F(s_b),\quad s_b = \sigma_b(R\lambda^*_b + P c_b)$$

    and likewise for P with c, to which the new perpendicular part v is added in quadrature. For
    Gaussian inputs R, Q, heat and work have exactly the law of `Microscopic(dt)` at any N >= 4;
    for ±1 inputs they differ from it by O(1/N). Teachers do not matter and need not be given.

    Cost: O(B) per step and trajectory, whatever N is, which may be an array leaf.

    Args:
        dt: time step > 0.
        jump_corrected: derivatives of a rule with jumps, at 0 or at its kinks, gain what they add
            to the mean of a step, at 0 $\tilde\nu J(\delta R - R\,\delta Q/2Q)/\sqrt{2\pi Q}$ in
            $\delta\dot R$ and likewise across, J = F(0+) - F(0-); otherwise they lack it. Right for
            overlap, norm and error as N → ∞; not for the heat.
        generator: of random bits, as in `Microscopic`.

    Source: derived by rotation invariance of the inputs; thermoml.
    """

    dt: float
    jump_corrected: bool = eqx.field(
        default=False, static=True, kw_only=True, converter=flag("jump_corrected")
    )
    generator: str = eqx.field(default="hash", static=True, kw_only=True)

    def __check_init__(self):
        check_bound("dt", self.dt, ">", 0.0)
        check_generator(self.generator)

    def learn(self, problem, request):
        n_inputs = problem.n_inputs
        if n_inputs is None:
            raise ValueError("n_inputs must be given in the problem for the reduced level")
        if is_concrete(n_inputs) and jnp.ndim(n_inputs) == 0:
            remedy = "use Microscopic(dt) for fewer"
            check_count("n_inputs", int(n_inputs), 4, remedy)
        n_inputs = jnp.asarray(n_inputs, request.dtype)
        checkpoint = plane_checkpoint(
            problem, request, "Reduced(dt)", n_inputs=n_inputs, generator=self.generator
        )
        # N is a leaf here: as a Python int in the problem it would be compiled in.
        process = ReducedLearning(
            dataclasses.replace(problem, n_inputs=n_inputs),
            request.drawing_key,
            checkpoint.clock.dt,
            self.jump_corrected,
            self.generator,
        )
        return follow(process, checkpoint, request)


class _Draws(NamedTuple):
    """Random numbers of a step: a row for each input of the batch, one for each trajectory.

    Components of the inputs along teacher and student, and of the noise off their plane, `(B, M)`;
    noise along the teacher, along the student and across; χ² ratios of the rest of both.
    """

    along: Float[Array, "B M"]
    across: Float[Array, "B M"]
    off_plane: Float[Array, "B M"]
    normals: tuple[Float[Array, " M"], Float[Array, " M"], Float[Array, " M"]]
    inputs_chi: Float[Array, " M"]
    noise_chi: Float[Array, " M"]


class ReducedLearning(AbstractLearningProcess[PlaneStudents, Streams]):
    """Steps of students in the plane of teacher and student."""

    problem: LearningProblem
    key: Key[Array, ""]
    dt: Float[AnyArray, ""]
    jump_corrected: bool = eqx.field(static=True)
    generator: str = eqx.field(static=True)

    def students(self, checkpoint: PlaneCheckpoint) -> PlaneStudents:
        return PlaneStudents.at(checkpoint)

    def position(self, students: PlaneStudents) -> dict[str, Array]:
        return students.position()

    def footprint(self, walkers: PlaneStudents) -> Footprint:
        return students_footprint(3 * self.problem.batch, widest=1024)

    def init(self, indices, walkers, own, step):
        noise = trajectory_streams(self.key, indices, NOISE, self.generator)
        # Without a barrier the start would be fused with how it was drawn, and round differently.
        return noise, lax.optimization_barrier(with_empty_meter(walkers))

    def final(self, moving: PlaneStudents) -> PlaneStudents:
        return moving

    def _jump_tangent(self, overlap: Array, transverse: Array) -> tuple[Array, Array, Array]:
        """Numbers that are 0 with the derivatives that jumps of F and F² give the mean drives.

        Where s = Ra + Pc passes a jump at κ, a = |λ*|, E[aF], E[cF] and E[F²] change by the jump
        times the density of s at κ times the means, over inputs with s = κ, of a, c and 1 times
        ds - dκ. There a = κR/Q + nP/√Q and c = κP/Q - nR/√Q with n normal, but for a < 0.
        """
        jumps = force_jumps(self.problem.rule, overlap.dtype)
        r, p = lax.stop_gradient((overlap, transverse))
        norm = r**2 + p**2
        root = jnp.sqrt(norm)

        def of_jump(jump: Jumps) -> tuple[Array, Array, Array]:
            place, above, below = lax.stop_gradient(jump)
            least = jnp.clip(place * r / (root * p), -40, 40)  # n > -least
            least = jnp.where(place == 0, 0, least)
            share, edge = ndtr(least), normal.pdf(least)
            means = share, edge, share - least * edge  # of 1, n, n²
            a, c = (place * r / norm, p / root), (place * p / norm, -r / root)
            d = [x * (overlap - r) + y * (transverse - p) for x, y in zip(a, c, strict=True)]
            d[0] = d[0] - (jump.places - place)
            density = self.problem.batch * 2 * normal.pdf(place / root) / root

            def mean(x: Any) -> Array:
                product = x[0] * d[0], x[0] * d[1] + x[1] * d[0], x[1] * d[1]
                parts = [y * z for y, z in zip(product, means, strict=True)]
                return density * (parts[0] + parts[1] + parts[2])

            height, square = above - below, above**2 - below**2
            return height * mean(a), height * mean(c), square * mean((1.0, 0.0))

        each = [of_jump(Jumps(*(x[i] for x in jumps))) for i in range(jumps.places.size)]
        along, across, square = (
            jnp.sum(jnp.stack(parts), axis=0) for parts in zip(*each, strict=True)
        )
        return along, across, square

    def _force(self, signs: Array, fields: Array) -> Array:
        return jnp.vectorize(self.problem.rule)(signs * fields)

    def _draw(self, noise: Streams, step: Array, dtype: Any) -> _Draws:
        batch, n_inputs = self.problem.batch, jnp.asarray(self.problem.n_inputs)
        draws = noise.at(step)

        def draw(numbers):
            off_plane, _ = draws.normal_pairs(numbers + jnp.uint32(batch), dtype)
            return *draws.normal_pairs(numbers, dtype), off_plane

        along, across, off_plane = by_blocks(draw, batch)
        last = 2 * batch
        (n0, n1), (n2, _) = draws.normal_pairs(last + row_numbers(2), dtype)
        degrees = n_inputs - jnp.asarray([2, 3], dtype)
        inputs_chi, noise_chi = draws.chi_square_ratios(last + 2, degrees, n_inputs)
        return _Draws(along, across, off_plane, (n0, n1, n2), inputs_chi, noise_chi)

    def step(self, held: Streams, moving: PlaneStudents, step: Int[Array, ""]) -> PlaneStudents:
        problem, dt = self.problem, self.dt
        batch, n_inputs = problem.batch, jnp.asarray(problem.n_inputs)
        overlap, transverse = moving.overlap, moving.transverse
        along, across, z, normals, inputs_chi, noise_chi = self._draw(held, step, overlap.dtype)
        n0, n1, n2 = normals

        def push(_, a, c):
            rows = jnp.broadcast_arrays(overlap[None], transverse[None], a)[:2]
            return self._force(_sign(a), rows[0] * a + rows[1] * c)

        force = by_blocks(push, batch, along, across)
        drive_along, drive_across, square, drive_z = ordered_sum(
            along, across, z, force, term=_drive_terms
        )
        if self.jump_corrected:
            jumps = self._jump_tangent(overlap, transverse)
            drive_along, drive_across = drive_along + jumps[0], drive_across + jumps[1]
            square = square + jumps[2]
        rate = problem.learning_rate * dt / batch
        kick = jnp.sqrt(2 * problem.temperature * dt)
        small = kick / jnp.sqrt(n_inputs)
        moved = rate * drive_along - problem.stiffness * dt * overlap + small * n1
        turned = rate * drive_across - problem.stiffness * dt * transverse + small * n2

        # v/√N, the part across the plane: c g + h n with |g|²/N = |d|² χ²_{N-2}/N.
        driven = square > 0
        safe = jnp.where(driven, square, 1)
        length, inverse = jnp.where(driven, jnp.sqrt(safe), 0), jnp.where(driven, 1 / safe, 0)
        pushed = length * jnp.sqrt(inputs_chi)
        reach = rate * jnp.sqrt(n_inputs)
        perpendicular = (reach * pushed) ** 2 + kick**2 * noise_chi
        perpendicular = perpendicular + small * n0 * (2 * reach * pushed + small * n0)
        # ρ_b·v/√N = d_b (g·v)/(√N|d|²) + |v|/√N z_b, z off d
        common = rate * n_inputs * inputs_chi + kick * jnp.sqrt(inputs_chi) * n0 * length * inverse
        root = jnp.sqrt(jnp.maximum(perpendicular, 0))

        def work_terms(a, c, z, f):
            d = _sign(a) * f
            shift = moved * a + turned * c + d * (common - root * drive_z * inverse) + root * z
            fields = overlap * a + transverse * c + shift
            return (d + _sign(a) * self._force(_sign(a), fields)) / 2 * shift

        work = ordered_sum(along, across, z, force, term=work_terms)
        work = moving.work.add(problem.learning_rate / batch * work)
        bad = ~jnp.isfinite(work.total) & (moving.diverged_step < 0)
        scale = (problem.learning_rate / batch) ** 2
        met = scale * (drive_along**2 + drive_across**2 + n_inputs * pushed**2)
        return PlaneStudents(
            overlap=overlap + moved,
            transverse=jnp.sqrt((transverse + turned) ** 2 + perpendicular),
            work=work,
            drive_square=moving.drive_square + met,
            diverged_step=jnp.where(bad, step, moving.diverged_step),
        )

    def record(self, held: Streams, moving: PlaneStudents, step: Int[Array, ""], n_steps: int):
        return moving.record(n_steps)


def _sign(a: Array) -> Array:
    return jnp.where(a < 0, -jnp.ones_like(a), 1)


def _drive_terms(a: Array, c: Array, z: Array, force: Array) -> tuple[Array, ...]:
    """Of each input: drives along and across, squared drive, and drive times noise."""
    d = _sign(a) * force
    return d * a, d * c, d * d, d * z
