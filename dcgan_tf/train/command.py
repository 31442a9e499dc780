"""The command line of train.py: defaults < config file < flags."""

import argparse
import itertools
import os
import sys
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dcgan_tf.common import hub, limits, runs
from dcgan_tf.common.animations import check_animation
from dcgan_tf.common.cli import Parser, at_home, number, path
from dcgan_tf.common.config import (
    FIELDS,
    MIDWAY,
    Config,
    check_value,
    expected,
    flag,
    groups,
    merge_settings,
    parse_count,
)
from dcgan_tf.common.config_file import (
    ALIASES,
    OWN_IMAGES,
    find_config,
    names,
    read_config,
    read_table,
)
from dcgan_tf.common.datasets import FETCHED
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import check_file
from dcgan_tf.common.runs import Run, has_checkpoint, started_in
from dcgan_tf.common.suggestions import meant, typed
from dcgan_tf.train.cluster import tell_workers
from dcgan_tf.train.init_from import init_files, with_shape

PATHS = ("data", "label_table", "packs", "init_from", "inception")
RECIPE = "celeba"  # the reference, which train.py follows where no other is named
TRACKERS = ("wandb", "trackio")  # packages that losses and scores can be sent to


@dataclass(frozen=True)
class Request:
    """The request of one call of train.py, or of dcgan_tf.train.

    Attributes:
        config_name: the recipe or file of the settings, for the run's name; "": none is named, and
            the images decide.
        celeba: the recipe for CelebA's images where none is named.
        run_dir: the directory named by --run, or None for a new numbered one.
        given: a `loss` and `networks` from a program, in place of those that the config names.
        named: the settings that the command line names.
        images: images.open_images, None before.
        tried: whether the config's precision is what auto became.
        by_program: whether dcgan_tf.train asks for it, not a command line.
    """

    config: Config
    config_name: str
    run_dir: Path | None
    dry_run: bool = False
    check: bool = False
    tracker: str = ""
    given: dict = field(default_factory=dict)
    callbacks: tuple = ()
    named: frozenset[str] = frozenset()
    images: tuple | None = None
    json: bool = False
    celeba: str = RECIPE
    tried: bool = False
    by_program: bool = False


def parse_training(argv: list[str] | None = None) -> Request:
    """Read train.py's command line, and check it as far as flags and files in TOML tell.

    Raises:
        UserError: an unknown flag, word or key, a wrong type or value, sizes that do not fit.
    """
    given = vars(_parser(sys.argv[1:] if argv is None else argv).parse_args(argv))
    words = given.pop("words")
    for word in words:
        _sort_word(word, given)
    word = given.pop("resume", None)
    if word or (word == "" and "run" not in given):
        newest = word in ("", "latest")
        run = runs.newest("log") if newest else runs.find(at_home(word, "--resume"), "--resume")
        _put("run", run.root, given)
    tracker = given.pop("tracker", "")
    if tracker:
        given["tensorboard"] = tracker == "tensorboard"
    if tracker in TRACKERS and find_spec(tracker) is None:
        raise UserError(f"needs the package: pip install {tracker}", flag=f"--tracker {tracker}")
    if "lr" in given:
        given = {**dict.fromkeys(MIDWAY, given["lr"]), **given}
        del given["lr"]
    celeba = OWN_IMAGES if given.get("data") in words else RECIPE
    named, run_dir = given.pop("config", None), given.pop("run", None)
    named = named and at_home(named, "--config")
    run_dir = run_dir and Run(run_dir).root  # runs/latest may be a file
    dry_run, check = given.pop("dry_run", False), given.pop("check", False)
    as_json = given.pop("json", False)
    if as_json and not check:
        raise UserError("needs --check, whose answer it prints as JSON", flag="--json")
    base, config_name = _base(named, run_dir, given)
    flags = {name: _parse(name, text) for name, text in given.items()}
    for name in ("data", "packs", "init_from"):
        if flags.get(name) == "":
            raise UserError(f"{flag(name)}: got an empty text, expected a path")
    settings = merge_settings(base, flags)
    settings |= {n: expand_home(flag(n), settings[n]) for n in PATHS if n in settings}
    if flags.get("inception"):
        check_file(Path(settings["inception"]), "--inception", ".tgz or .npz")
    named_paths = {n: settings[n] for n in PATHS if n != "init_from" and flags.get(n)}
    settings |= seen_from_run(run_dir, named_paths)
    settings["init_from"] = fix_start(settings.get("init_from", ""), run_dir)
    config = _check(settings, flags, config_name)
    most = limits.GRID_PIXELS // config.image_size**2
    if config.sample_count > most:
        raise UserError(
            f"--sample-count {config.sample_count}: a grid of images of {config.image_size}x"
            f"{config.image_size} holds at most {most:,}; generate.py makes any number of files"
        )
    found = config, config_name, run_dir, dry_run, check, tracker
    return Request(*found, named=frozenset(flags), json=as_json, celeba=celeba)


