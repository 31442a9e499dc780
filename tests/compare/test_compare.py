"""Runs side by side: what differs, what may be compared, and a plot."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import REPO, put_special, refused
from PIL import Image
from programs import run_program
from tiny_run import EPOCHS, HOSTILE, losses, make_run, score

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.config_file import CONFIGS, read_config
from dcgan_tf.compare import command
from dcgan_tf.compare.__main__ import main
from dcgan_tf.compare.comparing import ACROSS

DEMO = read_config(CONFIGS / "demo.toml")


@pytest.fixture
def runs(tmp_path):
    """Two runs; the second has other settings, other scores and three epochs more."""
    changed = replace(DEMO, batch_size=64, loss="hinge", g_channels=(64, 32, 16))
    runs = make_run(tmp_path / "one"), make_run(tmp_path / "two", EPOCHS + 3, config=changed)
    write_lines(
        runs[1].evaluation, [score(2, 0.9), score(5, 0.6) | {"recall": 0.5}, score(9, 0.65)]
    )
    return runs


def compare(capsys, *runs, out=None):
    """The lines that the command prints, each as its cells."""
    main([*(str(run.root) for run in runs), *(["--out", str(out)] if out else [])])
    return [re.split("  +", line.strip()) for line in capsys.readouterr().out.splitlines()]


def test_what_differs_stands_side_by_side(runs, capsys):
    head, *lines = compare(capsys, *runs)
    rows = {name: values for name, *values in lines}
    assert head == ["one", "two"]
    assert lines[0] == ["batch_size", str(DEMO.batch_size), "64"]
    assert rows["loss"] == [DEMO.loss, "hinge"]
    assert rows["g_channels"] == ["128,64,32", "64,32,16"]
    assert not {"width", "seed", "d_channels", "packs"} & rows.keys()
    last = [losses(epochs) for epochs in (EPOCHS, EPOCHS + 3)]
    assert rows["epochs"] == ["6", "9"]
    assert rows["images seen"] == ["1,920", "2,880"]
    for name in ("d_loss", "g_loss"):
        assert rows[f"{name}, last epoch"] == [f"{record[name]:.3f}" for record in last]
    assert rows["images a second"] == ["104", "105"]
    assert rows["minutes"] == [f"{2.5 * 21 / 60:.1f}", f"{2.5 * 45 / 60:.1f}"]
    assert rows["FID-768, newest"] == ["0.8000", "0.6500"]
    assert rows["FID-768, lowest"] == ["0.7000", "0.6000"]
    assert rows["its epoch"] == ["4", "5"]
    assert rows["its recall"] == ["0.2500", "0.5000"]
    assert lines[-2] == [
        "scores: against 1,000 real ones; real images against real ones: FID-768 0.0500"
    ]


def test_scores_with_other_stamps_stand_apart_and_say_why(runs, tmp_path, capsys):
    other = make_run(tmp_path / "other")
    write_lines(other.evaluation, [score(2, 0.1, size=32)])
    lines = compare(capsys, *runs, other)
    rows = {name: values for name, *values in lines[1:]}
    assert rows["FID-768, lowest (1)"] == ["0.7000", "0.6000", "-"]
    assert rows["FID-768, lowest (2)"] == ["-", "-", "0.1000"]
    notes = [line[0] for line in lines if line[0].startswith("scores (")]
    assert "not comparable" not in notes[0]
    assert "not comparable with (1): size 64 and 32" in notes[1]


def test_fid_and_fid_768_are_never_in_one_row(runs, tmp_path, capsys):
    other = make_run(tmp_path / "other")
    record = score(2, 9.0, layer="pool_3")
    record["fid"], record["floor"] = record.pop("fid_768"), None
    write_lines(other.evaluation, [record])
    rows = {name: values for name, *values in compare(capsys, *runs, other)[1:]}
    assert rows["FID, lowest (2)"] == ["-", "-", "9.0000"]
    assert rows["FID-768, lowest (1)"][2] == "-"


def test_many_runs_stand_below_each_other(tmp_path, capsys):
    runs = [
        make_run(tmp_path / f"seed-{seed}", epochs=2, config=replace(DEMO, seed=seed))
        for seed in range(ACROSS + 1)
    ]
    head, *lines = compare(capsys, *runs)
    assert head[:3] == ["seed", "epochs", "images seen"]
    assert [line[:3] for line in lines[: len(runs)]] == [
        [f"seed-{seed}", str(seed), "2"] for seed in range(len(runs))
    ]


def test_names_differ_in_the_table(tmp_path, capsys):
    long = ["x" * 30 + end for end in "12"]
    runs = [make_run(tmp_path / name) for name in ("a/one", "b/one", *long)]
    names = compare(capsys, *runs)[0]
    assert names == ["a/one", "b/one", *("..." + "x" * 24 + end for end in "12")]


def test_what_is_missing_or_damaged_is_said(runs, capsys):
    runs[0].config.write_text("epochs = [")
    runs[0].evaluation.unlink()
    runs[0].metrics.write_text('{"epoch": 1}\nrubbish\n')
    runs[0].timing.unlink()
    lines = compare(capsys, *runs)
    rows = {name: values for name, *values in lines[1:]}
    assert rows["batch_size"] == ["-", "64"] and rows["images seen"] == ["-", "2,880"]
    assert rows["minutes"][0] == rows["FID-768, lowest"][0] == "-"
    told = " ".join(line[0] for line in lines)
    assert "warning: one: metrics.jsonl: 2 of 2 lines cannot be read" in told
    assert "warning: one: the settings cannot be read" in told


def test_the_matplotlib_backend_of_a_notebook_is_not_used(runs):
    words = ("-m", "dcgan_tf.compare", *(run.root for run in runs))
    done = run_program(words, REPO, {"MPLBACKEND": "module://matplotlib_inline.backend_inline"})
    assert done.returncode == 0, done.stderr
    assert (runs[0].root.parent / "compare.png").is_file() and done.stderr == ""


@pytest.mark.parametrize("kind", ["pipe", "device", "huge"])
def test_a_place_that_is_no_regular_file_is_refused(runs, tmp_path, kind):
    out = tmp_path / "x.png"
    put_special(out, kind)
    with refused(f"--out {out}: a file that is no plot"):
        command.parse_compare([*(str(run.root) for run in runs), "--out", str(out)])


def test_names_that_would_steer_a_terminal_are_escaped(runs, tmp_path, capsys):
    odd = make_run(
        tmp_path / "\x1b[31mred", config=replace(DEMO, data=HOSTILE + "\x1b[0m" + "x" * 99)
    )
    main([str(runs[0].root), str(odd.root)])
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\\x1b[31mred" in out and "x" * 99 not in out


def colours(path):
    """The number of pixels of each of the first two colours of Matplotlib's cycle."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return [int((abs(pixels - c).max(-1) < 9).sum()) for c in ((31, 119, 180), (255, 127, 14))]


