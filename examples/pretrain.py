"""Pre-trains an encoder on images without labels, and keeps what happened.

    python examples/pretrain.py --dataset=fashion_mnist_subset --method=tc2 \
        --epochs=10 --output_dir=runs/pretrain

`--dataset` is a TFDS name or prepared directory, or a folder of images (where some are
grey and some colour, all are read as colour). Shows Keras's
progress bar and, where the images have labels, an online kNN accuracy after each epoch,
on images held out of the training split. Writes `encoder/` (for `from_pretrained` and
`examples/transfer.py`), `history.csv`, TensorBoard logs and `curves.png`.
"""

import pathlib
import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from absl import app, flags, logging
from run_folder import commit

import keras_tc2 as tc2
from keras_tc2.pretraining.core.device_views import PLACES, placed_views

DATA = pathlib.Path(__file__).parent / "data"

_DATASET = flags.DEFINE_string("dataset", "fashion_mnist_subset", "Name or folder.")
_DATA_DIR = flags.DEFINE_string("data_dir", str(DATA), "Where TFDS datasets are.")
_METHOD = flags.DEFINE_enum(
    "method",
    "tc2",
    ["base", "tc2", "full_tc2"],
    "Plain SSL; the default of TC2Pretrainer; TC² with calibration and inner step.",
)
_OBJECTIVE = flags.DEFINE_enum(
    "objective", "nt_xent", tc2.objectives.names(), "Base objective."
)
_ENCODER = flags.DEFINE_enum(
    "encoder", "convnet", tc2.encoders.names(), "Architecture."
)
_IMAGE_SIZE = flags.DEFINE_integer("image_size", None, "Pixels; default: as they are.")
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Passes over the images.")
_STEPS = flags.DEFINE_integer("steps_per_epoch", None, "Default: all images.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images a step.")
_NUM_TASKS = flags.DEFINE_integer("num_tasks", 4, "Tasks a batch is split into.")
_TASK_ASSIGNMENT = flags.DEFINE_enum(
    "task_assignment",
    None,
    ["blocks", "cluster"],
    "What makes a task; default: that of the method.",
)
_TASK_AUGMENTATION = flags.DEFINE_bool(
    "task_augmentation", None, "One view recipe a block; default: not for base."
)
_INNER_SCOPE = flags.DEFINE_enum(
    "inner_scope", "projector", ["projector", "encoder"], "What full_tc2 adapts."
)
_INNER_ORDER = flags.DEFINE_integer("inner_order", 2, "Of full_tc2: 1, or 2 for exact.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-2, "Peak of the cosine.")
_PROBE_IMAGES = flags.DEFINE_integer(
    "probe_images",
    3000,
    "Images held out of training for the online kNN, at most half of all; 0 for none.",
    lower_bound=0,
)
_SEED = flags.DEFINE_integer("seed", 0, "Of weights, order and views.")
_VIEWS = flags.DEFINE_enum(
    "views",
    "auto",
    list(PLACES),
    "Where views are made: within the step, or beside the reading of images; auto is "
    "the step on a GPU.",
)
_STRATEGY = flags.DEFINE_enum(
    "strategy",
    "none",
    ["none", "mirrored", "multiworker"],
    "One device, all GPUs of this machine, or the workers that TF_CONFIG names.",
)
_CHECKPOINT_DIR = flags.DEFINE_string(
    "checkpoint_dir", None, "Where checkpoints are; the same command continues."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/pretrain", "Where results go.")


def load(labels):
    """The training split of the dataset."""
    return tc2.data.load(
        _DATASET.value,
        split="train",
        labels=labels,
        data_dir=_DATA_DIR.value,
        image_size=_IMAGE_SIZE.value,
    )


def new_strategy():
    """The strategy that `--strategy` names; workers must make it before all else."""
    if _STRATEGY.value == "mirrored":
        return tf.distribute.MirroredStrategy()
    if _STRATEGY.value == "multiworker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def new_pretrainer(image_shape, augmentation):
    """The pretrainer that the flags describe; negatives are those of all replicas."""
    encoder = tc2.encoders.create(_ENCODER.value, input_shape=image_shape)
    projector = tc2.layers.ProjectionHead(synchronized=True)
    tc2.layers.synchronize(encoder)
    objective = tc2.objectives.get(_OBJECTIVE.value)
    objective.gather = True
    if _METHOD.value == "base":
        return tc2.SSLPretrainer(
            encoder,
            objective=objective,
            projector=projector,
            augmentation=augmentation,
        )
    arguments = {}
    if _METHOD.value == "full_tc2":
        arguments = tc2.recipes.full_method()
    if _TASK_ASSIGNMENT.value:
        arguments["task_assignment"] = _TASK_ASSIGNMENT.value
    return tc2.TC2Pretrainer(
        encoder,
        objective=objective,
        projector=projector,
        augmentation=augmentation,
        num_tasks=_NUM_TASKS.value,
        inner_scope=_INNER_SCOPE.value,
        inner_order=_INNER_ORDER.value,
        **arguments,
    )


def new_augmentation(image_shape):
    """One recipe for all images, or one a task."""
    height, width, channels = image_shape
    if height != width:
        raise ValueError(
            f"Views are square, these images are {height}×{width}: give --image_size."
        )
    by_task = _TASK_AUGMENTATION.value
    if by_task is None:
        by_task = _METHOD.value != "base"
    recipes = tc2.augment.simclr_tasks(
        image_size=height, num_tasks=_NUM_TASKS.value, channels=channels
    )
    return recipes if by_task else recipes[0]


def divided(images):
    """The images held out for the online kNN, and the others.

    At most half of them. At random where images are read by number: folders are sorted
    by class.
    """
    number, size = _PROBE_IMAGES.value, int(images.cardinality())
    if size >= 0:
        number = min(number, size // 2)
    if images.source is None:
        return images.take(number), images.skip(number)
    order = np.random.default_rng(0).permutation(size)
    return images.read(order[:number]), images.read(order[number:])


def online_probe():
    """kNN on images held out of the training split; none for unlabelled images."""
    if not _PROBE_IMAGES.value:
        return []
    try:
        labelled = load(labels=True)
    except ValueError as error:
        print(f"No online kNN: {error}")
        return []
    held_out, _ = divided(labelled)
    images, labels = tc2.data.as_arrays(held_out)
    part = len(images) * 2 // 3
    if len(set(labels[:part].tolist())) < 2:
        print("No online kNN: the images held out are all of one class.")
        return []
    return [
        tc2.callbacks.OnlineProbe(
            images[:part], labels[:part], images[part:], labels[part:]
        )
    ]


def draw(history, path):
    """Losses, and the online kNN accuracy if there is one."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    epochs = range(1, len(history["loss"]) + 1)
    for name, values in history.items():
        if name.endswith("loss"):
            left.plot(epochs, values, label=name)
        elif name.startswith("probe"):
            right.plot(epochs, values, label=name)
    left.set(title=f"{_METHOD.value}: losses", xlabel="epoch", ylabel="loss")
    right.set(title="Online kNN", xlabel="epoch", ylabel="accuracy")
    for axes in (left, right):
        if axes.lines:
            axes.legend()
    figure.savefig(path, dpi=120)


def main(_):
    """Trains, and writes everything to the output folder."""
    logging.set_verbosity(logging.WARNING)
    strategy = new_strategy()
    worker = getattr(strategy.cluster_resolver, "task_id", None) or 0
    keras.utils.set_random_seed(_SEED.value)
    output_dir = pathlib.Path(_OUTPUT_DIR.value).expanduser()
    output_dir.mkdir(parents=True, exist_ok=True)
    probes = online_probe()
    images = load(labels=False)
    if probes:
        _, images = divided(images)
    image_shape = tuple(next(iter(images)).shape)
    augmentation = new_augmentation(image_shape)
    views, of_model = placed_views(
        images,
        augmentation,
        place=_VIEWS.value,
        batch_size=_BATCH_SIZE.value,
        seed=_SEED.value,
    )
    steps = _STEPS.value or int(views.cardinality())
    if steps < 1:
        raise ValueError("How many images there are is not known: --steps_per_epoch.")
    schedule = keras.optimizers.schedules.CosineDecay(
        _LEARNING_RATE.value, decay_steps=_EPOCHS.value * steps
    )
    with strategy.scope():
        model = new_pretrainer(image_shape, of_model)
        model.compile(optimizer=keras.optimizers.Adam(schedule))
    callbacks = []
    if _CHECKPOINT_DIR.value:
        callbacks += [tc2.callbacks.ResumableCheckpoint(_CHECKPOINT_DIR.value)]
    if _STRATEGY.value != "multiworker":
        callbacks += [*probes, tc2.callbacks.CollapseGuard()]
    if worker == 0:
        log = output_dir / "history.csv"
        callbacks += [
            keras.callbacks.CSVLogger(log, append=bool(_CHECKPOINT_DIR.value)),
            keras.callbacks.TensorBoard(output_dir / "logs"),
        ]
    history = model.fit(
        views, epochs=_EPOCHS.value, steps_per_epoch=steps, callbacks=callbacks
    ).history
    if worker == 0:
        draw(history, output_dir / "curves.png")
        model.encoder.training_record = {
            "method": _METHOD.value,
            "objective": _OBJECTIVE.value,
            "datasets": [_DATASET.value],
            "seed": _SEED.value,
            "command": " ".join(["python", *sys.argv]),
            "commit": commit() or "unknown",
        }
        model.encoder.save_pretrained(output_dir / "encoder")
        print(f"Encoder, history, logs and curves are in {output_dir}.")
    if _STRATEGY.value == "multiworker":
        # Who leaves before the others counts as crashed.
        strategy.gather(strategy.run(lambda: tf.ones((1,))), axis=0)


if __name__ == "__main__":
    app.run(main)
