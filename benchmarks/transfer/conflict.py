"""Whether the tasks of each stage conflict: untrained, half trained and trained.

    python benchmarks/transfer/conflict.py --data_dir=runs/evidence/data \
        --output=benchmarks/transfer/conflict.json

Data, recipes, encoder and training are those of a stage of `settings.yaml`, whose data
`evidence.py` makes in the `data` folder of its `--runs_dir`; seeds are others. Tasks
are trained as in the arm, without calibration and inner step. Before, midway and after,
`TC2Pretrainer.conflict` tells the cosine of two tasks' expected gradients, freed of the
noise of batches. Six minutes a seed on a core, and ten for each case of `larger`. Cases
that the file of `--output` holds already are kept.
"""

import json
import pathlib
import sys

import keras
import numpy as np
from absl import app, flags

import keras_tc2 as tc2
from keras_tc2.reporting.markdown_table import markdown_table

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "examples")]

from compare_arms import ALL_ARMS  # noqa: E402
from compare_recipes import RECIPES  # noqa: E402
from run_folder import provenance, write  # noqa: E402
from stages import read_stages  # noqa: E402

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Where the files of data are.", required=True)
flags.DEFINE_string("output", "runs/conflict.json", "Where the numbers go.")
flags.DEFINE_list("cases", [], "Of `CASES`, all if empty.")
flags.DEFINE_float("more_steps", 1.0, "Steps, as a multiple of the stage's.")
flags.DEFINE_integer("batch_size", None, "Images a step; default: the stage's.")
flags.DEFINE_integer("batches", 24, "That conflict is measured on.")
flags.DEFINE_list("seeds", ["200", "201", "202"], "Of weights, order and views.")

# Name: stage and arm.
CASES = {
    "block tasks": ("longer", "tasks_only"),
    "cluster tasks": ("longer", "clusters_tasks_only"),
    "contradicting": ("contradicting", "tasks_only"),
    "contradicting without base term": ("contradicting", "no_base_tasks_only"),
    "domains": ("domains", "domains_tasks_only"),
    "block tasks of few images": ("few_images", "tasks_only"),
    "cluster tasks of few images": ("few_images", "clusters_tasks_only"),
    "block tasks of ResNet-18": ("larger", "tasks_only"),
    "cluster tasks of ResNet-18": ("larger", "clusters_tasks_only"),
}
TRAINED = ("untrained", "half trained", "trained")


def images_of(stage):
    """The arrays of images that a stage pre-trains on, one a domain."""
    sources = stage.flags.get("pretrain_on", ["data/fashion_mnist.h5"])
    folder = pathlib.Path(FLAGS.data_dir)
    loaded = [tc2.data.load(folder / pathlib.Path(source).name) for source in sources]
    first = slice(stage.flags.get("pretrain_images"))
    return [tc2.data.as_arrays(images)[first] for images in loaded]


def conflicts(stage, arm, domains, seed):
    """The `TaskConflict` before, midway and after training on `images_of(stage)`."""
    keras.config.set_dtype_policy(stage.flags.get("precision", "float32"))
    shape = domains[0].shape[1:]
    recipes = RECIPES[stage.flags.get("recipes", "simclr")]
    whole, by_task = recipes(shape[0], arm.arguments.get("num_tasks", 4), shape[-1])
    keras.utils.set_random_seed(seed)
    encoder = tc2.encoders.create(
        stage.flags.get("encoder", "convnet"),
        input_shape=shape,
        **json.loads(stage.flags.get("encoder_arguments", "{}")),
    )
    model = tc2.TC2Pretrainer(encoder, objective="nt_xent", **arm.arguments)
    steps = round(stage.flags["steps"] * FLAGS.more_steps)
    peak = stage.flags.get("learning_rate", 0.01)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(peak, steps))
    )
    views = tc2.data.two_views(
        domains if arm.domains else domains[0],
        batch_size=FLAGS.batch_size or stage.flags.get("batch_size", 256),
        augmentation=by_task if arm.task_views else whole,
        seed=seed,
    )
    run = views.repeat()
    unseen = run.skip(steps).take(FLAGS.batches)
    found = [model.conflict(unseen)]
    for part in (run.take(steps // 2), run.skip(steps // 2).take(steps - steps // 2)):
        model.fit(part, verbose=0)
        found.append(model.conflict(unseen))
    return found


def main(_):
    """Measures, prints and writes."""
    stages, path = read_stages(), pathlib.Path(FLAGS.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    results = {"provenance": {}, "conflict": {}}
    if path.exists():
        results = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for name in FLAGS.cases or CASES:
        stage_name, arm_name = CASES[name]
        stage, arm = stages[stage_name], ALL_ARMS[arm_name]
        domains = images_of(stage)
        of_seeds = [conflicts(stage, arm, domains, int(seed)) for seed in FLAGS.seeds]
        results["provenance"][name] = provenance()
        results["conflict"][name] = {
            trained: [
                {"seed": int(seed), **record(found[place])}
                for seed, found in zip(FLAGS.seeds, of_seeds, strict=True)
            ]
            for place, trained in enumerate(TRAINED)
        }
        rows.append([name, *(said([f[place] for f in of_seeds]) for place in range(3))])
        text = markdown_table(["tasks", *TRAINED], rows, num_text_columns=1)
        print(text, flush=True)
        write(path, json.dumps(results, indent=1))


def record(conflict):
    """A `TaskConflict` as JSON values; no cosine where it is undefined."""
    return {
        "cosine": None if np.isnan(conflict.mean) else conflict.mean,
        "interval": list(conflict.interval),
        "between": conflict.between,
        "within": conflict.within,
        "said": str(conflict),
    }


def said(found):
    """Mean cosine over seeds, and in how many of them the interval excludes zero."""
    below = sum(conflict.interval[1] < 0 for conflict in found)
    above = sum(conflict.interval[0] > 0 for conflict in found)
    mean = np.nanmean([conflict.mean for conflict in found])
    return f"{mean:+.2f} (of {len(found)} seeds, {below} conflict, {above} agree)"


if __name__ == "__main__":
    app.run(main)
