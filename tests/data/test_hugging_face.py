"""Data sets that the library of Hugging Face reads: in folders, and from a stand-in for the hub."""

import contextlib
import hashlib
import io
import json
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from helpers import (
    SMALL,
    assert_refused,
    face_jpeg,
    little_memory,
    refused,
    train,
    write_files,
)
from PIL import Image
from programs import run_program

from dcgan_tf import images_dataset
from dcgan_tf.common import hub
from dcgan_tf.common.config import Config
from dcgan_tf.common.images import encode
from dcgan_tf.common.runs import Run
from dcgan_tf.data.labels import read_classes, read_labels
from dcgan_tf.data.pack import open_pack
from dcgan_tf.data.sources import open_source, recognize
from dcgan_tf.data.survey import survey
from dcgan_tf.evaluate.archive import open_archive
from dcgan_tf.evaluate.command import parse_evaluation
from dcgan_tf.models.loading import load_generator

FACES = [face_jpeg(index) for index in range(12)]
ANIMALS = ["zebra", "ant", "bee"]


@pytest.fixture
def library(here, monkeypatch):
    library = pytest.importorskip("datasets", reason='needs pip install ".[datasets]"')
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", str(here / "cache"))
    monkeypatch.setattr(library.config, "HF_HUB_OFFLINE", True)
    library.disable_progress_bars()
    return library


def rows_of(library, images=FACES, feature=None, **columns):
    """A data set: `image` with encoded images, `label` with ANIMALS, and other columns."""
    labels = library.ClassLabel(names=ANIMALS)
    found = {"image": [{"bytes": content, "path": None} for content in images]}
    found["label"] = [row % 3 for row in range(len(images))]
    rows = library.Dataset.from_dict(found).cast_column("image", feature or library.Image())
    rows = rows.cast_column("label", labels)
    for name, values in columns.items():
        rows = rows.add_column(name, values)
    return rows


