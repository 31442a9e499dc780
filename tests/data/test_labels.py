"""Labels of images: from MNIST's and CIFAR-10's own files, names of folders, a table; in packs."""

import gzip
import shutil
import struct
from dataclasses import replace

import numpy as np
import pytest
from helpers import face_jpeg, refused, resolved, write_files

from dcgan_tf.data.labels import read_classes, read_labels
from dcgan_tf.data.pack import find_pack, is_whole, open_pack
from dcgan_tf.data.sources import Drawn, Folder, open_source


def idx(labels, magic=2049, count=None):
    return struct.pack(">2i", magic, len(labels) if count is None else count) + bytes(labels)


def write_images(folder, name, count):
    content = struct.pack(">4i", 2051, count, 2, 2) + bytes(4 * count)
    (folder / f"{name}-images-idx3-ubyte").write_bytes(content)


def source_of(folder, dataset="mnist"):
    return open_source(resolved("--config", dataset, "--data", folder))


def test_idx_labels_are_those_of_each_file_or_refused(tmp_path):
    write_images(tmp_path, "train", 2)
    write_images(tmp_path, "t10k", 3)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx([7, 7]))
    with refused("no labels next to the images"):  # those are of other images
        read_classes(source_of(tmp_path), ["000002"], 10)
    packed = tmp_path / "t10k-labels-idx1-ubyte.gz"
    packed.write_bytes(gzip.compress(idx([1, 2])))
    with refused("t10k-labels", "2 labels, expected 3, as many as there are images"):
        read_classes(source_of(tmp_path), ["000002"], 10)
    packed.write_bytes(gzip.compress(idx([3, 4, 5])))
    source = source_of(tmp_path)
    assert source.labels().tolist() == [3, 4, 5, 7, 7]
    classes, found = read_classes(source, ["000004", "000000"], 10)
    assert classes == ["3", "7"] and found.tolist() == [1, 0]


@pytest.mark.parametrize(
    "content", [idx([1, 2], magic=2051), idx([1, 2], count=3), idx([1, 2], count=1), idx([]), b""]
)
def test_damaged_label_files_are_refused(tmp_path, content):
    write_images(tmp_path, "t10k", max(int.from_bytes(content[4:8], "big"), 1))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(content)
    with refused("--data", "not a whole IDX label file"):
        source_of(tmp_path).labels()


def test_cifar_labels_are_in_the_order_of_the_images(tmp_path):
    for name, labels in (("data_batch_1.bin", (6, 5)), ("test_batch.bin", (2, 1))):
        (tmp_path / name).write_bytes(b"".join(bytes([k]) + bytes(3072) for k in labels))
    assert source_of(tmp_path, "cifar10").labels().tolist() == [6, 5, 2, 1]


def test_folders_are_classes(tmp_path):
    names = ["x/dog/1.png", "x/cat/1.png", "y/dog/2.png"]
    source = Folder(write_files(tmp_path, dict.fromkeys(names, b"")))
    classes, found = read_classes(source, names, 10)
    assert classes == ["cat", "dog"] and found.tolist() == [1, 0, 1]
    with refused("images of 1 classes", "one folder per class"):
        read_classes(source, ["1.png", "2.png"], 10)


def faces(folder, names, **settings):
    """A config and its source: drawn faces under these names, with settings of labels."""
    write_files(folder, {name: face_jpeg(index) for index, name in enumerate(names)})
    flags = ["--config", "celeba", "--dataset", "folder", "--data", folder, "--subset", 0]
    flags += ["--image-size", 8, "--base-size", 1, "--packs", folder.parent / "packs"]
    for name, value in settings.items():
        flags += [f"--{name.replace('_', '-')}", value]
    config = resolved(*flags)
    return config, open_source(config)


NAMES = ["cat/a.jpg", "cat/b.jpg", "dog/a.jpg", "eel/c.jpg"]


def test_a_pack_has_the_labels_of_its_images(tmp_path, caplog):
    config, source = faces(tmp_path / "data", [*NAMES, "dog/bad.jpg"], labels="class", max_bad=0.5)
    (tmp_path / "data/dog/bad.jpg").write_bytes(b"no image")  # its label goes with it
    source = open_source(config)
    plain, labeled = open_pack(config, source), open_pack(config, source, labeled=True)
    assert (plain.rows, plain.labels, plain.labels_sha256) == (None, None, "")
    assert plain.manifest.keys().isdisjoint({"labels", "labels_sha256", "labels_of_source"})
    assert [path.name for path in sorted(plain.path.iterdir())] == ["manifest.json", "pixels.npy"]
    assert labeled.manifest["pixels_sha256"] == plain.manifest["pixels_sha256"]
    assert labeled.names == NAMES and labeled.labels.names == ("cat", "dog", "eel")
    assert labeled.rows.tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    # A resumed run finds the one that has its labels, though both have its images.
    sha256 = plain.manifest["pixels_sha256"]
    assert find_pack(config.packs, sha256, labeled.labels_sha256).path == labeled.path
    assert find_pack(config.packs, sha256, "other") is None
    part = replace(config, subset=2, subset_seed=1)
    some = open_pack(part, source, labeled=True)
    assert [some.labels.names[k] for k in some.rows.argmax(1)] == [n[:3] for n in some.names]
    assert "labels that no image or every image has: eel" in caplog.text
    (labeled.path / "labels.npy").write_bytes((some.path / "labels.npy").read_bytes())
    assert find_pack(config.packs, sha256, labeled.labels_sha256) is None  # damaged
    assert (open_pack(config, source, labeled=True).rows == labeled.rows).all()
    manifest = labeled.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"labels":', '"label":'))
    assert not is_whole(labeled.path)


