"""The same ResNet-18 SimCLR step in PyTorch and in this library, beside the peak.

    pip install torch
    python benchmarks/vs_pytorch.py --output=benchmarks/vs_pytorch.json

PyTorch is optional and only for this comparison. Same architecture (ResNet-18 V2, small
image stem), same number of weights, batch, loss and optimizer; the steps of all
alternate in one process. The machine's peak is that of a 2048³ matrix product in the
same run; the share of it that a step reaches is its arithmetic (three times that of the
forward pass's convolutions) over its time.
"""

import json
import pathlib
import time

import numpy as np
from absl import app, flags
from measure import interleaved, machine, summary

_OUTPUT = flags.DEFINE_string("output", "benchmarks/vs_pytorch.json", "JSON to write.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images; twice as many views.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Timed steps of each.")
WIDTHS, DIM, TEMPERATURE = (64, 128, 256, 512), 64, 0.2


def pytorch_step(views):
    """ResNet-18 V2 with a 3×3 stem, projection head, NT-Xent, Adam; channels last."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        """Pre-activation basic block."""

        def __init__(self, inputs, outputs, stride, shortcut):
            super().__init__()
            self.norm_1, self.norm_2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
            self.conv_1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.conv_2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.shortcut = (
                nn.Conv2d(inputs, outputs, 1, stride, bias=False) if shortcut else None
            )

        def forward(self, x):
            y = functional.relu(self.norm_1(x))
            short = self.shortcut(y) if self.shortcut else x
            y = self.conv_1(y)
            return short + self.conv_2(functional.relu(self.norm_2(y)))

    torch.manual_seed(0)
    layers, inputs = [nn.Conv2d(3, 64, 3, 1, 1, bias=False)], 64
    for stage, width in enumerate(WIDTHS):
        for block in range(2):
            stride = 2 if stage and not block else 1
            layers.append(Block(inputs, width, stride, block == 0))
            inputs = width
    layers += [nn.BatchNorm2d(inputs), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Linear(512, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(512, DIM))
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    images = torch.from_numpy(np.concatenate(views).transpose(0, 3, 1, 2).copy())
    images = images.to(memory_format=torch.channels_last)
    half = len(images) // 2
    mask = 1e9 * torch.eye(len(images))

    def step():
        z = functional.normalize(model(images))
        logits = z @ z.T / TEMPERATURE
        positives = (z[:half] * z[half:]).sum(1) / TEMPERATURE
        loss = torch.logsumexp(logits - mask, 1).mean() - positives.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, sum(p.numel() for p in model.parameters())


def keras_step(views, policy):
    """The library's own step under a dtype policy."""
    import keras
    import tensorflow as tf

    import keras_tc2 as tc2

    keras.config.set_dtype_policy(policy)
    encoder = tc2.encoders.create("resnet18", input_shape=(32, 32, 3))
    model = tc2.SSLPretrainer(encoder, objective=tc2.objectives.NTXent(TEMPERATURE))
    model.compile(keras.optimizers.Adam(1e-3))
    keras.config.set_dtype_policy("float32")
    train_step = tf.function(model.train_step)
    views = tuple(tf.constant(view) for view in views)
    return lambda: float(train_step(views)["loss"]), sum(
        int(np.prod(v.shape)) for v in model.trainable_variables
    )


def matmul_peak(dtype, size=2048):
    """Best of ten: multiply-adds × 2 a second of a matrix product."""
    import tensorflow as tf

    a = tf.cast(tf.random.normal((size, size), seed=0), dtype)
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(a, a)))
    product()
    best = np.inf
    for _ in range(10):
        start = time.perf_counter()
        product().numpy()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def forward_flops(image_size=32):
    """Floating-point operations of one image's forward pass: convolutions alone."""
    flops, side, inputs = 2 * image_size**2 * 9 * 3 * 64, image_size, 64
    for stage, width in enumerate(WIDTHS):
        for block in range(2):
            side = side // 2 if stage and not block else side
            flops += 2 * side**2 * 9 * (inputs * width + width * width)
            flops += 2 * side**2 * inputs * width if block == 0 else 0
            inputs = width
    return flops


def main(_):
    """Measures, prints and writes."""
    rng = np.random.default_rng(0)
    views = rng.random((2, _BATCH_SIZE.value, 32, 32, 3)).astype("float32")
    built = {
        "PyTorch float32": pytorch_step(views),
        "keras_tc2 float32": keras_step(views, "float32"),
        "keras_tc2 mixed_bfloat16": keras_step(views, "mixed_bfloat16"),
    }
    steps = {name: step for name, (step, _) in built.items()}
    rows = summary(interleaved(steps, _ROUNDS.value), "PyTorch float32")
    peaks = {dtype: matmul_peak(dtype) for dtype in ("float32", "bfloat16")}
    flops = 3 * forward_flops() * 2 * _BATCH_SIZE.value
    for name, row in rows.items():
        peak = peaks["bfloat16" if "bfloat16" in name else "float32"]
        row["weights"] = built[name][1]
        row["share_of_peak"] = flops / row["seconds"] / peak
        print(
            f"{name}: {row['seconds']:.3f} s, {row['ratio']:.2f}× PyTorch, "
            f"{100 * row['share_of_peak']:.0f} % of peak, {row['weights']} weights"
        )
    results = {"machine": machine(), "peak_flops": peaks, "steps": rows}
    pathlib.Path(_OUTPUT.value).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    app.run(main)
