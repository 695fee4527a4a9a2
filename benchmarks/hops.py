"""How many functions and files a reader passes on a road through the library.

    python benchmarks/hops.py

Follows real calls on small data: an eager training step of TC², `from_pretrained` of a
folder, and pictures in a folder to a batch of views. A stop is a place on a road, given
with the functions of keras_tc2 that are on the stack there, once for each way to it. A
function that is written in another is a part of it, and one that is on the stack
already is not counted again. Nothing is timed, so any machine will do.
"""

import contextlib
import pathlib
import sys
import tempfile
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl import app

import keras_tc2 as tc2

PACKAGE = pathlib.Path(tc2.__file__).parent
ENCODER, TAPE = "Encoder.encode", "GradientTape.gradient"
ASSIGN, DECODE = "Variable.assign", "ImageFile.load"


class Road:
    """What is called while it is followed; a context manager.

    Args:
        stops: qualified names of functions, of this library or others.

    Attributes:
        calls: dict from `(file, function)` to how often it was called.
        changes: int, calls of one function by another in another file.
        chains: list of `(stop, functions)`, those on the stack from the outermost.
    """

    def __init__(self, *stops):
        self.stops = stops
        self.calls, self.chains, self.changes = {}, [], 0

    def __enter__(self):
        """Begins to follow."""
        self.context = contextlib.ExitStack()
        # TensorFlow calls these functions on threads of its own.
        for name in ("numpy_function", "py_function"):
            wrapped = self._on_threads(getattr(tf, name))
            self.context.enter_context(mock.patch.object(tf, name, wrapped))
        sys.setprofile(self._follow)
        return self

    def __exit__(self, *_):
        """Ends it."""
        sys.setprofile(None)
        self.context.close()

    @property
    def files(self):
        """Files of the library that hold a function which was called, sorted."""
        return sorted({file for file, _ in self.calls})

    def _on_threads(self, make):
        def made(function, *args, **kwargs):
            def followed(*inputs):
                sys.setprofile(self._follow)
                try:
                    return function(*inputs)
                finally:
                    sys.setprofile(None)

            return make(followed, *args, **kwargs)

        return made

    def _follow(self, frame, event, _):
        if event != "call":
            return
        name = frame.f_code.co_qualname
        here = _function(frame)
        caller = next(_stack(frame.f_back), None) if here else None
        # What calls itself is, most often, a function within a function.
        if here != caller:
            self.calls[here] = self.calls.get(here, 0) + 1
            self.changes += caller is not None and caller[0] != here[0]
        if name in self.stops:
            way = name, list(dict.fromkeys([*_stack(frame)][::-1]))
            if way not in self.chains:
                self.chains.append(way)


def _stack(frame):
    """The functions of the library on the stack, from the innermost."""
    while frame is not None:
        if here := _function(frame):
            yield here
        frame = frame.f_back


def _function(frame):
    """`(file, function)` of a frame of the library, else `None`."""
    # AutoGraph's copies of a function have other files, and its globals.
    file = frame.f_globals.get("__file__") or ""
    name = frame.f_code.co_qualname.split(".<locals>")[0]
    if not file.startswith(f"{PACKAGE}/") or name == "<module>":
        return None
    return str(pathlib.Path(file).relative_to(PACKAGE)), name


def step(**settings):
    """An eager training step, from Keras's call of `train_step`."""
    keras.utils.set_random_seed(0)
    encoder = tc2.encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
    model = tc2.TC2Pretrainer(encoder, objective="nt_xent", num_tasks=2, **settings)
    model.compile("adam")
    views = tf.constant(
        np.random.default_rng(0).uniform(size=(2, 8, 8, 8, 1)), "float32"
    )
    with Road(ENCODER, TAPE) as road:
        model.train_step(tuple(views))
    return road


def loading():
    """`from_pretrained` of a folder."""
    with tempfile.TemporaryDirectory() as folder:
        tc2.encoders.create("convnet", input_shape=(8, 8, 1)).save_pretrained(folder)
        with Road(ASSIGN) as road:
            tc2.from_pretrained(folder)
    return road


def reading():
    """Pictures in a folder to the first batch of `two_views`."""
    with tempfile.TemporaryDirectory() as folder:
        for i in range(8):
            picture = np.full((8, 8, 3), i, "uint8")
            keras.utils.save_img(f"{folder}/{i}.png", picture, scale=False)
        with Road(DECODE) as road:
            images = tc2.data.load(folder)
            views = tc2.data.two_views(
                images, batch_size=8, augmentation=tc2.augment.simclr(image_size=8)
            )
            next(iter(views))
    return road


ROADS = {
    "a step of TC²": step,
    "a step of `recipes.full_method()`": lambda: step(**tc2.recipes.full_method()),
    "`from_pretrained(folder)`": loading,
    "`load(folder)` to a batch of `two_views`": reading,
}


def main(_):
    """Prints two tables: of whole roads, and of their stops."""
    roads = {name: follow() for name, follow in ROADS.items()}
    print("| road | files | functions | calls | changes of file |")
    print("|---|---:|---:|---:|---:|")
    for name, road in roads.items():
        counts = len(road.files), len(road.calls), sum(road.calls.values())
        print(f"| {name} | {' | '.join(map(str, (*counts, road.changes)))} |")
    print("\n| road | stop | files | functions | which |")
    print("|---|---|---:|---:|---|")
    for name, road in roads.items():
        for stop, chain in road.chains:
            files = len({file for file, _ in chain})
            which = ", ".join(function for _, function in chain)
            print(f"| {name} | `{stop}` | {files} | {len(chain)} | {which} |")
    for name, road in roads.items():
        print(f"\n{name}: {', '.join(road.files)}")


if __name__ == "__main__":
    app.run(main)
