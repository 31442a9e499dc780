"""A DCGAN for faces at 64x64, in Keras 3 on TensorFlow.

Public names are imported on first use, so `import dcgan_tf` alone imports no TensorFlow.
"""

from importlib import import_module

__version__ = "0.1.0"

_ROOMS = {
    "Config": "common.config",
    "load_recipe": "common.config_file",
    "DCGAN": "models.gan",
    "Augment": "models.augment",
    "GradientPenalty": "models.penalties",
    "HalfLife": "models.ema",
    "Hinge": "models.losses",
    "NonSaturating": "models.losses",
    "Relativistic": "models.losses",
    "UserError": "common.errors",
    "losses": "models.losses",
    "train": "train.library",
    "build_discriminator": "models.networks",
    "build_generator": "models.networks",
    "images_dataset": "data.pipeline",
    "load_generator": "models.loading",
    "LossPlot": "train.callbacks.loss_plot",
    "ProgressGif": "train.callbacks.samples",
    "SampleGrid": "train.callbacks.samples",
    "Scores": "train.callbacks.scores",
}
__all__ = list(_ROOMS)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name):
    if name not in _ROOMS:
        raise AttributeError(f"module 'dcgan_tf' has no attribute {name!r}")
    module = f"dcgan_tf.{_ROOMS[name]}"
    if _ROOMS[name].startswith(("common.", "train.library")):  # without TensorFlow
        room = import_module(module)
    else:
        from dcgan_tf.common.start_tensorflow import import_quietly

        room = import_quietly(module)
    return room if _ROOMS[name].endswith(f".{name}") else getattr(room, name)


def __dir__():
    return [*globals(), *_ROOMS]
