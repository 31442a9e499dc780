"""One training step: ours against a plain Keras train_step and against PyTorch.

    python tests/benchmarks/step.py [--recipe celeba] [--width 0.25] [--threads 1] [--jemalloc]

Everybody has the networks, batch, learning rates and dtype of the recipe, trains D on reals and on
fakes in two passes and then G, and takes the same first weights, pictures and latents: before the
clock starts, the losses of three steps are checked to agree, so gradients and Adam do too. On the
clock each draws latents of its own. What only we have of a recipe (flips, an average of G,
penalties, other losses) is left out but for the line "all of the recipe".

"plain layers" is our step with the networks called as they are. The plain Keras step draws new
fakes for G, as Keras' own examples do; PyTorch takes D's again, as its tutorial and we do.
"""

import ctypes.util
import functools
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import turns

from dcgan_tf.train.command import parse_training

CHECKED = 3  # steps whose losses are compared
OPTIONS = {
    "recipe": ("celeba", "networks and batch"),
    "width": (0.25, "factor on the channels"),
    "batch_size": (0, "0: the recipe's"),
    "precision": ("float32", "or mixed_bfloat16"),
}


def recipe(arguments, whole=False):
    """Make the Config of --recipe, with only what every contender has unless `whole`."""
    flags = ["--config", arguments.recipe, "--width", str(arguments.width)]
    if arguments.batch_size:
        flags += ["--batch-size", str(arguments.batch_size)]
    flags += ["--precision", arguments.precision, "--jit", getattr(arguments, "jit", "auto")]
    config = parse_training(flags).config
    if config.d_norm == "spectral" or config.d_hidden or config.d_minibatch_std:
        raise SystemExit("error: --recipe: its D has no counterpart here")
    plain = {"flip": False, "augment": "", "average": "none", "loss": "non_saturating"}
    plain |= {"r1": 0.0, "r2": 0.0, "lr_decay": "none", "fresh_fakes": False}
    plain |= {"label_smoothing": 0.0, "label_noise": 0.0}
    return config if whole else replace(config, **plain)


def model_of(config):
    """Build the DCGAN as train.py does."""
    turns.tensorflow()
    from dcgan_tf.models.gan import DCGAN
    from dcgan_tf.train import devices

    devices.configure(config)
    with devices.open_strategy(config).scope():
        return DCGAN.from_config(config)


def random_batch(config, step=0):
    shape = (config.batch_size, config.image_size, config.image_size, config.channels)
    pictures = np.random.RandomState(step).randint(0, 256, shape, dtype=np.uint8)
    return {"image": pictures, "index": np.arange(len(pictures)) + step * len(pictures)}


def start(arguments, model=None):
    """What all begin with: the networks' weights, and for each checked step images and latents.

    Returns a dict: g, d: float32 arrays; steps: (images in G's range, latents) of each step.
    """
    path = f"{arguments.folder}/start.npz"
    if model:
        from dcgan_tf.models import noise
        from dcgan_tf.models.pixels import to_float

        arrays = {}
        for name, network in (("g", model.generator), ("d", model.discriminator)):
            found = network.trainable_variables
            arrays |= {f"{name}{i:03}": w.numpy() for i, w in enumerate(found)}
        for step in range(CHECKED):
            data = random_batch(recipe(arguments), step)
            rng = noise.BatchRNG(model.seed, data["index"], model.batch_size)
            latents = rng.normal(noise.LATENTS, model.generator.input_shape[-1])
            floats = to_float(data["image"].astype(np.float32), model._range)
            arrays |= {f"reals{step}": floats, f"latents{step}": latents}
        np.savez(path, **arrays)
    with np.load(path) as file:
        kept = dict(file)
    steps = [(kept[f"reals{i}"], kept[f"latents{i}"]) for i in range(CHECKED)]
    networks = {name: [kept[key] for key in sorted(kept) if key[0] == name] for name in "gd"}
    return {**networks, "steps": steps}


def facts(sizes, losses):
    """What must be the same: trainable parameters, and the losses of the first steps."""
    return {"parameters": list(map(int, sizes)), "losses": np.array(losses, float).tolist()}


