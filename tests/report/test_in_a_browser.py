"""The page in Chromium without a window: what it draws, keys and clicks, no error."""

import html
import json
import re
import subprocess
from pathlib import Path

import pytest
from browser import BROWSER, browser, needs_browser
from tiny_run import HOSTILE, Parts, make_run, score

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.runs import sample_file
from dcgan_tf.report.__main__ import main

pytestmark = [pytest.mark.nightly, needs_browser]
TEXT = "document.getElementById('{}').textContent"
LEFT, RIGHT, HOME, ENTER = ("ArrowLeft", 37), ("ArrowRight", 39), ("Home", 36), ("Enter", 13)


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
    sample_file(run.samples, 3).unlink()
    main(["--run", str(run.root)])
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
    main(["--run", str(first.root), "--run", str(second.root), "--out", str(out)])
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
    main(["--run", str(run.root)])
    parts = Parts(drawn(run.report, "epoch=1"))
    plots = [a for tag, a in parts.elements if tag == "svg" and a.get("role") == "img"]
    assert len(plots) == 6  # losses, beliefs, variety, FID-768, speed, memory
    assert all(re.search(r" over images seen: .* goes from ", plot["aria-label"]) for plot in plots)
    words = "Losses over images seen: d_loss goes from 0.690 to 0.640"
    assert plots[0]["aria-label"].startswith(words)
    sliders = [a for tag, a in parts.elements if tag == "input"]
    assert [a["aria-label"] for a in sliders] == ["Time in the training"]
    assert "disabled" in by_id(parts)["before"] and "disabled" not in by_id(parts)["after"]


@pytest.fixture
def report(tmp_path):
    """Path: the page of a run."""
    run = make_run(tmp_path / "one")
    sample_file(run.samples, 3).unlink()
    main(["--run", str(run.root)])
    return run.report


@pytest.fixture
def page(tmp_path):
    """A browser; in the end nothing was wrong, and nothing was asked for but files of ours."""
    with browser(tmp_path) as page:
        yield page
        assert page.errors == []
        asked = {url.partition("#")[0] for url in page.requests if not url.startswith("data:")}
        ours = {path.as_uri() for path in tmp_path.rglob("*.html")}
        assert asked - {"about:blank", "about:srcdoc"} <= ours
        assert asked & ours


def told(page):
    """What the page shows now: the picture, its epoch, and the texts that go with it."""
    picture = "document.getElementById('sample')"
    return {
        "src": page.run(f"{picture}.src"),
        "epoch": page.run(f"{picture}.dataset.epoch"),
        "alt": page.run(f"{picture}.alt"),
        "caption": page.run("document.querySelector('#grids figcaption').textContent"),
        "now": page.run(TEXT.format("now")),
        "d_loss": page.run("document.querySelector('.legend b').textContent"),
    }


def test_keys_on_the_slider_change_picture_and_text(page, report):
    page.open(report.as_uri())
    last = told(page)
    assert last["epoch"] == "6" and last["now"] == "epoch 6 of 7, 1,920 images seen"
    page.run("document.getElementById('slider').focus()")
    page.press(*LEFT)
    fifth = told(page)
    assert fifth["epoch"] == "5" and fifth["now"] == "epoch 5 of 7, 1,600 images seen"
    assert fifth["alt"] == "Generated pictures after epoch 5"
    assert fifth["caption"].startswith("After epoch 5.") and fifth["d_loss"] == "0.650"
    assert all(fifth[name] != last[name] for name in last)
    page.wait("location.hash === '#epoch=5'")
    page.press(*HOME)
    assert told(page)["epoch"] == "1"
    page.press(*RIGHT)
    page.press(*RIGHT)
    third = told(page)  # which has no grid, so that of the second stays
    assert third["epoch"] == "2" and third["now"] == "epoch 3 of 7, 960 images seen"
    assert third["caption"].startswith("After epoch 2, the newest grid here at epoch 3.")


def test_play_says_by_its_label_alone_what_it_does(page, report):
    page.open(report.as_uri())
    for label in ("Pause", "Play"):
        page.click("#play")
        assert page.run(TEXT.format("play")) == label
        assert not page.run("document.getElementById('play').hasAttribute('aria-pressed')")


def test_a_link_of_the_contents_is_a_step_in_the_history(page, report):
    page.open(f"{report.as_uri()}#epoch=3")
    page.click("nav a[href='#speed']")
    page.wait("location.hash === '#speed' && scrollY > 0")
    assert told(page)["now"].startswith("epoch 3 ")
    page.run("history.back()")
    page.wait("location.hash === '#epoch=3'")
    assert told(page)["now"].startswith("epoch 3 ")


def test_links_inside_of_a_notebook_stay_in_the_report(page, report, tmp_path):
    host, inside = tmp_path / "host.html", html.escape(report.read_text(encoding="utf-8"))
    frame = f'<iframe srcdoc="{inside}" width="900" height="600"></iframe>'
    host.write_text(f'<!doctype html><meta charset="utf-8">{frame}', encoding="utf-8")
    page.open(host.as_uri())
    page.wait("frames[0].document.getElementById('sample') !== null")
    page.run("frames[0].document.querySelector('nav a[href=\"#speed\"]').click()")
    page.run("new Promise((done) => setTimeout(done, 200))")  # in which another page would load
    assert page.run("frames[0].location.href") == "about:srcdoc"
    top = "frames[0].document.getElementById('speed').getBoundingClientRect().top"
    assert page.run("frames[0].scrollY") > 0 and 0 <= page.run(top) < 600
    assert page.run("frames[0].document.activeElement.id") == "speed"
    page.run("frames[0].focus(); frames[0].document.querySelector('.skip').focus()")
    page.press(*ENTER)
    page.wait("frames[0].document.activeElement.id === 'slider'")
    page.press(*LEFT)
    assert page.run("frames[0].document.getElementById('sample').dataset.epoch") == "5"
