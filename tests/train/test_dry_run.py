"""--dry-run and the checks before a training: what would stop it stops them."""

import json

import pytest
from helpers import faces_zip, resolved, write_files

from dcgan_tf.common import limits
from dcgan_tf.common.config_file import to_toml
from dcgan_tf.common.errors import UserError
from dcgan_tf.train import command
from dcgan_tf.train.__main__ import main


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--run", "runs"], "run runs: this is a file"),
        (["--run", "notes"], r"run notes: has files .* but no config.toml"),
        (["--init-from", "notes"], "init_from notes: expected a run directory"),
    ],
)
def test_a_dry_run_refuses_what_a_training_would(argv, words, here):
    (here / "runs").touch()
    (here / "notes").mkdir()
    (here / "notes/todo.txt").touch()
    with pytest.raises(UserError, match=words):
        main(["--config", "demo", *argv, "--dry-run"])


def test_a_dry_run_finds_the_images_of_a_run_from_elsewhere(here, capsys, monkeypatch):
    from dcgan_tf.train.dry_run import print_plan

    config = resolved("--data", "faces.zip", "--subset", 8, "--width", 0.05, "--batch-size", 3)
    versions = json.dumps({"directory": str(here / "project")}).encode()
    files = {"config.toml": to_toml(config).encode(), "versions.json": versions}
    run = write_files(here / "project/runs/faces", files)
    faces_zip(here / "project", 9)
    monkeypatch.chdir("/")
    print_plan(command.parse_training(["--run", str(run)]))
    said = capsys.readouterr().out
    assert f"images:   8 of 9, {here / 'project/faces.zip'}; steps of 3: 2 an epoch" in said


def test_too_little_memory_stops_the_command_before_the_networks_are_built(here, monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda: 600_000_000)
    with pytest.raises(UserError, match="batch_size 8: this training needs at least 607.5 MB"):
        main(["--config", "demo"])
    assert not list(here.iterdir())
