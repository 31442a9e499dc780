"""Hostile flags and config files, made from seeds: one line and exit code 2, or a config that its
own file gives back. In both cases nothing is written and little memory is taken."""

import argparse
import os
import random

import pytest
from helpers import SPECIAL, one_line, put_special, small_growth

from dcgan_tf.common.cli import number, parse_seeds, run_command
from dcgan_tf.common.config import FIELDS, Config, flag
from dcgan_tf.common.config_file import read_config, to_toml
from dcgan_tf.common.errors import UserError
from dcgan_tf.train.command import parse_training

TEXTS = (
    *("", " ", "-", "-x", "0", "-0", "-1", "1.5", "1e3", "1e308", "-1e308", "1e-400", "1e39"),
    *("nan", "inf", "-inf", "0x10", "1_000", "1+2j", "2026-01-01", "1979-05-27T07:32:00Z", "true"),
    *("9" * 5000, "-" + "9" * 5000, "0" * 5000 + "1", "1" + "0" * 400, str(2**31), str(2**32)),
    *(str(2**53 + 1), str(2**63), str(2**64), ",", ",,", "4,", "4,,4", ",".join("4" * 400)),
    *("4," * 5000 + "4", "1;2", "[1, 2]", "{}", "None", "0,0,0,0", "0,0," + "9" * 40 + ",5"),
    *("\x7f", "\x1b[31mred\x1b[0m", "a\nb", "\r\n", "\u202e", "\u0661\u0662"),
    *("\udcff.zip", "\ud800", "\U0001f600", "~nobody", "~", "../..", "/dev/zero", "/dev/full"),
    *("a" * 100_000, "%s%n", "\\", '"', "'''", "#", "$HOME", "`ls`", "CON"),
)

LINES = (
    *("epochs = " + "9" * 5000, "epochs = 0x" + "f" * 20_000, "seed = -9223372036854775809"),
    *("width = 1e400", "width = nan", "epochs = 1979-05-27", "seed = 07:32:00", "flip = 1"),
    *("g_channels = [[[[1]]]]", "d_channels = []"),
    *("d_channels = [" + "4, " * 20_000 + "]", "crop = [1, 2, 3]", "crop = [nan, 1]"),
    *('data = "\\u0000"', 'data = "a\0b"', 'data = "\x7f"', 'data = "\\ud800"', 'data = """a\n"""'),
    *("data = {}", "data = [[]]", 'init_from = ["G", "D"]', "[a]", "[[a]]"),
    *('"" = 1', '"\\u001b[2J" = 1', "a" * 50_000 + " = 1", "epochs = 5 epochs = 6", "= 5", "\0"),
    *('"__class__" = 1', '"metadata" = {}', "epochs = 1\nepochs = 2", "\ufeff", "# \x1b[31m"),
    *("precision = 'float8'", "channels = 2", "g_channels = [1.5, true]", "max_bad = 1e-400"),
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


@pytest.mark.parametrize("seed", range(15))
def test_hostile_flags(seed, bounded, here, capsys):
    rng = random.Random(seed)
    for _ in range(12):
        names = rng.sample(["config", "run", *FIELDS], rng.choice((1, 1, 2)))
        argv = [f"{flag(name)}={rng.choice(TEXTS)}" for name in names]
        config = config_of(argv, capsys)
        if config:
            (here / "own.toml").write_text(to_toml(config), encoding="utf-8")
            assert read_config(here / "own.toml") == config


@pytest.mark.parametrize("seed", range(15))
def test_hostile_config_files(seed, bounded, here, capsys):
    rng = random.Random(seed)
    whole = to_toml(Config()).encode()
    for _ in range(4):
        lines = rng.sample(LINES, rng.choice((1, 1, 2)))
        text = ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")
        place = rng.randrange(len(whole))
        damaged = bytearray(whole[:place] + bytes([rng.randrange(256)]) + whole[place + 1 :])
        content = rng.choice((text, text, whole + text, whole[:place], damaged, rng.randbytes(300)))
        (here / "own.toml").write_bytes(content)
        config_of(["--config", "own.toml"], capsys)


@pytest.mark.parametrize("seed", range(8))
def test_every_name_survives_the_saved_file(seed, here, capsys):
    rng = random.Random(seed)
    kinds = [
        b"\x01\x1b\x7f\x85\"'\\#,",
        range(1, 0xA0),
        range(0x2000, 0x2070),
        range(0x1F600, 0x1F640),
    ]
    name = "".join(chr(rng.choice(rng.choice(kinds))) for _ in range(rng.randrange(1, 40)))
    name = os.fsdecode(os.fsencode(f"./{name}"))  # as the operating system hands it over
    config = parse_training([f"--data={name}", f"--packs={name}", "--subset=0"]).config
    (here / "own.toml").write_text(to_toml(config), encoding="utf-8")
    saved = read_config(here / "own.toml")
    assert saved == config and saved.data == name


@pytest.mark.parametrize("kind", [*SPECIAL, "utf-16", "locked"])
def test_what_is_no_config_file(kind, bounded, here, capsys):
    path = here / "own.toml"
    if kind in SPECIAL:
        put_special(path, kind)
    else:
        path.write_text("epochs = 5\n", encoding="utf-16" if kind == "utf-16" else "utf-8")
    if kind == "locked":
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
    assert config_of(["--config", "own.toml"], capsys) is None


def test_a_byte_order_mark_is_no_part_of_the_file(here):
    (here / "own.toml").write_bytes(b"\xef\xbb\xbfepochs = 5\r\n")
    assert read_config("own.toml").epochs == 5


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
