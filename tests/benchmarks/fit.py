"""What a training adds to its steps: all of train.py's callbacks, against the compiled step alone.

    python tests/benchmarks/fit.py [--recipe celeba] [--width 0.25] [--subset 2000] [--epochs 3]

Both train the same networks on the same drawn faces from the same pack. A turn of the first line
is a `fit` of whole epochs with what train.py does in and after each: the lines of the log, curves,
sample grids, TensorBoard, checkpoints, and both networks at its end. The second calls the compiled
step as often and reads the last loss.
"""

import contextlib
from pathlib import Path

import turns

from dcgan_tf.train.command import parse_training


@contextlib.contextmanager
def session_of(arguments, name):
    """(session.Session, callbacks) of a training in a folder of its own."""
    turns.tensorflow()
    from dcgan_tf.train import devices, run_lock
    from dcgan_tf.train.build import build_callbacks
    from dcgan_tf.train.session import open_session
    from dcgan_tf.train.signals import StopRequest

    folder = Path(arguments.folder)
    request = parse_training(
        [
            *("--config", arguments.recipe, "--dataset", "demo", "--epochs", "1000"),
            *("--width", str(arguments.width), "--subset", str(arguments.subset)),
            *("--run", str(folder / name), "--packs", str(folder / f"{name}-packs")),
        ]
    )
    with StopRequest() as stop, run_lock.claim(request) as run:
        session = open_session(request, run, stop, devices.worker(request.config), None)
        yield session, build_callbacks(session)


def prepare_training(arguments):
    session, kept = arguments.stack.enter_context(session_of(arguments, "training"))

    def turn():
        session.fit_epochs(kept, session.journal.epoch + arguments.epochs)
        return images(session, arguments)

    return {"images": images(session, arguments)}, turn


def prepare_steps(arguments):
    from dcgan_tf.train.session import share_batches

    session, _ = arguments.stack.enter_context(session_of(arguments, "steps"))
    model = session.model
    model.make_train_function()
    batches = iter(share_batches(session.strategy, session.config, session.pack.pixels))

    def turn():
        for _ in range(arguments.epochs * session.journal.steps_per_epoch):
            logs = model.train_function(batches)
        float(logs["g_loss"])
        return images(session, arguments)

    return {"images": images(session, arguments)}, turn


def images(session, arguments):
    return arguments.epochs * session.journal.steps_per_epoch * session.config.batch_size


def check(found):
    assert len({one["images"] for one in found.values()}) <= 1, found


def main():
    parser = turns.parser(
        __doc__,
        recipe=("celeba", "networks and batch"),
        width=(0.25, "factor on the channels"),
        subset=(2000, "drawn faces"),
        epochs=(3, "in a turn"),
    )
    turns.add_threads(parser)
    arguments = parser.parse_args()
    contenders = [
        turns.Contender("train.py, all callbacks", prepare_training),
        turns.Contender("the compiled step alone", prepare_steps),
    ]
    title = (
        f"training: {arguments.recipe} at width {arguments.width:g}, "
        f"{arguments.subset:,} pictures, {turns.how(arguments)} of {arguments.epochs} epochs"
    )
    with contextlib.ExitStack() as arguments.stack:
        turns.run(contenders, arguments, check, title)


if __name__ == "__main__":
    main()
