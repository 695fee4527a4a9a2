"""A paired ablation of TC² in one command: which part of it makes features transfer?

    python examples/compare.py --output_dir=runs/compare

Every arm pre-trains the same encoder from the same weights on the same Fashion-MNIST
images, for the same number of steps with one learning rate and schedule, seed by seed;
arms with the same recipes see the same views. The frozen features are then measured by
kNN and a linear probe on MNIST and handwritten digits, which none has seen (their mean
is the transfer score), and in-domain, with all labels and with a few. Two minutes a
seed for the first five arms on two CPU cores.

`--arms` names what is compared; `--help` lists all. Every (objective, arm, seed) is a
file of its own in `runs/`: the same command continues where it was stopped, and more
arms and seeds can be added later, by several processes at once if their `--seeds` stand
in other orders. Other settings in the same folder are refused. Writes `results.json`,
`table.md` and `ablation.png`.

Choose settings with `--evaluate_on=validation` (a fifth of the labelled training
images) on seeds that the final table does not use: test images are for that table.
"""

import hashlib
import json
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import compare_report
import keras
import numpy as np
import tensorflow as tf
from absl import app, flags, logging
from compare_arms import ALL_ARMS, ARMS, described
from compare_recipes import RECIPES
from few_labels import DATA, load
from run_folder import check_settings, named, write
from validation import last_fifth

import keras_tc2 as tc2

SHOTS = (1, 5, 25)


