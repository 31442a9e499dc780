"""The explorer as one file: opened from disk, asking nobody, with the pixels of Keras."""

import hashlib
import http.server
import importlib.util
import json
import os
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from browser import browser, needs_browser
from helpers import refused

from dcgan_tf.common.directions import Directions
from dcgan_tf.explore import page as page_module
from dcgan_tf.explore import runtime as runtime_module
from dcgan_tf.explore.command import parse_explore
from dcgan_tf.explore.exploration import explore
from dcgan_tf.explore.latent_formula import Recipe, latent
from dcgan_tf.explore.page import FOLDER, describe, write_static
from dcgan_tf.explore.runtime import CACHE, FILES, VERSION, runtime
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.networks import build_generator
from dcgan_tf.models.sampling import Sampler, seed_latents
from dcgan_tf.train.command import parse_training

SEEDS = (0, 1, 7, 12345, 2**31, 2**32 - 1)
WHERE = os.environ.get("ONNXRUNTIME_WEB") or CACHE.expanduser() / f"onnxruntime-web-{VERSION}"
needs_runtime = pytest.mark.skipif(
    not all((Path(WHERE) / name).is_file() for name in FILES)
    or not all(map(importlib.util.find_spec, ("tf2onnx", "onnx"))),
    reason=f"needs [onnx] and onnxruntime-web {VERSION} in {WHERE} or ONNXRUNTIME_WEB",
)


SHOWN = """Array.from(document.getElementById('picture').getContext('2d')
    .getImageData(0, 0, 64, 64).data).filter((_, place) => place % 4 < 3)"""


def small(*flags):
    config = parse_training(["--width", "0.05", "--init-stddev", "0.3", *flags]).config
    return Sampler(build_generator(config), strict=True)


def some_directions(sampler):
    vectors = np.random.RandomState(0).randn(2, sampler.latent_dim).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    reach = np.array([3, 2.5], np.float32)
    return Directions(("Smiling", "x & y"), vectors, ("attribute", "kernel"), reach, sampler.sha256)


RECIPES = [
    *({"a": [seed]} for seed in SEEDS),
    {},
    {"a": [3, 4, 5], "b": [6], "c": [7, 8], "truncation": 0.7},
    {"a": [3], "d": [9, 2**32 - 1], "way": 0.37},
    {"d": [1], "way": 0.5},
    {"a": [1], "d": [1], "way": 0.5},
    {"b": [2], "along": {"Smiling": 1.5, "x & y": -0.5}, "truncation": 0.3},
]


@pytest.mark.nightly
@needs_browser
def test_latents_in_the_browser_are_those_of_numpy(tmp_path):
    sampler = small()
    directions = some_directions(sampler)
    with browser(tmp_path) as page:
        page.run(
            (FOLDER / "latents.js").read_text() + "; globalThis.found = [seedLatent, latentOf]; 0"
        )
        for length in (1, 100, 101, 700):
            found = page.run(f"{json.dumps(SEEDS)}.map(s => Array.from(found[0](s, {length})))")
            expected = seed_latents(SEEDS, length)
            np.testing.assert_allclose(np.float32(found), expected, rtol=1.2e-7)
            assert (np.float32(found) == expected).mean() > 0.999  # the last bit of a logarithm
        columns = directions.names, directions.reach.tolist(), directions.vectors.tolist()
        names = ("name", "reach", "vector")
        known = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        found = page.run(
            f"{json.dumps(RECIPES)}.map(r => Array.from(found[1](r, 128, {json.dumps(known)})))"
        )
        for recipe, row in zip(RECIPES, found, strict=True):
            np.testing.assert_allclose(row, latent(Recipe(**recipe), 128, directions), atol=2e-6)


def opened(page, path, fragment=""):
    page.open(f"{path.as_uri()}{fragment}")
    page.wait(
        "document.querySelectorAll('#wall button').length === 64"
        " && document.getElementById('picture').dataset.how === 'exact'"
    )


def assert_alone(page, path):
    """Nothing was wrong, and nothing was asked of anybody but this page itself."""
    assert page.errors == []
    own = path.as_uri().partition("#")[0]
    others = [url for url in page.requests if not url.startswith(("about:", "blob:null/", own))]
    assert others == []


