"""Learning systems: the parameters of a model in a potential made of data, in a heat bath."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ...langevin import AbstractSystem, PhaseState, Underdamped, by_part
from ...numerics.arrays import as_parameter, is_concrete
from ...numerics.checks import check_bound, check_count, parameters
from ...numerics.labels import leaf_names, name_fits
from ..data import Data
from ._energy import AbstractEnergy, check_labels
from ._layers import over_layers, state_like


class AbstractLearning(AbstractSystem):
    r"""A model that learns from data in a heat bath.

    $$E(\theta) = \lambda\,\frac1n\sum_i\ell\big(f_\theta(x_i), y_i\big) + \tfrac k2|\theta|^2$$

    The prior belongs to the energy. The control λ scales the energy of the data (1 without one).
    A batch is drawn anew for each step; it enters the energy, so redrawing it is work.

    Attributes:
        features, targets: `(n, …)`.
        form: the argument `energy`, an `AbstractEnergy` of outputs and targets, with its loss ℓ.
        prior_stiffness: k, in units of energy, scalar.
        batch: examples in each step, drawn with replacement; None for all.
        control: t -> λ, or None.
    """

    features: eqx.AbstractVar[Float[Array, "n ..."]]
    targets: eqx.AbstractVar[Array]
    form: eqx.AbstractVar[AbstractEnergy]
    prior_stiffness: eqx.AbstractVar[Float[Array, ""]]
    batch: eqx.AbstractVar[int | None]
    control: eqx.AbstractVar[Callable[[Any], Any] | None]

    @abc.abstractmethod
    def outputs(self, state: Any, features: Float[Array, "b ..."]) -> Float[Array, "b ..."]:
        """The model's outputs, one row for each example."""

    @property
    @abc.abstractmethod
    def like(self) -> PyTree[Any]:
        """Shapes and dtypes of the state that evolves."""

    @property
    def n_parameters(self) -> int:
        """d, the number of parameters."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.like))

    def data_energy(self, state: Any, features: Any = None, targets: Any = None) -> Array:
        """(1/n) Σ ℓ of all examples, or of these."""
        features = self.features if features is None else features
        targets = self.targets if targets is None else targets
        losses = jax.vmap(self.form.loss)(self.outputs(state, features), targets)
        return jnp.mean(losses)

    def prior_energy(self, state: Any) -> Float[Array, ""]:
        """(k/2)|θ|²."""
        squares = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(state))
        return jnp.asarray(self.prior_stiffness / 2 * squares)

    def total_energy(self, state: Any) -> Float[Array, ""]:
        """E(θ) of all examples, with λ = 1."""
        return self.data_energy(state) + self.prior_energy(state)

    def energy(self, state, control, sample):
        batch = (None, None) if sample is None else (self.features[sample], self.targets[sample])
        scale = 1 if control is None else control
        return scale * self.data_energy(state, *batch) + self.prior_energy(state)

    def drive_force(self, state, control, sample):
        return None

    def control_at(self, t):
        return None if self.control is None else self.control(t)

    def draw(self, key):
        if self.batch is None:
            return None
        return jax.random.randint(key, (self.batch,), 0, self.features.shape[0])

    @property
    def autonomous(self) -> bool:
        return self.control is None and self.batch is None


@state_like.register(AbstractLearning)
def _(system):
    return system.like


@by_part.register(AbstractLearning)
def _(system, name, values):
    return over_layers(name, values, system.like)


def several_states(system: AbstractLearning | Underdamped, states: PyTree[Any]) -> PyTree[Array]:
    """States of an ensemble as arrays in the structure of the system's state.

    Raises:
        TypeError: states without momentum, of a system that has it.
        ValueError: states of other shapes, or fewer than 2.
    """
    if isinstance(system, Underdamped):
        if not isinstance(states, PhaseState):
            raise TypeError(
                "states of a system with momentum must be a PhaseState, such as the final_state of "
                f"its run, got {type(states).__name__}"
            )
        learning: Any = system.system
        parts = states.position, states.momentum
        return PhaseState(*(several_states(learning, part) for part in parts))
    like = jax.tree.leaves(system.like)
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(states)]
    counts = {shape[0] for shape in shapes if shape}
    if [s[1:] for s in shapes] != [leaf.shape for leaf in like] or () in shapes or len(counts) > 1:
        raise ValueError(
            "states must be like the system's state with a first axis of trajectories, so of "
            f"shapes {[('n', *leaf.shape) for leaf in like]}, got {shapes}"
        )
    if counts.pop() < 2:
        raise ValueError("states must be at least 2, for a standard error")
    leaves = [jnp.asarray(x, s.dtype) for x, s in zip(jax.tree.leaves(states), like, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(system.like), leaves)


def bath_temperature(system: AbstractLearning) -> Float[Array, ""]:
    """τ of the bath that all parameters share; ValueError unless it is one constant > 0."""
    leaves = jax.tree.leaves(system.temperature, is_leaf=callable)
    if len(leaves) != 1 or callable(leaves[0]) or jnp.ndim(leaves[0]):
        raise ValueError(
            "a trained state is Boltzmann at one temperature; the system has several baths, or "
            "one that varies"
        )
    check_bound("temperature", leaves[0], ">", 0.0)
    return leaves[0]


def examples(
    data: Any, form: AbstractEnergy, prior_stiffness: Any, batch: int | None
) -> tuple[Array, Array, Array, int | None]:
    """Features, targets, prior stiffness and batch, checked."""
    if not isinstance(form, AbstractEnergy):
        raise TypeError(
            f"energy must be an AbstractEnergy such as MeanSquaredError(), got {form!r}"
        )
    if not isinstance(data, Data):
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise TypeError(f"data must be Data or a pair (features, targets), got {type(data)}")
        data = Data(data[0], _targets(data[1], form))
    check_bound("prior_stiffness", prior_stiffness, ">=", 0.0)
    if np.ndim(prior_stiffness):
        raise ValueError(
            f"prior_stiffness must be one number, got shape {np.shape(prior_stiffness)}; scale the "
            "features instead"
        )
    if batch is not None:
        batch = check_count("batch", batch)
    return data.features, data.targets, as_parameter(prior_stiffness, "prior_stiffness"), batch


def _targets(targets: Any, form: AbstractEnergy) -> Any:
    """Targets with whole numbers as floats in a regression, as labels in a classification."""
    if not is_concrete(targets):
        return targets
    targets = np.asarray(targets)
    if not form.classifies and targets.dtype.kind in "iub":
        return targets.astype(float)
    if form.classifies and targets.dtype.kind == "f":
        largest = np.max(targets, initial=1, where=np.isfinite(targets))
        check_labels((*targets.shape[:1], max(2, int(largest) + 1)), targets)
        return targets.astype(np.int32)
    return targets


class NetworkLearning(AbstractLearning):
    r"""An Equinox model that learns: a system for `simulate`.

    $$dθ = -\mu\,\partial_\theta\Big[\frac1n\sum_i\ell(f_\theta(x_i), y_i) +
      \tfrac k2|\theta|^2\Big]dt + \sqrt{2\mu\tau}\,dW$$

    Args:
        network: called with one example `(d,)`, returns `()` or `(outputs,)`. All its floating
            arrays evolve except the frozen ones. Dropout is switched off.
        energy: the energy of its outputs, such as `MeanSquaredError()`.
        data: `Data`, or a pair of features `(n, d)` and targets `(n,)` or `(n, outputs)`.
        prior_stiffness: k >= 0. Without it most networks have no trained state.
        batch: examples in each step, drawn with replacement; None for all of them.
        temperature, mobility: τ and μ, as for `AbstractSystem`; or one for each layer, in a list
            or by name (see `layers`), each a number or a function of time.
        control: t -> λ, the scale of the data's energy; None for 1.
        frozen: patterns of names of leaves that do not evolve, `["layers_0_*", "*bias"]`; they
            are no parameters, and not part of the prior.

    Raises:
        TypeError: a network with state of its own (BatchNorm) or without parameters.
        ValueError: targets that do not match the energy or the network's outputs; baths of
            another number than the layers; a pattern that freezes nothing.

    Source: Zhang 2024, arXiv:2404.13218, for the loss as potential energy.
    """

    features: Float[Array, "n ..."]
    targets: Array
    form: AbstractEnergy
    prior_stiffness: Float[Array, ""]
    batch: int | None = eqx.field(static=True)
    temperature: Any
    mobility: Any
    control: Callable[[Any], Any] | None
    template: Any  # all arrays of the network: shapes, and those that do not evolve
    fixed: Any = eqx.field(static=True)  # functions, numbers and other settings of the network
    frozen: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        network: Any,
        energy: AbstractEnergy,
        data: Any,
        *,
        prior_stiffness: Any,
        batch: int | None = None,
        temperature: Any = 1.0,
        mobility: Any = 1.0,
        control: Callable[[Any], Any] | None = None,
        frozen: Sequence[str] = (),
    ):
        refuse_stateful(network)
        self.frozen = _freezing(frozen, network)
        features, targets, prior_stiffness, batch = examples(data, energy, prior_stiffness, batch)
        network = eqx.nn.inference_mode(network)
        self.template, self.fixed = eqx.partition(network, _is_array)
        state = self.state(network)
        if not jax.tree.leaves(state):
            raise TypeError(
                f"network must have floating arrays as parameters that evolve, got {network!r}"
            )
        if any(jnp.iscomplexobj(leaf) for leaf in jax.tree.leaves(state)):
            raise TypeError("network must have real parameters, got complex ones")
        self.features, self.targets, self.form = features, targets, energy
        self.prior_stiffness, self.batch, self.control = prior_stiffness, batch, control
        self.temperature = parameters("temperature")(over_layers("temperature", temperature, state))
        self.mobility = parameters("mobility")(over_layers("mobility", mobility, state))
        try:
            outputs = jax.eval_shape(self.outputs, state, features)
        except Exception as error:
            raise ValueError(
                f"network must take one example of shape {features.shape[1:]}: {error}"
            ) from error
        if not isinstance(outputs, jax.ShapeDtypeStruct):
            raise ValueError(f"network must return one array for each example, got {outputs!r}")
        energy.check(outputs.shape, targets)

    def state(self, network: Any) -> PyTree[Float[Array, "..."]]:
        """The arrays of a network that evolve."""
        arrays = eqx.filter(network, eqx.is_inexact_array)
        if not self.frozen:
            return arrays
        moves = [not name_fits(name, self.frozen) for name in leaf_names(arrays)]
        return eqx.filter(arrays, jax.tree.unflatten(jax.tree.structure(arrays), moves))

    def network(self, state: PyTree[Float[Array, "..."]]) -> Any:
        """The network with these arrays, to be called with an example."""
        return eqx.combine(state, self.template, self.fixed)

    @property
    def like(self):
        return self.state(self.template)

    def outputs(self, state, features):
        return jax.vmap(self.network(state))(features)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


def _freezing(frozen: Sequence[str], network: Any) -> tuple[str, ...]:
    """The patterns; ValueError for one that fits no leaf."""
    if isinstance(frozen, str):
        raise TypeError(f"frozen must be a list of patterns, got {frozen!r}")
    names = leaf_names(eqx.filter(network, eqx.is_inexact_array))
    for pattern in frozen:
        if not any(name_fits(name, [pattern]) for name in names):
            raise ValueError(
                f"frozen: {pattern!r} fits no leaf of the network, whose leaves are "
                f"{', '.join(names)}"
            )
    return tuple(frozen)


def _count_classes(data: Any, targets: Array) -> int:
    """The number of classes of labels; TypeError where they are traced and have no names."""
    named = len(data.class_names) if isinstance(data, Data) else 0
    if is_concrete(targets):
        return max(named, int(np.max(np.asarray(targets), initial=0)) + 1)
    boolean = not isinstance(data, Data) and jnp.result_type(data[1]) == jnp.bool_
    if not named and not boolean:
        raise TypeError(
            "the number of classes of traced labels is not known: give Data with class_names, or "
            "booleans where there are two"
        )
    return max(named, 2)


def refuse_stateful(network: Any) -> None:
    """TypeError where a layer has state of its own, so that its energy is no function of θ."""

    def stateful(node: Any) -> bool:
        if isinstance(node, eqx.nn.Sequential):  # stateful if and only if a layer is
            return False
        return isinstance(node, eqx.nn.StateIndex | eqx.nn.StatefulLayer)

    for node in jax.tree.leaves(network, is_leaf=stateful):
        if stateful(node):
            raise TypeError(
                f"network must not have layers with state of their own, got "
                f"{type(node).__name__}: the energy would not be a function of the parameters; "
                "use LayerNorm or GroupNorm instead of BatchNorm"
            )


class LinearLearning(AbstractLearning):
    r"""A linear model that learns: $f = \theta\cdot x$, without an intercept of its own.

    $$E = \frac1n\sum_i\ell(\theta\cdot x_i, y_i) + \tfrac k2|\theta|^2$$

    The state is θ, `(d,)` for one output and `(outputs, d)` for several: a column of targets
    each, or a class each where the labels go beyond 0 and 1.

    Args:
        energy: the energy of the outputs, such as `MeanSquaredError()`.
        data: `Data`, or a pair of features `(n, d)` and targets.
        prior_stiffness: k >= 0.
        temperature, mobility, batch, control: as for `NetworkLearning`.

    Raises:
        ValueError: labels of the wrong kind, NaN in the data (row and column are named).
        TypeError: traced labels whose number of classes is not known.
    """

    features: Float[Array, "n d"]
    targets: Array
    form: AbstractEnergy
    prior_stiffness: Float[Array, ""]
    batch: int | None = eqx.field(static=True)
    temperature: Any
    mobility: Any
    control: Callable[[Any], Any] | None
    n_outputs: int | None = eqx.field(static=True)  # None for θ of shape (d,)

    def __init__(
        self,
        energy: AbstractEnergy,
        data: Any,
        *,
        prior_stiffness: Any = 0.0,
        batch: int | None = None,
        temperature: Any = 1.0,
        mobility: Any = 1.0,
        control: Callable[[Any], Any] | None = None,
    ):
        features, targets, prior_stiffness, batch = examples(data, energy, prior_stiffness, batch)
        n_outputs = None
        if energy.classifies:
            wide = _count_classes(data, targets)
            n_outputs = wide if wide > 2 else None
        elif targets.ndim == 2:
            n_outputs = targets.shape[1]
        self.features, self.targets, self.form = features, targets, energy
        self.prior_stiffness, self.batch, self.control = prior_stiffness, batch, control
        self.temperature = parameters("temperature")(temperature)
        self.mobility = parameters("mobility")(mobility)
        self.n_outputs = n_outputs
        shape = features.shape[:1] if n_outputs is None else (features.shape[0], n_outputs)
        energy.check(shape, targets)

    @property
    def like(self):
        n_features = self.features.shape[1]
        shape = (n_features,) if self.n_outputs is None else (self.n_outputs, n_features)
        return jax.ShapeDtypeStruct(shape, self.features.dtype)

    def outputs(self, state, features):
        return features @ state if self.n_outputs is None else features @ state.T

    @property
    def second_moments(self) -> Float[Array, "d d"]:
        """C = XᵀX/n."""
        return self.features.T @ self.features / self.features.shape[0]
