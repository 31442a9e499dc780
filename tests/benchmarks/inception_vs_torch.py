"""Speed of the Inception features against PyTorch running the same network, here and now.

    pip install torch
    python tests/benchmarks/inception_vs_torch.py [--layer mixed_7] [--rounds 7] [--pictures 64]

Both sides get the same uint8 pictures and the same random weights, batch norm folded, and resize,
normalise and run the whole network; PyTorch in inference mode and in both memory layouts. They take
turns, round by round, so that whatever else the machine does falls on all of them. Before the clock
starts, the features are checked to agree. About a minute on two cores.
"""

import argparse
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F

from dcgan_tf.metrics import inception
from dcgan_tf.metrics.inception_shapes import weight_shapes


def random_weights(layer):
    random = np.random.default_rng(0)
    weights = {}
    for name, shape in weight_shapes(layer).items():
        deviation = 0.1 if len(shape) == 1 else np.sqrt(2 / np.prod(shape[:-1]))
        weights[name] = random.standard_normal(shape, np.float32) * np.float32(deviation)
    return weights


class TorchInception:
    """The same network, NCHW or channels last, on torch tensors."""

    def __init__(self, weights, layer, layout):
        self.layer, self.layout, self.weights = layer, layout, {}
        for name, array in weights.items():
            tensor = torch.from_numpy(array)
            if tensor.ndim == 4:
                tensor = tensor.permute(3, 2, 0, 1).contiguous(memory_format=layout)
            self.weights[name] = tensor

    def preprocess(self, pictures):
        x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
        x = F.interpolate(x.contiguous(memory_format=self.layout), size=(299, 299), mode="bilinear")
        return (x - 128) * (1 / 128)

    def conv(self, x, name, stride=1, same=True):
        kernel = self.weights[f"{name}/kernel"]
        padding = [size // 2 for size in kernel.shape[2:]] if same else 0
        x = F.conv2d(x, kernel, self.weights[f"{name}/bias"], stride, padding)
        return F.relu(x, inplace=True)

    def convs(self, x, *names):
        for name in names:
            x = self.conv(x, name)
        return x

    def pooled(self, x, block):
        if block == "mixed_10":
            x = F.max_pool2d(x, 3, 1, 1)
        else:
            x = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return self.conv(x, f"{block}/tower_2/conv")

    def block(self, x, block, tower, tower_1):
        branches = [
            self.conv(x, f"{block}/conv"),
            self.convs(x, *(f"{block}/tower/conv{i}" for i in tower)),
            self.convs(x, *(f"{block}/tower_1/conv{i}" for i in tower_1)),
            self.pooled(x, block),
        ]
        return torch.cat(branches, 1)

    def wide_block(self, x, block):
        branches = [self.conv(x, f"{block}/conv")]
        tower = self.conv(x, f"{block}/tower/conv")
        tower_1 = self.convs(x, f"{block}/tower_1/conv", f"{block}/tower_1/conv_1")
        for y, name in ((tower, "tower"), (tower_1, "tower_1")):
            branches += [self.conv(y, f"{block}/{name}/mixed/conv{i}") for i in ("", "_1")]
        return torch.cat([*branches, self.pooled(x, block)], 1)

    @torch.inference_mode()
    def __call__(self, x):
        x = self.conv(x, "conv", 2, same=False)
        x = self.conv(x, "conv_1", same=False)
        x = F.max_pool2d(self.conv(x, "conv_2"), 3, 2)
        x = self.conv(self.conv(x, "conv_3", same=False), "conv_4", same=False)
        x = F.max_pool2d(x, 3, 2)
        for block in ("mixed", "mixed_1", "mixed_2"):
            x = self.block(x, block, ("", "_1"), ("", "_1", "_2"))
        tower = self.convs(x, "mixed_3/tower/conv", "mixed_3/tower/conv_1")
        tower = self.conv(tower, "mixed_3/tower/conv_2", 2, same=False)
        shrunk = F.max_pool2d(x, 3, 2)
        x = torch.cat([self.conv(x, "mixed_3/conv", 2, same=False), tower, shrunk], 1)
        for block in ("mixed_4", "mixed_5", "mixed_6", "mixed_7"):
            x = self.block(x, block, ("", "_1", "_2"), ("", "_1", "_2", "_3", "_4"))
        if self.layer == "mixed_7":
            return x.mean((2, 3)).numpy()
        tower = self.conv(self.conv(x, "mixed_8/tower/conv"), "mixed_8/tower/conv_1", 2, same=False)
        tower_1 = self.convs(x, *(f"mixed_8/tower_1/conv{i}" for i in ("", "_1", "_2")))
        tower_1 = self.conv(tower_1, "mixed_8/tower_1/conv_3", 2, same=False)
        x = torch.cat([tower, tower_1, F.max_pool2d(x, 3, 2)], 1)
        return self.wide_block(self.wide_block(x, "mixed_9"), "mixed_10").mean((2, 3)).numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layer", choices=("mixed_7", "pool_3"), default="pool_3")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pictures", type=int, default=64, help="per round; a multiple of 32")
    arguments = parser.parse_args()

    layer, weights = arguments.layer, random_weights(arguments.layer)
    shape = (arguments.pictures, 64, 64, 3)
    pictures = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    batches = np.split(pictures, range(inception.CHUNK, len(pictures), inception.CHUNK))
    network = inception.Inception(weights)
    last = TorchInception(weights, layer, torch.channels_last)
    first = TorchInception(weights, layer, torch.contiguous_format)

    resized = np.array(inception.preprocess(batches[0][:2])).transpose(0, 3, 1, 2).copy()
    ours = next(network.features(batches[:1], (layer,)))[layer][:2]
    theirs = last(torch.from_numpy(resized))
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(ours).max(), "the networks differ"

    sides = {
        "dcgan_tf": lambda: list(network.features(batches, (layer,))),
        "torch, channels last": lambda: [last(last.preprocess(b)) for b in batches],
        "torch, NCHW": lambda: [first(first.preprocess(b)) for b in batches],
    }
    times = {side: [] for side in sides}
    for warm in range(arguments.rounds + 1):
        for side, run in sides.items():
            start = time.perf_counter()
            run()
            if warm:
                times[side].append((time.perf_counter() - start) / len(pictures) * 1e3)

    print(f"{layer}, {torch.get_num_threads()} threads, {arguments.rounds} rounds, ms per picture:")
    medians = {side: statistics.median(values) for side, values in times.items()}
    for side, values in times.items():
        print(f"  {side:22} median {medians[side]:6.2f}  ({min(values):.2f} to {max(values):.2f})")
    fastest = min(median for side, median in medians.items() if side != "dcgan_tf")
    print(f"  the faster torch takes {fastest / medians['dcgan_tf']:.2f} times as long as dcgan_tf")


if __name__ == "__main__":
    main()
