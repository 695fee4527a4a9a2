"""One picture of what a step costs, from the JSON of the two scripts that measure it.

    python benchmarks/speed_figure.py

Left, `vs_pytorch.py`: the same step in PyTorch and here. Right, `step_time.py`: what
TC² adds to a step of plain self-supervised learning. `benchmarks/gpu/`, where `gpu.sh`
writes, is drawn beside the CPU if it is there. Writes `docs/speed.png`.
"""

import json
import pathlib

from absl import app, flags

HERE = pathlib.Path(__file__).parent
FOLDERS = flags.DEFINE_list(
    "folders", [str(HERE), str(HERE / "gpu")], "Of the two JSON files, by device."
)
OUTPUT = flags.DEFINE_string(
    "output", str(HERE.parent / "docs" / "speed.png"), "Picture to write."
)
METHODS = {
    "base SSL": "plain SSL",
    "projector scope": "TC², projector scope",
    "encoder scope, first order": "TC², encoder scope, first order",
    "encoder scope, second order": "TC², encoder scope, second order",
}
BLUE, GREY, ORANGE = "#0072B2", "0.6", "#D55E00"


def read(folder, name):
    """A JSON file of a folder, or `None`."""
    path = pathlib.Path(folder, name)
    return json.loads(path.read_text()) if path.exists() else None


def bars(panel, rows, goal=None):
    """Horizontal bars of `(label, ratio, color)`, the first on top."""
    for height, (_, ratio, color) in enumerate(reversed(rows)):
        panel.barh(height, ratio, color=color)
        panel.text(ratio, height, f" {ratio:.2f}×", va="center")
    panel.set_yticks(range(len(rows)), [label for label, _, _ in reversed(rows)])
    panel.set_xlim(0, 1.2 * max(ratio for _, ratio, _ in rows))
    if goal:
        panel.axvline(goal, color="black", lw=1, ls="--")
    panel.set_xlabel("time of a step, shorter is faster")
    panel.spines[["top", "right"]].set_visible(False)


def draw(folders):
    """The figure; one row of panels a folder that holds both files.

    Raises:
        FileNotFoundError: if no folder does.
    """
    from matplotlib.figure import Figure

    found = [(read(f, "vs_pytorch.json"), read(f, "step_time.json")) for f in folders]
    found = [(steps, times) for steps, times in found if steps and times]
    if not found:
        raise FileNotFoundError(
            f"None of {folders} holds vs_pytorch.json and step_time.json: run "
            "`benchmarks/vs_pytorch.py` and `benchmarks/step_time.py`."
        )
    figure = Figure(figsize=(11, 2.6 * len(found)), layout="constrained")
    panels = figure.subplots(len(found), 2, squeeze=False)
    for (left, right), (steps, times) in zip(panels, found, strict=True):
        machine = steps["machine"]
        device = machine.get("device", machine.get("cpu", "CPU"))
        rows = [
            (name, row["ratio"], BLUE if name.startswith("keras_tc2") else GREY)
            for name, row in steps["steps"].items()
        ]
        bars(left, rows, goal=1)
        left.set_title(f"A ResNet-18 step, over PyTorch's ({device})", fontsize=10)
        group = next(name for name in times["time"] if name.startswith("resnet18"))
        rows = [
            (label, times["time"][group][name]["ratio"], ORANGE if name else GREY)
            for name, label in METHODS.items()
            if name in times["time"][group]
        ]
        rows[0] = (*rows[0][:2], GREY)
        bars(right, rows, goal=1)
        right.set_title(f"What TC² adds ({group})", fontsize=10)
    return figure


def main(_):
    """Draws and saves."""
    draw(FOLDERS.value).savefig(OUTPUT.value, dpi=110)
    print(f"Saved as {OUTPUT.value}")


if __name__ == "__main__":
    app.run(main)
