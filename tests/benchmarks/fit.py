"""What a training adds to its steps: all of train.py's callbacks, against the compiled step alone.

    python tests/benchmarks/fit.py [--recipe celeba] [--width 0.25] [--subset 2000] [--epochs 3]

Both train the same networks on the same drawn faces from the same pack. A turn of the first row
is a `fit` of whole epochs with what train.py does in and after each: the lines of the log, curves,
sample grids, TensorBoard, checkpoints, and both networks at its end. The second calls the compiled
step as often and reads the last loss.
"""

import contextlib
import dataclasses
import functools

import turns

from dcgan_tf.train.command import parse_training

OPENED = contextlib.ExitStack()  # to the end of the process


def prepare(arguments, whole):
    """Open a training in a folder of its own, and make a turn of its epochs or steps."""
    turns.tensorflow()
    from dcgan_tf.train import devices, run_lock
    from dcgan_tf.train.build import build_callbacks
    from dcgan_tf.train.session import open_session, share_batches
    from dcgan_tf.train.signals import StopRequest

    root = f"{arguments.folder}/{'training' if whole else 'steps'}"
    flags = ["--config", arguments.recipe, "--dataset", "demo", "--epochs", "1000"]
    flags += ["--width", str(arguments.width), "--subset", str(arguments.subset)]
    request = parse_training([*flags, "--run", root, "--packs", f"{root}-packs"])
    stop, run = map(OPENED.enter_context, (StopRequest(), run_lock.claim(request)))
    session = open_session(request, run, stop, devices.worker(request.config), None)
    steps = arguments.epochs * session.journal.steps_per_epoch

    def fit():
        epochs = session.journal.epoch + arguments.epochs
        config = dataclasses.replace(session.config, epochs=epochs)
        dataclasses.replace(session, config=config).fit(callbacks)
        return steps * session.config.batch_size

    def call_step():
        for _ in range(steps):
            logs = session.model.train_function(batches)
        float(logs["g_loss"])
        return steps * session.config.batch_size

    if whole:
        callbacks = build_callbacks(session)
    else:
        session.model.make_train_function()
        batches = iter(share_batches(session.strategy, session.config, session.pack.pixels))
    return {"steps": steps}, fit if whole else call_step


def check(found):
    assert len({one["steps"] for one in found.values()}) <= 1, found


def main():
    arguments = turns.parse(
        __doc__,
        recipe=("celeba", "networks and batch"),
        width=(0.25, "factor on the channels"),
        subset=(2000, "drawn faces"),
        epochs=(3, "in a turn"),
    )
    contenders = [
        turns.Contender("train.py, all callbacks", functools.partial(prepare, whole=True)),
        turns.Contender("the compiled step alone", functools.partial(prepare, whole=False)),
    ]
    title = (
        f"training: {arguments.recipe} at width {arguments.width:g}, "
        f"{arguments.subset:,} images, {turns.describe(arguments)} of {arguments.epochs} epochs"
    )
    turns.run(contenders, arguments, check, title)


if __name__ == "__main__":
    main()
