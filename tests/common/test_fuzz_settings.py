"""Hostile flags and config files, made from seeds: one line and exit code 2, or a config that its
own file gives back. In both cases nothing is written and little memory is taken."""

import argparse
import random

import pytest
from helpers import SPECIAL, one_line, put_special, small_growth

from dcgan_tf.common.cli import number, parse_seeds, run_command
from dcgan_tf.common.config import FIELDS, Config, flag
from dcgan_tf.common.config_file import read_config, to_toml
from dcgan_tf.common.errors import UserError
from dcgan_tf.train.command import parse_training

TEXTS = (
    *("-x", "-0", "1e308", "1e-400", "nan", "-inf", "0x10", "1_000", "2026-01-01", str(2**63)),
    *("9" * 5000, "-" + "9" * 5000, "4," * 5000 + "4", "0,0," + "9" * 40 + ",5", "a" * 100_000),
    *(",,", "\x1b[31mred\x1b[0m", "a\nb", "\u0661", "\udcff.zip", "~nobody", "/dev/zero", "\\"),
)
LINES = (
    *("epochs = " + "9" * 5000, "width = 1e400", "epochs = 1979-05-27", "g_channels = [[[[1]]]]"),
    *("d_channels = [" + "4, " * 20_000 + "]", "crop = [nan, 1]", "g_channels = [1.5, true]"),
    *('data = "\\u0000"', 'data = "\x7f"', 'data = "\\ud800"', "data = {}", "[[a]]", "\0"),
    *('"\\u001b[2J" = 1', "a" * 50_000 + " = 1", "= 5", '"__class__" = 1', "# \x1b[31m"),
)


@pytest.fixture
def bounded(here):
    """Fails where the test wrote something here or took much memory."""
    with small_growth(200e6):
        yield
    assert {path.name for path in here.iterdir()} <= {"own.toml"}


def config_of(argv, capsys):
    """The config of a command line; None where it was refused in one line with exit code 2."""
    kept = []
    code = run_command(lambda argv: kept.append(parse_training(argv)), argv)
    shown = capsys.readouterr()
    assert shown.out == ""
    if code == 0:
        assert shown.err == ""
        return kept[0].config
    assert code == 2 and not kept
    assert shown.err.startswith("error: ") and shown.err.count("\n") == 1
    assert len(shown.err) < 4000 and shown.err[:-1].isprintable()
    return None


@pytest.mark.parametrize("name", ["config", "run", *FIELDS])
def test_hostile_flags(name, bounded, here, capsys):
    for text in TEXTS:
        if config := config_of([f"{flag(name)}={text}"], capsys):
            (here / "own.toml").write_text(to_toml(config), encoding="utf-8")
            assert read_config(here / "own.toml") == config


def test_hostile_config_files(bounded, here, capsys):
    (here / "own.toml").write_bytes(b"\xef\xbb\xbfepochs = 5\r\n")  # a byte order mark is no fault
    assert read_config("own.toml").epochs == 5
    rng, whole = random.Random(0), to_toml(Config()).encode()
    for line in LINES:
        text, place = (line + "\n").encode(), rng.randrange(len(whole))
        damaged = whole[:place] + bytes([rng.randrange(256)]) + whole[place + 1 :]
        for content in (text, whole + text, whole[:place], damaged, rng.randbytes(300)):
            (here / "own.toml").write_bytes(content)
            config_of(["--config", "own.toml"], capsys)


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_config_file(kind, bounded, here, capsys):
    put_special(here / "own.toml", kind)
    assert config_of(["--config", "own.toml"], capsys) is None


@pytest.mark.parametrize("seed", range(10))
def test_hostile_seeds_and_numbers(seed, bounded):
    rng = random.Random(seed)
    parts = ("0-4294967295", "3-1", "-1", "5-", "\u0663", "0-999999", "7", "1e3", "", *TEXTS)
    text = ",".join(rng.choice(parts) for _ in range(rng.randrange(1, 4)))
    seeds = one_line(parse_seeds, "--seeds", text)
    if isinstance(seeds, str):
        assert len(seeds) < 300
    else:
        assert 0 < len(seeds) <= 1_000_000 and min(seeds) >= 0 and max(seeds) < 2**32
    for kind, most in ((int, 1000), (float, 1e6)):
        try:
            assert 1 <= number(kind, 1, most)(rng.choice(TEXTS)) <= most
        except argparse.ArgumentTypeError as error:
            assert str(error).startswith("got ") and len(str(error)) < 300


def test_seeds_are_counted_before_they_are_made(bounded):
    with pytest.raises(UserError, match="20,000,001 seeds, expected 100,000 at most"):
        parse_seeds("--seeds", "0-20000000")
    with pytest.raises(UserError, match="11 seeds, expected 10 at most"):
        parse_seeds("--seeds", "0-9,5", 10)
    assert parse_seeds("--seeds", "0-3, 100") == [0, 1, 2, 3, 100]
