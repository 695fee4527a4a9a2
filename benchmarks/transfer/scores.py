"""How well transferability scores rank encoders, against probes and fine-tuning.

    python benchmarks/transfer/scores.py --output=benchmarks/transfer/scores.json

Twelve convnets (three sizes, each after 0, 50, 200 and 800 supervised steps on
Fashion-MNIST) and six of the same sizes after 200 and 800 steps of NT-Xent are ranked
on two other datasets by each score, by the accuracy of a linear probe, and by that of
fine-tuning. Tables hold Spearman's rank correlations and the seconds that each score
took. LEEP and NCE need a source head, which the six have not.

Fine-tuned supervised encoders also make ensembles, whose probabilities are averaged:
each set of three is ranked by OSBORN and by means of the single scores.
"""

import itertools
import json
import pathlib
import sys
import time

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", "examples/data", "Folder of prepared datasets.")
flags.DEFINE_string("output", "runs/scores.json", "Where the numbers go.")
flags.DEFINE_list("targets", ["mnist_subset", "digits_28px"], "Ranked on these.")
flags.DEFINE_list("steps", ["0", "50", "200", "800"], "Supervised steps of encoders.")
flags.DEFINE_list("ssl_steps", ["200", "800"], "Steps of NT-Xent of encoders.")
flags.DEFINE_integer("fine_tuning_epochs", 20, "At most.")
flags.DEFINE_integer("ensemble_size", 3, "Encoders of an ensemble.")
flags.DEFINE_integer("seed", 0, "Starts the weights.")

WIDTHS = {"small": (8, 16), "medium": (16, 32), "large": (16, 32, 64)}
TRUTHS = ("linear_probe", "fine_tuning")
SCORES = ("log_me", "h_score", "knn_score", "ped", "ped_of_source", "leep", "nce")


def arrays(name, split):
    """Images and labels of one split."""
    import keras_tc2 as tc2

    pairs = tc2.data.load(name, split, labels=True, data_dir=FLAGS.data_dir)
    return tc2.data.as_arrays(pairs)


def new_encoder(widths):
    """An encoder at the weights of the seed."""
    import keras

    import keras_tc2 as tc2

    keras.utils.set_random_seed(FLAGS.seed)
    return tc2.encoders.create("convnet", input_shape=(28, 28, 1), widths=widths)


def source_classifiers(images, labels):
    """Yields `(name, encoder, classifier)`: each size at each number of steps."""
    import keras

    for size, widths in WIDTHS.items():
        encoder = new_encoder(widths)
        head = keras.layers.Dense(10, activation="softmax")
        # As uint8: floats would be read as lying in [0, 1].
        raw = keras.Input((28, 28, 1), dtype="uint8")
        classifier = keras.Sequential([raw, encoder, head])
        classifier.compile(
            optimizer=keras.optimizers.Adam(1e-2),
            loss="sparse_categorical_crossentropy",
        )
        done = 0
        for steps in sorted(int(steps) for steps in FLAGS.steps):
            generator = np.random.default_rng([FLAGS.seed, steps])
            for _ in range(steps - done):
                batch = generator.integers(len(images), size=128)
                classifier.train_on_batch(images[batch], labels[batch])
            done = steps
            yield f"{size}, {steps} steps", encoder, classifier


def self_supervised(images):
    """Yields `(name, encoder, None)`: each size at each number of steps."""
    import keras

    import keras_tc2 as tc2

    for size, widths in WIDTHS.items():
        encoder = new_encoder(widths)
        model = tc2.SSLPretrainer(encoder, objective="nt_xent")
        model.compile(keras.optimizers.Adam(3e-3))
        done = 0
        for steps in sorted(int(steps) for steps in FLAGS.ssl_steps):
            views = tc2.data.two_views(
                images,
                batch_size=256,
                augmentation=tc2.augment.simclr(image_size=28, channels=1),
                seed=steps,
            )
            rest = steps - done
            model.fit(views.repeat(), epochs=1, steps_per_epoch=rest, verbose=0)
            done = steps
            yield f"{size}, NT-Xent, {steps} steps", encoder, None


def scores_of(features, labels, source_features, probabilities):
    """Every score of an encoder on one dataset, and the seconds that each took."""
    from keras_tc2.transfer import scores

    measured = {
        "log_me": lambda: scores.log_me(features, labels),
        "h_score": lambda: scores.h_score(features, labels),
        "knn_score": lambda: scores.knn_score(features, labels),
        "ped": lambda: scores.ped(features, labels),
        "ped_of_source": lambda: scores.ped(
            features, labels, reference_features=source_features
        ),
    }
    if probabilities is not None:
        predicted = probabilities.argmax(axis=1)
        measured["leep"] = lambda: scores.leep(probabilities, labels)
        measured["nce"] = lambda: scores.nce(predicted, labels)
    found, seconds = {}, {}
    for name, score in measured.items():
        start = time.perf_counter()
        found[name] = score()
        seconds[name] = time.perf_counter() - start
    return found, seconds


