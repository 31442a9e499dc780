"""The page of a run: self-contained, true to the files, and written even if some are damaged."""

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
from dcgan_tf.common.pages import page_mark
from dcgan_tf.common.runs import Run, sample_file
from dcgan_tf.report import curves, page
from dcgan_tf.report.__main__ import main
from dcgan_tf.train.callbacks.logs import RunReport


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "one")


def write(*runs, out=None):
    """(Parts, dict): the page as its file has it, and the data in it."""
    flags = [flag for run in runs for flag in ("--run", str(run.root))]
    main([*flags, *(["--out", str(out)] if out else [])])
    return read(out or runs[0].report)


def read(path):
    assert path.stat().st_size <= page.MOST_BYTES
    text = path.read_text(encoding="utf-8")
    parts = Parts(text)
    assert text.endswith("</html>\n") and "{{data}}" not in text
    assert [tag for tag, _ in parts.elements].count("script") == 2
    return parts, json.loads(parts.texts["data"])


def shown(run):
    return write(run)[1]["runs"][0]


def rows_of(found):
    return {row["name"]: row for group in found["settings"]["groups"] for row in group["rows"]}


def gray(image):
    content = base64.b64decode(image["src"].removeprefix("data:image/jpeg;base64,"))
    return int(np.asarray(Image.open(io.BytesIO(content)).convert("L")).mean().round())