def _check(settings: dict[str, Any], flags: dict[str, Any], config_name: str) -> Config:
    """Make a Config; where the images will decide the recipe, of one of those that they may."""
    try:
        return Config(**settings)
    except UserError:
        if config_name:
            raise
        own = read_table(find_config(OWN_IMAGES)) | {"dataset": "auto"}
        own = with_shape(own, settings.get("init_from", ""), own=False)
        return Config(**merge_settings(own, {name: settings[name] for name in flags}))


def _sort_word(word, given):
    """Take a word without a flag as what it names: a run, a recipe or images."""
    place = Path(at_home(word))
    run = runs.named(place)
    if word in (*names(), *ALIASES) or (place.suffix == ".toml" and place.is_file()):
        _put("config", str(place) if place.suffix == ".toml" else word, given)
    elif run and run.config.is_file():
        _put("run", run.root, given)
    elif place.exists() or word in FETCHED or word.startswith(hub.PREFIX):
        _put("data", word, given)
    else:
        beside = map(str, itertools.islice(place.parent.glob("*"), 1000))
        near = meant(str(place), [*names(), *ALIASES, *runs.names(), *beside])
        there = f"the recipes are {', '.join(names())}; {runs.list_runs()}"
        hint = f"did you mean {near}?" if near else there
        raise UserError(f"no recipe, run, folder or zip is called {limits.shown(word)}; {hint}")


def _put(name, value, given):
    if name in given:
        raise UserError(f"got {given[name]} and {value}; name one", flag=f"--{name}")
    given[name] = value


HELP = {  # for each verb of this command: what may follow it, what it does, examples
    "train": (
        "[RECIPE] [DIR | ZIP] [RUN] [--SETTING VALUE ...]",
        "Train a DCGAN, or resume a run. Every setting of a config file is also a flag. Values in "
        f"brackets are those of {RECIPE}, the recipe where none is named; a folder or zip alone is "
        f"trained by {OWN_IMAGES}, which `{{recipes}} {OWN_IMAGES}` shows.",
        {
            "laptop archive.zip": "a recipe, on CelebA as Kaggle has it",
            "photos": "your own images: a folder or a zip",
            "1 --images 400k": "resume run 1 in runs/, here for longer",
        },
    ),
    "resume": (
        "[RUN] [--SETTING VALUE ...]",
        "Resume a run from its newest checkpoint, by default the run that was trained last. It "
        "keeps its settings; flags change those that may change.",
        {
            "": "the run that was trained last",
            "3 --epochs 300": "run 3 in runs/, here with more epochs",
        },
    ),
    "check": (
        "[RECIPE] [DIR | ZIP] [RUN] [--json] [--SETTING VALUE ...]",
        "Show what a training would run on, and time ten steps. It takes what train takes and "
        "writes nothing.",
        {
            "laptop": "how long would this recipe take here?",
            "photos --json": "the answer for your own images as JSON",
        },
    ),
}


