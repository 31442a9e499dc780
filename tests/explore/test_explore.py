"""The explorer's server and arithmetic: which requests are answered, and with which pixels."""

import contextlib
import errno
import functools
import http.client
import json
import os
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

import numpy as np
import pytest
from exploring import ANIMALS, HOSTILE, LENGTH, TRAITS, serving, small_sampler
from helpers import REPO, refused, write_files
from PIL import Image

import generate
from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import to_toml
from dcgan_tf.common.directions import write_directions
from dcgan_tf.common.origin import ORIGIN
from dcgan_tf.common.pretrained import pretrained
from dcgan_tf.common.runs import Run
from dcgan_tf.explore import exploration
from dcgan_tf.explore import server as server_module
from dcgan_tf.explore.command import parse_explore
from dcgan_tf.explore.latent_formula import Recipe, latent, read_recipe
from dcgan_tf.explore.page import describe, served_page
from dcgan_tf.explore.server import BODY_BYTES, CONNECTIONS, PageServer
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.sampling import seed_latents, slerp


def ask(server, method="POST", route="images", body=b"[{}]", token=None, **headers):
    """Status, headers and body of an answer; a header None is not sent."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    sent = {"Host": f"127.0.0.1:{server.server_port}", "Content-Length": str(len(body))}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"/{server.token if token is None else token}/{route}"
    with contextlib.closing(connection):
        connection.putrequest(method, path, True, True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def images(server, *recipes, route="images"):
    """uint8 (n, height, width, channels), and the lengths of the latents."""
    status, headers, body = ask(server, route=route, body=json.dumps(recipes).encode())
    assert status == 200, body
    norms = [float(norm) for norm in headers["X-Norms"].split(",")]
    return np.frombuffer(body, np.uint8).reshape(len(recipes), 64, 64, 3), norms


def test_a_name_that_is_not_utf_8_is_shown_escaped(here, sampler):
    write_files(here / "caf\udce9", {"generator.keras": b"PK"})
    name = parse_explore(["caf\udce9"]).name
    assert name == r"caf\udce9" and served_page(describe(name, sampler, None, ""))


def test_the_address_without_its_last_slash_leads_to_the_page(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("GET", f"/{server.token}")
    answer = connection.getresponse()
    connection.close()
    assert (answer.status, answer.headers["Location"]) == (301, f"/{server.token}/")


@pytest.mark.slow
def test_seeds_and_interpolations_are_the_images_of_generate(server, run, tmp_path):
    seeds = (3, 17, 2**32 - 1)
    argv = ["--run", str(run), "--truncation", "0.7", "--out"]
    generate.main([*argv, str(tmp_path / "g"), "--seeds", ",".join(map(str, seeds))])
    found, norms = images(server, *({"a": [seed], "truncation": 0.7} for seed in seeds))
    for image, seed in zip(found, seeds, strict=True):
        with Image.open(tmp_path / f"g/images/seed_{seed:06d}.png") as made:
            np.testing.assert_array_equal(image, made)
    lengths = np.linalg.norm(0.7 * seed_latents(seeds, LENGTH), axis=1)
    np.testing.assert_allclose(norms, lengths, rtol=1e-6)
    drafts, same = images(server, *({"a": [s], "truncation": 0.7} for s in seeds), route="drafts")
    assert np.abs(drafts.astype(int) - found).max() <= 1 and same == norms
    way = ["--interpolate", "3,17", "--frames", "9", "--scale", "1"]
    generate.main([*argv, str(tmp_path / "w"), *way])
    with Image.open(tmp_path / "w/strip.png") as image:
        strip = np.asarray(image)
    recipe = {"a": [3], "d": [17], "truncation": 0.7}
    found, _ = images(server, *({**recipe, "way": step / 8} for step in range(9)))
    for step, image in enumerate(found):
        np.testing.assert_array_equal(image, strip[:, 66 * step : 66 * step + 64])


def test_means_differences_and_directions_are_what_they_say(server, sampler, directions):
    rows = {seed: seed_latents([seed], LENGTH)[0].astype(float) for seed in range(6)}
    parts = {"a": [0, 1, 2], "b": [3], "c": [4, 5], "along": {HOSTILE: -0.5, "Smiling": 2}}
    expected = (rows[0] + rows[1] + rows[2]) / 3 - rows[3] + (rows[4] + rows[5]) / 2
    expected[0] += 6
    expected[1] -= 1.25
    one = latent(Recipe(a=(5,), truncation=0.7), LENGTH)  # to the bit
    np.testing.assert_array_equal(one, np.float32(0.7) * seed_latents([5], LENGTH)[0])
    found = latent(read_recipe(parts), LENGTH, directions)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    way = latent(Recipe(a=(0,), b=(1,), d=(2, 3), way=0.3), LENGTH)
    target = slerp(rows[0] - rows[1], (rows[2] + rows[3]) / 2, 0.3)
    np.testing.assert_allclose(way, target, atol=1e-6)
    drawn, norms = images(server, parts, {})
    latents = np.stack([found, np.zeros(LENGTH)])
    np.testing.assert_array_equal(drawn, sampler.generate(latents=latents))
    assert norms == [pytest.approx(np.linalg.norm(found)), 0]


def test_labels_of_seeds_are_mixed_until_one_is_chosen(tmp_path):
    def tail(labels, **parts):
        return latent(read_recipe(parts), 9, labels=labels)[6:]

    animals = {"a": [0], "b": [2], "c": [1], "d": [1], "way": 0.25}  # eel - dog + cat
    for label, expected in (("", [4 / 7, 0, 3 / 7]), ("<b>dog", [0, 1, 0])):
        np.testing.assert_allclose(tail(ANIMALS, **animals, label=label), expected)
    assert tail(ANIMALS, a=[0, 1, 5]).tolist() == [np.float32(2 / 3), 0, np.float32(1 / 3)]
    traits = {"a": [2], "b": [1], "c": [3], "truncation": 0.5}  # 111 - 101 + 010, cut
    assert tail(TRAITS, **traits).tolist() == [0, 1, 0]
    assert tail(TRAITS, **traits, label="Male=1,Wearing_Hat=0").tolist() == [0, 0, 1]
    assert tail(TRAITS).tolist() == [0, 0, 0]

    sampler = small_sampler(tmp_path / "small.keras", labels=TRAITS)
    with serving(sampler, None) as server:
        for label in ("", "Male=0", "Smiling=1,Wearing_Hat=1,Male=0"):
            found, norms = images(server, {"a": [7], "truncation": 0.5, "label": label})
            own = {"seeds": [7], "label": label or None, "truncation": 0.5}
            np.testing.assert_array_equal(found, sampler.generate(**own))
            assert norms == [pytest.approx(np.linalg.norm(0.5 * seed_latents([7], LENGTH)))]
        for label, words in ((7, "label: got 7, expected a text"), ("Male", "expected 0 or 1")):
            body = json.dumps([{"a": [7], "label": label}]).encode()
            status, _, said = ask(server, body=body)
            assert status == 400 and words in said.decode() and said.count(b"\n") == 1
    with pytest.raises(ValueError, match="without labels"):
        latent(Recipe(a=(1,), label="cat"), 9)


def test_only_a_client_with_the_token_of_no_other_page_is_answered(server):
    status, headers, body = ask(server, "GET", "", b"", Content_Length=None)
    assert status == 200 and headers.get_content_type() == "text/html"
    assert b"&lt;b&gt;small" in body and b"{{" not in body and server.token.encode() not in body
    assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert b"connect-src 'self'" in body
    assert len(server.token) >= 32 and server.server_address[0] == "127.0.0.1"
    for method, route in (("GET", ""), ("POST", "images")):
        for token in ("images", "x" * 32, "%C3%A4"):
            status, _, body = ask(server, method, route, token=token)
            assert status == 403 and b"token" in body and body.count(b"\n") == 1
    for name in ("127.0.0.1", "localhost"):
        place = f"{name}:{server.server_port}"
        assert ask(server, Host=place, Origin=f"http://{place}")[0] == 200
    for other in (
        {"Host": "evil.example"},  # a name that was made to lead to this machine
        {"Host": "127.0.0.1:1"},
        {"Host": "localhost"},
        {"Host": None},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ):
        status, _, body = ask(server, **other)
        assert status == 403 and body.count(b"\n") == 1, other


def test_bad_requests_are_refused_in_one_line(server):
    recipes = (
        (3, "got 3, expected an object of a, b, c, d, way, along, truncation"),
        ({"e": [1]}, "expected an object of"),
        ({"a": 3}, "a: got 3, expected at most 64 seeds from 0 to 4294967295"),
        ({"a": [-1]}, "expected at most 64 seeds"),
        ({"c": [True]}, "expected at most 64 seeds"),
        ({"a": [1] * 65}, "expected at most 64 seeds"),
        ({"way": 1.1}, "way: got 1.1, expected a number from 0 to 1"),
        ({"way": float("nan")}, "way: got nan"),
        ({"truncation": "1"}, "truncation: got '1'"),
        ({"along": [1]}, "along: got [1]"),
        ({"along": {"Smiling": None}}, "Smiling: got None"),
        ({"along": {"\ud800": None}}, "got None"),
        ({"along": {"\ud800": 1}}, "no direction"),
        ({"along": {"Frowning": 1}}, "no direction 'Frowning' here"),
    )
    for status, words, asked in (
        (404, "no such page", {"method": "GET", "route": "other"}),
        (404, "nothing to post to", {"route": "other"}),
        (413, "4,194,304", {"Content_Length": None}),
        (413, "4,194,304", {"Content_Length": str(BODY_BYTES + 1)}),
        (400, "not JSON (Expecting", {"body": b"{"}),
        *((400, "", {"body": b"[" * n + b"]" * n}) for n in (950, 970, 982, 999, 10_000)),
        (400, "not JSON", {"body": b"[" * 100_000}),
        (400, "expected an object", {"body": b'["\\ud800"]'}),
        (400, "list of 1 to 32", {"body": b"[]"}),
        (400, "list of 1 to 32", {"body": json.dumps([{}] * 33).encode()}),
        *((400, words, {"body": json.dumps([recipe]).encode()}) for recipe, words in recipes),
    ):
        found, _, body = ask(server, **asked)
        assert found == status and words in body.decode() and len(body) < 600, asked
    nested = functools.reduce(lambda inner, _: [inner], range(10_000), [])
    with pytest.raises(ValueError, match="nested too deep, expected an object"):
        read_recipe(nested)


def test_a_request_that_comes_byte_by_byte_ends(server, monkeypatch):
    monkeypatch.setattr(server_module, "SECONDS", 1)
    place = f"127.0.0.1:{server.server_port}"
    post = f"POST /{server.token}/images HTTP/1.1\r\nHost: {place}\r\nContent-Length: 999\r\n\r\n"
    for beginning in ("", post):
        with socket.create_connection(server.server_address, timeout=60) as sender:
            sender.sendall(beginning.encode())
            with pytest.raises(OSError, match="reset|pipe"):  # closed by the server
                for _ in range(100):
                    sender.sendall(b"G")
                    time.sleep(0.2)


def test_the_server_stands_more_connections_and_files_than_there_may_be(server, monkeypatch):
    monkeypatch.setattr(server_module, "SECONDS", 600)  # none of these ends by itself
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS + 8):
            last = socket.create_connection(server.server_address, timeout=60)
            stack.enter_context(last)
        assert last.recv(1) == b""  # closed
        assert threading.active_count() < CONNECTIONS + 20
    for _ in range(100):
        with contextlib.suppress(OSError, http.client.HTTPException):
            if ask(server)[0] == 200:
                break
        time.sleep(0.1)
    tried, ended = [], threading.Event()

    def accept():
        tried.append(time.monotonic())
        if len(tried) == 4:
            ended.set()
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        no_more = SimpleNamespace(accept=accept, fileno=server.socket.fileno)
        patch.setattr(server, "socket", no_more)
        with socket.create_connection(server.server_address):
            assert ended.wait(60)
    assert np.diff(tried).min() > 0.05  # it waits between two attempts
    assert ask(server)[0] == 200


def test_at_port_80_a_browser_names_no_port(monkeypatch):
    bind = ThreadingHTTPServer.server_bind

    def bind_as_80(server):
        bind(server)
        server.server_port = 80

    monkeypatch.setattr(ThreadingHTTPServer, "server_bind", bind_as_80)
    with PageServer(0, b"", {}) as server:
        assert server.hosts >= {"localhost", "localhost:80", "127.0.0.1", "127.0.0.1:80"}


def test_the_directions_beside_the_generator_are_found(run, sampler, directions, caplog):
    request = parse_explore(["--run", str(run)])
    assert exploration.find_directions(request, sampler) is None
    write_directions(run / "directions.npz", directions)
    found = exploration.find_directions(request, sampler)
    about = describe("one", sampler, found, "")
    first = {"name": "Smiling", "kind": "attribute", "reach": 3.0}
    assert about["directions"][0].items() >= first.items() and len(about["directions"]) == 3
    assert about["seed"] == 0 and request.hint == f"python -m dcgan_tf directions --run {run}"
    caplog.set_level("WARNING", "dcgan_tf")
    other = SimpleNamespace(sha256="0" * 64, latent_dim=LENGTH)
    assert exploration.find_directions(request, other) is None
    assert "left out" in caplog.text and "of another generator" in caplog.text
    named = parse_explore(["--run", str(run), "--directions", str(run / "directions.npz")])
    with refused("--directions", "of another generator"):
        exploration.find_directions(named, other)
    (run / "directions.npz").unlink()

    # A link has a hash, to tell other directions of these names from its own.
    others = (
        {"vectors": directions.vectors.astype(">f4")},  # the same
        {"vectors": directions.vectors[:, ::-1]},
        {"reach": directions.reach * 2},
        {"names": directions.names[::-1]},
    )
    found = [directions, *(replace(directions, **other) for other in others), None]
    first, *hashed = (describe("x", sampler, each, "")["directions_sha256"] for each in found)
    assert re.fullmatch("[0-9a-f]{64}", first) and hashed[0] == first and hashed[-1] == ""
    assert len({first, *hashed}) == 5


def test_the_bundled_generator_opens_on_its_own_seed_with_directions(here):
    request = parse_explore(["faces"])
    sampler = load_generator("faces")
    found = exploration.find_directions(request, sampler)
    assert len(found.names) == 16 and request.found[1].stat().st_size < 12_000
    assert request.hint.endswith("directions --pretrained faces")
    about = describe(request.name, sampler, found, "")
    assert b"<title>faces" in served_page(about)
    assert about["seed"] > 0, "choose the seed for these weights: page.FIRST_SEEDS"


def test_what_celeba_made_says_its_license_also_through_other_runs(tmp_path, monkeypatch):
    def license_of(name, **settings):
        run = Run(tmp_path / name)
        run.root.mkdir()
        if settings:
            write_text(run.config, to_toml(Config(**settings)))
            write_text(run.versions, json.dumps({"directory": str(tmp_path)}))
        return exploration.license_of(run.generator)

    said = license_of("faces", dataset="celeba")
    assert said.startswith("For non-commercial research only: ") and "CelebA" in said
    assert said == exploration.license_of(pretrained("faces", "").generator)
    assert said == exploration.license_of(Run(tmp_path / "faces").best_generator)
    assert said == license_of("tuned", dataset="folder", init_from="pretrained:faces")
    assert said == license_of("again", dataset="demo", init_from="tuned")
    files = "demo/generator.keras,faces/discriminator.keras"
    assert said == license_of("files", dataset="demo", init_from=files)
    assert license_of("demo", dataset="demo") == license_of("bare") == ""
    assert license_of("circle", dataset="demo", init_from="circle") == ""
    assert license_of("gone", dataset="demo", init_from="pretrained:gone") == ""
    # A run that was begun from runs/latest, before that was put down by its name.
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/latest").symlink_to(tmp_path / "faces")
    assert license_of("begun", dataset="demo", init_from="runs/latest") == ""
    (tmp_path / "latest").mkdir()  # a folder of that name is no link to a run
    (tmp_path / "faces").rename(tmp_path / "latest/faces")
    named = str(tmp_path / "latest/faces")
    assert said == license_of("kept", dataset="demo", init_from=named)
    (tmp_path / "latest/faces").rename(tmp_path / "faces")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("faces", "again", "tuned"):
        run = Run(tmp_path / name)
        begun = {"directory": str(tmp_path), "run": str(run.root)}
        write_text(run.versions, json.dumps(begun))
        run.root.rename(moved / name)
    exported = Run(moved / "again/exported/0001/hub")  # a folder for a hub has no places in it
    exported.root.mkdir(parents=True)
    write_text(exported.config, to_toml(Config(dataset="demo")))
    write_text(exported.root / ORIGIN, '{"data": ["demo", "celeba", "x"], "complete": true}')
    assert said == exploration.license_of(exported.generator)
    for text in ('{"data": 1, "complete": true}', '{"data": ["new"], "complete": true}'):
        write_text(exported.root / ORIGIN, text)  # of another version or a stranger
        assert not exploration.origin_of(exported.generator).complete
    again = exploration.origin_of(moved / "again/generator.keras")
    assert again.bound == "celeba" and again.complete
    monkeypatch.chdir(moved)  # as from the project's new place
    again = exploration.origin_of(Path("again/generator.keras"))
    assert again.bound == "celeba" and again.complete
    write_text(tmp_path / "bare/config.toml", "title = 'of another program'")
    assert exploration.license_of(tmp_path / "bare/generator.keras") == ""


def test_mistakes_on_the_command_line_are_one_line(server, sampler, here):
    (here / "mine.html").write_text("<p>mine")
    home = here / "runs/pretrained-faces"  # where an upload looks for the page
    assert parse_explore(["faces", "--static", str(home / "explorer.html")]) and home.is_dir()
    for words, argv in (
        ("--port: got '70000'", ["--port", "70000", "--pretrained", "faces"]),
        ("a folder", ["--static", ".", "--pretrained", "faces"]),
        ("a file that is no explorer", ["--static", "mine.html", "--pretrained", "faces"]),
        ("did you mean faces", ["--pretrained", "fases"]),
        ("no such file", ["--model", "nowhere.keras"]),
        ("no run with a generator.keras", []),
    ):
        with refused(words):
            parse_explore(argv)
    with refused(f"--port {server.server_port}", "cannot be used"):
        exploration.serve(server.server_port, sampler, None, describe("x", sampler, None, ""))


@pytest.mark.slow
def test_the_browser_gets_a_private_file_that_redirects_until_ctrl_c(run, tmp_path):
    code = (
        "import webbrowser; webbrowser.open = lambda uri: print('opens', uri, flush=True);"
        "from dcgan_tf.explore.__main__ import main; main()"
    )
    words = [sys.executable, "-c", code, "--run", str(run)]
    env = os.environ | {"HOME": str(tmp_path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(words, cwd=REPO, env=env, **pipes))
        stack.callback(process.kill)  # should the test fail before
        for line in process.stdout:
            if match := re.match(r"opens (\S+)$", line):
                break
        (file,) = tmp_path.glob("*.html")  # command lines are public, and its name has no token
        assert match[1] == file.as_uri() and file.stat().st_mode & 0o777 == 0o600
        address = re.search(r'url=(http://127\.0\.0\.1:\d+/\S{32}/)"', file.read_text())[1]
        with urllib.request.urlopen(address) as answer:
            assert answer.status == 200 and b"0001-celeba" in answer.read()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and rest.endswith("closed\n") and errors == ""
    assert not file.exists()
