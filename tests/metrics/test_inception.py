"""The Inception network, its weight readers and the golden check."""

import io
import json
import tarfile
import threading

import numpy as np
import pytest
import tensorflow as tf
from downloads import Server
from helpers import SHARED, refused
from reference_graph import ReferenceGraph, evaluate_directly

from dcgan_tf.common.errors import UserError
from dcgan_tf.metrics import inception
from dcgan_tf.metrics.inception_network import preprocess, weight_shapes
from dcgan_tf.metrics.inception_weights import GRAPH_NAME, read_weights

ARCHIVE = "inception-2015-12-05.tgz"
SHARED_NPZ = SHARED / "inception" / "inception2015_to_mixed7_fid768.npz"
needs_weights = pytest.mark.skipif(not SHARED_NPZ.exists(), reason=f"{SHARED_NPZ} is absent")


def archive_of(path, graph):
    """A .tgz with the bytes of a graph in it."""
    with tarfile.open(path, "w:gz", compresslevel=0) as archive:
        member = tarfile.TarInfo(f"./{GRAPH_NAME}")
        member.size = len(graph)
        archive.addfile(member, io.BytesIO(graph))
    return path


@pytest.fixture(scope="module")
def graph_def():
    return ReferenceGraph(np.random.default_rng(0)).graph_def


