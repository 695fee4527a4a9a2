"""Two worker processes on loopback against one process."""

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


def start(folder, result, config=None):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"}
    if config is not None:
        environment["TF_CONFIG"] = json.dumps(config)
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.pretraining.multi_worker_run",
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


# Three processes that import TensorFlow: above twenty seconds on a busy machine.
@pytest.mark.slow
class TwoWorkersTest(TestCase):
    def test_two_workers_are_one_process_and_only_the_chief_writes(self, tmp_path):
        finish([start(tmp_path / "one", tmp_path / "one")])
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        shared = tmp_path / "two"
        finish(
            [
                start(
                    shared,
                    tmp_path / "two",
                    {
                        "cluster": {"worker": addresses},
                        "task": {"type": "worker", "index": index},
                    },
                )
                for index in range(2)
            ]
        )
        expected = np.load(tmp_path / "one.0.npz")
        for index in range(2):
            actual = np.load(tmp_path / f"two.{index}.npz")
            for name in expected.files:
                self.assert_close(actual[name], expected[name], rtol=1e-4, atol=1e-5)
        names = sorted(path.name for path in shared.iterdir())
        assert names == ["step_0000000003.npz", "step_0000000004.npz"]
