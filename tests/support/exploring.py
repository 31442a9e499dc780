"""The explorer in tests: a small generator with directions, and a server of its page."""

import contextlib
import threading

import numpy as np

from dcgan_tf.common.directions import Directions
from dcgan_tf.common.labels import Labels
from dcgan_tf.explore import exploration
from dcgan_tf.explore.page import describe
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.networks import build_generator
from dcgan_tf.models.saving import save_network
from dcgan_tf.train.command import parse_training

LENGTH = 128
ANIMALS = Labels(("cat", "<b>dog", "eel, fried"), True, (2, 0, 1, 0))
TRAITS = Labels(("Smiling", "Wearing_Hat", "Male"), False, (0, 5, 7, 2))
HOSTILE = "<img src=x onerror=alert(1)> & = +"  # the name of a direction
EXACT = "document.getElementById('face').dataset.how === 'exact'"
READY = f"document.querySelectorAll('#wall button').length === 64 && {EXACT}"
PIXELS = """(() => {{ const copy = new OffscreenCanvas(64, 64).getContext('2d');
    copy.drawImage(document.querySelector("{}"), 0, 0);
    const all = Array.from(copy.getImageData(0, 0, 64, 64).data);
    return all.filter((_, place) => place % 4 < 3); }})()"""


def open_page(page, address):
    page.open(address)
    page.wait(READY)


def face(seed):
    return f"#wall [data-seed='{seed}']"


def shown(page, selector="#face"):
    """uint8 (64, 64, 3): what a canvas of the page shows."""
    return np.array(page.run(PIXELS.format(selector)), np.uint8).reshape(64, 64, 3)


def small_sampler(path, *flags, labels=None):
    """Sampler of an untrained generator, saved to `path`, whose images differ clearly."""
    flags = ("--width", "0.05", "--init-stddev", "0.3", *flags)
    save_network(build_generator(parse_training(list(flags)).config, labels=labels), path)
    return load_generator(path)


def directions_of(sampler):
    """Directions of an attribute, and of two kernels with odd names."""
    names, kinds = ("Smiling", HOSTILE, "__proto__"), ("attribute", "kernel", "kernel")
    vectors, reach = (
        np.eye(3, sampler.latent_dim, dtype=np.float32),
        np.array([3, 2.5, 2], np.float32),
    )
    return Directions(names, vectors, kinds, reach, sampler.sha256)


@contextlib.contextmanager
def serving(sampler, directions):
    """A server of the page, which answers in a thread."""
    about = describe("<b>small", sampler, directions, "make some", "For <b>research</b>.")
    with exploration.serve(0, sampler, directions, about) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
