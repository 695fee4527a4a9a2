"""Does an encoder follow objects through a video? Nothing is trained.

    python examples/video.py --output_dir=runs/video
    python examples/video.py --davis=DAVIS --encoders=runs/mine/encoder

Carries the mask of a clip's first frame on by the nearest features, and measures J
and F (regions and boundaries, as DAVIS does). Without `--davis` the clips are embedded
digits and garments that move, overlap and bounce. Beside the encoders stand an
untrained one and pixels themselves. Writes `report.json`, `report.md` and a picture
an encoder.
"""

import pathlib

import keras
from absl import app, flags
from run_folder import named

import keras_tc2 as tc2
from keras_tc2 import transfer

ROOT = pathlib.Path(__file__).parents[1]
DATA = pathlib.Path(__file__).parent / "data"

_ENCODERS = flags.DEFINE_list(
    "encoders",
    [str(path) for path in sorted((ROOT / "hub" / "encoders").glob("*"))],
    "Folders or Hub repositories of saved encoders.",
)
_DAVIS = flags.DEFINE_string("davis", None, "Folder in the layout of DAVIS.")
_CLIPS = flags.DEFINE_integer("clips", 20, "Embedded clips of each kind.")
_LENGTH = flags.DEFINE_integer("length", 20, "Frames of an embedded clip.")
_MAX_STRIDE = flags.DEFINE_integer("max_stride", 2, "How coarse the map may be.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the clips and the untrained encoder.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/video", "Where results go.")


def clip_sets():
    """`{name: VideoSet}` of DAVIS, or of the embedded pictures."""
    if _DAVIS.value:
        return {"davis": transfer.VideoSet(transfer.read_davis(_DAVIS.value))}
    sets = {}
    for name in ("mnist_subset", "fashion_mnist_subset"):
        images = tc2.data.load(name, split="test", data_dir=DATA).take(500)
        sets[f"moving {name.removesuffix('_subset')}"] = transfer.VideoSet(
            transfer.moving_clips(
                tc2.data.as_arrays(images),
                num_clips=_CLIPS.value,
                length=_LENGTH.value,
                seed=_SEED.value,
            )
        )
    return sets


def pixels(image_shape):
    """A model whose feature map is patches of two by two pixels."""
    images = keras.Input(image_shape)
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.ops.nn.relu(x)
    x = keras.layers.Lambda(lambda x: keras.ops.image.extract_patches(x, 2))(x)
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x), name="pixels")


def main(_):
    """Measures, draws, and writes the report."""
    folder = pathlib.Path(_OUTPUT_DIR.value).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    paths = named(
        _ENCODERS.value, lambda path: pathlib.Path(path).name, ("untrained", "pixels")
    )
    encoders = {name: tc2.from_pretrained(path) for name, path in paths.items()}
    first = next(iter(encoders.values()))
    keras.utils.set_random_seed(_SEED.value)
    encoders["untrained"] = tc2.encoders.create(
        first.recipe["builder"],
        input_shape=first.image_shape,
        **first.recipe["arguments"],
    )
    encoders["pixels"] = pixels(first.image_shape)
    sets = clip_sets()
    protocol = transfer.LabelPropagation(max_stride=_MAX_STRIDE.value)
    report = transfer.TransferReport.join(
        transfer.evaluate(encoder, sets, protocols=protocol, encoder_name=name)
        for name, encoder in encoders.items()
    )
    report.to_json(folder / "report.json")
    (folder / "report.md").write_text(report.to_markdown() + "\n")
    clip = next(iter(sets.values())).clips[0]
    for name, encoder in encoders.items():
        (masks,) = transfer.label_propagation(encoder, [clip], **protocol.options)[
            "masks"
        ]
        figure = transfer.propagation_figure(clip, masks)
        figure.suptitle(f"{name}: {clip.name}")
        figure.savefig(folder / f"{name}.png", dpi=110)
    print(report)
    print(f"Report and pictures are in {folder}.")


if __name__ == "__main__":
    app.run(main)
