"""The explorer's server and arithmetic: who is answered, what is refused, which pixels come."""

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
from helpers import REPO, refused
from PIL import Image
from tiny_gan import tiny

import generate
from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import to_toml
from dcgan_tf.common.directions import Directions, write_directions
from dcgan_tf.common.pretrained import pretrained
from dcgan_tf.common.runs import Run
from dcgan_tf.explore import exploration
from dcgan_tf.explore import server as server_module
from dcgan_tf.explore.command import parse_explore
from dcgan_tf.explore.latent_formula import Recipe, latent, read_recipe
from dcgan_tf.explore.page import describe
from dcgan_tf.explore.server import BODY_BYTES
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.networks import build_generator
from dcgan_tf.models.sampling import seed_latents, slerp

LENGTH = 128


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a run with an untrained small generator, whose pictures differ by far."""
    config = tiny(init_stddev=0.3)
    folder = tmp_path_factory.mktemp("runs") / "0001-celeba"
    folder.mkdir()
    build_generator(config).save(folder / "generator.keras")
    return folder


@pytest.fixture(scope="module")
def sampler(run):
    return load_generator(run)


@pytest.fixture(scope="module")
def directions(sampler):
    vectors = np.eye(2, LENGTH, dtype=np.float32)
    reach = np.array([3, 2.5], np.float32)
    return Directions(
        ("Smiling", "kernel 1"), vectors, ("attribute", "kernel"), reach, sampler.sha256
    )


@pytest.fixture(scope="module")
def server(sampler, directions):
    about = describe("<small>", sampler, directions, "make some")
    with exploration.serve(0, sampler, directions, about) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, method="POST", route="pictures", body=b"[{}]", token=None, **headers):
    """Status, headers and body of an answer; a header None is not sent."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    sent = {"Host": f"127.0.0.1:{server.server_port}", "Content-Type": "application/json"}
    sent["Content-Length"] = str(len(body))
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(
        method, f"/{server.token if token is None else token}/{route}", True, True
    )
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


def pictures(server, *recipes):
    """uint8 (n, height, width, channels), and the lengths of the latents."""
    status, headers, body = ask(server, body=json.dumps(recipes).encode())
    assert status == 200, body
    norms = [float(norm) for norm in headers["X-Norms"].split(",")]
    return np.frombuffer(body, np.uint8).reshape(len(recipes), 64, 64, 3), norms


@pytest.mark.slow
def test_a_seed_is_the_picture_of_generate(server, run, tmp_path):
    argv = ["--run", str(run), "--seeds", "3,17,4294967295", "--truncation", "0.7"]
    generate.main([*argv, "--out", str(tmp_path / "g")])
    found, norms = pictures(server, *({"a": [s], "truncation": 0.7} for s in (3, 17, 2**32 - 1)))
    for picture, seed in zip(found, (3, 17, 2**32 - 1), strict=True):
        with Image.open(tmp_path / f"g/images/seed_{seed:06d}.png") as image:
            np.testing.assert_array_equal(picture, image)
    lengths = np.linalg.norm(0.7 * seed_latents([3, 17, 2**32 - 1], LENGTH), axis=1)
    np.testing.assert_allclose(norms, lengths, rtol=1e-6)


def test_a_way_is_that_of_generates_interpolation(server, run, tmp_path):
    argv = ["--run", str(run), "--interpolate", "3,17", "--frames", "9", "--scale", "1"]
    generate.main([*argv, "--truncation", "0.8", "--out", str(tmp_path)])
    with Image.open(tmp_path / "strip.png") as image:
        strip = np.asarray(image)
    recipe = {"a": [3], "d": [17], "truncation": 0.8}
    found, _ = pictures(server, *({**recipe, "way": step / 8} for step in range(9)))
    for step, picture in enumerate(found):
        np.testing.assert_array_equal(picture, strip[:, 66 * step : 66 * step + 64])


