"""Pre-trains an encoder on images without labels.

    keras-tc2 pretrain --images=pictures --image_size=64 --output_dir=runs/mine

The same command continues a run that was interrupted. OUTPUT_DIR gets `encoder/`,
`checkpoints/`, `training_report.html` and `history.json`.
"""

import json
import pathlib
import shlex

import keras
import tensorflow as tf
from absl import flags

from keras_tc2 import augment, callbacks, data, encoders, layers, objectives, recipes
from keras_tc2.cli.settings import chosen
from keras_tc2.pretraining import SSLPretrainer, TC2Pretrainer
from keras_tc2.pretraining.core.device_views import PLACES, placed_views

METHODS = {
    "tc2": recipes.cluster_tasks,
    "tc2_blocks": recipes.block_tasks,
    "tc2_full": recipes.full_method,
    "ssl": None,
}


def define(values):
    """Adds the flags of the command."""
    string, integer, number = (
        lambda *flag, define=define: define(*flag, flag_values=values)
        for define in (flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_float)
    )
    string("images", None, "Folder, file, or name of TensorFlow Datasets.")
    string("split", "train", "Split of a dataset that has some.")
    string("data_dir", None, "Folder of prepared datasets.")
    integer("image_size", None, "Side that images are resized to.")
    string("encoder", "resnet18", "Name of an encoder: " + ", ".join(encoders.names()))
    string("encoder_arguments", "{}", "Its arguments, as JSON: '{\"width\": 32}'.")
    string("method", "tc2", f"One of {', '.join(METHODS)}.")
    string("objective", "nt_xent", f"One of {', '.join(objectives.names())}.")
    integer("num_tasks", 4, "Tasks a batch is split into, each with its recipe.")
    integer("epochs", 100, "Passes over the images.")
    integer("batch_size", 256, "Images a step.")
    string(
        "views",
        "auto",
        f"Where they are made, one of {', '.join(PLACES)}; auto: on a GPU if there is "
        "one, beside the reading of images if not.",
    )
    number("learning_rate", 1e-3, "Peak of the cosine, for AdamW.")
    number("weight_decay", 1e-4, "AdamW's.")
    integer("warmup_epochs", 5, "Epochs of linear warm-up, before the cosine.")
    string("precision", "float32", "float32, mixed_bfloat16 or mixed_float16.")
    flags.DEFINE_bool(
        "mirrored",
        False,
        "Whether to use all GPUs of this machine.",
        flag_values=values,
    )
    integer("seed", 0, "Of weights, order and views.")
    string("output_dir", None, "Where results go.")


def run(values):
    """Trains, and writes everything to the output folder."""
    chosen(values, "images", "output_dir")
    keras.config.set_dtype_policy(values.precision)
    keras.utils.set_random_seed(values.seed)
    folder = pathlib.Path(values.output_dir).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    images = data.load(
        values.images,
        values.split,
        data_dir=values.data_dir,
        image_size=values.image_size,
    )
    if images.cardinality() == tf.data.UNKNOWN_CARDINALITY:
        # TFRecords: they are read once more, since the schedule needs the steps.
        number = tf.data.experimental.assert_cardinality(sum(1 for _ in images))
        images = data.ImageDataset(images.apply(number))
    image_shape = tuple(images.element_spec.shape)
    if None in image_shape:
        raise ValueError("The images differ in size: give --image_size.")
    augmentation = _augmentation(image_shape, values)
    views, of_model = placed_views(
        images,
        augmentation,
        place=values.views,
        batch_size=values.batch_size,
        seed=values.seed,
    )
    strategy = (
        tf.distribute.MirroredStrategy()
        if values.mirrored
        else tf.distribute.get_strategy()
    )
    with strategy.scope():
        model = _pretrainer(image_shape, of_model, values)
        model.compile(_optimizer(len(views), values))
    history = model.fit(
        views,
        epochs=values.epochs,
        callbacks=[
            callbacks.ResumableCheckpoint(folder / "checkpoints"),
            callbacks.CollapseGuard(),
            callbacks.TrainingReport(folder / "training_report.html"),
        ],
    ).history
    (folder / "history.json").write_text(json.dumps(history, indent=1, default=float))
    # Those of the file too, which need not be there later.
    given = [values[name] for name in values if name != "config"]
    given = [flag.serialize() for flag in given if flag.present]
    model.encoder.training_record = {
        "method": values.method,
        "objective": values.objective,
        "datasets": [str(values.images)],
        "seed": values.seed,
        "command": shlex.join(["keras-tc2", "pretrain", *given]),
    }
    model.encoder.save_pretrained(folder / "encoder")
    print(f"The encoder is in {folder / 'encoder'}.")


def _augmentation(image_shape, values):
    height, width, channels = image_shape
    if height != width:
        raise ValueError(
            f"Views are square, these images are {height}×{width}: give --image_size."
        )
    if values.method == "ssl":
        return augment.simclr(image_size=height, channels=channels)
    return augment.simclr_tasks(
        image_size=height, num_tasks=values.num_tasks, channels=channels
    )


def _pretrainer(image_shape, augmentation, values):
    try:
        arguments = json.loads(values.encoder_arguments)
    except json.JSONDecodeError as error:
        raise ValueError(f"--encoder_arguments must be JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise ValueError(
            "--encoder_arguments must be a JSON object, '{\"width\": 32}'. Received: "
            f"{values.encoder_arguments}"
        )
    encoder = encoders.create(values.encoder, input_shape=image_shape, **arguments)
    layers.synchronize(encoder)
    projector = layers.ProjectionHead(synchronized=True)
    objective = objectives.get(values.objective)
    objective.gather = True
    if values.method not in METHODS:
        known = ", ".join(METHODS)
        raise ValueError(f"--method must be one of {known}. Received: {values.method}")
    recipe = METHODS[values.method]
    if recipe is None:
        return SSLPretrainer(
            encoder,
            objective=objective,
            projector=projector,
            augmentation=augmentation,
        )
    return TC2Pretrainer(
        encoder,
        objective=objective,
        projector=projector,
        augmentation=augmentation,
        num_tasks=values.num_tasks,
        **recipe(),
    )


def _optimizer(steps, values):
    warmup = min(values.warmup_epochs, values.epochs - 1) * steps
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else values.learning_rate,
        decay_steps=max(1, values.epochs * steps - warmup),
        warmup_target=values.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    return keras.optimizers.AdamW(schedule, weight_decay=values.weight_decay)
