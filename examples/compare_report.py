"""Tables and picture of `compare.py`'s runs.

`compare.py` calls `write_all` after every seed. Differences are paired by seed: the
same initial weights, images and order on both sides. Intervals are Student's t, 95 %,
over seeds.
"""

import json
import pathlib

import numpy as np
from compare_arms import ALL_ARMS
from run_folder import commit, machine, write

from keras_tc2.reporting.markdown_table import markdown_table

# The base arms whose scores tell what base SSL reaches in more time.
TIMED_BASES = ("base", "base_equal_compute", "base_equal_time", "base_long")
METHOD = "tc2"
CONTROLS = (
    "base",
    "base_task_views",
    "tasks_only",
    "clusters_tasks_only",
    "base_equal_compute",
    "base_equal_time",
    "task_views_equal_compute",
    "task_views_equal_time",
)


class Runs:
    """The finished runs of one objective.

    Args:
        runs: list of records of `compare.py`.
        objective: str. Runs that need none belong to every objective.
        transfer: names of the datasets of the transfer score.
    """

    def __init__(self, runs, objective, transfer):
        chosen = [run for run in runs if run["objective"] in (objective, "any")]
        self.transfer = transfer
        self.failed = [run for run in chosen if "failure" in run]
        self.of = {}
        for run in chosen:
            if "failure" not in run:
                self.of.setdefault(run["arm"], {})[run["seed"]] = run

    @property
    def arms(self):
        """Names of the arms, in the order of `compare_arms`."""
        return [name for name in ALL_ARMS if name in self.of]

    @property
    def reference(self):
        """The arm that all are compared with: base SSL, or the first if it lacks."""
        return "base" if "base" in self.of else self.arms[0]

    def has_tasks(self, arm):
        """Whether the arm is TC² or a part of it."""
        return next(iter(self.of[arm].values()))["method"] == "tc2"

    def label(self, arm):
        """How tables call an arm."""
        return next(iter(self.of[arm].values()))["label"]

    def scores(self, arm):
        """The transfer score of each seed, in percent: `{seed: float}`."""
        return {
            seed: transfer_score(run, self.transfer)
            for seed, run in self.of[arm].items()
        }

    def cost(self, arm):
        """Training time over that of base SSL; `None` if it was not measured."""
        ratios = [
            run["more_steps"] * run["step_ratio"]
            for run in self.of[arm].values()
            if "step_ratio" in run
        ]
        return float(np.median(ratios)) if ratios else None

    def base_at(self, cost):
        """Transfer score of base SSL trained for `cost` times its time, by seed.

        Linear between the base arms of different length, each with a whole schedule;
        beyond the longest, the longest.
        """
        arms = [name for name in TIMED_BASES if name in self.of]
        lengths = [next(iter(self.of[name].values()))["more_steps"] for name in arms]
        # No longer ones than are needed, which may be there for fewer seeds.
        needed = 1 + min(int(np.searchsorted(lengths, cost)), len(arms) - 1)
        scores = [self.scores(name) for name in arms[:needed]]
        seeds = set.intersection(*(set(values) for values in scores))
        return {
            seed: float(
                np.interp(cost, lengths[:needed], [values[seed] for values in scores])
            )
            for seed in seeds
        }


def transfer_score(run, datasets):
    """The mean accuracy of kNN and linear probe on the datasets, in percent."""
    accuracies = [
        run["scores"][name][protocol]
        for name in datasets
        for protocol in ("knn", "linear")
    ]
    return 100 * float(np.mean(accuracies))


def paired(first, second):
    """`(mean, half width, number)` of first − second over the seeds of both."""
    from scipy import stats

    seeds = sorted(set(first) & set(second))
    values = np.array([first[seed] - second[seed] for seed in seeds])
    if len(values) < 2:
        return (float(values.mean()) if len(values) else None), None, len(values)
    quantile = stats.t.ppf(0.975, len(values) - 1)
    half = quantile * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(half), len(values)


def difference_cell(first, second):
    """A paired difference as text, bold where its interval excludes zero."""
    mean, half, _ = paired(first, second)
    if mean is None:
        return "–"
    if half is None:
        return f"{mean:+.2f} (1 seed)"
    text = f"{mean:+.2f} ± {half:.2f}"
    return f"**{text}**" if abs(mean) > half else text


