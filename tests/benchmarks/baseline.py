"""The table of docs/baseline.md, from the runs in docs/baseline.csv.

    python tests/benchmarks/baseline.py --machine "2 idle EPYC cores" RUN RUN

adds trained and evaluated runs to the CSV and writes the table anew; without runs it only writes
the table. A run is known by recipe, flags, seed and images: added again, it replaces its line.
The docs say how to train and evaluate one.
"""

import argparse
import csv
import io
import json
import statistics
from itertools import groupby
from pathlib import Path

import turns

from dcgan_tf.common.config import bound_fields, flag
from dcgan_tf.common.config_file import load_recipe, read_config, recipe_of
from dcgan_tf.common.foreign import read_json
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import read_records

CSV, PAGE = (turns.ROOT / "docs" / f"baseline.{kind}" for kind in ("csv", "md"))
BEGIN, END = "<!-- table: tests/benchmarks/baseline.py -->", "<!-- end of the table -->"
KEY = ("recipe", "flags", "images", "reference")  # of a row of the table, over its seeds
OTHERS = {
    "79e380dd4d9e": "other people",
    "a84a52472391": "drawn faces",
    "9035953b9c60": "training images",
    "d52abae51d5b": "training images",  # digits
}  # reference sets by name
SCORES = {  # head of a column: column of the CSV, factor, digits
    "FID-768": ("fid_768", 1, 3),
    "KID-768, 10⁻³": ("kid_768", 1000, 2),
    "precision": ("precision", 1, 2),
    "recall": ("recall", 1, 3),
    "minutes": ("minutes", 1, 0),
}
WORDS = ("memorization", "machine")


def read_lines():
    """Read the CSV, {column: text} of each run."""
    return list(csv.DictReader(CSV.read_text(encoding="utf-8").splitlines()))


def read_run(run, machine):
    """Read a line of the CSV from a run: its newest score, and how it was trained."""
    config, recipe = read_config(run.config), recipe_of(read_json(run.versions), "-")
    scored = [r for r in read_records(run.evaluation) if r.get("fid_768") is not None]
    if not scored:
        raise SystemExit(f"{run.root} has no FID-768; score it with dcgan evaluate first")
    record = scored[-1]
    epochs = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    seconds = [json.loads(line)["seconds"] for line in run.timing.read_text().splitlines()]
    return {
        "recipe": recipe,
        "flags": flags_of(config, recipe),
        "seed": config.seed,
        "images": next(e["images_seen"] for e in epochs if e["epoch"] == record["epoch"]),
        "minutes": round(sum(seconds[: record["epoch"]]) / 60, 1),
        "machine": machine,
        "reference": record["protocol"]["reference_sha256"][:12],
        "fid_768": record["fid_768"],
        "kid_768": record["kid_mean"],
        "precision": record["precision"],
        "recall": record["recall"],
        "memorization": read_json(run.memorisation).get("verdict", ""),
    }


def flags_of(config, recipe):
    """Write the flags that make a config from its recipe, without the seed."""
    plain = load_recipe(recipe, seed=config.seed)
    changed = {n: v for n, v in bound_fields(config).items() if v != getattr(plain, n)}
    return " ".join(_as_flag(*item) for item in changed.items())


def _as_flag(name, value):
    if isinstance(value, bool):
        return flag(name) if value else flag(name).replace("--", "--no-", 1)
    return f"{flag(name)} {','.join(map(str, value)) if isinstance(value, tuple) else value}"


def table(lines):
    """Make the table in Markdown: a row for each recipe and its flags, mean ± deviation."""
    heads = ["recipe", "images", "seeds", *SCORES, *WORDS, "against"]
    rows = [heads, ["---"] * len(heads)]
    for key, group in groupby(lines, key=lambda line: [line[name] for name in KEY]):
        (recipe, flags, images, reference), runs = key, list(group)
        words = [dict.fromkeys(run[name] for run in runs if run[name]) for name in WORDS]
        rows.append([
            f"`{recipe}`" + (f" `{flags}`" if flags else ""),
            f"{int(images):,}",
            ", ".join(run["seed"] for run in runs),
            *(_mean([run[name] for run in runs], *form) for name, *form in SCORES.values()),
            *("; ".join(word) or "-" for word in words),
            OTHERS.get(reference, reference),
        ])  # fmt: skip
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _mean(texts, factor, digits):
    values = [float(text) * factor for text in texts if text]
    if not values:
        return "-"
    text = f"{statistics.fmean(values):.{digits}f}"
    text += f" ± {statistics.stdev(values):.{digits}f}" if len(set(values)) > 1 else ""
    return text + (f" (n = {len(values)})" if len(values) < len(texts) else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="to add to the CSV")
    parser.add_argument("--machine", default="", help="of these runs, and what else ran on it")
    arguments = parser.parse_args()
    lines = read_lines()
    for new in (read_run(Run(root), arguments.machine) for root in arguments.runs):
        new = {name: str(value) for name, value in new.items()}
        alike = [line for line in lines if all(line[name] == new[name] for name in KEY)]
        place = lines.index(alike[-1]) + 1 if alike else len(lines)
        lines.insert(place, new)
        lines = [x for x in lines if x is new or x not in alike or x["seed"] != new["seed"]]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    CSV.write_text(file.getvalue(), encoding="utf-8")
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(lines)}\n{END}{after}", encoding="utf-8")
    print(table(lines), end="")


if __name__ == "__main__":
    main()
