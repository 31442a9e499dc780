"""The page in Chromium: what it draws, keys and clicks, on a phone; no error on the console."""

import html
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from browser import browser, needs_browser
from tiny_run import HOSTILE, Parts, losses, make_run, score

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.config import Config
from dcgan_tf.common.images import save_png
from dcgan_tf.common.runs import sample_file
from dcgan_tf.report import contents, curves
from dcgan_tf.report import page as report_page
from dcgan_tf.report.__main__ import main

pytestmark = [pytest.mark.nightly, needs_browser]
LEFT, RIGHT, HOME, ENTER = ("ArrowLeft", 37), ("ArrowRight", 39), ("Home", 36), ("Enter", 13)


@pytest.fixture
def report(tmp_path, monkeypatch):
    """Path: the page of a run of 60 steps, with a checkpoint in the middle of the next epoch."""
    run = make_run(tmp_path / "one")
    sample_file(run.samples, 3).unlink()
    journal = {"curve": {"points": [[step, 0.6, 0.7, 0.6, 0.5] for step in (30, 50, 65)]}}
    monkeypatch.setattr(curves.checkpoints, "read_journal", lambda run: journal)
    main(["--run", str(run.root)])
    return run.report


@pytest.fixture
def page(tmp_path):
    with browser(tmp_path, tmp_path.as_uri()) as page:
        yield page


def told(page):
    """The grid that the page shows now, its epoch, and the texts that go with it."""
    grid = "document.getElementById('sample')"
    return {
        "src": page.run(f"{grid}.src"),
        "epoch": page.run(f"{grid}.dataset.epoch"),
        "alt": page.run(f"{grid}.alt"),
        "caption": page.run("document.querySelector('#grids figcaption').textContent"),
        "now": page.text("now"),
        "d_loss": page.run("document.querySelector('.legend b').textContent"),
    }


def test_the_caption_names_the_rows_of_classes(page, tmp_path):
    run = make_run(tmp_path / "one")
    grid = np.zeros((20, 20, 3), np.uint8)
    save_png(sample_file(run.samples, 6), grid, {"rows": f"cat,{HOSTILE}"}, sync=False)
    main(["--run", str(run.root)])
    page.open(run.report.as_uri())
    assert told(page)["caption"].endswith(f". Their rows from the top: cat, {HOSTILE}.")


def test_the_page_names_its_parts_and_the_slider_moves_all_of_them(page, report):
    page.open(report.as_uri())
    assert page.text("verdicts").startswith("Too short to judge. 60 steps are done")
    assert "python train.py --config demo" in page.text("facts")
    parts = Parts(page.run("document.documentElement.outerHTML")).elements
    images = [attributes["alt"] for tag, attributes in parts if tag == "img"]
    assert images[:2] == ["Generated images after epoch 6", "Real images from the training data"]
    plots = [a["aria-label"] for tag, a in parts if tag == "svg" and a.get("role") == "img"]
    assert len(plots) == 6  # losses, D(x), variety, FID-768, speed, memory
    assert all(re.search(r" over images seen: .* goes from ", plot) for plot in plots)
    right = "(({x, width}) => x + width)(document.querySelector('.plot .fine').getBBox())"
    assert page.run(f"{right} < document.querySelector('.plot').clientWidth - 14")  # the axis' end
    assert plots[0].startswith("Losses over images seen: d_loss goes from 0.690 to 0.640")
    assert [a["aria-label"] for tag, a in parts if tag == "input"] == ["Training time"]
    last = told(page)
    assert last["epoch"] == "6" and last["now"] == "epoch 6 of 7, 1,920 images seen"
    page.run("document.getElementById('slider').focus()")
    page.press(*LEFT)
    fifth = told(page)
    assert fifth["epoch"] == "5" and fifth["now"] == "epoch 5 of 7, 1,600 images seen"
    assert fifth["alt"] == "Generated images after epoch 5"
    assert fifth["caption"].startswith("After epoch 5.") and fifth["d_loss"] == "0.650"
    assert all(fifth[name] != last[name] for name in last)
    page.wait("location.hash === '#epoch=5'")
    page.press(*HOME)
    assert told(page)["epoch"] == "1" and page.run("document.getElementById('before').disabled")
    page.press(*RIGHT)
    page.press(*RIGHT)
    third = told(page)  # which has no grid, so that of the second stays
    assert third["epoch"] == "2" and third["now"] == "epoch 3 of 7, 960 images seen"
    assert third["caption"].startswith("After epoch 2 (no grid of epoch 3 on this page).")
    for label in ("Pause", "Play"):
        page.click("#play")
        assert page.text("play") == label
        assert not page.run("document.getElementById('play').hasAttribute('aria-pressed')")
    page.run("document.getElementById('slider').focus()")
    page.press(*HOME)
    before = told(page)
    page.run("document.querySelector('.plot').scrollIntoView({block: 'center'})")
    page.swipe(".plot", 0, -60)
    assert told(page) == before
    page.swipe(".plot", 60, 0)
    assert told(page)["now"] != before["now"]
    page.press(*HOME)
    page.click(".plot")
    assert told(page)["now"].startswith("epoch 3 ")
    page.open(f"{report.as_uri()}#epoch=3")
    page.click("nav a[href='#speed']")
    page.wait("location.hash === '#speed' && scrollY > 0")
    page.run("history.back()")  # a link of the contents is a step in the history
    page.wait("location.hash === '#epoch=3'")
    assert told(page)["now"].startswith("epoch 3 ")


