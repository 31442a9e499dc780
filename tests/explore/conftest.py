"""One untrained generator with directions for all tests of the explorer, and a server of it."""

import pytest
from exploring import directions_of, serving, small_sampler

from dcgan_tf.models.loading import load_generator


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The directory of a run with that generator."""
    folder = tmp_path_factory.mktemp("runs") / "0001-celeba"
    folder.mkdir()
    small_sampler(folder / "generator.keras")
    return folder


@pytest.fixture(scope="session")
def sampler(run):
    return load_generator(run)


@pytest.fixture(scope="session")
def directions(sampler):
    return directions_of(sampler)


@pytest.fixture(scope="session")
def server(sampler, directions):
    with serving(sampler, directions) as server:
        yield server
