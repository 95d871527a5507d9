"""Transitions: entropy production as a divergence, every case, and what is noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

import thermoml as tml

close = np.testing.assert_allclose

SQUARED, ABSOLUTE, ENTROPY = tml.MeanSquaredError(), tml.MeanAbsoluteError(), tml.CrossEntropy()
RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(30, 2)) @ [[1.0, 0.5], [0.0, 0.8]]
VALUES = FEATURES @ [1.0, -1.0] + RNG.normal(size=30)
LABELS = (VALUES + RNG.normal(size=30) > 0).astype(int)
ROUTE = tml.networks.Importance(2_000, key=jax.random.key(2))


def system(features=FEATURES, targets=VALUES, *, temperature=0.3, prior=0.0):
    return tml.LinearLearning(
        SQUARED, (features, targets), prior_stiffness=prior, temperature=temperature
    )


def trained(*args, **options):
    return tml.Trained(system(*args, **options))


def normal_law(features, targets, temperature, prior):
    """Mean, covariance and least energy of the trained state, by NumPy."""
    stiffness = features.T @ features / len(features) + prior * np.eye(features.shape[1])
    mean = np.linalg.solve(stiffness, features.T @ targets / len(features))
    lowest = np.mean((targets - features @ mean) ** 2) / 2 + prior / 2 * mean @ mean
    return mean, temperature * np.linalg.inv(stiffness), lowest


def divergence(p, q):
    """KL of normal laws (mean, covariance)."""
    away, ratio = q[0] - p[0], np.linalg.solve(q[1], p[1])
    logarithm = np.linalg.slogdet(ratio)[1]
    return (np.trace(ratio) - len(away) + away @ np.linalg.solve(q[1], away) - logarithm) / 2


@pytest.mark.parametrize(("std", "tau", "prior"), [(1.0, 0.3, 0.0), (0.2, 2.0, 0.5), (3.0, 0.1, 0)])
def test_entropy_production_of_training_is_a_divergence(x64, std, tau, prior):
    found = tml.transition(
        tml.TypeI(tml.networks.Normal(std)), trained(temperature=tau, prior=prior)
    )
    mean, covariance, _ = normal_law(FEATURES, VALUES, tau, prior)
    start = np.zeros(2), std**2 * np.eye(2)
    close(found.entropy_production, divergence(start, (mean, covariance)), rtol=1e-11)
    stiffness = tau * np.linalg.inv(covariance)
    heat = (np.trace(stiffness) * std**2 + mean @ stiffness @ mean) / 2 - tau
    drop = 2 * np.log(std) - np.linalg.slogdet(covariance)[1] / 2
    close(found.heat, heat, rtol=1e-11)
    close(found.entropy_drop, drop, rtol=1e-11)
    close(found.temperature, heat / drop, rtol=1e-11)
    close(found.reversible_heat, tau * drop, rtol=1e-11)
    assert found.work == found.entropy_drop_spread == found.temperature_error == 0
    alone = tml.linear_temperature(
        FEATURES, VALUES, initialisation=std, bath_temperature=tau, prior_stiffness=prior
    )
    close(alone.temperature, heat / drop, rtol=1e-11)


def test_a_refresh_does_work_and_then_heats(x64):
    """Type II by the formulas: W = U' - U, ΔQ = U' - U₁, ΔS = ½ ln det C'/C, Σ = KL."""
    features, values = 1.5 * FEATURES[:20] + 0.2, VALUES[:20] - 0.5
    old, new = trained(), trained(features, values)
    found = tml.transition(tml.TypeII(old), new)
    tau, before, after = 0.3, *(normal_law(*x, 0.3, 0.0) for x in (
        (FEATURES, VALUES), (features, values)
    ))  # fmt: skip
    C, D = FEATURES.T @ FEATURES / 30, features.T @ features / 20
    away = before[0] - after[0]
    quenched = after[2] + (tau * np.trace(D @ np.linalg.inv(C)) + away @ D @ away) / 2
    close(found.work, quenched - before[2] - tau, rtol=1e-11)
    close(found.heat, quenched - after[2] - tau, rtol=1e-11)
    close(found.entropy_drop, np.log(np.linalg.det(D) / np.linalg.det(C)) / 2, rtol=1e-11)
    close(found.entropy_production, divergence(before[:2], after[:2]), rtol=1e-11)
    bare = tml.transition(old, new)  # a Trained state is taken for a TypeII
    assert bare.heat == found.heat
    assert "work of the refresh" in str(found)


def stretched(scale):
    return tml.transition(trained(), trained(scale * FEATURES))


