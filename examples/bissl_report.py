"""The table of `bissl.py`'s runs: one row an arm with its settings."""

import numpy as np

ARMS = (
    "fine-tuning",
    "longer fine-tuning",
    "longer fine-tuning on crops",
    "more SimCLR",
    "BiSSL",
    "BiSSL identity",
    "BiSSL then crops",
    "BiSSL identity then crops",
)


def label(record):
    """How tables call an arm with its settings."""
    names = {"proximity_weight": "λ", "damping": "δ", "upper_learning_rate": "rate"}
    said = [f"{names[key]} {value:g}" for key, value in record["settings"].items()]
    return record["arm"] + (f" ({', '.join(said)})" if said else "")


def table(records):
    """One row an arm: accuracy, and its paired difference to fine-tuning at once."""
    rows = {}
    for record in sorted(records, key=lambda r: (ARMS.index(r["arm"]), label(r))):
        rows.setdefault(label(record), {})[record["seed"]] = record
    base = rows.get(ARMS[0], {})
    lines = [
        f"| before fine-tuning | seeds | accuracy, % | minus {ARMS[0]}, points | "
        "seeds above | seconds |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, runs in rows.items():
        scores = [100 * run["accuracy"] for run in runs.values()]
        gain = np.array(
            [
                100 * (run["accuracy"] - base[seed]["accuracy"])
                for seed, run in runs.items()
                if seed in base and name != ARMS[0]
            ]
        )
        seconds = [run["seconds_before_fine_tuning"] for run in runs.values()]
        cells = [name, str(len(runs)), mean_and_spread(scores)]
        cells += (
            [mean_and_spread(gain, sign="+"), f"{np.sum(gain > 0)}/{len(gain)}"]
            if len(gain)
            else ["", ""]
        )
        lines.append(f"| {' | '.join(cells)} | {np.mean(seconds):.0f} |")
    return "\n".join(lines)


def mean_and_spread(values, sign=""):
    """Mean and standard deviation over seeds."""
    spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.2f}{spread}"
