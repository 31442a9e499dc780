"""generate.py's story: which generator, which latents, which files."""

import re
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dcgan_tf import runs
from dcgan_tf.errors import UserError
from dcgan_tf.flags import Parser

GRID_LIMIT = 1024  # pictures in grid.png; more would be a picture that nobody opens
MAX_SEED = 2**32 - 1


def parse_generation(argv=None):
    """Read generate.py's command line, without importing TensorFlow.

    Returns:
        argparse.Namespace: `model` (Path), `out` (Path or None), `seeds` (list or None), ...

    Raises:
        UserError: an unknown flag, an unreadable value, no model, or files in the way.
    """
    parser = Parser(
        prog="generate.py",
        description="Generate pictures with a trained generator.",
        epilog="example: python generate.py --n 64",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--run", metavar="DIR", help="the run whose generator is used [the newest]")
    where.add_argument("--model", metavar="FILE", help="a generator's .keras file instead")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--n", metavar="N", help="so many pictures, of seeds 0 to N-1 [64]")
    what.add_argument("--seeds", metavar="LIST", help="pictures of these seeds, such as 0-63,100")
    what.add_argument("--latents", metavar="FILE", help="latents from a .npy file (n, latent_dim)")
    what.add_argument("--fill", metavar="X,..", help="constant latents, such as 0,0.5,1")
    what.add_argument(
        "--interpolate",
        metavar="SEEDS",
        help="a GIF and a strip from seed to seed, such as 3,17,42",
    )
    parser.add_argument("--truncation", metavar="T", help="multiply latents by T, such as 0.7 [1]")
    parser.add_argument("--frames", metavar="N", help="interpolation steps per pair of seeds [24]")
    parser.add_argument("--out", metavar="DIR", help="where to write [a new folder in the run]")
    parser.add_argument("--force", action="store_true", help="write into a folder that has files")
    args = parser.parse_args(argv)
    args.n = _number("--n", args.n, 64, int, 1)
    args.frames = _number("--frames", args.frames, 24, int, 1)
    args.truncation = _number("--truncation", args.truncation, 1.0, float, 0)
    args.seeds = _seeds("--seeds", args.seeds) if args.seeds is not None else list(range(args.n))
    if args.interpolate is not None:
        args.interpolate = _seeds("--interpolate", args.interpolate)
        if len(args.interpolate) < 2:
            raise UserError("--interpolate: got one seed, expected two or more, such as 3,17,42")
    if args.fill is not None:
        args.fill = [_number("--fill", text, None, float) for text in args.fill.split(",")]
    args.model = _find_model(args)
    args.out = Path(args.out) if args.out is not None else None
    if args.out and args.out.exists():
        if not args.out.is_dir():
            raise UserError(f"--out {args.out}: this is a file, expected a folder")
        if any(args.out.iterdir()) and not args.force:
            raise UserError(
                f"--out {args.out}: has files already; name another folder, or add --force "
                "to replace those of the same names"
            )
    return args


def _number(flag, text, default, kind, low=-np.inf):
    try:
        value = default if text is None else kind(text)
        if not low <= value < np.inf:
            raise ValueError
    except ValueError:
        words = {int: "a whole number", float: "a number"}[kind]
        limit = f", {low} or more" if low > -np.inf else ""
        raise UserError(f"{flag}: got {text!r}, expected {words}{limit}") from None
    return value


def _seeds(flag, text):
    """list[int]: "0-3,100" as 0, 1, 2, 3, 100."""
    seeds = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= MAX_SEED:
            raise UserError(
                f"{flag}: got {text!r}, expected seeds from 0 to {MAX_SEED} such as 0-63,100"
            )
        seeds.extend(range(first, last + 1))
    return seeds


def _find_model(args):
    if args.model:
        path = Path(args.model)
    elif args.run:
        path = runs.Run(args.run).generator
        if not path.is_file():
            raise UserError(
                f"--run {args.run}: no generator.keras there; it appears with the first checkpoint"
            )
    else:
        path = runs.newest().generator
    if not path.is_file():
        raise UserError(f"--model {path}: no such file")
    return path


def generate(args):
    """Generate what `args` (of parse_generation) ask for.

    Raises:
        UserError: a model file that is none, or latents that do not fit it.
    """
    from dcgan_tf.networks import load_network
    from dcgan_tf.sampling import Sampler, seed_latents, weights_sha256

    generator = load_network(args.model, "--model")
    if len(generator.input_shape) != 2 or len(generator.output_shape) != 4:
        raise UserError(f"--model {args.model}: a {generator.name}, expected a generator")
    sampler = Sampler(generator)
    text = {"model_sha256": weights_sha256(generator), "truncation": args.truncation}
    if args.interpolate:
        corners = args.truncation * seed_latents(args.interpolate, sampler.latent_dim)
        out = _open_out(args)
        _write_interpolation(out, sampler, corners, args, text)
    else:
        latents, names, texts = _latents(args, sampler.latent_dim)
        out = _open_out(args)
        _write_pictures(out, sampler, args.truncation * latents, names, texts, text)
    print(f"wrote {out}")


def _latents(args, length):
    """Latents (n, length), and for each picture its name and the text that says what it is."""
    from dcgan_tf.sampling import seed_latents

    if args.latents is not None:
        latents = _load_latents(args.latents, length)
        names = [f"latent_{row:06d}" for row in range(len(latents))]
        return latents, names, [{"latent": row} for row in range(len(latents))]
    if args.fill is not None:
        latents = np.array([np.full(length, value) for value in args.fill], np.float32)
        return latents, [f"fill_{v:g}" for v in args.fill], [{"fill": v} for v in args.fill]
    names = [f"seed_{seed:06d}" for seed in args.seeds]
    return seed_latents(args.seeds, length), names, [{"seed": seed} for seed in args.seeds]


def _load_latents(path, length):
    try:
        latents = np.load(path, allow_pickle=False)
        latents = np.asarray(latents, np.float32)
    except FileNotFoundError:
        raise UserError(f"--latents {path}: no such file") from None
    except (ValueError, EOFError, TypeError) as error:
        raise UserError(f"--latents {path}: not a .npy file of numbers ({error})") from None
    if latents.ndim != 2 or latents.shape[1] != length or not len(latents):
        raise UserError(
            f"--latents {path}: got shape {latents.shape}, expected (n, {length}) for this model"
        )
    if not np.isfinite(latents).all():
        raise UserError(f"--latents {path}: has values that are NaN or infinite")
    return latents


def _open_out(args):
    """Path: the folder to write into; made only now, when nothing can be refused any more."""
    if args.out:
        runs.make_directory(args.out, "--out")
        return args.out
    return runs.next_directory(args.model.parent / "generated")


def _write_pictures(out, sampler, latents, names, texts, text):
    from dcgan_tf.images import grid, save_png

    (out / "images").mkdir(exist_ok=True)
    shown = []
    pictures = tqdm(sampler.pictures(latents), total=len(names), unit="img", disable=None)
    for picture, name, own in zip(pictures, names, texts, strict=True):
        # Thousands of small files: waiting for the disk after each would take most of the time.
        save_png(out / "images" / f"{name}.png", picture, {**text, **own}, sync=False)
        if len(shown) < GRID_LIMIT:
            shown.append(picture)
    save_png(out / "grid.png", grid(np.stack(shown)), text)
    if len(names) > GRID_LIMIT:
        print(f"grid.png shows the first {GRID_LIMIT} of {len(names)} pictures")


def _write_interpolation(out, sampler, corners, args, text):
    from dcgan_tf.images import grid, save_gif, save_png, to_pillow
    from dcgan_tf.sampling import slerp

    pairs = zip(corners[:-1], corners[1:], strict=True)
    steps = [slerp(a, b, t / args.frames) for a, b in pairs for t in range(args.frames)]
    pictures = sampler.array(np.stack([*steps, corners[-1]]))
    save_gif(out / "interpolation.gif", [to_pillow(p) for p in pictures], 60, 600)
    columns = np.linspace(0, len(pictures) - 1, 8 * (len(corners) - 1) + 1).round().astype(int)
    seeds = ",".join(map(str, args.interpolate))
    strip = grid(pictures[columns], columns=len(columns))
    save_png(out / "strip.png", strip, {**text, "seeds": seeds})
