"""Learning rates that change when a run resumes: recorded in its config.toml."""

from dataclasses import replace

import pytest
from helpers import refused, resolved

from dcgan_tf.common.config import MIDWAY, changed_fields
from dcgan_tf.common.config_file import read_config, read_toml
from dcgan_tf.common.runs import Run
from dcgan_tf.train import changes, run_lock


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


def read(run):
    return read_toml(run.config).get("changes", [])


def change(step, setting, old, new):
    return {"step": step, "epoch": step // 3, "setting": setting, "old": old, "new": new}


def test_each_change_is_recorded_with_its_step(run):
    assert resume(run, 0, g_learning_rate=1e-3) == []  # before the first step it is no change
    first = [
        change(6, "g_learning_rate", 1e-3, 1e-4),
        change(6, "d_learning_rate", resolved().d_learning_rate, 1e-5),
    ]
    assert resume(run, 6, g_learning_rate=1e-4, d_learning_rate=1e-5) == first == read(run)
    last = change(9, "g_learning_rate", 1e-4, 5e-5)
    assert resume(run, 9, g_learning_rate=5e-5) == [*first, last] == read(run)
    assert resume(run, 12) == [*first, last] == read(run)
    assert read_config(run.config).g_learning_rate == 5e-5  # the newest stands at the top


def test_from_a_checkpoint_before_a_change_it_comes_anew_or_is_taken_back(run):
    old, new = {"g_learning_rate": 1e-3}, {"g_learning_rate": 1e-4}
    before = run.config.read_bytes()
    for trained in (old, new):  # killed before and after the first checkpoint with the new rate
        resume(run, 6, old, g_learning_rate=1e-4)
        assert resume(run, 6, trained) == [change(6, "g_learning_rate", 1e-3, 1e-4)]
    assert resume(run, 3, old) == [change(3, "g_learning_rate", 1e-3, 1e-4)]
    assert resume(run, 3, old, g_learning_rate=1e-3) == []
    assert run.config.read_bytes() == before


def test_a_value_by_hand_is_a_change_from_here_on(run):
    run.config.write_text(run.config.read_text().replace("_rate = 0.001", "_rate = 0.0002"))
    trained = {"g_learning_rate": 1e-3}  # as in the checkpoint
    assert resume(run, 9, trained) == [change(9, "g_learning_rate", 1e-3, 2e-4)]


def test_only_the_learning_rates_may_change(run):
    config = resolved()
    other = replace(config, g_learning_rate=1.0, d_learning_rate=2.0, flip=True, width=0.5)
    assert changed_fields(config, other) == ["width", "flip"]
    assert MIDWAY == ("g_learning_rate", "d_learning_rate")


def test_damaged_tables_are_refused(run):
    text = run.config.read_text()
    for damaged in (f"changes = 3\n{text}", f"{text}\n[[changes]]\nstep = 3"):
        run.config.write_text(damaged)
        with refused("config.toml: its tables [[changes]] are damaged; mend the file"):
            changes.collect(run.config, resolved(), 3, 1, {})
