"""The command line: `keras-tc2 pretrain|transfer|report`."""

from keras_tc2.cli.main import main

__all__ = ["main"]


def __dir__() -> list[str]:
    return __all__
