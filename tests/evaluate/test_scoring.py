"""The choice of a reference set and a baseline, and the scores of features."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_inception import TinyInception

from dcgan_tf.common.config import Config
from dcgan_tf.data.sources import open_source
from dcgan_tf.evaluate import archive, scorer
from dcgan_tf.evaluate.image_sets import from_pack
from dcgan_tf.metrics import features
from dcgan_tf.metrics.frechet import FeatureStatistics, frechet_distance
from dcgan_tf.metrics.precision_recall import precision_recall


@pytest.fixture(scope="module")
def make_archive(trained, tmp_path_factory):
    packs = str(tmp_path_factory.mktemp("packs"))

    def make(subset):
        places = {"data": str(trained / "faces.zip"), "packs": packs}
        config = Config(dataset="folder", crop="30,55,150,175", subset=subset, **places)
        return archive.Archive(config, open_source(config), "own", "rest")

    return make


def distinct(*images):
    """How many different images there are in all."""
    return len({image.tobytes() for p in images for batch in p.read() for image in batch})


def test_reference_and_baseline_share_no_image_and_too_few_are_told(make_archive):
    faces = make_archive(24)
    assert faces.left_out == 48
    choice = archive.choose_reference(faces, 20, 20, seed=0, rest=True)
    own = from_pack(faces.pack, faces.rows, "own")
    assert [p.count for p in (choice.reference, choice.held_out, own)] == [20, 20, 24]
    assert distinct(choice.reference, choice.held_out, own) == 64
    for count, name in ((24, "rest"), (10, "own")):  # of 24 none of its own are left
        choice = archive.choose_reference(faces, count, count, seed=0)
        assert distinct(choice.reference, choice.held_out) == 2 * count
        assert name in choice.held_out.name
    most = make_archive(60)
    choice = archive.choose_reference(most, 60, 60, seed=0)
    assert choice.held_out is None and "60 other" in choice.reason and "12" in choice.reason
    choice = archive.choose_reference(most, 12, 12, seed=0, rest=True)
    assert choice.held_out.count == 12 and "own" in choice.held_out.name


def test_default_count_leaves_a_baseline():
    counts = {(2000, 8000): 2000, (2000, 0): 1000, (202_599, 0): 10_000, (2000, 1500): 1500}
    assert {sides: archive.default_count(*sides) for sides in counts} == counts


def test_a_pack_with_labels_is_of_images_that_have_not_changed(make_archive):
    faces = make_archive(24)
    config = replace(faces.config, labels="class")
    assert archive.is_of(faces.pack, faces.source, config)
    assert archive.is_of(faces.pack, faces.pack, config)
    other = SimpleNamespace(fingerprint="of other names")
    assert not archive.is_of(faces.pack, other, config)
    assert not archive.is_of(faces.pack, faces.source, faces.config)  # which open_pack finds


def feature_set(seed, count=40, logits=False, shift=0.0):
    values = np.random.default_rng(seed).normal(shift, 1, (count, 6)).astype(np.float32)
    statistics = FeatureStatistics()
    statistics.update(values)
    return features.FeatureSet(statistics, values, values[:, :5] if logits else None, "", {})


def test_scores_are_those_of_the_mathematics_and_fid_768_is_labelled_so():
    real, fake = feature_set(0), feature_set(1, shift=0.5)
    found, notes = scorer.compare(real, fake, "mixed_7", seed=0)
    others = ["kid_mean", "kid_std", "inception_score", "precision", "recall"]
    assert list(found) == ["fid_768", *others]
    assert found["fid_768"] == frechet_distance(real.statistics, fake.statistics)
    wanted = precision_recall(real.features, fake.features)
    assert (found["precision"], found["recall"]) == wanted
    assert found["inception_score"] is None and "softmax" in notes[0]
    found, notes = scorer.compare(real, feature_set(1, logits=True), "pool_3", seed=0)
    assert found["fid"] > 0 and found["inception_score"] > 1 and not notes


def test_the_inception_score_does_not_depend_on_the_order_of_the_images_by_class():
    logits = np.repeat(20 * np.eye(5, dtype=np.float32), 40, axis=0)  # sorted by class
    sides = [replace(feature_set(1, 200), logits=rows) for rows in (logits, logits[::-1])]
    for side in sides:
        found, _ = scorer.compare(feature_set(0, 200), side, "pool_3", seed=0)
        assert 4 < found["inception_score"] <= 5


def test_too_few_images_give_null_and_a_warning_that_says_why():
    found, notes = scorer.compare(feature_set(0, 3), feature_set(1, 3, logits=True), "pool_3", 0)
    assert {name for name, value in found.items() if value is None} == {
        *("kid_std", "inception_score", "precision", "recall")
    }
    assert notes[0].startswith("warning: 3 samples in 6 dimensions")
    assert notes[1] == "no precision and recall: 3 images per side, 4 needed"


def test_kid_has_a_spread_where_one_subset_is_all_images_and_the_protocol_says_of_what():
    found, _ = scorer.compare(feature_set(0), feature_set(1, shift=0.5), "mixed_7", seed=0)
    assert 0 < found["kid_std"] < found["kid_mean"]
    made_by = {"crop": "center", "size": 8, "channels": 3, "filter": "none"}
    protocols = {}
    for count in (40, 2000):
        side = replace(feature_set(0, count), made_by=made_by)
        made = scorer.Scorer(TinyInception(), "mixed_7", None, None)
        protocols[count] = made.protocol(side, side)
    assert protocols[40]["kid"] == "100 subsets of 40, spread of those of 20"
    assert protocols[2000]["kid"] == "100 subsets of 1000"
