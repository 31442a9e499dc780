"""The command `dcgan`: what it shows, how it finds what a verb is about, and its own verbs."""

import os
import re
import shlex
import sys
import time
from types import SimpleNamespace

import pytest
from helpers import REPO, refused, write_files
from tiny_run import make_run

from dcgan_tf import __version__
from dcgan_tf.__main__ import NAMES, VERBS, main
from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.config_file import ALIASES, load_recipe, names
from dcgan_tf.common.files import lock_at
from dcgan_tf.common.runs import Run
from dcgan_tf.common.suggestions import path_flag, typed
from dcgan_tf.train.command import parse_training


def shown(capsys, *words):
    """What a command prints."""
    assert not main(list(words))
    return capsys.readouterr().out


def test_the_verbs_are_shown_with_what_they_do(capsys):
    text = shown(capsys)
    assert text == shown(capsys, "help") == shown(capsys, "--help")
    for lines in VERBS.values():
        for line, about in lines.items():
            assert re.search(rf"^  {re.escape(line)} +{re.escape(about)}$", text, re.M), line
    assert all(len(line) <= 100 for line in text.splitlines())


@pytest.mark.parametrize("verb", [name for name in NAMES if name not in ("data", "version")])
def test_each_help_begins_with_examples_whose_flags_it_explains(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["help", verb])
    text = capsys.readouterr().out
    examples, _, rest = text.partition("\n\n")
    head, *lines = examples.splitlines()
    assert f"usage: {typed(verb)}" in rest and all(typed(verb) in line for line in lines)
    assert stop.value.code == 0 and head == "examples:" and 2 <= len(lines) <= 3
    for line in lines:
        command, _, about = line.strip().partition("  ")
        assert about.strip() and re.match(r"(dcgan|python) ", command)
        for flag in re.findall(r"--[\w-]+", command):
            assert flag in rest


@pytest.mark.parametrize(
    "case",
    [
        ("generat", "generat is not a verb; did you mean"),
        ("latop", f"did you mean {typed('train')} laptop?"),
        ("photos", f"did you mean {typed('train')} photos?"),
        ("qqqq", "the verbs are train, resume, data,"),
        ("train latop", "no recipe, run, folder or zip is called 'latop'; did you mean laptop?"),
        ("train 99", "is called '99'; the recipes are celeba,", "there are runs/0001-demo"),
        ("train ./phots", "is called './phots'; did you mean photos?"),
        ("train runs/0001-dem", "did you mean runs/0001-demo?"),
        ("train photo/x.zip", "is called 'photo/x.zip'; the recipes are", "runs/0001-demo"),
        ("evaluate faces", "faces: no such run; faces is a bundled", f"{typed('generate')} faces"),
        ("report 1 faces", "faces: no such run; faces is a bundled generator"),
        ("generate 3", "3: no such run; there are runs/0001-demo"),
        ("generate face", "face: no such run; did you mean faces?"),
        ("report demo", "demo: no such run; there are runs/0001-demo"),
        ("compare 1 0001_demo", "0001_demo: no such run; did you mean 0001-demo?"),
        ("resume 3", "--resume 3: no such run"),
        ("check --epoch 3", "did you mean --epochs?"),
        ("recipes latop", "did you mean laptop?"),
        ("recipes --copy x", "needs the name of a recipe"),
        ("runs nowhere", "nowhere: no such folder"),
    ],
)
def test_an_unknown_word_is_answered_with_what_was_meant(case, here):
    words, *said = case
    write_files(here, {"photos/a": b"", "runs/0001-demo/config.toml": b""})
    with refused(*said):
        main(words.split())


def test_the_command_is_named_as_it_was_called(monkeypatch):
    for program, command in (
        ("/bin/dcgan", "dcgan generate"),
        ("/bin/dcgan-train", "dcgan generate"),
        ("/site/dcgan_tf/__main__.py", "python -m dcgan_tf generate"),
        (str(REPO / "generate.py"), "python generate.py"),
        ("/home/me/train.py", "python -m dcgan_tf generate"),
        ("/home/me/study.py", "python -m dcgan_tf generate"),
    ):
        monkeypatch.setattr(sys, "argv", [program])
        assert typed("generate") == command
    for program in (str(REPO / "train.py"), "/site/dcgan_tf/train/__main__.py"):
        monkeypatch.setattr(sys, "argv", [program])
        assert typed("recipes") == "python -m dcgan_tf recipes"
    monkeypatch.setattr(sys, "argv", ["/bin/dcgan-train", "--epoch", "5"])
    with refused("did you mean --epochs?"):
        main()