@pytest.mark.slow
def test_the_plot_has_a_line_for_each_run(runs, tmp_path, capsys):
    compare(capsys, *runs)
    assert min(colours(tmp_path / "compare.png")) > 300
    compare(capsys, *runs, out=tmp_path / "with.png")
    for run in runs:
        run.evaluation.unlink()
    compare(capsys, *runs, out=tmp_path / "without.png")
    pictures = [np.asarray(Image.open(tmp_path / f"{n}.png")) for n in ("with", "without")]
    assert pictures[0].shape == pictures[1].shape and (pictures[0] != pictures[1]).any()
    runs[0].metrics.unlink()
    compare(capsys, *runs, out=tmp_path / "one.png")
    first, second = colours(tmp_path / "one.png")
    assert 0 < first < 100 < second  # the first is in the legend alone


@pytest.mark.slow
def test_where_no_score_can_be_placed_the_beliefs_are_drawn(runs, tmp_path, capsys):
    for run in runs:
        run.evaluation.unlink()
    compare(capsys, *runs, out=tmp_path / "beliefs.png")
    for run in runs:
        write_lines(run.evaluation, [score(99, 0.5) | {"floor": None}])
    compare(capsys, *runs, out=tmp_path / "scores.png")
    runs[1].metrics.unlink()
    runs[0].metrics.unlink()
    compare(capsys, *runs, out=tmp_path / "nothing.png")  # with no warning of an empty legend
    pictures = [np.asarray(Image.open(tmp_path / f"{n}.png")) for n in ("beliefs", "scores")]
    np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], ["got 0 different runs, expected 2 to 30"]),
        (["one"], ["got 1 different runs", "dcgan_tf.report"]),
        (["one", "one"], ["got 1 different runs"]),
        (["one", "nowhere"], ["nowhere: no such run"]),
        (["one", "empty"], ["empty: neither config.toml"]),
        (["one", "two", "--out", "x.jpg"], ["--out x.jpg: expected the name of a PNG"]),
        (["one", "two", "--out", "no/x.png"], ["--out no/x.png: there is no folder no"]),
        (["one", "two", "--ouut", "x.png"], ["did you mean --out?"]),
    ],
)
def test_mistakes_are_refused_in_a_line(argv, words, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with refused(*words):
        main(argv)
    assert not list(tmp_path.glob("**/*.jpg")) and not (tmp_path / "compare.png").exists()


@pytest.mark.parametrize("flags", [(), ("--out", "mine.png")])
def test_only_a_plot_of_its_own_is_replaced(flags, runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    argv = [*(str(run.root) for run in runs), *flags]
    out = tmp_path / (flags[-1] if flags else "compare.png")
    Image.new("RGB", (8, 8)).save(out)
    theirs = out.read_bytes()
    with refused(str(out.name), "no plot of this command", "--out"):
        main(argv)
    assert out.read_bytes() == theirs and not capsys.readouterr().out  # refused before any work
    out.unlink()
    out.mkdir()
    with refused(out.name, "a folder"):
        main(argv)
    out.rmdir()
    main(argv)
    first = out.read_bytes()
    runs[1].metrics.unlink()
    main(argv)
    assert out.read_bytes() != first
    with Image.open(out) as image:
        image.load()
        assert image.text["generator"] == "dcgan_tf compare"
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", out.name}


@pytest.mark.slow
def test_the_command_needs_no_tensorflow(runs):
    def call(*argv):
        line = [sys.executable, "-X", "importtime", "-m", "dcgan_tf.compare", *map(str, argv)]
        return subprocess.run(line, cwd=REPO, capture_output=True, encoding="utf-8", timeout=60)

    done = call(runs[0].root, runs[1].root)
    assert done.returncode == 0 and "batch_size" in done.stdout
    assert "dcgan_tf.compare.comparing" in done.stderr and "tensorflow" not in done.stderr
    done = call("--help")
    assert done.returncode == 0 and "numpy" not in done.stderr
    done = call("nowhere", "else")
    assert done.returncode == 2 and "\nerror: nowhere: no such run" in done.stderr
