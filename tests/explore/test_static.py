"""The explorer as one file: opened from disk, without a server, with the pixels of Keras."""

import functools
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
from exploring import (
    ANIMALS,
    HOSTILE,
    LENGTH,
    TRAITS,
    directions_of,
    face,
    open_page,
    shown,
    small_sampler,
)
from helpers import refused

from dcgan_tf.explore import page as page_module
from dcgan_tf.explore import runtime as runtime_module
from dcgan_tf.explore.command import parse_explore
from dcgan_tf.explore.exploration import explore
from dcgan_tf.explore.latent_formula import Recipe, latent
from dcgan_tf.explore.page import FIRST_SEEDS, FOLDER, describe, write_static
from dcgan_tf.explore.runtime import FILES, KEPT, VERSION, runtime
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.sampling import seed_latents

SEEDS = (0, 1, 7, 12345, 2**31, 2**32 - 1)
WHERE = Path(os.environ.get("ONNXRUNTIME_WEB") or KEPT.expanduser())
needs_runtime = pytest.mark.skipif(
    not all((WHERE / name).is_file() for name in FILES)
    or not all(map(importlib.util.find_spec, ("tf2onnx", "onnx"))),
    reason=f"needs [onnx] and onnxruntime-web {VERSION} in {WHERE} or ONNXRUNTIME_WEB",
)
LABELED = [  # of TRAITS, of ANIMALS
    [{"a": [3, 4], "b": [5], "c": [2], "d": [9], "way": 0.37, "label": text} for text in texts]
    for texts in (("", "Male=0", "Smiling=1,Wearing_Hat=0,Male=1"), ("", "eel, fried"))
]
RECIPES = [
    *({"a": [seed]} for seed in SEEDS),
    {},
    {"a": [3, 4, 5], "b": [6], "c": [7, 8], "truncation": 0.7},
    {"a": [3], "d": [9, 2**32 - 1], "way": 0.37},
    {"d": [1], "way": 0.5},
    {"a": [1], "d": [1], "way": 0.5},
    {"b": [2], "along": {"Smiling": 1.5, HOSTILE: -0.5}, "truncation": 0.3},
    {"a": [3, 4], "d": [9], "way": 0.37},
    {"a": [1]},  # this one and the next are asked for at once
    {"a": [2]},
]
PAINT = """(async () => {
    const paint = painter(JSON.parse(document.getElementById('data').textContent));
    const all = %s, made = [];
    for (const one of all.slice(0, -2)) made.push((await paint([one]))[0]);
    made.push(...(await Promise.all(all.slice(-2).map((one) => paint([one])))).flat());
    return made.map(({pixels, norm}) => [Array.from(pixels), norm]); })()"""


@pytest.mark.nightly
@needs_browser
def test_latents_in_the_browser_are_those_of_numpy(directions, tmp_path):
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
        for labels, recipes in zip((TRAITS, ANIMALS), LABELED, strict=True):
            about = json.dumps(page_module.describe_labels(labels))
            found = page.run(
                f"{json.dumps(recipes)}.map(r => Array.from(found[1](r, 9, [], {about})))"
            )
            expected = [latent(Recipe(**recipe), 9, labels=labels) for recipe in recipes]
            np.testing.assert_allclose(found, expected, atol=2e-6)
            assert len({tuple(row[6:]) for row in found}) == len(recipes)


@pytest.mark.nightly
@needs_browser
@needs_runtime
def test_the_page_alone_has_the_images_of_keras(tmp_path):
    sampler = small_sampler(tmp_path / "small.keras", "--channels", "1", labels=ANIMALS)  # sigmoid
    directions = directions_of(sampler)
    space = sampler.latent_dim, directions, ANIMALS
    path = tmp_path / "explorer.html"
    write_static(path, sampler, describe("<b>small", sampler, directions, ""), WHERE)
    with browser(tmp_path, path.as_uri()) as page:
        open_page(page, path.as_uri())
        found = page.run(PAINT % json.dumps(RECIPES))
        latents = np.stack([latent(Recipe(**each), *space) for each in RECIPES])
        expected = sampler.generate(latents=latents).astype(int)
        for (pixels, norm), wanted, one in zip(found, expected, latents, strict=True):
            assert np.abs(np.array(pixels).reshape(wanted.shape) - wanted).max() <= 2
            assert norm == pytest.approx(np.linalg.norm(one[:LENGTH]), abs=1e-4)
        open_page(page, f"{path.as_uri()}#a=3,4&b=6&truncation=0.7&label=cat&along.Smiling=0.5")
        recipe = Recipe(a=(3, 4), b=(6,), truncation=0.7, along={"Smiling": 0.5}, label="cat")
        wanted = sampler.generate(latents=latent(recipe, *space)[None])[0].astype(int)
        assert np.abs(shown(page) - wanted).max() <= 2
        page.click(face(12))
        page.wait(
            "document.getElementById('expression').textContent === 'mean(12, 4) - 6 + 0.5 Smiling, "
            "label cat'"
        )


