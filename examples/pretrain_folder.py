"""Pre-trains an encoder on your own pictures, which need no labels.

    python examples/pretrain_folder.py --folder=~/pictures --output_dir=runs/pictures

The folder may be nested and hold PNG, JPEG, WebP, BMP, GIF and TIFF files. Broken files
are left out and named. `keras_tc2.from_pretrained("runs/pictures")` gives the encoder.
"""

import keras
from absl import app, flags

import keras_tc2 as tc2

_FOLDER = flags.DEFINE_string("folder", None, "Folder of pictures.", required=True)
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 64, "Height and width of the views.")
_ENCODER = flags.DEFINE_string("encoder", "convnet", "Or resnet18, vit_tiny, ...")
_EPOCHS = flags.DEFINE_integer("epochs", 20, "Passes over the pictures.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Pictures a step.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-2, "Peak of the cosine.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/pictures", "For the encoder.")


def main(_):
    """Trains on the folder, and saves the encoder."""
    keras.utils.set_random_seed(0)
    size = _IMAGE_SIZE.value
    # A little larger than the views, so that crops do not have to be enlarged as much.
    images = tc2.data.load(
        _FOLDER.value, image_size=size * 5 // 4, channels=3, on_error="skip"
    )
    views = tc2.data.two_views(
        images,
        batch_size=_BATCH_SIZE.value,
        augmentation=tc2.augment.simclr_tasks(image_size=size),
    )
    steps = len(views)
    encoder = tc2.encoders.create(_ENCODER.value, input_shape=(size, size, 3))
    model = tc2.TC2Pretrainer(encoder, objective="nt_xent")
    schedule = keras.optimizers.schedules.CosineDecay(
        _LEARNING_RATE.value, decay_steps=_EPOCHS.value * steps
    )
    model.compile(optimizer=keras.optimizers.Adam(schedule))
    model.fit(views, epochs=_EPOCHS.value, callbacks=[tc2.callbacks.CollapseGuard()])
    encoder.save_pretrained(_OUTPUT_DIR.value)
    print(f"The encoder is in {_OUTPUT_DIR.value}.")


if __name__ == "__main__":
    app.run(main)
