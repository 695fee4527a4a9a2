"""Loading a published encoder."""

from keras_tc2.encoders.pretrained import load_folder


def from_pretrained(folder, *, trainable=True):
    """Loads an encoder that `save_pretrained` wrote.

    Runs nothing that the folder holds: the encoder is built by a builder that this
    process has registered, from checked arguments, and gets the weights after.

    Args:
        folder: str or path.
        trainable: bool. Whether its weights train.

    Returns:
        `keras_tc2.Encoder`.
    """
    return load_folder(folder, trainable=trainable)