def test_means_differences_and_directions_are_what_they_say(server, sampler, directions):
    rows = {seed: seed_latents([seed], LENGTH)[0].astype(float) for seed in range(6)}
    recipe = Recipe(a=(0, 1, 2), b=(3,), c=(4, 5), along={"kernel 1": -0.5, "Smiling": 2})
    expected = (rows[0] + rows[1] + rows[2]) / 3 - rows[3] + (rows[4] + rows[5]) / 2
    expected[0] += 6
    expected[1] -= 1.25
    one = latent(Recipe(a=(5,), truncation=0.7), LENGTH)  # to the bit
    np.testing.assert_array_equal(one, np.float32(0.7) * seed_latents([5], LENGTH)[0])
    found = latent(recipe, LENGTH, directions)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    way = latent(Recipe(a=(0,), b=(1,), d=(2, 3), way=0.3), LENGTH)
    target = slerp(rows[0] - rows[1], (rows[2] + rows[3]) / 2, 0.3)
    np.testing.assert_allclose(way, target, atol=1e-6)
    drawn, norms = pictures(
        server,
        {"a": [0, 1, 2], "b": [3], "c": [4, 5], "along": {"kernel 1": -0.5, "Smiling": 2}},
        {},
    )
    np.testing.assert_array_equal(drawn[0], sampler.generate(latents=[found])[0])
    np.testing.assert_array_equal(drawn[1], sampler.generate(latents=np.zeros((1, LENGTH)))[0])
    assert norms == [pytest.approx(np.linalg.norm(found)), 0]


def test_the_page_comes_with_the_token_alone(server):
    status, headers, body = ask(server, "GET", "", b"", Content_Length=None)
    assert status == 200 and headers.get_content_type() == "text/html"
    assert b"&lt;small&gt;" in body and b"{{" not in body and server.token.encode() not in body
    assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert b"connect-src 'self'" in body
    assert len(server.token) >= 32 and server.address.startswith("http://127.0.0.1:")
    assert server.server_address[0] == "127.0.0.1"


def test_a_draft_is_nearly_the_picture(server):
    recipes = [{"a": [seed]} for seed in range(20)]
    exact, norms = pictures(server, *recipes)
    status, headers, body = ask(server, route="drafts", body=json.dumps(recipes).encode())
    assert status == 200 and headers["X-Norms"] == ",".join(map(repr, norms))
    drafts = np.frombuffer(body, np.uint8).reshape(exact.shape)
    assert np.abs(drafts.astype(int) - exact).max() <= 1


def test_without_the_token_nothing_comes(server):
    for method, route in (("GET", ""), ("POST", "pictures")):
        for token in ("pictures", "x" * 32, "%C3%A4"):
            status, _, body = ask(server, method, route, token=token)
            assert status == 403 and b"token" in body and body.count(b"\n") == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # a name that was made to lead to this machine
        {"Host": "127.0.0.1:1"},
        {"Host": None},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_other_hosts_and_origins_are_refused(server, headers):
    status, _, body = ask(server, **headers)
    assert status == 403 and body.count(b"\n") == 1


def test_its_own_origin_is_answered(server):
    for name in ("127.0.0.1", "localhost"):
        place = f"{name}:{server.server_port}"
        assert ask(server, Host=place, Origin=f"http://{place}")[0] == 200


@pytest.mark.parametrize(
    ("status", "words", "asked"),
    [
        (404, "no such page", {"method": "GET", "route": "other"}),
        (404, "nothing to post to", {"route": "other"}),
        (405, "expected POST", {"method": "GET", "route": "pictures"}),
        (415, "application/json", {"Content_Type": "text/plain"}),
        (411, "Content-Length", {"Content_Length": None}),
        (411, "Content-Length", {"Transfer_Encoding": "chunked"}),
        (413, "131,072", {"Content_Length": str(BODY_BYTES + 1)}),
        (400, "not JSON (Expecting", {"body": b"{"}),
        (400, "not JSON", {"body": b"[" * 100_000}),
        (400, "expected an object", {"body": b'["\\ud800"]'}),
        (400, "list of 1 to 32", {"body": b"[]"}),
        (400, "list of 1 to 32", {"body": json.dumps([{}] * 33).encode()}),
    ],
)
def test_other_requests_are_refused(server, status, words, asked):
    found, _, body = ask(server, **asked)
    assert found == status and words in body.decode() and len(body) < 600


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (3, "expected an object"),
        ({"e": [1]}, "unknown part 'e'"),
        ({"a": 3}, "a: got 3, expected seeds from 0 to 4294967295"),
        ({"a": [-1]}, "expected seeds"),
        ({"c": [True]}, "expected seeds"),
        ({"a": [1] * 65}, "got 65 seeds, expected 64 at most"),
        ({"way": 1.1}, "way: got 1.1, expected a number from 0 to 1"),
        ({"way": float("nan")}, "way: got nan"),
        ({"truncation": "1"}, "truncation: got '1'"),
        ({"along": [1]}, "along: got [1]"),
        ({"along": {"Smiling": None}}, "Smiling: got None"),
        ({"along": {"Frowning": 1}}, "no direction 'Frowning' here"),
    ],
)
def test_what_is_no_recipe_is_refused(server, recipe, words):
    status, _, body = ask(server, body=json.dumps([recipe]).encode())
    assert status == 400 and words in body.decode() and len(body) < 600