def prepare_ours(arguments, fast=True, whole=False):
    config = recipe(arguments, whole)
    model = model_of(config)
    if not fast:
        from dcgan_tf.models import gan

        gan.forward = lambda network, inputs: network(inputs, training=True)
    if fast and not whole:
        start(arguments, model)
    step = compiled_step(model)
    losses = []
    for number in range(CHECKED):
        model.reset_metrics()
        logs = step(endless(random_batch(config, number)))
        losses.append([float(logs["d_loss"]), float(logs["g_loss"])])
    networks = (model.generator, model.discriminator)
    sizes = [sum(w.numpy().size for w in n.trainable_variables) for n in networks]
    return facts(sizes, losses), _turn(arguments, step, random_batch(config))


def compiled_step(model):
    """Return the step that `fit` calls, as it compiles it: a function of an iterator."""
    model.make_train_function()
    return model.train_function


def endless(batch):
    import tensorflow as tf

    return iter(tf.data.Dataset.from_tensors(batch).repeat())


def _turn(arguments, step, batch):
    """A function that takes so many steps and waits for the last."""
    dataset = endless(batch)

    def turn():
        for _ in range(arguments.steps):
            logs = step(dataset)
        float(logs["g_loss"])
        return arguments.steps * len(batch["index"] if isinstance(batch, dict) else batch)

    return turn


def prepare_keras(arguments):
    model, config = model_of(recipe(arguments)), recipe(arguments)  # its networks are plain Keras
    kept = start(arguments)
    plain = plain_keras(model.generator, model.discriminator, config)
    for name, network in (("g", model.generator), ("d", model.discriminator)):
        for weight, array in zip(network.trainable_variables, kept[name], strict=True):
            weight.assign(array)
    losses = []
    for reals, latents in kept["steps"]:
        logs = plain.losses_of(reals, latents)
        losses.append([float(logs["d_loss"]), float(logs["g_loss"])])
    sizes = [sum(map(np.size, kept[name])) for name in "gd"]
    reals = kept["steps"][0][0]
    return facts(sizes, losses), _turn(arguments, compiled_step(plain), reals)


def plain_keras(generator, discriminator, config):
    """A GAN as Keras' examples write it, with D's passes apart."""
    import keras
    import tensorflow as tf

    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.generator, self.discriminator = generator, discriminator
            self.compile()
            betas = (config.beta_1, config.beta_2)
            self.g_adam = keras.optimizers.Adam(config.g_learning_rate, *betas)
            self.d_adam = keras.optimizers.Adam(config.d_learning_rate, *betas)
            self.g_adam.build(generator.trainable_variables)
            self.d_adam.build(discriminator.trainable_variables)
            self.losses_of = tf.function(lambda reals, z: self.both(reals, lambda: z))

        def train_step(self, reals):
            shape = (tf.shape(reals)[0], config.latent_dim)
            return self.both(reals, lambda: tf.random.normal(shape))

        def both(self, reals, latents):
            with tf.GradientTape() as tape:
                fakes = generator(latents(), training=True)
                real_logits = discriminator(reals, training=True)
                fake_logits = discriminator(fakes, training=True)
                d_loss = cross_entropy(tf.ones_like(real_logits), real_logits)
                d_loss = (d_loss + cross_entropy(tf.zeros_like(fake_logits), fake_logits)) / 2
            weights = discriminator.trainable_variables
            self.d_adam.apply_gradients(zip(tape.gradient(d_loss, weights), weights, strict=True))
            with tf.GradientTape() as tape:
                logits = discriminator(generator(latents(), training=True), training=True)
                g_loss = cross_entropy(tf.ones_like(logits), logits)
            weights = generator.trainable_variables
            self.g_adam.apply_gradients(zip(tape.gradient(g_loss, weights), weights, strict=True))
            return {"d_loss": d_loss, "g_loss": g_loss}

    return Plain()


