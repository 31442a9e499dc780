"""The tests' own programs: a fork that stands for a program begins as the program would."""

import json
import time

from programs import run_program, start_program

STATE = """
import json, multiprocessing, os, sys
state = [sys.argv, os.getcwd(), sys.path[0], __name__, multiprocessing.get_start_method()]
print(json.dumps([*state, sys.stdin.read(), sys.modules["__main__"].__dict__ is globals()]))
"""
END = """
import os, sys
from tqdm import tqdm
tqdm.write("a line", file=sys.stdout)
print("the last line", file=sys.stderr, flush=True)
os._exit(5)
"""
NOTHING = {"DCGAN_TF_TEST": "from nothing"}  # an environment of its own: not a fork


def test_fork_begins_as_a_program_does(tmp_path):
    (tmp_path / "there.py").write_text(STATE)
    for words in (["-c", STATE, "a", "--b"], ["-m", "there", "a"], [str(tmp_path / "there.py")]):
        fork, program = (run_program(words, tmp_path, env) for env in (None, NOTHING))
        assert fork.returncode == program.returncode == 0
        assert json.loads(fork.stdout) == json.loads(program.stdout)
        assert fork.stderr == program.stderr


def test_fork_that_ends_at_once_leaves_nothing_behind_its_last_line(tmp_path):
    for env in (None, NOTHING):
        with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
            assert start_program(["-c", END], tmp_path, env, out, err).wait(60) == 5
        time.sleep(1)  # a tracker of resources would speak after the end
        assert (tmp_path / "err").read_text() == "the last line\n"
