"""--init-from netG.pth,netD.pth, and back with export --to pytorch."""

import dataclasses
import json
import pickle
import runpy
import shutil
import struct
import zipfile
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import keras
import numpy as np
import pytest
from helpers import REPO, refused, resolved
from programs import run_program

from dcgan_tf.export.__main__ import main as export
from dcgan_tf.export.pytorch import write_pytorch
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.networks import build_generator
from dcgan_tf.models.sampling import seed_latents
from dcgan_tf.train import pytorch
from dcgan_tf.train.init_from import init_files, warm_start

safetensors = pytest.importorskip("safetensors.numpy", reason='needs pip install ".[pytorch]"')
G, D = "G.safetensors", "D.safetensors"
BOTH = f"{G},{D}"


@pytest.fixture
def made(here):
    """Networks of 16x16 gray images with biases, as files, and what they gave in PyTorch 2.14."""
    made = safetensors.load_file(REPO / "tests/train/tiny_pytorch.safetensors")
    for part, file in (("g.", G), ("d.", D)):
        safetensors.save_file(
            {name[2:]: array for name, array in made.items() if name.startswith(part)}, file
        )
    return made


@pytest.fixture
def g(made):
    """The state dictionary of G without biases; D's are left out in its file, too."""
    states = []
    for file in (G, D):
        state = safetensors.load_file(file)
        kernels = [name for name, array in state.items() if array.ndim == 4]
        for name in kernels:
            del state[name.replace("weight", "bias")]
        safetensors.save_file(state, file)
        states.append(state)
    return states[0]


def start(*flags):
    """The networks of a training that starts from files, and its config."""
    config = resolved(*flags)
    model = DCGAN.from_config(dataclasses.replace(config, init_from=""))
    warm_start(config, model)
    return model.generator, model.discriminator, config


def test_networks_compute_what_they_computed_in_pytorch(made):
    own_g, own_d, config = start("--config", "laptop", "--init-from", BOTH)
    assert (config.image_size, config.channels, config.latent_dim) == (16, 1, 5)
    assert (config.g_channels, config.d_channels) == ((11,), (9, 10))
    assert (config.batchnorm_epsilon, config.batch_size) == (1e-5, 8)
    assert resolved("--config", "ttur", "--init-from", BOTH).kernel_size == 4
    images = np.asarray(own_g(seed_latents(range(4), 5), training=False))
    assert np.ptp(images) > 0.5
    np.testing.assert_allclose(images, made["images"], atol=1e-5)
    logits = np.asarray(own_d(made["images"], training=False))
    np.testing.assert_allclose(logits, made["logits"], atol=1e-5)


def test_what_is_exported_can_be_taken_back(g, here):
    network, _, config = start("--init-from", BOTH)
    write_pytorch(network, here / "a")
    assert len((here / "a/generator.py").read_text().splitlines()) < 40
    own = build_generator(dataclasses.replace(config, batchnorm_epsilon=1e-3))
    own.set_weights(network.get_weights())
    write_pytorch(own, here / "b")
    for folder, scale in (("a", 0), ("b", 1e-3 - 1e-5)):
        back = safetensors.load_file(here / folder / "generator.safetensors")
        assert back.keys() == {name for name in g if "tracked" not in name}
        for name, array in back.items():
            more = scale if "running_var" in name else 0
            np.testing.assert_allclose(array, g[name] + np.float32(more), rtol=1e-6)


def test_bfloat16_is_read_before_tensorflow_is_imported_and_endings_in_capitals(g, here):
    header, content = {}, b""
    for name, array in g.items():
        upper = array.astype("<f4").reshape(-1).view("<u2")[1::2].tobytes()
        place = [len(content), len(content) + len(upper)]
        header[name] = {"dtype": "BF16", "shape": array.shape, "data_offsets": place}
        content += upper
    text = json.dumps(header).encode()
    file = here / "half G.SAFETENSORS"
    file.write_bytes(struct.pack("<Q", len(text)) + text + content)
    code = "from dcgan_tf.train.command import parse_training; import sys; "
    code += f"config = parse_training(['--init-from', {f'{file.name},{D}'!r}]).config; "
    code += "print(config.g_channels, 'tensorflow' in sys.modules)"
    done = run_program(("-c", code), here, {"PYTHONPATH": str(REPO), "FROM_NOTHING": "1"})
    assert done.stdout == "(11,) False\n", done.stderr
    weights = pytorch.read_weights(file, True, "")
    for half, whole in zip(weights, pytorch.read_weights(Path(G), True, ""), strict=True):
        np.testing.assert_allclose(half, whole, rtol=2**-7)


