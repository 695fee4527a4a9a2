"""Linear probe: how much of the classes a linear read-out of the features finds."""

import warnings
from typing import Any

import keras
import numpy as np

from keras_tc2.annotations import Array, Images, PathLike
from keras_tc2.transfer.features.extraction import extract_features, resolved
from keras_tc2.transfer.features.held_out import held_out_part
from keras_tc2.transfer.features.labelled_features import checked
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.protocols.score import Score

# Inverse regularisation strengths, strongest first, so that each fit starts from the
# one before it.
STRENGTHS = tuple(10.0**exponent for exponent in range(-4, 3))


def linear_probe(
    train_features: Images,
    train_labels: Array,
    test_features: Images,
    test_labels: Array,
    *,
    encoder: keras.Model | PathLike | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Multinomial logistic regression on standardised features.

    Mean and standard deviation come from train. The L2 regularisation is chosen on
    a fifth of train, held out class by class: by accuracy, and of equally good ones by
    cross-entropy. The classifier is then fitted again on all of train. Test labels
    touch nothing but the final count.

    Args:
        train_features: array `(N, D)`; with an `encoder`, raw images.
        train_labels: array `(N,)`.
        test_features: array `(M, D)`; with an `encoder`, raw images.
        test_labels: array `(M,)`.
        encoder: what `extract_features` takes, a folder or Hub repository included;
            encodes both first. Defaults to `None`, features as they are given.
        seed: int. Draws the held-out part. Defaults to `0`.

    Returns:
        Dict: `"accuracy"` on test, `"validation_accuracy"` on the held-out part,
        `"regularization"` (the L2 weight per train image that was chosen),
        `"predictions"`, the class that each test image is given, and `"correct"`, a
        bool array `(M,)`.

    Raises:
        ValueError: if the arrays do not fit together, hold NaN, or no train class has
            two images.

    Example:
    ```python
    import numpy as np
    from keras_tc2 import transfer

    generator = np.random.default_rng(0)
    labels = np.arange(100) % 2
    features = generator.normal(size=(100, 8)) + labels[:, None]
    probe = transfer.linear_probe(
        features[:80], labels[:80], features[80:], labels[80:]
    )
    probe["accuracy"]
    ```
    """
    if encoder is not None:
        encoder = resolved(encoder)
        train_features = extract_features(encoder, train_features)
        test_features = extract_features(encoder, test_features)
    train_features, train_labels, test_features, test_labels = checked(
        train_features, train_labels, test_features, test_labels
    )
    mean, scale = _mean_and_scale(train_features)
    train_features = (train_features - mean) / scale
    test_features = (test_features - mean) / scale
    fit_part, held_part = held_out_part(train_labels, fraction=0.2, seed=seed)

    classifier = _classifier()
    scores = []
    for strength in STRENGTHS:
        _fit(classifier, strength, train_features[fit_part], train_labels[fit_part])
        scores.append(
            _score(classifier, train_features[held_part], train_labels[held_part])
        )
    best = scores.index(max(scores))
    classifier = _classifier()
    for strength in STRENGTHS[: best + 1]:
        _fit(classifier, strength, train_features, train_labels)
    predictions = classifier.predict(test_features)
    correct = predictions == test_labels
    return {
        "accuracy": float(np.mean(correct)),
        "validation_accuracy": scores[best][0],
        "regularization": 1.0 / (STRENGTHS[best] * len(train_features)),
        "predictions": predictions,
        "correct": correct,
    }


def _mean_and_scale(features):
    """Mean and standard deviation of each feature, 1 for one that is constant."""
    # In float32 the mean of a constant is not quite the constant.
    mean = features.mean(axis=0, dtype="float64")
    scale = features.std(axis=0, dtype="float64")
    scale[scale <= 1e-6 * np.maximum(np.abs(mean), 1e-6)] = 1.0
    return mean.astype(features.dtype), scale.astype(features.dtype)


def _classifier():
    from sklearn.linear_model import LogisticRegression

    # Measured on 20,000 × 64 features of ten classes, whole path of strengths, one
    # thread: lbfgs 2.2 s, newton-cg 2.5 s; of 512 features 11 s and 59 s.
    return LogisticRegression(solver="lbfgs", warm_start=True, max_iter=100)


def _fit(classifier, strength, features, labels):
    import threadpoolctl
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(), threadpoolctl.threadpool_limits(1):
        # Weak regularisation on separable data has no finite optimum to reach; the
        # held-out part judges the point that was reached. One thread: the solver's
        # many small products take 20 times as long when threads wait for a busy core.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.set_params(C=strength).fit(features, labels)


def _score(classifier, features, labels):
    """`(accuracy, log likelihood)`: greater is better.

    Where classes are far apart all strengths have one accuracy, though the strongest
    regularisation leaves only the sizes of classes to decide.
    """
    places = np.searchsorted(classifier.classes_, labels)
    probabilities = classifier.predict_proba(features)
    accuracy = np.mean(probabilities.argmax(axis=1) == places)
    likelihoods = np.maximum(probabilities[np.arange(len(labels)), places], 1e-30)
    return float(accuracy), float(np.log(likelihoods).mean())


class LinearProbe(Protocol):
    """The protocol `"linear"`: `linear_probe` as a row of a report."""

    function = staticmethod(linear_probe)

    def __call__(self, downstream: Any) -> list[Score]:
        """One score."""
        probe = linear_probe(*downstream.arrays, seed=downstream.seed)
        del probe["predictions"]
        accuracy, correct = probe.pop("accuracy"), probe.pop("correct")
        return [Score("linear", accuracy, per_image=correct, details=probe)]
