"""The explorer in Chromium: clicks, keys, links, saved files, on a phone."""

import json
import queue
import time

import numpy as np
import pytest
from browser import browser, needs_browser
from exploring import EXACT, LENGTH, PIXELS, READY, directions_of, serving, shown
from PIL import Image

import generate
from dcgan_tf.explore import exploration
from dcgan_tf.explore.latent_formula import Recipe, latent
from dcgan_tf.explore.page import describe

pytestmark = [pytest.mark.nightly, needs_browser]

HOSTILE = "<img src=x onerror=alert(1)> & = +"  # the name of a direction
NORMS = "document.getElementById('norms').textContent"


@pytest.fixture(scope="module")
def directions(sampler):
    return directions_of(sampler, ("Smiling", HOSTILE))


@pytest.fixture(scope="module")
def about(sampler, directions):
    return describe("small & <b>bold</b>", sampler, directions, "", "For <b>research</b> only.")


@pytest.fixture(scope="module")
def address(sampler, directions, about):
    with serving(sampler, directions, about) as server:
        yield server.address


@pytest.fixture
def page(address, tmp_path):
    """The page, opened; in the end there was no error, and no other address was asked."""
    with browser(tmp_path) as page:
        page.open(address)
        page.wait(READY)
        yield page
        assert page.errors == []
        assert page.requests and all(url.startswith(address) for url in page.requests)


def expression(page, text):
    """Waits until the page shows this, not as a draft."""
    page.wait(
        f"document.getElementById('expression').textContent === {json.dumps(text)} && {EXACT}"
    )


def address_has(page, text):
    page.wait(f"location.hash.startsWith({json.dumps('#' + text)})")


def face(seed):
    return f"#wall [data-seed='{seed}']"


def place(term, number):
    return f".term:nth-child({'ABCD'.index(term) + 1}) .slot:nth-child({number}), " + (
        f".term:nth-child({'ABCD'.index(term) + 1}) .held:nth-child({number}) .slot"
    )


def slide(page, selector, amount):
    page.run(
        f"(() => {{ const node = document.querySelector({json.dumps(selector)});"
        f"node.value = {amount}; for (const kind of ['input', 'change'])"
        "node.dispatchEvent(new Event(kind, {bubbles: true})); })()"
    )


def save(page, folder, name):
    """Path: of the file that the browser wrote."""
    page.click("#save")
    saved = folder / "downloads" / name
    for _ in range(200):
        if saved.is_file():
            break
        time.sleep(0.05)
    return saved


def test_a_picked_seed_is_the_image_of_generate(page, run, tmp_path):
    argv = ["--run", str(run), "--seeds", "0,12", "--truncation", "0.7"]
    generate.main([*argv, "--out", str(tmp_path / "g")])
    page.click(face(12))
    expression(page, "seed 12")
    address_has(page, "a=12&truncation=0.7&of=")
    saved, made = save(page, tmp_path, "seed_000012.png"), tmp_path / "g/images/seed_000012.png"
    with Image.open(saved) as ours, Image.open(made) as theirs:
        ours.load()
        assert ours.mode == theirs.mode == "RGB"
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(shown(page), theirs)
        np.testing.assert_array_equal(shown(page, face(12) + " canvas"), theirs)
        assert {key: ours.text[key] for key in theirs.text} == theirs.text
        assert set(ours.text) - set(theirs.text) == {"expression", "link"}
        assert ours.text["expression"] == "12"
        assert ours.text["link"].startswith("#a=12&truncation=0.7&of=")


def test_faces_are_calculated_with_and_every_step_can_be_undone(page, sampler):
    page.click(place("A", 2))  # one more face, for an average
    page.click(face(5))
    page.click(face(7))
    expression(page, "mean(0, 5, 7)")
    page.click(place("B", 1))
    page.click(face(9))
    page.click(place("C", 1))
    page.click(face(11))
    expression(page, "mean(0, 5, 7) - 9 + 11")
    wanted = latent(Recipe(a=(0, 5, 7), b=(9,), c=(11,), truncation=0.7), LENGTH)
    np.testing.assert_array_equal(shown(page), sampler.generate(latents=[wanted])[0])
    text = page.run(NORMS)
    assert text == f"‖z‖ {np.linalg.norm(wanted):.2f}, √128 = 11.31"
    mean = latent(Recipe(a=(0, 5, 7), truncation=0.7), LENGTH)
    page.wait(f"Math.max(...{PIXELS.format('#mean-a')})")
    np.testing.assert_array_equal(shown(page, "#mean-a"), sampler.generate(latents=[mean])[0])
    used = page.run(
        "[...document.querySelectorAll('#wall [aria-pressed=true]')].map(b => b.ariaLabel).join()"
    )
    assert used == "seed 0, in A,seed 5, in A,seed 7, in A,seed 9, in −B,seed 11, in +C"
    for text in ("mean(0, 5, 7) - 9", "mean(0, 5, 7)", "mean(0, 5)", "seed 0"):
        page.press("z", 90, modifiers=2)
        expression(page, text)
    assert page.run("document.getElementById('undo').disabled")
    for text in ("mean(0, 5)", "mean(0, 5, 7)"):
        page.press("Z", 90, modifiers=10)
        expression(page, text)
    page.click("#redo")
    expression(page, "mean(0, 5, 7) - 9")
    page.click(".term:nth-child(1) .held:nth-child(2) .drop")
    expression(page, "mean(0, 7) - 9")
    page.click("#clear")
    expression(page, "seed 0")


