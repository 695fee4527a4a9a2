"""Whether a stage of `settings.yaml` can answer its question, and what it answered.

    python benchmarks/transfer/claims.py longer                       # before its runs
    python benchmarks/transfer/claims.py longer --runs_dir=runs/longer    # after

Before: the power of a claim, at the level and at the strictest that Holm's correction
asks for; a stage below the power of `settings.yaml` is refused. After: for each claim
the paired difference by seed in points of transfer score, its 95 % interval (Student's
t), p-value and that of Holm over all claims of the stage. It works on whatever runs
there are, names what failed and what is missing, and calls nothing shown before all are
there. Writes `claims.md` and `claims.json` beside them.
"""

import json
import pathlib
import sys

import numpy as np
from absl import app, flags
from scipy import stats

from keras_tc2.reporting.markdown_table import markdown_table

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "examples")]

from compare_report import Runs, paired  # noqa: E402
from stages import read_stages  # noqa: E402

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "runs_dir", None, "The --output_dir of the stage's compare.py; none before it."
)


def holm(p_values):
    """Holm's adjusted p-values: `max over j <= i of (m - j) p_(j)`, at most 1.

    Args:
        p_values: list of floats, or `None` for a claim that has none yet; it counts in
            m all the same.
    """
    adjusted, largest = [None] * len(p_values), 0.0
    known = [i for i, p in enumerate(p_values) if p is not None]
    for rank, i in enumerate(sorted(known, key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def p_value(differences):
    """Two-sided p-value of Student's t that their mean is zero; `None` for one."""
    if len(differences) < 2:
        return None
    if np.ptp(differences) == 0:
        return float(differences[0] == 0)
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def before(stage):
    """What the stage can see, as text."""
    strictest = stage.level / len(stage.claims)
    lines = [
        f"{stage.name}: {len(stage.claims)} claims, {len(stage.seeds)} seeds, "
        f"{len(stage.arms)} arms, {len(stage.seeds) * len(stage.arms)} runs.",
        f"If a difference of {stage.smallest_effect:g} points is there and deviates by "
        f"{stage.deviation:g} over seeds, a claim is shown with a power of "
        f"{stage.power_at(stage.level):.3f} at level {stage.level:g}, and of "
        f"{stage.power_at(strictest):.3f} at {strictest:.4f}, Holm's strictest.",
    ]
    return "\n".join(lines)


def evaluate(stage, folder):
    """What the runs of a folder say of a stage.

    Raises:
        ValueError: if they were made with other settings than the stage names.
    """
    settings = json.loads((folder / "settings.json").read_text())
    check_settings(stage, settings)
    records = [
        json.loads(path.read_text()) for path in sorted(folder.glob("runs/*.json"))
    ]
    records = [
        record
        for record in records
        if record["arm"] in stage.arms and record["seed"] in stage.seeds
    ]
    runs = Runs(records, stage.objective, settings["transfer"])
    failed = {
        arm: {run["seed"]: run["failure"] for run in runs.failed if run["arm"] == arm}
        for arm in stage.arms
    }
    finished = {arm: runs.scores(arm) if arm in runs.of else {} for arm in stage.arms}
    missing = {
        arm: [s for s in stage.seeds if s not in finished[arm] and s not in failed[arm]]
        for arm in stage.arms
    }
    claims = [
        claim(first, second, finished[first], finished[second])
        for first, second in stage.claims
    ]
    complete = not any(missing.values())
    adjusted = holm([found["p_value"] for found in claims])
    for found, p in zip(claims, adjusted, strict=True):
        found["p_holm"] = p
        found["verdict"] = verdict(found, stage.level) if complete else "runs missing"
    return {
        "stage": stage.name,
        "written": str(stage.written),
        "level": stage.level,
        "complete": complete,
        "seeds": stage.seeds,
        "scores": finished,
        "failed": {arm: seeds for arm, seeds in failed.items() if seeds},
        "missing": {arm: seeds for arm, seeds in missing.items() if seeds},
        "claims": claims,
    }


def check_settings(stage, settings):
    """Raises `ValueError` if runs were made with other flags than the stage's."""
    made_with = {
        "recipes": "simclr",
        "precision": "float32",
        **settings,
        "pretrain_on": settings["in_domain"].split("+"),
        "transfer_to": settings["transfer"],
    }
    for flag, value in stage.flags.items():
        if flag in ("pretrain_on", "transfer_to"):
            value = [pathlib.Path(source).stem for source in value]
        if flag in made_with and made_with[flag] != value:
            raise ValueError(
                f"Stage {stage.name} is about runs with {flag}={value}; these have "
                f"{made_with[flag]}."
            )


def claim(first, second, scores_1, scores_2):
    """The paired difference of two arms, `{seed: score}` each."""
    seeds = sorted(set(scores_1) & set(scores_2))
    differences = [scores_1[seed] - scores_2[seed] for seed in seeds]
    mean, half, _ = paired(scores_1, scores_2)
    return {
        "first": first,
        "second": second,
        "paired_seeds": seeds,
        "difference": mean,
        "half_interval": half,
        "deviation": float(np.std(differences, ddof=1)) if len(seeds) > 1 else None,
        "p_value": p_value(differences),
    }


def verdict(found, level):
    """What a claim's adjusted p-value says of it."""
    if found["p_holm"] is None:
        return "fewer than two pairs"
    if found["p_holm"] > level:
        return "not shown"
    return "shown" if found["difference"] > 0 else "the opposite is shown"


def markdown(stage, found):
    """The table of claims, and what is missing from it."""
    number = "all" if found["complete"] else "not all"
    rows = [
        [
            f"{c['first']} − {c['second']}",
            str(len(c["paired_seeds"])),
            text(c["difference"], "+.2f", c["half_interval"]),
            text(c["deviation"], ".2f"),
            text(c["p_value"], ".4f"),
            text(c["p_holm"], ".4f"),
            c["verdict"],
        ]
        for c in found["claims"]
    ]
    heads = ["claim", "pairs", "points ± half a 95 % interval", "deviation", "p"]
    heads += [f"Holm's p ({len(rows)} claims)", "verdict"]
    parts = [
        f"# {stage.name}",
        " ".join(stage.question.split()),
        f"Written {stage.written}, before its runs; {number} of them are there. "
        "Differences of transfer score, paired by seed.",
        markdown_table(heads, rows, num_text_columns=1),
        before(stage),
    ]
    notes = [
        f"- Failed: {arm}, seed {seed}: {failure}"
        for arm, seeds in found["failed"].items()
        for seed, failure in seeds.items()
    ]
    notes += [
        f"- Missing: {arm}, seeds {', '.join(map(str, seeds))}"
        for arm, seeds in found["missing"].items()
    ]
    parts += ["\n".join(notes)] if notes else []
    return "\n\n".join(parts) + "\n"


def text(value, spec, half=None):
    """A number of a table; a dash for none."""
    if value is None:
        return "–"
    return format(value, spec) + (f" ± {half:.2f}" if half is not None else "")


def write(stage, folder):
    """Evaluates the runs of a folder; writes `claims.md` and `claims.json` there."""
    found = evaluate(stage, folder)
    (folder / "claims.json").write_text(json.dumps(found, indent=1))
    (folder / "claims.md").write_text(markdown(stage, found))


def main(arguments):
    """Says what a stage can see, or what it saw."""
    stages = read_stages()
    names = arguments[1:]
    if len(names) != 1 or names[0] not in stages:
        raise app.UsageError(f"One of {', '.join(stages)} is wanted. Received: {names}")
    stage = stages[names[0]]
    if FLAGS.runs_dir is None:
        print(before(stage))
        stage.check_power()
        return
    folder = pathlib.Path(FLAGS.runs_dir)
    write(stage, folder)
    print((folder / "claims.md").read_text())


if __name__ == "__main__":
    app.run(main)
