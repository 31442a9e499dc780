"""What `--init-from` names: two trained networks, and their shape where a config tells it."""

from pathlib import Path

from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.pretrained import PREFIX, run_named
from dcgan_tf.common.runs import Run

# What decides the layers of G and D and their sizes.
SHAPE = (
    *("image_size", "channels", "width", "latent_dim", "base_size", "base_channels"),
    *("base_batchnorm", "g_channels", "g_activation", "g_output", "output_activation"),
    *(
        "d_channels",
        "d_width",
        "d_norm",
        "d_first_batchnorm",
        "use_bias",
        "leaky_slope",
        "batchnorm_momentum",
        "networks",
    ),
)


def init_files(named: str) -> list[Path]:
    """The files of G and D that `--init-from` names, [] for "".

    Args:
        named: a run's directory, "pretrained:NAME", or "G.keras,D.keras".

    Raises:
        UserError: none of these, or not both networks.
    """
    if not named:
        return []
    run = run_named(named, "--init-from")
    names = named.split(",")
    files = [run.generator, run.discriminator] if run.root.is_dir() else list(map(Path, names))
    if len(files) != 2 or not all(path.is_file() for path in files):
        raise UserError(
            f"--init-from {named}: expected a run directory with generator.keras and "
            f"discriminator.keras, G.keras,D.keras, or {PREFIX}faces"
        )
    return files


def with_shape(base: dict, named: str, own: bool) -> dict:
    """Settings `base` with the shape of the networks that `--init-from` names.

    The shape is that of the config.toml beside the files, so of their run. Files without one say
    nothing; they are refused when they are loaded, if they are not there or do not fit.

    Args:
        base: of a recipe, whose shape gives way, or of the user's own file.
        named: as for init_files.
        own: whether `base` is the user's own; what it has not at its default stays then.

    Raises:
        UserError: a damaged config.toml.
    """
    run = run_named(named.split(",")[0], "--init-from")
    config = (run if run.root.is_dir() else Run(run.root.parent)).config
    if not named or not config.is_file():
        return base
    trained = read_config(config)
    default = {name: getattr(Config, name) for name in SHAPE}
    kept = {name for name in SHAPE if own and base.get(name, default[name]) != default[name]}
    return base | {name: getattr(trained, name) for name in SHAPE if name not in kept}