def test_sliders_walk_and_a_link_shows_the_same_again(page, address, sampler, directions):
    page.click(place("D", 1))
    page.click(face(20))
    slide(page, "#way", 0.37)
    slide(page, "#along-attribute-0", 0.5)
    slide(page, "#along-kernel-0", -0.25)
    slide(page, "#truncation", 0.6)
    expression(page, f"slerp(0, 20, 0.37) + 0.5 Smiling - 0.25 {HOSTILE}")
    address_has(page, "a=0&d=20&way=0.37&truncation=0.6&along.Smiling=0.5&along.%3Cimg")
    along = {"Smiling": 0.5, HOSTILE: -0.25}
    wanted = latent(
        Recipe(a=(0,), d=(20,), way=0.37, along=along, truncation=0.6), LENGTH, directions
    )
    expected = sampler.generate(latents=[wanted])[0]
    page.wait(f"{NORMS}.startsWith('‖z‖ {np.linalg.norm(wanted):.2f},') && {EXACT}")
    np.testing.assert_array_equal(shown(page), expected)
    link = page.run("location.href")
    page.open(link)
    page.wait(READY)
    np.testing.assert_array_equal(shown(page), expected)
    page.press("z", 90, modifiers=2)  # there is nothing to go back to
    expression(page, f"slerp(0, 20, 0.37) + 0.5 Smiling - 0.25 {HOSTILE}")
    page.click("#strip button:nth-child(9)")
    expression(page, f"slerp(0, 20, 1) + 0.5 Smiling - 0.25 {HOSTILE}")
    page.click("#level")
    expression(page, "slerp(0, 20, 1)")
    page.click("nav a[href='#along']")
    address_has(page, "a=0&d=20&way=1&")  # the picture is still what the address names
    page.click("#undo")
    expression(page, f"slerp(0, 20, 1) + 0.5 Smiling - 0.25 {HOSTILE}")


BAD_LINKS = {
    "a=3&of=000000000000": "from another generator (000000000000)",
    "a=-3": "it has a=-3",
    "a=4294967296": "it has a=4294967296",
    f"a={','.join(['1'] * 65)}": "it has a=1,1",
    "a=1&along.Frowning=1": "there is no direction Frowning here",
    "a=1&way=7": "it has way=7",
    "<img src=x onerror=alert(1)>": "it has",
    "a=1&along.%E0%A4%A=1": "malformed",
}


def test_a_copied_link_names_its_directions_and_a_bad_one_is_refused(
    page, address, about, tmp_path
):
    sha256 = about["directions_sha256"]
    page.open(f"{address}#a=3&along.Smiling=0.5")  # an older link, which does not
    expression(page, "3 + 0.5 Smiling")
    address_has(page, f"a=3&along.Smiling=0.5&directions={sha256[:12]}&of=")
    page.run("navigator.clipboard.writeText = async (text) => { globalThis.copied = text; }; 0")
    page.click("#link")
    page.wait("(globalThis.copied || '').startsWith(`${location.href.split('#')[0]}#a=3&along`)")
    page.wait("document.getElementById('copied').textContent.includes('until the explorer stops')")
    assert "until the explorer stops" in page.run("document.getElementById('said').textContent")
    with Image.open(save(page, tmp_path, "explored.png")) as image:
        image.load()
        assert image.text["directions_sha256"] == sha256
        assert f"&directions={sha256[:12]}&" in image.text["link"]
    others = f"other directions (000000000000); this page has {sha256[:12]}. Start the explorer"
    links = BAD_LINKS | {"a=3&along.Smiling=0.5&directions=000000000000": others}
    for fragment, words in links.items():
        page.open(f"{address}#{fragment}")
        page.wait("document.getElementById('trouble').textContent.startsWith('This link')")
        assert words in page.run("document.getElementById('trouble').textContent")
        assert page.run("document.querySelector('#trouble').children.length") == 0
    page.open(f"{address}#a=3&directions=000000000000")  # it uses none of them
    expression(page, "seed 3")
    assert page.run("document.getElementById('trouble').hidden")


