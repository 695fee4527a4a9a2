"""Every run behind `benchmarks/transfer/README.md`, in one resumable command.

    python benchmarks/transfer/evidence.py \
        --fashion_mnist_dir=DIR --mnist_dir=DIR --icons_dir=DIR --runs_dir=runs/evidence

The first two folders hold the four gzipped IDX files of each dataset; without them the
subsets in `examples/data` are used. The third is that of `pictures_data.py`; with
`--stages=...` that need no pictures it is left out. Runs `examples/compare.py` stage by
stage, one process at a time, and copies what each stage found to this folder. Settings
are chosen on validation images and on seeds of their own; the final tables use test
images, and seeds 0 to 29 or those of a stage of `settings.yaml`. Its stages, with seeds
and claims written before they begin, are refused where they could not see what they
look for, and end in the `claims.md` of `claims.py`.
"""

import gzip
import pathlib
import shutil
import subprocess
import sys

import numpy as np
from absl import app, flags

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import image_set  # noqa: E402
from stages import read_stages  # noqa: E402

FINAL_SEEDS = "0,1,2,3,4,5,6,7,8,9"
FRESH_SEEDS = "10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29"

FLAGS = flags.FLAGS
flags.DEFINE_string("fashion_mnist_dir", None, "Folder of Fashion-MNIST's IDX files.")
flags.DEFINE_string("mnist_dir", None, "Folder of MNIST's IDX files.")
flags.DEFINE_string("icons_dir", None, "Of `pictures_data.py`, for its stage alone.")
flags.DEFINE_string("runs_dir", "runs/evidence", "Where the single runs are kept.")
flags.DEFINE_list("stages", [], "Names of stages; all if empty.")

# Controls first: a table of them is worth having before the rest is there.
CONTROLS = "base,base_task_views,tasks_only,base_equal_compute,tc2"
ABLATION = (
    "base_long,task_views_equal_compute,no_calibration,no_inner_step,no_task_embedding,"
    "first_order,encoder_first_order,encoder_scope,random,supervised"
)
SWEEPS = (
    "tasks_2,tasks_8,factors_8,factors_64,sparsity_0,sparsity_0.1,sparsity_1,"
    "alpha_0.05,alpha_0.5,alpha_1"
)
VARIANTS = (
    "transfer_0.3,transfer_3,all_pairs,inner_steps_3,no_base,gate,projection,"
    "random_tasks,clusters,clusters_task_views"
)
COMBINATIONS = (
    "clusters_first_order,clusters_8,clusters_factors_64,clusters_gate,"
    "clusters_transfer_3,clusters_no_base,clusters_tasks_only"
)
CHOOSING = "--evaluate_on=validation"
RESNET18 = [
    "--encoder=resnet18",
    '--encoder_arguments={"width": 16}',
    "--batch_size=128",
]
# Stage: the folder that it adds to, and the flags of `compare.py`.
STAGES = {
    **{
        f"learning_rate_{rate}": (
            f"learning_rate_{rate}",
            [
                "--arms=base",
                "--objectives=nt_xent,vicreg",
                f"--learning_rate={rate}",
                CHOOSING,
                "--seeds=100,101",
            ],
        )
        for rate in ("0.003", "0.01", "0.03")
    },
    "vicreg_clip": (
        "choosing",
        [
            "--arms=base,tasks_only,clip_0.1,clip_0.3,clip_1",
            "--objectives=vicreg",
            CHOOSING,
            "--seeds=100,101",
        ],
    ),
    "nt_xent": (
        "small_encoder",
        [f"--arms={CONTROLS}", "--objectives=nt_xent", f"--seeds={FINAL_SEEDS}"],
    ),
    "vicreg": (
        "small_encoder",
        [f"--arms={CONTROLS}", "--objectives=vicreg", f"--seeds={FINAL_SEEDS}"],
    ),
    "variants": (
        "choosing",
        [f"--arms={CONTROLS},{VARIANTS}", CHOOSING, "--seeds=100,101"],
    ),
    # The most promising once more.
    "variants_again": (
        "choosing",
        [
            f"--arms={CONTROLS},transfer_3,clusters,clusters_task_views",
            CHOOSING,
            "--seeds=102,103",
        ],
    ),
    "chosen_variant": (
        "small_encoder",
        ["--arms=clusters_task_views", f"--seeds={FINAL_SEEDS}"],
    ),
    "sweeps": (
        "choosing",
        [f"--arms={CONTROLS},{SWEEPS}", CHOOSING, "--seeds=100,101,102,103"],
    ),
    "combinations": (
        "choosing",
        [f"--arms={COMBINATIONS}", CHOOSING, "--seeds=100,101,102,103"],
    ),
    "combinations_again": (
        "choosing",
        [
            "--arms=base,base_task_views,clusters_task_views,clusters_gate,clusters_8,"
            "clusters_gate_8",
            CHOOSING,
            "--seeds=100,101,102,103,104,105,106,107",
        ],
    ),
    # What was chosen, on seeds that nothing was looked at before.
    "confirmation": (
        "confirmation",
        [
            "--arms=base,base_task_views,tasks_only,clusters_tasks_only,"
            "base_equal_time,task_views_equal_time,tc2,clusters_gate",
            f"--seeds={FRESH_SEEDS}",
        ],
    ),
    # Which part of it takes away what cluster tasks alone give.
    "cluster_ablation": (
        "confirmation",
        [
            "--arms=clusters_task_views,clusters_no_calibration,clusters_no_inner_step,"
            "clusters_alpha_0.05",
            f"--seeds={FRESH_SEEDS}",
        ],
    ),
    "vicreg_clusters": (
        "small_encoder",
        [
            "--arms=clusters_tasks_only,clusters_task_views",
            "--objectives=vicreg",
            f"--seeds={FINAL_SEEDS}",
        ],
    ),
    "ablation": (
        "small_encoder",
        [f"--arms={ABLATION}", "--objectives=nt_xent", f"--seeds={FINAL_SEEDS}"],
    ),
    **{
        f"resnet18_learning_rate_{rate}": (
            f"resnet18_learning_rate_{rate}",
            [
                *RESNET18,
                "--arms=base",
                f"--learning_rate={rate}",
                CHOOSING,
                "--seeds=100,101",
            ],
        )
        for rate in ("0.001", "0.003", "0.01")
    },
    "resnet18": (
        "resnet18",
        [
            *RESNET18,
            f"--arms={CONTROLS},random",
            "--learning_rate=0.003",
            "--seeds=0,1,2,3,4",
        ],
    ),
}


