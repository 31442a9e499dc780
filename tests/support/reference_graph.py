"""A stand-in for classify_image_graph_def.pb: its nodes, ops, shapes and version, random constants.

The official graph cannot be stored here. This one is written down a second time, node by node and
apart from `dcgan_tf.inception`, and a v1 session evaluates it directly, batch norm and all.
"""

import numpy as np
import tensorflow as tf

from dcgan_tf.metrics.inception_network import weight_shapes


class ReferenceGraph:
    """Builds the GraphDef, node by node, from random constants."""

    def __init__(self, random):
        self.random, self.scaled = random, True
        self.graph_def = tf.compat.v1.GraphDef()
        # BatchNormWithGlobalNormalization exists only below version 9.
        self.graph_def.versions.producer = 8
        self.preprocessing()
        self.stem()
        for block in ("mixed", "mixed_1", "mixed_2"):
            self.block(block, [["conv"], ["tower/conv", "tower/conv_1"]], 2, "AvgPool")
        self.reduction("mixed_3", [["conv"], ["tower/conv", "tower/conv_1", "tower/conv_2"]])
        for i in (4, 5, 6, 7):
            towers = [["conv"], ["tower/conv", "tower/conv_1", "tower/conv_2"]]
            self.block(f"mixed_{i}", towers, 4, "AvgPool")
        towers = [["tower_1/conv", "tower_1/conv_1", "tower_1/conv_2", "tower_1/conv_3"]]
        self.reduction("mixed_8", [["tower/conv", "tower/conv_1"], *towers])
        self.wide_block("mixed_9", "AvgPool")
        self.wide_block("mixed_10", "MaxPool")
        self.classifier()

    def node(self, name, op, inputs=(), **attributes):
        node = self.graph_def.node.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            attribute = node.attr[key]
            if isinstance(value, np.ndarray):
                attribute.tensor.CopyFrom(tf.make_tensor_proto(value))
            elif isinstance(value, list):
                attribute.list.i.extend(value)
            elif isinstance(value, tf.DType):
                attribute.type = value.as_datatype_enum
            else:
                kinds = {bool: "b", float: "f", int: "i", bytes: "s"}
                setattr(attribute, kinds[type(value)], value)
        return name

    def constant(self, name, value):
        value = np.asarray(value)
        return self.node(name, "Const", dtype=tf.as_dtype(value.dtype), value=value)

    def normal(self, name, shape, deviation):
        values = self.random.standard_normal(shape, np.float32) * np.float32(deviation)
        return self.constant(name, values)

    def uniform(self, name, channels):
        return self.constant(name, self.random.uniform(0.5, 1.5, channels).astype(np.float32))

    def preprocessing(self):
        f, i = tf.float32, tf.int32
        self.node("DecodeJpeg/contents", "Placeholder", dtype=tf.string)
        self.node("DecodeJpeg", "DecodeJpeg", ["DecodeJpeg/contents"], channels=3)
        self.node("Cast", "Cast", ["DecodeJpeg"], SrcT=tf.uint8, DstT=f)
        self.constant("ExpandDims/dim", np.int32(0))
        self.node("ExpandDims", "ExpandDims", ["Cast", "ExpandDims/dim"], T=f, Tdim=i)
        self.constant("ResizeBilinear/size", np.array([299, 299], np.int32))
        self.node("ResizeBilinear", "ResizeBilinear", ["ExpandDims", "ResizeBilinear/size"], T=f)
        self.constant("Sub/y", np.float32(128))
        self.node("Sub", "Sub", ["ResizeBilinear", "Sub/y"], T=f)
        self.constant("Mul/y", np.float32(1 / 128))
        self.top = self.node("Mul", "Mul", ["Sub", "Mul/y"], T=f)

    def conv(self, x, name, stride=1, padding=b"SAME"):
        shape = weight_shapes()[f"{name}/kernel"]
        kernel = self.normal(f"{name}/conv2d_params", shape, np.sqrt(2 / np.prod(shape[:3])))
        strides = [1, stride, stride, 1]
        x = self.node(
            f"{name}/Conv2D",
            "Conv2D",
            [x, kernel],
            T=tf.float32,
            strides=strides,
            padding=padding,
        )
        norm, channels = f"{name}/batchnorm", shape[-1]
        inputs = [
            x,
            self.normal(f"{norm}/moving_mean", channels, 0.3),
            self.uniform(f"{norm}/moving_variance", channels),
            self.normal(f"{norm}/beta", channels, 0.3),
            self.uniform(f"{norm}/gamma", channels),
        ]
        # Both values of the attribute, one in every other layer: a reader has to look.
        self.scaled = not self.scaled
        self.node(
            norm,
            "BatchNormWithGlobalNormalization",
            inputs,
            T=tf.float32,
            variance_epsilon=0.01,
            scale_after_normalization=self.scaled,
        )
        return self.node(name, "Relu", [norm], T=tf.float32)

    def chain(self, x, block, names):
        for name in names:
            x = self.conv(x, f"{block}/{name}")
        return x

    def pool(self, x, name, op, size=3, stride=1, padding=b"SAME"):
        sizes, strides = [1, size, size, 1], [1, stride, stride, 1]
        return self.node(name, op, [x], T=tf.float32, ksize=sizes, strides=strides, padding=padding)

    def join(self, block, inputs):
        axis = self.constant(f"{block}/join/concat_dim", np.int32(3))
        inputs = [axis, *inputs]
        return self.node(f"{block}/join", "Concat", inputs, T=tf.float32, N=len(inputs) - 1)

    def stem(self):
        x = self.conv(self.top, "conv", 2, b"VALID")
        x = self.conv(x, "conv_1", 1, b"VALID")
        x = self.pool(self.conv(x, "conv_2"), "pool", "MaxPool", 3, 2, b"VALID")
        x = self.conv(self.conv(x, "conv_3", 1, b"VALID"), "conv_4", 1, b"VALID")
        self.top = self.pool(x, "pool_1", "MaxPool", 3, 2, b"VALID")

    def block(self, block, towers, last, pool):
        towers = [*towers, ["tower_1/conv", *(f"tower_1/conv_{i}" for i in range(1, last + 1))]]
        branches = [self.chain(self.top, block, tower) for tower in towers]
        pooled = self.pool(self.top, f"{block}/tower_2/pool", pool)
        self.top = self.join(block, [*branches, self.conv(pooled, f"{block}/tower_2/conv")])

    def reduction(self, block, towers):
        branches = []
        for *names, last in towers:
            x = self.chain(self.top, block, names)
            branches.append(self.conv(x, f"{block}/{last}", 2, b"VALID"))
        pooled = self.pool(self.top, f"{block}/pool", "MaxPool", 3, 2, b"VALID")
        self.top = self.join(block, [*branches, pooled])

    def wide_block(self, block, pool):
        branches = [self.conv(self.top, f"{block}/conv")]
        for tower, names in (("tower", ["conv"]), ("tower_1", ["conv", "conv_1"])):
            x = self.chain(self.top, f"{block}/{tower}", names)
            halves = [self.conv(x, f"{block}/{tower}/mixed/conv{i}") for i in ("", "_1")]
            branches.append(self.join(f"{block}/{tower}/mixed", halves))
        pooled = self.pool(self.top, f"{block}/tower_2/pool", pool)
        self.top = self.join(block, [*branches, self.conv(pooled, f"{block}/tower_2/conv")])

    def classifier(self):
        x = self.pool(self.top, "pool_3", "AvgPool", 8, 1, b"VALID")
        self.constant("pool_3/_reshape/shape", np.array([-1, 2048], np.int32))
        x = self.node("pool_3/_reshape", "Reshape", [x, "pool_3/_reshape/shape"], T=tf.float32)
        weights = self.normal("softmax/weights", (2048, 1008), 0.02)
        x = self.node("softmax/logits/MatMul", "MatMul", [x, weights], T=tf.float32)
        bias = self.normal("softmax/biases", 1008, 1)
        x = self.node("softmax/logits", "BiasAdd", [x, bias], T=tf.float32)
        self.node("softmax", "Softmax", [x], T=tf.float32)


def evaluate_directly(graph_def, images):
    """{layer: features} of uint8 images, from the GraphDef itself in a v1 session."""
    names = ("mixed_7/join:0", "pool_3/_reshape:0", "softmax/logits/MatMul:0")
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.import_graph_def(graph_def, name="")
        feeds = [{"ExpandDims:0": image[None].astype(np.float32)} for image in images]
        runs = [session.run(names, feed) for feed in feeds]  # the graph takes one at a time
    mixed_7, pool_3, logits = (np.concatenate(values) for values in zip(*runs, strict=True))
    return {"mixed_7": mixed_7.mean((1, 2)), "pool_3": pool_3, "logits": logits}
