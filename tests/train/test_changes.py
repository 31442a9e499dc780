"""Settings that change midway: recorded, read back, and made again at their steps."""

from dataclasses import replace

import pytest
from helpers import resolved

from dcgan_tf.common.config import MIDWAY, changed_fields
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.train import changes, run_lock
from dcgan_tf.train.changes import Change


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path)
    run_lock.save_config(run, resolved("--g-learning-rate", 1e-3))
    return run


def go_on(run, step, **settings):
    """Settings change at `step`, three steps an epoch; config.toml is written as training does."""
    config = replace(read_config(run.config), **settings)
    plan = changes.planned(run.config, config, step, step // 3)
    run_lock.save_config(run, config, plan)
    return config, plan


def rates(run, *steps):
    config, plan = read_config(run.config), changes.read(run.config)
    return [changes.at(config, plan, step).g_learning_rate for step in steps]


def test_each_step_has_the_values_that_were_valid_there(run):
    go_on(run, 6, g_learning_rate=1e-4, flip=True)
    go_on(run, 9, g_learning_rate=5e-5)
    assert rates(run, 0, 5, 6, 8, 9, 500) == [1e-3, 1e-3, 1e-4, 1e-4, 5e-5, 5e-5]
    assert changes.read(run.config) == [
        Change(6, 2, "g_learning_rate", 1e-3, 1e-4),
        Change(6, 2, "flip", False, True),
        Change(9, 3, "g_learning_rate", 1e-4, 5e-5),
    ]
    assert read_config(run.config).g_learning_rate == 5e-5  # the newest stands at the top


def test_a_repeat_from_an_earlier_step_keeps_the_later_changes(run):
    go_on(run, 6, g_learning_rate=1e-4)
    before = run.config.read_bytes()
    go_on(run, 3)
    assert run.config.read_bytes() == before


def test_a_new_value_at_an_earlier_step_replaces_the_later_changes_of_that_setting(run):
    go_on(run, 6, g_learning_rate=1e-4, label_smoothing=0.1)
    go_on(run, 3, g_learning_rate=2e-4)
    assert rates(run, 0, 2, 3, 6) == [1e-3, 1e-3, 2e-4, 2e-4]
    assert [c.setting for c in changes.read(run.config)] == ["g_learning_rate", "label_smoothing"]


def test_a_change_that_is_taken_back_leaves_no_trace(run):
    before = run.config.read_bytes()
    go_on(run, 6, g_learning_rate=1e-4)
    go_on(run, 6, g_learning_rate=1e-3)
    assert run.config.read_bytes() == before


def test_before_the_first_step_a_change_is_just_another_value(run):
    assert go_on(run, 0, g_learning_rate=1e-4)[1] == []
    assert rates(run, 0) == [1e-4]


def test_a_value_changed_by_hand_counts_from_here_on(run):
    go_on(run, 6, g_learning_rate=1e-4)
    text = run.config.read_text().replace("g_learning_rate = 0.0001", "g_learning_rate = 0.0002")
    run.config.write_text(text)
    go_on(run, 9)
    assert rates(run, 8, 9) == [1e-4, 2e-4]


def test_only_those_settings_may_change():
    config = resolved()
    other = replace(config, g_learning_rate=1.0, flip=True, beta_1=0.1, width=0.5)
    assert changed_fields(config, other) == ["width", "beta_1"]
    assert set(MIDWAY) <= set(changed_fields.__globals__["FIELDS"])


@pytest.mark.parametrize(
    "damage",
    [
        "changes = 3",
        "changes = [1, 2]",
        "[[changes]]\nstep = 3",
        '[[changes]]\nstep = -1\nepoch = 0\nsetting = "flip"\nold = false\nnew = true',
        '[[changes]]\nstep = 1.5\nepoch = 0\nsetting = "flip"\nold = false\nnew = true',
        '[[changes]]\nstep = 1\nepoch = 0\nsetting = "width"\nold = 0.1\nnew = 0.2',
        "[[changes]]\nstep = 1\nepoch = 0\nsetting = []\nold = 0.1\nnew = 0.2",
        '[[changes]]\nstep = 1\nepoch = 0\nsetting = "flip"\nold = 3\nnew = "x"',
    ],
)
def test_damaged_tables_are_refused(run, damage):
    text = run.config.read_text()
    run.config.write_text(damage + "\n" + text if damage.startswith("changes") else text + damage)
    with pytest.raises(UserError):
        changes.read(run.config)
