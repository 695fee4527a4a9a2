"""Two worker processes on loopback against one process of two devices."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.test_case import TestCase

TIMEOUT = 300


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start(kind, folder, result, config=None):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"}
    if config is not None:
        environment["TF_CONFIG"] = json.dumps(config)
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.pretraining.core.multi_worker_run",
            kind,
            str(folder),
            str(result),
        ],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(processes):
    try:
        for process in processes:
            _, errors = process.communicate(timeout=TIMEOUT)
            assert process.returncode == 0, errors[-4000:]
    finally:
        for process in processes:
            process.kill()


def two_workers(kind, folder):
    """Runs them, and gives the arrays that each wrote."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    cluster = {"worker": addresses}
    configs = [
        {"cluster": cluster, "task": {"type": "worker", "index": index}}
        for index in range(2)
    ]
    finish([start(kind, folder, folder, config) for config in configs])
    return [np.load(f"{folder}.{index}.npz") for index in range(2)]


# Three processes that import TensorFlow: above twenty seconds on a busy machine.
@pytest.mark.slow
class TwoWorkersTest(TestCase):
    # TC² of both scopes.
    @pytest.mark.parametrize("kind", ["ssl", "projector", "encoder", "bissl"])
    def test_two_workers_are_two_devices_and_only_the_chief_writes(
        self, kind, tmp_path
    ):
        both = two_workers(kind, tmp_path / "two")
        if kind == "bissl":  # Keras divides a zipped dataset, otherwise over workers.
            expected = both[0]
        else:
            finish([start(kind, tmp_path / "one", tmp_path / "one")])
            expected = np.load(tmp_path / "one.0.npz")
        for actual in both:
            for name in expected.files:
                assert np.all(np.isfinite(actual[name]))
                self.assert_close(actual[name], expected[name], rtol=1e-4, atol=1e-5)
        names = sorted(path.name for path in (tmp_path / "two").iterdir())
        assert names == ["step_0000000003.npz", "step_0000000004.npz"]
