"""Suggestions for misspelled flags and keys, and commands as a user types them.

Only close names are suggested: no suggestion is better than a wrong one.
"""

import difflib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from dcgan_tf.common import limits

_NEAR = 0.75  # of difflib's ratio: one or two letters in eight may differ

# Names in other programs, with dashes: flags here, suggested only if the command has them.
_SYNONYMS = {
    "lr learning-rate": ("--lr", "--g-learning-rate", "--d-learning-rate"),
    "g-lr lr-g": ("--g-learning-rate",),
    "d-lr lr-d": ("--d-learning-rate",),
    "beta beta1 b1 adam-beta1 momentum": ("--beta-1",),
    "beta2 b2 adam-beta2": ("--beta-2",),
    "latent latent-size z z-dim zdim z-size nz noise-dim": ("--latent-dim",),
    "continue resume-from": ("--resume",),
    "save-dir output-dir outdir out-dir out output logdir log-dir name "
    "results experiment run-dir run-name exp": ("--out", "--run"),
    "checkpoint ckpt checkpoint-path load load-from generator weights": ("--model", "--run"),
    "checkpoint-interval save-every save-freq save-interval": ("--checkpoint-every",),
    "sample-interval log-interval": ("--sample-every",),
    "size img-size imsize resolution res": ("--image-size", "--size", "--scale"),
    "n-epochs num-epochs epoch niter max-epochs steps iterations max-steps": ("--epochs",),
    "batch bs batchsize": ("--batch-size",),
    "amp fp16 bf16 dtype mixed-precision": ("--precision",),
    "xla compile": ("--jit",),
    "dataroot data-dir data-path dataset-path data-root input images": ("--data",),
    "nc num-channels n-channels": ("--channels",),
    "ngf gf-dim": ("--base-channels", "--g-channels"),
    "ndf df-dim": ("--d-channels",),
    "limit max-images num-images n-images num-samples": ("--n", "--samples", "--subset"),
    "manual-seed random-seed": ("--seed", "--seeds"),
    "pretrained init netg netd finetune": ("--init-from",),
    "label class classes num-classes n-classes conditional cond cgan": ("--labels", "--label"),
    "smoothing smooth": ("--label-smoothing",),
    "mirror hflip": ("--flip",),
    "diffaugment diff-augment ada": ("--augment",),
    "ema g-ema ema-decay moving-average": ("--average",),
    "gamma r1-gamma gp gradient-penalty lambda-gp": ("--r1", "--r2"),
    "spectral-norm spectral-normalization sn": ("--d-norm",),
    "scheduler lr-schedule lr-scheduler decay cosine": ("--lr-decay",),
    "gan-loss adversarial criterion": ("--loss",),
    "truncate trunc psi": ("--truncation",),
    "interp interpolation": ("--interpolate",),
    "report-to logger track": ("--tracker",),
}
_FLAGS = {name: flags for names, flags in _SYNONYMS.items() for name in names.split()}

# Flags that no command has: the answer.
_NO_FLAGS = {
    "gpu gpus gpu-id gpu-ids device devices cuda num-gpus ngpu n-gpus": (
        "GPUs are found and used; CUDA_VISIBLE_DEVICES=0 before the command chooses among them"
    ),
    "workers num-workers n-workers nw n-cpu": "not needed: all cores are used",
    "wandb weights-and-biases": "--tracker wandb records a training there",
    "trackio": "--tracker trackio records a training there",
    "video gif movie mp4": (
        "a run has progress.gif (--progress-format mp4), and generate --interpolate 3,17,42 "
        "--format mp4 goes from seed to seed"
    ),
    "fid kid metrics": (
        "evaluate scores a run, and --score-every 5 scores the samples of a training"
    ),
    "early-stopping patience": (
        "a GAN's losses do not say when to stop; --score-every 5 keeps the best generator in best/"
    ),
    "optimizer optim": (
        "both networks use Adam: --lr, --beta-1, --beta-2; for another see docs/library.md"
    ),
}
_ANSWERS = {name: text for names, text in _NO_FLAGS.items() for name in names.split()}

_SCRIPTS = {  # the commands of train.py and generate.py
    "train": "train.py",
    "generate": "generate.py",
    "resume": "train.py --resume",
    "check": "train.py --check",
}


def typed(command: str) -> str:
    """A command as the user types it: `dcgan train`, or `python train.py` in the project."""
    program = Path(sys.argv[0])
    if program.stem.split("-")[0] == "dcgan":  # dcgan-train is an older name of `dcgan train`
        return f"dcgan {command}".strip()
    ours = program.with_name("dcgan_tf").is_dir()  # else a user's own program, called train.py
    if ours and program.name in ("train.py", "generate.py") and command in _SCRIPTS:
        return f"python {_SCRIPTS[command]}"
    return f"python -m dcgan_tf {command}".strip()


def path_flag(flag: str, path) -> str:
    """A flag and its path for a shell, also for -x or with a blank in the name."""
    name = quoted([str(path)])
    return f"{flag}={name}" if name.startswith("-") else f"{flag} {name}"


def quoted(words: list[str]) -> str:
    """Write words for the shell: cmd.exe passes single quotes on."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def meant(name: str, known: Iterable[str]) -> str:
    """Guess which of the known flags or keys a name stands for; "" if none is close."""
    plain = {_plain(valid): valid for valid in known}
    wanted = _plain(name)
    called = [plain[flag[2:]] for flag in _FLAGS.get(wanted, ()) if flag[2:] in plain]
    near = difflib.get_close_matches(wanted, plain, n=1, cutoff=_NEAR)
    if called and wanted not in plain:
        return " or ".join(called)
    return plain[near[0]] if near else ""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The message for an unknown name."""
    hint = meant(name, known)
    answer = f"did you mean {hint}?" if hint else "see --help for the valid ones"
    return f"unknown {what} {limits.shorten(name)}; {_ANSWERS.get(_plain(name), answer)}"


def _plain(name):
    return name[: limits.VALUE_CHARACTERS].lstrip("-").replace("_", "-").lower()
