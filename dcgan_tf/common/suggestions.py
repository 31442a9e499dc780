"""Suggestions for misspelled flags and keys, and commands as a user types them.

No hint rather than a wrong one: a name that merely looks a little alike is not offered.
"""

import difflib
import shlex
import sys
from pathlib import Path

from dcgan_tf.common import limits

_NEAR = 0.75  # of difflib's ratio: one or two letters in eight may differ

# What other programs call it (dashes for underscores): what it is called here. Of several flags
# those are named that the command has.
_MEANT = {
    "lr learning-rate": ("--g-learning-rate", "--d-learning-rate"),
    "g-lr lr-g lrg": ("--g-learning-rate",),
    "d-lr lr-d lrd": ("--d-learning-rate",),
    "beta beta1 b1 adam-beta1 momentum": ("--beta-1",),
    "beta2 b2 adam-beta2": ("--beta-2",),
    "latent latent-size latents-dim z z-dim zdim z-size nz noise-dim noise-size": ("--latent-dim",),
    "resume continue resume-from save-dir savedir save-path output-dir outdir out-dir out output "
    "logdir log-dir results exp-dir": ("--out", "--run"),
    "checkpoint ckpt ckpt-path checkpoint-path checkpoint-dir load load-from generator weights": (
        "--model",
        "--run",
    ),
    "checkpoint-interval save-every save-freq save-interval": ("--checkpoint-every",),
    "sample-interval log-interval sample-freq": ("--sample-every",),
    "size img-size imsize im-size imgsize resolution res": ("--image-size", "--size"),
    "n-epochs num-epochs epoch nepochs niter max-epochs steps iterations max-steps": ("--epochs",),
    "batch bs batchsize batch-sz mini-batch": ("--batch-size",),
    "amp fp16 bf16 dtype half mixed-precision": ("--precision",),
    "xla compile": ("--jit",),
    "dataroot data-dir datadir data-path dataset-path data-root input input-dir images": (
        "--data",
    ),
    "nc num-channels n-channels": ("--channels",),
    "ngf gf-dim g-filters": ("--base-channels", "--g-channels"),
    "ndf df-dim d-filters": ("--d-channels",),
    "limit max-images num-images n-images num-samples n-samples": (
        "--n",
        "--samples",
        "--subset",
    ),
    "manual-seed random-seed manualseed": ("--seed", "--seeds"),
    "pretrained init netg netd finetune": ("--init-from",),
    "smoothing smooth": ("--label-smoothing",),
    "mirror hflip": ("--flip",),
    "diffaugment diff-augment ada translation cutoff": ("--augment",),
    "ema g-ema ema-decay moving-average": ("--average",),
    "gamma r1-gamma gp gradient-penalty lambda-gp": ("--r1", "--r2"),
    "spectral-norm spectral-normalization sn": ("--d-norm",),
    "scheduler lr-schedule lr-scheduler decay cosine": ("--lr-decay",),
    "gan-loss adversarial criterion": ("--loss",),
    "truncate trunc psi": ("--truncation",),
    "interp interpolation": ("--interpolate",),
    "name experiment run-dir run-name exp": ("--run",),
}
_CALLED = {name: flags for names, flags in _MEANT.items() for name in names.split()}

# What is no flag here, and why.
_SAID = {
    "gpu gpus gpu-id gpu-ids device devices cuda num-gpus ngpu n-gpus": (
        "GPUs are found and used; CUDA_VISIBLE_DEVICES=0 before the command chooses among them"
    ),
    "workers num-workers n-workers nw n-cpu": "there is none: all cores are used",
}
_ANSWERS = {name: text for names, text in _SAID.items() for name in names.split()}


def typed(command):
    """str: what to type for `train`, `generate` or `evaluate`: as this program was called."""
    if Path(sys.argv[0]).stem.startswith("dcgan-"):
        return f"dcgan-{command}"
    return {"evaluate": "python -m dcgan_tf.evaluate"}.get(command, f"python {command}.py")


def path_flag(flag, path):
    """str: a flag and its path as a shell takes them, also for -x or with a blank in the name."""
    name = shlex.quote(str(path))
    return f"{flag}={name}" if name.startswith("-") else f"{flag} {name}"


def meant(name, known):
    """What a name that is not known was probably meant to be.

    Args:
        name: as it was typed, a flag or a key; known: the valid ones, of the same kind.

    Returns:
        str: one or several of the valid names, "" where nothing comes near.
    """
    plain = {_plain(valid): valid for valid in known}
    typed = _plain(name)
    called = [plain[flag[2:]] for flag in _CALLED.get(typed, ()) if flag[2:] in plain]
    near = difflib.get_close_matches(typed, plain, n=1, cutoff=_NEAR)
    if called and typed not in plain:
        return " or ".join(called)
    return plain[near[0]] if near else ""


def unknown(what, name, known):
    """str: the message for a name that is none of those that are known."""
    hint = meant(name, known)
    answer = f"did you mean {hint}?" if hint else "see --help for the valid ones"
    return f"unknown {what} {limits.shorten(name)}; {_ANSWERS.get(_plain(name), answer)}"


def _plain(name):
    return name[: limits.VALUE_CHARACTERS].lstrip("-").replace("_", "-").lower()
