"""Publishing an encoder: everything that a push sends, and the push."""

import pathlib
import shutil
import tempfile

from keras_tc2 import checks
from keras_tc2.encoders.pretrained import CONFIG_KEYS
from keras_tc2.hub import files
from keras_tc2.hub.card import card_text, write_card
from keras_tc2.hub.config_file import read_config
from keras_tc2.hub.push import push_folder
from keras_tc2.hub.safetensors_file import write_safetensors


def push_to_hub(published, repo_id, *, dry_run, contents, push):
    """Writes an encoder to a folder and makes one commit of it; or only writes.

    Args:
        published: `Encoder` or `Classifier`.
        repo_id: str.
        dry_run: `None`, or the folder to write to in place of pushing.
        contents: dict, the keyword arguments of `write_publication`.
        push: dict, the keyword arguments of `push_folder`.

    Returns:
        str, the URL of the commit, or the folder of a dry run.
    """
    if dry_run is not None:
        folder = pathlib.Path(dry_run).expanduser()
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(
                f"`dry_run` must be an empty or new folder. Received: {dry_run}"
            )
        write_publication(published, folder, repo_id=repo_id, **contents)
        return str(folder)
    with tempfile.TemporaryDirectory() as folder:
        write_publication(published, folder, repo_id=repo_id, **contents)
        return push_folder(folder, repo_id, **push)


def write_publication(
    published,
    folder,
    *,
    repo_id,
    license,
    card_data,
    transfer_report,
    pictures,
    include_pretrainer,
    safetensors,
):
    """Writes everything that a push sends.

    Args:
        published: `Encoder` or `Classifier`; the others as of its `push_to_hub`.
    """
    folder = pathlib.Path(folder)
    pictures = checks.paths("pictures", pictures)
    missing = [str(picture) for picture in pictures if not picture.is_file()]
    if missing:
        raise FileNotFoundError(f"There is no picture {missing[0]}")
    encoder = getattr(published, "encoder", published)
    if include_pretrainer is not None:
        is_one = hasattr(include_pretrainer, "save_pretrainer_parts")
        if not is_one or getattr(include_pretrainer, "encoder", encoder) is not encoder:
            raise ValueError(
                "`include_pretrainer` must be the SSLPretrainer or TC2Pretrainer that "
                "holds this encoder, not one of another or a copy. "
                f"Received: {include_pretrainer!r}"
            )
    published.save_pretrained(folder)
    config = read_config(folder, files.CONFIG_FILE, keys=CONFIG_KEYS)
    weight_files = [files.WEIGHTS_FILE]
    if safetensors:
        write_safetensors(encoder.network, folder / files.SAFETENSORS_FILE)
        weight_files.append(files.SAFETENSORS_FILE)
    classes = None
    if encoder is not published:
        classes = published.classes or list(range(published.head.num_classes))
        weight_files.append(f"{files.CLASSIFIER_FOLDER}/{files.WEIGHTS_FILE}")
    if include_pretrainer is not None:
        include_pretrainer.save_pretrainer_parts(
            folder / files.PRETRAINER_FOLDER, encoder_sha256=config["weights_sha256"]
        )
    if pictures:
        (folder / files.PICTURES_FOLDER).mkdir()
    shown = {}
    for picture in pictures:
        shown[_free_name(picture, shown)] = picture
    for name, picture in shown.items():
        shutil.copyfile(picture, folder / files.PICTURES_FOLDER / name)
    text = card_text(
        config,
        repo_id=repo_id,
        license=license,
        card_data=card_data,
        transfer_report=transfer_report,
        pictures=[f"{files.PICTURES_FOLDER}/{name}" for name in shown],
        weight_files=weight_files,
        classes=classes,
    )
    write_card(folder / files.CARD_FILE, text)


def _free_name(path, taken):
    """The name of a file, with a number behind it where others have that name."""
    name, number = path.name, 1
    while name in taken:
        number += 1
        name = f"{path.stem}_{number}{path.suffix}"
    return name
