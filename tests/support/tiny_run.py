"""A run directory without a training, as the report reads it, and the parts of such a page."""

import html.parser
import json

import numpy as np

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.config_file import load_recipe, to_toml
from dcgan_tf.common.images import save_png
from dcgan_tf.common.runs import Run, sample_file

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;{{script}}'\""
EPOCHS = 6


def losses(epoch):
    means = {"d_loss": 0.7 - 0.01 * epoch, "g_loss": 0.7 + 0.123456 * epoch, "d_real": 0.61}
    means |= {"d_fake": 0.5 - 0.02 * epoch}
    means |= {"diversity": 1 + 0.001 * epoch, "roughness": 1 + 0.002 * epoch}
    counts = {"epoch": epoch, "step": 10 * epoch, "images_seen": 320 * epoch}
    return counts | {name: round(value, 6) for name, value in means.items()}


def times(epoch):
    speed = {"images_per_second": 100.0 + epoch, "peak_memory_mb": 400.5 + epoch}
    return {"epoch": epoch, "seconds": 2.5 * epoch} | speed


def score(epoch, value, **protocol):
    """A record of evaluation.jsonl as the training writes it."""
    stamp = {"reference_sha256": "a" * 64, "crop": "30,55,150,175", "size": 64, "layer": "mixed_7"}
    own = {"scored_sha256": f"{epoch:064x}", "generator_sha256": f"{epoch:064x}"}
    return {
        "run": "one",
        "epoch": epoch,
        "by": "training",
        "scored": "1,000 pictures",
        "compared_with": "1,000 real ones",
        "fid_768": value,
        "kid_mean": 0.00123,
        "kid_std": 0.0001,
        "precision": 0.5,
        "recall": 0.25,
        "floor": {"fid_768": 0.05, "kid_mean": 1e-6, "precision": 0.7, "recall": 0.7},
        "floor_of": "1,000 others",
        "notes": [],
        "protocol": stamp | own | protocol,
    }


VERDICT = {
    **{"run": "one", "epoch": 6, "step": 60, "verdict": "no sign of copying", "copies": 0.004},
    **{"allowed": 0.017, "samples": 2000, "held_out": "2,000 others", "training": "2,000 pictures"},
}


def make_run(root, epochs=EPOCHS, side=40, config=None):
    """Make a Run with all files that the page reads; each epoch has a grid of another gray."""
    run = Run(root)
    run.samples.mkdir(parents=True)
    run.config.write_text(to_toml(config or load_recipe("demo", epochs=7)))
    versions = {"command": ["train.py", "--config", "demo"], "directory": ".", "keras": "3.15.1"}
    run.versions.write_text(json.dumps(versions))
    write_lines(run.metrics, map(losses, range(1, epochs + 1)))
    write_lines(run.timing, map(times, range(1, epochs + 1)))
    for epoch in range(1, epochs + 1):
        picture = np.full((side, side, 3), 20 * epoch % 256, np.uint8)
        save_png(sample_file(run.samples, epoch), picture, {"epoch": epoch, "scale": 2}, sync=False)
    save_png(run.reals, np.full((side, side, 3), 9, np.uint8), sync=False)
    write_lines(run.evaluation, [score(2, 0.9), score(4, 0.7), score(6, 0.8)])
    run.best_score.parent.mkdir()
    run.best_score.write_text(json.dumps(score(4, 0.7)))
    run.memorisation.write_text(json.dumps(VERDICT))
    save_png(run.memorisation_pairs, np.full((side, 2 * side, 3), 77, np.uint8), sync=False)
    run.log.write_text("2026-01-01 00:00:00 warning: one odd thing\n2026-01-01 00:00:01 fine\n")
    return run


class Parts(html.parser.HTMLParser):
    """The elements of a page, and the texts of its scripts and styles by their kind."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], {}, None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        self._open = attrs.get("id", tag) if tag in ("script", "style") else None

    def handle_data(self, data):
        if self._open:
            self.texts[self._open] = self.texts.get(self._open, "") + data

    def handle_endtag(self, tag):
        self._open = None
