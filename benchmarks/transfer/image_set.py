"""Images and labels as one HDF5 file, as `data.load` reads it."""

import h5py


def write(path, splits, class_names=None):
    """Writes a file whole or not at all.

    Args:
        path: path of the file.
        splits: dict from each split to `(images, labels)`, arrays written as they are.
        class_names: list of str, or `None` for none. Defaults to `None`.
    """
    partial = path.with_suffix(".partial")
    with h5py.File(partial, "w") as file:
        for split, (images, labels) in splits.items():
            file[f"{split}/image"] = images
            file[f"{split}/label"] = labels
        if class_names is not None:
            file.attrs["class_names"] = list(class_names)
    partial.rename(path)
