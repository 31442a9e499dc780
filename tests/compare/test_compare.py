"""Runs side by side: what differs, what may be compared, and a plot."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers import REPO, put_special, refused
from PIL import Image, PngImagePlugin
from tiny_run import EPOCHS, HOSTILE, losses, make_run, score

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.config_file import CONFIGS, load_recipe, read_config
from dcgan_tf.compare.__main__ import main
from dcgan_tf.compare.comparing import ACROSS

DEMO = read_config(CONFIGS / "demo.toml")


@pytest.fixture
def runs(tmp_path):
    """Two runs; the second has other settings, other scores and three epochs more."""
    changed = load_recipe("demo", epochs=7, batch_size=64, loss="hinge", g_channels=(64, 32, 16, 8))
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
    assert rows["g_channels"] == ["256,128,64,32", "64,32,16,8"]
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
        "scores: reference set 1,000 real ones; baseline, real vs. real: FID-768 0.0500"
    ]


def test_planned_and_trained_epochs_are_rows_of_their_own(tmp_path, capsys):
    planned = {name: load_recipe("demo", epochs=count) for name, count in (("a", 8), ("b", 20))}
    runs = [make_run(tmp_path / name, config=config) for name, config in planned.items()]
    lines = compare(capsys, *runs)
    assert ["epochs planned", "8", "20"] in lines and ["epochs", "6", "6"] in lines
    main([*(str(run.root) for run in runs), "--format", "json"])
    record = json.loads(capsys.readouterr().out)[0]
    assert (record["epochs planned"], record["epochs"]) == ("8", 6)


def test_only_scores_of_one_protocol_stand_in_a_row_and_odd_names_are_escaped(
    runs, tmp_path, capsys
):
    odd = replace(DEMO, data=HOSTILE + "\x1b[0m" + "x" * 99)
    other, fid = make_run(tmp_path / "\x1b[31mred", config=odd), make_run(tmp_path / "fid")
    write_lines(other.evaluation, [score(2, 0.1, size=32)])
    record = score(2, 9.0, layer="pool_3")
    record["fid"], record["floor"] = record.pop("fid_768"), None
    write_lines(fid.evaluation, [record])
    main([*(str(run.root) for run in (*runs, other, fid))])
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\\x1b[31mred" in out and "x" * 99 not in out
    lines = [re.split("  +", line.strip()) for line in out.splitlines()]
    rows = {name: values for name, *values in lines[1:]}
    assert rows["FID-768, lowest (1)"] == ["0.7000", "0.6000", "-", "-"]
    assert rows["FID, lowest (2)"] == ["-", "-", "-", "9.0000"]
    assert rows["FID-768, lowest (3)"] == ["-", "-", "0.1000", "-"]
    notes = [line[0] for line in lines if line[0].startswith("scores (")]
    assert "not comparable" not in notes[0]
    assert "not comparable with (1): size 64 and 32" in notes[2]


def test_many_runs_stand_below_each_other_and_their_names_differ(tmp_path, capsys):
    long = ["x" * 30 + end for end in "12345"]
    runs = [make_run(tmp_path / name, epochs=2) for name in ("a/one", "b/one", *long)]
    head, *lines = compare(capsys, *runs)
    assert len(runs) == ACROSS + 1 and head[:3] == ["epochs", "images seen", "d_loss, last epoch"]
    names = ["a/one", "b/one", *("xxxxx..." + "x" * 19 + end for end in "12345")]
    assert [line[:2] for line in lines[: len(runs)]] == [[name, "2"] for name in names]


@pytest.fixture
def seeds(tmp_path):
    """Five runs: three seeds of one recipe, two of another; one has the same seed again."""
    runs = []
    for name, seed, loss in (("a0", 0, "hinge"), ("b_0", 0, "non_saturating"), ("a1", 1, "hinge")):
        runs.append(make_run(tmp_path / name, config=replace(DEMO, seed=seed, loss=loss)))
        write_lines(runs[-1].evaluation, [score(2, 0.5 + seed / 10)])
    runs.append(make_run(tmp_path / "a2", epochs=3, config=replace(DEMO, seed=2, loss="hinge")))
    runs.append(make_run(tmp_path / "again", config=replace(DEMO, seed=1, loss="hinge")))
    for run in runs[-2:]:
        run.evaluation.unlink()
    return [str(run.root) for run in runs]


def test_runs_that_differ_in_seed_alone_are_one_column_with_mean_and_deviation(seeds, capsys):
    main(seeds)
    head, *lines = [re.split("  +", line.strip()) for line in capsys.readouterr().out.splitlines()]
    rows = {name: values for name, *values in lines}
    assert head == ["a0", "b_0", "again"] and rows["n"] == ["3", "1", "1"]
    assert rows["seed"] == ["0, 1, 2", "0", "1"] and rows["loss"][:2] == ["hinge", "non_saturating"]
    assert rows["epochs"] == ["5 ± 2", "6", "6"]
    assert rows["FID-768, lowest"] == ["0.5500 ± 0.0707 (n = 2)", "0.5000", "-"]
    assert rows["its recall"] == ["0.2500 (n = 2)", "0.2500", "-"]
    assert ["a0: mean ± standard deviation of a0, a1, a2"] in lines


def test_the_table_comes_in_the_formats_of_papers_and_programs(seeds, capsys):
    written = {}
    for form in ("md", "csv", "latex", "json"):
        main([*seeds, "--format", form])
        said = capsys.readouterr()
        written[form] = said.out
        assert "plot: " in said.err and "scores: reference set" in said.err
    markdown = written["md"].splitlines()
    assert markdown[0].startswith("|  | n | seed |") and markdown[1].startswith("| --- | ---: |")
    assert markdown[2].startswith("| a0 | 3 | 0, 1, 2 | hinge | 5 ± 2 |")
    latex = written["latex"].splitlines()
    assert latex[0].startswith(r"\begin{tabular}{lr") and latex[-1] == r"\end{tabular}"
    assert latex[5].startswith(r"b\_0 & 1 & 0 & non\_saturating & 6 &")
    assert r"0.5500 $\pm$ 0.0707 (n = 2)" in latex[4]
    first, *_, last = csv.DictReader(io.StringIO(written["csv"]))
    assert (first["n"], first["epochs"], last["name"]) == ("3", "5.0", "again")
    assert float(first["FID-768, lowest sd"]) == pytest.approx(0.0707, abs=1e-4)
    record = json.loads(written["json"])[0]
    assert record["runs"] == ["a0", "a1", "a2"] and record["FID-768, lowest n"] == 2
    assert record["FID-768, lowest"] == pytest.approx(0.55)


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


def colors(path):
    """The number of pixels of each of the first two colors of Matplotlib's cycle."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return [int((abs(pixels - c).max(-1) < 9).sum()) for c in ((31, 119, 180), (255, 127, 14))]


