"""Make the networks that come with the package from a run: smaller files, checked and scored.

    python docs/make_pretrained.py RUN faces
    python -m dcgan_tf.evaluate --run dcgan_tf/pretrained/faces --data OTHERS.zip --against data \
        --features mixed_7 --samples 2000

The networks compute in float32, whatever they were trained in: bfloat16 is slow where there is no
hardware for it. The weights are rounded to 8 bits after the point, one more than those of a
bfloat16, in files that Keras opens as it opens any other; what is scored is the rounded G. The
card, README.md, is written by hand.
"""

import sys

import numpy as np

from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.config_file import read_config, to_toml, without_places
from dcgan_tf.common.pretrained import FOLDER
from dcgan_tf.common.runs import Run
from dcgan_tf.models.loading import in_float32, load_network
from dcgan_tf.models.saving import save_network

DROPPED = 15  # of the 23 bits of a float32 after the point


def rounded(weights: np.ndarray) -> np.ndarray:
    """float32 of the same shape, to the nearest number that has zeros in the dropped bits."""
    bits = np.asarray(weights, np.float32).view(np.uint32)
    half = np.uint32(1 << (DROPPED - 1))
    return ((bits + half) & ~np.uint32((1 << DROPPED) - 1)).view(np.float32)


def make(run: Run, target: Run):
    """Write config.toml, generator.keras and discriminator.keras of a run, rounded and packed."""
    target.root.mkdir(parents=True, exist_ok=True)
    config = read_config(run.config)
    write_text(target.config, to_toml(without_places(config)))
    for source, path in (
        (run.generator, target.generator),
        (run.discriminator, target.discriminator),
    ):
        network = in_float32(load_network(source))
        network.set_weights([rounded(weights) for weights in network.get_weights()])
        save_network(network, path, packed=True)
        print(f"{path}: {path.stat().st_size:,} bytes, {network.count_params():,} parameters")


if __name__ == "__main__":
    make(Run(sys.argv[1]), Run(FOLDER / sys.argv[2]))
