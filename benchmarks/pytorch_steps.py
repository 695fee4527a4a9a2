"""A SimCLR step of ResNet-18 in PyTorch, timed when asked: the peer of `vs_pytorch.py`.

A process of its own, since PyTorch and TensorFlow may want different libraries of CUDA.
It needs PyTorch and NumPy, writes its configurations as a line of JSON, and then, for
the name of one on each line that it reads, the seconds of a step, the first included.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

WIDTHS, DIM, TEMPERATURE = (64, 128, 256, 512), 64, 0.2
CONFIGURATIONS = {
    f"PyTorch {precision}, {'torch.compile' if compiled else 'eager'}": {
        "half": precision == "bfloat16",
        "compiled": compiled,
    }
    for precision in ("float32", "bfloat16")
    for compiled in (False, True)
}


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
        """The block's output."""
        y = functional.relu(self.norm_1(x))
        short = self.shortcut(y) if self.shortcut else x
        y = self.conv_1(y)
        return short + self.conv_2(functional.relu(self.norm_2(y)))


def network():
    """ResNet-18 V2 with a 3×3 stem, and a projection head."""
    layers, inputs = [nn.Conv2d(3, 64, 3, 1, 1, bias=False)], 64
    for stage, width in enumerate(WIDTHS):
        for block in range(2):
            stride = 2 if stage and not block else 1
            layers.append(Block(inputs, width, stride, block == 0))
            inputs = width
    layers += [nn.BatchNorm2d(inputs), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Linear(512, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(512, DIM))


def new_step(batch_size, device, *, half, compiled):
    """A step of channels last, automatic mixed precision, NT-Xent and fused Adam."""
    torch.manual_seed(0)
    model = network().to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    views = np.random.default_rng(0).random((2 * batch_size, 3, 32, 32), "float32")
    images = torch.from_numpy(views).to(device, memory_format=torch.channels_last)
    mask = 1e9 * torch.eye(2 * batch_size, device=device)
    embed = torch.compile(model) if compiled else model

    def step():
        with torch.autocast(device, torch.bfloat16, enabled=half):
            embeddings = embed(images)
        z = functional.normalize(embeddings.float())
        logits = z @ z.T / TEMPERATURE
        positives = (z[:batch_size] * z[batch_size:]).sum(1) / TEMPERATURE
        loss = torch.logsumexp(logits - mask, 1).mean() - positives.mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main():
    """Times steps until its input ends."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # As TensorFlow does by itself.
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    steps = {
        name: new_step(int(sys.argv[1]), device, **arguments)
        for name, arguments in CONFIGURATIONS.items()
    }
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    about = {"version": torch.__version__, "device": name, "steps": list(steps)}
    about["weights"] = sum(p.numel() for p in network().parameters())
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        try:
            steps[line.strip()]()
        except Exception as error:  # Of its compiler, perhaps: the others go on.
            print(json.dumps({"failed": f"{type(error).__name__}: {error}"[:300]}))
        else:
            print(json.dumps({"seconds": time.perf_counter() - start}))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
