"""compare.png: losses of several runs, and scores that compare, over images seen."""

import warnings
from pathlib import Path

from PIL import Image

from dcgan_tf.common.foreign import open_regular
from dcgan_tf.common.plots import figure, label
from dcgan_tf.common.scores import LABELS

COLORS = 10  # of Matplotlib's default cycle; then the lines are dotted, then dashed
STYLES = ("-", ":", "--", "-.")
MARK = {"generator": "dcgan_tf compare"}  # text in a PNG of ours


def draw(shown: list[dict], scores: dict, out: Path):
    """Draw the plot, and mark it as ours, so that the next one may take its place.

    Args:
        shown: what report's `contents` says of each run.
        scores: {place of the run: its scores}, of one group that compares. Where there are none,
            or of none is it known how many images they were at, D's beliefs are drawn instead.
        out: the PNG.
    """
    placed = {number: _placed(shown[number]["epochs"], own) for number, own in scores.items()}
    if not any(placed.values()):
        scores = {}
    title = "d_loss bold, g_loss pale"
    with figure(out, title, "images seen", MARK) as (losses, below):
        for number, found in enumerate(shown):
            look = {"color": f"C{number % COLORS}", "linestyle": STYLES[number // COLORS % 4]}
            epochs = found["epochs"]
            images = epochs["images_seen"]
            mark = {"marker": "."} if len(images) < 30 else {}
            losses.plot(images, epochs["d_loss"], label=label(found["name"]), **look, **mark)
            losses.plot(images, epochs["g_loss"], alpha=0.35, **look, **mark)
            if scores and placed.get(number):
                _draw_scores(below, placed[number], look)
            elif not scores:
                gap = [r - f for r, f in zip(epochs["d_real"], epochs["d_fake"], strict=True)]
                below.plot(images, gap, **look, **mark)
        _explain(losses, below, next(iter(scores.values()))[0] if scores else None)


def _placed(epochs, scores):
    """list of (images seen, distance): the scores at epochs of which a run knows the images."""
    images = dict(zip(epochs["epoch"], epochs["images_seen"], strict=True))
    return sorted(
        (images[s["epoch"]], s["values"][s["name"]]) for s in scores if s["epoch"] in images
    )


def _draw_scores(axes, placed, look):
    lowest = min(value for _, value in placed)
    axes.plot(*zip(*placed, strict=True), marker=".", label=f"lowest {lowest:.3g}", **look)


def _explain(losses, below, score):
    """Axes, and the line that the lower curves are to be seen against."""
    from matplotlib.ticker import EngFormatter

    grey = {"color": "grey", "linestyle": ":"}
    losses.set(ylabel="loss", xlim=(0, None))
    losses.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20k, 1M
    if not score:
        below.axhline(0, label="D cannot tell", **grey)
        below.set(ylabel="D(real) - D(fake)")
        return
    if (floor := score["floor"].get(score["name"])) is not None:
        below.axhline(floor, label="real against\nreal", **grey)
    below.set(ylabel=f"{LABELS[score['name']]}\n(lower is better)")
    below.set_ylim(bottom=0)


def is_plot(path: Path) -> bool:
    """Whether a file was drawn here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # no pixel is read
            with open_regular(path) as file, Image.open(file, formats=("PNG",)) as image:
                return MARK.items() <= image.text.items()
    except (OSError, ValueError, Image.DecompressionBombError):  # no PNG, or one far too large
        return False
