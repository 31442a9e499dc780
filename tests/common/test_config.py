"""Defaults < config file < flags, and every wrong choice is refused in one line."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import REPO, refused, resolved, write_files

from dcgan_tf.common.cli import run_command
from dcgan_tf.common.config import FIELDS, MIDWAY, Config, changed_fields, flag, groups
from dcgan_tf.common.config_file import find_config, load_recipe, names, read_config, to_toml
from dcgan_tf.common.datasets import CELEBA_CROP
from dcgan_tf.common.errors import Interrupted, UserError
from dcgan_tf.evaluate.command import parse_evaluation
from dcgan_tf.train.command import parse_training

# Values for fields whose neighbours must fit, with the neighbours.
FITTING = {
    "background": {"background": "#20304f"},
    "crop": {"crop": "1,2,30,40"},
    "image_size": {"image_size": 128, "base_size": 16},
    "base_size": {"base_size": 4, "image_size": 32},
    "g_channels": {"g_channels": (32, 16), "image_size": 32},
    "d_channels": {"d_channels": (8,)},
    "g_output": {"g_output": "transposed", "image_size": 128},
    "batchnorm_momentum": {"batchnorm_momentum": 0.5},
    "channels": {"channels": 1},
    "inception": {"inception": __file__},  # has to exist
    "r1": {"r1": 0.5, "d_norm": "none"},
    "r2": {"r2": 0.5, "d_norm": "spectral"},
    "lr_decay": {"lr_decay": "cosine", "decay_images": 100},
    "penalty_end": {"penalty_end": 0.5, "decay_images": 100},
    "augment": {"augment": "shift,colour"},
    "epochs": {"epochs": 7},
    "images": {"images": 7},
}


def other_values(name):
    """{field: value}: another value than the default for a field, with what must go along."""
    spec = FIELDS[name]
    if name in FITTING:
        return FITTING[name]
    if spec.metadata["choices"]:
        return {name: next(c for c in spec.metadata["choices"] if c != spec.default)}
    if spec.type is bool:
        return {name: not spec.default}
    if spec.type is str:
        return {name: 'a "quoted" \\ päth 😀\n\x1b\x7f\x85'}
    if spec.type is int:
        return {name: spec.default + 1}
    return {name: spec.default / 2 + 0.0123}


def as_flags(values):
    argv = []
    for name, value in values.items():
        if isinstance(value, bool):
            argv.append(flag(name) if value else flag(name).replace("--", "--no-", 1))
        else:
            argv += [flag(name), ",".join(map(str, value)) if type(value) is tuple else str(value)]
    return argv


def refusal(*argv):
    with pytest.raises(UserError) as caught:
        resolved(*argv)
    message = caught.value.for_command()
    assert "\n" not in message
    return message


def test_flags_override_the_file_and_the_file_the_defaults(tmp_path):
    request = parse_training([])
    assert request.config == Config(subset=2000) == resolved("--config", "celeba")
    assert (request.config_name, request.run_dir, request.dry_run) == ("celeba", None, False)
    path = tmp_path / "own.toml"
    path.write_text("epochs = 7\nseed = 3\nflip = true\ng_channels = [4, 4, 4]\n")
    request = parse_training(["--config", str(path), "--seed", "5", "--no-flip"])
    expected = replace(Config(), epochs=7, seed=5, g_channels=(4, 4, 4), crop=CELEBA_CROP)
    assert request.config == expected
    assert request.config_name == "own"


@pytest.mark.parametrize("name", ["run", "data", "packs", "init_from", "inception"])
def test_a_path_may_begin_at_home_but_at_no_strangers(name, here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    (here / "a.npz").touch()
    request = parse_training([f"{flag(name)}=~/a.npz"])
    assert str(request.run_dir or getattr(request.config, name)) == str(here / "a.npz")
    assert "no such user" in refusal(f"{flag(name)}=~nobody-here/a.npz")


def test_a_saved_run_goes_on_with_its_own_config(tmp_path):
    saved = resolved("--epochs", 9, "--width", 0.5)
    (tmp_path / "config.toml").write_text(to_toml(saved), encoding="utf-8")
    assert resolved("--run", tmp_path) == saved
    assert resolved("--run", tmp_path, "--epochs", 12) == replace(saved, epochs=12)
    assert resolved("--run", tmp_path, "--config", "celeba") == resolved()


FREE = {  # what a resumed run may change
    *("data", "label_table", "packs", "epochs", "images", "device", "strategy", "jit"),
    *("sample_every", "sample_count", "progress_format"),
    *("checkpoint_every", "checkpoint_steps", "checkpoint_minutes", "keep_checkpoints"),
    *("tensorboard", "score_every", "score_samples", "inception"),
    *MIDWAY,  # recorded with their steps
}


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_a_flag_survives_the_saved_file_and_is_bound_unless_free(name, tmp_path):
    values = other_values(name)
    assert values[name] != FIELDS[name].default
    config = resolved(*as_flags(values))
    assert {key: getattr(config, key) for key in values} == values
    saved = tmp_path / "config.toml"
    saved.write_text(to_toml(config), encoding="utf-8")
    assert read_config(saved) == config
    start = Config(epochs=0, images=5) if name == "images" else Config()
    assert set(changed_fields(start, replace(start, **values))) == set(values) - FREE


def test_the_saved_file_has_the_headings_of_help_whose_texts_stand_alone(capsys):
    texts = [spec.metadata["help"] for spec in FIELDS.values()]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert not set(text.replace(",", "").split()) & {"it", "them", "these", "same"}
    with pytest.raises(SystemExit):
        parse_training(["--help"])
    shown, saved = capsys.readouterr().out, to_toml(Config())
    assert [n for members in groups().values() for n in members] == list(FIELDS)
    assert all(flag(name) in shown for name in FIELDS)
    assert all(name in shown for name in names())
    for text, mark in ((shown, "{}:\n"), (saved, "# {}\n")):
        places = [text.index(mark.format(heading)) for heading in groups()]
        assert places == sorted(places)


@pytest.mark.parametrize("name", names())
def test_shipped_configs_resolve_and_survive_the_saved_file(name, tmp_path):
    config = resolved("--config", name)
    (tmp_path / "config.toml").write_text(to_toml(config), encoding="utf-8")
    assert read_config(tmp_path / "config.toml") == config
    assert find_config(name).read_text(encoding="utf-8").startswith(f"# {name}")


@pytest.mark.parametrize(
    ("argv", "nearest"),
    [
        (["--epoch", "5"], "did you mean --epochs?"),
        (["--batchsize=5"], "did you mean --batch-size?"),
        (["--qqqqqq"], "see --help"),
        (["--sub", "5"], "unknown flag --sub;"),  # no abbreviation either
        (["--loss", "bce"], "expected one of non_saturating, hinge, relativistic"),
        (["--ema", "0.999"], "did you mean --average?"),
        (["--r1-gamma", "10"], "did you mean --r1 or --r2?"),
        (["--learning-rate", "1"], "--lr or --g-learning-rate or --d-learning-rate?"),
        (["--lr", "x"], "--lr: got 'x', expected a number between"),
        (["--resume"], "no run with a log.txt"),
        (["--img_size", "64"], "did you mean --image-size?"),
        (["--gpus", "2"], "CUDA_VISIBLE_DEVICES"),
        (["--size", "64"], "did you mean --image-size?"),
        (["--tracker", "wandb"], "--tracker wandb: needs the package: pip install wandb"),
        (["--tracker", "paper"], "--tracker: invalid choice: 'paper'"),
        (["--optimizer", "sgd"], "both networks use Adam"),
        (["runs/a b"], "no recipe, run, folder or zip is called 'runs/a b'; the recipes are"),
        (["demo", "mnist"], "--config: got demo and mnist; name one"),
        (["--config", "clebea"], "did you mean celeba?"),
        (["--image-size", "96"], "8 x 2^3 = 64, but image_size is 96; base_size 12 would fit"),
        (["--image-size", "100"], "but image_size is 100; with 3 doublings it must be a multiple"),
        (["--g-output", "transposed"], "8 x 2^4 = 128, but image_size is 64; base_size 4 would"),
        (["--d-channels", "4,4,4,4,4,4,4"], "7 convolutions halve 64 pixels to less than one"),
        (["--config", "no/such.toml"], "celeba"),
    ],
)
def test_names_the_nearest_valid_name_or_the_arithmetic(argv, nearest):
    assert nearest in refusal(*argv)


def test_a_word_is_understood_as_a_recipe_a_run_or_images(here):
    saved = resolved("--epochs", 9)
    write_files(here, {"runs/0012-laptop/config.toml": to_toml(saved).encode(), "photos/a": b""})
    write_files(here, {"own.toml": b"epochs = 3\n", "img_align_celeba.zip": b"", "cifar10/a": b""})
    laptop = resolved("--config", "laptop")
    assert resolved("laptop") == resolved("half-hour") == laptop
    assert resolved("minutes", "--images", 160_000) == laptop
    assert parse_training(["half-hour"]).config_name == "laptop"
    assert resolved("own.toml").epochs == 3
    for word in ("12", "0012-laptop", "runs/0012-laptop"):
        request = parse_training([word])
        assert (request.config, request.run_dir) == (saved, Path("runs/0012-laptop"))
    own = replace(laptop, dataset="auto", data="photos", crop="auto")
    assert resolved("photos", "laptop") == own  # the images are looked at later
    assert parse_training(["photos"]).celeba == "laptop"
    assert parse_training(["--data", "photos"]).celeba == "celeba"
    assert "--data: got photos and cifar10/; name one" in refusal("photos", "cifar10/")
    resumed = parse_training(["12", "photos"])  # where its images are now
    assert resumed.config == replace(saved, data="photos")


def test_resume_takes_the_run_that_was_trained_last(here):
    for name, time in (("0001-a", 90), ("0002-b", 50)):
        files = {"config.toml": to_toml(resolved("--seed", time)).encode(), "log.txt": b""}
        write_files(here / "runs" / name, files)
        os.utime(here / "runs" / name / "log.txt", (time, time))
    assert parse_training(["--resume"]).run_dir == Path("runs/0001-a")
    request = parse_training(["--resume", "2", "--epochs", "300"])
    assert (request.run_dir, request.config.seed) == (Path("runs/0002-b"), 50)
    assert request.config.epochs == 300


def test_shorthands_set_what_they_stand_for_and_words_stand_on_both_sides_of_a_flag(here):
    both = resolved("--lr", "1e-3")
    assert (both.g_learning_rate, both.d_learning_rate) == (1e-3, 1e-3)
    assert resolved("--lr", "1e-3", "--d-learning-rate", "2e-3").d_learning_rate == 2e-3
    assert not resolved("--tracker", "none").tensorboard and resolved().tensorboard
    write_files(here, {"a/x": b"", "b/x": b""})
    assert parse_evaluation(["a", "--size", "8", "b"]).places == ("a", "b")


WRONG = {
    "epochs": ["0", "2.5", "many", "", "1e3"],
    "batch_size": ["1"],
    "width": ["0", "nan", "inf"],
    "max_bad": ["-0.1", "1.1"],
    "max_pixels": ["0"],
    "batchnorm_momentum": ["0", "1"],
    "seed": ["-1", str(2**31)],
    "g_channels": ["", "1,,2", "0", "1.5"],
    "dataset": ["faces", ""],
    "channels": ["2"],
    "output_activation": ["relu"],
    "crop": ["1,2,3", "30,30,30,40", "-1,0,5,5", "a,b,c,d", ""],
    "data": [""],
    "run": [""],
}


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, ts in WRONG.items() for t in ts])
def test_a_wrong_value_is_refused_by_name(name, text):
    message = refusal(f"{flag(name)}={text}")
    assert message.startswith(f"{flag(name)}: got ") and "expected" in message
    assert text in message


@pytest.mark.parametrize(
    "line",
    [
        *("epochs = 0", "epochs = 2.0", "epochs = true", "epochs = [1]", "flip = 1", "data = 5"),
        *("g_channels = []", "g_channels = [1.5]", "width = nan", "epochs = 2026-01-01"),
        *("epochs = ", "epochs 5", "epochs = 1\nepochs = 2"),  # no TOML
    ],
)
def test_what_is_wrong_in_a_file_is_refused_by_file_and_name(line, tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(line + "\n")
    message = refusal("--config", path)
    key = line.split(" ")[0]
    assert str(path) in message
    assert (f" {key}: got" in message and "expected" in message) or "not valid TOML" in message


def test_settings_of_older_versions_are_dropped_where_they_did_nothing(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("average_power = 16.97\naverage_into_g = 0\n")  # as every older run has them
    assert read_config(path) == Config()
    for line in ("average = 'power'", "average = 'half_life'\naverage_into_g = 100"):
        path.write_text(line)
        with refused(str(path), "no longer exist", 'average = "half_life"'):
            read_config(path)


def test_typed_epochs_keep_a_recipes_schedule_and_a_typed_size_brings_its_layers():
    assert resolved("--config", "overnight", "--epochs", 1).decay_images == 500_000
    assert resolved("--config", "overnight", "--images", "200k").decay_images == 200_000
    assert load_recipe("laptop", epochs=1).decay_images == 0
    layers = {
        ("laptop", 128): ((256, 128, 64, 32, 16), (64, 128, 256, 512, 512)),
        ("laptop", 256): ((256, 128, 64, 32, 16, 8), (64, 128, 256, 512, 512, 512)),
        ("laptop", 32): ((256, 128, 64), (64, 128, 256)),
        ("celeba", 128): ((128, 256, 512, 512), (64, 128, 128, 128)),
        ("radford", 128): ((256, 128, 64, 32), (64, 128, 256, 512, 512)),
        ("laptop", 64): ((256, 128, 64, 32), (64, 128, 256, 512)),
    }
    for (recipe, size), (g_channels, d_channels) in layers.items():
        config = resolved("--config", recipe, "--image-size", size)
        assert (config.g_channels, config.d_channels) == (g_channels, d_channels)
        assert load_recipe(recipe, image_size=size) == config
    own = resolved("--config", "laptop", "--image-size", 128, "--base-size", 8)
    assert own.g_channels == (256, 128, 64, 32)
    with refused("image_size: base_size 4 x 2^4 = 64, but image_size is 96; base_size 6 would"):
        load_recipe("laptop", image_size=96)


def test_crop_may_be_spaced_or_a_list_and_auto_is_the_data_sets_own(tmp_path):
    assert resolved("--dataset", "celeba").crop_box == (30, 55, 150, 175)
    assert resolved("--dataset", "folder").crop_box is None
    assert resolved("--crop", " 1, 2,3 ,4").crop == "1,2,3,4"
    (tmp_path / "own.toml").write_text("crop = [1, 2, 3, 4]\n")
    assert resolved("--config", tmp_path / "own.toml").crop_box == (1, 2, 3, 4)


LARGE = {
    *("tensorflow", "keras", "numpy", "matplotlib", "PIL", "tensorflow_datasets", "scipy"),
    *("psutil", "tqdm"),
}


# Runs each line of its first argument as a program; after each, what it printed must be enough.
AT_ONCE = """
import json, runpy, sys
lines, lists, repo, large = json.loads(sys.argv[1])
sys.path.insert(0, repo)
for line in [*lines, *lists]:
    start, *sys.argv = line.split() if line[0] == "-" else ("", *line.split())
    try:
        if start:
            runpy.run_module(sys.argv[0], run_name="__main__")
        else:
            runpy.run_path(f"{repo}/{sys.argv[0]}", run_name="__main__")
    except SystemExit as stop:
        assert (stop.code == 0) == ("--help" in line or line in lists), (line, stop.code)
    else:
        assert False, f"{line}: did not end"
    found = set(large) & set(sys.modules)
    assert not found, (line, found)
