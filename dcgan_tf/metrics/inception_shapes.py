"""Names and shapes of the weights of the Inception network of 2015."""

SOFTMAX = "softmax/weights"
SOFTMAX_SHAPE = (2048, 1008)


def _shapes_to_mixed_7():
    """{convolution: HWIO shape of its kernel}, in the order of the graph."""
    shapes = {
        "conv": (3, 3, 3, 32),
        "conv_1": (3, 3, 32, 32),
        "conv_2": (3, 3, 32, 64),
        "conv_3": (1, 1, 64, 80),
        "conv_4": (3, 3, 80, 192),
    }
    for block, channels, pooled in (("mixed", 192, 32), ("mixed_1", 256, 64), ("mixed_2", 288, 64)):
        shapes |= {
            f"{block}/conv": (1, 1, channels, 64),
            f"{block}/tower/conv": (1, 1, channels, 48),
            f"{block}/tower/conv_1": (5, 5, 48, 64),
            f"{block}/tower_1/conv": (1, 1, channels, 64),
            f"{block}/tower_1/conv_1": (3, 3, 64, 96),
            f"{block}/tower_1/conv_2": (3, 3, 96, 96),
            f"{block}/tower_2/conv": (1, 1, channels, pooled),
        }
    shapes |= {
        "mixed_3/conv": (3, 3, 288, 384),
        "mixed_3/tower/conv": (1, 1, 288, 64),
        "mixed_3/tower/conv_1": (3, 3, 64, 96),
        "mixed_3/tower/conv_2": (3, 3, 96, 96),
    }
    for block, inner in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):
        shapes |= {
            f"{block}/conv": (1, 1, 768, 192),
            f"{block}/tower/conv": (1, 1, 768, inner),
            f"{block}/tower/conv_1": (1, 7, inner, inner),
            f"{block}/tower/conv_2": (7, 1, inner, 192),
            f"{block}/tower_1/conv": (1, 1, 768, inner),
            f"{block}/tower_1/conv_1": (7, 1, inner, inner),
            f"{block}/tower_1/conv_2": (1, 7, inner, inner),
            f"{block}/tower_1/conv_3": (7, 1, inner, inner),
            f"{block}/tower_1/conv_4": (1, 7, inner, 192),
            f"{block}/tower_2/conv": (1, 1, 768, 192),
        }
    return shapes


def _shapes_above_mixed_7():
    shapes = {
        "mixed_8/tower/conv": (1, 1, 768, 192),
        "mixed_8/tower/conv_1": (3, 3, 192, 320),
        "mixed_8/tower_1/conv": (1, 1, 768, 192),
        "mixed_8/tower_1/conv_1": (1, 7, 192, 192),
        "mixed_8/tower_1/conv_2": (7, 1, 192, 192),
        "mixed_8/tower_1/conv_3": (3, 3, 192, 192),
    }
    for block, channels in (("mixed_9", 1280), ("mixed_10", 2048)):
        shapes |= {
            f"{block}/conv": (1, 1, channels, 320),
            f"{block}/tower/conv": (1, 1, channels, 384),
            f"{block}/tower/mixed/conv": (1, 3, 384, 384),
            f"{block}/tower/mixed/conv_1": (3, 1, 384, 384),
            f"{block}/tower_1/conv": (1, 1, channels, 448),
            f"{block}/tower_1/conv_1": (3, 3, 448, 384),
            f"{block}/tower_1/mixed/conv": (1, 3, 384, 384),
            f"{block}/tower_1/mixed/conv_1": (3, 1, 384, 384),
            f"{block}/tower_2/conv": (1, 1, channels, 192),
        }
    return shapes


KERNEL_SHAPES = _shapes_to_mixed_7() | _shapes_above_mixed_7()
ABOVE_MIXED_7 = ("mixed_8/", "mixed_9/", "mixed_10/", "softmax/")


def weight_shapes(layer: str = "logits") -> dict[str, tuple[int, ...]]:
    """{weight name: shape} of all that `layer` ("mixed_7", "pool_3" or "logits") depends on."""
    shapes = {}
    for name, shape in KERNEL_SHAPES.items():
        shapes |= {f"{name}/kernel": shape, f"{name}/bias": shape[-1:]}
    shapes[SOFTMAX] = SOFTMAX_SHAPE
    if layer == "mixed_7":
        return {name: s for name, s in shapes.items() if not name.startswith(ABOVE_MIXED_7)}
    if layer == "pool_3":
        del shapes[SOFTMAX]
    return shapes
