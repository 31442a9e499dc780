"""Tables of attributes: CelebA's spellings, the join by file names, and what is no table."""

import zipfile

import numpy as np
import pytest
from helpers import SHARED, needs_faces, refused, write_zip

from dcgan_tf.directions.attribute_table import read_attributes

TXT = "3\nSmiling Male\n000001.jpg  1 -1\n000002.jpg -1 -1\n000003.jpg  1  1\n"
CSV = "image_id,Smiling,Male\n000001.jpg,1,-1\n000002.jpg,-1,-1\n000003.jpg,1,1\n"
PLAIN = "file Smiling Male\n000001.jpg 1 0\n000002.jpg 0 0\n000003.jpg 1 1\n"
PICTURES = ["faces/000003.jpg", "faces/000009.jpg", "faces/000001.jpg"]


@pytest.mark.parametrize("text", [TXT, CSV, PLAIN, CSV.replace("\n", "\r\n"), "\ufeff" + CSV])
@pytest.mark.parametrize("packed", [False, True])
def test_every_spelling_is_read(tmp_path, text, packed):
    path = tmp_path / "table"
    if packed:
        text = text.replace("0000", "img/0000")  # folders before a name do not count
        write_zip(path, {"folder/list.csv": text.encode(), "notes.md": b"no table"})
    else:
        path.write_bytes(text.encode())
    assert read_attributes(path) == (["Smiling", "Male"], [])
    names, (first, second) = read_attributes(path, [PICTURES, ["000002.jpg"]])
    assert names == ["Smiling", "Male"]
    np.testing.assert_array_equal(first, [[1, 1], [-1, -1], [1, 0]])
    np.testing.assert_array_equal(second, [[0, 0]])
    assert first.dtype == np.int8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no table"),
        ("3\nSmiling\n", "no table"),
        ("a b\n000001.jpg 1 -1\n000003.jpg 1 7\n", "'000003.jpg' has not one of 1, -1 and 0"),
        ("some words\nand more words\n", "'and' has not one of 1, -1 and 0"),
        ("a,b\n\n", "no table"),
        ("a a\n000001.jpg 1 -1\n", "a name that comes twice"),
        ("a,\x1b[31m\n000001.jpg,1\n", "not printable"),
        ("\udcff".join("ab"), "not a text"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, words):
    path = tmp_path / "table.txt"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for images in ([PICTURES], []):  # a table that is none shows by its first lines
        if images or "000003" not in text:
            with refused("--attributes", words, "expected a line of attributes' names"):
                read_attributes(path, images)


def test_a_table_of_other_pictures_is_refused(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text(TXT)
    with refused("has none of the 2 images, such as a/x.jpg", "file names"):
        read_attributes(path, [["000001.jpg"], ["a/x.jpg", "a/y.jpg"]])


@pytest.mark.slow
def test_zips_that_hold_no_one_table_are_refused(tmp_path):
    two = write_zip(tmp_path / "two.zip", {"a.txt": b"", "b.txt": b""})
    with refused("a zip with 2 tables"):
        read_attributes(two, [PICTURES])
    huge = write_zip(tmp_path / "huge.zip", {"a.txt": bytes(2**27 + 1)}, zipfile.ZIP_DEFLATED)
    with refused("more than the 134.2 MB"):
        read_attributes(huge, [PICTURES])
    with refused("no such file"):
        read_attributes(tmp_path / "none", [PICTURES])


@pytest.mark.slow
@needs_faces
def test_celebas_own_table():
    table = SHARED / "faces" / "list_attr_celeba.zip"
    names, (labels,) = read_attributes(table, [["x/000001.jpg", "x/202599.jpg"]])
    assert len(names) == 40 and names[0] == "5_o_Clock_Shadow" and names[-1] == "Young"
    assert labels[0, names.index("Smiling")] == 1 and labels[0, names.index("Male")] == 0
    assert set(labels.ravel()) == {0, 1}
