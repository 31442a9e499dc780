"""compile, fit, metrics, saving and loading for two networks with an optimizer each."""

from dataclasses import asdict
from typing import Any, NoReturn, Self

import keras
import tensorflow as tf

from dcgan_tf.common import limits
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.labels import Labels, labels_of
from dcgan_tf.models import parts
from dcgan_tf.models.batches import check_batch, check_dataset, refusal_in
from dcgan_tf.models.chain import layers_of
from dcgan_tf.models.networks import MinibatchStd
from dcgan_tf.models.optimizers import Pair

_NO_TEST = (
    "a GAN has no loss on other images; score what G makes with callbacks=[Scores(...)], or with "
    "python -m dcgan_tf.evaluate"
)


class EpochMean(keras.metrics.Metric):
    """Mean over the steps of an epoch for a value that is the same on all devices.

    Keras' Mean keeps a share of its sum on each device: one worker cannot read it alone, and a
    restored sum is rounded where three devices share it.
    """

    def __init__(self, name: str):
        super().__init__(name=name)
        options = {"trainable": False, "aggregation": "only_first_replica"}
        self.total = keras.Variable("zeros", (), self.dtype, name="total", **options)
        self.count = keras.Variable("zeros", (), self.dtype, name="count", **options)

    def update_state(self, value: tf.Tensor) -> None:
        self.total.assign_add(tf.cast(value, self.dtype))
        self.count.assign_add(1)

    def result(self) -> Any:
        return keras.ops.divide_no_nan(self.total, self.count)


