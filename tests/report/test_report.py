"""The page of a run: whole, closed in itself, true to the files, whatever became of them."""

import base64
import hashlib
import io
import json
import math
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import REPO, refused
from PIL import Image
from tiny_run import EPOCHS, HOSTILE, VERDICT, Parts, losses, make_run, score, times

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import CONFIGS, read_config, to_toml
from dcgan_tf.common.images import save_png
from dcgan_tf.common.runs import Run, sample_file
from dcgan_tf.report import curves, page
from dcgan_tf.report.__main__ import main
from dcgan_tf.report.page import MOST_BYTES


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "one")


def write(*runs, out=None):
    """(Parts, dict): the page of runs as its file has it, and the data in it."""
    flags = [flag for run in runs for flag in ("--run", str(run.root))]
    main([*flags, *(["--out", str(out)] if out else [])])
    path = out or runs[0].report
    assert path.stat().st_size <= MOST_BYTES
    text = path.read_text(encoding="utf-8")
    parts = Parts(text)
    assert text.endswith("</html>\n") and "{{data}}" not in text
    return parts, json.loads(parts.texts["data"])


def grey(picture):
    """int: the grey of a picture in the page."""
    content = base64.b64decode(picture["src"].removeprefix("data:image/jpeg;base64,"))
    return int(np.asarray(Image.open(io.BytesIO(content)).convert("L")).mean().round())


def test_the_numbers_are_those_of_the_files(run):
    data = write(run)[1]["runs"][0]
    records = [losses(epoch) for epoch in range(1, EPOCHS + 1)]
    assert data["epochs"] == {name: [r[name] for r in records] for name in records[0]}
    timing = [times(epoch) for epoch in range(1, EPOCHS + 1)]
    drawn = ("epoch", "images_per_second", "peak_memory_mb")
    assert data["timing"] == {name: [r[name] for r in timing] for name in drawn}
    assert data["speed"] == {
        "images_per_second": 103.5,
        "seconds": 2.5 * 21,
        "peak_memory_mb": 406.5,
    }
    assert [s["values"]["fid_768"] for s in data["scores"]] == [0.9, 0.7, 0.8]
    assert data["scores"][0]["floor"]["fid_768"] == 0.05
    assert ["crop", "30,55,150,175"] in data["scores"][0]["stamp"]
    assert data["best"] == {"epoch": 4, "name": "FID-768", "value": 0.7}
    kept = {name: VERDICT[name] for name in data["memorisation"]}
    assert data["memorisation"] == kept and len(kept) == 7
    assert ["keras", "3.15.1"] in data["versions"]
    assert data["warnings"] == ["one odd thing"]
    assert data["notes"] == []
    assert data["guessing"] == math.log(2)


def test_each_epoch_has_its_grid(run):
    samples = write(run)[1]["runs"][0]["samples"]
    assert [s["epoch"] for s in samples["shown"]] == [1, 2, 3, 4, 5, 6]
    assert samples["left_out"] == []
    for sample in samples["shown"]:
        assert sample["width"] == sample["height"] == 20  # their own pixels, not enlarged
        assert abs(grey(sample) - 20 * sample["epoch"]) <= 1


