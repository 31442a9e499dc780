"""Make the networks that come with the package from runs: smaller files, checked and scored.

    python docs/make_pretrained.py RUN [RUN ...] faces
    python -m dcgan_tf.evaluate --run dcgan_tf/pretrained/faces --data OTHERS.zip --against data \
        --features mixed_7 --samples 2000

G's weights are the mean over the runs; D and config.toml are the last run's. The runs must be parts
of one training, each continued from the one before: then the mean is often better than each of
them, as an EMA is (Izmailov et al. 2018, arXiv:1803.05407).

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


def make(runs: list[Run], target: Run):
    """Write config.toml, generator.keras and discriminator.keras, rounded and packed."""
    target.root.mkdir(parents=True, exist_ok=True)
    config = read_config(runs[-1].config)
    write_text(target.config, to_toml(without_places(config)))
    for sources, path in (
        ([run.generator for run in runs], target.generator),
        ([runs[-1].discriminator], target.discriminator),
    ):
        networks = [in_float32(load_network(source)) for source in sources]
        weights = zip(*(network.get_weights() for network in networks), strict=True)
        network = networks[-1]
        network.set_weights([rounded(np.mean(same, axis=0)) for same in weights])
        save_network(network, path, packed=True)
        print(f"{path}: {path.stat().st_size:,} bytes, {network.count_params():,} parameters")


if __name__ == "__main__":
    make([Run(run) for run in sys.argv[1:-1]], Run(FOLDER / sys.argv[-1]))
