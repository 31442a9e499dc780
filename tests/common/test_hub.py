"""The Hugging Face hub, with a local stand-in for its server."""

import base64
import contextlib
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import keras
import numpy as np
import pytest
from helpers import refused
from programs import run_program
from tiny_gan import tiny

from dcgan_tf import load_generator
from dcgan_tf.common import hub
from dcgan_tf.export.__main__ import main as export
from dcgan_tf.export.hub import FILES
from dcgan_tf.generate.__main__ import main as generate
from dcgan_tf.models.networks import build_generator

constants = pytest.importorskip("huggingface_hub.constants", reason='needs pip install ".[hub]"')
COMMIT = "c" * 40


class Server(BaseHTTPRequestHandler):
    """Repositories in memory: {name: {file: bytes}}.

    `broken` has answers to paths that end so; files of repositories in `cut` come in part.
    """

    repositories: dict = {}
    broken: dict = {}
    cut: tuple = ()
    tokens: set = set()

    def log_message(self, *_):
        pass

    def answer(self, status, content=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def as_json(self, status, **fields):
        self.answer(status, json.dumps(fields).encode(), Content_Type="application/json")

    def url(self, path):
        return f"http://{self.headers['Host']}/{path}"

    def do_POST(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.tokens.add(self.headers.get("Authorization"))
        for end, status in self.broken.items():
            if end in self.path:
                return self.as_json(status, error="the stand-in says no")
        if self.path == "/api/repos/create":
            asked = json.loads(content)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            status = 409 if name in self.repositories else 200
            self.repositories.setdefault(name, {})
            return self.as_json(status, url=self.url(name), name=name)
        name = "/".join(self.path.split("/")[3:5])
        if "/preupload/" in self.path:
            files = [file["path"] for file in json.loads(content)["files"]]
            regular = [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in files]
            return self.as_json(200, files=regular)
        if "/commit/" in self.path:
            for line in map(json.loads, content.splitlines()):
                file = line["value"]
                if line["key"] == "deletedFile":
                    del self.repositories[name][file["path"]]
                if line["key"] == "file":
                    self.repositories[name][file["path"]] = base64.b64decode(file["content"])
            url = self.url(f"{name}/commit/{COMMIT}")
            return self.as_json(200, success=True, commitUrl=url, commitOid=COMMIT)
        return self.as_json(200)

    def do_GET(self):
        parts = self.path.split("/")
        for end, status in self.broken.items():
            if end in self.path:
                return self.as_json(status, error="the stand-in says no")
        if "/tree/" in self.path:
            names = self.repositories["/".join(parts[3:5])]
            files = [{"type": "file", "path": path, "size": 1, "oid": COMMIT} for path in names]
            return self.answer(200, json.dumps(files).encode(), Content_Type="application/json")
        name, file = "/".join(parts[1:3]), "/".join(parts[5:])
        if name not in self.repositories or file not in self.repositories[name]:
            kind = "Entry" if name in self.repositories else "Repo"
            return self.answer(404, X_Error_Code=f"{kind}NotFound")
        content = self.repositories[name][file]
        tag = f'"{hash(content) & (2**64 - 1):x}"'
        if name in self.cut and self.command == "GET":
            content = content[:9]  # the connection ends before the file does
        length = len(self.repositories[name][file])
        headers = {"ETag": tag, "X-Repo-Commit": COMMIT, "Content-Length": length}
        return self.answer(200, content, **headers)

    do_HEAD = do_GET


@pytest.fixture
def server(here, monkeypatch):
    """The stand-in, a token, and an empty cache."""
    monkeypatch.setattr(Server, "repositories", {})
    monkeypatch.setattr(Server, "broken", {})
    monkeypatch.setattr(Server, "tokens", set())
    with contextlib.closing(ThreadingHTTPServer(("127.0.0.1", 0), Server)) as httpd:
        httpd.close = httpd.server_close
        threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{httpd.server_port}")
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(here / "cache"))
        monkeypatch.setenv("HF_HUB_CACHE", str(here / "cache"))
        yield Server
        httpd.shutdown()


@pytest.fixture
def model(here, monkeypatch):
    """A generator's file, which is exported without ONNX."""
    monkeypatch.setattr("dcgan_tf.export.formats.find_spec", lambda name: None)
    monkeypatch.setattr("dcgan_tf.export.exporting.SECONDS", 0.0)
    monkeypatch.setattr("dcgan_tf.export.hub.COUNT", 1)
    build_generator(tiny(init_stddev=0.3)).save(here / "own.keras")
    return here / "own.keras"


def push(model, out="out"):
    export([*("--model", str(model), "--to", "hub"), "--push", "me/faces", "--out", out])


@pytest.mark.slow
def test_what_is_pushed_can_be_drawn_from(server, model, here, caplog):
    caplog.set_level("INFO")
    push(model)
    folder = {path.name: path.read_bytes() for path in (here / "out/hub").iterdir()}
    assert "generator.keras" in folder and server.repositories == {"me/faces": folder}
    assert server.tokens == {"Bearer hf_secret"} and "uploaded to http" in caplog.text
    images = load_generator("hf:me/faces").generate(n=2)
    np.testing.assert_array_equal(images, load_generator(model).generate(n=2))
    generate(["--pretrained", "hf:me/faces", "--n", "2"])
    done = run_program(("generate.py", "hf:me/faces", "--n", "2"), here)  # a process of its own
    assert done.returncode == 0, done.stderr
    made = sorted(path.name for path in (here / "runs/hf-me--faces/generated").iterdir())
    assert made == ["0001", "0002"]
    # Those of another generator are removed, those that no export writes stay.
    stale, others = (
        ("generator.onnx", "explorer.html", "labels.json"),
        ("notes.md", "old/generator.onnx"),
    )
    server.repositories["me/faces"] |= dict.fromkeys((*stale, *others), b"")
    push(model, "again")
    assert server.repositories["me/faces"].keys() == {*folder, *others}
    assert {*folder, *stale, "config.toml", "origin.json"} == {*FILES}
    for status in (503, 404):  # what was downloaded is there without a connection
        server.broken = {"/resolve/": status}
        with contextlib.nullcontext() if status == 503 else refused("no such repository"):
            load_generator("hf:me/faces")


@pytest.mark.slow
def test_an_upload_that_fails_leaves_the_folder(server, model, here):
    server.broken = {"/create": 401}
    missing = "a token that is missing or refused"
    with refused("--push me/faces: ", missing, "the folder is whole: out/hub"):
        push(model)
    assert (here / "out/hub/README.md").is_file()
    for path, status, words in (
        ("/create", 403, "this token may not write there"),
        ("/commit/", 403, "this token may not write there"),
        ("/commit/", 400, "the hub failed ("),
    ):
        server.broken = {path: status}
        with refused("--push me/faces: ", words):
            hub.push(here / "out/hub", "me/faces", "--push", FILES)


def test_mistakes_are_refused_before_the_work(server, model, here, monkeypatch):
    for name in ("faces", "a/b/c", "../x", "me/", "", "me/a--b", "me/a.git", "me/a-"):
        with refused("--push", "expected USER/NAME"):
            export(["--model", str(model), "--to", "hub", "--push", name])
    with refused("--push: it is for the folder of --to hub"):
        export(["--model", str(model), "--push", "me/faces"])
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(here / "none"))
    with refused("--push me/faces: there is no token", "hf auth login"):
        push(model)
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    for call in (lambda: push(model), lambda: load_generator("hf:me/faces")):
        with refused("me/faces: needs huggingface_hub", 'pip install ".[hub]"'):
            call()
    assert not (here / "out").exists() and not server.repositories