def _parser(argv) -> Parser:
    verb = next((verb for verb in HELP if argv[:1] == [f"--{verb}"]), "train")
    words, about, examples = HELP[verb]
    parser = Parser(
        verb,
        about.format(recipes=typed("recipes")),
        examples,
        usage=f"{typed(verb)} {words}",
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("words", nargs="*", default=[], metavar="WORD", help="a recipe, a config file, a folder "
        "or zip of images, or a run to resume")  # fmt: skip
    add("--config", metavar="NAME", help=f"a recipe: {', '.join(names())}; or a config file")
    add("--run", type=path, metavar="DIR", help="the run's directory; an existing run is resumed")
    add("--resume", metavar="RUN", nargs="?", const="", help="resume a run [latest]")
    bounds = FIELDS[MIDWAY[0]].metadata
    rate = number(float, bounds["low"], bounds["high"])
    add("--lr", type=rate, metavar="X", help="learning rate of both networks")
    add("--tracker", choices=("tensorboard", *TRACKERS, "none"), help="tracker that also "
        "records the losses and scores [tensorboard]")  # fmt: skip
    instead = parser.add_mutually_exclusive_group().add_argument
    instead("--dry-run", action="store_true", help="show settings, networks and plan, and exit")
    instead("--check", action="store_true", help="show what a training would run on, time some "
        "steps, and exit")  # fmt: skip
    add("--json", action="store_true", help="--check as JSON, for a bug report")
    recipe = read_config(find_config(RECIPE))
    for heading, members in groups().items():
        group = parser.add_argument_group(heading)
        for name in members:
            spec = FIELDS[name]
            # argparse's own formatting would print the suppressed defaults: name them ourselves.
            text = (spec.metadata["help"] + _default_text(getattr(recipe, name))).replace("%", "%%")
            more: dict[str, Any] = {"metavar": _metavar(spec)}
            if spec.type is bool:
                more = {"action": argparse.BooleanOptionalAction}
            group.add_argument(flag(name), dest=name, help=text, **more)
    return parser


def expand_home(flag, text) -> str:
    """A path (of --init-from two) with the folder that ~ or ~name stands for."""
    paths = text.split(",") if flag == "--init-from" else [text]
    return ",".join(path and at_home(path, flag) for path in paths)


def fix_start(init_from: str, run_dir: Path | None) -> str:
    """Put the run's own name in place of `runs/latest`, which will be another one.

    Where the command is repeated, it is the run that it was when `run_dir` began.
    """
    fixed = ",".join(map(runs.lasting, init_from.split(",")))
    if fixed != init_from and run_dir and (saved := run_dir / "config.toml").is_file():
        return read_table(saved).get("init_from") or fixed
    return fixed


def seen_from_run(run_dir: Path | None, paths: dict[str, str]) -> dict[str, str]:
    """Make paths absolute for a run that was started in another directory than the current one.

    In its config.toml a relative path starts from the directory that it was started in.
    """
    if not run_dir or started_in(Run(run_dir)) in (None, Path.cwd()):
        return paths
    return {n: path if path in FETCHED else _absolute(path) for n, path in paths.items()}


def _absolute(text: str) -> str:
    """A path, also that of a data set in a folder, seen from any directory; a hub's name stays."""
    if text.startswith(hub.PREFIX) and not Path(hub.split_data(text)[0]).is_dir():
        return text
    return hub.change_path(text, os.path.abspath)


def _base(named, run_dir, given) -> tuple[dict[str, Any], str]:
    """The settings that the flags change, and their name.

    An existing run resumes with its own settings. Else they are those of the recipe that --config
    names, or of the reference; with other images than CelebA the plain defaults, for a recipe's
    subset is one of its own images. Where neither a flag nor the recipe tells the data set, the
    images will. Networks that --init-from names bring their shape.
    """
    saved = run_dir / "config.toml" if run_dir and not named else None
    if saved and saved.is_file():
        return read_table(saved), run_dir.resolve().name
    dataset = given.get("dataset", "celeba")
    plain = not named and dataset != "celeba"
    file = find_config(named or RECIPE)
    base = {} if plain else read_table(file)
    told = "dataset" in given or "dataset" in base or given.get("data", "") in ("", *FETCHED)
    base = base if told else base | {"dataset": "auto"}
    init_from = expand_home("--init-from", given.get("init_from", base.get("init_from", "")))
    base = with_shape(base, init_from, own=bool(named) and named not in names())
    if not (named or told):
        return base, ""
    return base, dataset if plain else file.stem


def _default_text(default) -> str:
    if isinstance(default, bool):
        return " [yes]" if default else " [no]"
    text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
    return f" [{text}]" if text else ""


def _metavar(spec) -> str:
    if spec.metadata["choices"]:
        return "|".join(map(str, spec.metadata["choices"]))
    return {int: "N", float: "X", str: "TEXT"}.get(spec.type, "N,N,...")


def _parse(name, text) -> Any:
    """The value of field `name` from its flag's text."""
    kind: Any = FIELDS[name].type
    try:
        if kind == tuple[int, ...]:
            value = tuple(int(part) for part in text.split(","))
        else:
            value = parse_count(text) if kind is int else kind(text)
    except ValueError:
        raise UserError(
            f"got {limits.shown(text)}, expected {expected(name)}", param=name
        ) from None
    check_value(name, value)
    return value


def check_request(request: Request):
    """Raise UserError for a run or networks that the settings do not fit, as far as files tell."""
    check_animation(request.config.progress_format, "--progress-format")
    run = request.run_dir and Run(request.run_dir)
    if not (run and run.config.is_file()):  # an existing run does not need these networks any more
        init_files(request.config.init_from)
    if run and not os.environ.get("TF_CONFIG"):  # of several workers only the chief looks at it
        from dcgan_tf.train import run_lock  # --help need not wait for what it imports

        run_lock.check_run(run, request.config)


def _as_begun(request, run: Run) -> Config:
    """Put into a config what the program decided when its run began, so that one command resumes:
    what precision auto became, and all images where they were fewer than a recipe's subset."""
    config, kept = request.config, read_config(run.config)
    if config.precision == "auto":
        config = replace(config, precision=kept.precision)
    if config.subset and kept.subset == 0 and "subset" not in request.named:
        count = 0
        if has_checkpoint(run):
            from dcgan_tf.common.checkpoints import read_journal  # imports NumPy

            journal = read_journal(run)
            # Older journals lack it; their epochs are all images, or at least 2,000 of them.
            steps = journal.get("steps_per_epoch", 0)
            count = journal.get("images") or (steps - 1) * config.batch_size
        if count < config.subset:
            config = replace(config, subset=0)
    return config


def prepare(request: Request) -> Request:
    """Refuse bad input before the seconds that TensorFlow takes, then start it.

    Returns:
        The request with its images, opened and counted.

    Raises:
        UserError: as check_request and find_gpus, no usable images, or too little memory.
    """
    if request.config.dataset == "auto":
        from dcgan_tf.train.images import recognize_images

        request = recognize_images(request)
    tell_workers(request.config)
    run = request.run_dir and Run(request.run_dir)
    if run and run.config.is_file():
        request = replace(request, config=_as_begun(request, run))
    check_request(request)
    from dcgan_tf.train.images import find_images  # --help need not wait for what it imports

    request = find_images(request)
    from dcgan_tf.common.start_tensorflow import find_gpus, start_tensorflow

    # Where TensorFlow is imported, a program or a notebook has set it as it likes.
    start = find_gpus if "tensorflow" in sys.modules else start_tensorflow
    on_gpu = start(request.config.device, request.config.strategy)
    from dcgan_tf.train.machine import check_memory

    check_memory(request.config, on_gpu)
    return request
