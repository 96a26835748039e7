"""One prepared demonstration for all tests of a run: only the first of them makes it, the others copy it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tests.postgres import SCRATCH


def cache() -> Path:
    """The same for all test processes of a run. When the run was killed, the next one sweeps it."""
    run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 << 30
    return (memory if roomy else Path(tempfile.gettempdir())) / f"{SCRATCH}{run}-demonstration"
