"""Fine-tuning: the encoder itself is trained on the downstream labels."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_tc2 import checks, data
from keras_tc2.annotations import Examples, Images, PathLike
from keras_tc2.data.pipeline.epochs import shuffled_epochs
from keras_tc2.encoders import Classifier
from keras_tc2.encoders.encoder_copy import copy_of
from keras_tc2.layers import ClassificationHead
from keras_tc2.seeding import seeded_layers
from keras_tc2.transfer.classifiers.domain_adversarial import (
    DomainAdversarial,
    target_dataset,
    with_targets,
)
from keras_tc2.transfer.classifiers.frozen_layers import freeze_first_layers
from keras_tc2.transfer.features.class_numbers import with_one_numbering
from keras_tc2.transfer.features.extraction import (
    FeatureExtractor,
    extract_features,
    in_one_order,
    resolved,
)
from keras_tc2.transfer.features.held_out import held_out_part
from keras_tc2.transfer.features.labelled_features import (
    check_same_kind,
    checked_labels,
)

# The least steps of an epoch, so that a handful of images still train a head.
MIN_STEPS = 20


def fine_tune(
    encoder: keras.Model | PathLike,
    train: Examples,
    test: Examples,
    *,
    epochs: int = 20,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    encoder_learning_rate_factor: float = 0.3,
    num_frozen_layers: int = 0,
    validation_fraction: float = 0.1,
    patience: int = 5,
    augmentation: Callable[[Any], Any] | None = None,
    target_images: Images | None = None,
    adversarial_weight: float = 1.0,
    seed: int = 0,
    verbose: int = 0,
) -> dict[str, Any]:
    """Trains a copy of the encoder with a linear head, and counts test images right.

    Adam on cross-entropy. An epoch goes over the images once, or as often as makes 20
    steps or more. A part of train, held out class by class, stops training and chooses
    the epoch whose weights are kept; test is read once, at the end. The encoder that
    was given does not change.

    Args:
        encoder: an `Encoder` or any `keras.Model` from images to features `(B, D)`
            with a `get_config`, or the folder or Hub repository of a saved encoder.
        train: `(images, labels)` arrays, labels `(N,)` or `(N, 1)`, numbers or names;
            or an unbatched `tf.data.Dataset` of `(image, label)`, which is held in
            memory. Images as the encoder takes them.
        test: the same. Where both have `class_names`, test is numbered as train is.
        epochs: int. At most so many. Defaults to `20`.
        batch_size: int. Defaults to `128`.
        learning_rate: float. Adam's, for the head. Defaults to `1e-3`.
        encoder_learning_rate_factor: float >= 0. The encoder learns at this times
            `learning_rate`; 0 trains the head alone. Defaults to `0.3`.
        num_frozen_layers: int. The first so many layers that have weights stay as they
            are, their normalisation statistics too. Defaults to `0`.
        validation_fraction: float in (0, 1). Share of train held out. Defaults to
            `0.1`.
        patience: int. Epochs without a better validation loss before training stops.
            Defaults to `5`.
        augmentation: layer or callable on a batch of raw train images, or None.
            Defaults to `None`.
        target_images: array `(N, H, W, C)` or dataset of images of another domain,
            without labels, or None. With them the features learn not to tell the
            domains apart: see `DomainAdversarial`, whose λ rises over all epochs, so
            that no epoch but the last is kept. Defaults to `None`.
        adversarial_weight: float >= 0. λ times this; at 0 target images take part in
            the batch statistics of encoder and head alone, which is the control of the
            adversary. Defaults to `1.0`.
        seed: int. Draws the held-out part, the head's start, the order of images and
            what layers of the encoder draw that have no seed. Defaults to `0`.
        verbose: int. As in `fit`. Defaults to `0`.

    Returns:
        Dict: `"accuracy"`, `"predictions"` (array `(M,)`, in the order in which test
        was read), `"correct"` (bool array `(M,)`), `"history"` (Keras's dict),
        `"num_epochs"`, `"classes"` and `"model"`, the fine-tuned
        `keras_tc2.Classifier`: `save` or `push_to_hub` keeps it. Its classes are the
        names of `load(...).class_names`, where `train` has them.

    Raises:
        ValueError: if an argument is out of range, target images are not of the
            shape of those of train or the encoder does not learn from them, train has
            no class of two images, or the encoder cannot be copied.
    """
    checks.integer("epochs", epochs)
    checks.positive("learning_rate", learning_rate)
    checks.non_negative("encoder_learning_rate_factor", encoder_learning_rate_factor)
    checks.integer("num_frozen_layers", num_frozen_layers, at_least=0)
    checks.integer("patience", patience, at_least=0)
    checks.non_negative("adversarial_weight", adversarial_weight)
    train, test = with_one_numbering(
        "train and test", [as_dataset(train), as_dataset(test)]
    )
    train = in_one_order(train)
    if target_images is not None:
        checks.positive("encoder_learning_rate_factor", encoder_learning_rate_factor)
        target_images = target_dataset(target_images, train)
    with seeded_layers(seed):
        copy = copy_of(resolved(encoder))
    if encoder_learning_rate_factor == 0:
        copy.trainable = False
    freeze_first_layers(copy, num_frozen_layers)

    labels = labels_of(train)
    classes, class_ids = np.unique(labels, return_inverse=True)
    fit_part, held_part = held_out_part(labels, fraction=validation_fraction, seed=seed)
    ids = tf.constant(class_ids)
    numbered = train.enumerate().map(lambda i, pair: (pair[0], ids[i]))
    head = ClassificationHead(
        len(classes),
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=seed),
        name="head",
    )
    feature_dim = extract_features(copy, train.take(1)).shape[1]
    head.build((None, feature_dim))
    names = getattr(train, "class_names", None)
    model = Classifier(
        copy, head, classes=[names[i] for i in classes] if names else list(classes)
    )
    num_batches = math.ceil(len(fit_part) / batch_size)
    fit_images = subset(numbered, fit_part, len(labels)).cache()
    fit_batches = (
        shuffled_epochs(fit_images, min(len(fit_part), 10_000), seed=seed)
        .batch(batch_size)
        .repeat(math.ceil(MIN_STEPS / num_batches))
    )
    if augmentation is not None:
        fit_batches = fit_batches.map(lambda x, y: (augmentation(x), y))
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=patience, restore_best_weights=True
    )
    trained, callbacks = model, [stopping]
    if target_images is not None:
        trained = DomainAdversarial(
            copy,
            head,
            feature_dim=feature_dim,
            num_steps=epochs * int(fit_batches.cardinality()),
            weight=adversarial_weight,
            seed=seed,
        )
        callbacks = []
        fit_batches = with_targets(
            fit_batches,
            target_images,
            batch_size=min(batch_size, len(fit_part)),
            augmentation=augmentation,
            seed=seed,
        )
    for compiled in dict.fromkeys((model, trained)):
        compiled.compile(
            keras.optimizers.Adam(learning_rate),
            encoder_optimizer=keras.optimizers.Adam(
                learning_rate * (encoder_learning_rate_factor or 1.0)
            ),
        )
    history = trained.fit(
        fit_batches.prefetch(tf.data.AUTOTUNE),
        shuffle=False,
        validation_data=subset(numbered, held_part, len(labels))
        .batch(batch_size)
        .cache(),
        epochs=epochs,
        callbacks=callbacks,
        verbose=verbose,
    )
    logits, test_labels = FeatureExtractor(model)(test, batch_size=batch_size)
    predictions = classes[np.argmax(logits, axis=1)]
    test_labels = checked_labels(test_labels, len(predictions), name="test_labels")
    check_same_kind(labels, test_labels)
    correct = predictions == test_labels
    return {
        "accuracy": float(np.mean(correct)),
        "predictions": predictions,
        "correct": correct,
        "history": history.history,
        "num_epochs": len(history.epoch),
        "model": model,
        "classes": classes,
    }


def as_dataset(pairs):
    """Unbatched `(image, label)` from arrays or from such a dataset."""
    if isinstance(pairs, tf.data.Dataset):
        return pairs
    images, labels = (np.asarray(array) for array in pairs)
    if len(images) != len(labels):
        raise ValueError(
            f"Images and labels must be as many. Received {len(images)} images and "
            f"{len(labels)} labels."
        )
    return tf.data.Dataset.from_tensor_slices((images, labels))


def labels_of(dataset):
    """The labels `(N,)` of an unbatched dataset of `(image, label)`, in its order."""
    labels = [label for _, label in dataset.as_numpy_iterator()]
    return checked_labels(labels, len(labels), name="train_labels")


def subset(dataset, indices, number):
    """The elements of `dataset`, `number` in all, whose position is in `indices`."""
    wanted = np.zeros(number, bool)
    wanted[indices] = True
    wanted = tf.constant(wanted)
    chosen = dataset.enumerate().filter(lambda i, _: wanted[i]).map(lambda _, x: x)
    chosen = chosen.apply(tf.data.experimental.assert_cardinality(len(indices)))
    names = getattr(dataset, "class_names", None)
    return data.ImageDataset(chosen, class_names=names)
