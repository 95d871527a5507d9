"""Small configs for the command line, and how it is called and refuses in its tests."""

import yaml
from typer.testing import CliRunner

from thermoml.cli import app

TINY = {
    "study": "learning_rules",
    "rules": ["hebbian", {"name": "alpha_tron", "alpha": 0.5}],
    "n_inputs": 15,
    "n_trajectories": 8,
    "batch": 4,
    "t1": 0.4,
    "dt": 0.01,
    "save_every": 10,
}


TINY_SWEEP = {
    "study": "sweep",
    "rule": "alpha_tron",
    "grid": {"alpha": [0.0, 0.5]},
    "n_inputs": 9,
    "n_trajectories": 6,
    "batch": 3,
    "t1": 0.4,
    "dt": 0.01,
    "saves": 4,
}


def invoke(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def config_writer(folder):
    """Writes TINY, or another, with some keys changed (None removes one); returns its path."""

    def write(basis=TINY, **changes):
        content = {key: value for key, value in {**basis, **changes}.items() if value is not None}
        path = folder / "config.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


def grid(**axes):
    """Changes that put these into the grid, and nowhere else."""
    beside = {name: None for name in [*axes, *axes.get("zip", {})] if name in TINY_SWEEP}
    return beside | {"grid": axes}


def refuses(result, *words, out=None):
    """One line on stderr that holds `words`, exit code 2, and no results."""
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert len(errors) == 1, result.stderr
    assert errors[0].startswith("error: ")
    for word in words:
        assert str(word) in errors[0]
    assert not isinstance(result.exception, ValueError)
    if out is not None:
        assert not out.exists()