def test_the_page_has_the_numbers_and_grids_of_the_files_and_asks_for_nothing(run):
    config = replace(read_config(run.config), data=HOSTILE)  # which cannot leave the data
    run.config.write_text(to_toml(config))
    parts, data = write(run)
    found = data["runs"][0]
    assert data["reload"] is None and found["notes"] == []
    assert rows_of(found)["data"]["value"] == HOSTILE
    records = [losses(epoch) for epoch in range(1, EPOCHS + 1)]
    assert found["epochs"] == {name: [r[name] for r in records] for name in records[0]}
    timing = [times(epoch) for epoch in range(1, EPOCHS + 1)]
    drawn = ("epoch", "images_per_second", "peak_memory_mb")
    assert found["timing"] == {name: [r[name] for r in timing] for name in drawn}
    speed = {"images_per_second": 103.5, "seconds": 2.5 * 21, "peak_memory_mb": 406.5}
    assert found["speed"] == speed and found["guessing"] == math.log(2)
    assert [s["values"]["fid_768"] for s in found["scores"]] == [0.9, 0.7, 0.8]
    assert found["scores"][0]["floor"]["fid_768"] == 0.05
    assert ["crop", "30,55,150,175"] in found["scores"][0]["stamp"]
    assert found["best"] == {"epoch": 4, "name": "FID-768", "value": 0.7}
    kept = {name: VERDICT[name] for name in found["memorisation"]}
    assert found["memorisation"] == kept and len(kept) == 7
    assert ["keras", "3.15.1"] in found["versions"] and found["warnings"] == ["one odd thing"]
    assert [s["epoch"] for s in found["samples"]["shown"]] == [1, 2, 3, 4, 5, 6]
    assert found["samples"]["left_out"] == [] and abs(gray(found["reals"]) - 9) <= 1
    for sample in found["samples"]["shown"]:
        assert sample["width"] == sample["height"] == 20  # their own pixels, not enlarged
        assert abs(gray(sample) - 20 * sample["epoch"]) <= 1
    for tag, attributes in parts.elements:
        for name in ("src", "href", "action", "srcset", "data", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
    policy = next(a["content"] for _, a in parts.elements if "http-equiv" in a)
    assert "default-src 'none'" in policy
    for name in ("style", "script"):
        assert not re.search(r"url\(|@import|import\(|fetch\(|XMLHttp|http", parts.texts[name])
        digest = base64.b64encode(hashlib.sha256(parts.texts[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_settings_stand_beside_those_of_the_recipe_wherever_it_is(run, here):
    demo = read_config(CONFIGS / "demo.toml")
    size, usual = demo.batch_size, str(Config().batch_size)
    run.config.write_text(to_toml(replace(demo, batch_size=size + 1, flip=not demo.flip)))
    found = shown(run)
    rows = rows_of(found)
    assert found["settings"]["recipe"] == "demo" and len(rows) == len(Config.__dataclass_fields__)
    differing = {name for name, row in rows.items() if row["recipe"] is not None}
    assert differing == {"batch_size", "flip"}
    assert (rows["batch_size"]["value"], rows["batch_size"]["recipe"]) == (str(size + 1), str(size))
    (here / "mine.toml").write_text('dataset = "demo"\nbatch_size = 31\n')
    for named, recipe, other in (
        ({"command": ["train.py", "--config=mine.toml"]}, "mine.toml", ("31", None)),
        ({"command": ["train.py", "--config=gone.toml"]}, "celeba", (usual, "celeba")),
        ({"command": ["train.py", "--seed=1"]}, "celeba", (usual, "celeba")),
        ({"command": ["train.py", "--config", "demo"], "recipe": "mine"}, "mine", ("31", None)),
    ):
        run.versions.write_text(json.dumps(named | {"directory": str(here)}))
        found = shown(run)
        rows = rows_of(found)
        assert other in (None, (rows["batch_size"]["recipe"], rows["dataset"]["recipe"]))
        assert found["settings"]["recipe"].split(",")[0] == recipe
        assert ["gone.toml" in note for note in found["notes"]] == [True] * ("gone" in str(named))


def test_the_verdict_and_marks_say_what_happened(run):
    def judge(*changes, steps=1000, **verdict):
        run.memorisation.write_text(json.dumps(VERDICT | verdict))
        records = [losses(epoch) for epoch in range(1, EPOCHS + 1)]
        late = dict(zip(range(-len(changes), 0), changes, strict=True))
        for place, record in enumerate(records):
            record["step"] *= steps // 10
            record.update(late.get(place - EPOCHS, {}))
        write_lines(run.metrics, records)
        found = shown(run)
        return found["verdict"], [(t["what"], t["epoch"], t["text"]) for t in found["troubles"]]

    apart = {"d_real": 0.99, "d_fake": 0.01}
    assert judge(steps=10)[0]["title"] == "Too short to judge."
    for fine in (judge()[0], judge({"diversity": 0.1}, {})[0]):  # it is over, but marked
        assert (
            fine["kind"] == "fine" and "D(x) is 0.61 on real and 0.38 on generated" in fine["text"]
        )
        assert "vary 1.01 times as much as real images." in fine["text"]
    assert judge(verdict="copies")[0]["kind"] == "copies"
    for changes, kind, first, words in (
        ([apart] * 3, "saturated D", 6, "--label-smoothing"),
        ([{"diversity": 0.1}], "collapse", 6, "0.10 of the real images'"),
        ([{"roughness": 9}], "noise", 6, ""),
    ):
        verdict, [(marked, epoch, text)] = judge(*changes)
        assert (verdict["kind"], marked, epoch) == (kind, kind, first) and words in text
    assert judge({"diversity": 0.1}, {})[1][0][:2] == ("collapse", 5)
    change = 'step = 20\nepoch = 2\nsetting = "g_learning_rate"\nold = 0.1\nnew = 0.05\n'
    run.config.write_text(f"{run.config.read_text()}\n[[changes]]\n{change}")
    assert shown(run)["changes"] == [{"what": "g_learning_rate 0.1 → 0.05", "epoch": 2}]
    run.config.write_text(to_toml(replace(read_config(CONFIGS / "demo.toml"), label_smoothing=0.3)))
    apart = {"d_real": 0.8, "d_fake": 0.1}  # saturated only for targets of 0.7
    assert [mark[:2] for mark in judge(*[apart] * EPOCHS)[1]] == [("saturated D", 3)]


def test_a_page_is_written_with_each_grid_and_reloads_itself(run, caplog):
    def callback():
        made = RunReport(run)
        made.set_params({"epochs": 9})
        made.on_train_begin()
        return made

    first = callback()
    first.on_epoch_end(6)  # epoch 7 has no grid
    assert not run.report.exists()
    first.on_epoch_end(5)
    data = read(run.report)[1]
    assert data["reload"]["until"] > 0 and data["runs"][0]["planned"]
    write_lines(run.metrics, [losses(1)])
    first.on_epoch_end(4)  # too soon for another
    assert read(run.report)[1]["runs"][0]["epochs"] == data["runs"][0]["epochs"]
    data = write(run)[1]  # the last page, by the command
    assert data["reload"] is None and data["runs"][0]["epochs"]["epoch"] == [1]
    assert not list(run.root.glob(".writing*"))
    run.report.write_text("<p>mine</p>")
    callback().on_epoch_end(5)
    assert "report" in caplog.text and run.report.read_text() == "<p>mine</p>"


def test_a_long_run_with_large_noisy_grids_stays_small(tmp_path, monkeypatch):
    run = make_run(tmp_path / "one", epochs=6, side=4)
    noise = np.random.RandomState(0).randint(0, 256, (1300, 1300, 3), np.uint8)
    save_png(sample_file(run.samples, 1), noise[:526, :526], sync=False)
    for epoch in range(2, 91):
        shutil.copyfile(sample_file(run.samples, 1), sample_file(run.samples, epoch))
    run.best_score.write_text(json.dumps(score(47, 0.1)))
    samples = shown(run)["samples"]
    epochs = [s["epoch"] for s in samples["shown"]]
    assert {1, 47, 90} <= set(epochs) and 8 <= len(epochs) < 60
    gaps = np.diff([epoch for epoch in epochs if epoch != 47])
    assert max(gaps) <= 2 * min(gaps)
    assert sorted([*epochs, *samples["left_out"]]) == list(range(1, 91))
    assert all(s["width"] == 526 for s in samples["shown"])
    shutil.rmtree(run.samples)
    run.samples.mkdir()
    for epoch in (1, 6):
        save_png(sample_file(run.samples, epoch), noise, sync=False)
    monkeypatch.setattr("dcgan_tf.report.contents.EPOCHS", 4)
    points = [[5, 0.5, 0.6, 0.7, 0.8], [10, 0.4, float("nan"), 0.7, 0.8], [15, 1, 2, 0.5, 0.5], "x"]
    journal = {"curve": {"points": points}}
    monkeypatch.setattr(curves.checkpoints, "read_journal", lambda run: journal)
    write_lines(run.metrics, [losses(e) | {"diversity": 0.1 + (e != 3)} for e in range(1, 7)])
    found = shown(run)
    assert [s["epoch"] for s in found["samples"]["shown"]] == [1, 6]
    assert found["samples"]["shown"][0]["width"] == 1100
    assert found["epochs"]["epoch"] == [1, 3, 4, 6] and found["troubles"][0]["epoch"] == 3
    assert "metrics.jsonl: 4 of 6 epochs are shown" in found["notes"]
    assert found["steps"] == {  # finer losses, from the checkpoint
        "images_seen": [160, 480],
        **{"d_loss": [0.5, 1], "g_loss": [0.6, 2], "d_real": [0.7, 0.5], "d_fake": [0.8, 0.5]},
    }


def test_runs_of_two_projects_are_told_apart(tmp_path):
    found = [{"name": "one", "folder": f"{tmp_path}/{x}/runs/one"} for x in ("x", "y")]
    page.tell_apart(found)
    assert [run["name"] for run in found] == ["x/runs/one", "y/runs/one"]


def test_what_is_missing_is_left_out_and_the_page_says_how_to_get_it(run):
    run.generator.touch()
    for name, part, kept, words in (
        ("samples", "samples", "shown", "after epoch 1"),
        ("evaluation.jsonl", "scores", None, "python -m dcgan_tf evaluate --run"),
        ("memorisation.json", "memorisation", None, "--memorization"),
        ("metrics.jsonl", "epochs", "epoch", ""),
        ("timing.jsonl", "timing", "epoch", ""),
        ("versions.json", "versions", None, ""),
        ("config.toml", "settings", None, ""),
    ):
        path = run.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        found = shown(run)
        assert words in found["missing"].get(part, "")
        assert not (found[part][kept] if kept else found[part])
    new = Run(run.root.parent / "new")  # a run that has just begun
    new.root.mkdir()
    new.config.write_text(to_toml(Config()))
    found = shown(new)
    assert found["notes"] == [] and found["samples"] == {"shown": [], "left_out": [], "rows": ""}
    assert found["commands"][0] == [
        "Resume the training",
        f"python -m dcgan_tf train --run {new.root}",
    ]
    assert found["verdict"] is None and found["command"] == ""
    # Trained on all its images, so others have to be named.
    assert found["missing"]["memorisation"].endswith("--memorization --data OTHERS")


def test_damaged_files_become_a_note_and_the_rest_is_shown(run):
    whole = shown(run)
    for name, change, words in (
        ("metrics.jsonl", lambda old: old + b'{"epoch": 7, "step": 70, "imag', "1 of 7 lines"),
        ("timing.jsonl", lambda old: old + b'{"epoch": NaN}\n[]\n\xff\n', "3 of 9 lines"),
        ("evaluation.jsonl", lambda old: old + b'{"run": "one", "epoch": 8}\n', "1 of 4 lines"),
        ("config.toml", lambda old: b"epochs = [", "not valid TOML"),
        ("config.toml", lambda old: b"x = " + b"[" * 100_000, ""),
        ("versions.json", lambda old: b'{"command": ', "holds no JSON object"),
        ("memorisation.json", lambda old: b'{"verdict": 3}', "not a verdict"),
        ("best/score.json", lambda old: b"[" * 100_000, "holds no JSON object"),
        ("memorisation.png", lambda old: b"\x89PNG\r\n\x1a\n", "cannot be opened"),
        ("samples/epoch_0006.png", lambda old: old[:-30], "cannot be opened"),
        ("samples/epoch_0003.png", lambda old: b"", "cannot be opened"),
    ):
        path = run.root / name
        kept = path.read_bytes()
        path.write_bytes(change(kept))
        found = shown(run)
        assert any(words in note and path.name in note for note in found["notes"]), found["notes"]
        assert all("\n" not in note and len(note) < 600 for note in found["notes"])
        assert all(found[part] == whole[part] for part in ("epochs", "timing", "scores"))
        damaged = [int(path.stem[6:])] if path.parent == run.samples else []
        assert found["samples"]["left_out"] == damaged
        assert len(found["samples"]["shown"]) == EPOCHS - len(damaged)
        path.write_bytes(kept)


def test_two_runs_share_a_page_and_only_what_compares_shares_a_table(tmp_path, monkeypatch):
    first, second = make_run(tmp_path / "a/one"), make_run(tmp_path / "b/two", epochs=3)
    write_lines(second.evaluation, [score(3, 0.6), score(3, 0.5, size=32)])
    data = write(first, second, out=tmp_path / "both.html")[1]
    assert [found["name"] for found in data["runs"]] == ["one", "two"]
    assert [len(found["epochs"]["epoch"]) for found in data["runs"]] == [6, 3]
    assert data["groups"] == [[[1, 1]], [[0, 0], [0, 1], [0, 2], [1, 0]]]
    assert all(len(found["samples"]["shown"]) for found in data["runs"])
    third = make_run(tmp_path / "b/one", epochs=3)
    data = write(first, second, third, out=tmp_path / "both.html")[1]
    names = [found["name"] for found in data["runs"]]
    assert names == ["a/one", "two", "b/one"]
    main(["--run", str(first.root), "--run", str(second.root)])
    page = tmp_path / "a/report.html"
    text = page.read_bytes()
    assert not first.report.exists() and str(tmp_path / "a/one") in text.decode()
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # of other runs: beside it, where their own page is replaced
        main(["a/one", "b/one"])
    other = (tmp_path / "a/report-2.html").read_text()
    assert page.read_bytes() == text and not (tmp_path / "a/report-3.html").exists()
    assert '"folder":"a/one"' in other and str(tmp_path) not in other
    page.write_bytes(page_mark("report") + b"<title>the runs of before</title>")  # names no runs
    main(["a/one", "b/two"])
    assert b'"folder":"b/two"' in page.read_bytes()


def test_the_newest_run_is_taken_and_tensorflow_is_not_imported(here):
    run = make_run(here / "runs/0001-demo")
    run.generator.touch()
    code = (
        "import sys; from dcgan_tf.report.__main__ import main; main(); "
        "sys.exit(bool({'tensorflow', 'keras', 'matplotlib'} & sys.modules.keys()))"
    )
    program = {"cwd": here, "env": {"PYTHONPATH": str(REPO), "PATH": ""}}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **program)
    report = run.report.relative_to(here)
    assert done.returncode == 0 and done.stdout == f"report: {report}\n", done.stderr


def test_commands_are_typed_as_a_shell_takes_them(here, monkeypatch):
    run = make_run(here / "it's mine")
    quoted = f"""'{here}/it'"'"'s mine'"""
    commands = dict(shown(run)["commands"])
    assert commands["Generate 64 images"] == f"python -m dcgan_tf generate --run {quoted} --n 64"
    assert "best/generator.keras" in commands["Generate with the best generator"]
    start = f"--config {quoted[:-1]}/config.toml' --init-from {quoted}"
    assert commands["Start a new run from these networks"] == f"python -m dcgan_tf train {start}"
    for argv, typed in (
        (["train.py", "--data", "my pics"], "python train.py --data 'my pics'"),
        (["/env/bin/dcgan", "train", "a b"], "dcgan train 'a b'"),
        (["/lib/dcgan_tf/__main__.py", "train", "x"], "python -m dcgan_tf train x"),
        (["/dcgan_tf/dcgan_tf/train/__main__.py", "x"], "python -m dcgan_tf.train x"),
    ):
        run.versions.write_text(json.dumps({"command": argv}))
        assert shown(run)["command"] == typed
    monkeypatch.setattr(sys, "argv", ["/env/bin/dcgan"])
    assert all(command.startswith("dcgan ") for _, command in shown(run)["commands"])


def test_mistakes_are_refused_in_one_line(run, tmp_path):
    for flags, words in (
        ([str(tmp_path)], [str(tmp_path), "not a run"]),
        (["--run", str(run.config)], ["--run", "no such run"]),
        (["--run", str(run.root), "--out", str(tmp_path)], [str(tmp_path), "a folder"]),
        (["--run", str(run.root), "--out", str(tmp_path / "x/y.html")], ["no folder"]),
        ([f"--run={tmp_path}/{n}" for n in range(9)], ["9 runs", "8 at most"]),
    ):
        with refused(*words):
            main(flags)
    run.report.write_text("<p>mine</p>")
    with refused("no report", "--out"):
        main(["--run", str(run.root)])
    assert run.report.read_text() == "<p>mine</p>"