def main_table(runs):
    """One row an arm: transfer score and paired differences, in points."""
    heads = [
        "arm",
        "seeds",
        "transfer score, % (sd)",
        f"− {runs.label(runs.reference)}",
        "− base SSL at equal time",
        "TC² − arm",
        "training time",
    ]
    rows = []
    for arm in runs.arms:
        scores, cost = runs.scores(arm), runs.cost(arm)
        values = list(scores.values())
        spread = f" ({np.std(values, ddof=1):.2f})" if len(values) > 1 else ""
        has_base, has_method = "base" in runs.of, METHOD in runs.of
        trained_otherwise = cost is not None and arm not in TIMED_BASES
        cells = [
            runs.label(arm),
            str(len(values)),
            f"{np.mean(values):.2f}{spread}",
            difference_cell(scores, runs.scores(runs.reference))
            if arm != runs.reference
            else "–",
            difference_cell(scores, runs.base_at(cost))
            if has_base and trained_otherwise
            else "–",
            difference_cell(runs.scores(METHOD), scores)
            if has_method and arm != METHOD
            else "–",
            "–" if cost is None else f"{cost:.2f} ×",
        ]
        rows.append(cells)
    return markdown_table(heads, rows, num_text_columns=1)


def detail_table(runs):
    """One row an arm, one column a dataset and protocol: mean and sd in percent."""
    any_run = next(iter(runs.of[runs.arms[0]].values()))
    columns = [
        (dataset, protocol)
        for dataset, protocols in any_run["scores"].items()
        for protocol in protocols
    ]
    columns.sort(key=lambda column: column[0] not in runs.transfer)
    heads = [f"{d.removesuffix('_subset')} {p}" for d, p in columns]
    rows = []
    for arm in runs.arms:
        cells = [runs.label(arm)]
        for dataset, protocol in columns:
            values = [
                100 * run["scores"][dataset][protocol] for run in runs.of[arm].values()
            ]
            spread = f" ({np.std(values, ddof=1):.2f})" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.2f}{spread}")
        rows.append(cells)
    return markdown_table(["arm", *heads], rows, num_text_columns=1)


def controls_table(runs):
    """One row an arm with tasks, one column a control: paired differences."""
    controls = [name for name in CONTROLS if name in runs.of]
    arms = [name for name in runs.arms if runs.has_tasks(name)]
    if not controls or not arms:
        return ""
    heads = ["", *(f"− {runs.label(name)}" for name in controls)]
    rows = []
    for arm in arms:
        scores = runs.scores(arm)
        cells = [
            "–" if name == arm else difference_cell(scores, runs.scores(name))
            for name in controls
        ]
        rows.append([runs.label(arm), *cells])
    return markdown_table(heads, rows, num_text_columns=1)


def findings(runs):
    """A plain sentence for TC² against each control."""
    sentences = []
    for control in CONTROLS:
        if METHOD not in runs.of or control not in runs.of:
            continue
        mean, half, number = paired(runs.scores(METHOD), runs.scores(control))
        label = runs.label(control)
        if half is None:
            sentences.append(f"- Against {label}: fewer than two paired seeds.")
            continue
        interval = f"{mean:+.2f} points, {mean - half:+.2f} to {mean + half:+.2f}"
        if abs(mean) <= half:
            verdict = "no difference shown"
        else:
            verdict = "TC² is above" if mean > 0 else "TC² is below"
        sentences.append(f"- Against {label}: {verdict} ({interval}, {number} seeds).")
    for run in runs.failed:
        sentences.append(
            f"- Failed: {run['label']}, seed {run['seed']}: {run['failure']}"
        )
    return "\n".join(sentences)


