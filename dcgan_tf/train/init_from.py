"""Networks named by `--init-from`, their shape and their weights."""

import logging
import math
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.pretrained import PREFIX, run_named
from dcgan_tf.common.runs import Run

log = logging.getLogger(__name__)

# What decides the layers of G and D and their sizes; first what no weight's shape shows.
UNSHAPED = ("g_activation", "output_activation", "leaky_slope", "batchnorm_epsilon", "d_norm")
SHAPE = (
    *("image_size", "channels", "width", "latent_dim", "base_size", "base_channels", "g_channels"),
    *("base_batchnorm", "g_output", "d_channels", "d_width", "d_first_batchnorm", "use_bias"),
    *("d_minibatch_std", "d_hidden", "kernel_size", "batchnorm_momentum", "networks", *UNSHAPED),
)


def init_files(named: str) -> list[Path]:
    """The files of G and D that `--init-from` names, [] for "".

    Raises:
        UserError: no run's directory, "pretrained:NAME" or two files, or not both networks.
    """
    if not named:
        return []
    run = run_named(named, "--init-from")
    names = named.split(",")
    files = [run.generator, run.discriminator] if run.root.is_dir() else list(map(Path, names))
    mixed = len({is_pytorch(name) for name in names}) > 1
    if mixed or len(files) != 2 or not all(path.is_file() for path in files):
        raise UserError(
            f"--init-from {named}: expected a run directory with generator.keras and "
            f"discriminator.keras, G.keras,D.keras, netG.pth,netD.pth, or {PREFIX}faces"
        )
    return files


def is_pytorch(named: str) -> bool:
    """Whether `--init-from` names files of PyTorch."""
    return named.lower().endswith((".pth", ".pt", ".safetensors"))


def with_shape(base: dict, named: str, own: bool) -> dict:
    """Give settings `base` the shape of the networks that `--init-from` names.

    The shape is that of the config.toml next to the files, so of their run, or of PyTorch's files
    themselves. Others say nothing; they are refused when they are loaded, if they do not fit.

    Args:
        base: of a recipe, whose shape gives way, or the user's `own`, whose values that are no
            defaults stay.
    """
    run = run_named(named.split(",")[0], "--init-from")
    config = (run if run.root.is_dir() else Run(run.root.parent)).config
    if is_pytorch(named):
        from dcgan_tf.train.pytorch import read_settings  # --help need not wait for NumPy

        trained = read_settings(init_files(named), "--init-from")
    elif named and config.is_file():
        trained = vars(read_config(config))
    else:
        return base
    default = {name: getattr(Config, name) for name in SHAPE}
    kept = {name for name in SHAPE if own and base.get(name, default[name]) != default[name]}
    return base | {name: trained[name] for name in SHAPE if name not in kept}


def warm_start(config: Config, model):
    """Load the weights of `--init-from` into G and D of a DCGAN.

    Adam's moments begin anew: they belong to the images and learning rates of the other training.

    Raises:
        UserError: no such files, no Keras models, or networks that compute something else.
    """
    if not config.init_from:
        return
    from dcgan_tf.models.loading import GENERATORS, check_finite, load_network  # with TensorFlow
    from dcgan_tf.train.pytorch import PLAN, read_weights

    networks = (model.generator, GENERATORS), (model.discriminator, ("discriminator",))
    for (network, names), path in zip(networks, init_files(config.init_from), strict=True):
        where = f"--init-from {path}"
        if is_pytorch(config.init_from):
            for name in UNSHAPED:
                if (own := getattr(config, name)) != PLAN[name]:
                    words = f"its {name} is {PLAN[name]}, here {own}; leave it to the file"
                    raise UserError(words, flag=where)
            weights = read_weights(path, network is model.generator, "--init-from")
            found, own = ([w.shape for w in part] for part in (weights, network.get_weights()))
            if found != own:
                words = f"has weights {found}, this config's {network.name} has {own}"
                raise UserError(f"{words}; leave its sizes to the file", flag=where)
            network.set_weights(weights)
            check_finite(network, where)
        else:
            trained = load_network(path, "--init-from", names)
            if network is model.generator:
                _check_labels(network, trained, where)
            check_same(network, trained, where)
    if model.ema_generator:
        model.ema_generator.set_weights(model.generator.get_weights())
    log.info(f"starting from the networks of {config.init_from}; Adam's moments begin anew")


def _check_labels(generator, trained, where: str):
    """Refuse a generator whose latents end in other labels, or in the same in another order."""
    from dcgan_tf.common.labels import labels_of  # --help need not wait for NumPy

    def described(network):
        if not (labels := labels_of(network)):
            return "no labels"
        return "classes " * labels.classes + limits.shorten(",".join(labels.names))

    own, theirs = (labels_of(network) for network in (generator, trained))
    if (own and (own.names, own.classes)) != (theirs and (theirs.names, theirs.classes)):
        words = f"was trained with {described(trained)}, here it is {described(generator)}"
        raise UserError(f"{words}; give the same labels in the same order", flag=where)


def check_same(network, trained, where: str):
    """Set `network` to the weights of a trained one, and refuse it if their outputs differ.

    Precisions may differ; shapes, activations, slopes and normalization may not. `where` begins
    the UserError.
    """
    import numpy as np  # --help need not wait for these

    from dcgan_tf.models.networks import MinibatchStd

    groups = [layer.group_size for layer in network.layers if isinstance(layer, MinibatchStd)]
    advice = "give it the settings that it was trained with, or its run's directory"
    kinds = [[tuple(w.shape) for w in n.weights] for n in (network, trained)]
    if kinds[0] != kinds[1] or network.input_shape != trained.input_shape:
        raise UserError(f"not of the shape of this config's {network.name}; {advice}", flag=where)
    network.set_weights(trained.get_weights())
    inputs = np.random.default_rng(0).normal(size=(math.lcm(4, *groups), *network.input_shape[1:]))
    own, theirs = (np.asarray(n(inputs.astype("float32")), float) for n in (network, trained))
    exact = all(n.compute_dtype in ("float32", "float64") for n in (network, trained))
    most = (0.02 if exact else 0.1) * theirs.std()  # images of an untrained G are nearly gray
    if own.shape != theirs.shape or np.abs(own - theirs).mean() > most:
        message = f"computes something else than this config's {network.name}"
        difference = _first_difference(network, trained)
        raise UserError(f"{message}{difference}; {advice}", flag=where)


def _first_difference(network, trained) -> str:
    for layers in zip(network.layers, trained.layers, strict=False):
        own, theirs = ({"kind": type(layer).__name__} | layer.get_config() for layer in layers)
        for key in ("kind", "activation", "negative_slope"):
            if own.get(key) != theirs.get(key):
                return f" ({key} of its {theirs['name']} is {theirs.get(key)}, here {own.get(key)})"
    return ""
