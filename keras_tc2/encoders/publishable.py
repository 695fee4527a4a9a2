"""The methods by which an encoder leaves the process: folders, the Hub, exports."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from keras_tc2.annotations import PathLike


class Publishable:
    """Base of `Encoder` and `Classifier`: folders, the Hub and exports."""

    def save_pretrained(self, folder: PathLike) -> None:
        """Writes the encoder to a folder, for `keras_tc2.from_pretrained`.

        Writes `config.json` (builder, arguments, preprocessing, versions, and
        `training_record` if there is one) and `model.weights.h5` (weights alone, no
        optimizer). Files of these names are replaced.

        Args:
            folder: str or path; made if it is not there.

        Raises:
            ValueError: if the encoder was wrapped around a model, whose architecture
                no registered builder gives.
        """
        from keras_tc2.encoders.pretrained import save_pretrained

        save_pretrained(self, folder)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | bool | None = None,
        branch: str | None = None,
        create_pr: bool = False,
        commit_message: str = "Upload encoder with keras_tc2",
        license: str | None = None,
        card_data: Mapping[str, Any] | None = None,
        transfer_report: Any = None,
        pictures: Iterable[PathLike] = (),
        include_pretrainer: keras.Model | None = None,
        safetensors: bool = False,
        overwrite_card: bool = False,
        dry_run: PathLike | None = None,
    ) -> str:
        """Publishes the encoder, with its classifier if it is in one, in one commit.

        A push that fails or is interrupted leaves the content of the repository as
        it was. The card is made from the config, `training_record` and
        `transfer_report`.

        Args:
            repo_id: str, `namespace/name`; the repository is created if it is not
                there.
            private: bool. Whether a repository created here is private; `None` for
                the default of the namespace.
            token: str, or bool as in `huggingface_hub`; `None` for the stored one.
            branch: str, created if it is not there; `None` for the main branch.
            create_pr: bool. Whether to open a pull request in place of committing.
            commit_message: str.
            license: str, an identifier of the Hub such as `"apache-2.0"`.
            card_data: dict of further metadata of the card.
            transfer_report: report of `keras_tc2.transfer.evaluate`, for the card.
            pictures: paths of pictures, shown in the card; of two of one file name the
                second is numbered.
            include_pretrainer: the pretrainer that holds this encoder: its projector
                and calibrator are published beside it.
            safetensors: bool. Whether to add the weights as `model.safetensors`.
            overwrite_card: bool. Whether to replace a card that was edited by hand;
                otherwise it stays.
            dry_run: path of a new or empty folder: what would be sent is written
                there, and nothing is sent.

        Returns:
            str, the URL of the commit (of the pull request, the folder).

        Raises:
            ValueError: if the encoder cannot be saved (see `save_pretrained`).
            keras_tc2.hub.HubError: if the Hub does not take it.
        """
        from keras_tc2.encoders.publish import push_to_hub

        contents = {
            "license": license,
            "card_data": card_data,
            "transfer_report": transfer_report,
            "pictures": pictures,
            "include_pretrainer": include_pretrainer,
            "safetensors": safetensors,
        }
        push = {
            "private": private,
            "token": token,
            "branch": branch,
            "create_pr": create_pr,
            "commit_message": commit_message,
            "overwrite_card": overwrite_card,
        }
        return push_to_hub(self, repo_id, dry_run=dry_run, contents=contents, push=push)

    @classmethod
    def from_pretrained(
        cls,
        repo_id_or_folder: PathLike,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: PathLike | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        trainable: bool = True,
    ) -> Any:
        """Loads an encoder; see `keras_tc2.from_pretrained`."""
        from keras_tc2.encoders.from_pretrained import from_pretrained

        return from_pretrained(
            repo_id_or_folder,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            trainable=trainable,
        )

    def export(
        self,
        filepath: PathLike,
        format: str = "tf_saved_model",
        *,
        input_dtype: str = "uint8",
        tolerance: float = 1e-3,
    ) -> None:
        """Writes the encoder, preprocessing included, for another runtime.

        What was written is loaded and run on random images, and its features are
        compared with those of the encoder.

        Args:
            filepath: str or path. A folder for `"tf_saved_model"`, a file for the
                others (`.onnx`, `.tflite`).
            format: `"tf_saved_model"`, `"onnx"` (needs tf2onnx and onnxruntime) or
                `"litert"`.
            input_dtype: str. Type of the raw images that the exported encoder takes.
            tolerance: float. Largest allowed difference, relative to the largest
                feature.

        Raises:
            ImportError: if a package is missing; says what to install.
            RuntimeError: if the features differ.
        """
        from keras_tc2.encoders.export import export

        export(
            self, filepath, format=format, input_dtype=input_dtype, tolerance=tolerance
        )
