"""The explorer in Chromium: clicks, keys, links, saved files, on a phone."""

import json
import queue
import time

import numpy as np
import pytest
from browser import browser, needs_browser
from exploring import (
    ANIMALS,
    EXACT,
    HOSTILE,
    LENGTH,
    PIXELS,
    READY,
    TRAITS,
    face,
    open_page,
    serving,
    shown,
    small_sampler,
)
from PIL import Image

import generate
from dcgan_tf.explore import exploration
from dcgan_tf.explore.latent_formula import Recipe, latent
from dcgan_tf.explore.page import describe

pytestmark = [pytest.mark.nightly, needs_browser]


@pytest.fixture
def page(server, tmp_path):
    with browser(tmp_path, server.address) as page:
        open_page(page, server.address)
        yield page


def expression(page, text):
    """Waits until the page shows this, not as a draft."""
    page.wait(
        f"document.getElementById('expression').textContent === {json.dumps(text)} && {EXACT}"
    )


def address_has(page, text):
    page.wait(f"location.hash.startsWith({json.dumps('#' + text)})")


def pick(page, term, number, *seeds):
    """Outline the slot `number` of a term, then click faces."""
    slots = f".term:nth-child({'ABCD'.index(term) + 1})"
    page.click(f"{slots} .slot:nth-child({number}), {slots} .held:nth-child({number}) .slot")
    for seed in seeds:
        page.click(face(seed))


def slide(page, name, amount):
    page.run(
        f"(() => {{ const node = document.getElementById('{name}');"
        f"node.value = {amount}; for (const kind of ['input', 'change'])"
        "node.dispatchEvent(new Event(kind, {bubbles: true})); })()"
    )


def save(page, folder, name):
    """Image: of the file that the browser wrote."""
    page.click("#save")
    saved = folder / "downloads" / name
    for _ in range(200):
        if saved.is_file():
            break
        time.sleep(0.05)
    with Image.open(saved) as image:
        image.load()
        return image


def assert_shows(page, sampler, recipe, directions=None, selector="#face"):
    wanted = latent(recipe, LENGTH, directions)
    np.testing.assert_array_equal(shown(page, selector), sampler.generate(latents=[wanted])[0])
    return f"‖z‖ {np.linalg.norm(wanted):.2f}, √128 = 11.31"


def test_a_picked_seed_is_the_image_of_generate(page, run, tmp_path):
    argv = ["--run", str(run), "--seeds", "0,12", "--truncation", "0.7"]
    generate.main([*argv, "--out", str(tmp_path / "g")])
    page.click(face(12))
    expression(page, "seed 12")
    address_has(page, "a=12&truncation=0.7&of=")
    ours = save(page, tmp_path, "seed_000012.png")
    with Image.open(tmp_path / "g/images/seed_000012.png") as theirs:
        assert ours.mode == theirs.mode == "RGB"
        for image in (ours, shown(page), shown(page, face(12) + " canvas")):
            np.testing.assert_array_equal(image, theirs)
        assert ours.text.items() >= theirs.text.items()
        assert set(ours.text) - set(theirs.text) == {"expression", "link"}
    assert ours.text["expression"] == "12"
    assert ours.text["link"].startswith("#a=12&truncation=0.7&of=")


def test_faces_are_calculated_with_and_every_step_can_be_undone(page, sampler):
    pick(page, "A", 2, 5, 7)  # more faces, for an average
    expression(page, "mean(0, 5, 7)")
    pick(page, "B", 1, 9)
    pick(page, "C", 1, 11)
    expression(page, "mean(0, 5, 7) - 9 + 11")
    recipe = Recipe(a=(0, 5, 7), b=(9,), c=(11,), truncation=0.7)
    assert page.text("norms") == assert_shows(page, sampler, recipe)
    page.wait(f"Math.max(...{PIXELS.format('#mean-a')})")
    assert_shows(page, sampler, Recipe(a=(0, 5, 7), truncation=0.7), selector="#mean-a")
    used = page.run(
        "[...document.querySelectorAll('#wall [aria-pressed=true]')].map(b => b.ariaLabel).join()"
    )
    assert used == "seed 0, in A,seed 5, in A,seed 7, in A,seed 9, in −B,seed 11, in +C"
    undo, redo = ("z", 90, 2), ("Z", 90, 10)
    for keys, words in (
        *((undo, words) for words in ("mean(0, 5, 7) - 9", "mean(0, 5, 7)", "mean(0, 5)")),
        *((undo, "seed 0"), (redo, "mean(0, 5)"), (redo, "mean(0, 5, 7)")),
    ):
        page.press(*keys)
        expression(page, words)
        assert page.run("document.getElementById('undo').disabled") == (words == "seed 0")
    for button, words in (
        ("#redo", "mean(0, 5, 7) - 9"),
        (".term:nth-child(1) .held:nth-child(2) .drop", "mean(0, 7) - 9"),
        ("#clear", "seed 0"),
    ):
        page.click(button)
        expression(page, words)


