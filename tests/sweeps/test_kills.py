"""Killed at random moments and resumed, a run leaves what an unharmed one leaves."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

KILLS = Path(__file__).parents[2] / "benchmarks" / "kills.py"


def test_three_kills_leave_the_store_of_an_unharmed_run():
    command = [sys.executable, KILLS, "--kills", "3", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills of" in done.stdout
    assert "stores identical, 0 not" in done.stdout
