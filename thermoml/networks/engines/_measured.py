"""Engines measured in a network: the energy that its layers of weights receive and pass on."""

import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ...numerics.arrays import as_parameter
from ...numerics.results import AbstractResult
from ...numerics.statistics import Estimate
from ...numerics.tables import estimates_text
from ..data import Data
from ..learning import refuse_stateful

Calls = list[tuple[str, Any, Any]]


class MeasuredEngine(AbstractResult):
    r"""The operations between two layers of weights, as a heat engine.

    Attributes:
        temperature: $T = E z^2$ of the pre-activations z, the output of the first layer.
        efficiency: $\eta = E\phi^2/E z^2$ with φ the input of the second; above 1 for a pump.
        coherent: $\kappa^2 = (E z\phi/E z^2)^2$; NaN if z and φ differ in shape.
    """

    temperature: Estimate
    efficiency: Estimate
    coherent: Estimate

    def _summary(self):
        names = ("temperature", "efficiency", "coherent")
        return "MeasuredEngine", {name: getattr(self, name) for name in names}


class EngineReport(AbstractResult):
    """The engines of a network, in the order in which data pass through them.

    Attributes:
        engines: by the name of the preceding layer of weights, `layers_0`.
    """

    engines: dict[str, MeasuredEngine]

    def _summary(self):
        engines = self.engines.items()
        columns = {
            "temperature": {name: engine.temperature for name, engine in engines},
            "efficiency": {name: engine.efficiency for name, engine in engines},
            "coherent": {name: engine.coherent for name, engine in engines},
        }
        return estimates_text("after", columns), {}


def measure_engines(network: Callable[..., Any], data: Data | ArrayLike) -> EngineReport:
    r"""Temperature and efficiency of the engines between the layers of weights of a network.

    $$T = E\,z^2, \qquad \eta = \frac{E\,\phi^2}{E\,z^2}$$

    z is the output of a layer of weights and φ the input of the next, so that everything between
    them (an activation, a normalisation, a sum with a skip connection) is the engine. Layers of
    weights are the modules that hold an array of two or more axes, in the order of their calls.

    Args:
        network: an Equinox module, called with one example.
        data: `Data`, or features `(n, …)`.

    Returns:
        An `EngineReport`; standard errors are those of a mean over examples. Differentiable and
        traceable.

    Raises:
        TypeError: a network with state of its own.
        ValueError: fewer than two layers of weights are called, or a loop of JAX calls them.

    Cost: one call of the network for each example.

    Source: Zhang 2024, arXiv:2404.13218, for engines; our reading.
    """
    refuse_stateful(network)
    network = eqx.nn.inference_mode(network)
    features = data.features if isinstance(data, Data) else as_parameter(data)
    names: list[str] = []

    def run(example):
        calls: Calls = []
        _recording(network, calls)(example)
        names[:] = [name for name, _, _ in calls]
        return [_moments(z, phi) for (_, _, z), (_, phi, _) in itertools.pairwise(calls)]

    try:
        moments = jax.vmap(run)(features)
    except jax.errors.UnexpectedTracerError:
        raise ValueError(
            "network calls its layers inside of a loop of JAX (scan, while), where they cannot be "
            "recorded; unroll it for the measurement"
        ) from None
    if len(names) < 2:
        raise ValueError(
            f"network must call at least two layers of weights, got {len(names)}; an engine is "
            "what lies between two of them"
        )
    engines: dict[str, MeasuredEngine] = {}
    for name, (square, passed, product) in zip(names[:-1], moments, strict=True):
        earlier_calls = sum(label.split("#")[0] == name for label in engines)
        kappa, error = Estimate.ratio(product, square)
        engines[f"{name}#{earlier_calls + 1}" if earlier_calls else name] = MeasuredEngine(
            Estimate.of(square),
            Estimate.ratio(passed, square),
            Estimate(kappa**2, 2 * jnp.abs(kappa) * error),
        )
    return EngineReport(engines)


def _moments(z: Array, phi: Array) -> tuple[Float[Array, ""], ...]:
    """Means of z², φ² and zφ over the units of one example."""
    product = jnp.mean(z * phi) if z.shape == phi.shape else jnp.full((), jnp.nan, z.dtype)
    return jnp.mean(z**2), jnp.mean(phi**2), product


def _recording(network: Callable[..., Any], calls: Calls) -> Callable[..., Any]:
    """The network, with a record of the input and output of each layer of weights in `calls`."""

    def has_weights(node: Any) -> bool:
        return isinstance(node, eqx.Module) and callable(node) and _owns_matrix(node)

    def replace(path: Any, node: Any) -> Any:
        if not has_weights(node):
            return node
        name = jax.tree_util.keystr(path, simple=True, separator="_") or "network"
        return _Recorder(node, name, calls)

    return jax.tree_util.tree_map_with_path(replace, network, is_leaf=has_weights)


def _owns_matrix(module: eqx.Module) -> bool:
    return any(eqx.is_inexact_array(x) and x.ndim >= 2 for x in vars(module).values())


class _Recorder:
    """A layer that records its inputs and outputs, and otherwise is the layer itself."""

    def __init__(self, inner: Any, name: str, calls: Calls):
        self._inner, self._name, self._calls = inner, name, calls

    def __call__(self, x: Any, *rest: Any, **options: Any) -> Any:
        out = self._inner(x, *rest, **options)
        self._calls.append((self._name, x, out))
        return out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