@pytest.fixture(scope="module")
def graph_file(graph_def, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / ARCHIVE
    return archive_of(path, graph_def.SerializeToString())


@pytest.fixture(scope="module")
def weights(graph_file):
    return read_weights(graph_file)


@pytest.fixture(scope="module")
def small_npz(weights, tmp_path_factory):
    """The weights up to mixed_7, in the form and under the names of the shared archive."""
    path = tmp_path_factory.mktemp("npz") / "weights.npz"
    arrays = {}
    for name in weight_shapes("mixed_7"):
        node, kind = name.rsplit("/", 1)
        arrays[f"{node.replace('/', '_')}/{kind}"] = weights[name]
    np.savez(path, **arrays)
    return path


@pytest.fixture
def golden_of_graph(graph_def, monkeypatch, tmp_path):
    """Makes the random graph the true one: its own features, from the session, are golden."""
    features = evaluate_directly(graph_def, inception.golden_image()[None])["mixed_7"][0]
    path = tmp_path / "golden.json"
    path.write_text(json.dumps({"mixed_7": features.tolist()}))
    monkeypatch.setattr(inception, "GOLDEN_FILE", path)


@pytest.fixture
def small_chunk(monkeypatch):
    monkeypatch.setattr(inception, "CHUNK", 2)


def random_images(count, size=64, channels=3):
    shape = (count, size, size, channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def mixed_7(network, batches):
    """The features of batches, and how many came at a time."""
    chunks = [chunk["mixed_7"] for chunk in network.features(batches, ("mixed_7",))]
    return np.concatenate(chunks), [len(chunk) for chunk in chunks]


def test_folded_network_equals_the_graph_itself(graph_def, weights, small_chunk):
    images = np.concatenate([random_images(1), inception.golden_image()[None]])
    expected = evaluate_directly(graph_def, images)
    layers = ("mixed_7", "pool_3", "logits")
    (chunk,) = inception.Inception(weights).features([images], layers)
    for layer in layers:
        assert chunk[layer].shape == (2, inception.DIMENSIONS[layer])
        assert chunk[layer].dtype == np.float32
        scale = np.abs(expected[layer]).max()
        assert scale > 0.1
        np.testing.assert_allclose(chunk[layer], expected[layer], rtol=0, atol=1e-5 * scale)


def test_preprocessing_is_tensorflow_1_bilinear():
    images = random_images(1, size=50).astype(np.float64)
    position = np.arange(299) * (50 / 299)  # corner to corner, no half-pixel centers
    low = np.floor(position).astype(int)
    high, t = np.minimum(low + 1, 49), (position - low)[:, None, None]
    rows = images[0][low] * (1 - t) + images[0][high] * t
    t = t[None, :, 0]
    expected = (rows[:, low] * (1 - t) + rows[:, high] * t - 128) / 128
    actual = preprocess(images.astype(np.uint8))[0]
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_features_do_not_depend_on_batches_or_neighbors(weights, small_chunk):
    images, network = random_images(5), inception.Inception(weights)
    whole, counts = mixed_7(network, [images])
    assert counts == [2, 2, 1]
    for size in (1, 3):
        batches = (images[i : i + size] for i in range(0, 5, size))
        assert np.array_equal(mixed_7(network, batches)[0], whole)
    backwards, _ = mixed_7(network, [images[::-1]])
    np.testing.assert_allclose(backwards[::-1], whole, rtol=1e-5, atol=1e-5)
    assert list(network.features([], ("mixed_7",))) == []
    gray = random_images(2, size=28, channels=1)
    three = mixed_7(network, [np.repeat(gray, 3, axis=-1)])[0]
    np.testing.assert_array_equal(mixed_7(network, [gray])[0], three)
    for other in (np.zeros((1, 8, 8, 3), np.float32), gray[0], random_images(1, 8, 4)):
        with pytest.raises(ValueError, match="expected uint8"):
            mixed_7(network, [other])


def test_the_source_is_read_ahead_and_its_errors_arrive(weights, small_chunk):
    ahead = threading.Event()

    def source():
        yield random_images(2)
        ahead.set()
        raise RuntimeError("the disk is gone")

    chunks = inception.Inception(weights).features(source(), ("mixed_7",))
    assert len(next(chunks)["mixed_7"]) == 2
    assert ahead.wait(timeout=30)  # nobody has asked for the second chunk
    with pytest.raises(RuntimeError, match="the disk is gone"):
        next(chunks)


def test_an_npz_stops_at_mixed_7_and_its_hash_sees_every_bit(small_npz, weights, tmp_path):
    sizes = {layer: len(weight_shapes(layer)) for layer in inception.DIMENSIONS}
    assert sizes == {"mixed_7": 140, "pool_3": 188, "logits": 189}
    # As many as Keras counts trainable in its InceptionV3 without top (kernels and betas).
    assert sum(np.prod(shape) for shape in weight_shapes("pool_3").values()) == 21_768_352
    network, whole = inception.Inception(read_weights(small_npz)), inception.Inception(weights)
    np.savez(tmp_path / "whole.npz", **weights)  # with slashes in the names
    assert inception.Inception(read_weights(tmp_path / "whole.npz")).layers == whole.layers
    assert network.layers == ("mixed_7",) and whole.layers == ("mixed_7", "pool_3", "logits")
    # The protocol of FID-768 does not depend on what else the file holds.
    sha256 = network.weights_hash("mixed_7")
    assert sha256 == whole.weights_hash("mixed_7") and len(sha256) == 64
    with pytest.raises(UserError, match="features pool_3: .* reach only mixed_7; use"):
        network.features([random_images(1)])
    changed = weights["mixed_5/conv/bias"].copy()
    changed[0] = np.nextafter(changed[0], np.float32(9))
    network.weights["mixed_5/conv/bias"] = changed
    assert network.weights_hash("mixed_7") != sha256


def write(path, data):
    path.write_bytes(data)
    return path


def test_other_files_are_refused(tmp_path, small_npz, graph_def):
    npz = dict(np.load(small_npz))
    np.savez(tmp_path / "lacking.npz", **{k: v for k, v in npz.items() if k != "conv_3/kernel"})
    np.savez(tmp_path / "shape.npz", **npz | {"conv_3/bias": np.zeros(5, np.float32)})
    with tarfile.open(tmp_path / "readme.tgz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("README"))
    graph, lacking = graph_def.SerializeToString(), tf.compat.v1.GraphDef()
    lacking.node.extend(n for n in graph_def.node if n.name != "mixed_10/conv/batchnorm/beta")
    lacking_file = archive_of(tmp_path / "lacking.tgz", lacking.SerializeToString())
    cases = {
        tmp_path / "absent.tgz": "no such file",
        tmp_path / "lacking.npz": "has no 'conv_3/kernel' (1 arrays are missing)",
        tmp_path / "shape.npz": "'conv_3/bias' is float32 [5], expected float32 [80]",
        tmp_path / "readme.tgz": "holds no classify_image_graph_def.pb",
        lacking_file: "no constant 'mixed_10/conv/batchnorm/beta'",
        write(tmp_path / "text.tgz", b"<html>moved</html>"): "Not a gzipped file",
        archive_of(tmp_path / "empty.tgz", b""): "no batch norm 'conv/batchnorm'",
        archive_of(tmp_path / "cut_graph.tgz", graph[:5_000_000]): "Error",
        write(tmp_path / "cut.npz", small_npz.read_bytes()[:5_000_000]): "not a complete zip file",
    }
    for path, reason in cases.items():
        with refused(str(path), reason, "--inception PATH"):
            read_weights(path)


def test_only_weights_that_compute_the_golden_features_are_taken(
    graph_file, golden_of_graph, weights, monkeypatch
):
    inception.check_golden(weights, "right.tgz")
    wrong = weights | {"mixed_7/tower_2/conv/bias": weights["mixed_7/tower_2/conv/bias"] + 0.01}
    with pytest.raises(UserError, match="wrong.tgz: these are not the weights of inception-2015"):
        inception.check_golden(wrong, "wrong.tgz")
    monkeypatch.undo()  # the golden features are the true ones again
    with pytest.raises(UserError, match="not the weights of inception-2015-12-05"):
        inception.load_inception(graph_file)


@pytest.mark.nightly
@needs_weights
def test_golden_check_on_the_true_weights():
    assert inception.load_inception(SHARED_NPZ).layers == ("mixed_7",)
    true = read_weights(SHARED_NPZ)
    for name in ("conv/kernel", "mixed_3/conv/kernel", "mixed_7/tower_2/conv/kernel"):
        with pytest.raises(UserError, match="not the weights"):
            inception.check_golden(true | {name: true[name] * np.float32(1.02)}, SHARED_NPZ)


def test_the_archive_is_downloaded_once_and_failures_say_what_to_do(
    graph_file, golden_of_graph, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))  # the cache is in ~/.cache
    body = graph_file.read_bytes()
    assert inception.ARCHIVE_URL.startswith("https://")
    monkeypatch.setattr(inception, "ARCHIVE_BYTES", len(body))
    with Server(b"") as server:
        monkeypatch.setattr(inception, "ARCHIVE_URL", server.url)
        with pytest.raises(UserError, match=r"download failed \(.*--inception PATH"):
            inception.load_inception()
    with Server(body) as server:
        monkeypatch.setattr(inception, "ARCHIVE_URL", server.url)
        for _ in range(2):
            assert inception.load_inception().layers == ("mixed_7", "pool_3", "logits")
        assert server.requests == 1
    write(tmp_path / ".cache/dcgan_tf" / ARCHIVE, b"x" * len(body))
    with pytest.raises(UserError, match=f"delete .*{ARCHIVE} to download it again"):
        inception.load_inception()
