"""The tests' own programs: a fork that stands for a program begins as the program would."""

import json

import pytest
from programs import run_program

STATE = """
import json, multiprocessing, os, sys
state = [sys.argv, os.getcwd(), sys.path[0], __name__, multiprocessing.get_start_method()]
print(json.dumps([*state, sys.stdin.read(), sys.modules["__main__"].__dict__ is globals()]))
"""
NOTHING = {"DCGAN_TF_TEST": "from nothing"}  # an environment of its own: not a fork


@pytest.mark.slow
def test_fork_begins_as_a_program_does(tmp_path):
    (tmp_path / "there.py").write_text(STATE)
    for words in (["-c", STATE, "a", "--b"], ["-m", "there", "a"], [str(tmp_path / "there.py")]):
        fork, program = (run_program(words, tmp_path, env) for env in (None, NOTHING))
        assert fork.returncode == program.returncode == 0
        assert json.loads(fork.stdout) == json.loads(program.stdout)
        assert fork.stderr == program.stderr