def test_each_grid_has_its_address_where_the_curves_have_few_epochs_and_damaged_ones_are_told(
    page, tmp_path, monkeypatch
):
    monkeypatch.setattr(contents, "EPOCHS", 4)
    run = make_run(tmp_path / "one")
    main(["--run", str(run.root)])
    for epoch in range(1, 7):
        page.open(f"{run.report.as_uri()}#epoch={epoch}")
        assert told(page)["epoch"] == str(epoch)
    for path in run.samples.iterdir():
        path.write_bytes(path.read_bytes()[:40])
    main(["--run", str(run.root)])
    page.open(run.report.as_uri())
    assert "The 6 grids are damaged or do not fit on this page" in page.text("grids")


def test_a_page_of_a_training_that_was_killed_does_not_claim_that_it_runs(page, tmp_path):
    run = make_run(tmp_path / "one")
    report_page.write_report((run,), run.report, running=True)
    text = run.report.read_text(encoding="utf-8")
    old, count = re.subn(r'"until":[0-9.]+', '"until":1', text)
    assert count == 1
    run.report.write_text(old, encoding="utf-8")
    page.open(run.report.as_uri())
    said = page.text("verdicts")
    assert "It had not ended then" in said and "reloads itself" not in said
    assert "Wait for more" not in said


def test_on_a_phone_the_samples_stay_in_view(tmp_path, report):
    with browser(tmp_path, report.as_uri(), width=390, height=844) as page:
        page.open(report.as_uri())
        assert page.run("document.documentElement.scrollWidth") == 390
        assert page.run("(({scrollWidth, clientWidth}) => scrollWidth <= clientWidth)(now)")
        page.run("document.querySelectorAll('.chart')[1].scrollIntoView({block: 'end'})")
        box = page.run("document.getElementById('sample').getBoundingClientRect().toJSON()")
        bar = page.run("document.getElementById('bar').getBoundingClientRect().bottom")
        assert page.run("scrollY") > 300 and bar <= box["top"] + 1 and box["bottom"] < 500


def test_the_page_of_a_running_training_reloads_itself_until_the_last(page, tmp_path, monkeypatch):
    monkeypatch.setattr(report_page, "RELOAD", 0.2)
    run = make_run(tmp_path / "one", epochs=2)
    report_page.write_report((run,), run.report, running=True)
    page.open(run.report.as_uri())
    page.wait("document.getElementById('verdicts')?.textContent.includes('page reloads itself')")
    write_lines(run.metrics, map(losses, range(1, 6)))
    main(["--run", str(run.root)])
    page.wait("document.getElementById('now')?.textContent.startsWith('epoch 5 of 7')")
    assert "reloads" not in page.text("verdicts")


def test_hostile_texts_of_two_runs_are_shown_as_they_are(page, tmp_path):
    name = HOSTILE.replace("/", "∕")
    first = make_run(tmp_path / name, config=replace(Config(), data=HOSTILE))
    second = make_run(tmp_path / "two", epochs=3)
    first.versions.write_text(json.dumps({"command": [HOSTILE], HOSTILE: HOSTILE}))
    first.log.write_text(f"2026-01-01 00:00:00 warning: {HOSTILE}\n")
    write_lines(first.evaluation, [score(2, 0.9) | {"scored": HOSTILE, "notes": [HOSTILE]}])
    second.config.write_text(f"{json.dumps(HOSTILE)} = 1")  # which a note quotes
    out = tmp_path / "both.html"
    main(["--run", str(first.root), "--run", str(second.root), "--out", str(out)])
    page.open(f"{out.as_uri()}#images=960")
    parts = Parts(page.run("document.documentElement.outerHTML")).elements
    assert [tag for tag, _ in parts].count("script") == 2
    images = [attributes for tag, attributes in parts if tag == "img"]
    assert [image["data-epoch"] for image in images if "data-epoch" in image] == ["3", "3"]
    assert all(i["src"].startswith("data:image/jpeg;base64,") and i["alt"] for i in images)
    body = page.run("document.body.innerText")
    assert body.count("<img src=x onerror=alert(2)>") >= 4
    assert re.search(r"two: the settings cannot be read: .*<img src=x", body)
    assert "960 images seen" in body and "Reference set: 1,000 real ones" in body


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