def measured_on(target, encoder, classifier, source_images):
    """A row of the results, and what an ensemble with this encoder needs."""
    import keras

    from keras_tc2 import transfer

    (train, train_labels), (test, test_labels) = target
    features = transfer.extract_features(encoder, train)
    source_features = transfer.extract_features(encoder, source_images)
    probabilities = classifier and transfer.extract_features(classifier, train)
    found, seconds = scores_of(features, train_labels, source_features, probabilities)
    start = time.perf_counter()
    probe = transfer.linear_probe(
        features, train_labels, transfer.extract_features(encoder, test), test_labels
    )
    seconds["linear_probe"] = time.perf_counter() - start
    start = time.perf_counter()
    tuned = transfer.fine_tune(
        encoder,
        (train, train_labels),
        (test, test_labels),
        epochs=FLAGS.fine_tuning_epochs,
        seed=FLAGS.seed,
    )
    seconds["fine_tuning"] = time.perf_counter() - start
    row = {"linear_probe": probe["accuracy"], "fine_tuning": tuned["accuracy"]}
    if classifier is None:
        return {**row, **found, "seconds": seconds}, None
    logits = transfer.extract_features(tuned["model"], test)
    predicted = probabilities.argmax(axis=1)
    part = {
        "member": (source_features, features, predicted),
        "probabilities": keras.ops.convert_to_numpy(keras.ops.softmax(logits)),
    }
    return {**row, **found, "seconds": seconds}, part


def ensembles(rows, parts, train_labels, test_labels):
    """Sets of encoders by OSBORN and single scores, against their joint accuracy."""
    from scipy.stats import spearmanr

    from keras_tc2 import transfer
    from keras_tc2.transfer.choose_ensemble import EnsembleChoice

    rows = {row["encoder"]: row for row in rows if row["encoder"] in parts}
    members = [part["member"] for part in parts.values()]
    start = time.perf_counter()
    terms = transfer.scores.osborn_terms(members, train_labels)
    choice = EnsembleChoice(list(parts), terms, FLAGS.ensemble_size)
    seconds = time.perf_counter() - start
    sets = list(itertools.combinations(parts, FLAGS.ensemble_size))
    accuracy = {}
    for names in sets:
        mean = sum(parts[name]["probabilities"] for name in names)
        accuracy[names] = float(np.mean(mean.argmax(axis=1) == test_labels))
    values = {"osborn": [-choice.score(names) for names in sets]}
    for score in SCORES:
        values[score] = [np.mean([rows[name][score] for name in x]) for x in sets]
    truth = list(accuracy.values())
    chosen = next(names for names in sets if set(names) == set(choice.chosen))
    best_alone = sorted(parts, key=lambda name: -rows[name]["log_me"])
    by_log_me = next(x for x in sets if set(x) == set(best_alone[: len(x)]))
    return {
        "num_sets": len(sets),
        "seconds": seconds,
        "spearman": {
            name: float(spearmanr(value, truth).statistic)
            for name, value in values.items()
        },
        "chosen": choice.chosen,
        "gains": choice.gains,
        "accuracy_of_chosen": accuracy[chosen],
        "accuracy_by_log_me": accuracy[by_log_me],
        "accuracy_mean": float(np.mean(truth)),
        "accuracy_best": max(truth),
        "terms": {name: value.tolist() for name, value in terms.items()},
    }


def correlations(rows, targets):
    """`{truth: {score: {target: rank correlation}}}`."""
    from scipy.stats import spearmanr

    found = {}
    for truth, name, target in itertools.product(TRUTHS, SCORES, targets):
        chosen = [row for row in rows if row["target"] == target]
        if all(name in row for row in chosen):
            values = [[row[key] for row in chosen] for key in (name, truth)]
            by_target = found.setdefault(truth, {}).setdefault(name, {})
            by_target[target] = float(spearmanr(*values).statistic)
    return found


def table(found, targets, rows):
    """Correlations of every score with both truths, and its seconds."""
    lines = [
        "| score | "
        + " | ".join(f"{t}, {x}" for t in TRUTHS for x in targets)
        + " | s |",
        "| --- |" + " ---: |" * (len(TRUTHS) * len(targets) + 1),
    ]
    for name in found[TRUTHS[0]]:
        cells = [f"{found[t][name][x]:+.2f}" for t in TRUTHS for x in targets]
        seconds = [row["seconds"][name] for row in rows if name in row["seconds"]]
        lines.append(f"| {name} | {' | '.join(cells)} | {np.mean(seconds):.3f} |")
    return "\n".join(lines)


def main(_):
    """Writes the numbers and prints the tables."""
    from keras_tc2.callbacks.run_facts import commit, machine

    start = time.perf_counter()
    targets = {
        name: (arrays(name, "train"), arrays(name, "test")) for name in FLAGS.targets
    }
    source, source_labels = arrays("fashion_mnist_subset", "train")
    rows, parts = [], {target: {} for target in targets}
    for name, encoder, classifier in itertools.chain(
        source_classifiers(source, source_labels), self_supervised(source)
    ):
        for target, data in targets.items():
            row, part = measured_on(data, encoder, classifier, source[:2000])
            rows.append({"encoder": name, "target": target, **row})
            if part is not None:
                parts[target][name] = part
            print(rows[-1], flush=True)
    supervised = [row for row in rows if "leep" in row]
    found = {
        "supervised": correlations(supervised, targets),
        "all": correlations(rows, targets),
    }
    for name, some in (("supervised", supervised), ("all", rows)):
        number = len({row["encoder"] for row in some})
        print(f"\n{name}, {number} encoders\n{table(found[name], targets, some)}")
    sets = {
        target: ensembles(
            [row for row in supervised if row["target"] == target],
            parts[target],
            targets[target][0][1],
            targets[target][1][1],
        )
        for target in targets
    }
    for target, one in sets.items():
        print(f"\n{target}: { ({k: v for k, v in one.items() if k != 'terms'}) }")
    result = {
        "command": " ".join(["python", *sys.argv]),
        "commit": commit(),
        "machine": machine(),
        "seconds": round(time.perf_counter() - start, 1),
        "num_encoders": len({row["encoder"] for row in rows}),
        "spearman": found,
        "ensembles": sets,
        "rows": rows,
    }
    path = pathlib.Path(FLAGS.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
