"""The Inception network, its weight readers and the golden check."""

import io
import json
import tarfile
import threading

import numpy as np
import pytest
import tensorflow as tf
from downloads import Server, files_in
from helpers import SHARED
from reference_graph import ReferenceGraph, evaluate_directly

from dcgan_tf.common.errors import UserError
from dcgan_tf.metrics import inception
from dcgan_tf.metrics.inception_weights import (
    GRAPH_NAME,
    KERNEL_SHAPES,
    read_weights,
    weight_shapes,
)

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


def random_images(count, size=64, channels=3, seed=0):
    shape = (count, size, size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def collect(chunks, layer):
    return np.concatenate([chunk[layer] for chunk in chunks])


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


def test_the_table_of_weights():
    assert len(KERNEL_SHAPES) == 94
    sizes = {layer: len(weight_shapes(layer)) for layer in inception.DIMENSIONS}
    assert sizes == {"mixed_7": 140, "pool_3": 188, "logits": 189}
    # As many as Keras counts trainable in its InceptionV3 without top (kernels and betas).
    assert sum(np.prod(shape) for shape in weight_shapes("pool_3").values()) == 21_768_352


def test_preprocessing_is_tensorflow_1_bilinear():
    images = random_images(1, size=50).astype(np.float64)
    position = np.arange(299) * (50 / 299)  # corner to corner, no half-pixel centers
    low = np.floor(position).astype(int)
    high, t = np.minimum(low + 1, 49), (position - low)[:, None, None]
    rows = images[0][low] * (1 - t) + images[0][high] * t
    t = t[None, :, 0]
    expected = (rows[:, low] * (1 - t) + rows[:, high] * t - 128) / 128
    actual = inception.preprocess(images.astype(np.uint8))[0]
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_features_do_not_depend_on_batches(weights, small_chunk):
    images = random_images(5)
    network = inception.Inception(weights)
    whole = list(network.features([images], ("mixed_7",)))
    assert [len(chunk["mixed_7"]) for chunk in whole] == [2, 2, 1]
    whole = collect(whole, "mixed_7")
    for size in (1, 3):
        batches = (images[i : i + size] for i in range(0, 5, size))
        assert np.array_equal(collect(network.features(batches, ("mixed_7",)), "mixed_7"), whole)
    # Order, and independence of the neighbours in a chunk and of the padding.
    backwards = collect(network.features([images[::-1]], ("mixed_7",)), "mixed_7")
    np.testing.assert_allclose(backwards[::-1], whole, rtol=1e-5, atol=1e-5)
    assert list(network.features([], ("mixed_7",))) == []


def test_one_channel_is_three_equal_ones(weights, small_chunk):
    gray = random_images(2, size=28, channels=1)
    network = inception.Inception(weights)
    (a,) = network.features([gray], ("mixed_7",))
    (b,) = network.features([np.repeat(gray, 3, axis=-1)], ("mixed_7",))
    np.testing.assert_array_equal(a["mixed_7"], b["mixed_7"])


@pytest.mark.parametrize(
    "images",
    [np.zeros((1, 8, 8, 3), np.float32), np.zeros((8, 8, 3), np.uint8), random_images(1, 8, 4)],
)
def test_other_images_are_refused(weights, images):
    with pytest.raises(ValueError, match="expected uint8"):
        list(inception.Inception(weights).features([images], ("mixed_7",)))


def test_errors_of_the_source_arrive(weights, small_chunk):
    def source():
        yield random_images(2)
        raise RuntimeError("the disk is gone")

    chunks = inception.Inception(weights).features(source(), ("mixed_7",))
    assert len(next(chunks)["mixed_7"]) == 2
    with pytest.raises(RuntimeError, match="the disk is gone"):
        next(chunks)


def test_input_is_prepared_ahead(weights, small_chunk):
    ahead = threading.Event()

    def source():
        yield random_images(2)
        ahead.set()
        yield random_images(2)

    chunks = inception.Inception(weights).features(source(), ("mixed_7",))
    next(chunks)
    assert ahead.wait(timeout=30)  # nobody has asked for the second chunk
    chunks.close()


def test_npz_stops_at_mixed_7(small_npz, weights):
    network = inception.Inception(read_weights(small_npz))
    assert network.layers == ("mixed_7",)
    assert inception.Inception(weights).layers == ("mixed_7", "pool_3", "logits")
    # The protocol of FID-768 does not depend on what else the file holds.
    assert network.weights_hash("mixed_7") == inception.Inception(weights).weights_hash("mixed_7")
    with pytest.raises(UserError, match="features pool_3: .* reach only mixed_7; use"):
        network.features([random_images(1)])


def test_weights_hash_sees_every_bit(weights):
    changed = dict(weights)
    bias = changed["mixed_5/conv/bias"] = weights["mixed_5/conv/bias"].copy()
    bias[0] = np.nextafter(bias[0], np.float32(9))
    a, b = (inception.Inception(w).weights_hash("mixed_7") for w in (weights, changed))
    assert len(a) == 64 and a != b


def write(path, data):
    path.write_bytes(data)
    return path


def test_other_files_are_refused(tmp_path, small_npz, graph_def):
    npz = dict(np.load(small_npz))
    np.savez(tmp_path / "lacking.npz", **{k: v for k, v in npz.items() if k != "conv_3/kernel"})
    np.savez(tmp_path / "shape.npz", **npz | {"conv_3/bias": np.zeros(5, np.float32)})
    with tarfile.open(tmp_path / "readme.tgz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("README"))
    other_graph = tf.compat.v1.GraphDef()
    other_graph.node.add(name="conv", op="Relu")
    cases = {
        tmp_path / "absent.tgz": "no such file",
        tmp_path / "lacking.npz": r"has no 'conv_3/kernel' \(1 arrays are missing\)",
        tmp_path / "shape.npz": r"'conv_3/bias' is float32 \[5\], expected float32 \[80\]",
        tmp_path / "readme.tgz": "holds no classify_image_graph_def.pb",
        write(tmp_path / "text.tgz", b"<html>moved</html>"): "Not a gzipped file",
        archive_of(tmp_path / "empty.tgz", b""): "no batch norm 'conv/batchnorm'",
        archive_of(tmp_path / "other.tgz", other_graph.SerializeToString()): "no batch norm",
        archive_of(tmp_path / "cut_graph.tgz", graph_def.SerializeToString()[:5_000_000]): "Error",
        write(tmp_path / "cut.npz", small_npz.read_bytes()[:5_000_000]): "not a whole zip file",
        write(tmp_path / "cut.tgz", (tmp_path / "readme.tgz").read_bytes()[:40]): "no usable",
    }
    for path, reason in cases.items():
        with pytest.raises(UserError, match=reason) as caught:
            read_weights(path)
        message = str(caught.value)
        assert message.startswith(str(path)) and "--inception PATH" in message
        assert "\n" not in message


def test_graph_without_a_constant_is_refused(graph_def, tmp_path):
    lacking = tf.compat.v1.GraphDef()
    lacking.node.extend(n for n in graph_def.node if n.name != "mixed_10/conv/batchnorm/beta")
    path = archive_of(tmp_path / "lacking.tgz", lacking.SerializeToString())
    with pytest.raises(UserError, match="no constant 'mixed_10/conv/batchnorm/beta'"):
        read_weights(path)


def test_golden_check_accepts_and_refuses(golden_of_graph, weights):
    inception.check_golden(weights, "right.tgz")
    wrong = weights | {"mixed_7/tower_2/conv/bias": weights["mixed_7/tower_2/conv/bias"] + 0.01}
    with pytest.raises(UserError, match="wrong.tgz: these are not the weights of inception-2015"):
        inception.check_golden(wrong, "wrong.tgz")


def test_another_graph_is_refused(graph_file):
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


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder that the archive is downloaded into."""
    monkeypatch.setattr(inception, "CACHE", tmp_path)
    return tmp_path


def test_download_is_loaded_and_cached(graph_file, golden_of_graph, cache, monkeypatch):
    body = graph_file.read_bytes()
    assert inception.ARCHIVE_URL.startswith("https://")
    monkeypatch.setattr(inception, "ARCHIVE_BYTES", len(body))
    with Server(body) as server:
        monkeypatch.setattr(inception, "ARCHIVE_URL", server.url)
        for _ in range(2):
            assert inception.load_inception().layers == ("mixed_7", "pool_3", "logits")
        assert server.requests == 1
    assert ARCHIVE in files_in(cache)


def test_a_failed_download_and_a_damaged_archive_say_what_to_do(cache, monkeypatch):
    monkeypatch.setattr(inception, "ARCHIVE_BYTES", 1000)
    with Server(b"") as server:
        monkeypatch.setattr(inception, "ARCHIVE_URL", server.url)
        with pytest.raises(UserError, match=r"download failed \(.*--inception PATH"):
            inception.load_inception()
    write(cache / ARCHIVE, b"x" * 1000)
    with pytest.raises(UserError, match=f"delete .*{ARCHIVE} to download it again"):
        inception.load_inception()
