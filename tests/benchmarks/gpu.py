"""A training step on a GPU in every way that can be asked for, and PyTorch's beside it.

    python tests/benchmarks/gpu.py [--recipe celeba] [--width 1] [--batch-size 128] [--peak TFLOPS]

Our step in float32 without and with TF32 and in bfloat16, each without and with XLA (--jit), and
PyTorch's, channels last, eager and compiled, likewise; then our batches alone, copied to the
device. As in step.py all begin with the same weights, and the losses of three steps are checked to
agree, as far as the precision lets them. Below the table: which share of the card's peak it is, by
the operations that cost.py counts. Without a GPU it runs on the processor, where TF32 is left out.
"""

import argparse
import functools
import re

import numpy as np
import turns
from step import check, prepare_ours, prepare_torch, random_batch, recipe

PRECISIONS = {  # as the table has it: (--precision, whether TF32)
    "float32": ("float32", False),
    "TF32": ("float32", True),
    "bfloat16": ("mixed_bfloat16", True),
}
# Dense, 10^12 operations a second, as their maker states them: of float32, TF32, bfloat16.
PEAKS = {
    "H200": (67, 495, 989),
    "H100 PCIe": (51, 378, 756),
    "H100": (67, 495, 989),
    "A100": (19.5, 156, 312),
    "A10": (31.2, 62.5, 125),
    "L4": (30.3, 60, 121),
}
INPUT = "batches on the device"


def asked(arguments, precision, jit="off"):
    """The arguments of step.py for one line of the table."""
    return argparse.Namespace(**vars(arguments) | {"precision": precision, "jit": jit})


def on_gpu(tf, tf32):
    """bool: whether there is a GPU; it computes with TF32 or without."""
    found = bool(tf.config.list_physical_devices("GPU"))
    if tf32 and not found:
        raise turns.Missing("TF32 is of NVIDIA's cards, and here is none")
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    return found


def prepare_dcgan(arguments, name, jit):
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    precision, tf32 = PRECISIONS[name]
    on_gpu(tf, tf32 and precision == "float32")
    found, turn = prepare_ours(asked(arguments, precision, jit))
    return found | {"card": card(tf), "operations": operations(arguments)}, turn


def card(tf):
    """str: the name of the first GPU, "" without one."""
    found = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(found[0])["device_name"] if found else ""


def operations(arguments):
    """float: of one image in a step."""
    from cost import cost

    from dcgan_tf.models.networks import build_discriminator, build_generator

    config = recipe(asked(arguments, "float32"))
    return float(cost(build_generator(config), build_discriminator(config))[0])


def prepare_pytorch(arguments, name, compiled):
    import torch

    precision, tf32 = PRECISIONS[name]
    if tf32 and precision == "float32" and not torch.cuda.is_available():
        raise turns.Missing("TF32 is of NVIDIA's cards, and here is none")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    return prepare_torch(asked(arguments, precision), "channels_last", compiled)


def prepare_input(arguments):
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    from dcgan_tf.data.pipeline import batches

    config = recipe(asked(arguments, "float32"))
    pixels = np.concatenate([random_batch(config, step)["image"] for step in range(16)])
    found = iter(batches(pixels, batch_size=config.batch_size, seed=0))
    device = "/GPU:0" if on_gpu(tf, False) else "/CPU:0"

    def turn():
        for _ in range(arguments.steps):
            with tf.device(device):
                image = tf.identity(next(found)["image"])
        image[0, 0, 0, 0].numpy()
        return arguments.steps * config.batch_size

    return {}, turn


def agree(found, arguments):
    """Raise unless all steps have the same losses, as far as the coarsest precision lets them."""
    steps = {name: own for name, own in found.items() if own}
    if steps:
        check(steps, recipe(asked(arguments, "mixed_bfloat16")))


def contenders(arguments):
    """list of turns.Contender."""
    made = []
    for name in PRECISIONS:
        for words, jit in (("dcgan_tf", "off"), ("dcgan_tf with XLA", "on")):
            prepare = functools.partial(prepare_dcgan, name=name, jit=jit)
            made.append(turns.Contender(f"{words}: {name}", prepare))
    for name in PRECISIONS:
        for words, compiled in (("torch eager", False), ("torch.compile", True)):
            prepare = functools.partial(prepare_pytorch, name=name, compiled=compiled)
            made.append(turns.Contender(f"{words}: {name}", prepare, arguments.torch_python))
    return [*made, turns.Contender(INPUT, prepare_input)]


def print_shares(speeds, seen, peak):
    """Which share of the card's peak each line is.

    Args:
        speeds: {name of a line: images/s}; seen: facts of one of our lines; peak: 10^12 operations
            a second of every precision, 0: as its maker states it.
    """
    named = seen["card"] or "the processor"
    peaks = next((own for name, own in PEAKS.items() if re.search(rf"\b{name}\b", named)), None)
    if not (peak or peaks):
        return print(f"\nno share of the peak: it is not known of {named}; --peak names one")
    print(f"\n{named}: {seen['operations'] / 1e9:.2f} G operations an image; share of the peak")
    peaks = dict(zip(PRECISIONS, [peak] * 3 if peak else peaks, strict=True))
    for name, speed in speeds.items():
        if precision := next((p for p in PRECISIONS if name.endswith(f": {p}")), None):
            share = seen["operations"] * speed / (peaks[precision] * 1e12)
            print(f"  {name:38}{peaks[precision]:>6g} T/s{share:>9.1%}")


def main():
    parser = turns.parser(__doc__)
    turns.add_torch(parser)
    parser.add_argument("--recipe", default="celeba", help="networks [celeba]")
    parser.add_argument("--width", type=float, default=1.0, help="factor on the channels [1]")
    parser.add_argument("--batch-size", type=int, default=128, help="[128]")
    parser.add_argument("--steps", type=int, default=20, help="in a turn [20]")
    parser.add_argument("--peak", type=float, default=0, help="of the card, TFLOP/s [its maker's]")
    parser.set_defaults(threads=0)
    arguments = parser.parse_args()
    seen = {}

    def remember(found):
        agree(found, arguments)
        seen.update(next((own for own in found.values() if "operations" in own), {}))

    with turns.folder_of(arguments):
        found = turns.compete(contenders(arguments), arguments, remember)
    title = f"training step: {arguments.recipe} at width {arguments.width:g}, "
    title += f"batch {arguments.batch_size}, {arguments.rounds} rounds of {arguments.steps} steps"
    turns.table(title, found, "images/s")
    if seen:
        print_shares(turns.speeds(found), seen, arguments.peak)


if __name__ == "__main__":
    main()