def test_sliders_walk_and_a_link_shows_the_same_again(page, sampler, directions):
    amounts = "[...document.querySelectorAll('[data-name] + output')].map((n) => n.value).join()"
    assert page.run(amounts) == "0.00,0.00,0.00"  # not what every object has as __proto__
    pick(page, "D", 1, 20)
    moved = {"way": 0.37, "truncation": 0.6}
    moved |= {"along-attribute-0": 0.5, "along-kernel-0": -0.25, "along-kernel-1": 0.75}
    for name, amount in moved.items():
        slide(page, name, amount)
    walked = f"slerp(0, 20, {{}}) + 0.5 Smiling - 0.25 {HOSTILE} + 0.75 __proto__".format
    expression(page, walked(0.37))
    address_has(page, "a=0&d=20&way=0.37&truncation=0.6&along.Smiling=0.5&along.%3Cimg")
    along = {"Smiling": 0.5, HOSTILE: -0.25, "__proto__": 0.75}
    recipe = Recipe(a=(0,), d=(20,), way=0.37, along=along, truncation=0.6)
    norm = np.linalg.norm(latent(recipe, LENGTH, directions))
    page.wait(
        f"document.getElementById('norms').textContent.startsWith('‖z‖ {norm:.2f},') && {EXACT}"
    )
    assert_shows(page, sampler, recipe, directions)
    open_page(page, page.run("location.href"))
    assert_shows(page, sampler, recipe, directions)
    page.press("z", 90, modifiers=2)  # there is nothing to go back to
    expression(page, walked(0.37))
    page.click("#strip button:nth-child(9)")
    expression(page, walked(1))
    page.click("#level")
    expression(page, "slerp(0, 20, 1)")
    page.click("nav a[href='#along']")
    address_has(page, "a=0&d=20&way=1&")  # the image is still the one that the address names
    page.click("#undo")
    expression(page, walked(1))


BAD_LINKS = {
    "a=3&of=000000000000": "from another generator (000000000000)",
    "a=-3": "a=-3 is not valid",
    "a=4294967296": "a=4294967296 is not valid",
    f"a={','.join(['1'] * 65)}": "cannot be shown: a=1,1",
    "a=1&along.Frowning=1": "there is no direction Frowning here",
    "a=1&way=7": "way=7 is not valid",
    "<img src=x onerror=alert(1)>": "is not valid",
    "a=1&along.%E0%A4%A=1": "malformed",
    "a=3&along.Smiling=0.5&directions=000000000000": "other directions (000000000000); this page "
    "has {}. Start the explorer",
}


def test_a_copied_link_names_its_directions_and_a_bad_one_is_refused(
    page, server, sampler, directions, tmp_path
):
    sha256 = describe("", sampler, directions, "")["directions_sha256"]
    page.open(f"{server.address}#a=3&along.Smiling=0.5")  # an older link, which does not
    expression(page, "3 + 0.5 Smiling")
    address_has(page, f"a=3&along.Smiling=0.5&directions={sha256[:12]}&of=")
    page.run("navigator.clipboard.writeText = async (text) => { globalThis.copied = text; }; 0")
    page.click("#link")
    page.wait("(globalThis.copied || '').startsWith(`${location.href.split('#')[0]}#a=3&along`)")
    page.wait("document.getElementById('copied').textContent.includes('until the explorer stops')")
    assert "until the explorer stops" in page.text("said")
    saved = save(page, tmp_path, "explored.png").text
    assert saved["directions_sha256"] == sha256
    assert f"&directions={sha256[:12]}&" in saved["link"]
    for fragment, words in BAD_LINKS.items():
        page.open(f"{server.address}#{fragment}")
        page.wait("document.getElementById('trouble').textContent.startsWith('This link')")
        assert words.format(sha256[:12]) in page.text("trouble")
        assert page.run("document.querySelector('#trouble').children.length") == 0
    time.sleep(0.5)  # the address is written 0.2 s after a change; a refused one stays
    assert page.run("location.hash") == f"#{fragment}"
    page.run("history.replaceState(null, '', '#a=5')")
    page.run("dispatchEvent(new HashChangeEvent('hashchange')) && 0")
    expression(page, "seed 5")
    assert page.run("document.getElementById('trouble').hidden")
    address_has(page, "a=5&of=")
    page.open(f"{server.address}#a=3&directions=000000000000")  # it uses none of them
    expression(page, "seed 3")
    assert page.run("document.getElementById('trouble').hidden")


def test_a_random_face_is_one_click_or_key_away_also_on_a_phone(server, tmp_path):
    formula = "document.getElementById('expression').textContent"
    with browser(tmp_path, server.address, width=390, height=844) as page:
        open_page(page, server.address)
        assert page.run("document.documentElement.scrollWidth") == 390
        assert page.run(formula) == "seed 0"
        page.click("#random")
        first = page.wait(f"{formula} !== 'seed 0' && {EXACT} && {formula}")
        slide(page, "along-attribute-0", 0.5)
        page.press("r", 82)
        second = page.wait(f"{formula}.endsWith(' + 0.5 Smiling') && {EXACT} && {formula}")
        assert first.startswith("seed ") and not second.startswith(first[5:])
        page.run("document.getElementById('seed').focus()")
        page.press("r", 82)  # typed, not a wish for another face
        assert page.run(formula) == second
        page.run("document.getElementById('more').scrollIntoView()")
        box = page.run("document.getElementById('face').getBoundingClientRect().toJSON()")
        assert page.run("scrollY") > 500 and 0 <= box["top"] < 50 and box["height"] > 100


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


