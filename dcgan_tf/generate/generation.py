"""generate.py's story: which generator, which latents, which files."""

import logging

import numpy as np
from tqdm import tqdm

from dcgan_tf.common import files
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.images import grid, save_gif, save_png, to_pillow
from dcgan_tf.models.networks import load_network
from dcgan_tf.models.sampling import Sampler, seed_latents, slerp, weights_sha256

log = logging.getLogger(__name__)

GRID_LIMIT = 1024  # pictures in grid.png; more would be a picture that nobody opens


def generate(args):
    """Generate what `args` (of parse_generation) ask for.

    Raises:
        UserError: a model file that is none, or latents that do not fit it.
    """
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
    log.info(f"wrote {out}")


def _latents(args, length):
    """Latents (n, length), and for each picture its name and the text that says what it is."""
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
        files.make_directory(args.out, "--out")
        return args.out
    return files.next_directory(args.model.parent / "generated")


def _write_pictures(out, sampler, latents, names, texts, text):
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
        log.info(f"grid.png shows the first {GRID_LIMIT} of {len(names)} pictures")


def _write_interpolation(out, sampler, corners, args, text):
    pairs = zip(corners[:-1], corners[1:], strict=True)
    steps = [slerp(a, b, t / args.frames) for a, b in pairs for t in range(args.frames)]
    pictures = sampler.array(np.stack([*steps, corners[-1]]))
    save_gif(out / "interpolation.gif", [to_pillow(p) for p in pictures], 60, 600)
    columns = np.linspace(0, len(pictures) - 1, 8 * (len(corners) - 1) + 1).round().astype(int)
    seeds = ",".join(map(str, args.interpolate))
    strip = grid(pictures[columns], columns=len(columns))
    save_png(out / "strip.png", strip, {**text, "seeds": seeds})
