"""One command with verbs: `dcgan VERB`, or `python -m dcgan_tf VERB`."""

import platform
import sys
import time
from importlib import import_module
from pathlib import Path

from dcgan_tf import __version__
from dcgan_tf.common import cli, limits, runs
from dcgan_tf.common.cli import Parser, columns
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.log import on_one_line
from dcgan_tf.common.suggestions import meant, quoted, typed

EXAMPLES = {
    "generate faces": "64 faces from the bundled generator, in seconds",
    "train photos": "train on a folder or a zip of your own images",
    "report": "the newest run as one page",
}
VERBS = {
    "Train": {
        "train [RECIPE] [DIR|ZIP] [RUN]": "train with a recipe or on your images, or resume a run",
        "resume [RUN]": "resume a run, by default the last one trained",
        "data DIR": "examine images before a training: counts, sizes, what is skipped",
        "check [RECIPE]": "show what a training would run on, and time ten steps",
        "recipes [NAME]": "list the recipes, or show or copy one",
    },
    "Use a generator": {
        "generate [RUN|FILE]": "images from seeds; GIFs that interpolate between seeds",
        "explore [RUN|FILE]": "a page to explore the latent space",
        "directions [RUN|FILE]": "directions in the latent space: smile, age, pose",
        "export [RUN|FILE]": "other formats (ONNX, LiteRT, SavedModel), or a folder for a hub",
    },
    "Measure": {
        "evaluate [RUN|A B]": "FID, KID, precision and recall; copies of training images",
        "report [RUN ...]": "curves, samples and scores as one HTML page",
        "compare RUN RUN": "settings, losses and scores side by side",
        "probe [RUN]": "classify labeled images by discriminator features",
    },
    "Manage": {
        "runs": "list the runs: recipe, data, images, score, age, state",
        "storage": "list or delete cached packs and features",
        "version": "versions of this package and its libraries",
    },
}
NAMES = [line.split(" ")[0] for lines in VERBS.values() for line in lines]


def main(argv=None):
    """Run a verb; without one, list the verbs."""
    if argv is None:
        older = Path(sys.argv[0]).stem.partition("dcgan-")[2]  # the installed command `dcgan-train`
        argv = [older, *sys.argv[1:]] if older else sys.argv[1:]
    verb, rest = argv[0] if argv else "help", argv[1:]
    if verb == "help" and rest:
        verb, rest = rest[0], ["--help"]
    if verb in ("help", "--help", "-h"):
        return print(_overview())
    if verb in ("version", "--version"):
        return _show_versions()
    if verb == "runs":
        return _list_runs(rest)
    if verb == "recipes":
        return _show_recipes(rest)
    if verb in ("resume", "check"):
        verb, rest = "train", [f"--{verb}", *rest]
    if verb not in NAMES:
        raise UserError(_unknown(verb))
    return import_module(f"dcgan_tf.{verb}.__main__").main(rest)


def run():
    """Run as one of the installed commands."""
    cli.run(main)


def _overview():
    program = typed("")
    examples = {f"{program} {line}": about for line, about in EXAMPLES.items()}
    width = max(len(line) for lines in VERBS.values() for line in lines)
    return "\n\n".join([
        f"{program} VERB ...: train a DCGAN on faces or your own images, and use it",
        f"examples:\n{columns(examples)}",
        *(f"{group}:\n{columns(lines, width)}" for group, lines in VERBS.items()),
        "RUN is a directory, a name or a number in runs/, or latest.\n"
        f"{program} VERB --help has examples and all flags.",
    ])  # fmt: skip


def _unknown(verb):
    from dcgan_tf.common.config_file import ALIASES, names

    if near := meant(verb, NAMES):
        hint = f"did you mean {typed(near)}?"
    elif near := meant(verb, [*names(), *ALIASES]) or (Path(verb).exists() and verb):
        hint = f"did you mean {typed('train')} {near}?"
    else:
        hint = f"the verbs are {', '.join(NAMES)}"
    return f"{limits.shorten(verb)} is not a verb; {hint}"


