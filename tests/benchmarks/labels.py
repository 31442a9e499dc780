"""Read the labels of generated images by a network that was trained on real ones.

    python tests/benchmarks/labels.py RUN --data LABELED [--held-out OTHERS] [--label-table FILE]

LABELED and OTHERS are images as `train --data` takes them, with labels as the run's; without
OTHERS, a tenth of LABELED is held out. Prints, for real held-out images and for generated ones, how
many the network reads as their label says: 100 for each class, or 500 with each attribute and 500
without.
"""

import argparse
from dataclasses import replace

import numpy as np
import turns

tf = turns.tensorflow()
import keras  # noqa: E402
from keras import layers  # noqa: E402

import dcgan_tf  # noqa: E402
from dcgan_tf.common.config import Config  # noqa: E402
from dcgan_tf.common.config_file import read_config  # noqa: E402
from dcgan_tf.common.labels import Labels  # noqa: E402
from dcgan_tf.common.runs import Run  # noqa: E402
from dcgan_tf.data.pack import open_pack  # noqa: E402
from dcgan_tf.data.sources import open_source  # noqa: E402

FIRST_SEED, OF_CLASS, OF_ATTRIBUTE = 1000, 100, 500
CHANNELS, EPOCHS = (24, 48, 96, 128), 8


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Run)
    parser.add_argument("--data", required=True, help="labeled images to train the network on")
    parser.add_argument("--held-out", help="labeled images of other people")
    parser.add_argument("--label-table", help="table of attributes, if not the run's")
    arguments = parser.parse_args()
    generator = dcgan_tf.load_generator(str(arguments.run.root))
    config = replace(read_config(arguments.run.config), subset=0)
    if arguments.label_table:
        config = replace(config, label_table=arguments.label_table)
    images, labels = read(config, arguments.data, generator.labels)
    if arguments.held_out:
        others = read(config, arguments.held_out, generator.labels)
    else:
        order = np.random.RandomState(0).permutation(len(images))
        out, rest = np.split(order, [len(order) // 10])
        others, (images, labels) = (images[out], labels[out]), (images[rest], labels[rest])
    network = train(images, labels, generator.labels.classes)
    for name, of_real, of_generated in rates(network, generator, *others):
        print(f"{name:<20} real {of_real:6.1%}  generated {of_generated:6.1%}", flush=True)


def read(config: Config, data: str, wanted: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 images (n, height, width, channels) and uint8 labels (n, names) of `data`."""
    config = replace(config, data=data)
    pack = open_pack(config, open_source(config), labeled=True)
    if pack.labels.names != wanted.names:
        names = (", ".join(each.names) for each in (pack.labels, wanted))
        raise SystemExit("{} has the labels {}; the run has {}".format(data, *names))
    return np.asarray(pack.pixels), pack.rows


def train(images: np.ndarray, labels: np.ndarray, classes: bool) -> keras.Model:
    """Train a small network with a logit for each name; of classes, the largest is chosen."""
    keras.utils.set_random_seed(0)
    parts = [layers.Rescaling(1 / 255)] + [layers.RandomFlip("horizontal")] * (not classes)
    for count in CHANNELS[: int(np.log2(images.shape[1] / 3))]:
        parts += [layers.Conv2D(count, 3, padding="same", use_bias=False)]
        parts += [layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D()]
    parts += [layers.Flatten(), layers.Dropout(0.4), layers.Dense(labels.shape[1])]
    network = keras.Sequential([layers.Input(images.shape[1:]), *parts])
    loss = keras.losses.CategoricalCrossentropy if classes else keras.losses.BinaryCrossentropy
    # To 0: at a constant rate the last steps alone decide how often each label is read.
    rate = keras.optimizers.schedules.CosineDecay(2e-3, EPOCHS * len(images) // 64)
    network.compile(keras.optimizers.AdamW(rate, weight_decay=1e-3), loss(from_logits=True))
    network.fit(images, labels.astype(np.float32), 64, EPOCHS, verbose=0)
    return network


def rates(network, generator, real, labels):
    """Yield a name, and the rates at which real and generated images are read as labeled."""
    names, classes = generator.labels.names, generator.labels.classes

    def right(images, of, value):
        logits = network.predict(images, batch_size=250, verbose=0)
        return np.mean(logits.argmax(axis=1) == of if classes else (logits[:, of] > 0) == value)

    def seeds(number, count):
        return range(FIRST_SEED + number * count, FIRST_SEED + (number + 1) * count)

    for k, name in enumerate(names):
        for value in (1,) if classes else (1, 0):
            label = name if classes else {name: value}
            number, count = (k, OF_CLASS) if classes else (2 * k + value, OF_ATTRIBUTE)
            made = generator.generate(seeds=seeds(number, count), label=label)
            own = right(real[labels[:, k] == value], k, value)
            yield f"{name}{'' if classes else f'={value}'}", own, right(made, k, value)


if __name__ == "__main__":
    main()