def test_the_license_is_in_the_footer_and_a_stopped_explorer_is_told(
    sampler, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = queue.Queue()
    monkeypatch.setattr(exploration.webbrowser, "open", asked.put)
    with (
        serving(sampler, None) as server,
        exploration.open_browser(server.address),
        browser(tmp_path / "browser") as page,
    ):
        page.open(asked.get(timeout=60))  # the file that leads to the page
        page.wait(f"location.protocol === 'http:' && {READY}")
        assert "make some" in page.text("along")
        assert page.text("footer").endswith("none is a photograph. For <b>research</b>.")
        for offline, seed, wanted in (
            (True, 3, "textContent.startsWith('No answer')"),
            (False, 4, "hidden"),
        ):
            state = {"offline": offline, "latency": 0, "downloadThroughput": -1}
            page.call("Network.emulateNetworkConditions", **state, uploadThroughput=-1)
            page.click(face(seed))
            page.wait(f"document.getElementById('trouble').{wanted}")


def test_labels_are_switches_for_all_images(tmp_path):
    sampler = small_sampler(tmp_path / "small.keras", labels=ANIMALS)
    argv = ["--model", str(tmp_path / "small.keras"), "--seeds", "12", "--truncation", "0.7"]
    generate.main([*argv, "--label", "<b>dog", "--out", str(tmp_path / "g")])
    with serving(sampler, None) as server, browser(tmp_path, server.address) as page:
        open_page(page, server.address)
        expression(page, "seed 0, label eel, fried")
        page.click("#labels label:nth-of-type(3)")
        page.click(face(12))
        expression(page, "seed 12, label <b>dog")
        address_has(page, "a=12&truncation=0.7&label=%3Cb%3Edog&of=")
        ours = save(page, tmp_path, "seed_000012.png")
        with Image.open(tmp_path / "g/images/seed_000012.png") as theirs:
            for image in (ours, shown(page), shown(page, face(12) + " canvas")):
                np.testing.assert_array_equal(image, theirs)
            assert ours.text.items() >= theirs.text.items() and ours.text["label"] == "<b>dog"
        pick(page, "D", 1, 20)  # on the whole way it stays a dog
        slide(page, "way", 1)
        expression(page, "slerp(12, 20, 1), label <b>dog")
        dog = sampler.generate(seeds=[20], label="<b>dog", truncation=0.7)[0]
        for selector in ("#face", face(20) + " canvas"):
            np.testing.assert_array_equal(shown(page, selector), dog)
        page.click("#labels label:nth-of-type(1)")
        expression(page, "slerp(12, 20, 1)")
        own = sampler.generate(seeds=[20], truncation=0.7)[0]
        np.testing.assert_array_equal(shown(page), own)
        assert (own != dog).any()
        page.press("z", 90, modifiers=2)
        expression(page, "slerp(12, 20, 1), label <b>dog")
        assert page.run("document.querySelector('#labels :checked').value") == "<b>dog"
        for text in ("a=3&label=cow", "a=3&label="):
            page.open(f"{server.address}#{text}")
            page.wait(
                f"document.getElementById('trouble').hidden === {str(text[-1] == '=').lower()}"
            )


def test_each_attribute_has_a_switch_and_what_is_open_is_as_in_the_seed(tmp_path):
    sampler = small_sampler(tmp_path / "small.keras", labels=TRAITS)
    choice = "#labels fieldset:nth-of-type({}) label:nth-of-type({})".format
    with serving(sampler, None) as server, browser(tmp_path, server.address, width=390) as page:
        open_page(page, server.address)
        assert page.run("document.documentElement.scrollWidth") == 390
        assert "Wearing Hat" in page.text("labels")
        page.click(choice(3, 3))
        page.click(choice(2, 2))
        page.click(face(2))
        expression(page, "seed 2, label Smiling=1,Wearing_Hat=0,Male=1")
        label = {"Wearing_Hat": 0, "Male": 1}
        wanted = sampler.generate(seeds=[2], label=label, truncation=0.7)[0]
        np.testing.assert_array_equal(shown(page), wanted)
        page.click(choice(3, 1))
        address_has(page, "a=2&truncation=0.7&label=Wearing_Hat%3D0&of=")
        open_page(page, page.run("location.href"))
        np.testing.assert_array_equal(shown(page), wanted)  # seed 2 has Male=1
        checked = "[...document.querySelectorAll('#labels :checked')].map((n) => n.value).join()"
        assert page.run(checked) == ",0,"
        pick(page, "A", 2, 1)
        expression(page, "mean(2, 1), label Wearing_Hat=0")
        assert save(page, tmp_path, "explored.png").text["label"] == "Wearing_Hat=0"