def test_paths_are_quoted_as_the_shell_of_the_system_wants_it(monkeypatch):
    for system, text in (("posix", "--run 'my runs/a'"), ("nt", '--run "my runs/a"')):
        monkeypatch.setattr("dcgan_tf.common.suggestions.os", SimpleNamespace(name=system))
        assert path_flag("--run", "my runs/a") == text
        assert system == "posix" or path_flag("--run", r"runs\a") == r"--run runs\a"


def test_recipes_are_listed_shown_and_copied(here, capsys):
    table = shown(capsys, "recipes").splitlines()
    rows = {line.split()[0]: line for line in table[1 : 1 + len(names())]}
    assert set(rows) == set(names()) and list(rows)[:3] == ["quick", "laptop", "overnight"]
    assert all(time in rows[name] for time, name in ALIASES.items())
    references = {name for name in rows if "reference:" in rows[name]}
    assert references == {"celeba", "radford", "ttur", "mnist", "cifar10"}
    assert shown(capsys, "recipes", "half-hour").startswith("# laptop: ")
    assert "mine.toml" in shown(capsys, *shlex.split("recipes night --copy mine.toml"))
    assert parse_training(["mine.toml"]).config == load_recipe("night") == load_recipe("overnight")
    with refused("--copy mine.toml: this file exists"):
        main(["recipes", "laptop", "--copy", "mine.toml"])
    with refused("--copy sub/mine.toml: there is no folder sub; make it, or name another"):
        main(["recipes", "laptop", "--copy", "sub/mine.toml"])
    (advice,) = shown(capsys, "recipes", "laptop", "--copy", "my own.toml").splitlines()
    assert "'my own.toml' DIR, with your images" in advice


def test_runs_are_listed_with_how_far_they_came(here, capsys):
    assert "no run in runs" in shown(capsys, "runs")
    run = Run(here / "runs/0001-1")
    make_run(run.root, config=load_recipe("minutes", epochs=20, data="set/photos.zip"))
    write_files(here, {"runs/0002-mnist/config.toml": b'dataset = "mnist"', "runs/x/y": b""})
    write_files(here, {"runs/0002-mnist/versions.json": b'{"command": 7}'})
    write_files(here, {"runs/0003-\n/config.toml": b"epochs = "})
    for name in ("config.toml", "log.txt"):
        os.utime(run.root / name, (time.time() - 3 * 86_400,) * 2)
    head, first, second, third = shown(capsys, "runs").splitlines()
    columns = ["run", "recipe", "data", "images", "score", "age", "state"]
    assert head.split() == columns
    assert re.split("  +", first) == [
        *("0001-1", "demo", "photos.zip", "1,920", "FID-768 0.8000", "3 d"),
        "stopped at 6 of 20 epochs",
    ]
    assert second.split()[:5] == ["0002-mnist", "-", "mnist", "-", "-"]
    assert (
        second.endswith("stopped at 0 of 200 epochs") and r"0003-\n" in third and "damaged" in third
    )
    with lock_at(run.lock):
        assert "training, 6 of 20 epochs" in shown(capsys, "runs", "runs")
    with run.metrics.open("a") as file:
        file.write('{"epoch": "6", "images_seen": null}\n')
    assert "stopped at 0 of 20 epochs" in shown(capsys, "runs")
    write_lines(run.metrics, [{"epoch": 6}])
    config = run.config.read_text().replace("epochs = 20", "epochs = 6")
    run.config.write_text(config)
    assert shown(capsys, "runs").splitlines()[1].endswith("done")


def test_versions_are_those_that_are_installed(capsys):
    import numpy

    text = shown(capsys, "version")
    assert text.startswith(f"dcgan_tf {__version__}, Python 3.")
    assert f"numpy {numpy.__version__}" in text and "keras 3." in text
    with pytest.raises(SystemExit):
        main(["train", "--version"])
    assert capsys.readouterr().out == f"dcgan_tf {__version__}\n"