def prepare_torch(arguments, layout, compiled=False, allocator=None):
    import torch
    import torch_gan

    if compiled and not shutil.which(os.environ.get("CXX", "g++")):
        raise turns.Missing("torch.compile needs a C++ compiler")
    if allocator and not library(allocator):
        raise turns.Missing(f"no library {allocator}; Debian and Ubuntu: apt install libjemalloc2")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config, kept = recipe(arguments), start(arguments)
    layout = getattr(torch, layout)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    gan = torch_gan.Gan(config, kept, layout, compiled, device)

    def tensor(array):
        return torch.from_numpy(array).to(device)

    def pictures(array):
        return tensor(array).permute(0, 3, 1, 2).contiguous(memory_format=layout)

    steps = [(pictures(reals), tensor(latents)) for reals, latents in kept["steps"]]
    losses = [[float(loss) for loss in gan.step(*step)] for step in steps]
    reals = steps[0][0]

    def turn():
        for _ in range(arguments.steps):
            latents = torch.randn(len(reals), config.latent_dim, device=device)
            _, g_loss = gan.step(reals, latents)
        float(g_loss)
        return arguments.steps * len(reals)

    return facts(gan.sizes, losses), turn


def library(name):
    """Find a shared library for LD_PRELOAD; `name` may be a path."""
    return name if Path(name).is_file() else ctypes.util.find_library(name)


def check(found, config):
    """Raise unless all have as many parameters, and the same losses.

    The first is one before any step. Adam's first step is the sign of each gradient, the smallest
    included, times the learning rate, so from there on rounding shows in the fourth digit; in half
    precision sooner.
    """
    rate = max(config.g_learning_rate, config.d_learning_rate)
    first, later = (1e-5, 10 * rate) if config.precision == "float32" else (1e-2, 1e-1)
    ours = next(iter(found.values()))
    for name, theirs in found.items():
        assert theirs["parameters"] == ours["parameters"], f"{name}: {theirs} against {ours}"
        if "all of the recipe" not in name:
            expected, losses = np.array(ours["losses"]), np.array(theirs["losses"])
            np.testing.assert_allclose(losses[0, 0], expected[0, 0], first, err_msg=name)
            np.testing.assert_allclose(losses, expected, later, err_msg=name)


def contenders(arguments):
    made = [
        turns.Contender("dcgan_tf", prepare_ours),
        turns.Contender("dcgan_tf, plain layers", functools.partial(prepare_ours, fast=False)),
        turns.Contender("plain Keras train_step", prepare_keras),
    ]
    if recipe(arguments) != recipe(arguments, whole=True):
        prepare = functools.partial(prepare_ours, whole=True)
        made.insert(1, turns.Contender("dcgan_tf, all of the recipe", prepare))
    for name, layout, compiled in (
        ("torch eager, NCHW", "contiguous_format", False),
        ("torch eager, channels last", "channels_last", False),
        ("torch.compile, channels last", "channels_last", True),
    ):
        prepare = functools.partial(prepare_torch, layout=layout, compiled=compiled)
        made.append(turns.Contender(name, prepare, arguments.torch_python))
    if arguments.jemalloc:
        found = library(arguments.jemalloc)
        env = {"LD_PRELOAD": found} if found else {}
        prepare = functools.partial(prepare, allocator=arguments.jemalloc)
        name = "torch.compile, channels last, jemalloc"
        made.append(turns.Contender(name, prepare, arguments.torch_python, env))
    return made


def main():
    parser = turns.parser(__doc__, **OPTIONS, steps=(5, "in a turn"))
    turns.add_threads(parser)
    turns.add_torch(parser)
    text = "also with this allocator, [FILE]"
    parser.add_argument("--jemalloc", nargs="?", const="jemalloc", help=text)
    arguments = parser.parse_args()
    config = recipe(arguments)
    title = (
        f"training step: {arguments.recipe} at width {arguments.width:g}, {config.precision}, "
        f"batch {config.batch_size}, {turns.how(arguments)} of {arguments.steps} steps"
    )
    agree = functools.partial(check, config=config)
    turns.run(contenders(arguments), arguments, agree, title)


if __name__ == "__main__":
    main()
