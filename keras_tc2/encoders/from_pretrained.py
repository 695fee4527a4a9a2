"""Loading a published encoder."""

from keras_tc2.annotations import PathLike
from keras_tc2.encoders.encoder import Encoder
from keras_tc2.encoders.pretrained import load_folder
from keras_tc2.hub.fetch import fetch_folder


def from_pretrained(
    repo_id_or_folder: PathLike,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: PathLike | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    trainable: bool = True,
) -> Encoder:
    """Loads an encoder from the Hub, or from a folder.

    Runs nothing that a stranger wrote: the encoder is built by a builder that this
    process has registered, from arguments that were checked, and only then gets its
    weights. All files are fetched at one commit. Without a connection the cache
    serves.

    Args:
        repo_id_or_folder: str or path. A folder that exists (written by
            `save_pretrained`), or a repository of the Hub as `namespace/name`.
        revision: str. Branch, tag or commit; `None` for the main branch.
        token: str, or bool as in `huggingface_hub`; `None` for the stored one.
        cache_dir: str or path; `None` for the cache of `huggingface_hub`.
        force_download: bool. Whether to fetch what the cache holds already.
        local_files_only: bool. Whether to use the cache and never the network.
        trainable: bool. Whether the weights train.

    Returns:
        `keras_tc2.Encoder`.

    Raises:
        FileNotFoundError: if a path is given that is not there.
        keras_tc2.hub.HubError: if the Hub does not give it: not found, private,
            gated, an unknown token or revision, or out of reach and not cached.
        keras_tc2.hub.FolderError: if it is no encoder of this library, one of a
            newer format or of an unknown builder, damaged, or unsafe to read. All
            are `ValueError`s.

    Example:
    ```python
    import tempfile
    import keras_tc2

    encoder = keras_tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    with tempfile.TemporaryDirectory() as folder:
        encoder.save_pretrained(folder)
        encoder = keras_tc2.from_pretrained(folder, trainable=False)
    ```
    """
    folder = fetch_folder(
        repo_id_or_folder,
        revision=revision,
        token=token,
        cache_dir=cache_dir,
        force_download=force_download,
        local_files_only=local_files_only,
    )
    return load_folder(folder, source=repo_id_or_folder, trainable=trainable)