def markdown(results):
    """All tables and findings."""
    settings = results["settings"]
    others = ("pretrain_images", "recipes", "precision")
    said = "".join(f", {key} {settings[key]}" for key in others if key in settings)
    parts = [
        f"{settings['encoder']}, {settings['steps']} steps of "
        f"{settings['batch_size']} images of {settings['in_domain']}{said}, Adam, "
        f"{settings['learning_rate']:g} cosine; measured on "
        f"{settings['evaluate_on']} images. Transfer score: mean of kNN and linear "
        f"probe on {' and '.join(settings['transfer'])}. Differences are paired by "
        "seed, ± half a 95 % interval (Student's t over seeds), bold where it excludes "
        "zero. Equal time: base SSL trained longer, by as much as the arm's time."
    ]
    for objective in objectives_of(results):
        runs = Runs(results["runs"], objective, settings["transfer"])
        if not runs.arms:
            parts += [f"## {objective}", "No run finished.", findings(runs)]
            continue
        parts += [
            f"## {objective}",
            main_table(runs),
            findings(runs),
            controls_table(runs),
            "Accuracy in percent, mean (sd over seeds):",
            detail_table(runs),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def objectives_of(results):
    """The objectives that have runs."""
    names = dict.fromkeys(run["objective"] for run in results["runs"])
    return [name for name in names if name != "any"] or ["any"]


def draw(results, path):
    """Differences to the reference with their intervals: one panel an objective."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from keras_tc2.reporting.palette import COLOURS

    transfer = results["settings"]["transfer"]
    panels = {
        name: Runs(results["runs"], name, transfer) for name in objectives_of(results)
    }
    panels = {name: runs for name, runs in panels.items() if runs.arms}
    if not panels:
        return
    arms = {}
    for runs in panels.values():
        arms |= {arm: runs.label(arm) for arm in runs.arms}
    # Some ten points below and above, they would hide the rest.
    apart = [arm for arm in ("random", "supervised") if arm in arms]
    # A difference without an interval is left to the table.
    repeated = {
        arm for runs in panels.values() for arm in runs.arms if len(runs.of[arm]) > 1
    }
    references = {runs.reference for runs in panels.values()}
    shown = [a for a in arms if a in repeated and a not in (*apart, *references)]
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(4.2 + 4.3 * len(panels), 1.9 + 0.36 * max(len(shown), 3)),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, (name, runs) in zip(axes[0], panels.items(), strict=True):
        reference = runs.scores(runs.reference)
        for place, arm in enumerate(shown):
            if arm not in runs.of:
                continue
            scores = runs.scores(arm)
            mean, half, _ = paired(scores, reference)
            if half is None:
                continue
            colour, marker = COLOURS[0], "o"
            if arm in CONTROLS or arm in TIMED_BASES:
                colour, marker = COLOURS[1], "s"
            if arm == METHOD:
                colour, marker = COLOURS[2], "D"
            dots = [scores[s] - reference[s] for s in scores if s in reference]
            axis.plot(dots, [place] * len(dots), ".", color="0.75", ms=5, zorder=1)
            axis.errorbar(
                mean, place, xerr=half, fmt=marker, color=colour, capsize=4, zorder=2
            )
        axis.axvline(0, color="black", lw=0.8)
        means = [
            f"{runs.label(arm)} {np.mean(list(runs.scores(arm).values())):.1f} %"
            for arm in dict.fromkeys([runs.reference, *apart])
            if arm in runs.of
        ]
        axis.set_title(f"{name}\n" + "\n".join(means), fontsize=9)
        label = runs.label(runs.reference)
        axis.set_xlabel(f"transfer score − that of {label}\n(percentage points)")
        axis.grid(axis="x", color="0.9")
        axis.set_axisbelow(True)
    axes[0, 0].set_yticks(range(len(shown)), [arms[arm] for arm in shown])
    axes[0, 0].set_ylim(max(len(shown), 1) - 0.5, -0.5)
    figure.suptitle(
        "Paired by seed: mean and 95 % interval; grey dots are seeds. "
        "Squares: controls; diamond: TC²; circles: its variants",
        fontsize=9,
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)


def write_all(folder):
    """Reads the runs of a folder; writes `results.json`, `table.md`, `ablation.png`."""
    folder = pathlib.Path(folder)
    settings = json.loads((folder / "settings.json").read_text())
    paths = sorted((folder / "runs").glob("*.json"))
    runs = [json.loads(path.read_text()) for path in paths]
    results = {
        "settings": settings,
        "machine": machine(),
        "commit": commit(),
        "minutes": round(sum(run["seconds"] for run in runs) / 60, 1),
        "runs": runs,
    }
    write(folder / "results.json", json.dumps(results))
    write(folder / "table.md", markdown(results))
    draw(results, folder / "ablation.png")
