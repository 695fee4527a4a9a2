"""The interface of a base self-supervised objective."""

from collections.abc import Callable, Sequence
from typing import Any, Self, TypeAlias

import keras
import tensorflow as tf

from keras_tc2.annotations import Config, Shape, Tensor
from keras_tc2.objectives.needs import Needs
from keras_tc2.precision import at_least_float32
from keras_tc2.replicas import num_replicas
from keras_tc2.representation import arguments_of


class Objective:
    """Base class of the self-supervised losses that pretrainers minimise.

    A subclass implements `compute_loss`, a thin call of a pure function, and
    `get_config`. It is a function of its arguments alone, so that a pretrainer can
    apply it to a whole batch or to one task, to plain embeddings or to calibrated
    ones, and differentiate it twice.

    What it needs beside embeddings it states in `needs`, and the pretrainer, which
    knows no objective by name, provides it:

        views → (mask_views) → encoder → projector → embeddings → head → outputs
        targets: by `needs.target`, → target normalisation; never with a gradient

    Without a head, the outputs are the embeddings. In TC² the head takes the
    calibrated embeddings of a task and is among its fast weights; the targets are
    computed once for the whole batch, uncalibrated, then split into tasks.

    Args:
        gather: bool. Whether negatives and batch statistics are global under a
            `tf.distribute` strategy: the outputs and targets of all replicas are
            gathered before the loss of the whole batch. Tasks stay local to their
            replica. Defaults to `False`.

    Attributes:
        needs: `Needs`, of the class.
        momentum: float in [0, 1], or a function of the number of updates such as
            `optimizers.MomentumSchedule`: how much of the moving average stays at
            each update. Read if `needs.target` is `"momentum"`.

    Call arguments:
        *outputs: float tensors `(batch, ...)`, one a view.
        targets: list, one a target: a float tensor `(batch, ...)` or a dict of them.
            Only for an objective that needs targets.

    Returns:
        Scalar tensor, float32 (float64 for float64 outputs).
    """

    needs = Needs()

    def __init__(self, *, gather: bool = False) -> None:
        self.gather = gather

    # What a subclass gives.

    def compute_loss(self, *outputs: Any, targets: Any = None) -> Tensor:
        """The loss of what is given, on this replica alone.

        Without targets, `compute_loss(embeddings_1, embeddings_2)` is enough.
        """
        raise TypeError(f"{type(self).__name__} must override `compute_loss`.")

    def make_head(self, embedding_dim: int, image_shape: Shape) -> keras.Layer | None:
        """A new trainable layer from embeddings to outputs, or `None`.

        Args:
            embedding_dim: int. Width of the embeddings.
            image_shape: (height, width, channels) of the views.

        Returns:
            Keras layer, or `None`.
        """
        return None

    def make_target_normalization(self) -> keras.Layer | None:
        """A new layer without trainable weights that targets pass last, or `None`."""
        return None

    def mask_views(
        self, views: Sequence[Tensor], step: Tensor
    ) -> tuple[list[Tensor], list[Any]]:
        """Hides a part of the views; asked if `needs.masks_views`.

        Args:
            views: list of float tensors `(batch, H, W, C)`.
            step: int scalar tensor, the number of updates so far: what is hidden is
                a function of it.

        Returns:
            `(masked_views, targets)`: list of tensors like `views`, and the list of
            targets.
        """
        raise TypeError(f"{type(self).__name__} must override `mask_views`.")

    # What a pretrainer calls.

    def __call__(self, *outputs: Tensor, targets: Any = None) -> Tensor:
        """The loss of a whole batch, global over replicas if `gather`."""
        if self.gather:
            outputs = keras.tree.map_structure(_all_gather, outputs)
            if targets is not None:
                targets = keras.tree.map_structure(_all_gather, targets)
        return self.local_loss(*outputs, targets=targets)

    def local_loss(self, *outputs: Tensor, targets: Any = None) -> Tensor:
        """The loss of one task, or of one replica: nothing is gathered."""
        outputs = keras.tree.map_structure(at_least_float32, outputs)
        if targets is None:
            return self._checked(self.compute_loss(*outputs))
        targets = keras.tree.map_structure(
            lambda x: tf.stop_gradient(at_least_float32(x)), targets
        )
        return self._checked(self.compute_loss(*outputs, targets=targets))

    def _checked(self, loss):
        """The loss; `ValueError` if it is more than one number."""
        shape = tf.TensorShape(getattr(loss, "shape", ()))
        if shape.rank:
            raise ValueError(
                f"{self!r} must return a scalar, one loss of the whole batch. Keras's "
                "loss functions give one an image: take `keras.ops.mean` of it. "
                f"Received: a loss of shape {tuple(shape)}"
            )
        return loss

    def __repr__(self) -> str:
        """The call that makes it, without what is at its default."""
        return f"{type(self).__name__}({arguments_of(self)})"

    # What saving needs.

    def get_config(self) -> Config:
        """The constructor arguments, as `keras.saving` expects."""
        return {"gather": self.gather}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """The objective that `get_config` described."""
        return cls(**config)


# What `objectives.get` takes.
AnyObjective: TypeAlias = str | Objective | type[Objective] | Callable[..., Tensor]


def _all_gather(x):
    """Concatenates over replicas; its gradient sums the replicas' cotangents."""
    x = at_least_float32(x)
    if num_replicas() == 1:
        return x
    gathered = tf.distribute.get_replica_context().all_gather(x, axis=0)
    # Gathering forgets the static shape.
    batch_size = x.shape[0] and x.shape[0] * num_replicas()
    return tf.ensure_shape(gathered, (batch_size, *x.shape[1:]))