"""
LINES = [
    *("train.py --help", "train.py --epochs 0", "train.py --epoch 1"),
    *("train.py --config nothere", "train.py --image-size 100", "train.py --config bad.toml"),
    *("train.py --run old --seed 7", "train.py --run old --config mnist", "train.py --run x"),
    *("train.py --init-from nothere", "train.py --init-from pretrained:nobody"),
    *("train.py --loss hinge --r1 -1", "train.py --run full --dry-run"),
    *("generate.py --help", "generate.py --bad", "generate.py", "generate.py --run old"),
    *("generate.py --n 0", "generate.py --pretrained nobody", "generate.py --seeds 3-1"),
    *("-m dcgan_tf.evaluate --help", "-m dcgan_tf.evaluate --samples 1"),
    *("-m dcgan_tf.evaluate --run old", "-m dcgan_tf.evaluate bad.toml"),
    *("-m dcgan_tf.storage --help", "-m dcgan_tf.storage --unused x", "-m dcgan_tf.export --help"),
    *("-m dcgan_tf --help", "-m dcgan_tf generat", "-m dcgan_tf check --help"),
]
VERBS = ("", " runs", " recipes", " recipes night", " version")
LISTS = [f"-m dcgan_tf{verb}" for verb in VERBS]


def test_help_and_refusals_wait_for_no_large_package_and_leave_nothing(tmp_path):
    """The promise is an answer in under 0.3 s; what breaks it is an import of one of these."""
    write_files(tmp_path, {"bad.toml": b"width = 'x'\n", "x": b"", "full/mine": b""})
    saved = to_toml(Config()).encode()
    write_files(tmp_path, {"old/config.toml": saved, "runs/0001-a/config.toml": saved})
    given = json.dumps([LINES, LISTS, str(REPO), sorted(LARGE)])
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE, given], cwd=tmp_path, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("error: ") == sum("--help" not in line for line in LINES)
    assert "did you mean --epochs?" in done.stderr and sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("mend\n this"), 2, "error: mend this\n"),
        (UserError("taken", code=4), 4, "error: taken\n"),
        (Interrupted(15), 143, "interrupted"),
        (Interrupted(2), 130, "interrupted"),
        (KeyboardInterrupt(), 130, "stopped at once; all files written so far are complete"),
        (ModuleNotFoundError("no", name="tensorflow"), 2, "tensorflow is not installed"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "/x: Permission denied; "),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left on device; "),
        (OSError(errno.EIO, "Input/output error", "/x"), 2, "the disk or its connection fails"),
        (TimeoutError(errno.ETIMEDOUT, "Timed out", "/x"), 2, "network disk"),
    ],
)
def test_what_can_stop_a_command_becomes_one_line_and_a_code(error, code, words, capsys):
    assert run_command(lambda argv: (_ for _ in ()).throw(error)) == code
    line = capsys.readouterr().err
    assert words in line and line.startswith("error: ") and line.count("\n") == 1


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError(errno.EPIPE, "Broken")])
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        run_command(lambda argv: (_ for _ in ()).throw(error))
