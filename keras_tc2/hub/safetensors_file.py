"""Weights as safetensors, for readers outside Keras."""

import keras

from keras_tc2.annotations import PathLike


def write_safetensors(model: keras.Model, path: PathLike) -> None:
    """Writes the weights of a Keras model under flat names.

    A name is the path of the variable with dots, such as `stage1_conv.kernel`; a
    name that two variables share gets the number of the second.

    Args:
        model: `keras.Model`.
        path: where to write.

    Raises:
        ImportError: if the package `safetensors` is missing.
    """
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError(
            "Writing safetensors needs the package of that name: "
            "pip install 'keras-tc2[safetensors]'"
        ) from error
    tensors = {}
    for i, variable in enumerate(model.variables):
        name = variable.path.replace("/", ".")
        if name in tensors:
            name = f"{name}.{i}"
        tensors[name] = variable.numpy()
    save_file(tensors, path, metadata={"format": "keras"})
