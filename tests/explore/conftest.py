"""One untrained generator for all tests of the explorer."""

import pytest
from exploring import small_sampler

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
