"""Configs: shipped ones fit their studies, and every mistake is told in one line."""

from pathlib import Path

import pytest
import yaml

from thermoml.config import ConfigError, config_json, read_config, shipped_configs
from thermoml.studies import (
    descriptions,
    load_study,
    schema_of,
    shipped_studies,
    study_class,
    study_from_json,
    study_of,
)

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
    return study_of({key: value for key, value in content.items() if value is not ...}).config


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", shipped_configs())
def test_shipped_configs_are_read_and_written(name, quick):
    study = load_study(name, quick=quick)
    assert study_from_json(config_json(study.config)).config == study.config
    assert type(study.config) is schema_of(type(study))


@pytest.mark.parametrize("name", shipped_studies())
def test_each_file_of_the_folders_holds_a_study_with_a_config(name):
    """The class named for the file, complete, with a schema of its own and a shipped config."""
    study = study_class(name)
    assert study.__name__.removesuffix("Study").lower() in (
        name.replace("_", ""),
        "parametersweep",
    )
    assert schema_of(study).__module__ == study.__module__
    assert name in {read_config(source)["study"] for source in shipped_configs()}


def test_descriptions_are_the_first_lines_of_the_files():
    lines = dict(zip(shipped_studies(), descriptions(), strict=True))
    assert lines["learning_rules"][0] == ["learning_rules", "essay"]
    assert lines["stirling"][1].startswith("The harmonic Stirling engine")
    for _, words in lines.values():
        assert words.endswith(".")
        assert len(words) < 100
    assert {name for names, _ in lines.values() for name in names} == set(shipped_configs())


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
    ("alpha_sweep", {"alpha": []}, "alpha: must have at least one value"),
    ("alpha_sweep", {"alpha": [0.1, 0.1]}, "alpha: must have different values"),
    ("alpha_sweep", {"alpha": {"linear": [0, 1]}}, "alpha: a range is"),
    ("alpha_sweep", {"alpha": ["half"]}, "alpha: must be numbers, got ['half']"),
    ("alpha_sweep", {"alpha": ...}, "alpha is missing"),
    ("alpha_sweep", {"rule": "hebbian"}, "hebbian takes no alpha"),
    ("alpha_sweep", {"rule": "alpha"}, "there is no rule 'alpha'; did you mean \"alpha_tron\"?"),
    ("alpha_sweep", {"learning_rate": [0.0]}, "learning_rate.0 must be greater than 0"),
    ("alpha_sweep", {"n_inputs": 3}, "n_inputs must be at least 4 for the reduced level"),
    ("alpha_sweep", {"saves": 7}, "saves must divide the 40 steps"),
    ("alpha_sweep", {"temperature": 0.0}, "temperature must be greater than 0"),
    ("alpha_sweep", {"level": "mean"}, "level must be one of the allowed values"),
    ("alpha_sweep", {"inputs": "training_set"}, "inputs must be one of the allowed values"),
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


RULES = '''
"""Rules of a user."""
import jax.numpy as jnp

from thermoml import AbstractRule


class Gain(AbstractRule):
    gain: float = 1.0
    """F(s) = g."""

    def __call__(self, s):
        return self.gain * jnp.ones_like(s)

    def potential(self, s):
        return self.gain * s

    @property
    def smooth(self):
        return True


def only_wrong(s):
    return jnp.where(s < 0, 1.0, 0.0)


number = 3
'''


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rules.py").write_text(RULES)
    return tmp_path


def written(folder, **content):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(SMALL | content))
    return str(path)


def test_rules_of_a_file_beside_the_config(folder, monkeypatch):
    rules = ["hebbian", {"name": "rules.py:Gain", "gain": 2}, "rules.py:only_wrong"]
    path = written(folder, study="learning_efficiency", rules=rules)
    monkeypatch.chdir("/")
    study = load_study(path)
    assert [rule.label for rule in study.config.rules] == [
        "Hebbian",
        "Gain, gain = 2",
        "only_wrong",
    ]
    gain, wrong = (rule.build() for rule in study.config.rules[1:])
    assert (float(gain(3.0)), float(wrong(3.0)), float(wrong(-3.0))) == (2.0, 0.0, 1.0)
    again = study_from_json(config_json(study.config))
    assert again.config == study.config


def test_parameters_of_a_users_rule_may_be_in_a_grid(folder):
    content = {"study": "sweep", "rule": "rules.py:Gain", "grid": {"gain": [1, 2]}}
    study = load_study(written(folder, **content))
    assert [float(study.rule(study.grid.point((i,))).gain) for i in range(2)] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("rules.py:Gian", 'rules.py defines no Gian; did you mean "Gain"?'),
        ("rules.py:number", "must be a subclass of AbstractRule or a function F(s), got 3"),
        ("ruels.py:Gain", "ruels.py; a relative path begins at the folder of the config"),
        ("no_such_module:Gain", "there is no module no_such_module; install it"),
        ({"name": "rules.py:Gain", "gian": 2}, 'takes no gian; did you mean "gain"?'),
        ({"name": "rules.py:only_wrong", "gain": 2}, "takes no gain; remove it"),
    ],
)
def test_mistakes_in_a_users_rule_are_named(folder, rule, words):
    with pytest.raises(ConfigError) as raised:
        load_study(written(folder, study="learning_efficiency", rules=[rule]))
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_readme_has_the_table_of_studies():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    rows = [
        f"| {', '.join(f'`{name}`' for name in names)} | {words} |"
        for names, words in descriptions()
    ]
    assert "\n".join(rows) in readme
