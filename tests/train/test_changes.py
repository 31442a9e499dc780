"""Learning rates that change in a run: recorded, read back, and made again at their steps."""

from dataclasses import replace

import pytest
from helpers import refused, resolved

from dcgan_tf.common.config import MIDWAY, changed_fields
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.runs import Run
from dcgan_tf.train import changes, run_lock
from dcgan_tf.train.changes import Change


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path)
    run_lock.save_config(run, resolved("--g-learning-rate", 1e-3))
    return run


def resume(run, step, trained=None, **settings):
    """Settings change at `step`, three steps an epoch; config.toml is written as training does."""
    config = replace(read_config(run.config), **settings)
    found = changes.collect(run.config, config, step, step // 3, trained or {})
    run_lock.save_config(run, config, found)
    return found


def rates(run, *steps):
    config, found = read_config(run.config), changes.read(run.config)
    return [changes.at(config, found, step).g_learning_rate for step in steps]


def test_each_step_has_the_values_that_were_valid_there(run):
    resume(run, 6, g_learning_rate=1e-4, d_learning_rate=1e-5)
    resume(run, 9, g_learning_rate=5e-5)
    assert rates(run, 0, 5, 6, 8, 9, 500) == [1e-3, 1e-3, 1e-4, 1e-4, 5e-5, 5e-5]
    assert changes.read(run.config) == [
        Change(6, 2, "g_learning_rate", 1e-3, 1e-4),
        Change(6, 2, "d_learning_rate", 1e-4, 1e-5),
        Change(9, 3, "g_learning_rate", 1e-4, 5e-5),
    ]
    assert read_config(run.config).g_learning_rate == 5e-5  # the newest stands at the top


def test_a_repeat_from_an_earlier_step_keeps_the_later_changes(run):
    before = run.config.read_bytes()
    resume(run, 6, g_learning_rate=1e-4)
    changed = run.config.read_bytes()
    resume(run, 3)
    assert run.config.read_bytes() == changed
    resume(run, 6, g_learning_rate=1e-3)  # taken back
    assert run.config.read_bytes() == before


def test_a_new_value_at_an_earlier_step_replaces_the_later_changes_of_that_setting(run):
    assert resume(run, 0, g_learning_rate=1e-3) == []  # before the first step it is no change
    resume(run, 6, g_learning_rate=1e-4, d_learning_rate=1e-5)
    resume(run, 3, g_learning_rate=2e-4)
    assert rates(run, 0, 2, 3, 6) == [1e-3, 1e-3, 2e-4, 2e-4]
    assert [change.step for change in changes.read(run.config)] == [3, 6]
    text = run.config.read_text().replace("g_learning_rate = 0.0002", "g_learning_rate = 0.0003")
    run.config.write_text(text)  # by hand: from here on
    resume(run, 9)
    assert rates(run, 8, 9) == [2e-4, 3e-4]


def test_a_first_value_by_hand_is_a_change_from_here_on(run):
    run.config.write_text(run.config.read_text().replace("_rate = 0.001", "_rate = 0.0002"))
    trained = {"g_learning_rate": 1e-3, "d_learning_rate": 1e-4}  # as in the checkpoint
    assert resume(run, 9, trained) == [Change(9, 3, "g_learning_rate", 1e-3, 2e-4)]
    assert rates(run, 8, 9) == [1e-3, 2e-4]


def test_only_the_learning_rates_may_change(run):
    config = resolved()
    other = replace(config, g_learning_rate=1.0, d_learning_rate=2.0, flip=True, width=0.5)
    assert changed_fields(config, other) == ["width", "flip"]
    assert MIDWAY == ("g_learning_rate", "d_learning_rate")
    table = '\n[[changes]]\nstep = 6\nepoch = 2\nsetting = "flip"\nold = false\nnew = true\n'
    run.config.write_text(run.config.read_text() + table)  # as earlier versions recorded it
    with refused("config.toml: changes: this run changed its flip", "a new one with --init-from"):
        changes.read(run.config)


def test_damaged_tables_are_refused(run):
    text, table = run.config.read_text(), "[[changes]]\nstep = "
    for damage in (
        "changes = 3",
        f"{table}3",
        f"{table}1\nepoch = 0\nsetting = []\nold = 0.1\nnew = 0.2",
        f'{table}1\nepoch = 0\nsetting = "g_learning_rate"\nold = 3.0\nnew = "x"',
    ):
        first, second = (damage, text) if damage.startswith("changes") else (text, damage)
        run.config.write_text(f"{first}\n{second}")
        with refused("config.toml: changes: ", "; mend the file"):
            changes.read(run.config)