def save_table(folder, **columns):
    """Write train.parquet without the library's types."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    Path(folder).mkdir()
    parquet.write_table(arrow.table(columns), Path(folder, "train.parquet"))


def opened(data, dataset="folder", **fields):
    return open_source(Config(dataset=dataset, data=data, **fields))


def contents(source):
    read = list(source.read(range(len(source.names))))
    assert [index for index, _ in read] == list(range(len(source.names)))
    return [encoded if isinstance(encoded, bytes) else str(encoded) for _, encoded in read]


def jpeg(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def test_a_value_of_data_is_a_name_a_split_and_a_column():
    for data, parts in {
        "hf:a": ("a", "", ""),
        "hf:me/a:test": ("me/a", "test", ""),
        "hf:me/a::pixels": ("me/a", "", "pixels"),
        "hf:a:train[:10%]:my column": ("a", "train[:10%]", "my column"),
        "hf:a:train[:50%]+test[:10%]:image": ("a", "train[:50%]+test[:10%]", "image"),
        "hf:a:train[:5]+b": ("a", "train[:5]+b", ""),
        r"hf:C:\my data:test": (r"C:\my data", "test", ""),
        "hf:C:/x": ("C:/x", "", ""),
    }.items():
        assert hub.split_data(data) == parts
    assert hub.change_path("hf:a:b:c", str.upper) == "hf:A:b:c"
    assert hub.change_path("hf:f:test", lambda name: f"/{name}") == "hf:/f:test"
    assert hub.change_path("a:b", str.upper) == "A:B"


def test_images_come_into_the_pack_as_those_of_files_do(library, here):
    pixels = np.random.RandomState(0).randint(0, 256, (20, 30, 4), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    images = {
        "face": FACES[0],
        "clear": encode(Image.fromarray(pixels), "PNG"),
        "cmyk": jpeg(Image.fromarray(pixels, "RGBA").convert("RGB").convert("CMYK")),
        "turned": jpeg(Image.fromarray(pixels[..., :3]), exif=turned),
        "gray": encode(Image.fromarray(pixels[..., 0]), "PNG"),
        "text": b"no image",
        "half": FACES[1][:3000],
        "huge": bytes(2_000_000),
        "tall": encode(Image.new("RGB", (9, 1000)), "PNG"),
    }
    files = {f"{row:06d}.jpg": content for row, content in enumerate(images.values())}
    write_files(here / "files", files | {"000009.jpg": b"", "000010.jpg": b""})
    rows = [{"bytes": content, "path": "x.jpg"} for content in images.values()]
    rows += [None, {"bytes": None, "path": "gone.jpg"}]  # as another program may write a table
    save_table("rows", image=rows)
    config = Config(
        dataset="folder", data="hf:rows", image_size=16, base_size=4, g_channels=(8, 8),
        d_channels=(8, 8), max_bad=0.9, max_pixels=0.008, packs=str(here / "packs"),
    )  # fmt: skip
    pack = open_pack(config, open_source(config))
    own = Config(**{**vars(config), "data": "files"})
    expected = open_pack(own, open_source(own))
    assert pack.path != expected.path and len(pack.names) == 4
    assert pack.manifest["pixels_sha256"] == expected.manifest["pixels_sha256"]
    skipped = {f"{name}.jpg": why for name, why in pack.manifest["skipped"].items()}
    assert skipped.pop("000009.jpg") == "no image in this row"
    assert skipped.pop("000010.jpg") == "cannot be read (no such file)"
    assert skipped.items() < expected.manifest["skipped"].items()
    assert len(skipped) == 5 and "more than the" in skipped["000007.jpg"]
    # A seed chooses the same images of both.
    some, same = (Config(**{**vars(each), "subset": 3}) for each in (config, own))
    chosen = [open_pack(each, open_source(each)).names for each in (some, same)]
    assert [f"{name}.jpg" for name in chosen[0]] == chosen[1]
    with refused("--data hf:rows", "7 of 11 images cannot be used"):
        few = Config(**{**vars(config), "max_bad": 0.5})
        open_pack(few, open_source(few))


def test_the_forms_that_the_library_reads(library, here, caplog):
    caplog.set_level("INFO")
    rows = rows_of(library)
    rows.save_to_disk("my rows")
    library.DatasetDict(train=rows, test=rows.select([3, 5])).save_to_disk("both")
    for name, part in (("train", rows), ("test", rows.select([3, 5]))):
        (here / "tables").mkdir(exist_ok=True)
        part.to_parquet(here / f"tables/{name}.parquet")
    write_files(
        here / "files", {f"{'ab'[row % 2]}/{row:02d}.jpg": f for row, f in enumerate(FACES)}
    )
    two = [FACES[3], FACES[5]]
    for data, expected in {
        "hf:my rows": FACES,
        "hf:my rows:train:image": FACES,
        "hf:both": FACES,
        "hf:both:test": two,
        "hf:tables:test:image": two,
        "hf:tables:train+test": FACES + two,
        "hf:tables:train[2:4]": FACES[2:4],
        f"hf:{here}/files": [*FACES[::2], *FACES[1::2]],
    }.items():
        source = opened(data)
        assert source.where == data and contents(source) == expected, data
    assert read_classes(source, source.names[4:8], 9)[1].tolist() == [0, 0, 1, 1]
    assert [index for index, _ in opened("hf:tables").read([7, 2])] == [7, 2]
    batches = images_dataset("hf:tables:test", 8, 2, packs=str(here / "packs"))
    assert next(iter(batches))["image"].shape == (2, 8, 8, 3)
    lines, sample = survey("hf:tables", image_size=8)
    assert len(sample) == 12 and any("hf:tables: 12 images (12 JPEG)" in line for _, line in lines)
    # Aligned faces of CelebA are of a size that nothing else has.
    assert "dataset celeba: hf:tables has 12 images" in caplog.text
    for data, dataset in (("hf:files", "celeba"), ("hf:small", "folder")):
        rows_of(library, [jpeg(Image.new("RGB", (9, 9)))] * 3).save_to_disk("small")
        assert recognize(Config(dataset="auto", crop="auto", data=data)).dataset == dataset


def test_data_that_changed_is_another_pack_and_equal_data_the_same(library, here):
    rows = rows_of(library)
    rows.save_to_disk("a")
    rows.to_parquet(here / "b/train.parquet")
    rows.select(range(11)).to_parquet(here / "b/test.parquet")
    write_files(here / "c", {f"{row}.jpg": content for row, content in enumerate(FACES)})
    before = {data: opened(data).fingerprint for data in ("hf:a", "hf:b", "hf:b:test", "hf:c")}
    assert len({*before.values()}) == 4
    assert {data: opened(data).fingerprint for data in before} == before
    rows_of(library, FACES[::-1]).save_to_disk("a")
    rows_of(library, FACES[::-1]).to_parquet(here / "b/train.parquet")
    (here / "c/3.jpg").write_bytes(FACES[4])
    for data, fingerprint in before.items():
        assert opened(data).fingerprint != fingerprint
    # The library's own fingerprint of files that are embedded when saved is that of their names.
    for name in "de":
        rows = library.Dataset.from_dict({"image": ["c/1.jpg"]})
        rows.cast_column("image", library.Image()).save_to_disk(name)
        write_files(here, {"c/1.jpg": FACES[7]})
    assert contents(opened("hf:d")) != contents(opened("hf:e"))
    assert opened("hf:d").fingerprint != opened("hf:e").fingerprint
    for data, first in (("hf:a", FACES[11]), ("hf:b", FACES[11]), ("hf:b:test", FACES[0])):
        assert contents(opened(data))[0] == first


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("hf:rows:test", "no split 'test': it was saved without others; leave the split out"),
        ("hf:both:val", "no split 'val'; there are train, few"),
        ("hf:tables:test", 'Instruction "test" corresponds to no data'),
        ("hf:tables:val", 'Unknown split "val". Should be one of'),
        ("hf:rows::label", "no images in column 'label'; the columns are image (Image), label (Cl"),
        ("hf:rows:train:x", "no column 'x'; the columns are image (Image), label (ClassLabel)"),
        ("hf:two", "images in 2 columns: name one, such as hf:two:train:image; the columns are"),
        ("hf:numbers", "no column has images; the columns are a (int64), b (string)"),
        ("hf:untyped", "no column has images; the columns are a (dict), b (dict)"),
        ("hf:junk", "Parquet magic bytes not found"),
        ("hf:empty", "doesn't contain any data files"),
        ("hf:cut", ""),
        ("hf:file.parquet", "'file.parquet' is a file; expected hf:NAME[:SPLIT[:COLUMN]]"),
        ("hf:./gone", "'./gone' is no such folder; expected hf:NAME"),
        ("hf:", "'' is no such folder; expected hf:NAME"),
        ("hf:~nobody-here/x", "home directory"),
        ("hf:me/gone", "no copy in the library's cache; check the network"),
    ],
    ids=str,
)
def test_mistakes_are_one_line(data, words, library, here, capfd):
    rows = rows_of(library)
    rows.save_to_disk("rows")
    library.DatasetDict(train=rows, few=rows.select([0])).save_to_disk("both")
    two = rows.add_column("mask", [{"bytes": b"", "path": None}] * 12)
    two.cast_column("mask", library.Image()).save_to_disk("two")
    library.Dataset.from_dict({"a": [1], "b": ["c"]}).save_to_disk("numbers")
    save_table("untyped", a=[{"bytes": 3}], b=[{"bytes": "text"}])
    rows.to_parquet(here / "tables/train.parquet")
    rows.select([]).to_parquet(here / "tables/test.parquet")
    rows.save_to_disk("cut")
    (file,) = (here / "cut").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:200])
    write_files(here, {"junk/train.parquet": b"PAR1junk", "file.parquet": b""})
    (here / "empty").mkdir()
    capfd.readouterr()
    with refused(f"--data {data}: ", words):
        opened(data)
    assert capfd.readouterr().err == ""


LABELS = (  # columns, and the classes with those of the first three rows, or the refusal
    ({"label": [9, 10, 11]}, (["9", "10", "11"], [0, 1, 2])),
    ({"labels": ["b", "c", "a"]}, (["a", "b", "c"], [1, 2, 0])),
    ({"label": [True, False, True]}, (["False", "True"], [1, 0, 1])),
    ({"label": [1, 0, 2], "labels": ["a"] * 3}, "needs one column of type ClassLabel"),
    ({"kind": [1, 0, 2]}, "or called label; the columns are image (Image), kind (int64)"),
    ({"label": [0.5, 1.0, 2.0]}, "row 0 has no class in column label (0.5); give a split"),
    ({"label": [1, None, 2]}, "row 1 has no class in column label (None)"),
    ({"label": [1, 1, 1]}, "images of 1 classes, expected 2 to 256"),
    ({"label": ["a", "b\n", "c"]}, "the class of row 000001 is no name of a class"),
)


def test_labels_are_classes_with_the_names_of_their_feature(library, here):
    config = Config(dataset="folder", data="hf:rows", labels="class")
    rows = rows_of(library)
    rows.save_to_disk("rows")
    source = opened("hf:rows")
    names, hot = read_labels(config, source)
    assert names == ANIMALS and hot.tolist() == np.eye(3, dtype=int)[np.arange(12) % 3].tolist()
    classes, numbers = read_classes(source, ["000002", "000001", "000004"], 9)  # as a probe does
    assert classes == ["ant", "bee"] and numbers.tolist() == [1, 0, 0]

    plain = rows.remove_columns("label")
    for number, (columns, expected) in enumerate(LABELS):
        each = plain
        for name, values in columns.items():
            each = each.add_column(name, 4 * values)
        each.save_to_disk(f"rows{number}")
        said = expected if isinstance(expected, str) else ""
        with refused(f"--data hf:rows{number}: ", said) if said else contextlib.nullcontext():
            names, hot = read_labels(config, opened(f"hf:rows{number}"))
            assert (names, hot.argmax(1)[:3].tolist()) == expected
    named = plain.add_column("label", ["a", "b", "c"] * 4).add_column("kind", [2, 0, 1] * 4)
    named = named.cast_column("kind", library.ClassLabel(names=ANIMALS))
    named.save_to_disk("named")  # the only column of its type goes before a name
    names, hot = read_labels(config, opened("hf:named"))
    assert (names, hot.argmax(1)[:3].tolist()) == (ANIMALS, [2, 0, 1])
    unknown = plain.add_column("label", [0, 1, -1] * 4)  # as splits for a competition have it
    unknown.cast_column("label", library.ClassLabel(names=ANIMALS)).save_to_disk("unknown")
    with refused("row 2 has no class in column label (-1)"):
        read_labels(config, opened("hf:unknown"))


def test_rows_are_read_one_by_one(library, here):
    noise = np.random.RandomState(0).bytes(2_000_000)
    rows_of(library, [bytes([k]) + noise for k in range(24)]).save_to_disk("rows")
    source = opened("hf:rows")
    read_labels(Config(dataset="folder", labels="class"), source)  # what imports have cost
    with little_memory(6e6):
        read_labels(Config(dataset="folder", labels="class"), source)
        for index, content in source.read(range(24)):
            assert content[0] == index
    small = opened("hf:rows", max_pixels=0.1)
    assert "2.0 MB, more than the 1.4 MB of the largest image" in contents(small)[0]


def test_without_the_library_the_extra_is_named(here, monkeypatch):
    old = types.SimpleNamespace(__version__="3.6.0")
    folder = types.ModuleType("datasets")  # a folder of this name beside the user's files
    for module, words in (
        (None, "needs the library datasets (import of datasets halted"),
        (old, "needs the library datasets (version 3.6.0, expected 4 or newer)"),
        (folder, "has no attribute '__version__'"),
    ):
        monkeypatch.setitem(sys.modules, "datasets", module)
        with refused("--data hf:me/a: ", words, 'pip install ".[datasets]"'):
            opened("hf:me/a")
    with refused("--data hf:me/a: dataset demo draws its own images"):
        opened("hf:me/a", "demo")


FLAGS = (
    *("--dataset", "folder", "--labels", "class", *SMALL, "--batch-size", "4"),
    *("--sample-count", "6", "--no-tensorboard", "--seed", "3"),
)


@pytest.mark.nightly
def test_a_run_trains_on_it_and_resumes_from_its_pack_alone(library, here, monkeypatch):
    """Labels, --check, evaluate --data; a resume without the data set and without the library."""
    rows_of(library).save_to_disk("rows")
    done = train("--check", "hf:rows", *FLAGS, cwd=here)
    assert done.returncode == 0 and "12 of 12, hf:rows" in done.stdout, done.stderr
    flags = ("hf:rows:train:image", *FLAGS, "--run", "runs/a", "--epochs", "1")
    done = train(*flags, cwd=here)
    assert done.returncode == 0, done.stderr
    archive, against = open_archive(Run("runs/a"), parse_evaluation(["--data", "hf:rows"]))
    assert (against, len(archive.pack.names)) == ("subset", 12)
    assert load_generator("runs/a").labels.names == tuple(ANIMALS)
    rows_of(library, FACES[::-1]).save_to_disk("others")
    archive, against = open_archive(Run("runs/a"), parse_evaluation(["--data", "hf:others"]))
    assert against == "data" and archive.source.where == "hf:others"
    (here / "rows").rename(here / "moved")
    (here / "elsewhere").mkdir()
    packs = sorted((here / "data/packs").iterdir())
    stub = write_files(here / "stub", {"datasets.py": b"raise ImportError('none here')"})
    without = {"PYTHONPATH": str(stub)}
    done = train("--run", "../runs/a", "--epochs", "2", cwd=here / "elsewhere", env=without)
    assert done.returncode == 0 and "done: 2 epochs" in done.stdout, done.stderr
    assert sorted((here / "data/packs").iterdir()) == packs
    done = train(*flags[:-1], "3", cwd=here, env=without)  # named again
    assert done.returncode == 0 and "done: 3 epochs" in done.stdout, done.stderr
    done = train("--run", "runs/a", "--epochs", "4", "--data", "hf:rows:test", cwd=here)
    assert_refused(done, "--data hf:rows:test: ")


def test_a_relative_folder_is_found_from_another_directory(library, here, monkeypatch):
    from dcgan_tf.train import command, images, run_lock

    rows_of(library).save_to_disk("mine/rows")
    request = command.parse_training(["hf:mine/rows:train", *FLAGS, "--run", "runs/a"])
    with run_lock.claim(images.recognize_images(request)) as run:
        run_lock.save_config(run, request.config)
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    found = images.open_images(command.parse_training(["--run", "../runs/a"]))
    assert found[0].data == f"hf:{here}/mine/rows:train" and len(found[1].names) == 12
    rows_of(library).save_to_disk("own")
    for data, seen in (("hf:own::image", f"hf:{here}/elsewhere/own::image"), ("hf:me/x", None)):
        config = command.parse_training(["--run", "../runs/a", "--data", data]).config
        assert config.data == (seen or data)


# The hub

COMMIT = "c" * 40


class Server(BaseHTTPRequestHandler):
    """A stand-in for the hub with one data set, me/faces; `refusal` is (status, X-Error-Code)."""

    files: dict = {}
    refusal: tuple = ()
    tokens: set = set()

    def log_message(self, *_):
        pass

    def answer(self, status, content=b"", **headers):
        self.send_response(status)
        headers = {"Content-Length": len(content), "X-Repo-Commit": COMMIT, **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self):
        self.tokens.add(self.headers.get("Authorization"))
        path = unquote(self.path.split("?")[0])
        if "me/faces" not in path:
            return self.answer(404, X_Error_Code="RepoNotFound")
        if self.refusal:
            status, code = self.refusal
            return self.answer(status, X_Error_Code=code, X_Error_Message="no")
        hashes = {name: hashlib.sha1(body).hexdigest() for name, body in self.files.items()}
        if path.endswith(("/faces", COMMIT)) and "/tree/" not in path:
            found = {"id": "me/faces", "sha": COMMIT, "private": False, "tags": []}
            found["siblings"] = [{"rfilename": name} for name in hashes]
        elif path.endswith(f"/tree/{COMMIT}"):
            found = [
                {"type": "file", "path": name, "size": len(self.files[name]), "oid": hashes[name]}
                for name in hashes
            ]
        elif (name := path.rsplit("/", 1)[1]) in self.files:
            return self.answer(200, self.files[name], ETag=f'"{hashes[name]}"')
        else:
            return self.answer(404, X_Error_Code="EntryNotFound")
        return self.answer(200, json.dumps(found).encode(), Content_Type="application/json")

    do_HEAD = do_GET


@pytest.mark.slow
def test_the_hub_gives_a_data_set_that_its_cache_keeps(library, here, monkeypatch):
    rows_of(library).to_parquet(here / "train.parquet")
    monkeypatch.setattr(Server, "files", {"train.parquet": (here / "train.parquet").read_bytes()})
    with contextlib.closing(ThreadingHTTPServer(("127.0.0.1", 0), Server)) as server:
        server.close = server.server_close
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        places = {"HF_HOME": here / "home", "HF_DATASETS_CACHE": here / "home/datasets"}
        address = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_TOKEN": "hf_secret"}
        for name, value in (places | address).items():
            monkeypatch.setenv(name, str(value))

        def look(data):
            return run_program(("-m", "dcgan_tf.data", data), here)

        done = look("hf:me/faces")
        assert done.returncode == 0 and "hf:me/faces: 12 images (12 JPEG)" in done.stdout, done
        assert done.stderr == "" and "Bearer hf_secret" in Server.tokens
        for name in places:
            monkeypatch.setenv(name, str(here / "fresh"))
        for refusal, words in (
            ((401, "GatedRepo"), ("gated", "hf auth login, or set HF_TOKEN")),
            ((403, "GatedRepo"), ("gated", "to ask for access", "hf auth login")),
            ((401, "RepoNotFound"), ("me/faces", "cannot be accessed", "private", "hf auth login")),
            ((404, "RepoNotFound"), ("doesn't exist on the Hub", "hf auth login")),
        ):
            monkeypatch.setattr(Server, "refusal", refusal)
            assert_refused(look("hf:me/faces"), "error: hf:me/faces: ", *words)
        monkeypatch.setattr(Server, "refusal", ())
        assert_refused(look("hf:me/faces/large"), "'large' not found", "default", "; name one: ")
        server.shutdown()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert_refused(look("hf:me/faces"), "no copy in the library's cache")
    for name, value in places.items():
        monkeypatch.setenv(name, str(value))
    write_files(here, {"junk/train.parquet": b"PAR1junk"})
    assert_refused(look("hf:junk"), "Parquet magic bytes")  # nor a line of the library's own
    done = look("hf:me/faces")
    assert done.returncode == 0 and "12 images (12 JPEG)" in done.stdout, done
    assert "me/faces: the hub does not give it; the newest copy in the cache" in done.stdout
