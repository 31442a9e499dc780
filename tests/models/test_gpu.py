"""Without a GPU: every operation of a step has a kernel there, and XLA compiles the step."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels, op_def_registry
from tiny_gan import PIXELS, tiny

from dcgan_tf.common.config_file import names
from dcgan_tf.common.labels import Labels
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.parts import set_precision

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
# Between them they have each loss, augmentation and kind of layer, and each precision.
EACH_CHANGE = {("celeba", "mixed_float16"), ("overnight", "float32"), ("radford", "mixed_bfloat16")}
ALL = [(name, precision) for name in names() for precision in PRECISIONS]

SHAPES = "sizes, which the host needs before it can launch anything"
ON_THE_HOST = {  # operations whose GPU kernel leaves its result in the host's memory, and why
    ("Const", "int32"): "axes and sizes that are known beforehand",
    **dict.fromkeys([("ShapeN", name) for name in ("float32", "bfloat16", "float16")], SHAPES),
    **dict.fromkeys(
        [
            (name, "int32")
            for name in ("StridedSlice", "Pack", "FloorDiv", "FloorMod", "ConcatOffset")
        ],
        SHAPES,
    ),
}


def types_of(node):
    """{attribute: its types} of a node."""
    found = {}
    for attribute in op_def_registry.get(node.op).attr:
        if attribute.type in ("type", "list(type)") and attribute.name in node.attr:
            value = node.attr[attribute.name]
            found[attribute.name] = {value.type} if value.type else {*value.list.type}
    return found


def gpu_kernel(node):
    """The kernel that a GPU would run, None where there is none."""
    types = types_of(node)
    for kernel in kernels.get_registered_kernels_for_op(node.op).kernel:
        fits = (
            types.get(rule.name, set()) <= {*rule.allowed_values.list.type}
            for rule in kernel.constraint
        )
        if kernel.device_type in ("GPU", "DEFAULT") and all(fits):
            return kernel
    return None


def nodes_of(function):
    graph = function.graph.as_graph_def()
    return [*graph.node, *(node for own in graph.library.function for node in own.node_def)]


def name_of(node):
    kinds = {name for types in types_of(node).values() for name in types}
    return node.op, min(tf.as_dtype(kind).name for kind in kinds)


@pytest.fixture
def step(monkeypatch):
    """Called with a recipe and a precision, for its train_step as on a GPU, and a batch."""

    def call(name, precision):
        config = tiny(name, precision=precision, jit="on")
        set_precision(config)
        monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["GPU:0"])
        rows = np.eye(2, dtype=np.uint8)[np.arange(config.batch_size) % 2]
        classes = config.labels == "class"
        labels = Labels.of(["dark", "light"], classes, rows) if config.labels else None
        model, size = DCGAN.from_config(config, labels=labels), config.image_size
        shape = (config.batch_size, size, size, config.channels)
        batch = {"image": tf.zeros(shape, tf.uint8), "index": tf.range(shape[0], dtype=tf.int64)}
        batch |= {"label": tf.constant(rows)} if labels else {}
        return tf.function(model.train_step, autograph=False, jit_compile=True), batch

    yield call
    keras.config.set_dtype_policy("float32")


def test_an_operation_without_a_kernel_would_be_found():
    with tf.Graph().as_default() as graph:
        tf.strings.length(tf.constant(["text"]))
        tf.linalg.expm(tf.constant([[7.0]]))
    found = {node.op for node in graph.as_graph_def().node if not gpu_kernel(node)}
    assert "StringLength" in found and "MatMul" not in found


@pytest.mark.parametrize(
    ("recipe", "precision"),
    [
        pytest.param(*case, marks=pytest.mark.slow if case in EACH_CHANGE else pytest.mark.nightly)
        for case in ALL
    ],
)
def test_a_step_stays_on_the_gpu_and_xla_compiles_it(step, recipe, precision):
    function, batch = step(recipe, precision)
    missing, hosted = set(), set()
    for node in nodes_of(function.get_concrete_function(batch)):
        kernel = gpu_kernel(node)
        if not kernel:
            missing.add(name_of(node))
            continue
        outputs = {output.name for output in op_def_registry.get(node.op).output_arg}
        if outputs and outputs <= {*kernel.host_memory_arg}:
            hosted.add(name_of(node))
    assert not missing, "these would run on the host"
    assert hosted <= {*ON_THE_HOST}
    program = function.experimental_get_compiler_ir(batch)(stage="hlo")
    assert not re.findall(r"\[[\d,]*<=", program), "sizes that are known only at run time"
    half = {"mixed_bfloat16": "bf16[", "mixed_float16": "f16["}.get(precision)
    assert "convolution(" in program and (not half or half in program)


@pytest.mark.nightly
@pytest.mark.parametrize("recipe", ["celeba", "mnist", "overnight", "radford"])
def test_three_steps_under_xla_are_those_without(recipe):
    batches = [PIXELS[step * 8 : step * 8 + 8] for step in range(3)]
    states, losses = [], []
    for jit in ("off", "on"):
        config = tiny(recipe, batch_size=8, jit=jit, g_learning_rate=1e-4, d_learning_rate=1e-4)
        model = DCGAN.from_config(config)
        size, channels = config.image_size, config.channels
        data = [batch[:, :size, :size, :channels] for batch in batches]
        model.fit(tf.data.Dataset.from_tensor_slices(data), verbose=0)
        losses.append({name: float(mean) for name, mean in model.get_metrics_result().items()})
        states.append([*model.generator.get_weights(), *model.discriminator.get_weights()])
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
    # Adam makes a whole step of the smallest gradient, so rounding may turn some round.
    apart = np.concatenate([np.abs(a - b).ravel() for a, b in zip(*states, strict=True)])
    assert apart.max() < 7e-4 and np.quantile(apart, 0.95) < 2e-5