def test_a_recipe_needs_nothing():
    assert read_recipe({}) == Recipe()
    with pytest.raises(ValueError, match="no direction 'Smiling' here"):
        latent(Recipe(along={"Smiling": 1.0}), LENGTH, None)


def test_lists_in_lists_are_answered_at_any_depth(server):
    for depth in (950, 970, 982, 999, 10_000):
        status, _, body = ask(server, body=b"[" * depth + b"]" * depth)
        assert status == 400 and len(body) < 600


def test_a_request_that_comes_byte_by_byte_ends(server, monkeypatch):
    monkeypatch.setattr(server_module, "SECONDS", 1)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as sender:
        start = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - start < 20:
                sender.sendall(b"G")
                time.sleep(0.2)
        assert time.monotonic() - start < 10


def test_connections_beyond_the_limit_are_closed_and_the_next_is_answered(server):
    held = []
    for _ in range(server_module.CONNECTIONS + 8):
        held.append(socket.create_connection(("127.0.0.1", server.server_port), timeout=30))
    assert threading.active_count() < server_module.CONNECTIONS + 20
    assert held[-1].recv(1) == b""  # closed
    for connection in held:
        connection.close()
    for _ in range(100):
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert ask(server)[0] == 200
            break
        time.sleep(0.1)
    else:
        raise AssertionError("never answered again")


def test_at_the_limit_of_open_files_the_server_waits(server, monkeypatch):
    tried = []

    def accept():
        tried.append(time.monotonic())
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(server, "socket", SimpleNamespace(accept=accept, fileno=server.fileno))
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30):
        time.sleep(1)
    monkeypatch.undo()
    assert 1 <= len(tried) < 20


def test_at_port_80_a_browser_names_no_port(sampler, monkeypatch):
    about = describe("x", sampler, None, "")
    with exploration.serve(0, sampler, None, about) as server:
        assert "localhost" not in server.hosts
    bind = ThreadingHTTPServer.server_bind

    def bind_to_80(server):
        bind(server)
        server.server_port = 80

    monkeypatch.setattr(ThreadingHTTPServer, "server_bind", bind_to_80)
    with exploration.serve(0, sampler, None, about) as server:
        assert {"localhost", "127.0.0.1", "127.0.0.1:80"} <= server.hosts


