"""A plot is the same whatever the user's Matplotlib is set to, and takes names as they are."""

import warnings

import matplotlib

from dcgan_tf.common.plots import figure, label


def draw(path, title="a run", name="d_loss"):
    with figure(path, title, "images seen") as (above, below):
        above.plot([0, 20_000], [1, 2], label=label(name))
        below.plot([0, 20_000], [0, 1], label="of reals")
    return [text.get_text() for text in above.get_legend().get_texts()]


def test_what_the_users_matplotlib_is_set_to_changes_nothing(tmp_path):
    draw(tmp_path / "ours.png")
    theirs = {"text.usetex": True, "figure.dpi": 7, "savefig.format": "pdf", "font.size": 40}
    with matplotlib.rc_context(theirs):
        draw(tmp_path / "theirs.png")
        assert all(matplotlib.rcParams[name] == value for name, value in theirs.items())
    assert (tmp_path / "theirs.png").read_bytes() == (tmp_path / "ours.png").read_bytes()


def test_a_name_is_shown_as_it_is_without_a_warning(tmp_path):
    name = "_$MODEL_$SEED 人脸 \u0627\u0644"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [text.strip() for text in draw(tmp_path / "a.png", name, name)] == [name]
    assert (tmp_path / "a.png").stat().st_size > 5000
