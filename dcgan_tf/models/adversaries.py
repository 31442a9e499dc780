"""Keras' compile, fit, saving and loading for two networks with an optimizer each."""

import keras
import tensorflow as tf

from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError
from dcgan_tf.models import parts
from dcgan_tf.models.batches import check_batch, checked, refusal_in
from dcgan_tf.models.optimizers import Pair

_NO_TEST = (
    "a GAN has no loss on other images; score what G makes with callbacks=[Scores(...)], or with "
    "python -m dcgan_tf.evaluate"
)


class Adversaries(keras.Model):
    """What DCGAN has from Keras, for its `generator` and its `discriminator`."""

    def compile(
        self,
        g_optimizer,
        d_optimizer,
        *,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: str | bool = "auto",
        auto_scale_loss: bool = True,
    ):
        """Set an optimizer, or its name, for each network; the rest as for keras.Model.compile.

        Callbacks find both in `model.optimizer.optimizers`: LearningRateScheduler and
        ReduceLROnPlateau set the rate of each on its own.
        """
        super().compile(
            optimizer=None,  # the default would be a stray RMSprop
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )
        scaled = auto_scale_loss and self.dtype_policy.name == "mixed_float16"
        self.optimizer = Pair(g_optimizer, d_optimizer, scaled)
        self.g_optimizer, self.d_optimizer = self.optimizer.optimizers
        # Built now, so that a checkpoint can restore the moments before the first step.
        self.g_optimizer.build(self.generator.trainable_variables)
        self.d_optimizer.build(self.discriminator.trainable_variables)

    def fit(self, x=None, **kwargs):
        """As keras.Model.fit, on a tf.data.Dataset of batches that the class describes.

        Raises:
            ValueError: no dataset, pictures that are not uint8, a batch of another size than
                `batch_size` or that the devices cannot share equally, or an index that is not a
                batch's own range of numbers (a shuffled one would draw latents twice).
        """
        replicas = self.distribute_strategy.num_replicas_in_sync
        if self.batch_size % replicas:
            raise ValueError(
                f"batch_size {self.batch_size}: cannot be shared equally by {replicas} devices; "
                f"make it a multiple of {replicas}"
            )
        # What is distributed already was made for the devices, as the training does.
        if not isinstance(x, tf.distribute.DistributedDataset):
            x = checked(x, self._batch_shape)
        if kwargs.get("validation_data") is not None or kwargs.get("validation_split"):
            raise ValueError(_NO_TEST)
        given = kwargs.get("callbacks")
        for callback in getattr(given, "callbacks", None) or keras.tree.flatten(given):
            if getattr(callback, "monitor", None) in ("d_loss", "g_loss"):  # a loss is minimized
                callback.mode = "min" if callback.mode == "auto" else callback.mode
        kwargs.setdefault("shuffle", False)  # a dataset is shuffled by who makes it
        try:
            return super().fit(x, **kwargs)
        except tf.errors.InvalidArgumentError as error:
            if refusal := refusal_in(error):
                raise ValueError(refusal) from None
            raise

    @property
    def _batch_shape(self):
        return self.batch_size, *self.generator.output_shape[1:]

    def train_on_batch(self, x, **kwargs):
        """One step on a batch as those of `fit`; returns what keras.Model.train_on_batch does."""
        check_batch(tf.nest.map_structure(tf.type_spec_from_value, x), self._batch_shape)
        return super().train_on_batch(x, **kwargs)

    def evaluate(self, *args, **kwargs):
        raise ValueError(_NO_TEST)

    test_on_batch = evaluate

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Both networks are built. Keras' own check reduces a batch over the workers, and
        TensorFlow cannot reduce a dict (Keras 3.15, TensorFlow 2.21)."""

    def get_config(self):
        parts = ("generator", "discriminator", "augment", "d_augment", "penalty", "average")
        kept = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in parts}
        plain = ("batch_size", "seed", "fresh_fakes")
        return {
            **{name: getattr(self, name) for name in plain},
            **kept,
            "loss": keras.saving.serialize_keras_object(self.loss_terms),
        }

    @classmethod
    def from_config(cls, config: Config | dict, **given):
        """A DCGAN from a Config, complete and compiled; Keras loads one from a dict.

        Args:
            config: all of it counts that says what a step does; data, files, `strategy` (call this
                in the scope of yours) and `deterministic` are for dcgan_tf.train.
            given: arguments of DCGAN in place of those of the config, such as a loss of your own,
                or `networks`, (generator, discriminator).
        """
        if isinstance(config, Config):
            if config.init_from:
                raise UserError(
                    f"got {config.init_from!r}; dcgan_tf.train loads it", param="init_from"
                )
            with parts.precision_of(config):
                model = cls(**parts.model_parts(config, given))
                model.compile(**parts.compile_parts(config))
            return model
        return cls(**{n: keras.saving.deserialize_keras_object(v) for n, v in config.items()})

    def get_compile_config(self):
        names = ("g_optimizer", "d_optimizer")
        return {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names}

    def compile_from_config(self, config):
        self.compile(**{n: keras.saving.deserialize_keras_object(v) for n, v in config.items()})
