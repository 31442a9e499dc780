"""Labels at the end of the latents: read, written, drawn, refused."""

import numpy as np
import pytest
from helpers import refused

from dcgan_tf.common.labels import Labels
from dcgan_tf.common.suggestions import meant

FACES = Labels.of(["Smiling", "Male"], False, np.array([[1, 0], [1, 1]], np.uint8))
DIGITS = Labels.of(list("0123456789"), True, np.eye(10, dtype=np.uint8))


@pytest.mark.parametrize(
    "label",
    [
        "Smiling=0,Male=1",
        {"Smiling": 0, "Male": 1},
        " Smiling = 0, Male=1 ",
        {"Smiling": False, "Male": 1.0},
        {"Smiling": "0", " Male": np.True_},
        {"Smiling": np.float32(0), "Male": np.uint8(1)},
        "Male=1,Smiling=0,Male=1",
    ],
)
def test_attributes_are_0_or_1(label):
    tails = FACES.tails(range(4), label)
    assert tails.dtype == np.float32 and tails.tolist() == [[0, 1]] * 4
    assert FACES.describe(tails[0]) == "Smiling=0,Male=1"


def test_a_class_is_one_hot():
    for label in (7, "7"):
        tails = DIGITS.tails([3, 4], label)
        assert tails.tolist() == [[0] * 7 + [1, 0, 0]] * 2 and DIGITS.describe(tails[1]) == "7"


def test_what_is_left_open_is_as_in_some_training_image():
    assert {tuple(tail) for tail in FACES.tails(range(64))} == {(1, 0), (1, 1)}
    assert {tuple(tail) for tail in FACES.tails(range(64), "Smiling=0")} == {(0, 0), (0, 1)}
    drawn = DIGITS.tails(range(1024)).sum(axis=0)
    assert drawn.sum() == 1024 and drawn.min() > 70
    same = DIGITS.tails([5000])[0]
    assert (same == DIGITS.tails(range(4990, 5010))[10]).all()  # by the seed alone


def test_unknown_names_and_values_are_refused():
    with refused("--label", "no class '10'; there are 0, 1, 2"):
        DIGITS.read(10)
    with refused("no attribute 'Smilling'; did you mean Smiling?"):
        FACES.read("Smilling=1")
    with refused("got '2' for Smiling, expected 0 or 1: Smiling=1,Male=1"):
        FACES.read("Smiling=2")
    with refused("got '' for Male, expected 0 or 1"):
        FACES.read("Male")
    with refused("no attribute '1'; there are Smiling, Male"):
        FACES.read({1: 1})
    for value in (0.5, np.nan, 2, None, "True", np.array([0, 1])):
        with refused("for Male, expected 0 or 1"):
            FACES.read({"Male": value})


@pytest.mark.parametrize("label", ["Smiling=1,Smiling=0", {"Smiling": 1, "Smiling ": False}])
def test_one_attribute_with_two_values_is_refused(label):
    with refused("--label", "Smiling is both 0 and 1"):
        FACES.read(label)


def test_a_name_may_have_blanks_at_its_ends():
    names = Labels.of([" cat", "cat"], True, np.eye(2, dtype=np.uint8))
    assert names.read(" cat") == {0: 1, 1: 0} and names.read("cat") == {0: 0, 1: 1}


def test_the_name_of_an_attribute_may_have_an_equals_sign_but_no_comma():
    names = Labels(("a=b", "c"), False, (0,))
    tail = names.tails([0], "a=b=1,c=0")[0]
    assert tail.tolist() == [1, 0] and names.describe(tail) == "a=b=1,c=0"
    with refused("no attribute 'b'; there are a=b, c"):
        names.read("b=1")
    with pytest.raises(ValueError, match="not the labels of a generator"):
        Labels(("a,b", "c"), False, (0,))


def test_flags_of_other_programs_are_known():
    assert meant("n_classes", ["labels", "lr"]) == "labels"
    assert meant("--class", ["label", "n"]) == "label"
