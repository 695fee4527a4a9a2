"""Selective attention beside what it must beat, on the same few labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Array, PathLike
from keras_tc2.data.pipeline.epochs import shuffled_epochs
from keras_tc2.transfer.classifiers import selective_attention
from keras_tc2.transfer.classifiers.fine_tuning import as_dataset, fine_tune
from keras_tc2.transfer.classifiers.selective_attention import (
    SelectiveAttentionClassifier,
)
from keras_tc2.transfer.features.adapt import adapt, image_shape_of
from keras_tc2.transfer.features.extraction import resolved
from keras_tc2.transfer.features.labelled_features import checked_labels
from keras_tc2.transfer.protocols.few_shot import REGULARIZATION, ridge_scores
from keras_tc2.transfer.protocols.linear_probe import linear_probe


def compare_encoders(
    encoders: Mapping[str, Any],
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    *,
    train_features: Sequence[Array] | None = None,
    test_features: Sequence[Array] | None = None,
    epochs: int = 100,
    learning_rate: float = 3e-3,
    fine_tuning: Any = None,
    seed: int = 0,
    dim: int = selective_attention.DIM,
    temperature: float = selective_attention.TEMPERATURE,
    query: str = selective_attention.QUERY,
    entropy_weight: float = selective_attention.ENTROPY_WEIGHT,
    cache_dir: PathLike | None = None,
    batch_size: int = selective_attention.BATCH_SIZE,
) -> dict[str, float]:
    """Accuracy on test of selective attention and of every baseline.

    The baselines: each encoder's linear probe; the same network with equal weights;
    one linear probe of all features side by side; and the encoder whose probe is best
    on held-out train images, fine-tuned. A linear probe chooses its regularisation on
    held-out train images. Where no class has two images there are none: then linear is
    ridge regression of fixed strength, and nothing is fine-tuned.

    Args:
        encoders: dict from name to encoder, as `SelectiveAttentionClassifier` takes
            them; images are resized, and turned from grey to color or back, for each.
        train: `(images, labels)` arrays.
        test: the same.
        train_features: list of arrays that `SelectiveAttentionClassifier.encode` gave
            of the train images, or `None` to encode them here.
        test_features: the same of test.
        epochs: int. Of attention. Defaults to `100`.
        learning_rate: float. Adam's, of attention. Defaults to `3e-3`.
        fine_tuning: dict of options of `fine_tune`, or `None` for its defaults; `False`
            for no fine-tuning. Defaults to `None`.
        seed: int. Defaults to `0`.
        dim: int >= 1; this and those below as of `SelectiveAttentionClassifier`.
            Defaults to `64`.
        temperature: float > 0. Defaults to `1.0`.
        query: str, of the attention that is compared with equal weights. Defaults to
            `"mean"`.
        entropy_weight: float >= 0. Defaults to `0.0`.
        cache_dir: str, path or `None`. Defaults to `None`.
        batch_size: int >= 1. Images encoded at once. Defaults to `256`.

    Returns:
        Dict from the name of a row to its accuracy.

    Raises:
        ValueError: if `encoders` is no dict.

    Example:
    ```python
    import numpy as np
    import keras_tc2 as tc2

    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    images = rng.integers(0, 128, (24, 28, 28, 1)) + 100 * labels[:, None, None, None]
    data = images.astype("uint8"), labels
    encoders = {
        name: tc2.encoders.create("convnet", input_shape=(28, 28, 1)) for name in "ab"
    }
    rows = tc2.transfer.compare_encoders(
        encoders, data, data, epochs=5, fine_tuning=False
    )
    ```
    """
    checks.mapping("encoders", encoders)
    labels, test_labels = (
        checked_labels(part, len(part), name=f"{split}_labels")
        for split, (_, part) in (("train", train), ("test", test))
    )
    classes, class_ids = np.unique(labels, return_inverse=True)

    def classifier(query):
        return SelectiveAttentionClassifier(
            list(encoders.values()),
            len(classes),
            dim=dim,
            temperature=temperature,
            query=query,
            entropy_weight=entropy_weight,
            cache_dir=cache_dir,
            batch_size=batch_size,
            seed=seed,
        )

    if train_features is None or test_features is None:
        encoder = classifier(query)
        train_features = encoder.encode(train[0])
        test_features = encoder.encode(test[0])

    def attend(query):
        model = classifier(query)
        model.compile(keras.optimizers.Adam(learning_rate))
        model.pooling.standardize_by(train_features)
        examples = tf.data.Dataset.from_tensor_slices(
            (tuple(train_features), class_ids)
        )
        batches = shuffled_epochs(examples, len(labels), seed=seed).batch(256)
        # Of arrays TensorFlow's global seed would draw the order.
        keras.Model.fit(model, batches, shuffle=False, epochs=epochs, verbose=0)
        logits = model.predict(test_features, verbose=0)
        return float(np.mean(classes[np.argmax(logits, axis=1)] == test_labels))

    rows, validation = {}, {}
    for name, part, test_part in zip(
        encoders, train_features, test_features, strict=True
    ):
        rows[f"linear: {name}"], validation[name] = _linear(
            part, labels, test_part, test_labels, seed=seed
        )
    rows["all features, linear"], _ = _linear(
        np.concatenate(_on_one_scale(train_features, train_features), axis=1),
        labels,
        np.concatenate(_on_one_scale(test_features, train_features), axis=1),
        test_labels,
        seed=seed,
    )
    rows["uniform mean"] = attend("none")
    if fine_tuning is not False and None not in validation.values():
        best = max(validation, key=validation.__getitem__)
        encoder = resolved(encoders[best])
        parts = (
            adapt(as_dataset(part), image_shape_of(encoder))[0]
            for part in (train, test)
        )
        tuned = fine_tune(encoder, *parts, seed=seed, **(fine_tuning or {}))
        rows["best single, fine-tuned"] = tuned["accuracy"]
    rows["selective attention"] = attend(query)
    return rows


def _linear(features, labels, test_features, test_labels, *, seed):
    """`(accuracy, validation accuracy or None)` of a linear classifier."""
    classes, counts = np.unique(labels, return_counts=True)
    if counts.max() > 1:
        probe = linear_probe(features, labels, test_features, test_labels, seed=seed)
        return probe["accuracy"], probe["validation_accuracy"]
    targets = np.eye(len(classes))[np.searchsorted(classes, labels)]
    features, test_features = _on_one_scale([features, test_features], [features] * 2)
    scores = ridge_scores(features, targets, test_features, REGULARIZATION)
    return float(np.mean(classes[np.argmax(scores, axis=1)] == test_labels)), None


def _on_one_scale(features, reference):
    """Each array centred, and divided by one number, as its reference asks."""
    scaled = []
    for part, of in zip(features, reference, strict=True):
        centre = of.mean(axis=0)
        scale = max(float(np.sqrt(np.mean((of - centre) ** 2))), 1e-6)
        scaled.append((part - centre) / scale)
    return scaled