def test_other_labels_are_another_pack(tmp_path):
    table = tmp_path / "table.txt"
    table.write_text("A B\na.jpg 1 -1\nb.jpg -1 -1\nc.jpg 1 1\n")
    names = ["a.jpg", "b.jpg", "c.jpg"]
    config, source = faces(tmp_path / "data", names, labels="B,A", label_table=table)
    first = open_pack(config, source, labeled=True)
    assert first.labels.names == ("B", "A") and not first.labels.classes
    assert first.rows.tolist() == [[0, 1], [0, 0], [1, 1]] and first.rows.dtype == np.uint8
    assert open_pack(config, source, labeled=True).path == first.path
    table.write_text("A B\na.jpg 1 -1\nb.jpg 1 -1\nc.jpg 1 1\n")
    second = open_pack(config, source, labeled=True)
    assert second.path != first.path and second.labels_sha256 != first.labels_sha256


TABLE = b"image_id,Smiling,Male\na.jpg,1,-1\nb.jpg,-1,1\n"
NO_TABLE = b"image_id,Hat\na.jpg,1\n"


@pytest.mark.parametrize("place", ["folder", "zip", "beside a zip", "above the folder"])
def test_celebas_table_is_found_in_the_data_or_beside_it(tmp_path, place):
    data = tmp_path / "data"
    config, _ = faces(data, ["x/x/a.jpg", "x/x/b.jpg"], labels="Male")
    inside = {"list_attr_celeba.csv": TABLE, "list_attr_celeba.txt": NO_TABLE}
    inside |= {".Trash/list_attr_celeba.csv": NO_TABLE, "list_bbox.csv": b""}
    write_files(data, inside if place in ("folder", "zip") else {})
    if place == "zip":
        archive = shutil.make_archive(tmp_path / "archive", "zip", data)
        config = replace(config, data=archive)
    elif place == "beside a zip":  # as torchvision leaves it
        shutil.make_archive(tmp_path / "all/img_align_celeba", "zip", data)
        write_files(tmp_path / "all", {"list_attr_celeba.txt": TABLE})
        config = replace(config, data=str(tmp_path / "all"))
    elif place == "above the folder":
        write_files(data, {"list_attr_celeba.csv": TABLE})
        config = replace(config, data=str(data / "x/x"))
    source = open_source(config)
    assert open_pack(config, source, labeled=True).rows.tolist() == [[0], [1]]
    with refused("--labels Hat", "unknown attribute Hat"):
        read_labels(replace(config, labels="Hat"), source)
    other = tmp_path / "other.csv"  # the one that is named is taken
    other.write_text("name,Male\na.jpg,1\nb.jpg,1\n")
    named = replace(config, label_table=str(other))
    assert read_labels(named, source)[1].tolist() == [[1], [1]]


def test_labels_that_are_not_there_are_refused_in_one_line(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("name,Smiling,Male\na.jpg,1,-1\nb.jpg,-1,-1\n")
    config, source = faces(tmp_path / "data", ["a.jpg", "b.jpg"], labels="Smiling,Mal")
    with refused("--labels Smiling,Mal", "no list_attr_celeba.csv or", "--label-table"):
        read_labels(config, source)
    for labels, of in (("class", str(table)), ("", str(table)), (" , ", ""), (",", str(table))):
        with refused(f"--labels {labels!r}", "expected class without a table, or some columns"):
            read_labels(replace(config, labels=labels, label_table=of), source)
    for labels in ("A", "class"):
        with refused(f"--labels {labels}", "no labels are read from the drawn faces"):
            read_labels(replace(config, labels=labels), Drawn())
    config = replace(config, label_table=str(table))
    with refused("--labels Smiling,Mal", "unknown attribute Mal; did you mean Male?"):
        read_labels(config, source)
    with refused("images of 1 classes, expected 2 to 256"):
        read_labels(replace(config, labels="class", label_table=""), source)
    config, source = faces(tmp_path / "data", ["c/c.jpg"], labels="Male", label_table=table)
    with refused(f"--label-table {table}", "has not 1 image of 3, such as c.jpg"):
        read_labels(config, source)
    with refused("the folder of a.jpg is no name of a class"):
        read_labels(replace(config, labels="class", label_table=""), source)
    config, source = faces(tmp_path / "twice", ["a/a.jpg", "b/a.jpg"], labels="Male")
    with refused(f"--label-table {table}", "two images are called a.jpg"):
        read_labels(replace(config, label_table=str(table)), source)


def test_labels_of_raw_files(tmp_path):
    record = [bytes([k]) + bytes(3072) for k in (3, 0)]
    (tmp_path / "data_batch_1.bin").write_bytes(b"".join(record))
    names, rows = read_labels(
        resolved("--config", "cifar10", "--labels", "class"), source_of(tmp_path, "cifar10")
    )
    assert names == ["airplane", "cat"] and rows.tolist() == [[0, 1], [1, 0]]
