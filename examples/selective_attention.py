"""Selective attention over several encoders, and residual features, with few labels.

    python examples/selective_attention.py --output_dir=runs/selective_attention

Pre-trains one small encoder on Fashion-MNIST images without labels for each of several
objectives, then classifies digits of MNIST from 1, 5, 10 and 50 labelled images a
class, with five draws of them: by attention over all encoders, and by every baseline
(each encoder's linear probe, a linear probe of all features, equal weights, and the
best single encoder fine-tuned). In the same table, residual features: a small encoder
trained from scratch beside a source that helps, beside a useless source, which knows
nothing of an image but its brightness, and alone.
Writes `results.json`, `table.md` and `attention.png`.

Encoders are kept in `encoders/`, and every draw of labels in `runs/`: the same command
continues where it was stopped, and more draws can be added later. Other settings in the
same folder are refused. Choose settings with `--evaluate_on=validation` (a fifth of the
labelled images) on draws that the final table does not use.
"""

import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from absl import app, flags, logging
from few_labels import accuracies, differences, few, load, pretrained, table
from run_folder import check_settings, commit, flag_values, provenance, write
from validation import last_fifth

import keras_tc2 as tc2

SHAPE = (28, 28, 1)

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "runs/selective_attention", "Where results go."
)
_OBJECTIVES = flags.DEFINE_list(
    "objectives", ["nt_xent", "vicreg", "byol", "swav"], "One encoder each."
)
_STEPS = flags.DEFINE_integer("steps", 300, "Steps of each pre-training.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Images a step.")
_SHOTS = flags.DEFINE_list("shots", ["1", "5", "10", "50"], "Labelled images a class.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2", "3", "4"], "Draws of the labels.")
_EVALUATE_ON = flags.DEFINE_enum(
    "evaluate_on", "test", ["test", "validation"], "Validation is a fifth of train."
)
_TEST = flags.DEFINE_integer("test_images", 2000, "At most so many are measured on.")
_EPOCHS = flags.DEFINE_integer("epochs", 100, "Of attention.")
_TUNING = flags.DEFINE_integer("fine_tuning_epochs", 10, "At most; 0 for none.")
_RESIDUAL = flags.DEFINE_integer(
    "residual_steps", 150, "Steps of residual features; 0 for none."
)


def new_encoder(seed, **arguments):
    """A small encoder with the weights of a seed."""
    keras.utils.set_random_seed(seed)
    return tc2.encoders.create("convnet", input_shape=SHAPE, **arguments)


def useless(encoder):
    """A source whose features know nothing of an image but its brightness."""
    keras.utils.set_random_seed(99)
    images = keras.Input(SHAPE)
    x = keras.layers.GlobalAveragePooling2D()(images)
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Dense(encoder.feature_dim, bias_initializer="ones")(x)
    return keras.Model(images, x, name="useless")


class Residual:
    """A small encoder trained from scratch, alone and beside frozen sources.

    Args:
        sources: dict from the name of a row to an encoder.
    """

    def __init__(self, sources):
        self.sources = {"small encoder alone": None, **sources}
        # Compiled once: name to model, and its optimizer's first state.
        self.compiled = {}

    def accuracies(self, labelled, test, seed):
        """Accuracy of each, trained anew from the weights of a seed."""
        images, labels = labelled
        data = tf.data.Dataset.from_tensor_slices((images, labels))
        data = data.shuffle(len(labels), seed=seed).repeat().batch(min(64, len(labels)))
        rows = {}
        for name in self.sources:
            model = self.model(name, seed)
            model.fit(data, epochs=1, steps_per_epoch=_RESIDUAL.value, verbose=0)
            rows[name] = model.evaluate(*test, batch_size=256, verbose=0)[1]
        return rows

    def model(self, name, seed):
        """The compiled model of a row, its state that of a new one."""
        new = self.new_model(name, seed)
        if name not in self.compiled:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            new.compile(keras.optimizers.Adam(3e-3), loss=loss, metrics=["accuracy"])
            new.optimizer.build(new.trainable_variables)
            start = [variable.numpy() for variable in new.optimizer.variables]
            self.compiled[name] = new, start
        model, start = self.compiled[name]
        model.set_weights(new.get_weights())
        for variable, value in zip(model.optimizer.variables, start, strict=True):
            variable.assign(value)
        return model

    def new_model(self, name, seed):
        """A new model of a row, all of whose weights are built."""
        target = new_encoder(seed, widths=(8, 16, 32))
        if self.sources[name] is not None:
            return tc2.transfer.ResidualFeatureClassifier(
                self.sources[name], target, 10
            )
        normalization = keras.layers.LayerNormalization(center=False, scale=False)
        head = keras.layers.Dense(10)
        return keras.Sequential([keras.Input(SHAPE), target, normalization, head])


