"""Domain adaptation: labels of some domains, of the last one images alone."""

import functools
from collections.abc import Mapping
from typing import Any

import keras

from keras_tc2 import data
from keras_tc2.annotations import PathLike
from keras_tc2.transfer.classifiers.fine_tuning import as_dataset, fine_tune
from keras_tc2.transfer.features.class_numbers import with_one_numbering
from keras_tc2.transfer.protocols.out_of_distribution import domain_scores, domains_of
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.protocols.score import Score


def adapt_to_domains(
    encoder: keras.Model | PathLike,
    domains: Mapping[str, Any],
    *,
    adversarial: bool = True,
    fine_tuning: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Accuracy on each domain, when fine-tuned on the labels of all the others.

    The train images of the domain that is left out are the `target_images` of
    `fine_tune`; its train labels are not used, its test split judges.

    Args:
        encoder: as in `fine_tune`.
        domains: dict from domain name to `(train, test)`, each as in `fine_tune`; the
            same classes and the same shape of images in all.
        adversarial: bool. `False` leaves the target images out: plain `fine_tune` on
            the other domains, which stops early and keeps its best epoch. The control
            of the adversary alone is `fine_tuning={"adversarial_weight": 0}`. Defaults
            to `True`.
        fine_tuning: dict of options of `fine_tune`, or `None` for its defaults.
            Defaults to `None`.
        seed: int. Defaults to `0`.

    Returns:
        Dict from domain name to what `fine_tune` returns.

    Raises:
        ValueError: if there are fewer than two domains, or as `fine_tune`.

    Example:
    ```python
    import numpy as np
    import keras_tc2 as tc2

    encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1), widths=(4, 8))
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), "uint8")
    photo = images, np.arange(20) % 2
    sketch = 255 - images, np.arange(20) % 2
    results = tc2.transfer.adapt_to_domains(
        encoder,
        {"photo": (photo, photo), "sketch": (sketch, sketch)},
        fine_tuning={"epochs": 1},
    )
    results["sketch"]["accuracy"]
    ```
    """
    if len(domains) < 2:
        raise ValueError(
            f"Domain adaptation needs at least two domains. Received: {list(domains)}"
        )
    splits = with_one_numbering(
        "domains", [as_dataset(part) for pair in domains.values() for part in pair]
    )
    names = getattr(splits[0], "class_names", None)
    numbered = iter(splits)
    pairs = {name: (next(numbered), next(numbered)) for name in domains}
    results = {}
    for left_out, (target, test) in pairs.items():
        sources = [train for name, (train, _) in pairs.items() if name != left_out]
        train = functools.reduce(lambda a, b: a.concatenate(b), sources)
        results[left_out] = fine_tune(
            encoder,
            data.ImageDataset(train, class_names=names),
            test,
            target_images=target if adversarial else None,
            seed=seed,
            **(fine_tuning or {}),
        )
    return results


class DomainAdaptation(Protocol):
    """The protocol `"domain_adaptation"`: a row for each domain left out."""

    function = staticmethod(adapt_to_domains)

    def __call__(self, downstream: Any) -> list[Score]:
        """A score for each domain, and their mean."""
        parts = domains_of(downstream)
        images = {n: (p.train_images, p.test_images) for n, p in parts.items()}
        results = adapt_to_domains(
            downstream.encoder, images, seed=downstream.seed, **self.options
        )
        return domain_scores("domain_adaptation", results)
