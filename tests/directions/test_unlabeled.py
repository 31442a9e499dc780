"""Directions without labels: closed forms against generators whose directions are known."""

import keras
import numpy as np
import pytest
from helpers import refused

from dcgan_tf.common.labels import Labels
from dcgan_tf.directions.traversal import REACHES, measure_reach
from dcgan_tf.directions.unlabeled import find_unlabeled, first_kernel, first_maps, ganspace, sefa
from dcgan_tf.models.sampling import Sampler, seed_latents

LENGTH = 6


@pytest.fixture(scope="module")
def known():
    """Directions (6, 6), their shares, and a kernel (6, 40) that has them."""
    strengths = np.array([9.0, 6, 4, 2, 1, 0.5])
    directions = np.linalg.qr(np.random.RandomState(0).randn(LENGTH, LENGTH))[0]
    units = np.linalg.qr(np.random.RandomState(1).randn(40, LENGTH))[0].T
    shares = strengths**2 / (strengths**2).sum()
    return directions, shares, directions.T @ (strengths[:, None] * units)


def generator(kernel, slope=1.0):
    """A generator whose first kernel is given; its first map is linear where the slope is 1."""
    latents = keras.Input((len(kernel),))
    x = keras.layers.Dense(kernel.shape[1], name="base")(latents)
    x = keras.layers.LeakyReLU(slope)(x)
    x = keras.layers.Dense(8 * 8 * 3, activation="tanh")(x)
    model = keras.Model(latents, keras.layers.Reshape((8, 8, 3))(x))
    model.get_layer("base").set_weights([kernel, np.full(kernel.shape[1], 0.3)])
    return model


def assert_same(found, expected):
    """Equal but for their signs, row by row."""
    np.testing.assert_allclose(np.abs(np.sum(found * expected, axis=1)), 1, atol=1e-5)
    assert (np.take_along_axis(found, np.abs(found).argmax(axis=1)[:, None], axis=1) > 0).all()


def test_the_kernels_directions_are_its_singular_vectors_and_those_of_a_linear_map(known):
    directions, shares, kernel = known
    model = generator(kernel)
    found, strengths = sefa(first_kernel(model), 4)
    assert found.dtype == np.float32 and found.shape == (4, LENGTH)
    assert_same(found, directions[:4])
    np.testing.assert_allclose(strengths, shares[:4], rtol=1e-5)
    latents = np.random.RandomState(2).randn(400, LENGTH)
    whitened = np.linalg.qr(latents - latents.mean(axis=0))[0]  # chance plays no part
    found, strengths = ganspace(first_maps(model, whitened), whitened, 4)
    assert_same(found, directions[:4])
    np.testing.assert_allclose(strengths, shares[:4], rtol=1e-3)


def test_components_know_what_the_activation_does():
    """A direction that only moves numbers below zero, where the slope is small, counts less."""
    kernel = np.zeros((2, 40))
    kernel[0, :20], kernel[1, 20:] = 1.0, 0.5
    model = generator(kernel, slope=0.01)
    bias = np.repeat([-20.0, 20.0], 20)  # the first direction's numbers are all below zero
    model.get_layer("base").set_weights([kernel, bias])
    latents = seed_latents(range(300), 2)
    assert abs(sefa(first_kernel(model), 1)[0][0, 0]) > 0.999
    assert abs(ganspace(first_maps(model, latents), latents, 1)[0][0, 1]) > 0.99


def test_maps_are_those_after_the_first_activation():
    latents = -np.ones((4, 3), np.float32)
    maps = first_maps(generator(np.eye(3, 5), slope=0.2), latents)
    np.testing.assert_allclose(maps, np.tile([-0.14, -0.14, -0.14, 0.3, 0.3], (4, 1)), rtol=1e-5)


def test_a_generator_that_begins_otherwise_is_refused():
    latents = keras.Input((4,))
    x = keras.layers.Reshape((1, 1, 4))(latents)
    x = keras.layers.Conv2DTranspose(3, 4, activation="tanh", name="grow")(x)
    model = keras.Model(latents, x)
    with refused("'grow' (Conv2DTranspose)", "Dense of 4 inputs"):
        first_kernel(model)
    with refused("no activation before its image"):
        first_maps(model, np.zeros((2, 4)))
    with refused("latents of 2,000 numbers"):
        find_unlabeled(Sampler(generator(np.zeros((2000, 2)))), 1)


def test_the_strongest_direction_has_the_shortest_reach():
    kernel = np.zeros((LENGTH, 40))
    kernel[0, :20], kernel[1, 20:] = 1.0, 0.01
    sampler = Sampler(generator(kernel))
    strong, weak = (measure_reach(sampler, row) for row in np.eye(LENGTH)[:2])
    assert strong == REACHES[0] and weak == REACHES[-1]


def test_directions_of_a_labeled_generator_move_its_normal_numbers_alone(known):
    """Not even where labels change the maps much more than the rest of the latent does."""
    directions, _, kernel = known
    rows = 30 * np.random.RandomState(3).randn(3, 40)
    model = generator(np.concatenate([kernel, rows]))
    model.labels = Labels(tuple("abc"), True, (0, 1, 2, 1))
    found = find_unlabeled(Sampler(model), 2)
    vectors = np.stack([each.vector for each in found])
    assert vectors.shape == (4, LENGTH + 3) and (vectors[:, LENGTH:] == 0).all()
    np.testing.assert_allclose(
        np.abs(np.sum(vectors[:, :LENGTH] * np.tile(directions[:2], (2, 1)), axis=1)), 1, atol=0.02
    )


@pytest.mark.slow
def test_no_more_than_there_are(known):
    found = find_unlabeled(Sampler(generator(known[2])), 20)
    names = [f"{kind} {n}" for kind in ("kernel", "component") for n in range(1, 7)]
    assert [each.name for each in found] == names
