"""One training step: ours against a plain Keras train_step and against PyTorch.

    python tests/benchmarks/step.py [--recipe celeba] [--width 0.25] [--threads 1]

All have the networks, batch, learning rates and dtype of the recipe, train D on real and on
generated images in two passes and then G, and start from the same weights. Before the clock starts,
the losses of three steps on the same images and latents are checked to agree, so gradients and Adam
do too. What only we have of a recipe (flips, an EMA of G, penalties, other losses) is left out but
for the row "all of the recipe".

"plain layers" is our step with the networks called as they are. The plain Keras step draws new
fakes for G, as Keras' own examples do; PyTorch takes D's again, as its tutorial and we do.
"""

import ctypes.util
import functools
import os
import shutil
from dataclasses import replace

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


def build_model(config):
    """Build the DCGAN as train.py does."""
    turns.tensorflow()
    from dcgan_tf.models.gan import DCGAN
    from dcgan_tf.train import devices

    devices.configure(config)
    with devices.open_strategy(config).scope():
        return DCGAN.from_config(config)


def random_batch(config, step=0):
    shape = (config.batch_size, config.image_size, config.image_size, config.channels)
    pixels = np.random.RandomState(step).randint(0, 256, shape, dtype=np.uint8)
    return {"image": pixels, "index": np.arange(len(pixels)) + step * len(pixels)}


def save_start(arguments, model):
    """Save the weights, and for each checked step images in G's range and our latents."""
    from dcgan_tf.models import noise
    from dcgan_tf.models.pixels import to_float

    arrays = {}
    for name, network in (("g", model.generator), ("d", model.discriminator)):
        arrays |= {f"{name}{i:03}": w.numpy() for i, w in enumerate(network.trainable_variables)}
    for step in range(CHECKED):
        data = random_batch(recipe(arguments), step)
        rng = noise.BatchRNG(model.seed, data["index"], model.batch_size)
        arrays[f"latents{step}"] = rng.normal(noise.LATENTS, model.generator.input_shape[-1])
        arrays[f"reals{step}"] = to_float(data["image"].astype(np.float32), model._range)
    np.savez(f"{arguments.folder}/start.npz", **arrays)


def load_start(arguments):
    """{"g": weights, "d": weights, "steps": [(images, latents)]}, as `save_start` saved them."""
    with np.load(f"{arguments.folder}/start.npz") as file:
        saved = dict(file)
    steps = [(saved[f"reals{i}"], saved[f"latents{i}"]) for i in range(CHECKED)]
    networks = {name: [saved[key] for key in sorted(saved) if key[0] == name] for name in "gd"}
    return {**networks, "steps": steps}


def facts(sizes, logs):
    """Facts that must be the same: trainable parameters, and the losses of the first steps."""
    losses = [[float(log["d_loss"]), float(log["g_loss"])] for log in logs]
    return {"parameters": list(map(int, sizes)), "losses": losses}


def prepare_ours(arguments, fast=True, whole=False):
    config = recipe(arguments, whole)
    model = build_model(config)
    if not fast:
        from dcgan_tf.models import gan

        gan.forward = lambda network, inputs: network(inputs, training=True)
    elif not whole:
        save_start(arguments, model)
    step = compile_step(model)
    logs = []
    for number in range(CHECKED):
        model.reset_metrics()
        logs.append(dict(step(repeat(random_batch(config, number)))))
    networks = (model.generator, model.discriminator)
    sizes = [sum(w.numpy().size for w in n.trainable_variables) for n in networks]
    return facts(sizes, logs), _turn(arguments, step, random_batch(config), config.batch_size)


def compile_step(model):
    """Return the step that `fit` calls, as it compiles it: a function of an iterator."""
    model.make_train_function()
    return model.train_function


def repeat(batch):
    import tensorflow as tf

    return iter(tf.data.Dataset.from_tensors(batch).repeat())


def _turn(arguments, step, batch, size):
    """Make a function that takes --steps steps and waits for the last."""
    batches = repeat(batch)

    def turn():
        for _ in range(arguments.steps):
            logs = step(batches)
        float(logs["g_loss"])
        return arguments.steps * size

    return turn


def prepare_keras(arguments):
    config = recipe(arguments)
    model = build_model(config)  # its networks are plain Keras
    start = load_start(arguments)
    for name, network in (("g", model.generator), ("d", model.discriminator)):
        for weight, array in zip(network.trainable_variables, start[name], strict=True):
            weight.assign(array)
    plain = plain_keras(model.generator, model.discriminator, config)
    logs = [plain.losses_of(*step) for step in start["steps"]]
    sizes = [sum(map(np.size, start[name])) for name in "gd"]
    reals = start["steps"][0][0]
    return facts(sizes, logs), _turn(arguments, compile_step(plain), reals, len(reals))


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


def prepare_torch(arguments, layout, compiled=False):
    import torch
    import torch_gan

    if compiled and not shutil.which(os.environ.get("CXX", "g++")):
        raise turns.Missing("torch.compile needs a C++ compiler")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config, start = recipe(arguments), load_start(arguments)
    if config.kernel_size != 4:
        raise turns.Missing("its networks in PyTorch have 4x4 kernels")
    device, layout = "cuda" if torch.cuda.is_available() else "cpu", getattr(torch, layout)
    gan = torch_gan.Gan(config, start, layout, compiled, device)
    steps = [
        (
            torch.from_numpy(reals).to(device).permute(0, 3, 1, 2).contiguous(memory_format=layout),
            torch.from_numpy(latents).to(device),
        )
        for reals, latents in start["steps"]
    ]
    logs = [gan.step(*step) for step in steps]
    reals = steps[0][0]

    def turn():
        for _ in range(arguments.steps):
            logs = gan.step(reals, torch.randn(len(reals), config.latent_dim, device=device))
        float(logs["g_loss"])
        return arguments.steps * len(reals)

    return facts(gan.sizes, logs), turn


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
    last, compiled = {"layout": "channels_last"}, {"layout": "channels_last", "compiled": True}
    rows = [
        ("dcgan_tf", prepare_ours, {}),
        ("dcgan_tf, all of the recipe", prepare_ours, {"whole": True}),
        ("dcgan_tf, plain layers", prepare_ours, {"fast": False}),
        ("plain Keras train_step", prepare_keras, {}),
        ("torch eager, NCHW", prepare_torch, {"layout": "contiguous_format"}),
        ("torch eager, channels last", prepare_torch, last),
        ("torch.compile, channels last", prepare_torch, compiled),
    ]
    if recipe(arguments) == recipe(arguments, whole=True):
        del rows[1]
    made = [turns.Contender(name, functools.partial(make, **own)) for name, make, own in rows]
    if allocator := ctypes.util.find_library("jemalloc"):
        env = {"LD_PRELOAD": allocator}
        made.append(turns.Contender(f"{made[-1].name}, jemalloc", made[-1].prepare, env))
    return made


def main():
    arguments = turns.parse(__doc__, **OPTIONS, steps=(5, "in a turn"))
    config = recipe(arguments)
    title = (
        f"training step: {arguments.recipe} at width {arguments.width:g}, {config.precision}, "
        f"batch {config.batch_size}, {turns.describe(arguments)} of {arguments.steps} steps"
    )
    agree = functools.partial(check, config=config)
    turns.run(contenders(arguments), arguments, agree, title)


if __name__ == "__main__":
    main()
