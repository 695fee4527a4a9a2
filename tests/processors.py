"""What tests must know of the processor that they run on, or imitate."""

import os

import pytest

# TensorFlow sees that the processor itself has bfloat16, and asks oneDNN for kernels
# that `ONEDNN_MAX_CPU_ISA` forbids it to make. An older processor never asks.
needs_bfloat16_kernels = pytest.mark.skipif(
    "ONEDNN_MAX_CPU_ISA" in os.environ,
    reason="oneDNN makes no bfloat16 kernels for an older processor than this one",
)
