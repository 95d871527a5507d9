"""Programs of the comparison: each takes a workload and returns `run(seed) -> R, Q, heat`."""

import importlib
import math
from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import lineax
import numpy as np
from jax import lax

from ..perceptron import AlphaTron, LearningProblem, Microscopic, Reduced, learn
from ._timing import Run
from ._workload import ALPHA, DT, RATE, STIFFNESS, TEMPERATURE, Workload


def _by_library(
    work: Workload,
    level: Microscopic | Reduced,
    inputs: str,
    *,
    weights: jax.Array | None = None,
    teacher: jax.Array | None = None,
) -> Run:
    problem = LearningProblem(
        AlphaTron(ALPHA),
        learning_rate=RATE,
        n_inputs=work.n_inputs,
        stiffness=STIFFNESS,
        temperature=TEMPERATURE,
        batch=work.batch,
        inputs=inputs,
    )

    def run(seed):
        curve = learn(
            problem,
            level,
            t1=work.steps * DT,
            key=jax.random.key(seed),
            n_trajectories=work.n_trajectories,
            weights=weights,
            teacher=teacher,
        )
        overlap, norm, heat = (
            np.asarray(x)[:, -1] for x in (curve.overlap, curve.norm, curve.heat)
        )
        return overlap, norm, heat * work.n_inputs

    return run


def microscopic(work: Workload, generator: str = "hash") -> Run:
    """This library at the microscopic level: every weight and every input."""
    weights, teacher = jnp.asarray(work.weights), jnp.asarray(work.teacher)
    level = Microscopic(DT, generator=generator)
    return _by_library(work, level, "binary", weights=weights, teacher=teacher)


def with_threefry(work: Workload) -> Run:
    """The microscopic level with the random bits of a cipher."""
    return microscopic(work, "threefry")


def reduced(work: Workload) -> Run:
    """This library at the reduced level, (R, Q): exact in law for Gaussian inputs, for any N."""
    return _by_library(work, Reduced(DT), "gaussian")


def _force(w, inputs, labels):
    """The force on one student, in plain JAX."""
    s = labels * (inputs @ w) / w.shape[0] ** 0.5
    strength = jnp.where(s < 0, 1.0, jnp.abs(s) ** ALPHA)
    drive = RATE * w.shape[0] ** 0.5 * jnp.mean((labels * strength)[:, None] * inputs, axis=0)
    return drive - STIFFNESS * w


def ordinary_jax(work: Workload) -> Run:
    """Plain JAX: vmap, scan, rademacher and normal."""
    teacher, weights = jnp.asarray(work.teacher), jnp.asarray(work.weights)

    def step(carry, key):
        w, heat = carry
        input_key, noise_key = jax.random.split(key)
        inputs = jax.random.rademacher(input_key, (work.batch, work.n_inputs), jnp.float32)
        labels = jnp.where(inputs @ teacher < 0, -1.0, 1.0)
        before = _force(w, inputs, labels)
        noise = jax.random.normal(noise_key, (work.n_inputs,), jnp.float32)
        new = w + DT * before + (2 * TEMPERATURE * DT) ** 0.5 * noise
        heat = heat + (before + _force(new, inputs, labels)) / 2 @ (new - w)
        return (new, heat), None

    @jax.jit
    def run(seed):
        def one(w, key):
            start = (w, jnp.zeros((), w.dtype))
            (w, heat), _ = lax.scan(step, start, jax.random.split(key, work.steps))
            return teacher @ w / work.n_inputs, w @ w / work.n_inputs, heat

        return jax.vmap(one)(weights, jax.random.split(jax.random.key(seed), len(weights)))

    return run


def by_diffrax(work: Workload) -> Run:
    """diffrax: Euler steps with its cheapest Brownian motion; no heat."""
    teacher, weights = jnp.asarray(work.teacher), jnp.asarray(work.weights)
    width = jnp.full((work.n_inputs,), (2 * TEMPERATURE) ** 0.5, jnp.float32)

    def drift(t, w, key):
        number = jnp.round(t / DT).astype(jnp.uint32)
        shape = (work.batch, work.n_inputs)
        inputs = jax.random.rademacher(jax.random.fold_in(key, number), shape, jnp.float32)
        labels = jnp.where(inputs @ teacher < 0, -1.0, 1.0)
        return _force(w, inputs, labels)

    def diffusion(t, w, key):
        return lineax.DiagonalLinearOperator(width)

    @jax.jit
    def run(seed):
        def one(w, key):
            noise = diffrax.UnsafeBrownianPath(w.shape, jax.random.fold_in(key, 1 << 31))
            terms = diffrax.MultiTerm(diffrax.ODETerm(drift), diffrax.ControlTerm(diffusion, noise))
            solution = diffrax.diffeqsolve(
                terms,
                diffrax.Euler(),
                0.0,
                work.steps * DT,
                DT,
                w,
                args=key,
                saveat=diffrax.SaveAt(t1=True),
                adjoint=diffrax.DirectAdjoint(),
                max_steps=work.steps + 10,
            )
            assert solution.ys is not None
            end = solution.ys[0]
            return teacher @ end / work.n_inputs, end @ end / work.n_inputs

        return jax.vmap(one)(weights, jax.random.split(jax.random.key(seed), len(weights)))

    return run


