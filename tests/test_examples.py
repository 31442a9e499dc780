"""The example in plain Keras: short, without the package, and it trains."""

import importlib.util

import pytest
from helpers import REPO, face_jpeg, write_files
from PIL import Image

SCRIPT = REPO / "examples" / "dcgan_in_100_lines.py"


@pytest.mark.slow
def test_it_trains_on_a_folder_and_saves_a_grid(here):
    text = SCRIPT.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100 and "import dcgan_tf" not in text
    spec = importlib.util.spec_from_file_location("example", SCRIPT)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    write_files(here / "images", {f"{i}.jpg": face_jpeg(i) for i in range(16)})
    histories = []
    fit = example.DCGAN.fit
    example.DCGAN.fit = lambda *args, **kwargs: histories.append(fit(*args, **kwargs, verbose=0))
    example.main(here / "images", 1)
    assert 0 < histories[0].history["d_loss"][0] < 3
    with Image.open("samples.png") as grid:
        assert grid.size == (512, 512)
        assert grid.getextrema()[0][1] > 100  # pixels of 0 to 255, not 0 to 1
