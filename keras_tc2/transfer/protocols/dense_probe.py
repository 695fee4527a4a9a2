"""Dense probe: segmentation by a linear read-out of every place of a feature map."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_tc2 import checks
from keras_tc2.annotations import Array
from keras_tc2.transfer.features.feature_maps import feature_map_function
from keras_tc2.transfer.features.held_out import held_out_part
from keras_tc2.transfer.protocols.few_shot import ridge_scores

REGULARIZATIONS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def dense_probe(
    encoder: keras.Model,
    train_images: Array,
    train_masks: Array,
    test_images: Array,
    test_masks: Array,
    *,
    num_classes: int | None = None,
    batch_size: int = 64,
    seed: int = 0,
) -> dict[str, Any]:
    """Segments images by ridge regression on the encoder's last feature map.

    Each place of the map is regressed on the shares of the classes among the pixels
    that it covers; scores are enlarged bilinearly to the image, and the largest is
    the pixel's class. The L2 weight is chosen on a fifth of the train images. Void
    pixels are in no share and no score, and a place that covers nothing else is left
    out.

    Args:
        encoder: an `Encoder` with a convolutional backbone, or a functional
            `keras.Model`.
        train_images: array `(N, H, W, C)`, as the encoder takes them.
        train_masks: int array `(N, H, W)` of classes from 0, or void.
        test_images: array `(M, H, W, C)`.
        test_masks: int array `(M, H, W)`.
        num_classes: int >= 1. Classes are the numbers below it; pixels of any other,
            negative ones too, are void. Defaults to `None`, one more than the largest
            of train: nothing is void, and classes of test beyond it are never
            predicted and count.
        batch_size: int. Images encoded at once. Defaults to `64`.
        seed: int. Draws the held-out part. Defaults to `0`.

    Returns:
        Dict: `"mean_iou"` (over the classes that test or prediction hold),
        `"accuracy"` (share of pixels), both without void pixels, `"regularization"`,
        `"predictions"` (int array `(M, H, W)`, of void pixels too).

    Raises:
        ValueError: if shapes do not fit together, all is void, masks are negative
            without `num_classes`, or the encoder has no feature map.
    """
    train_masks, test_masks = np.asarray(train_masks), np.asarray(test_masks)
    for name, images, masks in (
        ("train", train_images, train_masks),
        ("test", test_images, test_masks),
    ):
        if masks.ndim != 3 or np.shape(images)[:3] != masks.shape:
            raise ValueError(
                f"`{name}_masks` must be (N, H, W), a class for each pixel of "
                f"`{name}_images`. Received shapes {masks.shape} and "
                f"{np.shape(images)}."
            )
    if num_classes is None:
        lowest = min(train_masks.min(), test_masks.min())
        if lowest < 0:
            raise ValueError(
                "Masks are classes from 0: give `num_classes`, and others are void. "
                f"Received masks whose least is {lowest}."
            )
        num_classes = int(train_masks.max()) + 1
        num_counted = max(num_classes, int(test_masks.max()) + 1)
    else:
        num_counted = checks.integer("num_classes", num_classes)
    train_known, test_known = (
        (masks >= 0) & (masks < num_counted) for masks in (train_masks, test_masks)
    )
    for name, known in (("train", train_known), ("test", test_known)):
        if not known.any():
            raise ValueError(
                f"`{name}_masks` hold no pixel of the classes 0 to {num_counted - 1}."
            )
    to_map = tf.function(feature_map_function(encoder), reduce_retracing=True)
    train_maps = _maps(to_map, train_images, batch_size)
    test_maps = _maps(to_map, test_images, batch_size)
    shares = _class_shares(train_masks, num_classes, train_maps.shape[1:3])
    labelled = np.flatnonzero(train_known.any(axis=(1, 2)))
    fit_part, held_part = (
        labelled[part]
        for part in held_out_part(np.zeros(len(labelled)), fraction=0.2, seed=seed)
    )

    def predict(part, maps, weight, size):
        targets = _places(shares[part])
        known = targets.any(axis=1)
        scores = ridge_scores(
            _places(train_maps[part])[known], targets[known], _places(maps), weight
        )
        scores = scores.reshape(*maps.shape[:3], num_classes)
        return _largest(scores, size, batch_size)

    size = train_masks.shape[1:]
    held_known, held_maps = train_known[held_part], train_maps[held_part]
    held_masks = train_masks[held_part][held_known]
    ious = [
        mean_iou(
            held_masks,
            predict(fit_part, held_maps, weight, size)[held_known],
            num_classes,
        )
        for weight in REGULARIZATIONS
    ]
    weight = REGULARIZATIONS[int(np.argmax(ious))]
    predictions = predict(labelled, test_maps, weight, test_masks.shape[1:])
    true, found = test_masks[test_known], predictions[test_known]
    return {
        "mean_iou": mean_iou(true, found, num_counted),
        "accuracy": float(np.mean(found == true)),
        "regularization": weight,
        "predictions": predictions,
    }


def mean_iou(masks, predictions, num_classes):
    """Mean over classes of intersection over union of the pixels, a float in [0, 1].

    Classes that neither masks nor predictions hold are left out.
    """
    ious = []
    for value in range(num_classes):
        true, found = masks == value, predictions == value
        union = np.sum(true | found)
        if union:
            ious.append(np.sum(true & found) / union)
    return float(np.mean(ious))


def _maps(to_map, images, batch_size):
    images = np.asarray(images)
    return np.concatenate(
        [
            tf.cast(to_map(tf.constant(images[i : i + batch_size])), "float32").numpy()
            for i in range(0, len(images), batch_size)
        ]
    )


def _class_shares(masks, num_classes, size):
    """Share of each class in each place of a map, `(N, h, w, num_classes)`.

    Among the pixels that have a class; all 0 where none has.
    """
    shares = np.concatenate(
        [
            tf.image.resize(
                tf.one_hot(masks[i : i + 256], num_classes), size, method="area"
            ).numpy()
            for i in range(0, len(masks), 256)
        ]
    )
    known = shares.sum(axis=-1, keepdims=True)
    return shares / np.where(known > 0, known, 1)


def _places(maps):
    return maps.reshape(-1, maps.shape[-1])


def _largest(scores, size, batch_size):
    """The class of each pixel, from scores of the places of a map."""
    return np.concatenate(
        [
            tf.argmax(tf.image.resize(scores[i : i + batch_size], size), axis=-1)
            for i in range(0, len(scores), batch_size)
        ]
    )
