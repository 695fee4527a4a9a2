"""Fetches a published encoder and shows what it is.

python hub/fetch.py --encoder=me/tc2-convnet --revision=v1 --output_dir=encoder

Runs in seconds. Checks everything before it builds anything, and runs no code of the
repository.
"""

import json

from absl import app, flags

import keras_tc2

_ENCODER = flags.DEFINE_string("encoder", None, "Repository or folder.", required=True)
_REVISION = flags.DEFINE_string("revision", None, "Branch, tag or commit.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder to copy the encoder to.")


def main(_):
    """Loads the encoder, prints it, and saves it if asked."""
    encoder = keras_tc2.from_pretrained(_ENCODER.value, revision=_REVISION.value)
    encoder.summary()
    print(f"{encoder.image_shape} -> {encoder.feature_dim} features")
    print(json.dumps(encoder.training_record, indent=2))
    if _OUTPUT_DIR.value is not None:
        encoder.save_pretrained(_OUTPUT_DIR.value)


if __name__ == "__main__":
    app.run(main)
