"""A DCGAN for faces at 64x64, in Keras 3 on TensorFlow.

What a program of your own uses is imported from here, and only when it is first named:
`import dcgan_tf` alone imports no TensorFlow.
"""

from importlib import import_module

__version__ = "0.1.0"

_ROOMS = {
    "Config": "common.config",
    "load_recipe": "common.config_file",
    "DCGAN": "models.gan",
    "Augment": "models.augment",
    "GradientPenalty": "models.penalties",
    "HalfLife": "models.average",
    "Hinge": "models.losses",
    "NonSaturating": "models.losses",
    "Relativistic": "models.losses",
    "UserError": "common.errors",
    "losses": "models.losses",
    "train": "train.library",
    "build_discriminator": "models.networks",
    "build_generator": "models.networks",
    "images_dataset": "data.dataset",
    "load_generator": "models.loading",
    "LossPlot": "train.callbacks.loss_plot",
    "ProgressGif": "train.callbacks.samples",
    "SampleGrid": "train.callbacks.samples",
    "Scores": "train.callbacks.scores",
}
__all__ = list(_ROOMS)


def __getattr__(name):
    if name not in _ROOMS:
        raise AttributeError(f"module 'dcgan_tf' has no attribute {name!r}")
    room = import_module(f"dcgan_tf.{_ROOMS[name]}")
    return room if _ROOMS[name].endswith(f".{name}") else getattr(room, name)


def __dir__():
    return [*globals(), *_ROOMS]
