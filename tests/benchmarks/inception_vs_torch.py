"""The Inception features of FID against PyTorch running the same network.

    python tests/benchmarks/inception_vs_torch.py [--layer mixed_7] [--images 64]

Both sides get the same uint8 images and the same random weights, BatchNorm folded, and resize,
normalize and run the whole network; PyTorch in inference mode and in both memory layouts. Before
the clock starts, the features are checked to agree.
"""

import functools

import numpy as np
import turns

from dcgan_tf.metrics.inception_network import weight_shapes

BATCH = 32
COMPARED = 2  # images


def random_weights(layer):
    random = np.random.default_rng(0)
    weights = {}
    for name, shape in weight_shapes(layer).items():
        deviation = 0.1 if len(shape) == 1 else np.sqrt(2 / np.prod(shape[:-1]))
        weights[name] = random.standard_normal(shape, np.float32) * np.float32(deviation)
    return weights


def batches_of(arguments):
    """Lists of uint8 images (32, 64, 64, 3)."""
    shape = (arguments.images, 64, 64, 3)
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    return np.split(images, range(BATCH, len(images), BATCH))


def prepare_ours(arguments):
    turns.tensorflow()
    from dcgan_tf.metrics import inception, inception_network

    layer, batches = arguments.layer, batches_of(arguments)
    network = inception.Inception(random_weights(layer))
    resized = np.array(inception_network.preprocess(batches[0][:COMPARED]))
    np.save(f"{arguments.folder}/resized.npy", resized.transpose(0, 3, 1, 2))

    def turn():
        list(network.features(batches, (layer,)))
        return arguments.images

    features = next(network.features(batches[:1], (layer,)))[layer][:COMPARED]
    return {"features": features}, turn


def prepare_torch(arguments, layout):
    import torch
    from torch_inception import TorchInception

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    layer, batches = arguments.layer, batches_of(arguments)
    network = TorchInception(random_weights(layer), layer, getattr(torch, layout))
    features = network(torch.from_numpy(np.load(f"{arguments.folder}/resized.npy")))

    def turn():
        for batch in batches:
            network(network.preprocess(batch))
        return arguments.images

    return {"features": features}, turn


def check(found):
    """Raise unless the features are the same to float tolerance."""
    ours, *others = [facts["features"] for facts in found.values()]
    for theirs in others:
        assert np.abs(ours - theirs).max() < 1e-4 * np.abs(ours).max(), "the networks differ"


def main():
    arguments = turns.parse(
        __doc__,
        images=(64, "in a turn; a multiple of 32"),
        layer=("pool_3", "or mixed_7"),
    )
    contenders = [turns.Contender("dcgan_tf", prepare_ours)]
    for name, layout in (("channels last", "channels_last"), ("NCHW", "contiguous_format")):
        prepare = functools.partial(prepare_torch, layout=layout)
        contenders.append(turns.Contender(f"torch, {name}", prepare))
    title = f"Inception features, {arguments.layer}, {turns.describe(arguments)}"
    turns.run(contenders, arguments, check, title)


if __name__ == "__main__":
    main()