class Adversaries(keras.Model):
    """The Keras side of DCGAN, which has a `generator` and a `discriminator`."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.means = [EpochMean(name) for name in ("d_loss", "g_loss", "d_real", "d_fake")]
        # 0 or 1: this worker wants to stop; and the mean over all workers in the last step, which
        # is the same number for all, so all stop after the same step.
        self.wants_stop = tf.Variable(tf.zeros(()), trainable=False)
        same: Any = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.stop_wished = tf.Variable(tf.zeros(()), **same)
        self.diverged = tf.Variable(tf.zeros(3, tf.float64), **same)

    def compile(
        self,
        g_optimizer: Any,
        d_optimizer: Any,
        *,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: str | bool = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Set an optimizer, or its name, for each network; the rest as for keras.Model.compile.

        Callbacks such as LearningRateScheduler set the rate of each separately.
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

    def fit(self, x: Any = None, **kwargs: Any) -> keras.callbacks.History:
        """Train as keras.Model.fit does, on a tf.data.Dataset of batches for DCGAN.

        Raises:
            ValueError: a batch of another size than `batch_size`, or that the devices cannot share
                equally; for other batches see `check_dataset`.
        """
        replicas = self.distribute_strategy.num_replicas_in_sync
        if self.batch_size % replicas:
            raise ValueError(
                f"batch_size {self.batch_size}: cannot be shared equally by {replicas} devices; "
                f"make it a multiple of {replicas}"
            )
        share = self.batch_size // replicas
        for layer in layers_of(self.discriminator):
            if isinstance(layer, MinibatchStd) and share % layer.group_size:
                raise UserError(
                    f"groups of {layer.group_size} images do not divide a device's share of "
                    f"{share} (batch_size {self.batch_size}, {replicas} devices)",
                    param="d_minibatch_std",
                )
        # dcgan_tf.train makes distributed datasets, and has checked their batches.
        if not isinstance(x, tf.distribute.DistributedDataset):
            x = check_dataset(x, self._batch_shape, self.labels.n if self.labels else 0)
        if kwargs.get("validation_data") is not None:
            raise ValueError(_NO_TEST)
        given = kwargs.get("callbacks")
        callbacks = getattr(given, "callbacks", None) or keras.tree.flatten(given)
        if not all(isinstance(c, (keras.callbacks.Callback, type(None))) for c in callbacks):
            got = f"got {limits.shown(given)}, expected objects of keras.callbacks.Callback"
            raise UserError(got, param="callbacks")
        for callback in callbacks:  # a loss is minimized
            watched = getattr(callback, "monitor", "") in ("d_loss", "g_loss")
            if watched and getattr(callback, "mode", "") == "auto":
                callback.mode = "min"
        kwargs.setdefault("shuffle", False)  # the dataset does that
        try:
            history = super().fit(x, **kwargs)
        except tf.errors.InvalidArgumentError as error:
            if refusal := refusal_in(error):
                raise ValueError(refusal) from None
            raise
        if history.epoch and "d_loss" not in history.history:  # no step ran
            raise ValueError(f"fewer images than a batch of {self.batch_size}; give more of them")
        return history

    @property
    def labels(self) -> Labels | None:
        """The labels of the images; None without."""
        return labels_of(self.generator)

    @property
    def metrics(self) -> list[EpochMean]:
        return self.means

    @property
    def _batch_shape(self):
        return self.batch_size, *self.generator.output_shape[1:]

    def train_on_batch(self, x: Any, **kwargs: Any) -> Any:
        """Take one step on a batch as for `fit`; return what keras.Model does."""
        spec = tf.nest.map_structure(tf.type_spec_from_value, x)
        check_batch(spec, self._batch_shape, self.labels.n if self.labels else 0)
        return super().train_on_batch(x, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ValueError(_NO_TEST)

    test_on_batch = evaluate

    def count_images(self, share: Any) -> tf.Tensor:
        """Global indices of this device's `share` of a batch, from the number of D's steps."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        steps, optimizer = self.d_optimizer.iterations, self.d_optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if optimizer.gradient_accumulation_steps:  # which Keras counts as one
            steps = optimizer._iterations
        first = tf.cast(steps, tf.int64) * self.batch_size
        return first + tf.range(tf.cast(share, tf.int64)) + tf.cast(replica * share, tf.int64)

    def scale_loss(self, optimizer: Any, loss: tf.Tensor) -> tf.Tensor:
        # Gradients are summed over devices, so each device takes its share of the mean loss.
        return optimizer.scale_loss(loss / self.distribute_strategy.num_replicas_in_sync)

    def apply_gradients(self, optimizer: Any, gradients: list[Any], weights: list[Any]) -> None:
        # A bias before BatchNorm has no gradient (forward.py).
        pairs = list(zip(gradients, weights, strict=True))
        gradients = [tf.zeros(w.shape, w.dtype) if g is None else g for g, w in pairs]
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas > 1 and isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            # It skips a step by the gradients of one device, so all devices need the same ones.
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        optimizer.apply_gradients(zip(gradients, weights, strict=True))

    def update_means(self, step: Any, *values: tf.Tensor) -> dict[str, Any]:
        """Add this step's values, averaged over all devices, and return the logs."""
        context = tf.distribute.get_replica_context()
        # The wish to stop travels with the losses, which saves an exchange in every step.
        values = tf.stack([*values, tf.cast(self.wants_stop, values[0].dtype)])
        values = context.all_reduce(tf.distribute.ReduceOp.MEAN, values)
        self.stop_wished.assign(tf.cast(values[-1], tf.float32))
        # The first losses that are NaN or infinite, for callbacks that read seldom: reading a loss
        # in every step would make the host wait for the GPU.
        now = tf.concat([tf.cast([step], tf.float64), tf.cast(values[:2], tf.float64)], 0)
        first = (self.diverged[0] == 0) & ~tf.reduce_all(tf.math.is_finite(values[:2]))
        self.diverged.assign(tf.where(first, now, self.diverged))
        logs = {}
        for mean, value in zip(self.means, tf.unstack(values[:-1]), strict=True):
            mean.update_state(value)
            logs[mean.name] = mean.result()
        # Keras averages the logs of several workers over their first axis, so they need one there.
        strategy = self.distribute_strategy
        workers = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        if workers and strategy.extended._in_multi_worker_mode():  # as Keras asks
            return {name: value[None] for name, value in logs.items()}
        return logs

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None):
        """Do nothing, as both networks are built. Keras would reduce a batch over the workers, and
        TensorFlow cannot reduce a dict (Keras 3.15, TensorFlow 2.21)."""

    def get_config(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("batch_size", "seed", "fresh_fakes")}
        objects = {"loss": self.loss_terms}
        for name in ("generator", "discriminator", "augment", "d_augment", "penalty", "ema"):
            objects[name] = getattr(self, name)
        if self.labels:
            plain["labels"] = asdict(self.labels)
        for name, value in objects.items():
            try:
                plain[name] = keras.saving.serialize_keras_object(value)
            except TypeError:
                kind = f"{type(value).__name__} cannot be saved with the model"
                words = "give it get_config and from_config, and register it (docs/library.md)"
                raise UserError(f"{kind}; {words}", param=name) from None
        return plain

    @classmethod
    def from_config(cls, config: Config | dict[str, Any], **given: Any) -> Self:
        """Build and compile a DCGAN from a Config; Keras loads one from a dict.

        Args:
            config: its settings for data, files, `strategy` (call this in the scope of yours) and
                `deterministic` are for dcgan_tf.train, and have no effect here.
            given: arguments of DCGAN in place of those of the config, such as a loss of your own,
                or `networks`, (generator, discriminator); and `labels`, those of the images.
        """
        if isinstance(config, Config):
            if config.init_from:
                got = f"got {config.init_from!r}; dcgan_tf.train loads it"
                raise UserError(got, param="init_from")
            with parts.precision_of(config):
                return parts.build_model(cls, config, given)
        new = {"ema" if name == "average" else name: value for name, value in config.items()}
        labels = new.pop("labels", None)
        new = {n: keras.saving.deserialize_keras_object(v) for n, v in new.items()}
        new["generator"].labels = labels and Labels(**labels)
        return cls(**new)

    def get_compile_config(self) -> dict[str, Any]:
        if not self.compiled:
            return {}
        names = ("g_optimizer", "d_optimizer", "run_eagerly", "steps_per_execution", "jit_compile")
        return {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        if config:  # of a model that was compiled
            given = {n: keras.saving.deserialize_keras_object(v) for n, v in config.items()}
            self.compile(**given)