def test_a_repository_is_as_foreign_as_any_file(server, model, here, monkeypatch):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save("dense.keras")
    server.repositories["me/dense"] = {"generator.keras": (here / "dense.keras").read_bytes()}
    server.repositories["me/text"] = {"generator.keras": b"no model"}
    server.repositories["me/none"] = {"README.md": b""}
    for name, words in (
        ("me/dense", "expected a generator"),
        ("me/text", "expected a .keras file, got a text file"),
        ("me/none", "no such repository, or no generator.keras in it"),
        ("me/gone", "no such repository, or no generator.keras in it"),
        ("gone", "expected USER/NAME"),
    ):
        with refused(words):
            load_generator(f"hf:{name}", "--pretrained")
    server.broken = {"me/text": 403}
    with refused("--pretrained hf:me/text: this token may not read it; ask for access on its page"):
        load_generator("hf:me/text", "--pretrained")
    handler, records = logging.Handler(), []
    monkeypatch.setattr(handler, "emit", records.append)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the library's tries
    logging.getLogger("huggingface_hub").addHandler(handler)
    server.repositories["me/cut"] = {"generator.keras": bytes(100)}
    monkeypatch.setattr(server, "cut", ("me/cut",))
    with refused("--pretrained hf:me/cut: the hub failed (peer closed connection"):
        load_generator("hf:me/cut", "--pretrained")
    logging.getLogger("huggingface_hub").removeHandler(handler)
    assert not records  # a refusal is one line
    monkeypatch.setattr(hub.limits, "NETWORK_BYTES", 100, raising=False)
    server.repositories["me/large"] = {"generator.keras": bytes(101)}
    with refused("--pretrained hf:me/large: its generator.keras is larger than 0.0 MB"):
        load_generator("hf:me/large", "--pretrained")
    assert not list((here / "cache").glob("*large*"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with refused("--pretrained hf:me/faces: the hub failed ("):
        generate(["--pretrained", "hf:me/faces"])
