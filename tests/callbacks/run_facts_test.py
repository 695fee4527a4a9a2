import os
import pathlib
import subprocess
import sys

from keras_tc2.callbacks import run_facts
from tests.test_case import TestCase


class RunFactsTest(TestCase):
    def test_commit_of_the_script_wherever_it_is_started(self, tmp_path, monkeypatch):
        def git(*arguments):
            who = ["-c", "user.name=me", "-c", "user.email=me@here"]
            command = ["git", "-C", str(tmp_path), *who, *arguments]
            return subprocess.run(command, check=True, capture_output=True).stdout

        monkeypatch.setattr(sys, "argv", [str(tmp_path / "script.py")])
        assert run_facts.commit() is None
        git("init")
        git("commit", "--allow-empty", "--message=First")
        commit = run_facts.commit()
        assert len(commit) >= 7
        assert git("rev-parse", "HEAD").decode().startswith(commit)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert run_facts.commit() is None

    def test_machine(self, monkeypatch):
        name = run_facts.processor()
        assert name and run_facts.machine() == f"{name}, {os.cpu_count()} cores"

        def refuse(path):
            raise FileNotFoundError(path)

        monkeypatch.setattr(pathlib.Path, "read_text", refuse)
        assert run_facts.processor()
