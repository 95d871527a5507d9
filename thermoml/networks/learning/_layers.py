"""Layers: which parameters of a network belong together."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.tree_util import GetAttrKey
from jaxtyping import Array, PyTree

from ...langevin import Underdamped
from ...numerics.arrays import as_parameters
from ...numerics.labels import leaf_names, name_fits

LayersBy = Mapping[str, str | Sequence[str]] | Callable[[str], str] | None


class Layers(eqx.Module):
    """The leaves of a state, sorted into layers.

    Attributes:
        members: by layer, the numbers of its leaves in the order of `jax.tree.leaves`.
        sizes: by layer, its number of parameters.
    """

    members: dict[str, tuple[int, ...]] = eqx.field(static=True)
    sizes: dict[str, int] = eqx.field(static=True)

    def leaves(self, tree: PyTree[Any]) -> dict[str, list[Any]]:
        """By layer, the leaves of a pytree like the state."""
        leaves = jax.tree.leaves(tree)
        return {name: [leaves[i] for i in places] for name, places in self.members.items()}

    def sum(self, tree: PyTree[Array]) -> dict[str, Array]:
        """By layer, the sum over its leaves, which must be of one shape (as in a ledger)."""
        return {name: jnp.sum(jnp.stack(leaves), 0) for name, leaves in self.leaves(tree).items()}

    def totals(self, tree: PyTree[Array]) -> dict[str, Array]:
        """By layer, the sum over all elements of its leaves."""
        return self.sum(jax.tree.map(jnp.sum, tree))


@functools.singledispatch
def state_like(state: Any) -> PyTree[Any]:
    """The state that is sorted into layers; that of a system, for a learning system."""
    return state


@state_like.register(Underdamped)
def _(system):
    return state_like(system.system)


def layers(state: Any, by: LayersBy = None) -> Layers:
    """The leaves of a state, sorted into layers.

    Args:
        state: a pytree of arrays, or a learning system, which stands for its state.
        by: None for the module tree: the arrays of one module (weight and bias of a `Linear`) are
            a layer, named by its place, `layers_0`; entries of a dict or list are layers of their
            own. Or a mapping from layers to patterns of leaf names, `{"hidden": "layers_[01]_*",
            "readout": ["layers_2_*"]}`, of which the first that fits decides; or a function from
            the name of a leaf to that of its layer.

    Returns:
        `Layers`, in the order of the first leaf of each.

    Raises:
        ValueError: a leaf that no pattern fits, or a pattern that fits no leaf; two modules of one
            name.
    """
    like = state_like(state)
    names = leaf_names(like)
    if by is None:
        chosen = _by_module(like)
    elif isinstance(by, Mapping):
        chosen = [_by_pattern(name, by) for name in names]
        for layer in by:
            if layer not in chosen:
                raise ValueError(
                    f"the patterns of layer {layer!r}, {by[layer]!r}, fit no leaf that is left; "
                    f"the leaves are {', '.join(names)}"
                )
    elif callable(by):
        chosen = [str(by(name)) for name in names]
    else:
        raise TypeError(f"layers must be a mapping or a function of names, got {by!r}")
    members: dict[str, tuple[int, ...]] = {}
    sizes: dict[str, int] = {}
    for i, (layer, leaf) in enumerate(zip(chosen, jax.tree.leaves(like), strict=True)):
        members[layer] = (*members.get(layer, ()), i)
        sizes[layer] = sizes.get(layer, 0) + leaf.size
    return Layers(members, sizes)


def over_layers(name: str, values: Any, state: PyTree[Array]) -> Any:
    """Values for layers, in a list or by name, as a pytree like the state.

    Anything else is returned unchanged.

    Raises:
        ValueError: values of another number, or for other layers.
        TypeError: neither a number nor a function of time.
    """
    if not isinstance(values, list | tuple | Mapping):
        _check_values(name, values)
        return values
    members = layers(state).members
    names = list(members)
    if isinstance(values, Mapping):
        if set(values) != set(names):
            raise ValueError(f"{name} must have a value for each of {names}, got {list(values)}")
        values = [values[layer] for layer in names]
    if len(values) != len(names):
        raise ValueError(
            f"{name} must have one value for each of the {len(names)} layers {names}, got "
            f"{len(values)}"
        )
    for layer, value in zip(names, values, strict=True):
        _check_values(f"{name} of {layer}", value)
    by_leaf = {
        i: as_parameters(value)
        for leaves, value in zip(members.values(), values, strict=True)
        for i in leaves
    }
    structure = jax.tree.structure(state)
    return jax.tree.unflatten(structure, [by_leaf[i] for i in range(structure.num_leaves)])


def _check_values(name: str, values: Any) -> None:
    leaves = jax.tree.leaves(values, is_leaf=callable)
    if not leaves or not all(callable(x) or eqx.is_array_like(x) for x in leaves):
        raise TypeError(f"{name} must be a number or a function of time, got {values!r}")


def _by_module(like: Any) -> list[str]:
    """The layer of each leaf: the module that owns it."""
    chosen, owners = [], {}
    for path, _ in jax.tree_util.tree_flatten_with_path(like)[0]:
        owner = path[:-1] if path and isinstance(path[-1], GetAttrKey) else path
        name = jax.tree_util.keystr(owner, simple=True, separator="_") or "parameters"
        if owners.setdefault(name, owner) != owner:
            raise ValueError(
                f"two modules of the network are both called {name!r}; define layers by "
                "patterns of leaf names, or give the fields other names"
            )
        chosen.append(name)
    return chosen


def _by_pattern(name: str, by: Mapping[str, Any]) -> str:
    for layer, patterns in by.items():
        patterns = [patterns] if isinstance(patterns, str) else patterns
        if name_fits(name, patterns):
            return layer
    raise ValueError(f'no pattern fits the leaf {name!r}; add a layer with "*" for the rest')