def test_directions_may_be_named_like_what_every_object_has(sampler, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = queue.Queue()
    monkeypatch.setattr(exploration.webbrowser, "open", asked.put)
    odd = directions_of(sampler, ("constructor", "__proto__"), ("kernel", "kernel"))
    values = "[...document.querySelectorAll('[data-name]{}')].map((n) => n.value).join()"
    with (
        serving(sampler, odd) as server,
        exploration.open_browser(server.address),
        browser(tmp_path / "browser") as page,
    ):
        page.open(asked.get(timeout=60))  # the file that leads to the page
        page.wait("location.protocol === 'http:'")
        page.wait(READY)
        assert page.run(values.format("")) == "0,0"
        assert "NaN" not in page.run(values.format(" + output"))
        page.run("location.hash = 'a=3&along.__proto__=0.5&along.constructor=-1'")
        expression(page, "3 + 0.5 __proto__ - 1 constructor")
        assert page.run(values.format("")) == "-1,0.5" and page.errors == []


def test_a_random_face_is_one_click_or_key_away_also_on_a_phone(address, tmp_path):
    text = "document.getElementById('expression').textContent"
    with browser(tmp_path, width=390, height=844) as page:
        page.open(address)
        page.wait(READY)
        assert page.run("document.documentElement.scrollWidth") == 390
        assert page.run(text) == "seed 0"
        page.click("#random")
        first = page.wait(f"{text} !== 'seed 0' && {EXACT} && {text}")
        slide(page, "#along-attribute-0", 0.5)
        page.press("r", 82)
        second = page.wait(f"{text}.endsWith(' + 0.5 Smiling') && {EXACT} && {text}")
        assert first.startswith("seed ") and not second.startswith(first[5:])
        page.run("document.getElementById('seed').focus()")
        page.press("r", 82)  # typed, not a wish for another face
        assert page.run(text) == second
        page.run("document.getElementById('more').scrollIntoView()")
        box = page.run("document.getElementById('face').getBoundingClientRect().toJSON()")
        assert page.run("scrollY") > 500 and 0 <= box["top"] < 50 and box["height"] > 100
        assert page.errors == []


def test_it_can_be_used_by_keys_and_has_names(page):
    page.run("document.querySelector('#wall button').focus()")
    for key, code in (("ArrowRight", 39), ("ArrowRight", 39), ("ArrowDown", 40), ("End", 35)):
        page.press(key, code)
    assert page.run("document.activeElement.dataset.seed") == "63"
    page.press("Home", 36)
    page.press("ArrowRight", 39)
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r")
    page.press("Enter", 13)
    expression(page, "seed 1")
    assert page.run("document.querySelectorAll('#wall [tabindex=\"0\"]').length") == 1
    page.run("document.getElementById('seed').value = '4294967295'")
    page.click("#typed button")
    expression(page, "seed 4294967295")
    page.run("document.getElementById('seed').value = 'x'")
    page.click("#typed button")
    page.wait("document.getElementById('trouble').textContent.startsWith('Expected a seed')")
    page.click("#more")
    page.wait("document.querySelectorAll('#wall button').length === 128")
    unnamed = page.run(
        "[...document.querySelectorAll('button, input, canvas[role], [role=group]')].filter("
        "n => !n.ariaLabel && !n.textContent.trim() && !(n.labels && n.labels.length)).length"
    )
    assert unnamed == 0


def test_the_license_is_in_the_footer_and_a_stopped_explorer_is_told(sampler, tmp_path):
    with serving(sampler, None) as server, browser(tmp_path) as page:
        page.open(server.address)
        page.wait(READY)
        assert "make some" in page.run("document.getElementById('along').textContent")
        words = page.run("document.getElementById('footer').textContent")
        assert words.endswith("none is a photograph. For <b>research</b>.")
        offline = {"offline": True, "latency": 0}
        speed = {"downloadThroughput": -1, "uploadThroughput": -1}
        page.call("Network.emulateNetworkConditions", **offline, **speed)
        page.click(face(3))
        page.wait("document.getElementById('trouble').textContent.startsWith('No answer')")
        page.call("Network.emulateNetworkConditions", **offline | {"offline": False}, **speed)
        page.click(face(4))
        page.wait("document.getElementById('trouble').hidden")
