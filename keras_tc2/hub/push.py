"""From a folder to a repository, in one commit."""

import pathlib
import tempfile
from typing import Any

from keras_tc2.annotations import PathLike
from keras_tc2.hub import files
from keras_tc2.hub.card import is_generated
from keras_tc2.hub.requests import explained
from keras_tc2.version import __version__


def push_folder(
    folder: PathLike,
    repo_id: str,
    *,
    private: bool | None,
    token: str | bool | None,
    branch: str | None,
    create_pr: bool,
    commit_message: str,
    overwrite_card: bool,
) -> str:
    """Makes one commit of all files of a folder.

    The commit comes last, on top of the state that was looked at first: if anything
    fails before, or someone else commits meanwhile, the repository stays as it was.
    Files of an earlier push that the folder lacks (weights in safetensors, the
    pretrainer, the classifier, pictures) are deleted by the same commit, since they
    would not belong to the new weights.

    Args:
        folder: str or path.
        repo_id: str, namespace/name. Created if it is not there.
        private: bool or `None`. Whether a repository created here is private.
        token: str, bool or `None`, as in `huggingface_hub`.
        branch: str or `None`. Created if it is not there.
        create_pr: bool. Whether to open a pull request in place of committing.
        commit_message: str.
        overwrite_card: bool. Whether a card that was edited by hand is replaced.

    Returns:
        str, the URL of the commit, or of the pull request.

    Raises:
        HubError: if the Hub does not take it.
    """
    from huggingface_hub import (
        CommitOperationAdd,
        CommitOperationDelete,
        HfApi,
    )

    folder = pathlib.Path(folder)
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    )
    api = HfApi(token=token, library_name="keras_tc2", library_version=__version__)
    with explained(repo_id, revision=branch):
        api.create_repo(repo_id, private=private, exist_ok=True)
        if branch is not None:
            api.create_branch(repo_id, branch=branch, exist_ok=True)
        state: Any = api.repo_info(repo_id, revision=branch)
        there = [sibling.rfilename for sibling in state.siblings or []]
        if files.CARD_FILE in there and files.CARD_FILE in names and not overwrite_card:
            card = _read_card(api, repo_id, state.sha)
            if not is_generated(card):
                names.remove(files.CARD_FILE)
        operations: list[Any] = [
            CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name)
            for name in names
        ]
        operations += [
            CommitOperationDelete(path_in_repo=name)
            for name in there
            if _is_ours(name) and name not in names
        ]
        commit = api.create_commit(
            repo_id,
            operations,
            commit_message=commit_message,
            revision=branch,
            create_pr=create_pr,
            parent_commit=state.sha,
        )
    return commit.pr_url or commit.commit_url


def _read_card(api, repo_id, commit):
    with tempfile.TemporaryDirectory() as folder:
        path = api.hf_hub_download(
            repo_id, files.CARD_FILE, revision=commit, local_dir=folder
        )
        return pathlib.Path(path).read_text(encoding="utf-8", errors="replace")


def _is_ours(name):
    folders = files.PRETRAINER_FOLDER, files.CLASSIFIER_FOLDER, files.PICTURES_FOLDER
    return name == files.SAFETENSORS_FILE or name.split("/")[0] in folders
