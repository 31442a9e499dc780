"""Tables of attributes: CelebA's spellings, the join by file names, and what is no table."""

import zipfile

import numpy as np
import pytest
from helpers import SHARED, needs_faces, refused, write_zip

from dcgan_tf.data.attribute_table import read_attributes

TXT = "3\nSmiling Male\n000001.jpg  1 -1\n000002.jpg -1 -1\n000003.jpg  1  1\n"
CSV = "image_id,Smiling,Male\n000001.jpg,1,-1\n000002.jpg,-1,-1\n000003.jpg,1,1\n"
PLAIN = "file Smiling Male\n000001.jpg 1 0\n000002.jpg 0 0\n000003.jpg 1 1\n"
IMAGES = ["faces/000003.jpg", "faces/000009.jpg", "faces\\000001.jpg"]  # some zips have these


@pytest.mark.parametrize("text", [TXT, CSV, PLAIN, CSV.replace("\n", "\r\n"), "\ufeff" + CSV])
def test_every_spelling_is_read(tmp_path, text):
    plain, packed = tmp_path / "table", tmp_path / "zip"
    plain.write_bytes(text.encode())
    text = text.replace("0000", "img/0000")  # folders before a name do not count
    write_zip(packed, {"folder/list.csv": text.encode(), "notes.md": b"no table"})
    mac = tmp_path / "mac"
    write_zip(mac, {"LIST.CSV": text.encode(), "__MACOSX/._LIST.CSV": b"\0\5"})
    for path in (plain, packed, mac):
        assert read_attributes(path) == (["Smiling", "Male"], {})
        names, rows = read_attributes(path, [IMAGES, ["000002.jpg"]])
        assert names == ["Smiling", "Male"]
        found = {name: row.tolist() for name, row in rows.items()}
        assert found == {"000001.jpg": [1, 0], "000002.jpg": [0, 0], "000003.jpg": [1, 1]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no table"),
        ("3\nSmiling\n", "no table"),
        ("a b\n000001.jpg 1 -1\n000003.jpg 1 7\n", "'000003.jpg' needs 1, -1 or 0"),
        ("some words\nand more words\n", "'and' needs 1, -1 or 0"),
        ("a a\n000001.jpg 1 -1\n", "or a name occurs twice"),
        ("a,\x1b[31m\n000001.jpg,1\n", "not printable"),
        ("\udcff".join("ab"), "not a text"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, words):
    path = tmp_path / "table.txt"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for images in ([IMAGES], []):  # a table that is none shows by its first lines
        if images or "000003" not in text:
            with refused("--attributes", words, "expected a line of attribute names"):
                read_attributes(path, images)


def test_tables_of_other_images_and_zips_without_one_table_are_refused(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text(TXT)
    with refused("has none of the 2 images, such as a/x.jpg", "file names"):
        read_attributes(path, [["000001.jpg"], ["a/x.jpg", "a/y.jpg"]])
    two = write_zip(tmp_path / "two.zip", {"a.txt": b"", "b.txt": b""})
    with refused("a zip with 2 tables"):
        read_attributes(two, [IMAGES])
    with refused("two images are called 000001.jpg"):
        read_attributes(path, [["a/000001.jpg", "b/000001.jpg"]])
    read_attributes(path, [["000001.jpg", "a/x.jpg", "b/x.jpg"]])  # x.jpg has no attributes
    accents = tmp_path / "accents.txt"
    accents.write_text("Smiling\n\u00e91.jpg 1\n", encoding="utf-8")
    assert read_attributes(accents, [["e\u03011.jpg"]])[1]  # as a Mac may write it
    twice = tmp_path / "twice.txt"
    twice.write_text("Smiling Male\n" + "".join(f"{k}/000001.jpg 1 {k}\n" for k in (0, 1)))
    with refused("two lines of '000001.jpg' differ"):
        read_attributes(twice, [["0/000001.jpg"]])
    huge = write_zip(tmp_path / "huge.zip", {"a.txt": bytes(2**27 + 1)}, zipfile.ZIP_DEFLATED)
    with refused("more than the 134.2 MB"):
        read_attributes(huge, [IMAGES])
    with refused("no such file"):
        read_attributes(tmp_path / "none", [IMAGES])


@pytest.mark.slow
@needs_faces
def test_celebas_own_table():
    table = SHARED / "faces" / "list_attr_celeba.zip"
    names, rows = read_attributes(table, [["x/000001.jpg", "x/202599.jpg"]])
    assert len(names) == 40 and names[0] == "5_o_Clock_Shadow" and names[-1] == "Young"
    first = rows["000001.jpg"]
    assert first[names.index("Smiling")] == 1 and first[names.index("Male")] == 0
    assert set(np.ravel([*rows.values()])) == {0, 1} and len(rows) == 2
