"""A training step on a GPU in every precision, with and without XLA, against PyTorch.

    python tests/benchmarks/gpu.py [--recipe celeba] [--width 1] [--batch-size 128] [--json FILE]
    python tests/benchmarks/gpu.py --table FILE    the table for docs/performance.md

Our step in float32 without and with TF32, in bfloat16 and in float16, each without and with XLA
(--jit), and PyTorch's, channels last, eager and compiled, likewise; then our batches alone, copied
to the device. As in step.py all begin with the same weights, and the losses of three steps are
checked to agree, as far as the precision lets them. The share of the card's peak is computed from
the operations that cost.py counts. A card before Ampere has no TF32 and no bfloat16. Without a
GPU it runs on the processor, where TF32 is left out.
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
    """The arguments of step.py for one row of the table."""
    return argparse.Namespace(**vars(arguments) | {"precision": precision, "jit": jit})


def check_card(name, capability):
    """Raise Missing for a precision that a card has not; capability: None without a card."""
    if name == "TF32" and not capability:
        raise turns.Missing("TF32 needs an NVIDIA GPU")
    if name in SINCE_AMPERE and capability and tuple(capability) < (8, 0):
        raise turns.Missing(f"compute capability {capability[0]}.{capability[1]} has no {name}")


def prepare_dcgan(arguments, name, jit):
    tf = turns.tensorflow()
    from cost import cost

    from dcgan_tf.common import cuda
    from dcgan_tf.models import xla
    from dcgan_tf.models.networks import build_discriminator, build_generator

    gpu = next(iter(xla.gpu_details()), {"device_name": "", "compute_capability": None})
    check_card(name, gpu["compute_capability"])
    precision, tf32 = PRECISIONS[name]
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    found, turn = prepare_ours(asked(arguments, precision, jit))
    versions = {"tensorflow": tf.__version__, "driver": cuda.driver_version()}
    config = recipe(asked(arguments, "float32"))
    operations, _ = cost(build_generator(config), build_discriminator(config))
    found |= {"versions": versions | cuda.loaded_versions(), "operations": float(operations)}
    return found | {"card": gpu["device_name"] or turns.machine()}, turn


def prepare_pytorch(arguments, name, compiled):
    import torch

    capability = torch.cuda.get_device_capability() if torch.cuda.is_available() else None
    check_card(name, capability)
    precision, tf32 = PRECISIONS[name]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    return prepare_torch(asked(arguments, precision), "channels_last", compiled)


def prepare_input(arguments):
    tf = turns.tensorflow()
    from dcgan_tf.data.pipeline import batches

    config = recipe(asked(arguments, "float32"))
    pixels = np.concatenate([random_batch(config, step)["image"] for step in range(16)])
    found = iter(batches(pixels, batch_size=config.batch_size, seed=0))
    device = "/GPU:0" if tf.config.list_physical_devices("GPU") else "/CPU:0"

    def turn():
        for _ in range(arguments.steps):
            with tf.device(device):
                image = tf.identity(next(found)["image"])
        image[0, 0, 0, 0].numpy()
        return arguments.steps * config.batch_size

    return {}, turn


def contenders():
    """list of turns.Contender."""
    rows = [
        ("dcgan_tf", prepare_dcgan, {"jit": "off"}),
        ("dcgan_tf with XLA", prepare_dcgan, {"jit": "on"}),
        ("torch eager", prepare_pytorch, {"compiled": False}),
        ("torch.compile", prepare_pytorch, {"compiled": True}),
    ]
    made = [
        turns.Contender(f"{words}: {name}", functools.partial(prepare, name=name, **own))
        for words, prepare, own in rows
        for name in PRECISIONS
    ]
    return [*made, turns.Contender(INPUT, prepare_input)]


def shares(found):
    """{name of a row: share of the card's peak}, as far as the peak is known."""
    card = found["card"]
    own = next((peak for name, peak in PEAKS.items() if re.search(rf"\b{name}\b", card)), (0, 0, 0))
    peaks = dict(zip(PRECISIONS, (*own, own[-1]), strict=True))
    made = {}
    for name, speeds in found["images_per_second"].items():
        peak = found["peak"] or peaks.get(name.rpartition(": ")[2])
        if peak and name != INPUT:
            made[name] = found["operations"] * statistics.median(speeds) / (peak * 1e12)
    return made


def print_table(found):
    """Print what --json saves, as docs/performance.md has its tables."""
    versions = ", ".join(f"{name} {text}" for name, text in found["versions"].items() if text)
    print(f"{found['card']}; {versions}; {found['title']}\n")
    print("| | images/s, median | lowest to highest | share of the peak |\n|---|---|---|---|")
    known = shares(found)
    for name, speeds in found["images_per_second"].items():
        share = f"{known[name]:.1%}" if name in known else ""
        middle, low, high = statistics.median(speeds), min(speeds), max(speeds)
        print(f"| {name} | {middle:,.0f} | {low:,.0f} to {high:,.0f} | {share} |")


def main():
    arguments = turns.parse(
        __doc__,
        recipe=("celeba", "networks"),
        width=(1.0, "factor on the channels"),
        batch_size=(128, "images"),
        steps=(20, "in a turn"),
        peak=(0.0, "of the card, TFLOP/s, 0: as its maker states it"),
        json=("", "file for all that was measured"),
        table=("", "print such a file as a table, and do no more"),
    )
    if arguments.table:
        return print_table(json.loads(Path(arguments.table).read_text(encoding="utf-8")))
    title = f"training step: {arguments.recipe} at width {arguments.width:g}, "
    title += f"batch {arguments.batch_size}, {arguments.rounds} rounds of {arguments.steps} steps"
    measured = {"title": title, "peak": arguments.peak, "card": turns.machine()}
    measured |= {"versions": {}, "operations": 0.0}

    def check_and_remember(found):
        if steps := {name: own for name, own in found.items() if name != INPUT}:
            check(steps, recipe(asked(arguments, "mixed_bfloat16")))  # the coarsest precision
            ours = next(iter(steps.values()))
            measured.update({name: ours[name] for name in measured.keys() & ours.keys()})

    found = turns.compete(contenders(), arguments, check_and_remember)
    speeds = {name: [one.work / one.seconds for one in own] for name, own in found.items()}
    measured["images_per_second"] = speeds
    print_table(measured)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