@pytest.mark.parametrize(
    ("change", "flags", "words"),
    [
        (lambda g: {}, (), ["kernels -, BatchNorm -, no biases; expected kernels 100x512x4x4"]),
        (
            lambda g: g | {"main.3.weight": g["main.3.weight"][:, :, 1:, 1:].copy()},
            (),
            ["12x11x3x3", "; expected kernels 5x12x4x4 12x11x4x4 11x1x4x4, BatchNorm 12 11"],
        ),
        (lambda g: {k: a for k, a in g.items() if "main.4" not in k}, (), ["BatchNorm 12,"]),
        (lambda g: g | {"fc.weight": np.ones((2, 2))}, (), ["1 other tensors; expected"]),
        (lambda g: g, ("--latent-dim", 6), ["(5, 192)", "(6, 192)", "leave its sizes"]),
        (
            lambda g: g | {"main.0.weight": g["main.0.weight"] * np.nan},
            (),
            ["weights that are NaN"],
        ),
        (lambda g: g | {"main.1.bias": np.array(0, "f4")}, (), ["BatchNorm 11, no", "4 other"]),
        (lambda g: g, ("--kernel-size", 5), ["(4, 4, ", "(5, 5, ", "leave its sizes to the file"]),
        (lambda g: g, ("--g-activation", "leaky_relu"), ["g_activation is relu, here leaky_relu"]),
        (lambda g: g, ("--output-activation", "sigmoid"), ["output_activation is tanh, here sig"]),
        (lambda g: g, ("--leaky-slope", 0.3), ["leaky_slope is 0.2, here 0.3"]),
        (lambda g: g, ("--batchnorm-epsilon", 1e-3), ["batchnorm_epsilon is 1e-05, here 0.001"]),
        (lambda g: g, ("--d-norm", "none"), ["d_norm is batch, here none"]),
    ],
)
def test_what_does_not_fit_is_refused_with_both_shapes(change, flags, words, g):
    safetensors.save_file(change(g), G)
    with refused(f"--init-from {G}: ", *words):
        start("--init-from", BOTH, *flags)


def test_files_that_are_none_and_packages_that_are_missing(made, here, monkeypatch):
    (here / "x.safetensors").write_bytes(b"no such file")
    with refused("--init-from x.safetensors: not a state dictionary"):
        resolved("--init-from", f"x.safetensors,{D}")
    (here / "own.keras").touch()
    for named in (f"gone.pth,{D}", f"own.keras,{D}", f"{G},own.keras"):
        with refused(f"--init-from {named}: expected a run directory", "netG.pth,netD.pth"):
            init_files(resolved("--init-from", named).init_from)
    assert sorted(["main.10.weight", "main.2.weight"], key=pytorch._numbers_in)[0][5] == "2"
    monkeypatch.setattr(pytorch, "STATE_BYTES", 10)
    with refused(G, "larger than"):
        resolved("--init-from", BOTH)

    def missing(name):
        raise ModuleNotFoundError(name=name.split(".")[0])

    monkeypatch.undo()
    monkeypatch.chdir(here)
    monkeypatch.setattr(pytorch, "import_module", missing)
    (here / "netG.pth").touch()
    for name, package in ((G, "safetensors"), ("netG.pth", "torch")):
        with refused(f"{name}: ", f"needs {package}, not installed", 'pip install ".[pytorch]"'):
            resolved("--init-from", f"{name},{D}")


def test_no_pth_file_fills_the_memory_or_runs_code(made, here, monkeypatch):
    def write(kind, size):
        with zipfile.ZipFile("netG.pth", "w", kind) as archive:
            archive.writestr("a/data.pkl", bytes(1000))
        content = Path("netG.pth").read_bytes()
        entry = content.index(b"PK\x01\x02") + 24
        Path("netG.pth").write_bytes(content[:entry] + size + content[entry + 4 :])

    wide = SimpleNamespace(numel=lambda: 2**30)
    for kind, size, version, state, words in (
        (zipfile.ZIP_DEFLATED, 1000, "2.6.0", {}, "a/data.pkl is compressed"),
        (zipfile.ZIP_STORED, 2**31 + 1, "2.6.0", {}, "larger than 2.1 GB"),
        (zipfile.ZIP_STORED, 1000, "2.5.1+cu124", {}, "use PyTorch 2.6 or newer, or .safetensors"),
        (zipfile.ZIP_STORED, 1000, "2.10.0", {"a": wide}, "larger than 2.1 GB"),
        (zipfile.ZIP_STORED, 1000, "2.10.0", {0: wide}, "not a state dictionary"),
        (zipfile.ZIP_STORED, 1000, "2.10.0", {"netG": {}, "epoch": 3}, "its netG is no tensor; sa"),
        (zipfile.ZIP_STORED, 1000, "2.10.0", None, "holds more than tensors, as a whole network"),
    ):
        write(kind, struct.pack("<I", size))

        def load(*_, state=state, **named):
            if state is None:
                raise pickle.UnpicklingError("Weights only load failed. You have two options")
            return state

        load = {"__version__": version, "load": load}
        monkeypatch.setattr(pytorch, "import_module", lambda _, load=load: SimpleNamespace(**load))
        with refused("--init-from netG.pth: ", words):
            resolved("--init-from", f"netG.pth,{D}")


