"""--dry-run and the checks before a training: what would stop it stops them."""

import pytest

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.log import hush
from dcgan_tf.train import command


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--run", "runs"], "--run runs: this is a file"),
        (["--run", "notes"], r"--run notes: has files .* but no config.toml"),
        (["--init-from", "notes"], "--init-from notes: expected a run directory"),
    ],
)
def test_a_dry_run_refuses_what_a_training_would(argv, words, here):
    from dcgan_tf.train.plan import print_plan

    (here / "runs").touch()
    (here / "notes").mkdir()
    (here / "notes/todo.txt").touch()
    with pytest.raises(UserError, match=words):
        print_plan(command.parse_training(["--config", "demo", *argv]))


def test_too_little_memory_stops_the_command_before_the_networks_are_built(here, monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda: 600_000_000)
    with pytest.raises(UserError, match="--batch-size 32: this training needs at least 679.9 MB"):
        command.main(["--config", "demo"])
    hush()
    assert not list(here.iterdir())
