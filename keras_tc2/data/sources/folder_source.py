"""A folder of images, flat or nested, or with one sub-folder a class."""

import os

from keras_tc2.data.sources.file_images import file_images
from keras_tc2.data.sources.folder_manifest import IMAGE_SUFFIXES, list_folder
from keras_tc2.data.sources.labels import all_classes, number_classes


def matches_folder(request):
    """Whether the source is an existing folder."""
    return request.path is not None and request.path.is_dir()


def read_folder(request):
    """Opens a folder: its sub-folder `split` if there is one, else all of it."""
    root = request.path
    if (root / request.split).is_dir():
        root = root / request.split
    elif request.split != "train":
        raise ValueError(
            f"Folder {str(root)!r} has no sub-folder {request.split!r} for that split."
        )
    manifest = list_folder(root, request.manifest)
    if not manifest.files:
        links = (
            f" {manifest.links_out} symbolic links that lead out of it or to folders "
            "were not followed."
            if manifest.links_out
            else ""
        )
        raise ValueError(
            f"Folder {str(root)!r} holds no images ({' '.join(IMAGE_SUFFIXES)}).{links}"
        )
    labels = class_names = None
    if request.labels:
        classes = folder_classes(manifest)
        labels = number_classes(classes, request.class_names)
        class_names = all_classes(classes, request.class_names)
    paths = [os.path.join(root, name) for name in manifest.files]
    return file_images(paths, labels, request, str(root), class_names)


def folder_classes(manifest):
    """The class of every file: the folder directly below the root that it is in."""
    flat = [name for name in manifest.files if "/" not in name]
    if flat:
        raise ValueError(
            f"`labels=True` needs every image in a sub-folder named after its class. "
            f"Received: {len(flat)} images directly in {manifest.root!r}, such as "
            f"{flat[0]!r}"
        )
    return [name.split("/", 1)[0] for name in manifest.files]
