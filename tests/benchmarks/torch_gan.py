"""The networks of a config in PyTorch, and a training step as its DCGAN tutorials have it."""

import math

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce


class _Map(nn.Module):
    """(n, size · size · channels) to (n, channels, size, size)."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x.unflatten(1, (-1, self.size, self.size))


def _normalize(config, channels):
    momentum = 1 - config.batchnorm_momentum
    return nn.BatchNorm2d(channels, eps=config.batchnorm_epsilon, momentum=momentum)


def generator(config):
    """nn.Sequential: latents (n, latent_dim) to pictures (n, channels, size, size)."""
    bias, size, before = config.use_bias, config.base_size, config.scaled(config.base_channels)

    def active():
        return nn.ReLU() if config.g_activation == "relu" else nn.LeakyReLU(config.leaky_slope)

    layers = [nn.Linear(config.latent_dim, size * size * before, bias=bias), _Map(size)]
    if config.base_batchnorm:
        layers += [_normalize(config, before), active()]
    for channels in map(config.scaled, config.g_channels):
        layers += [nn.ConvTranspose2d(before, channels, 4, 2, 1, bias=bias)]
        layers += [_normalize(config, channels), active()]
        before = channels
    if config.g_output == "transposed":
        layers += [nn.ConvTranspose2d(before, config.channels, 4, 2, 1, bias=bias)]
    else:
        layers += [nn.Conv2d(before, config.channels, 5, 1, 2, bias=bias)]
    last = nn.Sigmoid() if config.output_activation == "sigmoid" else nn.Tanh()
    return nn.Sequential(*layers, last)


def discriminator(config):
    """nn.Sequential: pictures to logits (n, 1)."""
    bias, before, layers = config.use_bias, config.channels, []
    for number, channels in enumerate(map(config.d_scaled, config.d_channels)):
        layers += [nn.Conv2d(before, channels, 4, 2, 1, bias=bias)]
        if config.d_norm == "batch" and (number or config.d_first_batchnorm):
            layers += [_normalize(config, channels)]
        layers += [nn.LeakyReLU(config.leaky_slope)]
        before = channels
    side = config.image_size // 2 ** len(config.d_channels)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side**2, 1, bias=bias))


def take(network, arrays):
    """Give a network Keras' trainable weights, in Keras' order and layout."""
    arrays = iter(arrays)
    for layer in network:
        for name, parameter in layer.named_parameters():
            array = torch.from_numpy(next(arrays))
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and name == "weight":
                array = array.permute(3, 2, 0, 1)
            elif isinstance(layer, nn.Linear):
                array = _of_linear(array, layer, name)
            with torch.no_grad():
                parameter.copy_(array)


def _of_linear(array, layer, name):
    """Keras' maps have their channels last, PyTorch's first."""
    if layer.out_features == 1:  # from a map to the logit
        return array if name == "bias" else _channels_first(array.T, layer.side)
    array = _channels_first(array, layer.side)
    return array if name == "bias" else array.T


def _channels_first(array, side):
    """(…, side · side · channels) to (…, channels · side · side)."""
    parts = array.unflatten(-1, (side, side, -1))
    return parts.movedim(-1, -3).flatten(-3)


class Gan:
    """Both networks, their Adams, and a step: D on reals and fakes, then G with the same fakes.

    Args:
        config: config.Config, resolved.
        start: {"g": arrays, "d": arrays}: Keras' weights.
        layout: torch.contiguous_format or torch.channels_last.
        compiled: torch.compile both networks.
        device: "cpu" or "cuda".
    """

    def __init__(self, config, start, layout, compiled, device="cpu"):
        g, d = generator(config), discriminator(config)
        g[0].side, d[-1].side = config.base_size, math.isqrt(d[-1].in_features // _channels(d))
        take(g, start["g"])
        take(d, start["d"])
        self.g, self.d = (network.to(device, memory_format=layout) for network in (g, d))
        self.weights = list(d.parameters())
        self.sizes = [sum(p.numel() for p in network.parameters()) for network in (g, d)]
        self.g_adam = _adam(config, g, config.g_learning_rate)
        self.d_adam = _adam(config, d, config.d_learning_rate)
        if compiled:
            self.g, self.d = torch.compile(self.g), torch.compile(self.d)
        self._device = device
        halves = {"mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}
        self._half = halves.get(config.precision)

    def step(self, reals, latents):
        """d_loss, g_loss: scalar tensors."""
        fakes = self._called(self.g, latents)
        self.d_adam.zero_grad()
        real_logits, fake_logits = self._called(self.d, reals), self._called(self.d, fakes.detach())
        d_loss = bce(real_logits, torch.ones_like(real_logits))
        d_loss = (d_loss + bce(fake_logits, torch.zeros_like(fake_logits))) / 2
        d_loss.backward()
        self.d_adam.step()
        self._learns(False)  # D's gradients by its weights would be thrown away
        self.g_adam.zero_grad()
        logits = self._called(self.d, fakes)
        g_loss = bce(logits, torch.ones_like(logits))
        g_loss.backward()
        self.g_adam.step()
        self._learns(True)
        return d_loss.detach(), g_loss.detach()

    def _called(self, network, inputs):
        with torch.autocast(self._device, self._half, enabled=self._half is not None):
            return network(inputs).float()

    def _learns(self, wanted):
        for weight in self.weights:
            weight.requires_grad_(wanted)


def _adam(config, network, rate):
    betas = (config.beta_1, config.beta_2)
    return torch.optim.Adam(network.parameters(), rate, betas, eps=1e-7, fused=True)


def _channels(d):
    return [layer.out_channels for layer in d if isinstance(layer, nn.Conv2d)][-1]
