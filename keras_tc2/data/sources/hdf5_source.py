"""An HDF5 file that holds images as one array, and perhaps labels as another."""

from keras_tc2.data.sources.array_source import array_images
from keras_tc2.data.sources.element_keys import IMAGE_KEYS, LABEL_KEYS, choose_key


def matches_hdf5(request):
    """Whether the source is an existing HDF5 file."""
    return request.path is not None and request.path.suffix.lower() in (
        ".h5",
        ".hdf5",
    )


def read_hdf5(request):
    """Opens the arrays of the file, or of its group `split` if there is one."""
    import h5py

    group = h5py.File(request.path, "r")
    if isinstance(group.get(request.split), h5py.Group):
        group = group[request.split]
    else:
        request.refuse_split(
            f"An HDF5 file without a group {request.split!r}, such as this one,"
        )
    names = []
    group.visit(names.append)
    names = [name for name in names if isinstance(group[name], h5py.Dataset)]
    images = group[choose_key("image", request.image_key, names, IMAGE_KEYS)]
    labels = None
    if request.labels:
        labels = group[choose_key("label", request.label_key, names, LABEL_KEYS)][()]
    return array_images(images, labels, request)
