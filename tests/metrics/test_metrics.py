"""The scores' mathematics against closed forms, direct implementations and SciPy's numbers."""

import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

from dcgan_tf.metrics import inception_score, kid, neighbours
from dcgan_tf.metrics import precision_recall as metrics
from dcgan_tf.metrics.frechet import FeatureStatistics, bias_warning, frechet_distance

# From SciPy 1.17.1: |m1 - m2|^2 + trace(S1 + S2 - 2 sqrtm(S1 @ S2)) of gaussian_pair() below.
SCIPY_DISTANCE = 76.669953792289


def statistics_of(features, batch=None):
    statistics = FeatureStatistics()
    for start in range(0, len(features), batch or len(features)):
        statistics.update(features[start : start + (batch or len(features))])
    return statistics


def of_moments(mean, covariance, count):
    """Statistics of `count` samples that have this mean and covariance."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-12 * values[-1]  # the rest is rounding, where the rank is not full
    factor = np.sqrt(values[kept] * (count - 1))[:, None] * vectors[:, kept].T
    return FeatureStatistics.restore(count, mean, factor)


def root_trace(s1, s2):
    """tr sqrt(S1 S2) by symmetric square roots, another way than the code's."""
    values, vectors = np.linalg.eigh(s1)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    return np.sqrt(np.maximum(np.linalg.eigvalsh(root @ s2 @ root), 0)).sum()


def gaussian_pair():
    """Two full-rank Gaussians in 12 dimensions, made of integers: (mean, covariance) each."""
    i = np.arange(12)
    a = (np.outer(i + 1, i + 2) % 7 - 3.0) + 4 * np.eye(12)
    b = (np.outer(i + 3, i + 5) % 11 - 5.0) + 3 * np.eye(12)
    return (i % 5 * 0.5, a @ a.T / 12), (i % 3 * 1.0, b @ b.T / 12)


def test_frechet_distance_of_one_dimension_and_as_scipy_has_it():
    a, b = of_moments([1.0], [[4.0]], 100), of_moments([4.0], [[25.0]], 100)
    assert frechet_distance(a, b) == pytest.approx(3**2 + (5 - 2) ** 2, rel=1e-14)
    (m1, s1), (m2, s2) = gaussian_pair()
    a, b = of_moments(m1, s1, 99), of_moments(m2, s2, 50)
    accuracy = 1e-8 * (np.trace(s1) + np.trace(s2))
    assert frechet_distance(a, b) == pytest.approx(SCIPY_DISTANCE, abs=accuracy)
    assert frechet_distance(b, a) == pytest.approx(SCIPY_DISTANCE, abs=accuracy)


@pytest.mark.parametrize("batch", [7, 64])
def test_rank_deficient_distance_is_exact(batch):
    """Features of an 8-dimensional subspace of 300 must give the distance inside it."""
    random = np.random.default_rng(1)
    x, y = random.normal(size=(60, 8)), random.normal(size=(50, 8)) * np.arange(1, 9) + 0.5
    basis = np.linalg.qr(random.normal(size=(300, 8)))[0]
    s1, s2 = np.cov(x.T), np.cov(y.T)
    traces = np.trace(s1) + np.trace(s2)
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + traces - 2 * root_trace(s1, s2)
    distance = frechet_distance(statistics_of(x @ basis.T, batch), statistics_of(y @ basis.T))
    assert distance == pytest.approx(expected, abs=1e-8 * traces)


def test_fewer_samples_than_dimensions_with_a_known_answer():
    x = np.random.default_rng(2).normal(size=(40, 500))
    x -= x.mean(0)
    a, trace = statistics_of(x), np.sum(x**2) / 39
    # sqrt(S 4S) = 2S, so the distance of x and 2x is (1 - 2)^2 tr S.
    assert frechet_distance(a, statistics_of(2 * x)) == pytest.approx(trace, abs=5e-8 * trace)
    # Supports without a common direction: the root vanishes and the traces add.
    left, right = x.copy(), x.copy()
    left[:, 250:], right[:, :250] = 0, 0
    disjoint = frechet_distance(statistics_of(left), statistics_of(right))
    assert disjoint == pytest.approx(trace, abs=1e-8 * trace)


def test_identical_sets_are_at_distance_zero():
    x = np.random.default_rng(3).normal(3, 2, size=(400, 30)).astype(np.float32)
    assert frechet_distance(statistics_of(x), statistics_of(x)) == 0.0
    # Other batches round differently; what is left of the means is far below any digit shown.
    assert 0 <= frechet_distance(statistics_of(x, 32), statistics_of(x[::-1], 7)) < 1e-24


