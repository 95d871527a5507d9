"""Errors of the command line: bad configs, options and folders, each refused in one line."""

import pytest
from command_line import TINY_SWEEP, config_writer, grid, invoke, refuses


@pytest.fixture
def config(tmp_path):
    return config_writer(tmp_path)


BAD_KEYS = {
    "unknown study": ({"study": "learning_rule"}, ["study", "learning_rules"]),
    "no study": ({"study": None}, ["study is missing"]),
    "study a list": ({"study": ["learning_rules"]}, ["study"]),
    "unknown key": ({"n_input": 5}, ["n_input", 'did you mean "n_inputs"']),
    "no rules": ({"rules": None}, ["rules", "missing"]),
    "empty rules": ({"rules": []}, ["rules"]),
    "rules a string": ({"rules": "hebbian"}, ["rules"]),
    "unknown rule": ({"rules": ["hebian"]}, ["rules.0", "hebian", '"hebbian"']),
    "rule a number": ({"rules": [3]}, ["rules.0", "3"]),
    "unknown rule key": (
        {"rules": [{"name": "alpha_tron", "alpah": 0.5}]},
        ["rules.0: alpha_tron takes no alpah", '"alpha"'],
    ),
    "alpha missing": ({"rules": ["alpha_tron"]}, ["rules.0", "needs alpha"]),
    "alpha where none belongs": (
        {"rules": [{"name": "hebbian", "alpha": 0.5}]},
        ["rules.0", "takes no alpha"],
    ),
    "alpha = -1": ({"rules": [{"name": "alpha_tron", "alpha": -1}]}, ["alpha must be > -1", "-1"]),
    "alpha = -2": ({"rules": [{"name": "alpha_tron", "alpha": -2.0}]}, ["alpha", "-2"]),
    "alpha nan": ({"rules": [{"name": "alpha_tron", "alpha": float("nan")}]}, ["alpha", "nan"]),
    "alpha a word": ({"rules": [{"name": "alpha_tron", "alpha": "half"}]}, ["alpha", "half"]),
    "linear alpha inf": (
        {"rules": [{"name": "linear_alpha_tron", "alpha": float("inf")}]},
        ["alpha", "inf"],
    ),
    "a rule twice": ({"rules": ["hebbian", "hebbian"]}, ["rules must differ", "Hebbian"]),
    "temperature < 0": ({"temperature": -1}, ["temperature", "greater than or equal to 0", "-1"]),
    "temperature nan": ({"temperature": float("nan")}, ["temperature", "nan"]),
    "temperature a word": ({"temperature": "hot"}, ["temperature", "hot"]),
    "stiffness = 0": ({"stiffness": 0}, ["stiffness", "greater than 0"]),
    "stiffness < 0": ({"stiffness": -1.0}, ["stiffness", "-1"]),
    "learning rate < 0": ({"learning_rate": -0.5}, ["learning_rate", "-0.5"]),
    "learning rate inf": ({"learning_rate": float("inf")}, ["learning_rate", "inf"]),
    "dt = 0": ({"dt": 0}, ["dt", "greater than 0"]),
    "dt < 0": ({"dt": -0.01}, ["dt", "-0.01"]),
    "dt unstable": ({"dt": 2.0, "t1": 20.0, "save_every": 1}, ["dt must be below 2/stiffness", 2]),
    "dt does not divide t1": ({"dt": 0.03}, ["dt must divide", "0.03", "0.0307692308"]),
    "dt vanishes": ({"dt": 1e-12, "save_every": 1}, ["dt", "lost to rounding", "float64"]),
    "t1 = 0": ({"t1": 0}, ["t1", "greater than 0"]),
    "t1 < 0": ({"t1": -3.0}, ["t1", "-3"]),
    "no trajectories": ({"n_trajectories": 0}, ["n_trajectories", "greater than or equal to 1"]),
    "half a trajectory": ({"n_trajectories": 2.5}, ["n_trajectories", "2.5"]),
    "no inputs": ({"n_inputs": 0}, ["n_inputs", "0"]),
    "empty batch": ({"batch": 0}, ["batch", "0"]),
    "save_every = 0": ({"save_every": 0}, ["save_every", "0"]),
    "save_every does not divide": ({"save_every": 7}, ["save_every must divide", "nearest", "8"]),
    "unknown inputs": ({"inputs": "binray"}, ["inputs.kind", "binray", '"binary"']),
    "unknown input key": (
        {"inputs": {"kind": "training_set", "example": 9}},
        ["inputs.example", '"examples"'],
    ),
    "training set without examples": ({"inputs": "training_set"}, ["inputs", "needs examples"]),
    "examples without training set": (
        {"inputs": {"kind": "binary", "examples": 5}},
        ["inputs", "take no examples"],
    ),
    "batch larger than the training set": (
        {"inputs": {"kind": "training_set", "examples": 3}},
        ["batch must not exceed the 3 examples", "4"],
    ),
    "empty training set": (
        {"inputs": {"kind": "training_set", "examples": 0}},
        ["inputs.examples", "0"],
    ),
    "unknown teachers": ({"teachers": "many"}, ["teachers", "many", "ensemble"]),
    "unknown precision": ({"precision": "float16"}, ["precision", "float16"]),
    "seed < 0": ({"seed": -1}, ["seed", "-1"]),
    "quick no mapping": ({"quick": 3}, ["quick", "3"]),
}


