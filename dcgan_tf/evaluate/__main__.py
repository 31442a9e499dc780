"""Run the command `evaluate`."""

from dcgan_tf.common.cli import run
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.log import speak
from dcgan_tf.common.start_tensorflow import start_tensorflow
from dcgan_tf.evaluate.command import parse_evaluation, without_flag


def main(argv=None):
    """Evaluate as the command line asks."""
    request = parse_evaluation(argv)
    speak("stderr" if request.json else "stdout")
    if request.list:
        from dcgan_tf.evaluate.score_table import list_runs

        return list_runs(request.places)
    from dcgan_tf.data.sources import check_named  # imports NumPy, slowly

    if request.run:
        check_named(read_config(request.run.config), request.data)
    for place in request.places:
        without_flag(check_named, Config(dataset="folder"), place)
    start_tensorflow()
    from dcgan_tf.evaluate import evaluation, memorization

    if request.run and request.memorization:
        return memorization.examine(request.run, request)
    return evaluation.evaluate(request)


if __name__ == "__main__":
    run(main)