def test_streaming_equals_batch_in_bounded_size_and_goes_on_from_a_state():
    x = np.random.default_rng(4).normal(size=(1000, 16)) @ np.diag(np.arange(1, 17))
    for offset, accuracy in ((0, {"rtol": 0, "atol": 1e-11}), (1e6, {"rtol": 1e-7, "atol": 1e-7})):
        for batch in (1, 33, 1000):
            statistics = statistics_of(x + offset, batch)
            assert statistics.count == 1000
            mean = (x + offset).mean(0)
            np.testing.assert_allclose(statistics.mean, mean, rtol=1e-13, atol=1e-13)
            covariance = np.cov((x + offset).T)
            np.testing.assert_allclose(statistics.covariance, covariance, **accuracy)
    statistics, sizes = FeatureStatistics(), []
    for start in range(0, 1000, 50):
        statistics.update(x[start : start + 50])
        sizes.append(len(pickle.dumps(statistics)))
    assert max(sizes) < 2 * sizes[0]
    state = statistics.count, statistics.mean, statistics.centered_factor
    restored = FeatureStatistics.restore(*state)
    assert frechet_distance(statistics, restored) == 0.0
    restored.update(x + 1)
    np.testing.assert_allclose(restored.covariance, np.cov(np.r_[x, x + 1].T), atol=1e-11)


def test_too_few_samples_warn_and_bad_features_are_refused():
    x = np.random.default_rng(7).normal(size=(20, 64))
    few, many = statistics_of(x[:10]), of_moments(np.zeros(64), np.eye(64), 999)
    assert re.search(r"10 samples in 64 dimensions: .*rank 9.*too high", bias_warning(few, many))
    assert bias_warning(many, many) is None
    with pytest.raises(ValueError, match="NaN"):
        few.update(np.full((2, 64), np.nan))
    with pytest.raises(ValueError, match="at least 2"):
        frechet_distance(statistics_of(x[:1]), many)


