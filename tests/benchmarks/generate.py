"""Pictures to PNG files: generate.py against `model.predict` and a loop over Pillow.

    python tests/benchmarks/generate.py [--n 10000] [--recipe celeba] [--width 0.25]

Both load the same generator, with the weights that it begins with, and write one file a picture.
TensorFlow is imported before the clock starts. Ours makes a grid of them too, and writes seed and
model into each file. The naive program holds all pictures in memory; what each has at most is told.
"""

import tempfile
from pathlib import Path

import numpy as np
import turns

from dcgan_tf.train.command import parse_training

COMPARED = 4  # pictures


def model_of(arguments):
    return Path(arguments.folder, "generator.keras")


def prepare_ours(arguments):
    turns.tensorflow()
    from dcgan_tf.generate.command import parse_generation
    from dcgan_tf.generate.generation import generate
    from dcgan_tf.models.networks import build_generator

    if not model_of(arguments).exists():
        flags = ["--config", arguments.recipe, "--width", str(arguments.width)]
        build_generator(parse_training(flags).config).save(model_of(arguments))

    def turn():
        out = tempfile.mkdtemp(dir=arguments.folder)
        flags = ["--model", str(model_of(arguments)), "--n", str(arguments.n), "--out", out]
        generate(parse_generation(flags))
        return arguments.n

    return _facts(arguments, turn, "*/images/*.png"), turn


def prepare_naive(arguments):
    turns.tensorflow()
    import keras
    from PIL import Image

    def turn():
        out = Path(tempfile.mkdtemp(dir=arguments.folder))
        model = keras.models.load_model(model_of(arguments))
        length = model.input_shape[1]
        latents = [np.random.RandomState(seed).randn(length) for seed in range(arguments.n)]
        pictures = model.predict(np.array(latents, np.float32), verbose=0)
        if arguments.recipe_range == "tanh":
            pictures = (pictures + 1) / 2
        for seed, picture in enumerate(np.clip(pictures * 255, 0, 255).round().astype(np.uint8)):
            Image.fromarray(picture.squeeze()).save(out / f"seed_{seed}.png")
        return arguments.n

    return _facts(arguments, turn, "*/seed_*.png"), turn


def _facts(arguments, turn, pattern):
    """How many files a turn writes, and the pixels of some."""
    from PIL import Image

    before = set(Path(arguments.folder).glob(pattern))
    turn()
    made = set(Path(arguments.folder).glob(pattern)) - before
    some = sorted(made, key=lambda path: int("".join(filter(str.isdigit, path.stem))))[:COMPARED]
    return {"count": len(made), "pixels": [np.array(Image.open(path)).tolist() for path in some]}


def check(found):
    """Raise unless as many pictures were written, and the first are the same to one grey level."""
    ours = next(iter(found.values()))
    for name, theirs in found.items():
        assert theirs["count"] == ours["count"], f"{name}: {theirs['count']} of {ours['count']}"
        np.testing.assert_allclose(theirs["pixels"], ours["pixels"], rtol=0, atol=1, err_msg=name)


def main():
    parser = turns.parser(
        __doc__,
        n=(1000, "images in a turn"),
        recipe=("celeba", "whose generator"),
        width=(0.25, "factor on its channels"),
    )
    turns.add_threads(parser)
    arguments = parser.parse_args()
    config = parse_training(["--config", arguments.recipe]).config
    arguments.recipe_range = config.output_activation
    contenders = [
        turns.Contender("dcgan_tf", prepare_ours),
        turns.Contender("model.predict and a loop", prepare_naive),
    ]
    title = f"{arguments.n:,} images to PNG: {arguments.recipe} at width {arguments.width:g}, "
    found = turns.run(contenders, arguments, check, title + turns.how(arguments))
    memory = {name: f"{own[-1].memory:,.0f} MB" for name, own in found.items()}
    print("  most memory: " + ", ".join(f"{name} {most}" for name, most in memory.items()))


if __name__ == "__main__":
    main()
