"""A training step on a GPU in every way that can be asked for, and PyTorch's beside it.

    python tests/benchmarks/gpu.py [--recipe celeba] [--width 1] [--batch-size 128] [--json FILE]
    python tests/benchmarks/gpu.py --table FILE    the table for docs/performance.md

Our step in float32 without and with TF32, in bfloat16 and in float16, each without and with XLA
(--jit), and PyTorch's, channels last, eager and compiled, likewise; then our batches alone, copied
to the device. As in step.py all begin with the same weights, and the losses of three steps are
checked to agree, as far as the precision lets them. Below the table: which share of the card's peak
it is, by the operations that cost.py counts. A card before Ampere has no TF32 and no bfloat16.
Without a GPU it runs on the processor, where TF32 is left out.
"""

import argparse
import functools
import json
import re
import statistics
from pathlib import Path

import numpy as np
import turns
from step import check, prepare_ours, prepare_torch, random_batch, recipe

PRECISIONS = {  # as the table has it: (--precision, whether TF32)
    "float32": ("float32", False),
    "TF32": ("float32", True),
    "bfloat16": ("mixed_bfloat16", True),
    "float16": ("mixed_float16", True),
}
SINCE_AMPERE = ("TF32", "bfloat16")
# Dense, 10^12 operations a second, as their maker states them: of float32, TF32, 16 bits.
PEAKS = {
    "H200 NVL": (60, 418, 835),
    "H200": (67, 495, 989),
    "H100 NVL": (60, 418, 835),
    "H100 PCIe": (51, 378, 756),
    "H100": (67, 495, 989),
    "A100": (19.5, 156, 312),
    "A10": (31.2, 62.5, 125),
    "L4": (30.3, 60, 121),
    "T4": (8.1, 0, 65),
}
INPUT = "batches on the device"


def asked(arguments, precision, jit="off"):
    """The arguments of step.py for one line of the table."""
    return argparse.Namespace(**vars(arguments) | {"precision": precision, "jit": jit})


def on_gpu(tf, tf32):
    """bool: whether there is a GPU; it computes with TF32 or without."""
    found = bool(tf.config.list_physical_devices("GPU"))
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    return found


def check_card(name, capability):
    """Raise Missing for a precision that a card has not; capability: None without a card."""
    if name == "TF32" and not capability:
        raise turns.Missing("TF32 is of NVIDIA's cards, and here is none")
    if name in SINCE_AMPERE and capability and tuple(capability) < (8, 0):
        raise turns.Missing(f"compute capability {capability[0]}.{capability[1]} has no {name}")


def prepare_dcgan(arguments, name, jit):
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    from dcgan_tf.common import cuda
    from dcgan_tf.models import xla

    gpus = xla.gpu_details()
    check_card(name, gpus[0]["compute_capability"] if gpus else None)
    precision, tf32 = PRECISIONS[name]
    on_gpu(tf, tf32)
    found, turn = prepare_ours(asked(arguments, precision, jit))
    made = {"tensorflow": tf.__version__, "driver": cuda.driver_version(), **cuda.loaded_versions()}
    card = gpus[0]["device_name"] if gpus else ""
    return found | {"card": card, "versions": made, "operations": operations(arguments)}, turn


def operations(arguments):
    """float: of one image in a step."""
    from cost import cost

    from dcgan_tf.models.networks import build_discriminator, build_generator

    config = recipe(asked(arguments, "float32"))
    return float(cost(build_generator(config), build_discriminator(config))[0])


def prepare_pytorch(arguments, name, compiled):
    import torch

    capability = torch.cuda.get_device_capability() if torch.cuda.is_available() else None
    check_card(name, capability)
    precision, tf32 = PRECISIONS[name]
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


def shares(found):
    """{name of a line: (peak, 10^12 operations a second; the share of it)} as far as known."""
    card = found["card"]
    own = next((peak for name, peak in PEAKS.items() if re.search(rf"\b{name}\b", card)), (0, 0, 0))
    peaks = dict(zip(PRECISIONS, (*own, own[-1]), strict=True))
    made = {}
    for name, speeds in found["images_per_second"].items():
        precision = name.rpartition(": ")[2]
        if peak := found["peak"] or peaks.get(precision):
            share = found["operations"] * statistics.median(speeds) / (peak * 1e12)
            made[name] = peak, share
    return {name: one for name, one in made.items() if ": " in name}


def print_shares(found):
    named = found["card"] or "the processor"
    if not (known := shares(found)):
        return print(f"\nno share of the peak: it is not known of {named}; --peak names one")
    print(f"\n{named}: {found['operations'] / 1e9:.2f} G operations an image; share of the peak")
    for name, (peak, share) in known.items():
        print(f"  {name:38}{peak:>6g} T/s{share:>9.1%}")


def print_table(found):
    """What --json wrote, as docs/performance.md has its tables."""
    versions = ", ".join(f"{name} {text}" for name, text in found["versions"].items() if text)
    print(f"{found['card'] or 'the processor'}; {versions}; {found['title']}\n")
    print("| | images/s, median | lowest to highest | share of the peak |\n|---|---|---|---|")
    known = shares(found)
    for name, speeds in found["images_per_second"].items():
        share = f"{known[name][1]:.1%}" if name in known else ""
        middle, low, high = statistics.median(speeds), min(speeds), max(speeds)
        print(f"| {name} | {middle:,.0f} | {low:,.0f} to {high:,.0f} | {share} |")


def main():
    parser = turns.parser(__doc__)
    turns.add_torch(parser)
    parser.add_argument("--recipe", default="celeba", help="networks [celeba]")
    parser.add_argument("--width", type=float, default=1.0, help="factor on the channels [1]")
    parser.add_argument("--batch-size", type=int, default=128, help="[128]")
    parser.add_argument("--steps", type=int, default=20, help="in a turn [20]")
    parser.add_argument("--peak", type=float, default=0, help="of the card, TFLOP/s [its maker's]")
    parser.add_argument("--json", default="", help="file for all that was measured")
    parser.add_argument("--table", default="", help="print such a file as a table, and do no more")
    parser.set_defaults(threads=0)
    arguments = parser.parse_args()
    if arguments.table:
        return print_table(json.loads(Path(arguments.table).read_text(encoding="utf-8")))
    seen = {}

    def remember(found):
        agree(found, arguments)
        seen.update(next((own for own in found.values() if "operations" in own), {}))

    with turns.folder_of(arguments):
        found = turns.compete(contenders(arguments), arguments, remember)
    title = f"training step: {arguments.recipe} at width {arguments.width:g}, "
    title += f"batch {arguments.batch_size}, {arguments.rounds} rounds of {arguments.steps} steps"
    turns.table(title, found, "images/s")
    if not seen:
        return
    speeds = {name: [one.work / one.seconds for one in own] for name, own in found.items()}
    facts = {name: seen[name] for name in ("card", "versions", "operations")}
    kept = facts | {"title": title, "peak": arguments.peak, "images_per_second": speeds}
    print_shares(kept)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