def direct_mmd(x, y):
    """Unbiased MMD^2, pair by pair, as Gretton et al. 2012 (equation 3) write it."""

    def kernel(a, b):
        return (float(a @ b) / len(a) + 1) ** 3

    def within(z):
        pairs = [kernel(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j]
        return np.mean(pairs)

    return within(x) + within(y) - 2 * np.mean([kernel(a, b) for a in x for b in y])


def test_kernel_distance_is_its_definition_seeded_and_tells_sets_apart():
    random = np.random.default_rng(8)
    x, y = random.normal(size=(15, 6)), random.normal(0.3, 1.2, size=(15, 6))
    mean, std = kid.kernel_distance(x, y)
    assert mean == pytest.approx(direct_mmd(x, y), rel=1e-12)  # of all images, whatever the std
    assert std > 0
    x, y = random.normal(size=(300, 8)), random.normal(0.5, 1, size=(200, 8))
    arguments = {"subsets": 20, "subset_size": 100}
    mean, std = first = kid.kernel_distance(x, y, seed=1, **arguments)
    assert first == kid.kernel_distance(x, y, seed=1, **arguments)
    assert first != kid.kernel_distance(x, y, seed=2, **arguments)
    assert mean > 5 * std > 0
    with pytest.raises(ValueError, match="at least 2"):
        kid.kernel_distance(x[:1], y)


def test_spread_of_the_kernel_distance_is_the_error_of_its_mean_from_half_of_the_images():
    found = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        x, y = random.normal(size=(200, 10)), random.normal(0.4, 1, size=(200, 10))
        found.append(kid.kernel_distance(x, y, subsets=20))
    means, spreads = zip(*found, strict=True)
    assert np.mean(spreads) == pytest.approx(np.std(means), rel=0.25)
    expected = {2: (2, None), 3: (3, None), 4: (4, 2), 1999: (1000, 999), 2000: (1000, 1000)}
    assert {fewest: kid.subset_sizes(fewest) for fewest in expected} == expected
    rows = np.random.default_rng(0).normal(size=(4, 5))
    assert kid.kernel_distance(rows[:3], rows[:3] + 1, subsets=5)[1] is None
    assert kid.kernel_distance(rows, rows + 1, subsets=5)[1] > 0


def test_inception_score_of_closed_forms_and_by_its_definition():
    score = inception_score.inception_score
    assert score(np.full((50, 20), 1 / 20)) == pytest.approx((1, 0))
    assert score(np.tile(np.eye(5), (20, 1))) == pytest.approx((5, 0))
    # One split certain of one class, the other spread over two: exp of 0 and of log 2.
    rows = np.array([[1, 0], [1, 0], [1, 0], [0, 1.0]])
    assert score(rows, splits=2) == pytest.approx((1.5, 0.5))
    p = inception_score.softmax(np.random.default_rng(11).normal(size=(103, 9)) * 3)
    assert p.sum(axis=1) == pytest.approx(1)
    scores = []
    for i in range(10):
        part = p[i * 103 // 10 : (i + 1) * 103 // 10]
        scores.append(np.exp(np.mean(np.sum(part * np.log(part / part.mean(0)), axis=1))))
    assert score(p) == pytest.approx((np.mean(scores), np.std(scores)), rel=1e-12)
    with pytest.raises(ValueError, match="cannot make 10 splits"):
        score(p[:9])
    large = inception_score.softmax([[1000.0, 1000.0 + np.log(3)]])
    np.testing.assert_allclose(large, [[0.25, 0.75]])


def direct_precision_recall(real, fake, k):
    def distance(a, b):
        return np.sqrt(np.sum((a - b) ** 2))

    def radii(side):
        # The nearest of all is the point itself.
        return [np.sort([distance(a, b) for b in side])[k] for a in side]

    def covered(points, centers):
        pairs = list(zip(centers, radii(centers), strict=True))
        return np.mean([any(distance(p, c) <= r for c, r in pairs) for p in points])

    return covered(fake, real), covered(real, fake)


@pytest.mark.parametrize("block", [59, 1024])  # 59: a single row is left, BLAS sums it otherwise
def test_precision_recall_matches_the_direct_form(monkeypatch, block):
    monkeypatch.setattr(neighbours, "BLOCK_ROWS", block)
    random = np.random.default_rng(12)
    real, fake = random.normal(size=(60, 37)), random.normal(0.35, 0.9, size=(45, 37))
    real, fake = real + 1000, fake + 1000  # far from 0, where |x|^2 + |y|^2 - 2 x.y rounds badly
    fake[:6] = real[:6]  # copies lie exactly on the surface of some balls
    real[20:25] = real[20]  # more copies than k: a ball of radius 0
    fake[7] = real[20]
    expected = direct_precision_recall(real, fake, 3)
    assert min(expected) > 0.2 and max(expected) < 0.98
    assert metrics.precision_recall(real, fake) == expected


def test_precision_recall_by_hand():
    real, fake = np.array([[0.0], [1], [2], [10]]), np.array([[2.5], [7], [-3], [100]])
    # k = 1: real radii are 1, 1, 1, 8 and fake radii 4.5, 4.5, 5.5, 93.
    assert metrics.precision_recall(real, fake, neighbours=1) == (0.5, 1.0)
    assert metrics.precision_recall(real, real) == (1.0, 1.0)
    assert metrics.precision_recall(real, real + 1000) == (0.0, 0.0)
    with pytest.raises(ValueError, match="more than 4"):
        metrics.precision_recall(real, fake, neighbours=4)


@pytest.mark.parametrize("block", [7, 1024])
def test_nearest_neighbours_match_the_direct_form(monkeypatch, tmp_path, block):
    monkeypatch.setattr(neighbours, "BLOCK_ROWS", block)
    random = np.random.default_rng(13)
    references = random.integers(0, 256, size=(50, 30), dtype=np.uint8)
    references[2] = references[30]
    np.save(tmp_path / "references.npy", references)
    mapped = np.load(tmp_path / "references.npy", mmap_mode="r")
    queries = random.integers(0, 256, size=(20, 30), dtype=np.uint8)
    queries[3] = references[40]
    queries[4] = references[30]  # of equals the first wins
    distances, indices = neighbours.nearest_neighbours(queries, mapped)
    every = np.sqrt(((queries[:, None].astype(float) - references) ** 2).sum(-1))
    np.testing.assert_array_equal(indices, every.argmin(1))
    np.testing.assert_allclose(distances, every.min(1), rtol=1e-14)
    assert (distances[3], indices[3]) == (0.0, 40)
    assert (distances[4], indices[4]) == (0.0, 2)
    far = random.normal(1000, 1, size=(30, 700)).astype(np.float32)
    distances, indices = neighbours.nearest_neighbours(far[::-1], far)
    assert not distances.any() and (indices == np.arange(30)[::-1]).all()


def test_the_mathematics_needs_no_tensorflow():
    rooms = "frechet, kid, inception_score, precision_recall, neighbours, collapse"
    code = (
        f"import sys; from dcgan_tf.metrics import {rooms}; sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
