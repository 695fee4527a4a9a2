"""What a protocol hands back: one number of a report, and what it rests on."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Score:
    """One measured number.

    Args:
        protocol: str. The row's label, such as `"few_shot_5"`.
        value: float in [0, 1]; `metric` says of what.
        metric: str. `"accuracy"`, or the name of another measure in [0, 1].
        spread: float or None. Standard deviation over draws, where there are some.
        per_image: array `(num_test,)` or None. The value of each test image (1 for
            right, 0 for wrong; the mean over draws), whose mean is `value`. A
            paired comparison bootstraps over it.
        details: dict of JSON values, such as the regularisation that was chosen.
        picture: dict or None. What a report's page shows of it: `"caption"`, and what
            `html_page.encoded` gave of a figure.
    """

    protocol: str
    value: float
    metric: str = "accuracy"
    spread: float | None = None
    per_image: np.ndarray | None = None
    details: dict = dataclasses.field(default_factory=dict)
    picture: dict | None = None
