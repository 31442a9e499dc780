"""The networks of a config in PyTorch, and a training step as its DCGAN tutorials have it."""

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce


def _normalize(config, channels):
    momentum = 1 - config.batchnorm_momentum
    return nn.BatchNorm2d(channels, eps=config.batchnorm_epsilon, momentum=momentum)


def generator(config):
    """nn.Sequential: latents (n, latent_dim) to images (n, channels, size, size)."""
    bias, size, before = config.use_bias, config.base_size, config.scaled(config.base_channels)

    def active():
        return nn.ReLU() if config.g_activation == "relu" else nn.LeakyReLU(config.leaky_slope)

    layers = [
        nn.Linear(config.latent_dim, size * size * before, bias=bias),
        nn.Unflatten(1, (before, size, size)),
    ]
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
    """nn.Sequential: images to logits (n, 1)."""
    bias, before, layers = config.use_bias, config.channels, []
    for number, channels in enumerate(map(config.d_scaled, config.d_channels)):
        layers += [nn.Conv2d(before, channels, 4, 2, 1, bias=bias)]
        if config.d_norm == "batch" and (number or config.d_first_batchnorm):
            layers += [_normalize(config, channels)]
        layers += [nn.LeakyReLU(config.leaky_slope)]
        before = channels
    side = config.image_size // 2 ** len(config.d_channels)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side**2, 1, bias=bias))


def load_weights(network, arrays, side):
    """Give a network Keras' trainable weights, in Keras' order and layout.

    Its linear layer has the places of a map (side, side) in its inputs or outputs: Keras' maps have
    their channels last, PyTorch's first.
    """
    arrays = iter(arrays)
    for layer in network:
        for name, parameter in layer.named_parameters():
            array = torch.from_numpy(next(arrays))
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and name == "weight":
                array = array.permute(3, 2, 0, 1)
            elif isinstance(layer, nn.Linear) and layer.out_features == 1:  # from a map to a logit
                array = array if name == "bias" else _channels_first(array.T, side)
            elif isinstance(layer, nn.Linear):
                array = _channels_first(array, side)
                array = array.T if name == "weight" else array
            with torch.no_grad():
                parameter.copy_(array)


def _channels_first(array, side):
    """(…, side · side · channels) to (…, channels · side · side)."""
    return array.unflatten(-1, (side, side, -1)).movedim(-1, -3).flatten(-3)


class Gan:
    """Both networks, their Adams, and a step: D on reals and fakes, then G with the same fakes.

    Args:
        config: config.Config, resolved.
        start: {"g": arrays, "d": arrays}: Keras' weights.
        layout: torch.contiguous_format or torch.channels_last.
        compiled: torch.compile both networks.
        device: "cpu" or "cuda".
    """

    def __init__(self, config, start, layout, compiled, device):
        g, d = generator(config), discriminator(config)
        load_weights(g, start["g"], config.base_size)
        load_weights(d, start["d"], config.image_size // 2 ** len(config.d_channels))
        self.g, self.d = (network.to(device, memory_format=layout) for network in (g, d))
        self.weights = list(d.parameters())
        self.sizes = [sum(p.numel() for p in network.parameters()) for network in (g, d)]
        rates = {g: config.g_learning_rate, d: config.d_learning_rate}
        betas = (config.beta_1, config.beta_2)
        self.g_adam, self.d_adam = (
            torch.optim.Adam(network.parameters(), rate, betas, eps=1e-7, fused=True)
            for network, rate in rates.items()
        )
        if compiled:
            self.g, self.d = torch.compile(self.g), torch.compile(self.d)
        self._device = device
        halves = {"mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}
        self._half = halves.get(config.precision)

    def step(self, reals, latents):
        """{"d_loss", "g_loss"}: scalar tensors."""
        fakes = self._call(self.g, latents)
        self.d_adam.zero_grad()
        real_logits, fake_logits = self._call(self.d, reals), self._call(self.d, fakes.detach())
        d_loss = bce(real_logits, torch.ones_like(real_logits))
        d_loss = (d_loss + bce(fake_logits, torch.zeros_like(fake_logits))) / 2
        d_loss.backward()
        self.d_adam.step()
        self._let_d_learn(False)  # D's gradients by its weights would be thrown away
        self.g_adam.zero_grad()
        logits = self._call(self.d, fakes)
        g_loss = bce(logits, torch.ones_like(logits))
        g_loss.backward()
        self.g_adam.step()
        self._let_d_learn(True)
        return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach()}

    def _call(self, network, inputs):
        with torch.autocast(self._device, self._half, enabled=self._half is not None):
            return network(inputs).float()

    def _let_d_learn(self, wanted):
        for weight in self.weights:
            weight.requires_grad_(wanted)