def test_no_value_of_a_foreign_network_becomes_code(here):
    code = "__import__('os').mkdir('owned') or True"
    layer = keras.layers
    z = keras.Input((5,))
    x = layer.Reshape((4, 4, 3))(layer.Dense(48, use_bias=False)(z))
    x = layer.Conv2DTranspose(1, 4, strides=2, padding="same", use_bias=cast("bool", code))(x)
    network = keras.Model(z, layer.Activation("tanh")(x))
    write_pytorch(network, here / "a")
    assert "2, 1, bias=True)" in (here / "a/generator.py").read_text()
    slope = layer.LeakyReLU(0.1)
    network = keras.Model(z, layer.Activation("tanh")(slope(x)))
    slope.negative_slope = code
    with pytest.raises(ValueError, match="could not convert string to float"):
        write_pytorch(network, here / "b")


def test_an_odd_kernel_is_exported_with_the_crop_of_keras_and_not_taken_back(here):
    for size, crop in ((5, "5, 2, 1, bias=False), nn.ZeroPad2d((0, -1, 0, -1)),"), (6, "")):
        write_pytorch(build_generator(resolved("--config", "radford", "--width", "0.05",
            "--kernel-size", size)), here / str(size))  # fmt: skip
        text = (here / f"{size}/generator.py").read_text()
        assert text.count(crop) == 4 if crop else "ZeroPad2d" not in text
    shutil.copy(here / "5/generator.safetensors", G)
    shutil.copy(here / "5/generator.safetensors", D)
    with refused(
        f"--init-from {G}: not of the plan", "26x13x5x5", "expected kernels 100x26x4x4 26x13x4x4"
    ):
        start("--init-from", BOTH)


def test_layers_that_mean_more_than_pytorch_s_are_refused_by_name(here):
    layer = keras.layers
    for odd in (
        layer.ReLU(max_value=6.0, name="odd"),  # as plain as any for small values
        layer.ReLU(negative_slope=0.1, name="odd"),
        layer.ReLU(threshold=1.0, name="odd"),
        layer.BatchNormalization(scale=False, name="odd"),
    ):
        z = keras.Input((5,))
        x = odd(layer.Reshape((4, 4, 3))(layer.Dense(48)(z)))
        x = layer.Conv2DTranspose(1, 4, strides=2, padding="same")(x)
        with refused(f"cannot be written as PyTorch: its layer odd ({type(odd).__name__})"):
            write_pytorch(keras.Model(z, layer.Activation("tanh")(x)), here / "a")
    assert not (here / "a").exists()


@pytest.mark.slow
def test_with_pytorch_itself(here):
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    nn, plan = torch.nn, [(20, 32), (32, 16), (16, 8), (8, 4), (4, 3)]
    g, d = nn.Sequential(), nn.Sequential()
    g.main, d.main = nn.Sequential(), nn.Sequential()
    for number, (a, b) in enumerate(plan):
        layers = [nn.ConvTranspose2d(a, b, 4, *((2, 1) if number else (1, 0)), bias=False)]
        layers += [nn.BatchNorm2d(b), nn.ReLU()] if number < 4 else [nn.Tanh()]
        g.main.extend(layers)
    for number, (b, a) in enumerate(reversed([(1, 32), *plan[1:]])):
        layers = [nn.Conv2d(a, b, 4, *((2, 1) if number < 4 else (1, 0)), bias=False)]
        layers += [nn.BatchNorm2d(b)] if 0 < number < 4 else []
        d.main.extend([*layers, nn.LeakyReLU(0.2)] if number < 4 else layers)
    latents = torch.from_numpy(seed_latents(range(8), 20))[:, :, None, None]
    with torch.no_grad():
        for parameter in (*g.parameters(), *d.parameters()):
            parameter.mul_(3 if parameter.ndim == 4 else 1)
        d(g(latents))  # moves the statistics
        images = g.eval()(latents)
        logits = d.eval()(images)
    save_file = import_module("safetensors.torch").save_file
    for ext, save in (("pth", torch.save), ("safetensors", save_file)):
        save(g.state_dict(), f"netG.{ext}")
        save(d.state_dict(), f"netD.{ext}")
        own_g, own_d, _ = start("--config", "radford", "--init-from", f"netG.{ext},netD.{ext}")
        own = np.asarray(own_g(latents[:, :, 0, 0].numpy(), training=False))
        expected = images.numpy().transpose(0, 2, 3, 1)
        assert np.ptp(own) > 0.2
        np.testing.assert_allclose(own, expected, atol=1e-5)
        own = np.asarray(own_d(expected, training=False))
        np.testing.assert_allclose(own, logits.numpy()[:, :, 0, 0], atol=1e-4)
    own_g.save("a.keras")
    export(["--model", "a.keras", "--to", "pytorch", "--out", "out"])
    back = runpy.run_path("out/pytorch/generator.py")["generator"]
    with torch.no_grad():
        np.testing.assert_allclose(back(latents).numpy(), images.numpy(), atol=1e-5)
    g.load_state_dict(back.state_dict())  # names as in pytorch/examples
    torch.save(g.state_dict(), "netG.pth", _use_new_zipfile_serialization=False)  # of before 2020
    assert resolved("--init-from", "netG.pth,netD.pth").latent_dim == 20
    Path("netG.pth").write_bytes(pickle.dumps(print))  # code, which is not run
    with refused("--init-from netG.pth: not a state dictionary"):
        resolved("--init-from", "netG.pth,netD.pth")
