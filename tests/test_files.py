"""`save` and `load`: trees, their classes and numbers, bit by bit."""

import json
from collections import namedtuple

import equinox as eqx
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import thermoml as tml
from thermoml.files import load, save

KEY = jax.random.key(5)
RULES = {
    "hebbian": lambda: tml.Hebbian(),
    "perceptron": lambda: tml.PerceptronRule(),
    "adatron": lambda: tml.AdaTron(),
    "alpha": lambda: tml.AlphaTron(0.3),
    "linear": lambda: tml.perceptron.LinearAlphaTron(0.3),
    "module": lambda: tml.perceptron.CustomRule(tml.AlphaTron(0.1), continuous=True),
}
SYSTEM = tml.Langevin(lambda x, control: jnp.sum((x["a"] - x["b"]) ** 2) / 2)
SEEN = {
    "x": lambda x, control, t: x,
    "variance": tml.langevin.Variance(lambda x, control, t: x["a"]),
}
Pair = namedtuple("Pair", "first second")


class Own(eqx.Module):
    """A module that a file cannot make."""

    weight: jax.Array
    scale: float
    act: object
    name: str = eqx.field(static=True, default="mine")


def simulate(state, t1):
    return tml.simulate(
        SYSTEM, state, t1=t1, dt=0.1, key=KEY, n_trajectories=2, save_every=5, observables=SEEN
    )


@pytest.fixture(scope="module")
def solution():
    return simulate({"a": jnp.ones(2), "b": jnp.zeros(())}, 1.0)


