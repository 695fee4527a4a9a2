"""Out of distribution: a probe trained on some domains, tested on the one left out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_tc2.transfer.protocols.linear_probe import linear_probe
from keras_tc2.transfer.protocols.protocol import Protocol
from keras_tc2.transfer.protocols.score import Score


def leave_one_domain_out(
    domains: Mapping[str, Any], *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Linear-probe accuracy on each domain, when trained on all the others.

    The protocol of [1] for features: the train split of every other domain fits the
    probe and chooses its regularisation; the test split of the left-out domain judges.

    Args:
        domains: dict from domain name to `(train_features, train_labels,
            test_features, test_labels)`, arrays `(N, D)`, `(N,)`, `(M, D)`, `(M,)`;
            the same classes in all.
        seed: int. Draws the held-out part of train. Defaults to `0`.

    Returns:
        Dict from domain name to what `linear_probe` returns.

    Raises:
        ValueError: if there are fewer than two domains.

    References:
        - [1] Gulrajani and Lopez-Paz, 2021, arXiv 2007.01434, section 3
    """
    if len(domains) < 2:
        raise ValueError(
            "Leaving one domain out needs at least two domains. Received: "
            f"{list(domains)}"
        )
    results = {}
    for left_out, (_, _, test_features, test_labels) in domains.items():
        others = [arrays for name, arrays in domains.items() if name != left_out]
        features = np.concatenate([arrays[0] for arrays in others])
        labels = np.concatenate([arrays[1] for arrays in others])
        results[left_out] = linear_probe(
            features, labels, test_features, test_labels, seed=seed
        )
    return results


class OutOfDistribution(Protocol):
    """The protocol `"out_of_distribution"`: a row for each domain left out."""

    function = staticmethod(leave_one_domain_out)

    def __call__(self, downstream: Any) -> list[Score]:
        """A score for each domain, and their mean."""
        parts = domains_of(downstream)
        domains = {name: part.arrays for name, part in parts.items()}
        results = leave_one_domain_out(domains, seed=downstream.seed)
        return domain_scores("out_of_distribution", results)


def domains_of(downstream):
    """Dict from domain name to the `Downstream` of that part.

    Raises:
        ValueError: if there are none.
    """
    if not downstream.domains:
        raise ValueError(
            f"Dataset {downstream.name!r} has no domains. Pass it as a dict from "
            "domain name to source: "
            f"{{{downstream.name!r}: {{'photo': ..., 'sketch': ...}}}}."
        )
    return downstream.domains


def domain_scores(name, results):
    """A score for each domain, and their mean.

    Args:
        name: str. The protocol.
        results: dict from domain name to `{"accuracy": ..., "correct": ...}`.
    """
    scores = [
        Score(f"{name}_{domain}", result["accuracy"], per_image=result["correct"])
        for domain, result in results.items()
    ]
    mean = float(np.mean([score.value for score in scores]))
    return [*scores, Score(name, mean)]
