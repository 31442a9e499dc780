"""DCGAN on Keras 3 and TensorFlow: train, generate, measure."""

__version__ = "0.1.0"
