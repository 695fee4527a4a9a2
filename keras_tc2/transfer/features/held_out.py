"""The part of train that chooses hyper-parameters, so that test never does."""

import numpy as np


def held_out_part(labels, *, fraction, seed):
    """Splits indices into a part to fit on and a part to choose on, class by class.

    Each class with at least two images gives `fraction` of them, at least one, to the
    second part, so every class stays in the first.

    Args:
        labels: array `(N,)`.
        fraction: float in (0, 1). Share of each class that is held out.
        seed: int. Draws which images.

    Returns:
        Two sorted integer arrays: fit indices and held-out indices.

    Raises:
        ValueError: if no class has two images.
    """
    labels = np.asarray(labels)
    generator = np.random.default_rng(seed)
    held = []
    for value in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == value))
        if len(members) > 1:
            number = min(max(1, round(fraction * len(members))), len(members) - 1)
            held.append(members[:number])
    if not held:
        raise ValueError(
            "Choosing hyper-parameters on train needs a class with at least two "
            f"images. Received {len(labels)} images of {len(np.unique(labels))} "
            "classes."
        )
    held = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), held), held
