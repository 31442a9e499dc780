"""The programs in docs/experiments.md: what they call and read is there."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from helpers import REPO
from tiny_run import EPOCHS, make_run, score

from dcgan_tf.train.command import parse_training

TEXT = (REPO / "docs/experiments.md").read_text(encoding="utf-8")
SWEEP, TRACK = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


class Pruned(Exception):
    pass


class Study:
    """As much of Optuna's as the program uses: two trials, the second of which fails."""

    def optimize(self, objective, n_trials):
        values = {"suggest_float": lambda *a, **k: 5e-4, "suggest_categorical": lambda n, c: c[1]}
        self.best_value = objective(SimpleNamespace(number=0, **values))
        with pytest.raises(Pruned, match="exit code 3"):
            objective(SimpleNamespace(number=1, **values))
        self.best_params = {"n_trials": n_trials}


def test_the_sweep_calls_train_with_flags_that_it_has(here, monkeypatch, capsys):
    calls = []

    def run(command):
        calls.append(parse_training(command[2:]))
        folder = here / command[-1]
        folder.mkdir()
        lines = [json.dumps(score(2, 0.9)), json.dumps(score(4, 0.7))]
        (folder / "evaluation.jsonl").write_text("\n".join(lines) + "\n")
        return SimpleNamespace(returncode=0 if len(calls) == 1 else 3)

    optuna = SimpleNamespace(TrialPruned=Pruned, create_study=lambda **kwargs: Study())
    monkeypatch.setitem(sys.modules, "optuna", optuna)
    monkeypatch.setattr(subprocess, "run", run)
    exec(SWEEP, {})
    assert capsys.readouterr().out == "{'n_trials': 20} 0.7\n"
    first, second = (call.config for call in calls)
    assert first == second and first.g_learning_rate == first.d_learning_rate == 5e-4
    assert first.d_width == 0.5 and first.score_every == 5
    assert [str(call.run_dir) for call in calls] == ["runs/sweep/0000", "runs/sweep/0001"]


def test_the_program_for_trackio_reads_a_run(tmp_path, monkeypatch):
    run = make_run(tmp_path / "one")
    said, names = [], ("init", "log", "finish")
    calls = {name: lambda *a, n=name, **k: said.append((n, a, k)) for name in names}
    monkeypatch.setitem(sys.modules, "trackio", SimpleNamespace(**calls))
    monkeypatch.setattr(sys, "argv", ["track.py", str(run.root)])
    exec(TRACK, {})
    (_, _, began), *logged, (last, _, _) = said
    assert began["name"] == "one" and began["config"]["dataset"] == "demo" and last == "finish"
    assert [kwargs["step"] for _, _, kwargs in logged] == [10 * n for n in range(1, EPOCHS + 1)]
    assert all("step" not in record and "d_loss" in record for _, (record,), _ in logged)
