"""Users' own files in a config: the same numbers as from arrays, and mistakes named."""

import json

import jax
import numpy as np
import pytest

import thermoml as tml
from thermoml.config import ConfigError, config_json
from thermoml.studies import run_study, study_from_json, study_of

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(40, 2)) * [10, 5] + [170, 70]
VALUES = FEATURES @ [0.1, -0.2] + RNG.normal(size=40)
WORDS = np.where(VALUES > np.median(VALUES), "tall", "small")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "people.csv"
    rows = [
        f"{float(a)!r},{float(b)!r},{float(y)!r},{word}"
        for (a, b), y, word in zip(FEATURES, VALUES, WORDS, strict=True)
    ]
    path.write_text("\n".join(["height,weight,score,size", *rows]) + "\n")
    return path


def study(**data):
    return study_of(
        {
            "study": "real_data_temperature",
            "data": [data],
            "bath_temperature": [0.05],
            "n_samples": 4000,
            "n_trajectories": 4,
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("target", ["score", "size"])
def test_a_file_gives_the_numbers_of_its_arrays(file, tmp_path, target):
    regression = target == "score"
    prior = 0.0 if regression else 0.2
    own = study(file=str(file), target=target, features=["height", "weight"], prior_stiffness=prior)
    summary = run_study(own, tmp_path / "out")
    with jax.enable_x64(True):
        x = (FEATURES - FEATURES.mean(0)) / FEATURES.std(0)
        y = (VALUES - VALUES.mean()) / VALUES.std()
        exact = tml.linear_temperature(
            x if regression else np.column_stack([x, np.ones(40)]),
            y if regression else (WORDS == "tall").astype(int),
            energy=tml.MeanSquaredError() if regression else tml.CrossEntropy(),
            bath_temperature=0.05,
            prior_stiffness=prior,
            key=jax.random.key(0),
        )
    (entry,) = summary["points"]
    assert entry["data"] == f"people: {target}"
    assert entry["n_parameters"] == 2 if regression else 3
    for name in ("heat", "entropy_drop"):
        # Importance sampling of 4000: 4 errors of √(1/4000)-like weights, at most 0.1
        close = {"rel": 1e-9} if regression else {"abs": 0.1}
        assert entry[name]["mean"] == pytest.approx(float(getattr(exact, name)), **close)


def test_a_file_that_has_changed_is_not_the_same_config(file):
    before = study(file=str(file), target="score", features=["height"])
    text = config_json(before.config)
    assert study_from_json(text).config == before.config
    file.write_text(file.read_text() + "170,70,1,tall\n")
    stored = study_from_json(text)  # enough to draw its results, and no more
    assert stored.config == before.config
    with pytest.raises(ValueError, match=r"file .*people.csv has changed, its sha256 is now"):
        stored.config.data[0].load()
    with pytest.raises(ConfigError, match=r"data\.0: file .*people.csv has changed"):
        study(**json.loads(text)["data"][0] | {"facts": None})
    after = study(file=str(file), target="score", features=["height"])
    digests = [json.loads(config_json(s.config))["data"][0]["sha256"] for s in (before, after)]
    assert digests[0] != digests[1]


def test_the_facts_of_a_file_are_those_of_its_data(file):
    data = study(file=str(file), target="score", features=["height", "weight"]).config.data[0]
    whole = data.load()
    assert (data.n_examples, data.n_inputs) == (whole.n_examples, whole.n_features)
    assert data.facts.features == whole.feature_names
    file.unlink()
    again = type(data).model_validate(json.loads(data.model_dump_json()))
    assert (again.n_examples, again.n_inputs, again.label) == (*whole.features.shape, data.label)


def test_columns_that_vary_in_double_precision_alone(file):
    rows = [f"{1e9 + i},{i * i},{i % 3}" for i in range(12)]
    file.write_text("\n".join(["far,near,score", *rows]) + "\n")
    data = study(file=str(file), target="score", features=["far", "near"]).config.data[0]
    assert data.n_inputs == 2
    from thermoml.studies._data import prepared

    with jax.enable_x64(True):
        assert prepared(data).n_features == 2
    with pytest.raises(ValueError, match="vary in the study's precision.*use precision: float64"):
        prepared(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, r"target must name the column of .*people.csv to learn"),
        ({"target": "age"}, "target must name columns of .*, got 'age'"),
        ({"target": "score"}, 'features must be numbers, got "tall" in column "size"'),
        ({"target": "size", "features": ["height"]}, "people: size needs prior_stiffness > 0"),
        (
            {"target": "score", "features": ["height"], "components": 2},
            "components must be at most 1 for people: score, got 2",
        ),
        (
            {"target": "score", "features": ["height"], "classes": 2},
            "classes do not belong to people: score, a regression",
        ),
        ({"target": "score", "name": "digits"}, "give the name of a data set, or the file"),
        ({"target": "score", "file": "none.csv"}, "file none.csv cannot be read: No such file"),
        ({"name": "diabetes", "file": None, "target": "x"}, "target belongs to a file"),
    ],
)
def test_mistakes_are_named(file, data, message):
    with pytest.raises(ConfigError, match=rf"data\.0: {message}"):
        study(**({"file": str(file)} | data))
