"""Activations as engines: closed forms, quadrature of SciPy and published fixed points."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special

import thermoml as tml

close = np.testing.assert_allclose
TEMPERATURES = np.array([1e-6, 1e-2, 0.3, 1.0, 7.0, 200.0])

CLOSED = {
    "identity": (lambda z: z, lambda t: np.ones_like(t)),
    "relu": (jax.nn.relu, lambda t: np.full_like(t, 0.5)),
    "leaky": (lambda z: jax.nn.leaky_relu(z, 0.2), lambda t: np.full_like(t, (1 + 0.04) / 2)),
    "absolute": (jnp.abs, lambda t: np.ones_like(t)),
    "erf": (jax.lax.erf, lambda t: 2 / np.pi * np.arcsin(2 * t / (1 + 2 * t)) / t),
    "sine": (jnp.sin, lambda t: -np.expm1(-2 * t) / (2 * t)),
    "step": (lambda z: jnp.heaviside(z, 0.5), lambda t: 0.5 / t),
    "power": (
        lambda z: jnp.abs(z) ** 0.7 * jnp.sign(z),
        lambda t: t ** (0.7 - 1) * 2**0.7 * special.gamma(0.7 + 0.5) / np.sqrt(np.pi),
    ),
    "exponential": (jnp.exp, lambda t: np.exp(2 * np.minimum(t, 10.0)) / t),
}


@pytest.mark.parametrize("name", CLOSED)
def test_efficiency_in_closed_form(x64, name):
    activation, exact = CLOSED[name]
    t = TEMPERATURES[:5] if name == "exponential" else TEMPERATURES
    close(tml.work_efficiency(activation, t), exact(t), rtol=1e-12)


ELEMENTWISE = (
    "identity relu relu6 leaky_relu elu selu celu gelu silu mish softplus squareplus sparse_plus "
    "soft_sign tanh hard_tanh sigmoid hard_sigmoid hard_silu log_sigmoid sparse_sigmoid"
)


def test_the_table_has_every_elementwise_activation_of_jax():
    listed = {id(entry.function) for entry in tml.networks.ACTIVATIONS.values()}
    for name in ELEMENTWISE.split():
        assert id(getattr(jax.nn, name)) in listed, name


@pytest.mark.slow
@pytest.mark.parametrize("name", tml.networks.ACTIVATIONS)
def test_every_activation_of_the_table_against_adaptive_quadrature(x64, name):
    activation, kinks = tml.networks.ACTIVATIONS[name]
    temperatures = jnp.asarray([0.05, 1.7, 40.0])
    balances = tml.networks.engine_balance(name, temperatures)
    alike = tml.networks.engine_balance(activation, temperatures)
    assert jax.tree.all(jax.tree.map(np.array_equal, balances, alike))
    for i, temperature in enumerate(temperatures.tolist()):
        balance = jax.tree.map(lambda x, i=i: x[i], balances)
        std = temperature**0.5

        def mean(function, std=std):
            g = sorted({-12.0, 0.0, 12.0, *(k / std for k in kinks), -1 / std, 1 / std})
            g = [x for x in g if -12 <= x <= 12]
            weighted = lambda x: function(std * x) * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
            parts = [
                integrate.quad(weighted, a, b, epsabs=1e-13, epsrel=1e-13, limit=200)[0]
                for a, b in itertools.pairwise(g)
            ]
            return sum(parts)

        phi = jax.jit(activation)
        value = lambda z, phi=phi: float(phi(jnp.asarray([z]))[0])
        square = mean(lambda z, f=value: f(z) ** 2)
        first, product = mean(value), mean(lambda z, f=value: z * f(z))
        exact = np.array([square, first**2, product**2 / temperature]) / temperature
        parts = (balance.efficiency, balance.constant, balance.coherent)
        close(parts, exact, rtol=1e-9, atol=1e-11)
        close(balance.distortion, exact[0] - exact[1] - exact[2], atol=1e-9 * exact[0])
        close(balance.absorbed, 1 - exact[0], atol=1e-9 * exact[0])


def test_the_split_of_a_relu(x64):
    balance = tml.networks.engine_balance(jax.nn.relu, jnp.array([[0.1, 1.0], [3.0, 1e3]]))
    assert balance.efficiency.shape == (2, 2)
    close(balance.coherent, 0.25)
    close(balance.constant, 1 / (2 * np.pi))
    close(balance.distortion, 0.5 - 0.25 - 1 / (2 * np.pi))
    one = jax.tree.map(lambda x: x[0, 0], balance)
    assert str(one).splitlines()[1].split() == ["efficiency", "0.5"]
    assert "[0.25 0.25]" in str(balance)
    close(
        tml.networks.coherent_efficiency(jnp.tanh, 2.0),
        tml.networks.engine_balance(jnp.tanh, 2.0).coherent,
    )


def test_coherent_efficiency_is_the_mean_slope(x64):
    """κ = E[zφ]/T = E[φ'] (Stein)."""
    for activation in (jnp.tanh, jax.nn.gelu, jnp.sin):
        slope = jax.vmap(jax.grad(activation))
        mean = tml.networks.engine_balance(slope, 1.3).constant * 1.3  # (E φ')²
        close(tml.networks.coherent_efficiency(activation, 1.3), mean, rtol=1e-12)


class Swish(eqx.Module):
    """z/(1 + e^{-βz})."""

    beta: jax.Array

    def __call__(self, z):
        return z * jax.nn.sigmoid(self.beta * z)


def test_efficiency_is_differentiable_in_temperature_and_parameters(x64):
    def efficiency(inputs):
        return tml.work_efficiency(Swish(inputs[0]), inputs[1])

    at = jnp.array([1.3, 0.8])
    numeric = [(efficiency(at + h) - efficiency(at - h)) / 2e-5 for h in 1e-5 * jnp.eye(2)]
    close(jax.grad(efficiency)(at), numeric, rtol=1e-8)
    close(jax.jacfwd(efficiency)(at), numeric, rtol=1e-8)
    betas = jnp.array([0.5, 1.0, 2.0])
    several = jax.jit(jax.vmap(lambda b: tml.work_efficiency(Swish(b), 1.0)))(betas)
    close(several, [tml.work_efficiency(Swish(b), 1.0) for b in betas], rtol=1e-12)
    # A derivative through the place of a jump: E θ(z - c)² = P(z > c)
    step = lambda t: tml.work_efficiency(lambda z: jnp.where(z > 0.7, 1.0, 0.0), t, kinks=0.7) * t
    density = np.exp(-(0.7**2) / 2 / 1.9) / np.sqrt(2 * np.pi * 1.9)
    close(jax.grad(step)(1.9), density * 0.7 / 2 / 1.9, rtol=1e-10)


def test_float32(x64):
    with jax.enable_x64(False):
        efficiency = tml.work_efficiency(jnp.tanh, jnp.geomspace(1e-3, 1e3, 7))
        assert efficiency.dtype == jnp.float32
    close(efficiency, tml.work_efficiency(jnp.tanh, np.geomspace(1e-3, 1e3, 7)), rtol=2e-6)


@pytest.mark.parametrize(
    ("name", "free"),
    [
        *[(name, True) for name in ("identity", "relu", "leaky", "absolute")],
        *[(name, False) for name in ("erf", "sine", "step", "power")],
    ],
)
def test_kinds_of_engines(dtype, name, free):
    kind = tml.classify_engine(CLOSED[name][0])
    assert kind.type is (
        tml.networks.EngineType.SCALE_FREE
        if free
        else tml.networks.EngineType.TEMPERATURE_DEPENDENT
    )
    if name == "power":
        close(kind.slope, -0.3, rtol=1e-4)
    assert kind.pump == (name in ("step", "power", "erf"))  # erf: 4/π in the cold
    assert kind.efficiency.shape == kind.slope.shape == kind.temperatures.shape == (25,)
    assert ("scale-free" in str(kind)) == free
    assert "η" in repr(kind)


def test_an_engine_may_be_scale_free_without_being_homogeneous(x64):
    """φ(z)² + φ(-z)² = z² suffices."""

    def odd(z):
        share = (1 + 0.5 * jnp.sin(jnp.log(jnp.maximum(jnp.abs(z), 1e-30)))) / 2
        return jnp.abs(z) * jnp.sqrt(jnp.where(z > 0, share, 1 - share))

    kind = tml.classify_engine(odd, temperatures=[0.5, 1.0, 2.0], tolerance=1e-5)
    assert kind.type is tml.networks.EngineType.SCALE_FREE
    close(kind.efficiency, 0.5, rtol=1e-6)


def test_chain_of_scale_free_engines(x64):
    """Isothermal exactly at σ_w² = 1/η; else geometric."""
    chain = tml.engine_chain(jax.nn.relu, depth=6, weight_variance=2.0, temperature=0.3)
    close(chain.temperature, 0.3, rtol=1e-13)
    assert "temperature  [0.3 0.3 0.3 0.3 0.3 0.3 0.3]" in str(chain)
    close(chain.slope, 1, rtol=1e-13)
    close(chain.chi, 1, rtol=1e-13)
    chain = tml.engine_chain(
        jax.nn.relu, depth=6, weight_variance=1.6, bias_variance=0.2, temperature=0.3
    )
    expected = [0.3]
    for _ in range(6):
        expected.append(0.8 * expected[-1] + 0.2)
    close(chain.temperature, expected, rtol=1e-13)


def test_working_temperatures_of_published_and_hand_made_chains(x64):
    """tanh: Poole et al. 2016; sine: T = σ² (1 - e^{-2T})/2, slope σ² e^{-2T}, by Newton."""
    (point,) = tml.networks.working_temperatures(jnp.tanh, weight_variance=4.0)
    close((point.slope, point.chi), (0.331, 1.36), atol=5e-3)
    assert point.stable
    assert "chaos" in str(point)
    (point,) = tml.networks.working_temperatures(jax.nn.gelu, weight_variance=2.3)
    close(point.temperature, 1.175, atol=5e-4)
    assert not point.stable
    assert repr([point]).startswith(f"[T = {float(point.temperature):.6g}, unstable (slope ")
    (point,) = tml.networks.working_temperatures(jnp.sin, weight_variance=3.0, bias_variance=0.1)
    t = 1.0
    for _ in range(200):
        t = 1.5 * -np.expm1(-2 * t) + 0.1
    close(point.temperature, t, rtol=1e-10)
    close(point.slope, 3 * np.exp(-2 * t), rtol=1e-10)
    close(point.chi, 3 * (1 + np.exp(-2 * t)) / 2, rtol=1e-10)  # E cos² = (1 + e^{-2T})/2
    chain = tml.engine_chain(jnp.sin, depth=60, weight_variance=3.0, bias_variance=0.1)
    close(chain.temperature[-1], t, rtol=1e-9)
    close(chain.slope[-1], point.slope, rtol=1e-8)


def test_edge_of_chaos_of_tanh(x64):
    """σ_b² = 0: order below σ_w² = 1 with T → 0, chaos above it (Poole et al. 2016, fig. 1)."""
    assert tml.networks.working_temperatures(jnp.tanh, weight_variance=0.99) == []
    (point,) = tml.networks.working_temperatures(jnp.tanh, weight_variance=1.05)
    assert point.stable
    assert point.chi > 1
    cold = tml.engine_chain(jnp.tanh, depth=1, weight_variance=1.0, temperature=1e-8)
    close(cold.chi, 1, atol=1e-6)


def test_scale_free_engines_have_no_single_fixed_point(x64):
    for variance in (1.9, 2.0, 2.1):
        assert tml.networks.working_temperatures(jax.nn.relu, weight_variance=variance) == []
    (point,) = tml.networks.working_temperatures(
        jax.nn.relu, weight_variance=1.5, bias_variance=0.5
    )
    close(point.temperature, 2.0, rtol=1e-10)  # 0.75 T + 0.5
    pair = jax.tree.map(lambda x: jnp.stack([x, x]), point)
    assert "T      [2. 2.]" in str(pair)


def test_a_jump_sends_chi_to_infinity(x64):
    chain = tml.engine_chain(jnp.sign, depth=2, weight_variance=2.0)
    assert np.isinf(chain.chi).all()
    close(chain.temperature, [1, 2, 2])
    assert np.isfinite(tml.engine_chain(jax.nn.relu, depth=2, weight_variance=2.0).chi).all()


@pytest.mark.slow
def test_chains_of_wide_networks(x64):
    """4 layers of 2000 units, one input: T of each layer fluctuates by a few √(2/2000) = 3 %."""
    keys = jax.random.split(jax.random.key(0), 5)
    chain = tml.engine_chain(
        jax.nn.gelu, depth=4, weight_variance=2.0, bias_variance=0.1, temperature=1.5
    )
    z = jnp.sqrt(1.5) * jax.random.normal(keys[0], (2000,))
    for i in range(4):
        weight, bias = (
            jax.random.normal(keys[i + 1], (2000, 2001))[:, :2000],
            jax.random.normal(jax.random.fold_in(keys[i + 1], 1), (2000,)),
        )
        z = weight @ jax.nn.gelu(z) * (2.0 / 2000) ** 0.5 + bias * 0.1**0.5
        close(jnp.mean(z**2), chain.temperature[i + 1], rtol=4 * 0.032 * (i + 2) ** 0.5)


def test_chain_is_differentiable(x64):
    def last(inputs):
        beta, weights, biases, first = inputs
        chain = tml.engine_chain(
            Swish(beta), depth=3, weight_variance=weights, bias_variance=biases, temperature=first
        )
        return chain.temperature[-1] + chain.chi[0]

    at = jnp.array([1.1, 2.2, 0.3, 0.7])
    numeric = [(last(at + h) - last(at - h)) / 2e-5 for h in 1e-5 * jnp.eye(4)]
    close(jax.grad(last)(at), numeric, rtol=1e-7)


REFUSED = {
    "no function": (
        lambda: tml.work_efficiency(3.0, 1.0),
        TypeError,
        "must be a name or callable, got 3.0",
    ),
    "softmax": (
        lambda: tml.work_efficiency(jax.nn.softmax, 1.0),
        TypeError,
        "depends on the others",
    ),
    "glu": (lambda: tml.work_efficiency(jax.nn.glu, 1.0), TypeError, "must "),
    "unknown": (
        lambda: tml.work_efficiency("hardtanh", 1.0),
        ValueError,
        "activation 'hardtanh' is unknown; did you mean \"hard_tanh\"",
    ),
    "nothing like it": (
        lambda: tml.classify_engine("xyz"),
        ValueError,
        "activation 'xyz' is unknown; choose from identity, relu",
    ),
    "sum": (lambda: tml.work_efficiency(jnp.sum, 1.0), TypeError, "must be elementwise, but of"),
    "cold": (lambda: tml.work_efficiency(jnp.tanh, 0.0), ValueError, "temperature must be finite"),
    "one cold": (lambda: tml.work_efficiency(jnp.tanh, [1.0, -1.0]), ValueError, "temperature"),
    "logarithm": (lambda: tml.work_efficiency(jnp.log, 1.0), ValueError, "must be finite"),
    "hidden jump": (
        lambda: tml.work_efficiency(lambda z: jnp.where(z > 0.7, 1.0, 0.0), 1.0),
        ValueError,
        "name all points where it or a derivative jumps in kinks",
    ),
    "fast": (
        lambda: tml.work_efficiency(lambda z: jnp.sin(1e4 * z), 1.0),
        ValueError,
        "if it oscillates or grows fast",
    ),
    "growing": (lambda: tml.work_efficiency(jnp.exp, 20.0), ValueError, "or grows fast"),
    "nothing": (lambda: tml.classify_engine(jnp.zeros_like), ValueError, "pass some energy on"),
    "depth": (
        lambda: tml.engine_chain(jnp.tanh, depth=0, weight_variance=1.0),
        ValueError,
        "depth must be at least 1",
    ),
    "weights": (
        lambda: tml.engine_chain(jnp.tanh, depth=1, weight_variance=0.0),
        ValueError,
        "weight_variance must be finite and > 0",
    ),
    "biases": (
        lambda: tml.engine_chain(jnp.tanh, depth=1, weight_variance=1.0, bias_variance=-1.0),
        ValueError,
        "bias_variance must be finite and >= 0",
    ),
    "several": (
        lambda: tml.engine_chain(jnp.tanh, depth=1, weight_variance=[1.0, 2.0]),
        ValueError,
        "weight_variance must be one number",
    ),
    "several first": (
        lambda: tml.engine_chain(jnp.tanh, depth=1, weight_variance=1.0, temperature=[1.0, 2.0]),
        ValueError,
        "temperature must be one number",
    ),
    "between": (
        lambda: tml.networks.working_temperatures(
            jnp.tanh, weight_variance=1.0, between=(2.0, 1.0)
        ),
        ValueError,
        "between must be finite and > 0",
    ),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_is_wrong(x64, case):
    function, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        function()


UNCONVERGED = {
    "a jump": (lambda z: jnp.where(z > 0.37, 1.0, 0.1 * z), 1.5, (1e-4, 1e4)),
    "oscillations": (lambda z: jnp.sin(50 * z), 3.0, (1.0, 2.0)),
    "a kink": (lambda z: jnp.clip(z, -1, 1), 1.8, (1e-4, 1e4)),
}


@pytest.mark.parametrize("name", UNCONVERGED)
def test_working_temperatures_of_unnamed_kinks_are_refused(x64, name):
    activation, weight_variance, between = UNCONVERGED[name]
    with pytest.raises(ValueError, match="has not converged: name all points"):
        tml.networks.working_temperatures(
            activation, weight_variance=weight_variance, between=between
        )


def test_working_temperatures_with_named_kinks(x64):
    """At T = 0.0339724 the slope is 2.367, at 0.434251 0.338; by adaptive quadrature."""
    jump = UNCONVERGED["a jump"][0]
    low, high = tml.networks.working_temperatures(jump, weight_variance=1.5, kinks=(0.37,))
    close(low.temperature, 0.0339724, rtol=2e-6)
    close(low.slope, 2.367, atol=1e-3)
    assert not low.stable
    close(high.temperature, 0.434251, rtol=2e-6)
    close(high.slope, 0.338, atol=1e-3)
    assert high.stable
    assert low.chi == high.chi == jnp.inf
    (clipped,) = tml.networks.working_temperatures("hard_tanh", weight_variance=1.8)
    close(clipped.temperature, 0.884393, rtol=2e-6)
    close(clipped.slope, 0.4146, atol=1e-4)


@pytest.mark.slow
def test_chains_cool_down_to_zero_without_losing_their_numbers(dtype):
    """tanh at σ_w² = 0.1: T falls tenfold a layer, beyond what floats hold."""
    chain = tml.engine_chain(jnp.tanh, depth=1000, weight_variance=jnp.asarray(0.1, dtype))
    assert np.isfinite(np.asarray(chain.temperature)).all()
    assert chain.temperature[-1] == 0
    close(chain.efficiency[-1], 1.0, rtol=1e-5)
    close(chain.slope[-1], 0.1, rtol=1e-5)
    close(chain.chi[-1], 0.1, rtol=1e-5)


def test_working_temperatures_cannot_be_traced(x64):
    def lowest(k):
        return tml.networks.working_temperatures(lambda z: jnp.tanh(k * z), weight_variance=2.0)[
            0
        ].temperature

    with pytest.raises(TypeError, match="working_temperatures must not be traced"):
        jax.grad(lowest)(1.0)
    with pytest.raises(TypeError, match="classify_engine must not be traced"):
        jax.jit(lambda k: tml.classify_engine(lambda z: k * z).slope)(1.0)