@pytest.mark.slow
def test_the_plot_has_a_line_for_each_run_and_scores_or_outputs_below(runs, tmp_path, capsys):
    def drawn(name):
        compare(capsys, *runs, out=tmp_path / name)
        with Image.open(tmp_path / name) as image:
            return np.asarray(image)

    scores = drawn("scores.png")
    assert min(colors(tmp_path / "scores.png")) > 300
    for run in runs:
        run.evaluation.unlink()
    outputs = drawn("outputs.png")
    assert scores.shape == outputs.shape and (scores != outputs).any()
    for run in runs:  # at an epoch that no run has
        write_lines(run.evaluation, [score(99, 0.5) | {"floor": None}])
    np.testing.assert_array_equal(drawn("unplaced.png"), outputs)
    runs[0].metrics.unlink()
    drawn("one.png")
    first, second = colors(tmp_path / "one.png")
    assert 0 < first < 100 < second  # the first is in the legend alone
    runs[1].metrics.unlink()
    drawn("none.png")  # with no warning of an empty legend


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["one", "one"], ["got 1 different runs, expected 2 to 30", "dcgan_tf report"]),
        (["one", "nowhere"], ["nowhere: no such run"]),
        (["one", "empty"], ["empty: no config.toml"]),
        (["one", "two", "--out", "x.jpg"], ["--out x.jpg: expected the name of a PNG"]),
        (["one", "two", "--out", "no/x.png"], ["--out no/x.png: there is no folder no"]),
        (["one", "two", "--ouut", "x.png"], ["did you mean --out?"]),
        (["one", "two", "--format", "html"], ["invalid choice: 'html'"]),
    ],
)
def test_mistakes_are_refused_in_a_line(argv, words, runs, here):
    (here / "empty").mkdir()
    with refused(*words):
        main(argv)
    assert not list(here.glob("**/*.jpg")) and not (here / "compare.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("--out", "mine.png")])
def test_only_a_plot_of_its_own_is_replaced(flags, runs, here, capsys):
    argv = [*(str(run.root) for run in runs), *flags]
    out = here / (flags[-1] if flags else "compare.png")
    for kind, words in (("pipe", "no plot"), ("huge", "no plot"), ("folder", "a folder")):
        put_special(out, kind)
        with refused(out.name, words):
            main(argv)
        out.rmdir() if kind == "folder" else out.unlink()
    Image.new("RGB", (8, 8)).save(out)
    theirs = out.read_bytes()
    with refused(out.name, "no plot of this command", "--out"):
        main(argv)
    assert out.read_bytes() == theirs and not capsys.readouterr().out  # refused before any work
    out.unlink()
    main(argv)
    first = out.read_bytes()
    runs[1].metrics.unlink()
    main(argv)
    assert out.read_bytes() != first
    assert f"plot: {out.name}\n" in capsys.readouterr().out  # as it is named from here
    with Image.open(out) as image:
        image.load()
        assert image.text["generator"] == "dcgan_tf compare"
    assert {path.name for path in here.iterdir()} == {"one", "two", out.name}
    if flags:
        return
    first = out.read_bytes()
    make_run(here / "three")
    for _ in range(2):  # of other runs: beside it, where their own plot is replaced
        main(["one", "three"])
        assert capsys.readouterr().out.endswith("plot: compare-2.png\n")
    assert out.read_bytes() == first and not (here / "compare-3.png").exists()
    older = PngImagePlugin.PngInfo()
    older.add_text("generator", "dcgan_tf compare")  # as before plots told their runs
    Image.new("RGB", (8, 8)).save(out, pnginfo=older)
    main(argv)
    assert capsys.readouterr().out.endswith("plot: compare.png\n")


@pytest.mark.slow
def test_the_command_needs_no_tensorflow_and_no_backend_of_a_notebook(runs):
    env = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}

    def call(*argv):
        line = [sys.executable, "-X", "importtime", "-m", "dcgan_tf.compare", *map(str, argv)]
        return subprocess.run(line, cwd=REPO, env=env, capture_output=True, encoding="utf-8")

    done = call(runs[0].root, runs[1].root)
    assert done.returncode == 0 and "batch_size" in done.stdout
    assert (runs[0].root.parent / "compare.png").is_file()
    assert "dcgan_tf.compare.comparing" in done.stderr and "tensorflow" not in done.stderr
    done = call("--help")
    assert done.returncode == 0 and "numpy" not in done.stderr
