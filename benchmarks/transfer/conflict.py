"""Whether the tasks of each set of recipes conflict, before a stage asks what helps.

    python benchmarks/transfer/contradicting_data.py --output_dir=runs/data
    python benchmarks/transfer/conflict.py \
        --pretrain_on=runs/data/fashion_mnist_posed_class.h5 \
        --output=benchmarks/transfer/conflict.json

For each set of `examples/compare_recipes.py`, block tasks without calibration and inner
step are trained for some steps; then `TC2Pretrainer.conflict` tells the cosine of two
tasks' expected gradients. A minute each.
"""

import json
import pathlib
import sys

import keras
from absl import app, flags

import keras_tc2 as tc2

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "examples"))

from compare_recipes import RECIPES
from run_folder import provenance

FLAGS = flags.FLAGS
flags.DEFINE_string("pretrain_on", None, "What `data.load` knows.", required=True)
flags.DEFINE_string("output", "runs/conflict.json", "Where the numbers go.")
flags.DEFINE_list("recipes", list(RECIPES), "Names of sets of recipes.")
flags.DEFINE_integer("steps", 300, "Of training, before conflict is measured.")
flags.DEFINE_integer("batch_size", 256, "Images a step.")
flags.DEFINE_integer("batches", 24, "That conflict is measured on.")
flags.DEFINE_integer("seed", 200, "Of weights, order and views.")


def conflict(images, name):
    """The `TaskConflict` of a set of recipes."""
    _, recipes = RECIPES[name](images.shape[1], 4, images.shape[-1])
    keras.utils.set_random_seed(FLAGS.seed)
    encoder = tc2.encoders.create("convnet", input_shape=images.shape[1:])
    model = tc2.TC2Pretrainer(encoder, objective="nt_xent", **tc2.recipes.block_tasks())
    schedule = keras.optimizers.schedules.CosineDecay(0.01, FLAGS.steps)
    model.compile(keras.optimizers.Adam(schedule))
    views = tc2.data.two_views(
        images, batch_size=FLAGS.batch_size, augmentation=recipes, seed=FLAGS.seed
    )
    model.fit(views.repeat().take(FLAGS.steps), verbose=0)
    return model.conflict(views.take(FLAGS.batches))


def main(_):
    """Measures, prints and writes."""
    images = tc2.data.as_arrays(tc2.data.load(FLAGS.pretrain_on))
    results = {"provenance": provenance(), "conflict": {}}
    for name in FLAGS.recipes:
        found = conflict(images, name)
        print(f"{name}: {found}", flush=True)
        results["conflict"][name] = {
            "cosine": found.mean,
            "interval": list(found.interval),
            "said": str(found),
        }
    path = pathlib.Path(FLAGS.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)