def _show_versions():
    from importlib import metadata  # slow to import

    print(f"dcgan_tf {__version__}, Python {platform.python_version()}")
    for name in ("tensorflow", "keras", "numpy", "pillow"):
        try:
            print(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            print(f"{name} is not installed; run: pip install -r requirements.txt")


# Recipes


def _show_recipes(argv):
    from dcgan_tf.common.config_file import find_config

    parser = Parser(
        "recipes",
        "List the recipes, or show or copy one.",
        {
            "": "all recipes",
            "laptop": "its settings and results",
            "laptop --copy mine.toml": f"copy it, edit it, then: {typed('train')} mine.toml",
        },
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a recipe")
    parser.add_argument("--copy", type=cli.path, metavar="FILE", help="copy it to a new file")
    args = parser.parse_args(argv)
    if args.name is None:
        if args.copy:
            raise UserError("needs the name of a recipe before it", flag=f"--copy {args.copy}")
        return print(_recipe_table())
    text = find_config(args.name).read_text(encoding="utf-8")
    if args.copy is None:
        return print(text, end="")
    if args.copy.exists():
        raise UserError("this file exists; choose another name", flag=f"--copy {args.copy}")
    if not args.copy.parent.is_dir():
        words = f"there is no folder {args.copy.parent}; make it, or name another"
        raise UserError(words, flag=f"--copy {args.copy}")
    args.copy.write_text(text, encoding="utf-8")
    then = f"{typed('train')} {quoted([str(args.copy)])} DIR"
    print(f"wrote {args.copy}; edit it, then: {then}, with your images")


def _recipe_table():
    """List each recipe with the first sentence of its file, those named by time first."""
    from dcgan_tf.common.config_file import ALIASES, find_config, names

    times = {name: time for time, name in ALIASES.items()}
    rows = []
    for name in [*times, *(name for name in names() if name not in times)]:
        text = find_config(name).read_text(encoding="utf-8").replace("\n#", "")
        about, _, source = text.removeprefix(f"# {name}: ").partition(" Reproduces: ")
        kind = "" if source.startswith("nothing published") else "reference: "
        rows.append((name, times.get(name, ""), kind + about.split(". ")[0].rstrip(".")))
    rows.sort(key=lambda row: row[2].startswith("reference"))
    note = "Times are for two CPU cores and also work as names: minutes is quick."
    return f"{_table([('recipe', 'time', 'what it is'), *rows])}\n\n{note}"


def _table(rows):
    rows = [[on_one_line(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (zip(row, widths, strict=True) for row in rows)
    return "\n".join("  ".join(f"{text:<{size}}" for text, size in line).rstrip() for line in lines)


# Runs


def _list_runs(argv):
    parser = Parser(
        "runs",
        "List the runs, the newest last.",
        {"": "the runs in runs/", "sweep": "the runs in another folder"},
    )
    parser.add_argument("folder", type=cli.path, nargs="?", default=runs.RUNS, metavar="DIR",
        help="folder of runs [runs]")  # fmt: skip
    folder = parser.parse_args(argv).folder
    if not folder.is_dir() and folder != runs.RUNS:
        raise UserError(f"{folder}: no such folder")
    found = [runs.Run(folder / name) for name in runs.names(folder)]
    if not found:
        return print(f"no run in {folder}; {typed('train')} demo makes one in a few minutes")
    head = ("run", "recipe", "data", "images", "score", "age", "state")
    print(_table([head, *map(_row, found)]))


def _row(run):
    from dcgan_tf.common.config_file import read_table, recipe_of
    from dcgan_tf.common.foreign import is_count, read_json, read_lines
    from dcgan_tf.common.progress import duration
    from dcgan_tf.common.scores import LABELS, cell, frechet_name, read_records

    try:
        settings = read_table(run.config)
    except UserError:
        return (run.root.name, *["-"] * 5, "damaged: config.toml")
    last = (read_lines(run.metrics) or [{}])[-1]
    last = {name: value for name, value in last.items() if is_count(value)}
    records = read_records(run.evaluation)
    kind = frechet_name(records[-1]) if records else None
    age = time.time() - max(file.stat().st_mtime for file in (run.config, run.log) if file.exists())
    return (
        run.root.name,
        recipe_of(read_json(run.versions), "-"),
        Path(settings.get("data") or settings.get("dataset", "celeba")).name,
        f"{last['images_seen']:,}" if "images_seen" in last else "-",
        f"{LABELS[kind]} {cell(records[-1], kind)}" if kind else "-",
        duration(age) if age < 86_400 else f"{age // 86_400:.0f} d",
        _state(run, last, settings),
    )


def _state(run, last, settings):
    import filelock

    from dcgan_tf.common.files import lock_at

    unit, count = ("images", "images_seen") if settings.get("images") else ("epochs", "epoch")
    done, goal = last.get(count, 0), settings.get(unit, 200)
    how_far = f"{done:,} of {goal:,} {unit}"
    try:
        if run.lock.is_file():
            lock_at(run.lock).acquire(timeout=0).lock.release()
    except filelock.Timeout:
        return f"training, {how_far}"
    except OSError:  # read-only, so nothing trains there
        pass
    return "done" if done >= goal else f"stopped at {how_far}"


if __name__ == "__main__":
    run()
