"""The batches of a run, from any step on, for every replica of a strategy."""

import math
import warnings

import keras
import tensorflow as tf

from keras_tc2.data.pipeline.view_dataset import Share, ViewDataset
from keras_tc2.pretraining.core.device_views import holds_images


def steps_in_epoch(dataset, steps_per_epoch, steps_per_execution):
    """How many steps an epoch of a run that may be continued has.

    Args:
        dataset: what `fit` was given.
        steps_per_epoch: int, or `None` for all batches of the dataset.
        steps_per_execution: int.

    Raises:
        ValueError: if that is not known, or not a multiple of `steps_per_execution`.
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError(
            "To continue a run, its data must be a `tf.data.Dataset`, such as "
            f"`data.two_views` gives. Received: {type(dataset).__name__}"
        )
    if steps_per_epoch is None:
        steps_per_epoch = int(dataset.cardinality())
    if steps_per_epoch < 1:
        raise ValueError(
            "To continue a run, the length of its epochs must be known: give `fit` the "
            "`steps_per_epoch`, or a dataset whose `cardinality()` is known."
        )
    if steps_per_epoch % steps_per_execution:
        raise ValueError(
            "To continue a run, an epoch must be a multiple of `steps_per_execution`. "
            f"Received: {steps_per_epoch} steps an epoch, steps_per_execution="
            f"{steps_per_execution}"
        )
    return steps_per_epoch


def from_step(dataset, step, strategy):
    """The batches of a dataset, epoch after epoch without an end, from a step on.

    Each replica gets its part of every batch of `data.two_views`, all tasks in it.
    Other datasets are divided by Keras, and warned of where they must be skipped.
    """
    if not knows_its_steps(dataset):
        if step:
            warnings.warn(
                f"To continue at step {step}, the {step} batches before it are made "
                "and thrown away: the data are a plain `tf.data.Dataset`. What follows "
                "is what an uninterrupted run would get only if the dataset gives the "
                "same batches every time. `data.two_views` begins at any step.",
                stacklevel=3,
            )
        return dataset.repeat().skip(step)
    num_replicas = strategy.num_replicas_in_sync
    if num_replicas == 1:
        return dataset.from_step(step)

    def of_worker(context):
        count = num_replicas // context.num_input_pipelines
        first = context.input_pipeline_id * count
        return dataset.from_step(step, Share(num_replicas, first, count))

    return strategy.distribute_datasets_from_function(of_worker)


def without_a_trace(dataset):
    """The batches of the first pass over a dataset, if it knows its steps.

    An iterator would count as an epoch, and training go on with the next.
    """
    if not knows_its_steps(dataset):
        return dataset
    batches = dataset.from_step(0)
    length = dataset.order.length
    return batches if length == math.inf else batches.take(length)


def describe(dataset):
    """What tells the data of one run from that of another, as a dict."""
    if not isinstance(dataset, ViewDataset):
        return {"element_spec": str(dataset.element_spec)}
    stream = dataset.stream
    return {
        "batch_size": stream.batch_size,
        "blocks": stream.num_blocks,
        "seed": stream.seed,
        **stream.facts,
    }


def knows_its_steps(dataset):
    """Whether it is a `ViewDataset` that can begin at any step."""
    return isinstance(dataset, ViewDataset) and bool(dataset.order)


def pass_length(arguments):
    """Steps of a pass over the data, where epochs of a `fit` are passes; else infinite.

    Args:
        arguments: dict, of `fit`.
    """
    dataset = arguments.get("x")
    by_pass = knows_its_steps(dataset) and arguments.get("steps_per_epoch") is None
    return dataset.order.length if by_pass else math.inf


def first_step(arguments, steps_given, steps_per_execution):
    """The step of its data that a `fit` begins at.

    That of `initial_epoch`; without one, where the last `fit` of the model has ended,
    or the next pass, where a pass is no multiple of `steps_per_execution`.

    Args:
        arguments: dict, of `fit`.
        steps_given: dict of the steps that `fit` has given the model, by `ViewStream`.
        steps_per_execution: int.
    """
    dataset = arguments["x"]
    if not knows_its_steps(dataset):
        return 0
    initial_epoch = arguments.get("initial_epoch", 0)
    steps = arguments.get("steps_per_epoch") or dataset.order.length
    if initial_epoch and steps != math.inf:
        return initial_epoch * steps
    done = steps_given.get(dataset.stream, 0)
    length = pass_length(arguments)
    if length != math.inf and length % steps_per_execution:
        done += -done % length
    return done


class CountSteps(keras.callbacks.Callback):
    """Notes how far a `fit` has come in its data, for the next one to go on there.

    Args:
        arguments: dict, of `fit`.
        first_step: int, the step that it begins at.
        steps_given: dict, see `first_step`.
    """

    def __init__(self, arguments, first_step, steps_given):
        super().__init__()
        dataset = arguments["x"]
        self.stream = dataset.stream if knows_its_steps(dataset) else None
        self.length = pass_length(arguments)
        self.done = first_step
        self.steps_given = steps_given

    def on_epoch_begin(self, epoch, logs=None):
        """Remembers where the epoch begins."""
        self.first_of_epoch = self.done

    def on_train_batch_end(self, batch, logs=None):
        """Counts. The last execution of a pass may be shorter than Keras says."""
        self.done = self.first_of_epoch + min(batch + 1, self.length)
        if self.stream is not None:
            self.steps_given[self.stream] = self.done


# The arguments of `fit` that are data, and those that tell how many batches of them.
STEPS_OF = {"x": "steps_per_epoch", "validation_data": "validation_steps"}


def divided(arguments, strategy, first_step=0, *, steps_per_execution):
    """Arguments of `fit` whose views of `data.two_views` are divided by their tasks.

    On one device they stay where epochs are passes over them. Other epochs take up
    where the one before has ended.

    Args:
        arguments: dict.
        strategy: `tf.distribute.Strategy`.
        first_step: int, the step of `x` to begin at.
        steps_per_execution: int.

    Raises:
        ValueError: if the batches of a pass, which are then the steps of an epoch, are
            no multiple of `steps_per_execution`.
    """
    arguments, steps_of = dict(arguments), STEPS_OF
    if strategy.num_replicas_in_sync == 1:
        by_pass = begins_pass(arguments, first_step)
        steps_of = {} if by_pass else {"x": "steps_per_epoch"}
    for key, steps in steps_of.items():
        dataset = arguments.get(key)
        if knows_its_steps(dataset):
            length = dataset.order.length
            if arguments.get(steps) is None and length != math.inf:
                if length % steps_per_execution:
                    raise ValueError(
                        f"The {length} batches of `{key}` are no multiple of "
                        f"`steps_per_execution`: give `{steps}`, a multiple of it, or "
                        "another `steps_per_execution` to `compile`. Received: "
                        f"steps_per_execution={steps_per_execution}"
                    )
                arguments[steps] = length
            first = first_step if key == "x" else 0
            arguments[key] = from_step(dataset, first, strategy)
    return arguments


def begins_pass(arguments, first_step):
    """Whether the epochs of a `fit` on one device are passes over its data.

    The counter of the data is then set to the epoch that the first of them is, unless
    it is the user's.

    Args:
        arguments: dict, of `fit`.
        first_step: int, the step that it begins at.
    """
    length = pass_length(arguments)
    if length == math.inf:
        return arguments.get("steps_per_epoch") is None
    dataset = arguments["x"]
    counter = dataset.stream.counter
    if counter is None:
        return not arguments.get("initial_epoch")
    passes, rest = divmod(first_step, length)
    if rest:
        return False
    counter.epoch = passes * dataset.order.epochs
    return True


def check_images(data, device_views, *, num_replicas):
    """Looks at whether data fit the augmentation of a pretrainer, if it has one.

    Args:
        data: what `fit` is given.
        device_views: `DeviceViews` of the pretrainer.
        num_replicas: int.

    Raises:
        ValueError: if there are images and no augmentation, or the reverse, or if a
            batch cannot be divided over the replicas.
    """
    if not isinstance(data, tf.data.Dataset):
        return
    parts = data.element_spec
    parts = parts if isinstance(parts, tuple | list) else (parts,)
    if isinstance(parts[0], tuple | list):  # Beside labelled images, for BiSSL.
        parts = parts[0]
    if not all(hasattr(part, "shape") for part in parts):
        return
    device_views.check(parts)
    if num_replicas == 1 or not holds_images(parts):
        return
    if not knows_its_steps(data):
        raise ValueError(
            f"Keras would divide the seed of (images, seed) over {num_replicas} "
            "replicas. Give `fit` what `data.batches` returned, of images whose number "
            "is known, or views that `data.two_views` made."
        )
    share = data.stream.batch_size // num_replicas
    if share % device_views.num_blocks:
        raise ValueError(
            f"Each of {num_replicas} replicas must get an equal block for each of "
            f"{device_views.num_blocks} recipes. Received: batch_size="
            f"{data.stream.batch_size}"
        )


def check_blocks(data, num_tasks, num_replicas):
    """Looks at whether the blocks of batches are the tasks, where blocks are to be.

    Args:
        data: what `fit` is given.
        num_tasks: int.
        num_replicas: int.

    Raises:
        ValueError: if views come in other blocks. Warns where Keras would divide the
            blocks of a plain dataset.
    """
    if isinstance(data, ViewDataset):
        check_number_of_blocks(data.stream.num_blocks, num_tasks)
        return
    if isinstance(data, tf.data.Dataset) and num_replicas > 1:
        warnings.warn(
            f"Keras divides each batch over {num_replicas} replicas as it comes, and "
            f"each cuts its part into {num_tasks} blocks as tasks: if the blocks of a "
            "batch have a meaning, such as a recipe each, replicas mix them. Give "
            "`fit` what `data.two_views` returned, whose blocks it knows.",
            stacklevel=4,
        )


def check_number_of_blocks(blocks, num_tasks):
    """Raises `ValueError` if tasks would straddle the blocks of recipes or sources."""
    if blocks in (1, num_tasks):
        return
    raise ValueError(
        f"The views come in {blocks} blocks, one for each recipe or source, but "
        f"the batch is split into {num_tasks} blocks as tasks, which would "
        f"straddle them. Make the model with `num_tasks={blocks}`, or give "
        f"{num_tasks} recipes as `augmentation`, or a single one. Received: "
        f"num_tasks={num_tasks}"
    )