def by_numpy(work: Workload) -> Run:
    """NumPy: matrix products over all trajectories; inputs from the bits of one draw."""
    rate, root = np.float32(RATE * work.n_inputs**0.5), np.float32(work.n_inputs**0.5)
    shape = (work.n_trajectories, work.batch, work.n_inputs)
    count = math.prod(shape)
    width = np.float32((2 * TEMPERATURE * DT) ** 0.5)

    def strength(s):
        return np.where(s < 0, np.float32(1), np.abs(s) ** np.float32(ALPHA))

    def run(seed):
        rng = np.random.default_rng(seed)
        w, heat = work.weights.copy(), np.zeros(work.n_trajectories)
        for _ in range(work.steps):
            bits = np.frombuffer(rng.bytes(-(-count // 8)), np.uint8)
            inputs = np.unpackbits(bits)[:count].astype(np.float32) * 2 - 1
            inputs = inputs.reshape(shape)
            labels = np.where(inputs @ work.teacher < 0, np.float32(-1), np.float32(1))
            fields = np.matmul(inputs, w[:, :, None])[:, :, 0] / root
            push = labels * strength(labels * fields)
            drive = rate / work.batch * np.matmul(push[:, None, :], inputs)[:, 0]
            new = w + np.float32(DT) * (drive - np.float32(STIFFNESS) * w)
            new += width * rng.standard_normal(w.shape, np.float32)
            new_fields = np.matmul(inputs, new[:, :, None])[:, :, 0] / root
            mean_push = (push + labels * strength(labels * new_fields)) / 2
            heat += rate / work.batch * root * np.sum(mean_push * (new_fields - fields), axis=1)
            heat -= STIFFNESS / 2 * (np.sum(new**2, axis=1) - np.sum(w**2, axis=1))
            w = new
        return w @ work.teacher / work.n_inputs, np.sum(w**2, axis=1) / work.n_inputs, heat

    return run


def by_pytorch(work: Workload) -> Run:
    """PyTorch: the program of NumPy; ImportError if it is not installed."""
    torch = importlib.import_module("torch")

    teacher, weights = torch.from_dlpack(work.teacher), torch.from_dlpack(work.weights)
    rate, root = RATE * work.n_inputs**0.5, work.n_inputs**0.5
    shape = (work.n_trajectories, work.batch, work.n_inputs)

    def strength(s):
        return torch.where(s < 0, torch.ones_like(s), s.abs() ** ALPHA)

    def run(seed):
        source = torch.Generator().manual_seed(seed)
        w, heat = weights.clone(), torch.zeros(work.n_trajectories, dtype=torch.float64)
        for _ in range(work.steps):
            inputs = torch.randint(0, 2, shape, generator=source, dtype=torch.int8).float() * 2 - 1
            labels = torch.where(inputs @ teacher < 0, -1.0, 1.0)
            fields = torch.matmul(inputs, w[:, :, None])[:, :, 0] / root
            push = labels * strength(labels * fields)
            drive = rate / work.batch * torch.matmul(push[:, None, :], inputs)[:, 0]
            noise = torch.randn(w.shape, generator=source)
            new = w + DT * (drive - STIFFNESS * w) + (2 * TEMPERATURE * DT) ** 0.5 * noise
            new_fields = torch.matmul(inputs, new[:, :, None])[:, :, 0] / root
            mean_push = (push + labels * strength(labels * new_fields)) / 2
            heat += rate / work.batch * root * (mean_push * (new_fields - fields)).sum(1)
            heat -= STIFFNESS / 2 * ((new**2).sum(1) - (w**2).sum(1))
            w = new
        ends = (w @ teacher / work.n_inputs, (w**2).sum(1) / work.n_inputs, heat)
        return tuple(np.from_dlpack(x) for x in ends)

    return run


# By name; the first is the base of the comparison
PROGRAMS: dict[str, Callable[[Workload], Run]] = {
    "thermoml": microscopic,
    "thermoml, threefry": with_threefry,
    "thermoml, reduced": reduced,
    "NumPy": by_numpy,
    "ordinary JAX": ordinary_jax,
    "diffrax": by_diffrax,
    "PyTorch": by_pytorch,
}
