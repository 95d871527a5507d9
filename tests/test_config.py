"""Configs of the studies at rest: shipped ones are right, and every mistake is named."""

import pytest

from thermoml.config import (
    SCHEMAS,
    ConfigError,
    config_from_json,
    config_json,
    load_config,
    parse_config,
    shipped_configs,
)
from thermoml.studies import STUDIES, study_of

SMALL = {"t1": 0.4, "dt": 0.01, "saves": 4}
CONFIGS = {
    "alpha_sweep": {"alpha": [0.0, 0.5]},
    "dissipation_budget": {"alpha": [0.0], "dissipation": [1.0]},
    "entropy_production": {
        "rules": ["hebbian"],
        "settings": [{"n_inputs": 10, "batch": 3}],
        "dt": [0.02, 0.01],
    },
    "tune_alpha": {"alpha": [0.0], "ways": [{"level": "mean_field"}]},
    "learning_efficiency": {"rules": ["hebbian"]},
    "frontier": {"rules": ["hebbian"], "dissipation": {"log": [0.1, 1, 3]}},
}


def config(study, **changes):
    content = {"study": study} | SMALL | CONFIGS[study] | changes
    return parse_config({key: value for key, value in content.items() if value is not ...})


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", shipped_configs())
def test_shipped_configs_are_read_and_written(name, quick):
    found = load_config(name, quick=quick)
    assert config_from_json(config_json(found)) == found
    assert study_of(found).config == found


def test_every_study_has_a_schema_and_a_config():
    shipped = {load_config(name).study for name in shipped_configs()}
    assert set(STUDIES) == set(SCHEMAS) == shipped


def test_ranges_and_numbers():
    assert config("frontier").dissipation == pytest.approx([0.1, 0.1**0.5, 1])
    assert config("alpha_sweep", alpha=0.3).alpha == [0.3]
    assert config("alpha_sweep", alpha={"linear": [0, 1, 3]}, rule="linear_alpha_tron").alpha == [
        0,
        0.5,
        1,
    ]


BAD = [
    ("alpha_sweep", {"alpha": [-1.5]}, "alpha must be > -1"),
    ("alpha_sweep", {"alpha": []}, "alpha: it must have at least one value"),
    ("alpha_sweep", {"alpha": [0.1, 0.1]}, "alpha: it must have different values"),
    ("alpha_sweep", {"alpha": {"linear": [0, 1]}}, "alpha: a range is"),
    ("alpha_sweep", {"alpha": ["half"]}, "alpha: could not convert"),
    ("alpha_sweep", {"alpha": ...}, "alpha is missing"),
    ("alpha_sweep", {"learning_rate": [0.0]}, "learning_rate.0 must be greater than 0"),
    ("alpha_sweep", {"n_inputs": 3}, "n_inputs must be at least 4 for the reduced level"),
    ("alpha_sweep", {"saves": 7}, "saves must divide the 40 steps"),
    ("alpha_sweep", {"temperature": 0.0}, "temperature must be greater than 0"),
    ("alpha_sweep", {"level": "mean"}, "level must be one of its choices"),
    ("alpha_sweep", {"inputs": "training_set"}, "inputs must be one of its choices"),
    ("alpha_sweep", {"dt": 0.4, "stiffness": 6.0, "saves": 1}, "saves must be greater than"),
    ("alpha_sweep", {"stiffness": 300.0}, "dt must be below"),
    ("dissipation_budget", {"alpha": [-0.5]}, "above -1/2 to dissipate finitely"),
    ("dissipation_budget", {"dissipation": [-1.0]}, "dissipation.0 must be greater than 0"),
    ("entropy_production", {"rules": ["hebbian", "hebbian"]}, "rules must differ"),
    ("entropy_production", {"dt": [0.01]}, "dt"),
    ("entropy_production", {"settings": [{"n_inputs": 10, "bath": 3}]}, 'did you mean "batch"'),
    ("entropy_production", {"settings": [{"n_inputs": 3, "batch": 3}]}, "at least 4"),
    ("entropy_production", {"n_inputs": 10}, "unknown key n_inputs"),
    ("tune_alpha", {"ways": [{"level": "reduced", "method": "likelihood_ratio"}]}, "needs level"),
    ("tune_alpha", {"ways": [{"level": "mean_field"}] * 2}, "ways must differ"),
    ("frontier", {"network": {"widht": 3}}, 'did you mean "width"'),
    ("frontier", {"rules": []}, "rules"),
    ("learning_efficiency", {"rules": ["hebian"]}, 'did you mean "hebbian"'),
]


@pytest.mark.parametrize(("study", "changes", "words"), BAD)
def test_a_mistake_is_named(study, changes, words):
    with pytest.raises(ConfigError) as raised:
        config(study, **changes)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
