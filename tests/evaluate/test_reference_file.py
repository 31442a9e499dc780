"""Reference statistics in files: pytorch-fid's form, and the distance by its formula."""

import numpy as np
import pytest
from evaluating import score
from helpers import refused

from dcgan_tf.evaluate import evaluation, reference_file
from dcgan_tf.evaluate.command import parse_evaluation

RUN = ("--run", "runs/a", "--samples", 24, "--cache", "features")


@pytest.fixture
def short(tiny, monkeypatch):
    """Features of 48 numbers in the place of mixed_7's 768."""
    monkeypatch.setitem(reference_file.DIMENSIONS, "mixed_7", 48)


def features_of(there, sha256=""):
    """The features in the cache, of images with these pixels where there are others."""
    (entry,) = [path for path in there.glob("features/*/entry.json") if sha256 in path.read_text()]
    return np.load(entry.with_name("features.npy")).astype(np.float64)


def test_a_file_written_by_hand_gives_the_distance_of_the_formula(there, short, capsys):
    mu, sigma = np.linspace(0, 2, 48), np.diag(np.linspace(0.1, 3, 48))
    np.savez("by_hand.npz", mu=mu, sigma=sigma)
    (there / "faces.zip").unlink()  # of which nothing is needed
    record = score(capsys, *RUN, "--reference", "by_hand.npz")
    features = features_of(there)
    covariance = np.cov(features.T)
    root = np.sqrt(np.maximum(np.linalg.eigvals(covariance @ sigma).real, 0)).sum()
    expected = np.sum((features.mean(axis=0) - mu) ** 2) + np.trace(covariance + sigma) - 2 * root
    assert record["fid_768"] == pytest.approx(expected, rel=1e-6)
    assert not (there / "runs/a/evaluation.jsonl").exists()  # its protocol is not known
    evaluation.evaluate(parse_evaluation([*map(str, RUN), "--reference", "by_hand.npz"]))
    out = capsys.readouterr().out
    assert f"FID-768 {record['fid_768']:.2f}: 24 generated images of runs/a, epoch 1, vs. " in out
    assert "KID, precision and recall need the features of images" in out


def test_a_saved_reference_is_mean_and_covariance_and_scores_the_same(there, short, capsys):
    record = score(capsys, *RUN, "--save-reference", "new/saved.npz")
    with np.load("new/saved.npz") as saved:
        features = features_of(there, record["protocol"]["reference_sha256"])
        assert sorted(saved) == ["mu", "sigma"]
        np.testing.assert_allclose(saved["mu"], features.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(saved["sigma"], np.cov(features.T), atol=1e-12)
    again = score(capsys, *RUN, "--reference", "new/saved.npz")
    assert again["fid_768"] == pytest.approx(record["fid_768"], rel=1e-6)


def test_files_go_both_ways_between_here_and_pytorch_fid_or_ttur(there, short, capsys):
    """Both write with savez_compressed and read as below; other programs add keys of their own."""
    record = score(capsys, *RUN, "--save-reference", "ours.npz")
    with np.load("ours.npz") as file:
        mu, sigma = file["mu"][:], file["sigma"][:]
    assert mu.dtype == sigma.dtype == np.float64 and mu.shape == (48,) and sigma.shape == (48, 48)
    np.savez_compressed("theirs.npz", mu=mu, sigma=sigma)
    np.savez_compressed("more.npz", count=2000, mu=mu.astype("f4"), sigma=np.asfortranarray(sigma))
    for name, digits in (("theirs.npz", 1e-6), ("more.npz", 1e-4)):
        again = score(capsys, *RUN, "--reference", name)
        assert again["fid_768"] == pytest.approx(record["fid_768"], rel=digits)


def test_files_of_other_numbers_are_refused(there, tiny, capsys):
    eye = np.eye(7)
    for name, arrays, got in (
        (
            "size",
            {"mu": np.zeros(192), "sigma": np.eye(192)},
            "got mu of shape (192,) and sigma of",
        ),
        ("flat", {"mu": np.zeros(768), "sigma": eye}, "(768,) and sigma of shape (7, 7); expected"),
        ("nan", {"mu": np.zeros(768), "sigma": np.full((768, 768), np.nan)}, ""),
        ("inf", {"mu": np.full(768, np.inf), "sigma": np.eye(768)}, "not finite; expected"),
        ("key", {"mu": np.zeros(768)}, "holds no sigma.npy; expected"),
        ("text", {"mu": np.array(["a"]), "sigma": eye}, ""),
    ):
        np.savez(f"{name}.npz", **arrays)
        expected = "expected an .npz with mu and sigma of 2,048 (pool_3) or 768 (mixed_7) features"
        with refused(f"--reference {name}.npz: ", got, expected):
            reference_file.read_reference(f"{name}.npz", 24)
    # As TTUR's fid_stats_celeba.npz, where the weights end at mixed_7.
    np.savez_compressed("ttur.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    with refused("--reference ttur.npz: has 2,048 features (pool_3), but these Inception weights "
                 "reach only mixed_7; give inception-2015-12-05.tgz"):  # fmt: skip
        score(capsys, *RUN, "--reference", "ttur.npz")
