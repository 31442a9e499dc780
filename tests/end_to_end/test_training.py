"""Training as the user meets it: real processes, real files, real signals."""

import json
import shutil
import signal

import numpy as np
import pytest
import stress
from helpers import SMALL, assert_refused, generate, kaggle_faces, train, write_files
from PIL import Image
from programs import wait_for

from dcgan_tf.common import checkpoints

TINY = (
    *("--config", "demo", "--subset", "48", *SMALL, "--batch-size", "16"),
    *("--sample-count", "4", "--epochs", "2"),
)

# Where two inter-op threads gave other bits in each of 7 equal runs; TINY is too small to show it.
REAL_SIZE = (
    *("--config", "demo", "--subset", "128", "--width", "0.125", "--batch-size", "32"),
    *("--base-size", "8", "--base-channels", "128", "--no-base-batchnorm"),
    *("--g-channels", "128,256,512", "--d-channels", "64,128,128"),
    *("--sample-count", "4", "--epochs", "2", "--no-tensorboard", "--run", "runs/a"),
    *("--precision", "float32"),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A directory with a finished miniature demo in runs/0001-demo-16px-s0, and what it printed."""
    cwd = tmp_path_factory.mktemp("finished")
    done = train(*TINY, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd, done


@pytest.fixture
def copied(finished, tmp_path):
    """The finished run again, to be changed."""
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_leaves_everything_that_the_readme_names(finished):
    run, text = finished[0] / "runs/0001-demo-16px-s0", finished[1].stdout
    names = "config.toml versions.json log.txt metrics.jsonl timing.jsonl losses.png reals.png"
    names += " progress.gif generator.keras discriminator.keras report.html"
    for name in names.split():
        assert (run / name).stat().st_size > 0, name
    assert list((run / "tensorboard").glob("events*"))
    assert len(list((run / "checkpoints").glob("*.npz"))) == 2
    grids = sorted(path.name for path in (run / "samples").iterdir())
    assert grids == ["epoch_0001.png", "epoch_0002.png"]
    assert not list(run.rglob(".writing*"))
    versions = json.loads((run / "versions.json").read_text())
    assert {"tensorflow", "keras", "numpy", "python", "git_commit"} <= versions.keys()
    metrics, timing = lines(run / "metrics.jsonl"), lines(run / "timing.jsonl")
    keys = ["epoch", "step", "images_seen", "d_loss", "g_loss", "d_real", "d_fake"]
    assert [list(record) for record in metrics] == [[*keys, "diversity", "roughness"]] * 2
    assert [(m["epoch"], m["step"], m["images_seen"]) for m in metrics] == [(1, 3, 48), (2, 6, 96)]
    assert all(0 < m["d_real"] < 1 and m["d_loss"] > 0 and m["g_loss"] > 0 for m in metrics)
    keys = ["epoch", "seconds", "images_per_second", "peak_memory_mb"]
    assert [list(record) for record in timing] == [keys, keys]
    assert all(t["images_per_second"] > 0 and t["peak_memory_mb"] > 100 for t in timing)
    for words in ("train.py --run", "generate.py --run", "epoch 2/2", "report:"):
        assert words in text
    assert text.count("runs/0001-demo-16px-s0") > 3 and "Traceback" not in finished[1].stderr


def test_sample_grid_is_what_generate_makes_of_the_same_seeds(finished, tmp_path):
    run = finished[0] / "runs/0001-demo-16px-s0"
    done = generate("--run", run, "--n", "4", "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    grids = [run / "samples/epoch_0002.png", tmp_path / "out/grid.png"]
    assert np.array_equal(*(np.asarray(Image.open(path)) for path in grids))


def test_finished_run_does_nothing_and_says_so(copied):
    shutil.rmtree(copied / "data")  # not even its images are needed
    report = copied / "runs/0001-demo-16px-s0/report.html"
    report.unlink()  # a kill came before it was written
    kinds = (".npz", ".keras", ".toml")
    before = {p: p.stat().st_mtime_ns for p in copied.rglob("*") if p.suffix in kinds}
    done = train(
        "--run", "runs/0001-demo-16px-s0", "--epochs", "1", cwd=copied
    )  # fewer than are done
    assert done.returncode == 0
    assert "is finished: 2 epochs" in done.stdout
    assert report.stat().st_size > 10_000
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())


def test_extended_run_equals_one_that_was_longer_from_the_start(copied, tmp_path_factory):
    longer = tmp_path_factory.mktemp("longer")
    flags = [*TINY[:-1], "3"]
    assert train(*flags, "--run", "runs/0001-demo-16px-s0", cwd=longer).returncode == 0
    (copied / "runs/0001-demo-16px-s0/report.html").write_text("of somebody else")
    extended = train("--run", "runs/0001-demo-16px-s0", "--epochs", "3", cwd=copied)
    assert extended.returncode == 0 and "report.html: a file that is no report" in extended.stdout
    first, second = (stress.results(d / "runs/0001-demo-16px-s0") for d in (longer, copied))
    assert first == second


def test_a_changed_learning_rate_counts_from_its_step_on(copied, finished):
    run = copied / "runs/0001-demo-16px-s0"
    (run / "checkpoints/step_00000006.npz").unlink()  # as if it had been killed in epoch 2
    done = train("--run", run, "--g-learning-rate", "1e-3", cwd=copied)
    assert done.returncode == 0, done.stderr
    assert "resuming at step 3 (epochs done: 1)" in done.stdout
    assert "from step 3 (epochs done: 1) on: g_learning_rate 0.0004 -> 0.001" in done.stdout
    assert stress.results(run) != stress.results(finished[0] / "runs/0001-demo-16px-s0")
    state, _ = checkpoints.read_newest(run / "checkpoints")
    rates = {name: float(state[name]) for name in state if name.endswith("learning_rate")}
    assert sorted(rates.values()) == pytest.approx([4e-4, 1e-3])
    assert "[[changes]]\nstep = 3\nepoch = 1\nsetting = " in (run / "config.toml").read_text()


@pytest.mark.nightly
def test_equal_runs_have_equal_bits_beyond_the_miniature(tmp_path_factory, monkeypatch):
    monkeypatch.delenv("TF_NUM_INTEROP_THREADS", raising=False)
    first, second = (tmp_path_factory.mktemp("equal") for _ in range(2))
    for cwd in (first, second):
        assert train(*REAL_SIZE, cwd=cwd).returncode == 0
    assert stress.results(first / "runs/a") == stress.results(second / "runs/a")


def test_other_threads_on_a_resume_are_named_and_recorded(copied):
    done = train(
        *("--run", "runs/0001-demo-16px-s0", "--epochs", "3"),
        cwd=copied,
        env={"TF_NUM_INTEROP_THREADS": "3"},
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if "warning" in line)
    assert "inter_op_threads 1 -> 3" in line and "the bits may differ" in line
    _, journal = checkpoints.read_newest(copied / "runs/0001-demo-16px-s0/checkpoints")
    assert journal.computing["inter_op_threads"] == 3


def test_a_live_owner_is_respected(tmp_path, finished):
    shutil.copytree(finished[0] / "data", tmp_path / "data")
    flags = [*TINY[:-1], "200", "--run", "runs/a"]
    process = stress.start(tmp_path, *flags)
    wait_for(lambda: "training in" in (tmp_path / "out.txt").read_text(), process)
    try:
        done = train(*flags, cwd=tmp_path)
        assert done.returncode == 4
        assert "another process is training" in done.stderr and done.stderr.count("\n") == 1
    finally:
        process.kill()
        process.wait()


# A life ends right before or after the naming of a file, or by a signal; the next one goes on.
LIVES = (
    ("manifest.json", "before"),
    ("metrics.jsonl", "after"),
    ("step_00000003.npz", "before"),
    ("", signal.SIGTERM),
    ("", signal.SIGINT),
    ("step_00000006.npz", "before"),
    ("step_00000006.npz", "after"),
)


def test_killed_stopped_and_damaged_again_and_again_it_ends_the_same(tmp_path, finished):
    flags = [*TINY, "--run", "runs/0001-demo-16px-s0"]
    run, out = tmp_path / "runs/0001-demo-16px-s0", tmp_path / "out.txt"
    for name, end in LIVES:
        out.write_text("")
        if isinstance(end, str):
            told = stress.kill_at_publication(tmp_path, 1, end == "before", flags, name)
            assert told.startswith("killed"), told
            continue
        process = stress.start(tmp_path, *flags)
        wait_for(lambda: "training in" in out.read_text(), process)
        process.send_signal(end)
        assert process.wait(60) == 128 + end
        assert "to resume: python train.py --run runs/0001-demo-16px-s0" in out.read_text()
        assert "Traceback" not in out.read_text()
        assert list((run / "checkpoints").glob("*.npz"))
    newest = sorted((run / "checkpoints").glob("*.npz"))[-1]
    newest.write_bytes(newest.read_bytes()[:-1000])
    done = train("--run", run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "damaged" in done.stdout and newest.name in done.stdout
    assert stress.results(run) == stress.results(finished[0] / "runs/0001-demo-16px-s0")


def test_a_start_from_another_run_that_fails_leaves_nothing_but_its_reason(copied):
    start = ("--init-from", "runs/0001-demo-16px-s0", *TINY)
    done = train(*start, "--g-learning-rate", "1e30", cwd=copied)
    assert done.returncode == 3  # the losses become NaN
    assert done.stderr.count("\n") == 1 and "NaN" in done.stderr and "checkpoint" in done.stderr
    assert_refused(train(*start, "--width", "0.2", cwd=copied), "shape")
    assert not list((copied / "runs").glob("000[23]*/checkpoints/*"))


def test_kaggle_trains_through_kagglehub(tmp_path):
    """The program as a whole, with a kagglehub on the path that has the images already."""
    folder = write_files(tmp_path / "versions/2", kaggle_faces(20))
    hub = f"def dataset_download(handle):\n    return {str(folder)!r}\n"
    write_files(tmp_path / "stand_in", {"kagglehub.py": hub.encode()})
    flags = ("--data", "kaggle", "--epochs", 1, "--subset", 16, "--batch-size", 8, *SMALL)
    env = {"PYTHONPATH": str(tmp_path / "stand_in")}
    done = train(*flags, "--run", "r", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert "non-commercial research only" in done.stdout
    assert "images: 16, kaggle:jessicali9530/celeba-dataset" in done.stdout
    shutil.rmtree(folder)
    again = train("--run", "r", "--epochs", 2, cwd=tmp_path)  # the pack has them: no kagglehub here
    assert again.returncode == 0, again.stderr


def test_bad_input_is_one_line_exit_code_2_and_leaves_nothing(tmp_path):
    """As a program; which lines there are is tested in process."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/todo.txt").write_text("x")
    small = ("--config", "demo", "--subset", "8")
    for flags, message in (
        ((*small, "--run", "notes"), "no config.toml"),
        ((*small, "--run", "/proc/run"), "/proc/run"),
    ):
        assert_refused(train(*flags, cwd=tmp_path), message)
    assert not list((tmp_path / "runs").glob("*")), "a run was left behind"
    assert [p.name for p in (tmp_path / "notes").iterdir()] == ["todo.txt"]
