"""The Inception network of dcgan_tf.metrics in PyTorch."""

import torch
import torch.nn.functional as F


class TorchInception:
    """The same network, NCHW or channels last, on torch tensors."""

    def __init__(self, weights, layer, layout):
        self.layer, self.layout, self.weights = layer, layout, {}
        for name, array in weights.items():
            tensor = torch.from_numpy(array)
            if tensor.ndim == 4:
                tensor = tensor.permute(3, 2, 0, 1).contiguous(memory_format=layout)
            self.weights[name] = tensor

    def preprocess(self, images):
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
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
