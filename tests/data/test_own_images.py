"""Images of one's own: recognized, made square as asked, and surveyed before a training."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from helpers import REPO, face_jpeg, kaggle_faces, one_line, refused, write_files, write_zip
from PIL import Image, ImageOps
from raw_files import cifar_batches, idx_files

from dcgan_tf.common.config import Config, ImageConfig
from dcgan_tf.common.images import encode
from dcgan_tf.data.__main__ import main
from dcgan_tf.data.pack import open_pack
from dcgan_tf.data.pipeline import images_dataset
from dcgan_tf.data.sources import open_source, recognize
from dcgan_tf.data.survey import survey
from dcgan_tf.data.synthetic import draw_face


def photo(seed, size, **options):
    return encode(draw_face(seed).resize(size), "JPEG", quality=95, **options)


# Which data set


RECOGNIZED = [
    ("celeba", kaggle_faces(3)),
    ("celeba", kaggle_faces(3) | {"000009.jpg": b"damaged", "list.csv": b""}),
    ("folder", {f"{i:06d}.jpg": photo(i, (64, 64)) for i in range(3)}),
    ("folder", {"me.jpg": face_jpeg(0), "me2.jpg": face_jpeg(1), "x_train.npy": b""}),
    ("mnist", idx_files("MNIST/raw/")),
    ("cifar10", cifar_batches()),
]


@pytest.mark.parametrize("write", [write_files, write_zip])
def test_auto_is_decided_by_names_sizes_and_forms_in_one_line(write, tmp_path, caplog):
    caplog.set_level("INFO")
    for number, (dataset, files) in enumerate(RECOGNIZED):
        caplog.clear()
        data = write(tmp_path / str(number), files)
        config = recognize(Config(dataset="auto", data=str(data)))
        crop = "30,55,150,175" if dataset == "celeba" else "center"
        assert (config.dataset, config.crop) == (dataset, crop)
        (line,) = caplog.messages
        assert line.startswith(f"dataset {dataset}: {data} has ")
        assert recognize(config) is config and open_source(config).names
        named = recognize(Config(dataset="auto", data=str(data), crop="0,0,9,9", seed=3))
        assert (named.crop, named.seed) == ("0,0,9,9", 3)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_auto_names_a_tar_of_images_as_an_archive_that_is_not_read(mode, tmp_path):
    (tmp_path / "alone").mkdir()
    with tarfile.open(tmp_path / "alone/photos.tar", mode) as tar:
        tar.add(write_files(tmp_path / "photos", {"a.jpg": photo(0, (64, 64))}), "photos")
    for data in (tmp_path / "alone/photos.tar", tmp_path / "alone"):
        with refused("archive", "unpack it"):
            open_source(recognize(Config(dataset="auto", data=str(data))))


def test_auto_without_a_place_or_images_is_refused(tmp_path):
    with refused("--data: dataset auto needs a folder or zip"):
        recognize(Config(dataset="auto"))
    with refused("no such file or folder"):
        recognize(Config(dataset="auto", data="nowhere"))
    with refused("no images there"):
        open_source(recognize(Config(dataset="auto", data=str(tmp_path))))


# Made square


def packed(files, here, **fields):
    config = ImageConfig(dataset="folder", data=str(write_files(here / "own", files)), **fields)
    return open_pack(config, open_source(config))


WIDE, TALL = photo(0, (201, 100)), photo(1, (90, 181))
CENTER = {(201, 100): (50, 0, 150, 100), (90, 181): (0, 45, 90, 135)}  # rounded down


def by_pillow(encoded, fit):
    image = Image.open(io.BytesIO(encoded))
    if fit == "pad":
        return ImageOps.pad(image, (64, 64), color="#204060")
    box = CENTER[image.size] if fit == "crop" else None
    return image.resize((64, 64), Image.Resampling.BICUBIC, box)


def test_images_are_cropped_padded_or_stretched_as_by_pillow_in_a_pack_each(here, caplog):
    caplog.set_level("INFO")
    paths = set()
    for fit, background in (("crop", "white"), ("pad", "#204060"), ("stretch", "white")):
        caplog.clear()
        files = {} if paths else {"a.jpg": WIDE, "b.jpg": TALL}
        pack = packed(files, here, fit=fit, background=background)
        for encoded, pixels in zip((WIDE, TALL), pack.pixels, strict=True):
            expected = np.asarray(by_pillow(encoded, fit), float)
            assert np.abs(expected - pixels).mean() < 0.7, fit
        told = "2 of 2 images were cropped, on average by 50% of their area; --fit pad keeps all"
        assert (told in caplog.text) == (fit == "crop")
        paths.add(pack.path)
        assert pack.manifest["crop"].startswith(f"center, {fit}" if fit != "crop" else "center")
    assert len(paths) == 3
    pack = packed({}, here, background="black")  # of no effect on a crop: the same pack
    assert pack.path in paths and "2 of 2 images were cropped" in caplog.text  # told again
    assert packed({}, here, fit="pad", channels=1, background="black").pixels[0, 0, 0] == 0
    assert packed({}, here, fit="pad", image_size=8, crop="0,0,80,40").pixels[0, 0, 0, 0] == 255


def test_extreme_shapes_are_padded_and_a_color_that_is_none_is_refused(here):
    long = encode(Image.new("RGB", (30_000, 3), "red"), "PNG")
    pixels = packed({"a.png": long}, here, fit="pad").pixels[0]
    assert (pixels == [255, 0, 0]).all(-1).any(1).sum() == 1 and (pixels == 255).all(-1).any()
    with refused("--background: got 'blau', expected a color such as white"):
        Config(background="blau")
    write_files(here / "wide", {f"{i}.jpg": WIDE for i in range(3)})
    data = images_dataset("wide", 16, 2, fit="pad", background="black", dataset="auto")
    assert (next(iter(data))["image"].numpy()[:, 0] < 9).all()


# Surveyed


def test_a_survey_counts_sizes_and_what_is_skipped_cropped_or_left_out(here, capsys):
    exif = Image.Exif()
    exif[0x0112] = 6  # of a camera on its side
    files = {f"{i}.jpg": WIDE for i in range(4)} | {"tall.jpg": TALL}
    files["turned.jpg"] = photo(5, (200, 100), exif=exif)
    files["alpha.png"] = encode(Image.new("RGBA", (40, 40), (200, 0, 0, 128)), "PNG")
    files |= {"broken.jpg": WIDE[:2000], "no.jpg": b"<html>"}
    others = {".ipynb_checkpoints/1.jpg": WIDE, "more.zip": b"", "b.psd": b"x", "notes.txt": b""}
    write_files(here / "photos", files | others)
    lines, sample = survey("photos")
    assert any(
        line.startswith("6 of 7 images were cropped, on average by 50%") for _, line in lines
    )
    assert sample.shape == (7, 64, 64, 3)
    assert main(["photos", "--out", "x/grid.png", "--fit", "stretch"]) is None
    said = "".join(capsys.readouterr())
    for words in (
        "dataset folder: photos has 9 image files",
        "photos: 9 images (6 JPEG, 1 PNG)",
        "sizes: 40x40 to 201x100, median 201x100; 4 wide, 2 tall, 1 square",
        "smaller than 64x64, so enlarged: 1 image\n",
        "skipped 2 of 9 images: ",
        "broken.jpg: ",
        "no.jpg: not an image",
        "left out 1: b.psd: images of this kind are not read",
        "left out: archives, arrays or videos (1 .zip)",
        "left out: 1 hidden or system file (.ipynb_checkpoints)",
        "9 images: 1,000 or more are sensible",
        "wrote x/grid.png: 7 images chosen at random",
        "train photos --fit stretch",
    ):
        assert words in said
    assert "cropped" not in said  # stretched
    with Image.open("x/grid.png") as grid:
        assert grid.size[0] >= 512
    main(["photos", "--image-size", "128", "--out", "x/grid.png"])  # its own file is replaced
    assert "train photos --image-size 128\n" in "".join(capsys.readouterr())


def test_the_grid_of_a_survey_is_no_image_of_the_data_and_replaces_no_other_file(here, monkeypatch):
    monkeypatch.chdir(write_files(here / "photos", {"1.jpg": WIDE, "data.png": photo(1, (9, 9))}))
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    for argv, words in (
        (["."], "--out data.png: would be one of the images; name a place outside"),
        (["../photos", "--out", "new/a.png"], "--out new/a.png: would be one of the images"),
        (["../other", "--out", "data.png"], "--out data.png: a file that is no grid of this"),
        ([".", "--out", "../sample"], "--out ../sample: expected the name of a PNG"),
    ):
        with refused(words):
            main(argv)
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


def test_a_survey_tells_what_is_enlarged_as_it_will_be_and_is_silent_about_pillow_s_doubts(here):
    flat = photo(0, (300, 50))
    damaged = encode(draw_face(0), "JPEG", dpi=(72, 72), exif=b"Exif\0\0garbage!")
    write_files(here / "flat", {"a.jpg": flat, "b.jpg": damaged})
    for fit, count in (("pad", 0), ("crop", 1)):
        lines = [line for _, line in survey("flat", fit=fit)[0]]
        assert sum("so enlarged: 1 image" in line for line in lines) == count
    write_zip(here / "faces.zip", kaggle_faces(9))
    for size, count in ((64, 0), (128, 1)):  # the crop box has 120x120 pixels
        lines = [line for _, line in survey("faces.zip", size)[0]]
        assert sum("so enlarged: 9 images" in line for line in lines) == count


def test_a_survey_of_many_says_that_it_has_a_seeded_sample_and_crops_celeba_as_a_training(
    here, monkeypatch
):
    monkeypatch.setattr("dcgan_tf.data.survey.LOOKED_AT", 4)
    write_zip(here / "faces.zip", kaggle_faces(9))
    lines, sample = survey("faces.zip", image_size=32)
    assert [line for _, line in lines[:2]] == [
        "faces.zip: 9 images; of a sample of 4, chosen at random: 4 JPEG",
        "the sample's sizes: 178x218 to 178x218, median 178x218; 0 wide, 4 tall, 0 square",
    ]
    assert len(sample) == 4 and (survey("faces.zip", 32, seed=1)[1] != sample).any()
    np.testing.assert_array_equal(survey("faces.zip", 32)[1], sample)
    lines = [line for _, line in survey(write_files(here / "digits", idx_files()))[0]]
    assert "5 images; of a sample of 4, chosen at random: 4 raw" in lines[0]
    assert "smaller than 64x64, so enlarged: 4 images of the sample's 4" in lines
    write_files(here / "own", {"no.jpg": b""} | {f"{i}.jpg": WIDE for i in range(4)})
    told = [line for seed in range(5) for _, line in survey("own", seed=seed)[0]]
    assert "skipped 1 of the sample's 4 images: no.jpg: empty" in told
    assert any(line.startswith("3 of the sample's 3 images were cropped") for line in told)
    whole = draw_face(0).crop((30, 55, 150, 175)).resize((32, 32))
    monkeypatch.setattr("dcgan_tf.data.survey.LOOKED_AT", 9)
    differences = np.abs(np.asarray(whole, int) - survey("faces.zip", 32)[1])
    assert differences.mean((1, 2, 3)).min() < 4


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nowhere"], "nowhere: no such file or folder"),
        (["photos", "--image-size", "2"], "--image-size: got '2', expected a whole number"),
        ([], "DIR"),
    ],
)
def test_a_survey_refuses_in_one_line(argv, words, here):
    outcome = one_line(main, argv)
    assert words in (outcome or "")


def test_a_survey_needs_no_tensorflow(here):
    write_files(here / "photos", {"a.jpg": WIDE})
    code = "import sys; from dcgan_tf.data.__main__ import main; main(['photos'])\n"
    code += "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(REPO)}, check=False)
    assert done.returncode == 0
