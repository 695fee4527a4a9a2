"""Deprecated: where a result comes from is for its script to say."""

from keras_tc2.deprecation import old_names

__all__: list[str] = []


def __dir__() -> list[str]:
    return __all__


_FACTS = "keras_tc2.callbacks.run_facts"
__getattr__ = old_names(
    __name__,
    {
        "commit": (_FACTS, "a call of `git rev-parse HEAD`"),
        "machine": (_FACTS, "`platform.platform()`"),
        "processor": (_FACTS, "`platform.processor()`"),
    },
)