@pytest.mark.parametrize(("changes", "words"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_bad_config_is_refused_in_one_line(config, tmp_path, changes, words):
    out = tmp_path / "out"
    refuses(invoke("run", config(**changes), "--out", out), *words, out=out)


def alpha_range(**kind):
    return grid(alpha=kind)


TRAINING_SET = {"kind": "training_set", "examples": 2}

BAD_SWEEPS = {
    "no grid": ({"grid": None}, ["grid is missing"]),
    "empty grid": ({"grid": {}}, ["grid must have at least one parameter"]),
    "grid a list": ({"grid": ["alpha"]}, ["grid must be", "alpha"]),
    "unknown parameter": (grid(alpah=[0, 1]), ["alpah cannot be in a grid", '"alpha"']),
    "what all points share": ({"t1": None} | grid(t1=[1, 2]), ["t1 cannot be in a grid"]),
    "fixed and in the grid": ({"grid": {"n_inputs": [5, 7]}}, ["n_inputs is in the grid"]),
    "in a list and a zip": (
        grid(n_inputs=[5, 7], zip={"n_inputs": [5, 7], "dt": [0.01, 0.02]}),
        ["n_inputs must be set by one grid"],
    ),
    "unequal zip": (
        grid(alpha=[0.5], zip={"n_inputs": [5, 7], "dt": [0.01]}),
        ["equally many values", "dt has 1", "n_inputs has 2"],
    ),
    "zip of no mapping": ({"grid": {"zip": [3]}}, ["zip must hold parameters", "3"]),
    "one value": (grid(alpha=0.5), ["alpha must be a list of values or a range", "0.5"]),
    "a word": (grid(rule="hebbian"), ["rule must be a list of values", "hebbian"]),
    "no value": (grid(alpha=[]), ["alpha must have at least one value"]),
    "a value twice": (grid(alpha=[0.5, 0.5]), ["alpha must have different values", "0.5"]),
    "a rule twice": (grid(rule=["hebbian", {"name": "hebbian"}]), ["rule", "different"]),
    "nan": (grid(alpha=[0, float("nan")]), ["alpha must have finite values", "nan"]),
    "range without count": (alpha_range(linear=[0, 1]), ["alpha: a range is", "[0, 1]"]),
    "range of one": (alpha_range(linear=[0, 1, 1]), ["alpha: a range is", "2 or more"]),
    "range of halves": (alpha_range(linear=[0, 1, 2.5]), ["alpha: a range is", "2.5"]),
    "range a word": (alpha_range(linear="0, 1, 5"), ["alpha: a range is", "0, 1, 5"]),
    "range of no length": (alpha_range(linear=[1, 1, 3]), ["alpha: a range needs two different"]),
    "range to infinity": (alpha_range(linear=[0, float("inf"), 3]), ["alpha: a range", "finite"]),
    "log range from 0": (alpha_range(log=[0, 1, 3]), ["alpha: a log range needs ends > 0"]),
    "two ranges": (alpha_range(linear=[0, 1, 3], log=[1, 2, 3]), ["alpha: a range is one"]),
    "unknown range": (alpha_range(lin=[0, 1, 3]), ["alpha", "[0, 1, 3]"]),
    "alpha and rule": (
        grid(alpha=[0.5], rule=["hebbian", "alpha_tron"]),
        ["alpha and rule cannot both be in a grid"],
    ),
    "alpha out of its domain": (
        grid(alpha=[0, -1.5]),
        ["at alpha = -1.5: ", "alpha must be > -1", "-1.5"],
    ),
    "alpha a word at one point": (grid(alpha=[0, "half"]), ["at alpha = half: ", "alpha"]),
    "alpha without a rule for it": ({"rule": "hebbian"}, ["hebbian takes no alpha"]),
    "no alpha": (grid(learning_rate=[0.5, 1]), ["at learning_rate = 0.5: ", "needs alpha"]),
    "unknown rule at one point": (
        grid(rule=["adatron", "hebian"]),
        ["at rule = hebian: ", '"hebbian"'],
    ),
    "unknown rule key": (
        {"rule": {"name": "alpha_tron", "alpah": 0.5}, "grid": {"learning_rate": [1]}},
        ["alpha_tron takes no alpah", '"alpha"'],
    ),
    "saves do not divide": ({"saves": 7}, ["saves must divide the 40 steps", "nearest", "8"]),
    "save_every": ({"save_every": 10}, ["unknown key save_every", '"saves"']),
    "saves do not divide at one point": (
        grid(alpha=[0.5], dt=[0.01, 0.08]),
        ["at alpha = 0.5, dt = 0.08: ", "saves must divide the 5 steps", "nearest", "5"],
    ),
    "dt does not divide t1 at one point": (
        grid(alpha=[0.5], dt=[0.01, 0.03]),
        ["at alpha = 0.5, dt = 0.03: ", "dt must divide", "0.0307692308"],
    ),
    "dt a word at one point": (
        grid(alpha=[0.5], dt=[0.01, "small"]),
        ["at alpha = 0.5, dt = small: ", "dt"],
    ),
    "dt unstable at one point": (
        {"t1": 4.0, "saves": 1} | grid(alpha=[0.5], dt=[0.01, 2.0]),
        ["at alpha = 0.5, dt = 2: ", "dt must be below 2/stiffness"],
    ),
    "half an input at one point": (
        grid(alpha=[0.5], n_inputs=[7, 5.5]),
        ["at alpha = 0.5, n_inputs = 5.5: ", "n_inputs"],
    ),
    "temperature < 0 at one point": (
        grid(alpha=[0.5], temperature=[1, -1]),
        ["at alpha = 0.5, temperature = -1: ", "temperature"],
    ),
    "batch larger than the training set at one point": (
        grid(rule=["hebbian"], inputs=["binary", TRAINING_SET]),
        ["at rule = hebbian, inputs = ", "batch must not exceed the 2 examples", "3"],
    ),
    "training errors at some points only": (
        grid(rule=["hebbian"], inputs=["binary", TRAINING_SET | {"examples": 5}]),
        ["training"],
    ),
    "memory a word": ({"memory": "lots"}, ["memory must be a size", "500MB", "lots"]),
    "memory < 0": ({"memory": -5}, ["memory must be a size", "-5"]),
    "memory for less than a trajectory": (
        {"memory": "1kB", "n_trajectories": 1} | grid(alpha=[0.5]),
        ["one trajectory of one point needs", "kB", "raise memory"],
    ),
    "empty units": ({"per_unit": 0}, ["per_unit", "0"]),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("changes", "words"), BAD_SWEEPS.values(), ids=BAD_SWEEPS)
def test_bad_sweep_is_refused_in_one_line(config, tmp_path, changes, words):
    out = tmp_path / "out"
    refuses(invoke("run", config(TINY_SWEEP, **changes), "--out", out), *words, out=out)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--resume", "--overwrite"], "--resume and --overwrite exclude each other"),
        (
            ["--scheduler", "tcp://127.0.0.1:9", "--workers", "2"],
            "--scheduler and --workers exclude each other",
        ),
        (["--workers", "0"], "--workers"),
        (["--workers", "two"], "--workers"),
    ],
)
def test_options_that_do_not_fit_are_refused(config, tmp_path, options, words):
    result = invoke("run", config(), "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not isinstance(result.exception, ValueError | TypeError)
    assert not (tmp_path / "out").exists()


BAD_FILES = {
    "empty": (b"", "is empty"),
    "only a comment": (b"# nothing\n", "is empty"),
    "not YAML": (b"study: [learning_rules\nrules: }", "is not YAML (line 2"),
    "not text": (b"\xff\xfe\x00binary", "is not YAML"),
    "a list": (b"- hebbian\n", "must be a mapping"),
    "a word": (b"learning_rules", "must be a mapping"),
}


@pytest.mark.parametrize(("content", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_file_is_refused(tmp_path, content, words):
    path, out = tmp_path / "bad.yaml", tmp_path / "out"
    path.write_bytes(content)
    refuses(invoke("run", path, "--out", out), "bad.yaml", words, out=out)


def test_directory_and_missing_config_are_refused(tmp_path):
    refuses(invoke("run", tmp_path), "is a directory")
    refuses(invoke("run", "learning_rule"), "there is no config", '"learning_rules"')
    refuses(invoke("run", tmp_path / "none.yaml"), "there is no config", "none.yaml")


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("n_inputs", "--set takes key=value"),
        ("=3", "--set takes key=value"),
        ("rules.7.alpha=1", "no such place"),
        ("rules.x=1", "no such place"),
        ("t1=[", "not YAML"),
        ("nonsense=1", "unknown key nonsense"),
        ("temperature=-2", "temperature"),
    ],
)
def test_bad_override_is_refused(config, tmp_path, assignment, words):
    out = tmp_path / "out"
    refuses(invoke("run", config(), "--set", assignment, "--out", out), words, out=out)


def test_unusable_output_is_refused(config, tmp_path):
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "thesis.tex").write_text("years of work")
    refuses(invoke("run", config(), "--out", occupied), "is not empty", "--overwrite")
    refuses(invoke("run", config(), "--out", occupied / "thesis.tex"), "is a file")
    refuses(invoke("run", config(), "--out", occupied / "thesis.tex" / "deep"), "cannot write")
    refuses(invoke("run", config(), "--out", "/proc/thermoml"), "cannot write")
    assert (occupied / "thesis.tex").read_text() == "years of work"
