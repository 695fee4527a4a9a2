"""Classifiers that hold encoders which do not train, without touching the encoders."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_tc2.annotations import Config


class FrozenClassifier(keras.Model):
    """Base class: a `keras.Model` to logits, some parts of which do not train.

    Those parts stay as they were given, their `trainable` too, and are saved with the
    model.
    """

    @property
    def frozen_parts(self) -> list[keras.Layer]:
        """List of layers that do not train."""
        raise NotImplementedError

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """Those of the other parts."""
        return self._without_frozen(super().trainable_variables)

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        """The same."""
        return self._without_frozen(super().trainable_weights)

    def _without_frozen(self, variables):
        frozen = {id(v) for part in self.frozen_parts for v in part.variables}
        return [variable for variable in variables if id(variable) not in frozen]

    def compile(
        self,
        optimizer: str | keras.Optimizer = "adam",
        *,
        loss: Any = None,
        metrics: Sequence[Any] = ("accuracy",),
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.compile`; the loss is cross-entropy of whole class numbers.

        Args:
            optimizer: Keras optimizer, or its name. Defaults to `"adam"`.
            loss: Keras loss on logits, or `None` for sparse cross-entropy.
            metrics: as in Keras. Defaults to `("accuracy",)`.
            **kwargs: as in `keras.Model.compile`.
        """
        if loss is None:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        super().compile(optimizer, loss=loss, metrics=list(metrics), **kwargs)

    def compile_from_config(self, config: Config) -> None:
        """Compiles as it was when it was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)
