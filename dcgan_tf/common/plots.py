"""Plots as PNG files: two panels, one above the other."""

import contextlib
import gc
import logging
import os
import warnings
from collections.abc import Iterator

from dcgan_tf.common.atomic_write import replacing

SIZE, DPI = (10, 6.5), 100  # inches, pixels per inch


@contextlib.contextmanager
def figure(
    path: str | os.PathLike, title: str, xlabel: str, text: dict[str, str] | None = None
) -> Iterator[tuple]:
    """Write a PNG with two panels on one x axis, and text keys, whole or not at all.

    Yields two matplotlib Axes to draw into; the upper one is larger.
    """
    # Without a home folder it warns of a temporary cache, which is harmless.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib.figure  # slow to import, and not needed by --help

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # ignores the user's matplotlibrc
        matplotlib.rcParams["text.parse_math"] = False  # a run may be called $MODEL_$SEED
        # A character that the font lacks is a box; its two warnings add nothing.
        warnings.filterwarnings("ignore", "Glyph|Matplotlib currently does not support")
        # Not pyplot, which keeps global state and needs the main thread.
        drawn = matplotlib.figure.Figure(figsize=SIZE, layout="constrained")
        panels = drawn.subplots(2, sharex=True, height_ratios=(3, 2))
        yield tuple(panels)
        panels[0].set_title(title, fontsize=10)
        panels[1].set_xlabel(xlabel)
        for axes in panels:
            axes.grid(alpha=0.3)
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1))  # outside, hiding nothing
        with replacing(path) as temporary:
            drawn.savefig(temporary, dpi=DPI, metadata=text)
    del drawn, panels, axes
    gc.collect()  # frees half a megabyte of circular references


def label(name: str) -> str:
    """Make a name visible in a legend, which hides names with a leading underscore."""
    return f" {name}" if name.startswith("_") else name
