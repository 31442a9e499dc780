"""The page as a browser draws it, Chromium without a window: what the slider shows, no error."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tiny_run import HOSTILE, Parts, make_run, score

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.report import command

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER, reason=f"no browser: none of {', '.join(NAMES)} is installed"),
]


def drawn(path: Path, fragment: str, width: int = 1280) -> str:
    """The document after the page's script has run; fails at an error on the console."""
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--disable-dev-shm-usage", "--enable-logging=stderr", "--virtual-time-budget=2000"),
            *(f"--user-data-dir={path.parent}/profile", f"--window-size={width},900"),
            f"{path.as_uri()}#{fragment}",
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert done.returncode == 0 and not said, done.stderr
    return done.stdout


def by_id(parts):
    return {attributes["id"]: attributes for _, attributes in parts.elements if "id" in attributes}


def texts(document):
    """str: what is written on the page, without its data and script."""
    bare = re.sub(r"<(script|style).*?</\1>", "", document, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", " ", bare)


def test_the_slider_shows_the_epoch_of_the_address(tmp_path):
    run = make_run(tmp_path / "one")
    run.sample(3).unlink()
    command.main(["--run", str(run.root)])
    document = drawn(run.report, "epoch=3")
    found, text = by_id(Parts(document)), texts(document)
    assert found["sample"]["data-epoch"] == "2"  # the newest grid that there was
    assert found["slider"]["aria-valuetext"] == "epoch 3 of 7, 960 images seen"
    assert "epoch 3 of 7, 960 images seen" in text
    assert "After epoch 2, the newest grid here at epoch 3" in text
    for value in ("0.670", "1.070", "0.440"):  # d_loss, g_loss and d_fake of epoch 3
        assert re.search(rf"\s{value}\s", text), value
    last = drawn(run.report, "epoch=99", width=400)
    found = by_id(Parts(last))
    assert found["sample"]["data-epoch"] == "6"
    assert found["sample"]["src"] != by_id(Parts(document))["sample"]["src"]
    assert found["sample"]["alt"] == "Generated pictures after epoch 6"


def test_hostile_texts_of_two_runs_are_shown_as_they_are(tmp_path):
    name = HOSTILE.replace("/", "∕")
    first, second = make_run(tmp_path / name), make_run(tmp_path / "two", epochs=3)
    write_lines(first.evaluation, [score(2, 0.9) | {"scored": HOSTILE, "notes": [HOSTILE]}])
    second.config.write_text(f"{json.dumps(HOSTILE)} = 1")  # which a note quotes
    out = tmp_path / "both.html"
    command.main(["--run", str(first.root), "--run", str(second.root), "--out", str(out)])
    document = drawn(out, "images=960")
    parts, text = Parts(document), texts(document)
    assert [tag for tag, _ in parts.elements].count("script") == 2
    pictures = [attributes for tag, attributes in parts.elements if tag == "img"]
    assert [p["data-epoch"] for p in pictures if "data-epoch" in p] == ["3", "3"]
    assert all(p["src"].startswith("data:image/jpeg;base64,") and p["alt"] for p in pictures)
    assert text.count("&lt;img src=x onerror=alert(2)&gt;") >= 4
    assert re.search(r"two: the settings cannot be read: .*&lt;img src=x", text)
    assert "960 images seen" in text and "Against 1,000 real ones" in text


def test_every_control_and_plot_has_a_name(tmp_path):
    run = make_run(tmp_path / "one")
    command.main(["--run", str(run.root)])
    parts = Parts(drawn(run.report, "epoch=1"))
    plots = [a for tag, a in parts.elements if tag == "svg" and a.get("role") == "img"]
    assert len(plots) == 6  # losses, beliefs, variety, FID-768, speed, memory
    assert all(re.search(r" over images seen: .* goes from ", plot["aria-label"]) for plot in plots)
    words = "Losses over images seen: d_loss goes from 0.690 to 0.640"
    assert plots[0]["aria-label"].startswith(words)
    sliders = [a for tag, a in parts.elements if tag == "input"]
    assert [a["aria-label"] for a in sliders] == ["Time in the training"]
    assert "disabled" in by_id(parts)["before"] and "disabled" not in by_id(parts)["after"]
