"""aTLAS: task vectors, of which every parameter block has a learned coefficient."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_tc2.annotations import Examples, Images, PathLike
from keras_tc2.bilevel import value_and_gradients
from keras_tc2.checks import integer, non_negative, positive
from keras_tc2.data.pipeline.epochs import shuffled_epochs
from keras_tc2.encoders.encoder_copy import copy_of
from keras_tc2.pretraining.core.forward import assigned
from keras_tc2.seeding import seeded_layers
from keras_tc2.transfer.merge.labelled import labelled_arrays
from keras_tc2.transfer.merge.mixture import (
    arrays_of,
    composed,
    parameter_positions,
)
from keras_tc2.transfer.merge.same_architecture import same_architecture


def atlas(
    base: keras.Model | PathLike,
    encoders: Sequence[keras.Model | PathLike],
    train: Examples,
    *,
    steps: int = 200,
    batch_size: int = 256,
    learning_rate: float = 1e-2,
    weight_decay: float = 0.0,
    images: Images | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Task vectors added block by block, with coefficients learned from few labels.

        θ_j = θ_0j + Σ_i λ_ij τ_ij,    min_λ  E[L(f(x; θ), y)]             [1, eq. 3, 4]

    with τ_i = θ_i − θ_0 and j a parameter block: one kernel, bias, gain and the like. A
    number a block and encoder is all that is learned, hence few labels suffice. The
    coefficients start at zero, as the pre-trained encoder. The paper's classifier is
    the text encoder of CLIP; here it is linear, on features standardised over the
    batch, starts at zero and learns beside the coefficients. Batch normalisation
    normalises by the batch meanwhile.

    Args:
        base: the pre-trained `keras.Model`, or its folder or Hub repository; θ_0.
        encoders: list of at least one encoder fine-tuned from `base`; θ_i.
        train: `(images, labels)` of the target task, or unbatched dataset of
            `(image, label)`, images as the encoder takes them.
        steps: int >= 1. Updates by AdamW. Defaults to `200`.
        batch_size: int >= 2. Defaults to `256`.
        learning_rate: float > 0. Of coefficients and classifier. Defaults to `1e-2`.
        weight_decay: float >= 0. Of the same. Defaults to `0.0`.
        images: array `(N, H, W, C)` or dataset of images, on which the statistics of
            batch normalisation are re-estimated at the end; `None` for those of
            `train`. Defaults to `None`.
        seed: int >= 0. Draws the batches. Defaults to `0`.

    Returns:
        Dict: `"encoder"`, a new one; `"coefficients"`, float array
        `(encoders, blocks)`; `"blocks"`, the path of each block's weight; `"loss"`,
        list of floats, one a step, in nats.

    Raises:
        ValueError: if there is no encoder, they differ in architecture or origin,
            labels are missing or not as many as images, or an argument is out of range.

    Example:
    ```python
    import numpy as np
    import keras_tc2 as tc2

    base = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    tuned = tc2.encoders.create("convnet", input_shape=(28, 28, 1))
    tuned.set_weights([1.01 * weight for weight in base.get_weights()])
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), "uint8")
    train = images, np.arange(8) % 2
    result = tc2.transfer.merge.atlas(base, [tuned], train, steps=2)
    assert result["coefficients"].shape == (1, len(result["blocks"]))
    ```

    References:
        - [1] Zhang et al., 2024, arXiv 2407.02880
    """
    integer("steps", steps)
    integer("batch_size", batch_size, at_least=2)
    positive("learning_rate", learning_rate)
    non_negative("weight_decay", weight_decay)
    integer("seed", seed, at_least=0)
    base, encoders = same_architecture(encoders, base=base, at_least=1)
    inputs, ids, num_classes = labelled_arrays("`train`", train)
    with seeded_layers(seed):
        scaling = AnisotropicScaling(base, encoders)
    learned = [
        keras.Variable(tf.zeros(shape))
        for shape in (
            (len(encoders), len(scaling.blocks)),
            (base(inputs[:1]).shape[-1], num_classes),
            (num_classes,),
        )
    ]
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    optimizer.build(learned)

    @tf.function(reduce_retracing=True)
    def step(batch, labels):
        loss, gradients = value_and_gradients(
            lambda values: scaling.loss(*values, batch, labels), learned
        )
        optimizer.apply(gradients, learned)
        return loss

    examples = tf.data.Dataset.from_tensor_slices((inputs, ids))
    batches = (
        shuffled_epochs(examples, len(ids), seed=seed)
        .repeat()
        .batch(min(batch_size, len(ids)), drop_remainder=True)
        .take(steps)
    )
    losses = [float(step(*batch)) for batch in batches]
    coefficients = np.asarray(learned[0])
    with seeded_layers(seed):
        encoder = composed(
            base, encoders, coefficients, inputs if images is None else images
        )
    return {
        "encoder": encoder,
        "coefficients": coefficients,
        "blocks": scaling.blocks,
        "loss": losses,
    }


class AnisotropicScaling:
    """The encoder as a function of the coefficients of its task vectors.

    Args:
        base: `keras.Model`, θ_0.
        encoders: list of `keras.Model`s of the same architecture.

    Attributes:
        blocks: list of str, the paths of the weights that have coefficients.
    """

    def __init__(self, base, encoders):
        self._model = copy_of(base)
        # Frozen batch normalisation would not normalise by the batch.
        self._model.trainable = True
        positions = parameter_positions(base)
        self._variables = [self._model.weights[i] for i in positions]
        kept = {id(variable) for variable in self._model.weights}
        self._seeds = [v for v in self._model.variables if id(v) not in kept]
        self.blocks = [base.weights[i].path for i in positions]
        start, *tuned = map(arrays_of, (base, *encoders))
        self._task_vectors = [
            tf.constant(np.stack([t[i] - start[i] for t in tuned]), v.dtype)
            for i, v in zip(positions, self._variables, strict=True)
        ]

    def loss(self, coefficients, kernel, bias, images, labels):
        """Mean cross-entropy of a linear classifier, a scalar in nats.

        Args:
            coefficients: float tensor `(encoders, blocks)`.
            kernel: float tensor `(D, classes)`.
            bias: float tensor `(classes,)`.
            images: tensor `(batch, H, W, C)`.
            labels: int tensor `(batch,)`.
        """
        values = [
            variable + tf.tensordot(tf.cast(column, variable.dtype), vectors, 1)
            for variable, column, vectors in zip(
                self._variables,
                tf.unstack(tf.convert_to_tensor(coefficients), axis=1),
                self._task_vectors,
                strict=True,
            )
        ]
        pairs = list(zip(self._variables, values, strict=True))
        with keras.StatelessScope(pairs) as scope:
            features = self._model(images, training=True)
        for variable, value in assigned(scope, self._seeds):
            variable.assign(value)
        kernel, bias = map(tf.convert_to_tensor, (kernel, bias))
        features = tf.cast(features, kernel.dtype)
        mean, variance = tf.nn.moments(features, 0)
        logits = (features - mean) * tf.math.rsqrt(variance + 1e-3) @ kernel + bias
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_mean(losses)