CASES = {
    "RELEASING": lambda: tml.linear_temperature(FEATURES, VALUES, initialisation=3.0),
    "ABSORBING": lambda: tml.linear_temperature(
        FEATURES, 0.01 * VALUES, initialisation=0.05, bath_temperature=0.3
    ),
    "INVERTED": lambda: tml.linear_temperature(
        FEATURES, 30 * VALUES, initialisation=0.05, bath_temperature=0.3
    ),
    "ISENTROPIC": lambda: tml.transition(trained(), trained(targets=VALUES + FEATURES[:, 0])),
    "IDENTICAL": lambda: tml.transition(trained(), trained()),
    "NOISE": lambda: tml.transition(trained(), trained(1.02 * FEATURES)),
    # Relaxed at 0.1 and said to be at 0.3
    "UNTRAINED": lambda: tml.transition(
        tml.TypeII(trained()),
        tml.Trained(
            system(),
            tml.networks.Gaussian(jax.vmap(trained(temperature=5.0).distribution.normal.sample)(
                jax.random.split(jax.random.key(0), 400)
            )),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_reached_and_said(x64, case):
    found = CASES[case]()
    assert found.case is tml.networks.Case[case]
    text = str(found)
    assert found.case.value in text
    T, tau = float(found.temperature), float(found.bath_temperature)
    if case == "RELEASING":
        assert T >= tau > 0
    elif case == "ABSORBING":
        assert 0 < T <= tau
        assert found.heat < 0
    elif case == "INVERTED":
        assert T < 0
        assert found.heat > 0
    else:
        assert case == "UNTRAINED" or np.isnan(T) or np.isinf(T)
    assert ("withheld" in text) == np.isnan(T)
    assert ("infinite" in text) == np.isinf(T)


@pytest.mark.parametrize("form", ["squared", "absolute", "logistic"])
def test_no_training_destroys_entropy(x64, form):
    kind, targets = {
        "squared": (SQUARED, VALUES),
        "absolute": (ABSOLUTE, VALUES),
        "logistic": (ENTROPY, LABELS),
    }[form]
    learning = tml.LinearLearning(kind, (FEATURES, targets), temperature=0.3)
    end = tml.Trained(learning, None if kind is SQUARED else ROUTE)
    mixed = tml.networks.Mixed([(tml.networks.Normal(0.7), 1), (tml.networks.Uniform(2.0), 1)])
    for start in (
        tml.networks.Normal(1.0),
        tml.networks.Uniform(0.5),
        mixed,
        tml.networks.Uniform(8.0),
    ):
        found = tml.transition(tml.TypeI(start), end)
        assert found.entropy_production > -4 * found.entropy_production_error - 1e-12
        assert found.entropy_production < 200
        close(found.heat - found.reversible_heat, 0.3 * found.entropy_production, rtol=1e-9)
        assert (found.temperature_error == 0) == (kind is SQUARED)


@pytest.mark.slow
def test_the_error_of_a_temperature_is_its_spread(x64):
    """20 keys: their spread is off by a third beyond 1 ± 0.16 standard errors 4 times in 10⁵."""
    runs = [
        tml.linear_temperature(
            FEATURES,
            VALUES,
            energy=ABSOLUTE,
            bath_temperature=3.0,
            n_samples=2_000,
            key=jax.random.key(i),
        )
        for i in range(20)
    ]
    for name in ("temperature", "heat", "entropy_drop", "entropy_production"):
        spread = np.std([getattr(run, name) for run in runs], ddof=1)
        error = np.mean([getattr(run, f"{name}_error") for run in runs])
        assert 0.45 < spread / error < 1.65, name


@pytest.mark.slow
def test_the_spread_over_data_is_that_of_wisharts_determinant(x64):
    """Var ln det XᵀX = Σ ψ'((n - i)/2), i = 0 … d - 1, for normal features."""
    n, d = 60, 4
    rng = np.random.default_rng(1)
    spreads, drops = [], []
    for _ in range(60):
        states = [trained(rng.normal(size=(n, d)), np.ones(n)) for _ in range(2)]
        found = tml.transition(*states)
        spreads.append(float(found.entropy_drop_spread))
        drops.append(float(found.entropy_drop))
    exact = np.sqrt(2 * special.polygamma(1, (n - np.arange(d)) / 2).sum() / 4)
    close(np.mean(spreads), exact, rtol=0.3)
    # The drops' own spread, to 4 standard errors of 60 (once in 16 000)
    assert abs(np.std(drops, ddof=1) / exact - 1) < 4 / np.sqrt(120)
    # Beyond twice the spread: 2.3 % each way for exact spreads; more than 12 of 60 once in 10⁴
    assert np.sum(np.abs(drops) > 2 * np.array(spreads)) <= 12


@pytest.mark.slow
def test_temperature_is_withheld_for_data_of_the_same_law_and_given_for_wider_ones(x64):
    rng = np.random.default_rng(2)
    draw = lambda scale: trained(scale * rng.normal(size=(60, 4)), rng.normal(size=60))
    same = [tml.transition(draw(1.0), draw(1.0)) for _ in range(20)]
    given = [not np.isnan(found.temperature) for found in same]
    assert sum(given) <= 5  # of 20, with chance 0.05 to 0.1 each: once in 1000
    wider = tml.transition(draw(1.0), draw(3.0))
    assert wider.case is tml.networks.Case.RELEASING
    assert wider.temperature > 0.3
    close(stretched(3.0).entropy_drop, 2 * np.log(3), rtol=1e-10)


def test_gradients_of_temperature_are_finite_differences(x64):
    def T(std, tau, features):
        return tml.linear_temperature(
            features, VALUES, initialisation=tml.networks.Normal(std), bath_temperature=tau
        ).temperature

    at = jnp.asarray(2.0), jnp.asarray(0.3), jnp.asarray(FEATURES)
    along = jnp.asarray(0.7), jnp.asarray(-0.2), jnp.asarray(RNG.normal(size=FEATURES.shape))
    reverse = jax.jit(jax.grad(T, (0, 1, 2)))(*at)
    forward = jax.jit(lambda *v: jax.jvp(T, at, v)[1])
    for i in range(3):
        v = [x if i == j else 0 * x for j, x in enumerate(along)]
        ends = [T(*(x + h * dx for x, dx in zip(at, v, strict=True))) for h in (1e-5, -1e-5)]
        numeric = (ends[0] - ends[1]) / 2e-5
        assert abs(numeric) > 1e-3
        close(forward(*v), numeric, rtol=1e-6)
        close(jnp.sum(reverse[i] * along[i]), numeric, rtol=1e-6)


def test_gradients_are_numbers_where_nothing_changes(x64):
    """Errors are roots of 0 where they are exact, and T is 0/0 where nothing changes."""
    assert np.isfinite(jax.grad(lambda tau: tml.linear_temperature(
        FEATURES, VALUES, bath_temperature=tau
    ).entropy_production_error)(jnp.asarray(0.3)))  # fmt: skip
    found = jax.grad(lambda tau: tml.transition(
        trained(temperature=tau), trained(temperature=tau)).heat)(jnp.asarray(0.3))  # fmt: skip
    close(found, 0, atol=1e-12)


def test_many_temperatures_at_once(dtype):
    tau = jnp.asarray([0.1, 0.5, 2.0], dtype)
    of = lambda t: tml.linear_temperature(FEATURES, VALUES, bath_temperature=t)
    found = jax.jit(jax.vmap(of))(tau)
    assert found.temperature.dtype == dtype
    exact = 1e-12 if dtype == jnp.float64 else 1e-5
    for i, t in enumerate((0.1, 0.5, 2.0)):
        close(found.temperature[i], of(t).temperature, rtol=exact)
    text = str(found)
    assert text.startswith("Transitions, a batch of shape (3,)\n")
    assert all(f"{float(T):.5g} ± 0" in text for T in found.temperature)
    with pytest.raises(TypeError, match="take one out"):
        _ = found.case


REFUSED = {
    "no end": (lambda: tml.transition(tml.TypeI("he_normal"), system()), TypeError, "ends in a Tr"),
    "no start": (
        lambda: tml.transition(tml.networks.Normal(1.0), trained()),
        TypeError,
        "before must be",
    ),
    "refreshed at birth": (
        lambda: tml.TypeII(tml.TypeI("he_normal")),
        TypeError,
        "trained must be a Trained state, got TypeI",
    ),
    "no state": (lambda: tml.TypeII(3), TypeError, "trained must be a Trained state, got int"),
    "other parameters": (
        lambda: tml.transition(trained(), trained(FEATURES[:, :1])),
        ValueError,
        r"\[\(2,\)\], got \[\(1,\)\]",
    ),
    "no width": (
        lambda: tml.linear_temperature(FEATURES, VALUES, initialisation=0.0),
        ValueError,
        "std must be finite and > 0",
    ),
    "no bath": (
        lambda: tml.linear_temperature(FEATURES, VALUES, bath_temperature=-1),
        ValueError,
        "temperature must be finite and > 0",
    ),
    "no form": (
        lambda: tml.linear_temperature(FEATURES, VALUES, energy="mse"),
        TypeError,
        "energy must be an AbstractEnergy",
    ),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", REFUSED)
def test_refusals_say_what_is_wrong(case):
    call, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        call()
