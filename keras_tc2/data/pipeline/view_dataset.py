"""ViewDataset: the views of any step of a run, for any replica of it."""

import dataclasses
from typing import Any

import tensorflow as tf

from keras_tc2.data.pipeline.epochs import fold_seed
from keras_tc2.data.pipeline.step_order import StepOrder
from keras_tc2.data.reading.pixel_format import checked_pixels
from keras_tc2.data.reading.reading_errors import ReadDataset

VIEWS = 1


@dataclasses.dataclass(frozen=True)
class Share:
    """The part of every batch that some of the replicas of a run get.

    Args:
        num_replicas: int. Replicas of the whole run, that divide a batch equally.
        first: int. The first of the replicas that this part is for.
        count: int. How many they are.
    """

    num_replicas: int = 1
    first: int = 0
    count: int = 1

    def size_of(self, batch_size):
        """How many images of a batch are in this part."""
        return batch_size // self.num_replicas * self.count

    def of(self, batches, axis):
        """This part of a tensor whose `axis` are the images of a batch."""
        parts = tf.split(batches, self.num_replicas, axis)
        return tf.concat(parts[self.first : self.first + self.count], axis)


WHOLE = Share()


class ViewStream:
    """What `two_views` makes, from any step on, and divided over replicas.

    A batch is divided into one part for each replica, and each part is cut into as
    many blocks as there are recipes: a replica gets all the tasks, not a few of them.

    Args:
        batches_of: see `image_batches`.
        make: see `view_maker`.
        is_seeded: bool, likewise.
        batch_size: int. Images of a batch, over all replicas.
        num_blocks: int. Blocks that each part of a batch is cut into.
        seed: int.
        facts: dict of JSON values, what else tells these views from others.
        counter: the `EpochCounter` of the passes over them, for `fit` to set; `None` if
            it is the user's.
    """

    def __init__(
        self,
        batches_of,
        make,
        *,
        is_seeded,
        batch_size,
        num_blocks,
        seed,
        facts,
        counter,
    ):
        self.batches_of = batches_of
        self.make = make
        self.is_seeded = is_seeded
        self.batch_size = batch_size
        self.num_blocks = num_blocks
        self.seed = seed
        self.facts = facts
        self.counter = counter

    # So that errors of augmentations come as they are.
    @tf.autograph.experimental.do_not_convert
    def epoch(self, epoch, first_batch=0, share=WHOLE):
        """The views of an epoch, one element a batch and replica of the share.

        Args:
            epoch: int64 scalar tensor.
            first_batch: int, or int64 scalar tensor. Where to start.
            share: `Share`.
        """
        first_batch = tf.cast(first_batch, tf.int64)
        batches = self.batches_of(epoch, first_batch, share)
        if share.count > 1:
            batches = batches.flat_map(
                lambda batch: tf.data.Dataset.from_tensor_slices(
                    tf.reshape(batch, (share.count, -1, *batch.shape[1:]))
                )
            )

        def views_of(place, images):
            batch = first_batch + place // share.count
            replica = share.first + place % share.count
            where = ["in batch", batch, "of epoch", epoch]
            images = checked_pixels(images, where=where)
            number = batch * share.num_replicas + replica
            return self.make(images, fold_seed(self.seed, epoch, VIEWS, number))

        return batches.enumerate().map(
            views_of, num_parallel_calls=tf.data.AUTOTUNE if self.is_seeded else None
        )

    def from_step(self, step, share, order):
        """The views of all steps from `step` on, epoch after epoch, without an end.

        Args:
            step: int >= 0.
            share: `Share`.
            order: `StepOrder` of what was taken and skipped.

        Raises:
            ValueError: if a batch cannot be divided over the replicas and tasks.
        """
        self._check_share(share)
        views = order.runs_from(step).flat_map(
            lambda epoch, batch, in_a_row: self.epoch(epoch, batch, share).take(
                in_a_row * share.count
            )
        )
        # Several workers lose the size of a batch on data that may end.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return views.apply(endless).prefetch(tf.data.AUTOTUNE)

    def _check_share(self, share):
        parts = share.num_replicas * self.num_blocks
        if self.batch_size % parts:
            raise ValueError(
                f"`batch_size` must be divisible by {share.num_replicas} replicas "
                f"times {self.num_blocks} recipes, so that each replica gets each task."
                f" Received: batch_size={self.batch_size}; the next that is: "
                f"{self.batch_size + parts - self.batch_size % parts}"
            )


class ViewDataset(ReadDataset):
    """What `two_views` and `multi_views` return: a dataset that knows its steps.

    Iterated, it is a `tf.data.Dataset` like any other. `fit` of a pretrainer asks it
    for the batches of each replica, from any step on, so that tasks stay whole and runs
    are resumed at once. That holds as well for what `take`, `skip`, `repeat` and
    `prefetch` make of it. `map`, `batch` and the like give a plain dataset, which
    `fit` takes as it is.

    Args:
        dataset: `tf.data.Dataset` of the views, an epoch each time.
        stream: `ViewStream`.
        order: `StepOrder`, or `None` where the length of an epoch is not known.
    """

    def __init__(
        self, dataset: tf.data.Dataset, stream: ViewStream, order: StepOrder | None
    ) -> None:
        super().__init__(dataset)
        self.stream = stream
        self.order = order

    def take(self, count: Any, name: str | None = None) -> ReadDataset:
        """The first batches of every pass, as in any dataset."""
        return self._made_by("take", count, name, super().take(count, name))

    def skip(self, count: Any, name: str | None = None) -> ReadDataset:
        """Every pass without its first batches, as in any dataset."""
        return self._made_by("skip", count, name, super().skip(count, name))

    def repeat(self, count: Any = None, name: str | None = None) -> ReadDataset:
        """Epoch after epoch, as in any dataset."""
        count = -1 if count is None else count
        return self._made_by("repeat", count, name, super().repeat(count, name))

    def prefetch(self, buffer_size: Any, name: str | None = None) -> "ViewDataset":
        """The same, made ahead."""
        return ViewDataset(super().prefetch(buffer_size, name), self.stream, self.order)

    def with_options(
        self, options: tf.data.Options, name: str | None = None
    ) -> "ViewDataset":
        """The same, with options of `tf.data`."""
        dataset = super().with_options(options, name)
        return ViewDataset(dataset, self.stream, self.order)

    def _made_by(self, method, count, name, dataset):
        number = tf.get_static_value(count)
        if number is None:  # A tensor of a graph: not known before it runs.
            return ReadDataset(dataset)
        order = self.order
        if order is not None:
            order = getattr(order, method)(int(number))
        return ViewDataset(dataset, self.stream, order)

    def from_step(self, step: int, share: Share = WHOLE) -> tf.data.Dataset:
        """The views of all steps from `step` on, pass after pass, without an end.

        Args:
            step: int >= 0.
            share: `Share`.

        Raises:
            ValueError: if a batch cannot be divided over the replicas and tasks.
        """
        return self.stream.from_step(step, share, self.order)
