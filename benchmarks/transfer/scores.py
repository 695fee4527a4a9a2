"""How well transferability scores rank encoders, against real linear probes.

    python benchmarks/transfer/scores.py --output=benchmarks/transfer/scores.json

Twelve convnets (three sizes, each after 0, 50, 200 and 800 supervised steps on
Fashion-MNIST) are ranked on two other datasets by each score and by the accuracy of a
linear probe; the table holds Spearman's rank correlation of the two.
"""

import json
import pathlib
import time

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", "examples/data", "Folder of prepared datasets.")
flags.DEFINE_string("output", "runs/scores.json", "Where the numbers go.")
flags.DEFINE_list("targets", ["mnist_subset", "digits_28px"], "Ranked on these.")
flags.DEFINE_list("steps", ["0", "50", "200", "800"], "Supervised steps of encoders.")
flags.DEFINE_integer("seed", 0, "Starts the weights.")

WIDTHS = {"small": (8, 16), "medium": (16, 32), "large": (16, 32, 64)}


def arrays(name, split):
    """Images and labels of one split."""
    import keras_tc2 as tc2

    pairs = tc2.data.load(name, split, labels=True, data_dir=FLAGS.data_dir)
    return tc2.data.as_arrays(pairs)


def source_classifiers(images, labels):
    """Yields `(name, encoder, classifier)`: each size at each number of steps."""
    import keras

    import keras_tc2 as tc2

    for size, widths in WIDTHS.items():
        keras.utils.set_random_seed(FLAGS.seed)
        encoder = tc2.encoders.create("convnet", input_shape=(28, 28, 1), widths=widths)
        head = keras.layers.Dense(10, activation="softmax")
        classifier = keras.Sequential([keras.Input((28, 28, 1)), encoder, head])
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


def scores_of(encoder, classifier, target):
    """Every score of an encoder on one dataset, and its linear-probe accuracy."""
    from keras_tc2 import transfer

    (train, train_labels), (test, test_labels) = target
    features = transfer.extract_features(encoder, train)
    probabilities = transfer.extract_features(classifier, train)
    probe = transfer.linear_probe(
        features, train_labels, transfer.extract_features(encoder, test), test_labels
    )
    return {
        "linear_probe": probe["accuracy"],
        "log_me": transfer.scores.log_me(features, train_labels),
        "h_score": transfer.scores.h_score(features, train_labels),
        "leep": transfer.scores.leep(probabilities, train_labels),
        "nce": transfer.scores.nce(probabilities.argmax(axis=1), train_labels),
        "knn_score": transfer.scores.knn_score(features, train_labels),
    }


def main(_):
    """Writes the numbers and prints the table."""
    from scipy.stats import spearmanr

    start = time.perf_counter()
    targets = {
        name: (arrays(name, "train"), arrays(name, "test")) for name in FLAGS.targets
    }
    rows = []
    for name, encoder, classifier in source_classifiers(
        *arrays("fashion_mnist_subset", "train")
    ):
        for target, data in targets.items():
            row = {"encoder": name, "target": target}
            rows.append({**row, **scores_of(encoder, classifier, data)})
            print(rows[-1], flush=True)
    names = [key for key in rows[0] if key not in ("encoder", "target", "linear_probe")]
    correlations = {}
    print("\n| score | " + " | ".join(targets) + " |")
    print("| --- |" + " ---: |" * len(targets))
    for name in names:
        for target in targets:
            chosen = [row for row in rows if row["target"] == target]
            correlation = spearmanr(
                [row[name] for row in chosen], [row["linear_probe"] for row in chosen]
            )
            correlations.setdefault(name, {})[target] = float(correlation.statistic)
        values = " | ".join(f"{value:+.2f}" for value in correlations[name].values())
        print(f"| {name} | {values} |")
    path = pathlib.Path(FLAGS.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "seconds": round(time.perf_counter() - start, 1),
        "num_encoders": len({row["encoder"] for row in rows}),
        "spearman": correlations,
        "rows": rows,
    }
    path.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