CLAIMED = read_stages()
STAGES |= {name: (name, stage.arguments) for name, stage in CLAIMED.items()}


def read_idx(path):
    """Reads one gzipped IDX file of unsigned bytes into an array."""
    content = gzip.decompress(path.read_bytes())
    num_axes = content[3]
    shape = np.frombuffer(content, ">i4", num_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * num_axes).reshape(shape)


def full_set(folder, path):
    """Writes the IDX files of a folder as one HDF5 file that `data.load` reads."""
    if path.exists():
        return
    splits = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
        splits[split] = images[..., None], labels
    image_set.write(path, splits)


def compare(folder, arguments, data_script=None):
    """Runs `compare.py` on a folder, and copies what it wrote to this one."""
    runs_dir = pathlib.Path(FLAGS.runs_dir).resolve()
    data = runs_dir / "data"
    data.mkdir(parents=True, exist_ok=True)
    sources = ["fashion_mnist_subset", "mnist_subset"]
    if FLAGS.fashion_mnist_dir:
        full_set(pathlib.Path(FLAGS.fashion_mnist_dir), data / "fashion_mnist.h5")
        full_set(pathlib.Path(FLAGS.mnist_dir), data / "mnist.h5")
        sources = [data / "fashion_mnist.h5", data / "mnist.h5"]
    if data_script:
        flags_of = {
            "contradicting_data.py": dict(
                zip(("pretrain_on", "transfer_to"), sources, strict=True)
            ),
            "pictures_data.py": {"icons_dir": FLAGS.icons_dir},
        }
        of_script = {"output_dir": data, **flags_of[data_script]}
        of_script = [f"--{name}={value}" for name, value in of_script.items()]
        subprocess.run([sys.executable, HERE / data_script, *of_script], check=True)
    else:
        arguments = [
            *arguments,
            f"--pretrain_on={sources[0]}",
            f"--transfer_to={sources[1]},digits_28px",
        ]
    begun = HERE / "unfinished" / folder
    if begun.exists():
        shutil.copytree(begun, runs_dir / folder, dirs_exist_ok=True)
    arguments = [f"--output_dir={runs_dir / folder}", "--steps=200", *arguments]
    script = ROOT / "examples" / "compare.py"
    # The stages name the files of `data_script` as seen from there.
    subprocess.run([sys.executable, script, *arguments], check=True, cwd=runs_dir)
    copy(runs_dir / folder, ["results.json", "table.md"])
    if "learning_rate" not in folder:
        copy(runs_dir / folder, ["ablation.png"])


def test_claims(stage):
    """Tests the claims of a stage of `settings.yaml` on its runs."""
    folder = pathlib.Path(FLAGS.runs_dir) / stage
    script = HERE / "claims.py"
    subprocess.run([sys.executable, script, stage, f"--runs_dir={folder}"], check=True)
    copy(folder, ["claims.json", "claims.md"])


def copy(folder, names):
    """Copies files of a folder of runs to this one."""
    (HERE / folder.name).mkdir(exist_ok=True)
    for name in names:
        shutil.copy(folder / name, HERE / folder.name / name)


def main(_):
    """Runs the stages in order."""
    unknown = set(FLAGS.stages) - set(STAGES)
    if unknown:
        raise ValueError(f"--stages takes any of {list(STAGES)}. Received: {unknown}")
    stages = FLAGS.stages or list(STAGES)
    scripts = [CLAIMED[stage].data for stage in stages if stage in CLAIMED]
    if "pictures_data.py" in scripts and not FLAGS.icons_dir:
        raise ValueError("Give --icons_dir, or name --stages that need no pictures.")
    for stage in stages:
        folder, arguments = STAGES[stage]
        claimed = CLAIMED.get(stage)
        if claimed:
            claimed.check_power()
        print(f"{stage}: {' '.join(arguments)}", flush=True)
        compare(folder, arguments, data_script=claimed and claimed.data)
        if claimed:
            test_claims(stage)


if __name__ == "__main__":
    app.run(main)
