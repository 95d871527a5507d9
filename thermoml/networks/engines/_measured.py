"""The engines of a real network: what its layers hand on, measured over data."""

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.statistics import Estimate
from ..data import Data
from ..learning import refuse_stateful


class MeasuredEngine(eqx.Module):
    r"""What lies between two layers of weights, as a heat engine.

    Attributes:
        temperature: $T = E z^2$ of the pre-activations z that the first puts out, with its error.
        efficiency: $\eta = E\phi^2/E z^2$ with φ what the second takes in, and its error; above 1
            for a pump.
        coherent: $\kappa^2 = (E z\phi/E z^2)^2$ and its error; NaN where z and φ differ in shape.
    """

    temperature: Estimate
    efficiency: Estimate
    coherent: Estimate


class EngineReport(eqx.Module):
    """The engines of a network, in the order in which data go through them.

    Attributes:
        engines: by the name of the layer of weights that comes before, `layers_0`.
    """

    engines: dict[str, MeasuredEngine]

    def __str__(self) -> str:
        if not is_concrete(self.engines):
            return "EngineReport (traced)"

        width = max(len("after"), *(len(name) for name in self.engines))
        lines = [f"{'after':{width}}  {'temperature':19}  {'efficiency':19}  coherent"]
        for name, engine in self.engines.items():
            parts = (engine.temperature, engine.efficiency, engine.coherent)
            shown = "  ".join(f"{part:19}" for part in parts)
            lines.append(f"{name:{width}}  {shown}".rstrip())
        return "\n".join(lines)


def measure_engines(network: Any, data: Any) -> EngineReport:
    r"""Temperature and efficiency of what lies between the layers of weights of a network.

    $$T = E\,z^2, \qquad \eta = \frac{E\,\phi^2}{E\,z^2}$$

    z is what a layer of weights puts out, φ what the next takes in, so all that happens in between
    (an activation, a normalisation, a sum with a skip connection) is the engine. Layers of weights
    are the modules that hold an array of two or more axes, in the order in which they are called.

    Args:
        network: an Equinox module, called with one example.
        data: `Data`, or features `(n, …)`.

    Returns:
        An `EngineReport`; errors are those of a mean over examples. Differentiable, traceable.

    Raises:
        TypeError: a network with state of its own.
        ValueError: fewer than two layers of weights are called, or inside of a loop of JAX.

    Cost: one call of the network for each example.

    Source: Zhang 2024, arXiv:2404.13218, for engines; our reading.
    """
    refuse_stateful(network)
    network = eqx.nn.inference_mode(network)
    features = data.features if isinstance(data, Data) else as_parameter(data)
    names: list[str] = []

    def run(example):
        calls: list[tuple[str, Any, Any]] = []
        _recording(network, calls)(example)
        names[:] = [name for name, _, _ in calls]
        return [_moments(z, phi) for (_, _, z), (_, phi, _) in itertools.pairwise(calls)]

    try:
        moments = jax.vmap(run)(features)
    except jax.errors.UnexpectedTracerError:
        raise ValueError(
            "network calls its layers inside of a loop of JAX (scan, while), where they cannot be "
            "seen; unroll it for the measurement"
        ) from None
    if len(names) < 2:
        raise ValueError(
            f"network must call at least two layers of weights, got {len(names)}; what lies "
            "between them is the engine"
        )
    engines: dict[str, MeasuredEngine] = {}
    for name, (square, passed, product) in zip(names[:-1], moments, strict=True):
        times = sum(known.split("#")[0] == name for known in engines)
        kappa, error = Estimate.ratio(product, square)
        engines[f"{name}#{times + 1}" if times else name] = MeasuredEngine(
            Estimate.of(square),
            Estimate.ratio(passed, square),
            Estimate(kappa**2, 2 * jnp.abs(kappa) * error),
        )
    return EngineReport(engines)


def _moments(z: Array, phi: Array) -> tuple[Float[Array, ""], ...]:
    """Means of z², φ² and zφ over the units of one example."""
    product = jnp.mean(z * phi) if z.shape == phi.shape else jnp.full((), jnp.nan, z.dtype)
    return jnp.mean(z**2), jnp.mean(phi**2), product


def _recording(network: Any, calls: list[tuple[str, Any, Any]]) -> Any:
    """The network, with each layer of weights noting what goes in and out."""

    def weighs(node: Any) -> bool:
        return isinstance(node, eqx.Module) and callable(node) and _owns_matrix(node)

    def replace(path: Any, node: Any) -> Any:
        if not weighs(node):
            return node
        name = jax.tree_util.keystr(path, simple=True, separator="_") or "network"
        return _Recorder(node, name, calls)

    return jax.tree_util.tree_map_with_path(replace, network, is_leaf=weighs)


def _owns_matrix(module: eqx.Module) -> bool:
    return any(eqx.is_inexact_array(x) and x.ndim >= 2 for x in vars(module).values())


class _Recorder:
    """A layer that notes what goes in and out, and is the layer in all else."""

    def __init__(self, inner: Any, name: str, calls: list[tuple[str, Any, Any]]):
        self._inner, self._name, self._calls = inner, name, calls

    def __call__(self, x: Any, *rest: Any, **options: Any) -> Any:
        out = self._inner(x, *rest, **options)
        self._calls.append((self._name, x, out))
        return out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