def main(_):
    """Makes what is missing, draw after draw, and the picture."""
    logging.set_verbosity(logging.WARNING)
    folder = pathlib.Path(_OUTPUT_DIR.value).expanduser()
    for part in ("runs", "encoders"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    varied = ("output_dir", "seeds", "shots")
    settings = {k: v for k, v in flag_values().items() if k not in varied}
    check_settings(folder, settings)
    unlabelled, _ = load("fashion_mnist_subset", "train")
    digits = load("mnist_subset", "train"), load("mnist_subset", "test")
    if _EVALUATE_ON.value == "validation":
        digits = last_fifth(*digits[0])
    (images, labels), test = digits
    test = tuple(part[: _TEST.value] for part in test)
    encoders = {
        name: pretrained(
            folder / "encoders" / name,
            unlabelled,
            objective=name,
            steps=_STEPS.value,
            batch_size=_BATCH_SIZE.value,
        )
        for name in _OBJECTIVES.value
    }
    helpful = encoders[_OBJECTIVES.value[0]]
    residual = Residual(
        {
            "residual, helpful source": helpful,
            "residual, useless source": useless(helpful),
        }
    )
    attention = tc2.transfer.SelectiveAttentionClassifier(list(encoders.values()), 10)
    features, test_features = attention.encode(images), attention.encode(test[0])
    for seed in map(int, _SEEDS.value):
        for number in map(int, _SHOTS.value):
            chosen = few(labels, number, seed)
            path = folder / "runs" / f"{number}-{seed}.json"
            if path.exists():
                continue
            labelled = images[chosen], labels[chosen]
            rows = tc2.transfer.compare_encoders(
                encoders,
                labelled,
                test,
                train_features=[part[chosen] for part in features],
                test_features=test_features,
                epochs=_EPOCHS.value,
                fine_tuning={"epochs": _TUNING.value} if _TUNING.value else False,
                seed=seed,
            )
            if _RESIDUAL.value:
                rows |= residual.accuracies(labelled, test, seed)
            record = {"labels_per_class": number, "seed": seed, "accuracy": rows}
            record["commit"] = commit()
            write(path, json.dumps(record, indent=1))
            print(number, "a class, seed", seed, rows, flush=True)
            report(folder)
    attention.compile(keras.optimizers.Adam(3e-3))
    parts = [part[chosen] for part in features]
    attention.fit(parts, labels[chosen], epochs=_EPOCHS.value, verbose=0)
    attention.plot_attention(
        test_features, test[1], names=list(encoders), path=folder / "attention.png"
    )
    print(f"\nAccuracy on unseen digits in %:\n\n{report(folder)}")


def report(folder):
    """Writes what all runs of a folder say; returns the table."""
    runs = [json.loads(path.read_text()) for path in (folder / "runs").glob("*.json")]
    runs.sort(key=lambda record: (record["labels_per_class"], record["seed"]))
    found = accuracies(runs)
    record = {
        **provenance(),
        "runs": runs,
        "attention_minus": differences(found, "selective attention"),
    }
    write(folder / "results.json", json.dumps(record, indent=1) + "\n")
    text = table("labels a class", found)
    write(folder / "table.md", text + "\n")
    return text


if __name__ == "__main__":
    app.run(main)