def test_the_page_asks_for_nothing_outside(run):
    parts = write(run)[0]
    for tag, attributes in parts.elements:
        for name in ("src", "href", "action", "srcset", "data", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
    for name in ("style", "script"):
        assert "//" not in parts.texts[name].replace("// ", "")
        assert not re.search(r"url\(|@import|import\(|fetch\(|XMLHttp|http", parts.texts[name])
    policy = next(a["content"] for _, a in parts.elements if "http-equiv" in a)
    for name in ("style", "script"):
        found = base64.b64encode(hashlib.sha256(parts.texts[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{found}'" in policy
    assert "default-src 'none'" in policy


def test_hostile_names_and_values_stay_texts(tmp_path):
    name = HOSTILE.replace("/", "∕")  # no folder can have a slash in its name
    config = replace(Config(), data=HOSTILE)
    run = make_run(tmp_path / name, config=config)
    run.versions.write_text(json.dumps({"command": HOSTILE, HOSTILE: HOSTILE}))
    write_lines(run.evaluation, [score(2, 0.9) | {"scored": HOSTILE, "notes": [HOSTILE]}])
    run.log.write_text(f"2026-01-01 00:00:00 warning: {HOSTILE}\n")
    parts, data = write(run)
    assert [tag for tag, _ in parts.elements].count("script") == 2
    assert "img" not in [tag for tag, _ in parts.elements]
    shown = data["runs"][0]
    assert shown["name"] == name and [HOSTILE, HOSTILE] in shown["versions"]
    assert shown["warnings"] == [HOSTILE] and shown["scores"][0]["notes"] == [HOSTILE]
    rows = [row for group in shown["settings"]["groups"] for row in group["rows"]]
    assert HOSTILE in [row["value"] for row in rows]


def test_settings_stand_beside_those_of_the_recipe(run):
    demo = read_config(CONFIGS / "demo.toml")
    run.config.write_text(
        to_toml(replace(demo, batch_size=demo.batch_size + 1, flip=not demo.flip))
    )
    settings = write(run)[1]["runs"][0]["settings"]
    assert settings["recipe"] == "demo"
    rows = {row["name"]: row for group in settings["groups"] for row in group["rows"]}
    differing = {name for name, row in rows.items() if row["recipe"] is not None}
    assert differing == {"batch_size", "flip"}
    assert rows["batch_size"]["value"] == str(demo.batch_size + 1)
    assert rows["batch_size"]["recipe"] == str(demo.batch_size)
    assert len(rows) == len(Config.__dataclass_fields__)


@pytest.mark.parametrize("named", ["mine.toml", "gone.toml", ""])
def test_the_recipe_is_found_by_its_path_or_said_not_to_be_there(run, here, named):
    (here / "mine.toml").write_text('dataset = "demo"\nbatch_size = 31\n')
    words = ["train.py", f"--config={named}"] if named else ["train.py"]
    run.versions.write_text(json.dumps({"command": words, "directory": str(here)}))
    data = write(run)[1]["runs"][0]
    rows = {row["name"]: row for g in data["settings"]["groups"] for row in g["rows"]}
    differing = rows["batch_size"]["recipe"], rows["dataset"]["recipe"]
    assert differing == (("31", None) if named == "mine.toml" else ("32", "celeba"))
    assert ["gone.toml" in note for note in data["notes"]] == [True] * (named == "gone.toml")
    assert data["settings"]["recipe"].split(",")[0] == (named if named == "mine.toml" else "celeba")


def test_a_change_of_the_targets_counts_from_its_step_on(run):
    apart = {"d_real": 0.8, "d_fake": 0.1}  # by 0.7: saturated only where reals are aimed at 0.7
    write_lines(run.metrics, [losses(e) | apart for e in range(1, 10)])
    change = 'step = 50\nepoch = 5\nsetting = "label_smoothing"\nold = 0.0\nnew = 0.3\n'
    text = run.config.read_text().replace("label_smoothing = 0.0 ", "label_smoothing = 0.3 ")
    run.config.write_text(f"{text}\n[[changes]]\n{change}")
    found = [(t["what"], t["epoch"]) for t in write(run)[1]["runs"][0]["troubles"]]
    assert found == [("saturated D", 8)]


def test_warnings_and_changes_are_marked(run):
    late = {"diversity": 0.1, "d_real": 0.99, "d_fake": 0.01}
    write_lines(run.metrics, [losses(e) | (late if e > 2 else {}) for e in range(1, EPOCHS + 1)])
    change = 'step = 20\nepoch = 2\nsetting = "g_learning_rate"\nold = 0.1\nnew = 0.05\n'
    run.config.write_text(f"{run.config.read_text()}\n[[changes]]\n{change}")
    data = write(run)[1]["runs"][0]
    assert [(t["what"], t["epoch"]) for t in data["troubles"]] == [
        ("collapse", 3),
        ("saturated D", 5),
    ]
    assert "0.10 of the real images'" in data["troubles"][0]["text"]
    assert data["changes"] == [{"what": "g_learning_rate 0.1 → 0.05", "epoch": 2}]


def test_a_long_run_with_large_noisy_grids_stays_small(tmp_path):
    run = make_run(tmp_path / "one", epochs=3, side=4)
    noise = np.random.RandomState(0).randint(0, 256, (526, 526, 3), np.uint8)
    save_png(sample_file(run.samples, 1), noise, sync=False)
    for epoch in range(2, 91):
        shutil.copyfile(sample_file(run.samples, 1), sample_file(run.samples, epoch))
    run.best_score.write_text(json.dumps(score(47, 0.1)))
    data = write(run)[1]["runs"][0]
    shown = [s["epoch"] for s in data["samples"]["shown"]]
    assert {1, 47, 90} <= set(shown) and 8 <= len(shown) < 60
    gaps = np.diff([epoch for epoch in shown if epoch != 47])
    assert max(gaps) <= 2 * min(gaps)
    assert sorted([*shown, *data["samples"]["left_out"]]) == list(range(1, 91))
    assert all(s["width"] == 526 for s in data["samples"]["shown"])


def test_very_large_grids_are_shown_smaller(run):
    noise = np.random.RandomState(0).randint(0, 256, (1300, 1300, 3), np.uint8)
    save_png(sample_file(run.samples, 1), noise, sync=False)
    shutil.copyfile(sample_file(run.samples, 1), sample_file(run.samples, 6))
    samples = write(run)[1]["runs"][0]["samples"]["shown"]
    assert [samples[0]["epoch"], samples[-1]["epoch"]] == [1, 6] and samples[0]["width"] == 1100


MISSING = {
    "metrics.jsonl": ("epochs", "metrics.jsonl"),
    "samples": ("samples", "after epoch 1"),
    "evaluation.jsonl": ("scores", "python -m dcgan_tf.evaluate --run"),
    "memorisation.json": ("memorisation", "--memorisation"),
    "timing.jsonl": ("timing", "timing.jsonl"),
    "versions.json": ("versions", "versions.json"),
    "config.toml": ("settings", "config.toml"),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_left_out_with_a_line_that_says_so(run, name):
    path = run.root / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    data = write(run)[1]["runs"][0]
    part, words = MISSING[name]
    assert words in data["missing"][part]
    found = data[part]
    kept = {"epochs": "epoch", "timing": "epoch", "samples": "shown"}.get(part)
    assert not (found[kept] if kept else found)


def test_a_run_that_has_just_begun_has_a_page(tmp_path):
    run = Run(tmp_path / "new")
    run.root.mkdir()
    run.config.write_text(to_toml(Config()))
    data = write(run)[1]["runs"][0]
    assert data["notes"] == [] and data["samples"] == {"shown": [], "left_out": []}
    assert data["commands"][0] == ["Go on training", f"python train.py --run {run.root}"]


DAMAGE = {
    "metrics.jsonl": b'{"epoch": 7, "step": 70, "images_se',
    "timing.jsonl": b'{"epoch": NaN, "seconds": 1, "images_per_second": 1}\n[]\n\xff\n',
    "evaluation.jsonl": b'{"run": "one", "epoch": 8}\n',
}


@pytest.mark.parametrize("name", DAMAGE)
def test_torn_lines_are_counted_and_the_others_shown(run, name):
    whole = write(run)[1]["runs"][0]
    with (run.root / name).open("ab") as file:
        file.write(DAMAGE[name])
    data = write(run)[1]["runs"][0]
    (note,) = data["notes"]
    assert note.startswith(f"{name}: ") and "cannot be read" in note
    assert all(data[part] == whole[part] for part in ("epochs", "timing", "scores"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.toml", b"epochs = [", "not valid TOML"),
        ("config.toml", b"x = " + b"[" * 100_000, ""),
        ("versions.json", b'{"command": ', "holds no JSON object"),
        ("memorisation.json", b'{"verdict": 3}', "no verdict of ours"),
        ("best/score.json", b"[" * 100_000, "holds no JSON object"),
        ("memorisation.png", b"\x89PNG\r\n\x1a\n", "cannot be opened"),
        ("samples/epoch_0006.png", None, "cannot be opened"),
        ("samples/epoch_0003.png", b"", "cannot be opened"),
    ],
)
def test_damaged_files_become_a_note(run, name, content, words):
    path = run.root / name
    path.write_bytes(path.read_bytes()[:-30] if content is None else content)
    data = write(run)[1]["runs"][0]
    assert any(words in note and path.name in note for note in data["notes"]), data["notes"]
    assert all("\n" not in note and len(note) < 600 for note in data["notes"])
    damaged = [int(path.stem[6:])] if path.parent == run.samples else []
    assert data["samples"]["left_out"] == damaged
    assert len(data["samples"]["shown"]) == EPOCHS - len(damaged)


def test_two_runs_share_a_page_and_only_what_compares_shares_a_table(tmp_path):
    first, second = make_run(tmp_path / "a/one"), make_run(tmp_path / "b/two", epochs=3)
    write_lines(second.evaluation, [score(3, 0.6), score(3, 0.5, size=32)])
    out = tmp_path / "both.html"
    data = write(first, second, out=out)[1]
    assert [found["name"] for found in data["runs"]] == ["one", "two"]
    assert [len(found["epochs"]["epoch"]) for found in data["runs"]] == [6, 3]
    assert data["groups"] == [[[1, 1]], [[0, 0], [0, 1], [0, 2], [1, 0]]]
    assert all(len(found["samples"]["shown"]) for found in data["runs"])
    assert [len(found["scores"]) for found in data["runs"]] == [3, 2]
    third = make_run(tmp_path / "b/one", epochs=3)
    names = [found["name"] for found in write(first, second, third, out=out)[1]["runs"]]
    assert names == ["a/one", "two", "b/one"]
    main(["--run", str(first.root), "--run", str(second.root)])
    assert (tmp_path / "a/report.html").is_file() and not first.report.exists()


def test_the_newest_run_is_taken_where_none_is_named(here):
    run = make_run(here / "runs/0001-demo")
    run.generator.touch()
    main([])
    assert run.report.is_file()


@pytest.mark.parametrize(
    ("named", "recipe"),
    [
        ("my own, really.toml", "--config 'my own, really.toml' --subset 20"),
        ("-x.toml", "--config=-x.toml --subset 20"),
        ("gone, with blanks.toml", "--config celeba --dataset demo --subset 20"),
    ],
)
def test_commands_are_typed_as_a_shell_takes_them(here, named, recipe):
    run = make_run(here / "it's mine")
    run.config.write_text(to_toml(replace(read_config(run.config), data="my pics", subset=20)))
    if not named.startswith("gone"):
        (here / named).write_text('dataset = "demo"\n')
    command_line = {"command": ["train.py", f"--config={named}"], "directory": str(here)}
    run.versions.write_text(json.dumps(command_line))
    commands = dict(write(run)[1]["runs"][0]["commands"])
    quoted = f"""'{here}/it'"'"'s mine'"""
    assert commands["Draw 64 pictures"] == f"python generate.py --run {quoted} --n 64"
    assert "best/generator.keras" in commands["Draw with the best generator"]
    started = recipe.replace("--subset", "--data 'my pics' --subset")
    found = commands["Start a new run from these networks"]
    assert found == f"python train.py {started} --init-from {quoted}"


def test_what_is_no_run_and_what_is_no_report_is_refused(run, tmp_path, here):
    for flags, words in (
        ([str(tmp_path)], [str(tmp_path), "no run"]),
        (["--run", str(run.config)], ["--run", "no such run"]),
        (["--run", str(run.root), "--out", str(tmp_path)], [str(tmp_path), "a folder"]),
        (["--run", str(run.root), "--out", str(tmp_path / "x/y.html")], ["no folder"]),
        (["--runs", "x"], ["did you mean --run"]),
        (["runs/a"], ["runs/a: no such run; there is no run in runs"]),
        ([f"--run={tmp_path}/{n}" for n in range(9)], ["9 runs", "8 at most"]),
    ):
        with refused(*words):
            main(flags)
    run.report.write_text("<p>mine</p>")
    with refused("no report", "--out"):
        main(["--run", str(run.root)])
    assert run.report.read_text() == "<p>mine</p>"


def test_a_report_is_replaced_by_the_next_one(run):
    write(run)
    write_lines(run.metrics, [losses(1)])
    assert write(run)[1]["runs"][0]["epochs"]["epoch"] == [1]
    assert not list(run.root.glob(".writing*"))


def test_many_epochs_are_thinned_evenly_and_the_marks_stay(run, monkeypatch):
    monkeypatch.setattr("dcgan_tf.report.contents.EPOCHS", 4)
    late = {"diversity": 0.1}
    write_lines(run.metrics, [losses(e) | (late if e == 3 else {}) for e in range(1, EPOCHS + 1)])
    data = write(run)[1]["runs"][0]
    assert data["epochs"]["epoch"] == [1, 3, 4, 6] and data["troubles"][0]["epoch"] == 3
    assert "metrics.jsonl: 4 of 6 epochs are shown" in data["notes"]


def test_a_page_that_would_be_too_large_is_refused(run, monkeypatch):
    monkeypatch.setattr(page, "MOST_BYTES", 20_000)
    with refused("20,000 at most"):
        page.write_report((run,), run.report)
    assert not run.report.exists()


def test_it_starts_without_tensorflow(run):
    code = (
        "import sys; from dcgan_tf.report.__main__ import main; main(); "
        "sys.exit(bool({'tensorflow', 'keras', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--run", run.root], cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout == f"report: {run.report}\n", done.stderr


def test_the_finer_curve_is_that_of_the_checkpoint(run, monkeypatch):
    points = [[5, 0.5, 0.6, 0.7, 0.8], [10, 0.4, float("nan"), 0.7, 0.8], [15, 1, 2, 0.5, 0.5], "x"]
    journal = {"curve": {"points": points}}
    monkeypatch.setattr(curves.checkpoints, "read_journal", lambda run: journal)
    steps = write(run)[1]["runs"][0]["steps"]
    assert steps == {
        "images_seen": [160, 480],
        **{"d_loss": [0.5, 1], "g_loss": [0.6, 2], "d_real": [0.7, 0.5], "d_fake": [0.8, 0.5]},
    }
