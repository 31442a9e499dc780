"""Training. The package is also the function `dcgan_tf.train(...)`: Python gives the name
`dcgan_tf.train` to this package as soon as it is imported, so it answers to a call itself."""

import sys
from types import ModuleType


class _Callable(ModuleType):
    def __call__(self, *args, **kwargs):
        from dcgan_tf.train.library import train

        return train(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
