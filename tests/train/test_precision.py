"""What `--precision auto` becomes, that it stays so, and what is said of it."""

from dataclasses import replace

import keras
import pytest
from helpers import resolved
from workers import TINY, final, finish, start

from dcgan_tf.common import checkpoints
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.models.parts import precision_of
from dcgan_tf.train import command, machine, trial


@pytest.fixture
def choose(monkeypatch, caplog):
    """Called with the best precision and the seconds of a step in each, for (what auto becomes,
    the line about it)."""
    caplog.set_level("INFO")

    def call(best, **seconds):
        monkeypatch.setattr(trial, "best_precision", lambda gpus: best)
        tried = lambda config, strategy, *_, **__: (1.0, 9.0, seconds[config.precision])  # noqa: E731
        monkeypatch.setattr(trial, "time_steps", tried)
        request = command.Request(resolved("--precision", "auto"), "celeba", None)
        with precision_of(replace(request.config, precision="mixed_float16")):  # a program's own
            chosen = trial.choose_precision(request).config.precision
            assert keras.config.dtype_policy().name == "mixed_float16"
        return chosen, caplog.messages[-1]

    return call


def test_auto_is_bfloat16_where_it_is_there_and_a_trial_is_faster(choose):
    chosen, line = choose("mixed_bfloat16", float32=2.0, mixed_bfloat16=1.0)
    assert chosen == "mixed_bfloat16"
    assert line.endswith("mixed_bfloat16 (auto; images/s: float32 16.0, mixed_bfloat16 32.0)")
    chosen, line = choose("mixed_bfloat16", float32=1.0, mixed_bfloat16=2.0)
    assert chosen == "float32" and "float32 32.0" in line
    assert choose("mixed_bfloat16", float32=1.0, mixed_bfloat16=1.1)[0] == "mixed_bfloat16"  # noise
    for best in ("float32", "mixed_float16"):  # no trial: time_steps would fail
        chosen, line = choose(best)
        assert chosen == "float32" and "nothing here is made for bfloat16" in line


def test_check_does_not_advise_the_precision_that_a_trial_refused(here, monkeypatch, caplog):
    caplog.set_level("INFO")
    (here / "cpuinfo").write_text("flags\t: amx_bf16\n")
    monkeypatch.setattr(machine, "CPUINFO", here / "cpuinfo")
    seconds = {"float32": 1.0, "mixed_bfloat16": 2.0}
    times = lambda config, *_, **__: (1.0, 1.0, seconds[config.precision])  # noqa: E731
    monkeypatch.setattr(trial, "time_steps", times)
    request = command.parse_training(["demo", "--width", "0.05", "--check"])
    trial.measure_speed(trial.choose_precision(request))
    assert "precision: float32 (auto)" in caplog.messages


def test_a_new_float32_run_on_a_processor_made_for_bfloat16_is_told_in_one_line(
    here, monkeypatch, caplog
):
    caplog.set_level("INFO")
    monkeypatch.setattr(machine, "CPUINFO", here / "cpuinfo")
    (here / "old").mkdir()
    (here / "old/config.toml").touch()
    faster = "is 1.2 to 2.6 times as fast as float32, most with wide networks (docs/performance.md)"
    for flags, instructions, units in (
        ("celeba", "amx_bf16 avx512_bf16", "AMX, AVX512_BF16"),
        ("mnist", "avx512_bf16", "AVX512_BF16"),
        ("celeba", "avx2", ""),
        ("celeba --precision float32", "amx_bf16", ""),
        ("celeba --dry-run", "amx_bf16", ""),
        ("--run old", "amx_bf16", ""),
    ):
        (here / "cpuinfo").write_text(f"flags\t: {instructions}\n")
        caplog.clear()
        request = command.parse_training(flags.split())
        assert trial.choose_precision(request) is request
        line = f"this processor has {units}: --precision mixed_bfloat16 {faster}"
        assert caplog.messages == ([line] if units else [])


@pytest.mark.slow
def test_a_run_keeps_what_auto_became_and_trains_as_if_it_had_been_named(tmp_path_factory):
    auto, named = tmp_path_factory.mktemp("auto"), tmp_path_factory.mktemp("named")
    ((out, _),) = finish(start(auto, *TINY, "--precision", "auto", "--epochs", "1"))
    became = read_config(auto / "runs/a/config.toml").precision
    assert f"precision: {became} (auto" in out and became in ("float32", "mixed_bfloat16")
    finish(start(auto, *TINY[-2:], "--precision", "auto", "--epochs", "2"))
    finish(start(named, *TINY, "--precision", became))
    states = [final(cwd)[0] for cwd in (auto, named)]
    assert checkpoints.digest_of(states[0]) == checkpoints.digest_of(states[1])


def test_a_run_that_goes_on_without_instructions_for_its_precision_is_told(
    here, monkeypatch, caplog
):
    (here / "config.toml").write_text('precision = "mixed_bfloat16"\n')
    request = command.parse_training(["--run", str(here)])
    for best, lines in (("mixed_bfloat16", 0), ("float32", 1)):
        monkeypatch.setattr(trial, "best_precision", lambda gpus, best=best: best)
        assert trial.choose_precision(request) is request
        assert len(caplog.messages) == lines
    assert "computes in mixed_bfloat16, which is slow here" in caplog.text
    with pytest.raises(UserError, match="was begun with other settings .precision"):
        command.prepare(command.parse_training(["--run", str(here), "--precision", "float32"]))
