"""Files saved by version 0.1.0 load, give the numbers that it gave, and are continued as it did.

`saved_by_0_1/` holds files that 0.1.0 wrote, and `expected.json` the values of expressions in the
loaded object `x` (and in a run `y` that continues it) as 0.1.0 evaluated them. Only the noise of
`simulate` is another since 0.2: what is simulated after loading was evaluated by 0.2.
"""

import enum
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

FOLDER = Path(__file__).parent / "saved_by_0_1"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
NAMES = {"tml": tml, "jax": jax, "jnp": jnp, "np": np}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def load(name):
    return tml.load(FOLDER / f"{name}.tml")


def evaluate(expression, **names):
    scope = NAMES | {"zoo": load} | names
    return eval(expression, scope)


def assert_equal(value, expected, rtol):
    if isinstance(expected, dict):
        assert list(value) == list(expected)
        for key, entry in expected.items():
            assert_equal(value[key], entry, rtol)
    elif isinstance(value, enum.Enum):
        assert value.name == expected
    elif isinstance(expected, str) or expected is None:
        assert value == expected
    elif isinstance(expected, list) and all(isinstance(x, str) for x in expected):
        assert list(value) == expected
    else:
        leaves = jax.tree.leaves(expected, is_leaf=lambda x: x is None)
        numbers = jax.tree.leaves(value)
        flat = np.concatenate([np.ravel(np.asarray(x, float)) for x in numbers])
        np.testing.assert_allclose(flat, np.asarray(leaves, float), rtol=rtol, atol=rtol)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, entry in EXPECTED.items() if not entry["like"]])
def test_a_file_loads_and_gives_the_numbers_of_0_1(name):
    entry, x = EXPECTED[name], load(name)
    assert type(x).__name__ == entry["class"]
    assert str(x)
    for expression, expected in entry["values"].items():
        value = evaluate(expression, x=x)
        if not isinstance(value, jax.Array) or value.dtype != jax.dtypes.prng_key:
            assert_equal(value, expected, 2e-5)
    if "continued" in entry:
        y = evaluate(entry["continued"]["run"], x=x)
        for expression, expected in entry["continued"]["values"].items():
            assert_equal(evaluate(expression, y=y), expected, 2e-5)


def test_every_kind_of_class_that_was_renamed_is_among_the_files():
    """A checkpoint of each level, pairs that are estimates now, other fields, other rooms."""
    curves = [load(f"curve_{level}").checkpoint for level in ("microscopic", "reduced")]
    assert [type(x).__name__ for x in curves] == ["WeightsCheckpoint", "PlaneCheckpoint"]
    ledger = load("layer_ledger")
    assert all(isinstance(x, tml.Estimate) for x in ledger.heat_rate_by_layer.values())
    assert isinstance(ledger.work_rate, tml.Estimate)
    assert isinstance(load("langevin_linear").potential, tml.langevin.QuadraticPotential)


def test_what_is_saved_now_names_public_paths(tmp_path):
    for file in sorted(FOLDER.glob("*.tml")):
        tml.save(tmp_path / "again.tml", tml.load(file))
        header = (tmp_path / "again.tml").open("rb").readline().decode()
        assert not re.search(r"thermoml[\w.]*\._", header), file.name