@pytest.fixture(scope="module")
def curve():
    problem = tml.LearningProblem(tml.Hebbian(), learning_rate=0.5, n_inputs=4, batch=2)
    return tml.learn(problem, tml.Microscopic(0.1), t1=0.2, key=KEY, n_trajectories=2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kept.thermoml"


@pytest.fixture
def again(path):
    def run(value, **options):
        save(path, value)
        return load(path, **options)

    return run


def assert_same(a, b):
    """The same classes, static fields and bits."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert type(x) is type(y)
        if not eqx.is_array(x):
            assert x is y or repr(x) == repr(y)  # nan too
            continue
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


@pytest.mark.parametrize("rule", RULES)
def test_a_problem_comes_back_with_its_rule(rule, again):
    problem = tml.LearningProblem(RULES[rule](), learning_rate=0.5, n_inputs=7, temperature=0.1)
    assert_same(again(problem), problem)


def test_a_problem_comes_back_with_its_training_set_in_float64(x64, again):
    examples = tml.TrainingSet(np.random.default_rng(0).normal(size=(5, 3)))
    problem = tml.LearningProblem(tml.Hebbian(), learning_rate=0.5, batch=2, inputs=examples)
    assert examples.examples.dtype == jnp.float64
    assert_same(again(problem), problem)


def test_a_rule_of_a_function_needs_like(path):
    force = lambda s: jnp.exp(-s)
    problem = tml.LearningProblem(tml.perceptron.CustomRule(force), learning_rate=0.5)
    save(path, problem)
    with pytest.raises(ValueError, match=r"<lambda> \(at rule.force\); pass like="):
        load(path)
    like = tml.LearningProblem(tml.perceptron.CustomRule(force), learning_rate=0.1, temperature=3.0)
    assert_same(load(path, like=like), problem)


def test_a_learning_curve_comes_back(curve, again):
    assert_same(again(curve), curve)


def test_a_solution_comes_back_and_goes_on_as_if_it_had_never_stopped(solution, again):
    loaded = again(solution)
    assert_same(loaded, solution)
    assert_same(simulate(loaded, 2.0), simulate(solution, 2.0))


def test_a_layer_comes_back_and_a_network_needs_like(again, path):
    keys = jax.random.split(KEY)
    assert_same(again(eqx.nn.Linear(2, 3, key=KEY)), eqx.nn.Linear(2, 3, key=KEY))
    network, like = (eqx.nn.MLP(2, 1, 3, 1, jax.nn.relu, key=key) for key in keys)
    assert_same(again({"net": [network]}, like={"net": [like]}), {"net": [network]})
    with pytest.raises(ValueError, match=r"relu \(at \['net'\]\[0\]\.activation\); pass like="):
        load(path)
    shapes = eqx.filter_eval_shape(lambda: {"net": [like]})
    assert_same(load(path, like=shapes), {"net": [network]})


TREES = {
    "containers": {"z": [1, (), {}, [None]], "a": ({"β\n": "ü\ud800"}, (True, False)), "": -7},
    "floats": [0.1, -0.0, 1e-320, 2**0.5, float("nan"), float("inf"), -float("inf"), 2**80],
    "complex": [complex(-0.0, float("nan")), 0.1 - 0.2j],
    "none": None,
    "one": 1.5,
    "scalars": [np.float64(0.1), np.int8(-3), np.bool_(True), ml_dtypes.bfloat16(1.5)],
    "numpy": [np.arange(3.0), np.asfortranarray(np.eye(3)[:2]), np.zeros((), ">f4"), np.ones(0)],
    "keys": [KEY, jax.random.split(KEY, (2, 0)), jax.random.key(1, impl="rbg"), (KEY,)],
    "layers": (eqx.nn.Dropout(0.25), eqx.nn.LayerNorm(3), eqx.nn.Identity()),
}


@pytest.mark.parametrize("tree", TREES)
def test_trees_come_back(tree, again, path):
    assert_same(again(TREES[tree]), TREES[tree])
    assert_same(load(path, like=TREES[tree]), TREES[tree])


def test_dicts_keep_their_order(again):
    tree = {"b": jnp.ones(1), "a": jnp.zeros(1)}
    assert list(again(tree)) == ["b", "a"]
    assert_same(again(tree), tree)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
@pytest.mark.parametrize(
    "dtype",
    "bfloat16 float8_e4m3fn float16 float32 bool int4 int8 int32 uint8 uint32 complex64".split(),
)
def test_dtypes_come_back(dtype, kind, again):
    bits = np.array([[0, 1, 1], [1, 0, 1]])
    arrays = [kind(x.astype(jnp.dtype(dtype))) for x in (bits, np.array(1), bits[:0])]
    assert [x.shape for x in arrays] == [(2, 3), (), (0, 3)]
    assert {x.dtype.name for x in arrays} == {dtype}
    assert_same(again(arrays), arrays)
    zeros = [kind(np.zeros(x.shape, x.dtype)) for x in arrays]
    assert_same(again(arrays, like=zeros), arrays)


def test_negative_zeros_and_payloads_of_nan_come_back(again):
    bits = np.array([0x80000000, 0x7FC00001, 0xFFC12345, 1], np.uint32).view(np.float32)
    assert_same(again([bits, jnp.asarray(bits)]), [bits, jnp.asarray(bits)])


def test_missing_fields_stay_missing(again):
    linear = eqx.nn.Linear(2, 3, key=KEY)
    object.__delattr__(linear, "bias")
    assert "bias" not in vars(again(linear))


def opaque_tree(scale):
    own = Own(jnp.full(2, scale), float(scale), jax.nn.relu)
    ordered = {1: np.full(3, scale), 0: None}
    return {"a": [own, Pair(jnp.float32(scale), "x"), object], "b": ordered, "c": scale}


def test_numbers_in_what_is_not_ours_are_kept_and_the_rest_is_that_of_like(again, path):
    assert_same(again(opaque_tree(2), like=opaque_tree(3)), opaque_tree(2))
    with pytest.raises(ValueError, match=r"Own \(at \['a'\]\[0\]\)"):
        load(path)


@pytest.mark.parametrize(
    ("thing", "named"),
    [
        (Pair(1, 2), "Pair"),
        ({1: 2}, "builtins:dict"),
        (np.array(["a"]), "numpy:ndarray"),
        (np.array([None]), "numpy:ndarray"),
        (np.ma.masked_array([1.0], [True]), "MaskedArray"),
        (np.str_("a"), "numpy:str_"),
        (tml.langevin.Result.NON_FINITE, "Result"),
        (len, "builtins:len"),
        (str.join, "None:str.join"),
        (eqx.filter_vmap(tml.Hebbian(), in_axes=0, out_axes=0), "VmapWrapper"),
    ],
)
def test_what_cannot_be_made_is_named(thing, named, path):
    save(path, {"x": (thing,)})
    with pytest.raises(ValueError, match=rf"{named} \(at \['x'\]\[0\]\); pass like="):
        load(path)


def test_after_the_first_line_a_file_is_as_equinox_writes_it(path):
    tree = {"b": [jnp.ones(2, jnp.bfloat16), "s"], "a": np.arange(3)}
    save(path, tree)
    with path.open("rb") as file:
        header = json.loads(file.readline())
        assert_same(eqx.tree_deserialise_leaves(file, tree), tree)
        assert file.read().startswith(b"crc32 ")
    assert (header["format"], header["version"]) == ("thermoml", 1)
    assert [leaf["path"] for leaf in header["leaves"]] == ["['a']", "['b'][0]"]


@pytest.mark.parametrize(
    ("like", "says"),
    [
        ({"a": jnp.ones(2), "b": 1.0}, r"\['a'\] the file has float32\[3\], like has float32\[2\]"),
        ({"a": jnp.ones(3, int), "b": 1.0}, r"has float32\[3\], like has int32\[3\]"),
        ({"a": jnp.ones(3), "b": 1}, r"at \['b'\] the file has float, like has int"),
        ({"a": jnp.ones(3), "b": jnp.ones(())}, r"has float, like has float32\[\]"),
        ({"a": jnp.ones(3)}, r"the 2 numbers .*got 1: at \['b'\].* float, like has none"),
        ({"a": jnp.ones(3), "b": 1.0, "c": KEY}, r"at \['c'\] the file has none, like has key"),
        (jax.nn.relu, "got 0"),
    ],
)
def test_a_like_of_another_shape_is_refused_by_name(like, says, path):
    save(path, {"a": jnp.zeros(3), "b": 0.5})
    with pytest.raises(ValueError, match=says):
        load(path, like=like)


def test_keys_of_another_kind_are_refused(path):
    save(path, KEY)
    with pytest.raises(ValueError, match="the root the file has key<fry>.*like has key<rbg>"):
        load(path, like=jax.random.key(0, impl="rbg"))


def test_like_decides_between_numpy_and_jax(again):
    tree = [jnp.ones(2), np.ones(2, np.float32), np.float32(1)]
    like = [np.ones(2, np.float32), jnp.ones(2), jnp.float32(0)]
    assert_same(again(tree, like=like), [tree[1], tree[0], jnp.float32(1)])


def test_float64_without_x64_is_refused_not_cast(path):
    with jax.enable_x64(True):
        value = {"w": jnp.ones(2) / 3}
        save(path, value)
        assert_same(load(path), value)
    for like in (None, value, {"w": jnp.ones(2)}):
        with pytest.raises(ValueError, match=r"float64\[2\] at \['w'\].*enable jax_enable_x64"):
            load(path, like=like)
    save(path, np.ones(2))
    assert load(path).dtype == np.float64
    with pytest.raises(ValueError, match="enable jax_enable_x64"):
        load(path, like=jax.ShapeDtypeStruct((2,), np.float64))


def test_traced_values_are_refused(path):
    with pytest.raises(ValueError, match=r"concrete arrays.* at \['w'\]\[0\]; save outside of jit"):
        jax.jit(lambda x: save(path, {"w": [x]}))(1.0)
    with pytest.raises(ValueError, match="concrete arrays"):
        save(path, jax.ShapeDtypeStruct((), jnp.float32))
    assert not path.exists()
