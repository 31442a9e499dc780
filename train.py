"""Train a DCGAN: `python train.py --epochs 200 --subset 2000`."""

from dcgan_tf.common.errors import leave, run_command
from dcgan_tf.train.command import parse_training


def main(argv=None):
    request = parse_training(argv)  # bad input is refused before the seconds that TensorFlow takes
    from dcgan_tf.common.start_tensorflow import import_tensorflow

    import_tensorflow()
    from dcgan_tf.train.plan import print_plan
    from dcgan_tf.train.training import train

    return print_plan(request) if request.dry_run else train(request)


if __name__ == "__main__":
    leave(run_command(main))
