"""The protocol of fine-tuning."""

from typing import Any

from keras_tc2.transfer.classifiers.fine_tuning import fine_tune
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.protocols.score import Score


class FineTuning(Protocol):
    """The protocol `"fine_tuning"`: `fine_tune` as a row of a report."""

    function = staticmethod(fine_tune)

    def __call__(self, downstream: Any) -> list[Score]:
        """One score."""
        tuned = fine_tune(
            downstream.encoder,
            downstream.train_images,
            downstream.test_images,
            seed=downstream.seed,
            **self.options,
        )
        return [
            Score(
                "fine_tuning",
                tuned["accuracy"],
                per_image=tuned["correct"],
                details={"num_epochs": tuned["num_epochs"]},
            )
        ]
