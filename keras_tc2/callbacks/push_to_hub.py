"""Publishing an encoder while it trains."""

import hashlib
import tempfile
import threading
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from keras_tc2 import checks
from keras_tc2.annotations import PathLike
from keras_tc2.callbacks.watched_encoder import watched_encoder
from keras_tc2.hub.push import push_folder


class PushToHub(keras.callbacks.Callback):
    """Pushes the encoder every few epochs, in the background, and at the end.

    The weights are written down when the epoch ends; sending them runs beside the
    training. At most one push is under way: while one is, an epoch is passed over,
    and a later push brings what it brought. A push that fails is reported as a
    warning and never ends the training. When training ends, weights that are not yet
    on the Hub are pushed once more, as those of `use_ema=True` or the best ones that
    another callback has put back.

    Args:
        repo_id: str, `namespace/name`.
        every_epochs: int >= 1.
        encoder: `Encoder`. `None` for the `encoder` of the model that trains, or
            the model itself if it is one.
        include_pretrainer: bool. Whether to push the projector and calibrator of
            the model that trains too.
        private: bool. Whether a repository created here is private.
        token: str, or bool as in `huggingface_hub`; `None` for the stored one.
        branch: str, created if it is not there; `None` for the main branch.
        license: str; this and those below as of `Encoder.push_to_hub`.
        card_data: dict.
        transfer_report: report of `transfer.evaluate`.
        pictures: paths of pictures, read anew for each push.
        safetensors: bool.

    Attributes:
        urls: list of str, the URL of each commit.
        failures: list of (epoch, exception).

    Raises:
        ValueError: at the start of training, if there is no encoder, or one that
            cannot be saved.

    Example:
    ```python
    import keras_tc2

    callback = keras_tc2.callbacks.PushToHub("me/tc2-resnet18", every_epochs=10)
    ```
    """

    def __init__(
        self,
        repo_id: str,
        every_epochs: int = 1,
        *,
        encoder: keras.Model | None = None,
        include_pretrainer: bool = False,
        private: bool | None = None,
        token: str | bool | None = None,
        branch: str | None = None,
        license: str | None = None,
        card_data: Mapping[str, Any] | None = None,
        transfer_report: Any = None,
        pictures: Iterable[PathLike] = (),
        safetensors: bool = False,
    ) -> None:
        super().__init__()
        self.repo_id = repo_id
        self.every_epochs = checks.integer("every_epochs", every_epochs)
        self.encoder = encoder
        self.include_pretrainer = include_pretrainer
        self.private = private
        self.token = token
        self.branch = branch
        self.contents = {
            "license": license,
            "card_data": card_data,
            "transfer_report": transfer_report,
            "pictures": checks.paths("pictures", pictures),
            "safetensors": safetensors,
        }
        self.urls: list[str] = []
        self.failures: list[tuple[int, Exception]] = []
        self._thread: threading.Thread | None = None
        self._epoch: int | None = None
        self._pushed: str | None = None
        self._reported = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Tries the writing, so that a mistake shows before the training."""
        self._encoder = self.encoder or watched_encoder(self.model)
        self._epoch = self._pushed = None
        with tempfile.TemporaryDirectory() as folder:
            self._write(folder)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts a push, if one is due and none is under way."""
        self._epoch = epoch
        self._report()
        if (epoch + 1) % self.every_epochs or self._is_pushing():
            return
        self._start()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Waits for the push under way, and pushes what is not there yet."""
        self._wait()
        # Weights may have changed since the last epoch: averages, or the best ones.
        if self._epoch is not None and self._pushed != self._digest():
            self._start()
            self._wait()
        self._report()

    def _start(self):
        scratch = tempfile.TemporaryDirectory()
        try:
            self._write(scratch.name)
        except Exception as error:  # Training goes on, whatever it was.
            scratch.cleanup()
            self.failures.append((self._epoch, error))
            return
        self._thread = threading.Thread(
            target=self._push,
            args=(scratch, self._epoch, self._digest()),
            name="push_to_hub",
        )
        self._thread.start()

    def _write(self, folder):
        pretrainer = self.model if self.include_pretrainer else None
        self._encoder.push_to_hub(
            self.repo_id,
            dry_run=folder,
            include_pretrainer=pretrainer,
            **self.contents,
        )

    def _digest(self):
        """Of the weights that a push sends."""
        sent = self.model if self.include_pretrainer else self._encoder
        digest = hashlib.sha256()
        for array in sent.get_weights():
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _push(self, scratch, epoch, digest):
        try:
            with scratch as folder:
                url = push_folder(
                    folder,
                    self.repo_id,
                    private=self.private,
                    token=self.token,
                    branch=self.branch,
                    create_pr=False,
                    commit_message=f"Encoder after epoch {epoch + 1}",
                    overwrite_card=False,
                )
        except Exception as error:  # Training goes on, whatever it was.
            self.failures.append((epoch, error))
            return
        self.urls.append(url)
        self._pushed = digest

    def _wait(self):
        if self._thread is not None:
            self._thread.join()

    def _is_pushing(self):
        return self._thread is not None and self._thread.is_alive()

    def _report(self):
        for epoch, error in self.failures[self._reported :]:
            warnings.warn(
                f"Pushing the encoder of epoch {epoch + 1} to {self.repo_id!r} failed; "
                f"training goes on. {error}",
                stacklevel=2,
            )
        self._reported = len(self.failures)
