"""Train from a program of your own, with all that the command has."""

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dcgan_tf.common import limits
from dcgan_tf.common.cli import at_home
from dcgan_tf.common.config import Config, flag
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import Interrupted, UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.train.command import PATHS, Request, expand_home, fix_start, prepare, seen_from_run


def train(
    config: Config | None = None,
    *,
    data: str | os.PathLike | None = None,
    run: str | os.PathLike | None = None,
    loss=None,
    networks=None,
    callbacks: Sequence = (),
) -> Run:
    """Train in a run directory, which then has checkpoints, samples, curves, scores and a report.

    The same call with `run` resumes after an interruption, to the same bits; your callbacks begin
    anew.

    Args:
        config: the settings; None takes those of an existing `run`.
        data: as `config.data`: a folder or a zip of images, hf:NAME[:SPLIT[:COLUMN]], tfds or
            kaggle.
        run: the run directory, new or existing; None makes a numbered one in runs/.
        loss: an object as losses.py describes, or "module:Name".
        networks: (generator, discriminator), or a function that returns them, which several
            devices need. The config's image_size and channels must be theirs. With labels, latents
            end in the label, and the discriminator gives (n, 1 + labels).
        callbacks: keras.callbacks.Callback, called after those that record losses, samples and
            scores, and before those that write the checkpoint, the networks and the plots.

    Returns:
        The run, whose attributes are the paths in it.

    Raises:
        UserError: whatever the command would refuse.
        KeyboardInterrupt: Ctrl-C; the state is saved then.

    Examples:
        >>> import dcgan_tf
        >>> config = dcgan_tf.Config(
        ...     dataset="folder", epochs=1, batch_size=8, width=0.05, image_size=16, base_size=4,
        ...     g_channels=(8, 8), d_channels=(8, 8), sample_count=4, tensorboard=False,
        ... )
        >>> run = dcgan_tf.train(config, data="images", run="runs/first")
        >>> run.report.is_file(), dcgan_tf.load_generator(run.root).generate(seeds=range(2)).shape
        (True, (2, 16, 16, 3))
    """
    run_dir = None
    if run is not None:
        run_dir = Run(at_home(os.fspath(run)) if isinstance(run, str | os.PathLike) else run).root
    if data == "":
        raise UserError("got an empty text, expected a path", param="data")
    if config is None and run_dir:
        config = read_config(Run(run_dir).config)
    if not isinstance(config, Config):
        got = f"got {limits.shown(config)}, expected a Config, or none and a run to resume"
        raise UserError(got, param="config")
    listed = callbacks if isinstance(callbacks, Sequence) else [None]
    if not all(hasattr(type(each), "set_params") for each in listed):
        got = f"got {limits.shown(callbacks)}, expected a list of keras.callbacks.Callback"
        raise UserError(got, param="callbacks")
    parts = {"loss": loss, "networks": networks}
    given = {name: part for name, part in parts.items() if part is not None}
    named: dict[str, Any] = {n: _name_of(part, n == "loss") for n, part in given.items()}
    own = config if data is None else replace(config, data=data)
    paths = {n: expand_home(flag(n), getattr(own, n)) for n in PATHS if getattr(own, n)}
    if data is not None:
        paths |= seen_from_run(run_dir, {"data": paths["data"]})
    if "init_from" in paths:
        paths["init_from"] = fix_start(paths["init_from"], run_dir)
    config = replace(config, **named, **paths)
    request = Request(
        config=config,
        config_name=config.dataset,
        run_dir=run_dir,
        given={name: part for name, part in given.items() if not isinstance(part, str)},
        callbacks=tuple(callbacks),
        named=frozenset({"data"} if data is not None else ()),
        by_program=True,
    )
    request = prepare(request)
    from dcgan_tf.models.parts import precision_of
    from dcgan_tf.train.training import run_training
    from dcgan_tf.train.trial import choose_precision

    request = choose_precision(request)
    try:
        with precision_of(request.config):
            done, code = run_training(request)
        if not code:
            return done
    except Interrupted as stop:  # before there was anything to save
        code = stop.code
    if code == 128 + signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(code)


def _name_of(part, is_made: bool) -> str:
    """Name a program's part in config.toml: `module:Name`, `(...)` where that does not give it.

    `is_made` says whether the name stands for the class of an object, as for a loss.
    """
    if isinstance(part, str):
        return part
    kind = part if hasattr(part, "__qualname__") else type(part)
    again = kind is part or (is_made and not getattr(part, "__dict__", True))
    return f"{kind.__module__}:{kind.__qualname__}" + ("" if again else "(...)")
