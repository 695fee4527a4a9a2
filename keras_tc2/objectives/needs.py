"""What an objective asks of the pretrainer."""

import dataclasses

from keras_tc2.checks import integer, one_of

TARGETS = (None, "stop_gradient", "momentum")


@dataclasses.dataclass(frozen=True)
class Needs:
    """What an objective needs beside the embeddings; the pretrainer provides it.

    A trainable head on the embeddings is not listed: an objective that needs one
    gives it, see `Objective.make_head`.

    Args:
        target: what targets are computed from. `None`: there are none.
            `"stop_gradient"`: the model itself, its embeddings of the first two views
            without gradient. `"momentum"`: a copy of encoder and projector whose
            weights are a moving average, see `Objective.momentum`.
        target_head: bool. Whether targets pass through the head too (with
            `"momentum"`, through its moving average).
        min_views: int. The fewest views of an image in a batch.
        max_views: int, or `None` for any number. The first two views are global;
            the others may be smaller.
        masks_views: bool. Whether the encoder sees views of which
            `Objective.mask_views` has hidden a part.
        min_batch_size: int. The fewest images that give the loss a meaning: of the
            batch on each replica (of all replicas with `gather`), and of a task.

    Raises:
        ValueError: if `target` is none of these, or a number is below one.
    """

    target: str | None = None
    target_head: bool = False
    min_views: int = 2
    max_views: int | None = 2
    masks_views: bool = False
    min_batch_size: int = 1

    def __post_init__(self):
        """Checks `target` and `min_batch_size`."""
        integer("min_batch_size", self.min_batch_size)
        one_of("target", self.target, TARGETS)
