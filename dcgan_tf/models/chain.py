"""Layers and outputs of functional, Sequential and nested networks. No TensorFlow."""

from collections.abc import Iterator
from typing import Any

from dcgan_tf.common.errors import UserError


def outputs_of(network: Any) -> list[Any]:
    """Return the symbolic outputs of a network; UserError if it has none."""
    if outputs := getattr(network, "outputs", None):
        return outputs
    if _is_plain(network):
        reason = (
            "is not built, so its layers have no shapes; begin it with keras.Input((latent_dim,))"
        )
    else:
        reason = (
            "is a subclassed model, whose layers cannot be seen; expected keras.Sequential or "
            "keras.Model(inputs, outputs)"
        )
    raise UserError(f"{network.name!r} ({type(network).__name__}) {reason}")


def origin(tensor: Any) -> tuple[Any, ...]:
    """Return the layer that made a symbolic tensor, and the node of its call."""
    layer, call, _ = tensor._keras_history
    return layer, layer._inbound_nodes[call]


def chain_of(network: Any) -> list[Any] | None:
    """List the layers of a network in which each is called once, on the output of the one before.

    Nested networks are replaced by their layers, and input layers are left out. None for other
    networks.
    """
    if not _is_plain(network) or not _is_single(network):
        return None
    chain, tensor = [], network.outputs[0]
    while tensor is not network.inputs[0]:
        layer, node = origin(tensor)
        # Other arguments would be lost, such as the 2 in `keras.ops.multiply(x, 2)`.
        more = [value for value in node.arguments.kwargs.values() if value is not None]
        ends = node.input_tensors, node.arguments.args, node.output_tensors
        if more or any(len(end) != 1 for end in ends):
            return None
        inner = chain_of(layer) if hasattr(layer, "layers") else [layer]
        if inner is None or not hasattr(layer, "weights"):
            return None
        chain, tensor = [*inner, *chain], node.input_tensors[0]
    return chain if len({id(layer) for layer in chain}) == len(chain) else None


def layers_of(network: Any) -> Iterator[Any]:
    """Iterate over layers and operations in order, including those of nested networks."""
    for layer in getattr(network, "operations", None) or getattr(network, "layers", []):
        if hasattr(layer, "layers"):
            yield from layers_of(layer)
        else:
            yield layer


def _is_plain(network: Any) -> bool:
    """Whether the class is from Keras: a subclass may compute anything in its call."""
    return hasattr(network, "layers") and type(network).__module__.startswith("keras.")


def _is_single(network: Any) -> bool:
    """Whether input and output are one tensor each, not a list or dict of one."""
    if type(network).__name__ == "Sequential":
        return bool(getattr(network, "outputs", None))
    ends = getattr(network, "input", None), getattr(network, "output", None)
    return all(hasattr(end, "shape") for end in ends)