def test_the_browser_gets_a_file_that_leads_to_the_address(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = []

    def opened(uri):
        path = Path(url2pathname(urlsplit(uri).path))
        found.append((uri, path.read_text(), path.stat().st_mode & 0o777, path))
        return True

    def served(server):
        for _ in range(1000):
            if found:
                break
            time.sleep(0.01)
        found.append((server.address, server.token))
        raise KeyboardInterrupt

    monkeypatch.setattr(exploration.webbrowser, "open", opened)
    monkeypatch.setattr(server_module.PageServer, "serve_forever", served)
    exploration.explore(parse_explore(["--run", str(run)]))
    (uri, text, mode, path), (address, token) = found
    assert uri.startswith("file:") and token not in uri
    assert f"url={address}" in text and mode == 0o600
    assert not path.exists() and list(tmp_path.iterdir()) == []


def test_the_directions_beside_the_generator_are_found(run, sampler, directions, caplog):
    request = parse_explore(["--run", str(run)])
    assert exploration.find_directions(request, sampler) is None
    write_directions(run / "directions.npz", directions)
    found = exploration.find_directions(request, sampler)
    assert found.names == ("Smiling", "kernel 1")
    about = describe("one", sampler, found, "")
    assert about["directions"][0] == {"name": "Smiling", "kind": "attribute", "reach": 3.0}
    caplog.set_level("WARNING", "dcgan_tf")
    other = SimpleNamespace(sha256="0" * 64, latent_dim=LENGTH)
    assert exploration.find_directions(request, other) is None
    assert "left out" in caplog.text and "of another generator" in caplog.text
    named = parse_explore(["--run", str(run), "--directions", str(run / "directions.npz")])
    with refused("--directions", "of another generator"):
        exploration.find_directions(named, other)
    (run / "directions.npz").unlink()


def test_the_page_knows_its_directions_from_others_of_these_names(sampler, directions):
    def said(found):
        return describe("x", sampler, found, "")["directions_sha256"]

    own = said(directions)
    assert re.fullmatch("[0-9a-f]{64}", own)
    assert own == said(replace(directions, vectors=directions.vectors.astype(">f4")))
    others = (
        replace(directions, vectors=directions.vectors[:, ::-1]),
        replace(directions, reach=directions.reach * 2),
        replace(directions, names=directions.names[::-1]),
    )
    assert len({own, *map(said, others)}) == 4
    assert said(None) == ""


def test_what_celeba_made_says_its_licence_also_through_other_runs(tmp_path):
    def licence(name, **settings):
        run = Run(tmp_path / name)
        run.root.mkdir()
        if settings:
            write_text(run.config, to_toml(Config(**settings)))
            write_text(run.versions, json.dumps({"directory": str(tmp_path)}))
        return exploration.licence_of(run.generator)

    said = licence("faces", dataset="celeba")
    assert said.startswith("For non-commercial research only: ") and "CelebA" in said
    assert said == exploration.licence_of(pretrained("faces", "").generator)
    assert said == exploration.licence_of(Run(tmp_path / "faces").best_generator)
    assert said == licence("tuned", dataset="folder", init_from="pretrained:faces")
    assert said == licence("again", dataset="demo", init_from="tuned")
    files = "demo/generator.keras,faces/discriminator.keras"
    assert said == licence("files", dataset="demo", init_from=files)
    assert licence("demo", dataset="demo") == licence("bare") == ""
    assert licence("circle", dataset="demo", init_from="circle") == ""
    assert licence("gone", dataset="demo", init_from="pretrained:gone") == ""
    write_text(tmp_path / "bare/config.toml", "title = 'of another program'")
    assert exploration.licence_of(tmp_path / "bare/generator.keras") == ""


def test_a_taken_port_is_refused(server, sampler):
    with refused(f"--port {server.server_port}", "cannot be used"):
        exploration.serve(server.server_port, sampler, None, describe("x", sampler, None, ""))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--port", "70000", "--pretrained", "faces"], "--port: got '70000'"),
        (["--static", ".", "--pretrained", "faces"], "a folder"),
        (["--static", "mine.html", "--pretrained", "faces"], "a file that is no explorer"),
        (["--pretrained", "fases"], "did you mean faces"),
        (["--model", "nowhere.keras"], "no such file"),
        (["--directons", "x"], "did you mean --directions"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(argv, words, here):
    (here / "mine.html").write_text("<p>mine")
    with refused(words):
        parse_explore(argv)


def test_the_newest_run_is_taken(run, here, monkeypatch):
    monkeypatch.chdir(run.parent.parent)
    with refused("no run with a generator.keras"):
        parse_explore([])
    assert parse_explore(["--pretrained", "faces"]).name == "faces"


@pytest.mark.slow
def test_the_command_serves_until_ctrl_c(run):
    words = [sys.executable, "-m", "dcgan_tf.explore", "--run", str(run), "--no-browser"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    with subprocess.Popen(words, cwd=REPO, **pipes) as process:
        for line in process.stdout:
            if match := re.match(r"explorer: (http://127\.0\.0\.1:\d+/\S{32}/)$", line):
                break
        with urllib.request.urlopen(match[1]) as answer:
            assert answer.status == 200 and b"0001-celeba" in answer.read()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and rest.endswith("closed\n") and errors == ""
