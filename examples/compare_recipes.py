"""The view recipes of `compare.py`: one of a whole batch, and one for each task."""

from keras_tc2 import augment


def simclr(image_size, num_tasks, channels):
    """SimCLR's, and tasks that are mild variations of it; the first is the whole."""
    tasks = augment.simclr_tasks(
        image_size=image_size, num_tasks=num_tasks, channels=channels
    )
    return tasks[0], tasks


def contradicting(image_size, num_tasks, channels):
    """Tasks that ask for opposite things; the whole recipe asks for all of them.

    All crop. Task 0 ignores quarter turns, task 1 mirroring, task 2 whether intensities
    are inverted; task 3 crops alone. On images each of which is turned, mirrored and
    inverted in its own way (`benchmarks/transfer/contradicting_data.py`), what one task
    ignores tells the others two images apart.

    Raises:
        ValueError: for another number of tasks than four.
    """
    if num_tasks != 4:
        raise ValueError(
            f"The contradicting recipes are four. Received: num_tasks={num_tasks}"
        )
    crop = augment.RandomResizedCrop(image_size, area_range=(0.25, 1.0))
    ignored = [
        augment.RandomQuarterTurn(),
        augment.RandomHorizontalFlip(),
        # Every value is at the threshold or above it.
        augment.RandomSolarize(threshold=0.0, probability=0.5),
    ]
    tasks = [augment.Pipeline([crop, layer]) for layer in ignored]
    return augment.Pipeline([crop, *ignored]), [*tasks, augment.Pipeline([crop])]


RECIPES = {"simclr": simclr, "contradicting": contradicting}
