"""Where a result comes from: the commit of the code, and the machine."""

import os
import pathlib
import platform
import subprocess
import sys

__all__ = ["commit", "machine", "processor"]


def __dir__() -> list[str]:
    return __all__


def commit() -> str | None:
    """The short hash of the commit that the running script is at, as a str.

    `None` outside a repository, or where there is no git.
    """
    folder = pathlib.Path(sys.argv[0]).resolve().parent
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return result.stdout.strip() or None


def processor() -> str:
    """The processor's name, as a str."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":")[1].strip() for line in lines if line[:10] == "model name"]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> str:
    """Processor and number of cores, as a str."""
    return f"{processor()}, {os.cpu_count()} cores"
