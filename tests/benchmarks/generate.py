"""Images to PNG files: generate.py against `model.predict` and a loop over Pillow.

    python tests/benchmarks/generate.py [--n 10000] [--recipe celeba] [--width 0.25]

Both load the same generator, with its initial weights, and write one file an image. TensorFlow is
imported before the clock starts. Ours makes a grid of them too, and writes seed and model into each
file. The naive program holds all images in memory; the peak memory of both is printed.
"""

import tempfile
from pathlib import Path

import numpy as np
import turns

from dcgan_tf.train.command import parse_training

COMPARED = 4  # images


def prepare_ours(arguments):
    turns.tensorflow()
    from dcgan_tf.generate.command import parse_generation
    from dcgan_tf.generate.generation import generate
    from dcgan_tf.models.networks import build_generator

    path = f"{arguments.folder}/generator.keras"
    flags = ["--config", arguments.recipe, "--width", str(arguments.width)]
    build_generator(parse_training(flags).config).save(path)

    def turn():
        out = tempfile.mkdtemp(dir=arguments.folder)
        generate(parse_generation(["--model", path, "--n", str(arguments.n), "--out", out]))
        return arguments.n

    return _facts(arguments, turn, "*/images/*.png"), turn


def prepare_naive(arguments):
    turns.tensorflow()
    import keras
    from PIL import Image

    config = parse_training(["--config", arguments.recipe]).config

    def turn():
        out = tempfile.mkdtemp(dir=arguments.folder)
        model = keras.models.load_model(f"{arguments.folder}/generator.keras")
        length = model.input_shape[1]
        latents = [np.random.RandomState(seed).randn(length) for seed in range(arguments.n)]
        images = model.predict(np.array(latents, np.float32), verbose=0)
        if config.output_activation == "tanh":
            images = (images + 1) / 2
        for seed, image in enumerate(np.clip(images * 255, 0, 255).round().astype(np.uint8)):
            Image.fromarray(image.squeeze()).save(f"{out}/seed_{seed}.png")
        return arguments.n

    return _facts(arguments, turn, "*/seed_*.png"), turn


def _facts(arguments, turn, pattern):
    """Number of files that a turn writes, and the pixels of some."""
    from PIL import Image

    turn()
    made = list(Path(arguments.folder).glob(pattern))
    some = sorted(made, key=lambda path: int("".join(filter(str.isdigit, path.stem))))[:COMPARED]
    return {"count": len(made), "pixels": [np.array(Image.open(path)) for path in some]}


def check(found):
    """Raise unless as many images were written, and the first are the same to one gray level."""
    ours = next(iter(found.values()))
    for name, theirs in found.items():
        assert theirs["count"] == ours["count"], f"{name}: {theirs['count']} of {ours['count']}"
        pairs = np.int32(theirs["pixels"]), np.int32(ours["pixels"])
        np.testing.assert_allclose(*pairs, rtol=0, atol=1, err_msg=name)


def main():
    arguments = turns.parse(
        __doc__,
        n=(1000, "images in a turn"),
        recipe=("celeba", "its generator"),
        width=(0.25, "factor on its channels"),
    )
    contenders = [
        turns.Contender("dcgan_tf", prepare_ours),
        turns.Contender("model.predict and a loop", prepare_naive),
    ]
    title = f"{arguments.n:,} images to PNG: {arguments.recipe} at width {arguments.width:g}, "
    found = turns.run(contenders, arguments, check, title + turns.describe(arguments))
    memory = (f"{name} {own[-1].memory:,.0f} MB" for name, own in found.items())
    print("  peak memory: " + ", ".join(memory))


if __name__ == "__main__":
    main()