_ARMS = flags.DEFINE_list(
    "arms", list(ARMS), f"Any of {', '.join(ALL_ARMS)}.", short_name="a"
)
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Of weights, order and views.")
_OBJECTIVES = flags.DEFINE_list("objectives", ["nt_xent"], "Base objectives.")
_ENCODER = flags.DEFINE_enum(
    "encoder", "convnet", tc2.encoders.names(), "Architecture."
)
_ENCODER_ARGUMENTS = flags.DEFINE_string(
    "encoder_arguments", "{}", "JSON, what `encoders.create` is given besides."
)
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "mixed_bfloat16"], "Of what is trained."
)
_STEPS = flags.DEFINE_integer("steps", 250, "Steps of base SSL.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images a step.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-2, "Peak of Adam's cosine.")
_PRETRAIN_ON = flags.DEFINE_list(
    "pretrain_on",
    ["fashion_mnist_subset"],
    "What `keras_tc2.data.load` knows; several are domains of the same classes.",
)
_PRETRAIN_IMAGES = flags.DEFINE_integer(
    "pretrain_images", None, "The first so many of each; default: all.", lower_bound=1
)
_TRANSFER_TO = flags.DEFINE_list(
    "transfer_to", ["mnist_subset", "digits_28px"], "The same."
)
_DATA_DIR = flags.DEFINE_string("data_dir", str(DATA), "Where TFDS datasets are.")
_EVALUATE_ON = flags.DEFINE_enum(
    "evaluate_on", "test", ["test", "validation"], "Validation is a fifth of train."
)
_RECIPES = flags.DEFINE_enum(
    "recipes", "simclr", list(RECIPES), "How views are made; `compare_recipes.py`."
)
_LABELLED = flags.DEFINE_integer(
    "labelled_images", 5000, "Most training images of a dataset that probes see."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/compare", "Where results go.")


def mixed(parts):
    """Images and labels of several sources, in one random order, or of one as it is."""
    if len(parts) == 1:
        return parts[0]
    images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.random.RandomState(0).permutation(len(images))
    return images[order], labels[order]


def name_of(sources):
    """How the results call sources that are one dataset together."""
    return "+".join(pathlib.Path(source).stem for source in sources)


class Data:
    """The images to pre-train on, and what encoders are measured on."""

    def __init__(self):
        sources = [_PRETRAIN_ON.value, *([source] for source in _TRANSFER_TO.value)]
        self.in_domain, *self.transfer = map(name_of, sources)
        self.downstream, self.contents = {}, {}
        for name, parts in named(sources, name_of).items():
            domains = [load(source, "train", _DATA_DIR.value) for source in parts]
            train = images, _ = mixed(domains)
            if name == self.in_domain:
                first = slice(_PRETRAIN_IMAGES.value)
                seen = [(images[first], labels[first]) for images, labels in domains]
                self.domains = [images for images, _ in seen]
                self.images, self.labels = mixed(seen)
            if _EVALUATE_ON.value == "test":
                test = [load(source, "test", _DATA_DIR.value) for source in parts]
                test = mixed(test)
            else:
                train, test = last_fifth(*train)
            train = tuple(part[: _LABELLED.value] for part in train)
            self.downstream[name] = (train, test)
            content = hashlib.sha256(images.tobytes() + test[0].tobytes())
            self.contents[name] = {
                "train_images": len(images),
                "labelled_images": len(train[0]),
                "measured_images": len(test[0]),
                "sha256": content.hexdigest()[:16],
            }

    def scores(self, encoder, seed):
        """`{dataset: {protocol: accuracy}}` of frozen features."""
        scores = {}
        for name, splits in self.downstream.items():
            protocols = ["knn", "linear"]
            if name == self.in_domain:
                protocols.append(tc2.transfer.FewShot(shots=SHOTS))
            report = tc2.transfer.evaluate(
                encoder, {name: splits}, protocols=protocols, seed=seed
            )
            scores[name] = {
                row["protocol"]: round(row["value"], 6) for row in report.rows
            }
        return scores


def recipes_for(images, num_tasks=4):
    """A recipe of whole batches, and one for each task."""
    return RECIPES[_RECIPES.value](images.shape[1], num_tasks, images.shape[-1])


def views_of(arm, data, seed, steps):
    """A dataset of `steps` batches of views."""
    whole, tasks = recipes_for(data.images, arm.arguments.get("num_tasks", 4))
    views = tc2.data.two_views(
        data.domains if arm.domains else data.images,
        batch_size=_BATCH_SIZE.value,
        augmentation=tasks if arm.task_views else whole,
        seed=seed,
    )
    return views.repeat().take(steps)


def labelled_batches(data, seed, steps):
    """Batches of (view, label) of the full recipe, for the supervised encoder."""
    recipe, _ = recipes_for(data.images)
    batches = tf.data.Dataset.from_tensor_slices((data.images, data.labels))
    batches = batches.shuffle(len(data.images), seed=seed).repeat()
    batches = batches.batch(_BATCH_SIZE.value, drop_remainder=True).enumerate()
    return batches.map(
        lambda number, batch: (
            recipe.augment(
                batch[0], seed=tf.stack([tf.constant(seed, "int64"), number])
            ),
            batch[1],
        )
    ).take(steps)


def new_model(arm, objective, seed, data):
    """The encoder of a seed, and the model that trains it; `None` for none."""
    keras.utils.set_random_seed(seed)
    encoder = tc2.encoders.create(
        _ENCODER.value,
        input_shape=data.images.shape[1:],
        **json.loads(_ENCODER_ARGUMENTS.value),
    )
    if arm.method == "none":
        return encoder, None
    if arm.method == "supervised":
        head = keras.layers.Dense(int(data.labels.max()) + 1)
        inputs = keras.Input(data.images.shape[1:])
        return encoder, keras.Model(inputs, head(encoder.network(inputs)))
    projector = tc2.layers.ProjectionHead()
    projector.build((None, encoder.feature_dim))
    if arm.method == "ssl":
        return encoder, tc2.SSLPretrainer(
            encoder, objective=objective, projector=projector
        )
    return encoder, tc2.TC2Pretrainer(
        encoder,
        objective=objective,
        projector=projector,
        **described(arm, objective)["arguments"],
    )


class Trainer:
    """Trains and measures one encoder after another, compiling once for each arm."""

    def __init__(self, data):
        self.data = data
        self.compiled, self.ratios = {}, {}

    def run(self, objective, name, seed):
        """Trains one encoder and measures it; returns the record of the run."""
        arm = ALL_ARMS[name]
        encoder, model = self.model(objective, name, seed)
        steps = round(arm.more_steps * _STEPS.value)
        record = {"objective": objective, "arm": name, "seed": seed}
        record |= described(arm, objective)
        if model is not None:
            if arm.method == "supervised":
                batches = labelled_batches(self.data, seed, steps)
            else:
                batches = views_of(arm, self.data, seed, steps)
            timer = tc2.callbacks.StepTimer()
            try:
                losses = model.fit(
                    batches, epochs=1, callbacks=[timer], verbose=0
                ).history
            except FloatingPointError as error:
                return {**record, "failure": str(error)}
            record["losses"] = {key: round(v[-1], 4) for key, v in losses.items()}
            record["steps"] = steps
            record["step_seconds"] = round(float(np.median(timer.seconds)), 4)
        record["scores"] = self.data.scores(encoder, seed)
        if arm.method == "ssl":
            record["step_ratio"] = 1.0
        elif arm.method == "tc2":
            record["step_ratio"] = self.step_ratio(objective, name, batches)
        return record

    def step_ratio(self, objective, name, batches):
        """Time of a step over that of base SSL's, of steps made in turns.

        What else the machine does then slows both, which times of whole runs do not
        promise. Measured once for an arm; trains on, so it comes after the scores.
        """
        if (objective, name) not in self.ratios:
            if (objective, "base") not in self.compiled:
                self.model(objective, "base", seed=0)
            batch = tf.data.Dataset.from_tensors(next(iter(batches))).repeat(8)
            rounds = []
            for _ in range(5):
                seconds = []
                for arm in ("base", name):
                    timer = tc2.callbacks.StepTimer()
                    model = self.compiled[objective, arm][1]
                    model.fit(batch, callbacks=[timer], verbose=0)
                    seconds.append(np.median(timer.seconds))
                rounds.append(seconds[1] / seconds[0])
            self.ratios[objective, name] = round(float(np.median(rounds)), 3)
        return self.ratios[objective, name]

    def model(self, objective, name, seed):
        """Encoder and compiled model, every variable as that of a new one."""
        arm = ALL_ARMS[name]
        encoder, new = new_model(arm, objective, seed, self.data)
        if new is None:
            return encoder, None
        if (objective, name) not in self.compiled:
            schedule = keras.optimizers.schedules.CosineDecay(
                _LEARNING_RATE.value, round(arm.more_steps * _STEPS.value)
            )
            optimizer = keras.optimizers.Adam(schedule)
            loss = None
            if arm.method == "supervised":
                loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            new.compile(optimizer=optimizer, **({"loss": loss} if loss else {}))
            optimizer.build(new.trainable_variables)
            self.compiled[objective, name] = (encoder, new)
            return encoder, new
        encoder, model = self.compiled[objective, name]
        model.set_weights(new.get_weights())
        for optimizer in optimizers_of(model):
            for variable in optimizer.variables:
                variable.assign(tf.zeros_like(variable))
        return encoder, model


def optimizers_of(model):
    """All optimizers of a compiled model; with `alternating=True` there are two."""
    if not isinstance(model, tc2.pretraining.Pretrainer):
        return [model.optimizer]
    return [optimizer for optimizer, _ in model.optimized_variables]


def is_finished(path, arm):
    """Whether the file holds a run of this arm.

    Raises:
        ValueError: if it holds a run of an arm that had other arguments then.
    """
    if not path.exists():
        return False
    run = json.loads(path.read_text())
    old = {key: run[key] for key in arm}
    if old != arm:
        raise ValueError(
            f"{path} was made by the arm {old}, which is now {arm}. Give another "
            "--output_dir, or remove that file."
        )
    return True


def chosen(flag, known):
    """The values of a list flag.

    Raises:
        ValueError: if one is not known.
    """
    unknown = [value for value in flag.value if value not in known]
    if unknown:
        raise ValueError(
            f"--{flag.name} takes any of {', '.join(known)}. Received: {unknown}"
        )
    return flag.value


def main(_):
    """Makes what is missing, seed after seed, and writes the results."""
    logging.set_verbosity(logging.WARNING)
    keras.config.set_dtype_policy(_PRECISION.value)
    arms = chosen(_ARMS, ALL_ARMS)
    objectives = chosen(_OBJECTIVES, tc2.objectives.names())
    seeds = [int(seed) for seed in _SEEDS.value]
    folder = pathlib.Path(_OUTPUT_DIR.value).expanduser()
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    data = Data()
    settings = {
        "encoder": _ENCODER.value,
        **json.loads(_ENCODER_ARGUMENTS.value),
        "steps": _STEPS.value,
        "batch_size": _BATCH_SIZE.value,
        "learning_rate": _LEARNING_RATE.value,
        "evaluate_on": _EVALUATE_ON.value,
        "in_domain": data.in_domain,
        "transfer": data.transfer,
        "data": data.contents,
    }
    # Folders from before there was a choice do not name these.
    if _PRETRAIN_IMAGES.value is not None:
        settings["pretrain_images"] = _PRETRAIN_IMAGES.value
    if _RECIPES.value != "simclr":
        settings["recipes"] = _RECIPES.value
    if _PRECISION.value != "float32":
        settings["precision"] = _PRECISION.value
    check_settings(folder, settings)
    trainer = Trainer(data)
    for seed in seeds:
        for objective in objectives:
            for arm in arms:
                # Encoders without an objective are compared with every objective.
                shared = ALL_ARMS[arm].method in ("none", "supervised")
                objective_of = "any" if shared else objective
                path = folder / "runs" / f"{objective_of}-{arm}-{seed}.json"
                if is_finished(path, described(ALL_ARMS[arm], objective_of)):
                    continue
                start = time.perf_counter()
                record = trainer.run(objective_of, arm, seed)
                record["seconds"] = round(time.perf_counter() - start, 1)
                write(path, json.dumps(record))
                said = record.get("failure") or compare_report.transfer_score(
                    record, data.transfer
                )
                print(objective_of, arm, seed, said, flush=True)
        compare_report.write_all(folder)
    print((folder / "table.md").read_text())


if __name__ == "__main__":
    app.run(main)
