"""The first kernel of a generator, and its first map after an activation."""

import keras
import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError
from dcgan_tf.models.chain import chain_of, layers_of
from dcgan_tf.models.sampling import compiled, in_batches

_BATCH = 256  # maps that are computed at once
_LINEAR = {"linear", None}


def first_kernel(generator: keras.Model) -> np.ndarray:
    """The matrix that a generator multiplies a latent with.

    Args:
        generator: keras.Model that takes latents (n, latent_dim).

    Returns:
        float64 (latent_dim, units).

    Raises:
        UserError: the first layer that has a kernel is no Dense on the latent itself.
    """
    layer = next((each for each in layers_of(generator) if hasattr(each, "kernel")), None)
    length = generator.inputs[0].shape[-1]
    if not isinstance(layer, keras.layers.Dense) or layer.kernel.shape[0] != length:
        found = f"{layer.name!r} ({type(layer).__name__})" if layer is not None else "none"
        raise UserError(
            f"its first layer with weights is {found}, expected a Dense of {length} inputs, the "
            "latent; directions are found only for generators that begin with one"
        )
    return np.asarray(layer.kernel, np.float64)


def first_maps(generator: keras.Model, latents: np.ndarray) -> np.ndarray:
    """The maps after a generator's first activation, where it stops being linear.

    Args:
        generator: keras.Model; latents: float (n, latent_dim).

    Returns:
        float32 (n, numbers of a map), in inference mode.

    Raises:
        UserError: it has no activation between its first layer and its picture, or the maps do
            not fit into the memory.
    """
    chain = chain_of(generator)
    layers = chain or generator.layers
    first = next((index for index, each in enumerate(layers[:-1]) if _activates(each)), None)
    if first is None:
        raise UserError("has no activation before its picture, so there is no first map")
    end = keras.layers.Flatten()
    if chain:  # of networks in a network too, whose layers know nothing of the latents
        z = keras.Input(generator.inputs[0].shape[1:])
        network = keras.Sequential([z, *layers[: first + 1], end])
    else:
        network = keras.Model(generator.input, end(layers[first].output))
    needed = 3 * 4 * len(latents) * network.output_shape[-1]  # as they come, centred, in a product
    if needed > limits.memory():
        raise UserError(
            f"the first maps of {len(latents):,} latents need about {limits.in_words(needed)} of "
            f"memory, this machine has {limits.in_words(limits.memory())}"
        )
    return np.concatenate(list(in_batches(compiled(network), latents, _BATCH)))


def _activates(layer):
    """bool: an activation, of its own or inside a layer."""
    kinds = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU, keras.layers.ELU)
    activation = getattr(layer, "activation", None)
    return isinstance(layer, kinds) or getattr(activation, "__name__", None) not in _LINEAR