@pytest.mark.nightly
@needs_browser
@needs_runtime
def test_the_bundled_faces_open_on_a_good_face_with_sliders(tmp_path, here):  # in color, tanh
    path = tmp_path / "faces.html"
    explore(parse_explore(["faces", "--static", str(path), "--runtime", str(WHERE)]))
    assert path.stat().st_size < 20e6
    sampler = load_generator("faces")
    seeds = [FIRST_SEEDS[sampler.sha256[:12]]]
    expected = sampler.generate(seeds=seeds, truncation=0.7)[0].astype(int)
    with browser(tmp_path, path.as_uri()) as page:
        open_page(page, path.as_uri())
        assert np.abs(shown(page) - expected).max() <= 2
        assert page.run("document.querySelectorAll('#along input').length") == 16
        footer = page.text("footer")
        assert "For non-commercial research only" in footer and "CelebA" in footer
        page.run("navigator.clipboard.writeText = async () => {}; 0")
        page.click("#link")  # which needs no server
        page.wait("document.getElementById('link').textContent === 'Copied'")
        assert page.text("copied") == ""


# The runtime and the written file, without a browser


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with small files in place of the runtime's; its cache is elsewhere and empty."""
    folder = tmp_path / "dist"
    folder.mkdir()
    known = {}
    for name in FILES:
        content = f"this is {name}".encode()
        (folder / name).write_bytes(content)
        known[name] = (len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(runtime_module, "FILES", known)
    monkeypatch.setattr(runtime_module, "KEPT", tmp_path / "cache")
    return folder


def test_the_page_alone_knows_what_the_served_one_knows(
    sampler, directions, tmp_path, files, monkeypatch
):
    about = describe("x", sampler, directions, "", "For research only.")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with refused("pip install"):
        write_static(tmp_path / "x.html", sampler, about, files)
    monkeypatch.setattr(page_module, "to_onnx", lambda model, path: path.write_bytes(b"onnx"))
    with refused("--runtime", "no such file"):
        write_static(tmp_path / "x.html", sampler, about, tmp_path)
    assert not (tmp_path / "x.html").exists()
    write_static(tmp_path / "x.html", sampler, about, files)
    written = (tmp_path / "x.html").read_bytes()
    data = re.search(rb'<script type="application/json" id="data">(.*?)</script>', written)[1]
    assert json.loads(data) == about and about["license"] == "For research only."


def test_the_runtime_is_downloaded_once_and_another_one_is_refused(files, tmp_path, monkeypatch):
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    path, handler = files / "ort.wasm.min.js", functools.partial(Handler, directory=files)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(runtime_module, "URL", f"http://127.0.0.1:{server.server_port}")
        first = runtime(None)
        assert list(first) == list(FILES) and first[path.name] == b"this is ort.wasm.min.js"
        assert runtime(None) == first and len(asked) == 3 and runtime_module.is_kept()
        (tmp_path / "cache" / path.name).write_bytes(b"that is ort.wasm.min.js")
        assert not runtime_module.is_kept() and runtime(None) == first and len(asked) == 4
        (tmp_path / "cache" / path.name).unlink()
        path.write_bytes(b"that is ort.wasm.min.js")
        with refused("got another file", "npm pack", "--runtime"):
            runtime(None)
        server.shutdown()
    with refused("--runtime", f"not that of onnxruntime-web {VERSION}"):
        runtime(files)
    path.unlink()
    with refused("--runtime", "no such file", "onnxruntime-web"):
        runtime(files)
