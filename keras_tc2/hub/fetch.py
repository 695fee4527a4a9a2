"""From a repository id or a folder's path to a folder on this machine."""

import os
import pathlib
from collections.abc import Iterable
from typing import Any

from keras_tc2.annotations import PathLike
from keras_tc2.hub import files
from keras_tc2.hub.config_file import holds_config
from keras_tc2.hub.contents import describe
from keras_tc2.hub.errors import NotAnEncoderError, UnsafeFileError
from keras_tc2.hub.requests import explained
from keras_tc2.version import __version__

ENCODER_FILES = {
    files.CONFIG_FILE: files.MAX_CONFIG_BYTES,
    files.WEIGHTS_FILE: files.MAX_WEIGHTS_BYTES,
}


def fetch_folder(
    repo_id_or_folder: PathLike,
    *,
    revision: str | None,
    token: str | bool | None,
    cache_dir: PathLike | None,
    force_download: bool,
    local_files_only: bool,
    parts: Iterable[str] = (),
) -> pathlib.Path:
    """Finds a local folder, or fetches a repository's files into the cache.

    Fetches the files of an encoder and no others, all at one commit.

    Args:
        repo_id_or_folder: str or path. A folder that exists is taken; otherwise
            `namespace/name` on the Hub.
        revision: str or `None`. Branch, tag or commit.
        token: str, bool or `None`, as in `huggingface_hub`.
        cache_dir: str, path or `None` for the cache of `huggingface_hub`.
        force_download: bool. Whether to fetch what the cache holds too.
        local_files_only: bool. Whether to use the cache alone.
        parts: names of folders, such as `PRETRAINER_FOLDER`, whose files are fetched
            too.

    Returns:
        `pathlib.Path`, a folder that has a `config.json`.

    Raises:
        FileNotFoundError: if it looks like a path and is not there.
        NotAnEncoderError: if it holds something else.
        HubError: if the Hub does not give it.
    """
    folder = pathlib.Path(repo_id_or_folder).expanduser()
    if folder.is_dir():
        if not holds_config(folder, files.CONFIG_FILE):
            _refuse(folder, [path.name for path in folder.iterdir()])
        return folder
    repo_id = os.fspath(repo_id_or_folder)
    if _looks_like_a_path(repo_id):
        raise FileNotFoundError(
            f"There is no folder {repo_id}. Give a folder that `save_pretrained` "
            "wrote, or a repository of the Hub as namespace/name."
        )
    wanted = dict(ENCODER_FILES)
    for part in parts:
        wanted |= {f"{part}/{name}": size for name, size in ENCODER_FILES.items()}
    request: dict[str, Any] = {
        "repo_id": repo_id,
        "revision": revision,
        "token": token,
        "cache_dir": None if cache_dir is None else os.path.expanduser(cache_dir),
        "library_name": "keras_tc2",
        "library_version": __version__,
        "allow_patterns": list(wanted),
    }
    with explained(repo_id, revision=revision):
        from huggingface_hub import snapshot_download

        if not local_files_only:
            _check_sizes(request, wanted)
        snapshot = pathlib.Path(
            snapshot_download(
                **request,
                force_download=force_download,
                local_files_only=local_files_only,
            )
        )
    if not holds_config(snapshot, files.CONFIG_FILE):
        _refuse(repo_id, _names_in(repo_id, snapshot.name, token, local_files_only))
    return snapshot


def _check_sizes(request, wanted):
    """Refuses huge files before they are fetched."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import DryRunError

    try:
        infos = snapshot_download(**request, dry_run=True)
    except DryRunError:
        return  # The Hub is out of reach; the request that follows says why.
    for info in infos:
        if (info.file_size or 0) > wanted[info.filename]:
            raise UnsafeFileError(
                f"{info.filename} of {request['repo_id']!r} has {info.file_size} "
                f"bytes; at most {wanted[info.filename]} are fetched. Nothing was."
            )


def _names_in(repo_id, commit, token, local_files_only):
    if local_files_only:
        return []
    from huggingface_hub import HfApi

    with explained(repo_id, revision=commit):
        return HfApi(token=token).list_repo_files(repo_id, revision=commit)


def _refuse(where, names):
    raise NotAnEncoderError(
        f"{str(where)!r} is not a keras_tc2 encoder: it has no {files.CONFIG_FILE} of "
        f"one. It looks like {describe(names)}. Encoders are written by "
        "`encoder.save_pretrained` and `encoder.push_to_hub`."
    )


def _looks_like_a_path(name):
    return name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1
