"""What a training costs: operations and bytes of an image, by layer, and how long a recipe takes.

    python tests/benchmarks/cost.py [--recipe celeba] [--width 1] [--images 400000]

Counted from the networks, not measured. An operation is a multiplication or an addition; those of
convolutions and matrix products are counted, 3 passes of G for an image (forward, both gradients)
and 8 of D (reals and fakes, three each; for G's step one forward, one gradient). Bytes are those of
the maps in the precision of the layers: each is written and read some 6 times forward (convolution,
statistics, normalization, activation) and some 10 backward. The time on a machine is the longer of
operations at a share of its peak and bytes at a share of its bandwidth, but never less than it
takes to launch the operations of a step: a card that is fed small batches waits.
"""

import math

import turns
from step import OPTIONS, recipe

from dcgan_tf.common.progress import duration

FORWARD, BACKWARD = 6, 10  # how often a map is read or written
# (name, bytes of a number, peak operations a second, bytes a second), as their makers state them.
MACHINES = (
    ("NVIDIA T4, float32", 4, 8.1e12, 320e9),
    ("NVIDIA T4, mixed_float16", 2, 65e12, 320e9),
    ("NVIDIA H100 SXM, float32 (TF32)", 4, 495e12, 3350e9),
    ("NVIDIA H100 SXM, mixed_bfloat16", 2, 989e12, 3350e9),
)
# What such convolutions reach, and seconds to launch a step: guesses, and said to be some.
OF_PEAK, OF_BANDWIDTH, LAUNCH = 0.3, 0.6, 4e-3


def layers_of(network):
    """[(name, operations forward, numbers in the output)] of an image, in order."""
    found = []
    for layer in network.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is None:
            continue
        transposed = "Transpose" in type(layer).__name__
        places = (layer.input if transposed else layer.output).shape[1:-1]  # of the kernel
        operations = 2 * math.prod(places) * math.prod(kernel.shape)
        found.append((layer.name, operations, math.prod(layer.output.shape[1:])))
    return found


def cost(generator, discriminator):
    """(operations, numbers moved) of one image in one training step."""
    g, d = layers_of(generator), layers_of(discriminator)
    operations = 3 * sum(o for _, o, _ in g) + 8 * sum(o for _, o, _ in d)
    once = FORWARD + BACKWARD
    moved = once * sum(n for _, _, n in g) + 3 * once * sum(n for _, _, n in d)
    return operations, moved


def main():
    options = OPTIONS | {"width": (1.0, "factor on the channels")}
    arguments = turns.parse(__doc__, **options, images=(400_000, "seen in a run"))
    config = recipe(arguments)
    turns.tensorflow()
    from dcgan_tf.models.networks import build_discriminator, build_generator

    networks = build_generator(config), build_discriminator(config)
    print(f"{arguments.recipe} at width {arguments.width:g}, an image forward:")
    for letter, network in zip("GD", networks, strict=True):
        for name, operations, numbers in layers_of(network):
            print(f"  {letter} {name:<12}{operations / 1e6:>10,.1f} M operations{numbers:>12,} out")
    operations, moved = cost(*networks)
    print(f"a training step, an image: {operations / 1e9:.2f} G operations, {moved / 1e6:.1f} M")
    print(f"  numbers read or written; {arguments.images:,} images in batches")
    print(f"  of {config.batch_size} (computed from guesses, not measured):")
    for name, size, peak, bandwidth in MACHINES:
        seconds = max(operations / (OF_PEAK * peak), size * moved / (OF_BANDWIDTH * bandwidth))
        seconds = max(seconds, LAUNCH / config.batch_size)
        whole = duration(arguments.images * seconds)
        print(f"  {name:<34}{1 / seconds:>10,.0f} images/s{whole:>14}")


if __name__ == "__main__":
    main()