@pytest.mark.nightly
@needs_browser
@needs_runtime
@pytest.mark.parametrize("flags", [(), ("--output-activation", "tanh", "--channels", "1")])
def test_the_page_alone_has_the_pictures_of_keras(tmp_path, flags):
    sampler = small(*flags)
    directions = some_directions(sampler)
    path = tmp_path / "explorer.html"
    about = describe("<b>small", sampler, directions, "")
    write_static(path, sampler, directions, about, Path(WHERE))
    channels = sampler.picture_shape[2]
    with browser(tmp_path) as page:
        opened(page, path)
        found = page.run(
            "(async () => { const paint = painter(JSON.parse("
            "document.getElementById('data').textContent)); const made = [];"
            f"for (const one of {json.dumps(RECIPES)}) made.push((await paint([one]))[0]);"
            "const [first, second] = await Promise.all([paint([{a: [1]}]), paint([{a: [2]}])]);"
            "return [...made, first[0], second[0]].map(({pixels, norm}) =>"
            "[Array.from(pixels), norm]); })()"
        )
        recipes = [Recipe(**recipe) for recipe in [*RECIPES, {"a": [1]}, {"a": [2]}]]
        latents = np.stack([latent(recipe, 128, directions) for recipe in recipes])
        expected = sampler.generate(latents=latents)
        for (pixels, norm), wanted, one in zip(found, expected, latents, strict=True):
            difference = np.array(pixels).reshape(wanted.shape) - wanted.astype(int)
            assert np.abs(difference).max() <= 2
            assert norm == pytest.approx(np.linalg.norm(one), abs=1e-4)
        opened(page, path, "#a=3,4&b=6&truncation=0.7&along.Smiling=0.5")
        shown = page.run(SHOWN)
        recipe = Recipe(a=(3, 4), b=(6,), truncation=0.7, along={"Smiling": 0.5})
        wanted = sampler.generate(latents=latent(recipe, 128, directions)[None])[0].astype(int)
        wanted = np.broadcast_to(wanted, (64, 64, 3)) if channels == 1 else wanted
        assert np.abs(np.array(shown).reshape(64, 64, 3) - wanted).max() <= 2
        page.click("#wall [data-seed='12']")
        page.wait(
            "document.getElementById('expression').textContent === 'mean(12, 4) - 6 + 0.5 Smiling'"
        )
        assert_alone(page, path)


@pytest.mark.nightly
@needs_browser
@needs_runtime
def test_the_faces_that_come_with_the_package(tmp_path, here):
    path = tmp_path / "faces.html"
    argv = ["--pretrained", "faces", "--static", str(path), "--runtime", str(WHERE)]
    explore(parse_explore(argv))
    assert path.stat().st_size < 20e6
    expected = load_generator("faces").generate(seeds=[5])[0]
    with browser(tmp_path) as page:
        opened(page, path, "#a=5")
        footer = page.run("document.getElementById('footer').textContent")
        assert "For non-commercial research only" in footer and "CelebA" in footer
        page.run("navigator.clipboard.writeText = async () => {}; 0")
        page.click("#link")  # which needs no program that runs
        page.wait("document.getElementById('link').textContent === 'Copied'")
        assert page.run("document.getElementById('copied').textContent") == ""
        shown = page.run(SHOWN)
        assert np.abs(np.array(shown).reshape(64, 64, 3) - expected.astype(int)).max() <= 2
        assert_alone(page, path)


# The runtime and the place, without a browser


def test_the_page_alone_knows_what_the_served_one_knows(tmp_path, files, monkeypatch):
    monkeypatch.setattr(page_module, "to_onnx", lambda model, path: path.write_bytes(b"onnx"))
    sampler = small()
    directions = some_directions(sampler)
    about = describe("x", sampler, directions, "", "For research only.")
    write_static(tmp_path / "x.html", sampler, directions, about, files)
    text = (tmp_path / "x.html").read_bytes()
    data = re.search(rb'<script type="application/json" id="data">(.*?)</script>', text)[1]
    found = json.loads(data)
    assert found | {"directions": about["directions"]} == about | {"range": found["range"]}
    assert found["directions_sha256"] and found["licence"] == "For research only."


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with three small files in the place of the runtime's."""
    folder = tmp_path / "dist"
    folder.mkdir()
    known = {}
    for name in FILES:
        content = f"this is {name}".encode()
        (folder / name).write_bytes(content)
        known[name] = (len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(runtime_module, "FILES", known)
    return folder


@pytest.fixture
def site(files):
    """(address, paths asked for) of a server that has the files."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=files)

        def log_message(self, *_):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_the_runtime_is_fetched_once(site, tmp_path):
    url, asked = site
    first = runtime(None, tmp_path / "cache", url)
    assert list(first) == list(FILES) and first["ort.wasm.min.js"] == b"this is ort.wasm.min.js"
    assert len(asked) == 3
    assert runtime(None, tmp_path / "cache", url) == first and len(asked) == 3
    damaged = tmp_path / f"cache/onnxruntime-web-{VERSION}/ort.wasm.min.js"
    damaged.write_bytes(b"that is ort.wasm.min.js")
    assert runtime(None, tmp_path / "cache", url) == first and len(asked) == 4


def test_another_or_no_runtime_is_refused(site, files, tmp_path):
    url, _ = site
    path = files / "ort.wasm.min.js"
    for change in (b"this is something else", b"x" * 100):
        path.write_bytes(change)
        with refused("sent another file", "--runtime"):
            runtime(None, tmp_path / "cache", url)
        assert not list((tmp_path / "cache").rglob("*.js"))
    with refused("--runtime", "not that of onnxruntime-web"):
        runtime(files)
    path.unlink()
    with refused("download failed", "404", "npm pack", "--runtime"):
        runtime(None, tmp_path / "cache", url)
    with refused("--runtime", "no such file", "onnxruntime-web"):
        runtime(files)
    with refused("download failed", "--runtime"):
        runtime(None, tmp_path / "other", "http://127.0.0.1:1")


def test_what_is_missing_is_said_and_nothing_is_written(tmp_path, monkeypatch):
    sampler = small()
    about = describe("x", sampler, None, "")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with refused("pip install"):
        write_static(tmp_path / "new.html", sampler, None, about, tmp_path)
    monkeypatch.setattr(page_module, "to_onnx", lambda model, path: Path(path).write_bytes(b"onnx"))
    with refused("--runtime", "no such file"):
        write_static(tmp_path / "new.html", sampler, None, about, tmp_path)
    assert not list(tmp_path.iterdir())
