"""The README: its Python blocks run as they stand, and its table has the labels of the config."""

import math
import re
from pathlib import Path

import jax
import pytest

from thermoml.studies import load_study

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def run_blocks(monkeypatch, capsys, tmp_path):
    """Blocks -> what they print, in a folder of their own."""
    monkeypatch.chdir(tmp_path)

    def run(blocks):
        # JAX's default promotion rules, as in a user's session.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            scope = {}
            for block in blocks:
                exec(compile(block, "README.md", "exec"), scope)
        return capsys.readouterr().out

    return run


@pytest.mark.optimised
def test_blocks_of_many_steps_run(run_blocks):
    printed = run_blocks([block for block in BLOCKS if "Microscopic" in block])
    assert "LearningCurve of 1000 trajectories" in printed


@pytest.mark.slow
def test_other_blocks_run(run_blocks):
    """After the problem of the first block, without its run."""
    problem, _, _ = BLOCKS[0].partition("curve =")
    printed = run_blocks([problem, *(block for block in BLOCKS if "Microscopic" not in block)])
    difference = float(re.search(r"free_energy_difference +([\d.]+) ±", printed).group(1))
    assert difference == pytest.approx(math.log(2), abs=0.05)


def test_printed_table_is_of_the_shipped_config():
    table = re.search(r"It prints\n\n```text\n(.*?)```", README, re.DOTALL).group(1)
    labels = [line.split("  ")[0] for line in table.splitlines()[2:-1]]
    assert labels == [rule.label for rule in load_study("learning_rules").config.rules]
