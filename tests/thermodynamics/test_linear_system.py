"""Linear systems between baths against closed forms and quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, linalg, stats

import thermoml as tml

close = np.testing.assert_allclose


def draw_systems(count, size, settled):
    """Drifts, temperatures, mobilities and covariances, of no particular symmetry."""
    rng = np.random.default_rng(11)
    drift = rng.normal(size=(count, size, size))
    if settled:
        drift = drift + (0.3 - np.linalg.eigvals(drift).real.min(-1))[:, None, None] * np.eye(size)
    root = rng.normal(size=(count, size, size))
    covariance = root @ root.mT + 0.1 * np.eye(size)
    baths = rng.uniform(0.2, 2.0, (2, count, size))
    return drift, *baths, rng.normal(size=(count, size)), covariance


def test_any_covariance_at_rest_solves_lyapunovs_equation(dtype):
    drift, T, mu, _, _ = (x[0].astype(dtype) for x in draw_systems(1, 4, True))
    rest = tml.LinearSystem(drift, T, mu).steady_state()
    expected = linalg.solve_continuous_lyapunov(drift.astype(float), 2 * np.diag(mu * T))
    exact = 1e-11 if dtype == jnp.float64 else 1e-4
    close(rest.covariance, expected, rtol=exact, atol=exact * np.abs(expected).max())
    assert rest.covariance.dtype == rest.mean.dtype == dtype
    assert not rest.mean.any()


def test_heat_flows_through_a_spring_from_the_hotter_bead(x64):
    """Moments by hand: with K = k + κ, ⟨ẋ_2∘x_1⟩ = κ(T_1 - T_2)/(K_1/μ_2 + K_2/μ_1)."""
    k, spring, mu, T = np.array([1.3, 0.7]), 0.9, np.array([1.0, 0.4]), np.array([2.0, 0.5])
    K = k + spring
    stiffness = np.diag(K) - spring * (1 - np.eye(2))
    system = tml.LinearSystem(mu[:, None] * stiffness, T, mu)
    current = spring**2 * (T[0] - T[1]) / (K[0] / mu[1] + K[1] / mu[0])
    close(system.heat_rate(), [-current, current], rtol=1e-12)
    close(system.heat_currents(), [[0, -current], [current, 0]], rtol=1e-12, atol=1e-15)
    close(system.entropy_production_rate(), current * (1 / T[1] - 1 / T[0]), rtol=1e-12)
    together = spring * (mu[0] * K[0] * T[1] + mu[1] * K[1] * T[0])
    together /= (mu @ K) * (K[0] * K[1] - spring**2)
    single = (T + spring * together) / K
    expected = [[single[0], together], [together, single[1]]]
    close(system.steady_state().covariance, expected, rtol=1e-12)


@pytest.mark.parametrize(("angle", "hot"), [(0.4, 3.0), (0.4, 1.0), (0.0, 3.0)])
def test_a_gyrator_produces_entropy_unless_its_axes_or_baths_agree(x64, angle, hot):
    """Of principal stiffnesses u, v tilted by α: (u-v)² sin²2α (T_1-T_2)²/4(u+v)T_1T_2."""
    u, v, cold = 2.0, 0.6, 1.0
    tilt = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    system = tml.LinearSystem(tilt @ np.diag([u, v]) @ tilt.T, [hot, cold])
    expected = ((u - v) * np.sin(2 * angle) * (hot - cold)) ** 2 / (4 * (u + v) * hot * cold)
    close(system.entropy_production_rate(), expected, rtol=1e-12, atol=1e-14)


def test_a_driven_vortex_in_a_trap(x64):
    """F = -kx + Ωẑ×x turns a round cloud at μΩ; its torque dissipates μΩ²⟨r²⟩."""
    k, omega, mu, T, t = 1.4, 2.1, 0.6, 0.8, 0.7
    system = tml.LinearSystem(mu * np.array([[k, omega], [-omega, k]]), T, mu)
    heat = mu * omega**2 * T / k
    close(system.steady_state().covariance, T / k * np.eye(2), atol=1e-14)
    close(system.heat_rate(), [heat, heat], rtol=1e-12)
    close(system.heat_currents(), [[0, heat], [heat, 0]], rtol=1e-12, atol=1e-15)
    close(system.entropy_production_rate(), 2 * mu * omega**2 / k, rtol=1e-12)
    found = system.at(t, tml.NormalState([1.0, 0.0], 0.0))
    turn, fade = mu * omega * t, np.exp(-mu * k * t)
    close(found.mean, fade * np.array([np.cos(turn), np.sin(turn)]), rtol=1e-12)
    close(found.covariance, T / k * (1 - fade**2) * np.eye(2), rtol=1e-12, atol=1e-15)


def test_a_chain_between_two_baths_has_the_covariance_of_its_normal_modes(x64):
    """⟨q_p q_q⟩ = 2 D_pq/(λ_p + λ_q), with λ_p = k + 2κ(1 - cos pπ/(N+1)) and sines as modes."""
    size, k, spring, T = 4, 0.2, 1.3, np.linspace(2.0, 0.5, 4)
    numbers = np.arange(1, size + 1)
    modes = np.sin(np.outer(numbers, numbers) * np.pi / (size + 1)) * np.sqrt(2 / (size + 1))
    rates = k + 2 * spring * (1 - np.cos(numbers * np.pi / (size + 1)))
    neighbours = np.eye(size, k=1) + np.eye(size, k=-1)
    stiffness = (k + 2 * spring) * np.eye(size) - spring * neighbours
    covariance = modes @ (2 * modes @ np.diag(T) @ modes / (rates[:, None] + rates)) @ modes
    system = tml.LinearSystem(stiffness, T)
    close(system.steady_state().covariance, covariance, rtol=1e-11)
    current = system.heat_currents()
    # Bead i moves by its force alone on average, x_{i-1} held: bath i-1 to bath i
    close(current, spring * neighbours * -(stiffness @ covariance), rtol=1e-10, atol=1e-14)
    assert np.all(np.diagonal(current, -1) > 0)


def test_a_coordinate_without_noise_makes_an_oscillator_with_inertia(x64):
    """x' = v, v' = -ω²x - γv + noise: Boltzmann's law of an energy that is not the potential."""
    omega, gamma, T = 1.5, 0.7, 0.6
    system = tml.LinearSystem([[0.0, -1.0], [omega**2, gamma]], [0, T], [1, gamma])
    close(system.steady_state().covariance, np.diag([T / omega**2, T]), rtol=1e-12, atol=1e-15)
    close(system.heat_rate()[0], T, rtol=1e-12)  # μ_1⟨F_1²⟩ = ⟨v²⟩
    assert jnp.isinf(system.entropy_production_rate())


@pytest.mark.parametrize("rate", [1.3, 0.0, -0.8], ids=["trap", "free", "unstable"])
def test_one_coordinate_in_a_trap_free_or_on_a_hill(x64, rate):
    D, t = 0.4, 1.7
    found = tml.LinearSystem([[rate]], 0.5, 0.8).at(t, tml.NormalState(0.5, 0.2))
    spread = D * -np.expm1(-2 * rate * t) / rate if rate else 2 * D * t
    close(found.mean, 0.5 * np.exp(-rate * t), rtol=1e-12)
    close(found.covariance, 0.2 * np.exp(-2 * rate * t) + spread, rtol=1e-12)
    assert found.mean.shape == found.covariance.shape == ()


def test_brownian_motion_with_inertia_random_acceleration_and_free_diffusion(x64):
    """Uhlenbeck and Ornstein 1930 from rest; for γ → 0, ⟨x²⟩ = ⅔Dt³."""
    gamma, D, t = 0.7, 0.4, 2.3
    fade = np.exp(-gamma * t)
    found = tml.LinearSystem([[0.0, -1.0], [0.0, gamma]], [0.0, D]).at(t).covariance
    position = (2 * gamma * t - 3 + 4 * fade - fade**2) * D / gamma**3
    both = D / gamma**2 * (1 - fade) ** 2
    close(found, [[position, both], [both, D / gamma * (1 - fade**2)]], rtol=1e-12)
    free = tml.LinearSystem([[0.0, -1.0], [0.0, 0.0]], [0.0, D]).at(t).covariance
    close(free, 2 * D * np.array([[t**3 / 3, t**2 / 2], [t**2 / 2, t]]), rtol=1e-12)
    found = tml.LinearSystem(np.zeros((2, 2)), [1.0, 0.5], 0.3).at(1e15).covariance
    close(found, 1e15 * np.diag([0.6, 0.3]), rtol=1e-12)


def test_any_drift_at_any_time_by_quadrature(x64):
    drift, T, mu, mean, covariance = (x[0] for x in draw_systems(1, 4, False))
    assert np.linalg.eigvals(drift).real.min() < 0
    system, start = tml.LinearSystem(drift, T, mu), tml.NormalState(mean, covariance)
    noise = lambda s: linalg.expm(-drift * s) @ np.diag(2 * mu * T) @ linalg.expm(-drift * s).T
    for t in (0.0, 0.01, 3.0):
        found, carry = system.at(t, start), linalg.expm(-drift * t)
        spread = integrate.quad_vec(noise, 0, t, epsabs=1e-13, epsrel=1e-13)[0]
        close(found.mean, carry @ mean, rtol=1e-10)
        close(found.covariance, carry @ covariance @ carry.T + spread, rtol=1e-9)
    close(system.at(3.0, start).matrix, system.at(2.5, system.at(0.5, start)).matrix, rtol=1e-10)


def test_stiff_systems_relax_exactly_and_come_to_rest(dtype):
    ratio, exact = (1e6, 1e-9) if dtype == jnp.float64 else (1e2, 1e-5)
    tilt = np.array([[0.8, -0.6], [0.6, 0.8]])
    system = tml.LinearSystem(jnp.asarray(tilt @ np.diag([1.0, ratio]) @ tilt.T, dtype))
    for t in (0.3, 50.0, 1e9):
        expected = tilt @ np.diag([-np.expm1(-2 * t), -np.expm1(-2 * ratio * t) / ratio]) @ tilt.T
        close(system.at(t).covariance, expected, rtol=exact)
    close(system.steady_state().covariance, expected, rtol=exact)


def test_heat_is_the_fall_of_energy_and_its_flow_all_but_the_rise_of_entropy(x64):
    """Both by finite differences, on the way to rest, of forces with a potential."""
    stiffness, mu, T = np.array([[2.0, 0.9], [0.9, 1.0]]), np.array([1.0, 0.5]), [1.2, 0.4]
    system = tml.LinearSystem(mu[:, None] * stiffness, T, mu)
    now, before, after = (
        system.at(t, tml.NormalState([1.0, -0.5], 0.3)) for t in (0.3, 0.3 - 1e-5, 0.3 + 1e-5)
    )
    energy = lambda state: np.sum(stiffness * (state.matrix + np.outer(*2 * [state.mean]))) / 2
    heat = system.heat_rate(now)
    close(heat.sum(), (energy(before) - energy(after)) / 2e-5, rtol=1e-8)
    rise = (after.entropy - before.entropy) / 2e-5
    close(system.entropy_production_rate(now), rise + np.sum(heat / system.temperature), rtol=1e-8)


def test_entropy_production_is_the_rise_of_entropy_and_its_flow_and_never_negative(x64):
    """On 200 systems of any kind, with dS/dt = tr(DΣ⁻¹) - tr A."""
    drift, T, mu, mean, covariance = draw_systems(200, 4, False)

    @jax.jit
    @jax.vmap
    def rates(drift, T, mu, mean, covariance):
        system, state = tml.LinearSystem(drift, T, mu), tml.NormalState(mean, covariance)
        return system.heat_rate(state), system.entropy_production_rate(state)

    heat, production = rates(drift, T, mu, mean, covariance)
    flow = np.sum(heat / T, axis=1)
    inverse = np.linalg.inv(covariance)
    rise = np.einsum("sii,si->s", inverse, mu * T) - np.einsum("sii->s", drift)
    close(production, rise + flow, rtol=1e-9)
    assert np.all(production > 0)
    assert np.abs(flow).min() < 0.2 * np.median(production)  # neither part is negligible


def test_at_rest_the_heats_carry_all_entropy_and_are_sums_of_currents(x64):
    drift, T, mu, _, _ = draw_systems(100, 4, True)
    drift[50:] = mu[50:, :, None] * (drift[50:] @ drift[50:].mT)  # reciprocal

    @jax.jit
    @jax.vmap
    def rates(*parameters):
        system = tml.LinearSystem(*parameters)
        rest = system.steady_state()
        heat, production = system.heat_rate(rest), system.entropy_production_rate(rest)
        return heat, system.heat_currents(), production

    heat, currents, production = rates(drift, T, mu)
    scale = np.abs(heat).max()
    close(production, np.sum(heat / T, axis=1), rtol=1e-8)
    close(currents.sum(2), heat, atol=1e-10 * scale)
    assert np.all(production > 0)
    close(currents[50:], -currents[50:].mT, atol=1e-10 * scale)
    assert np.abs(currents[:50] + currents[:50].mT).max() > 0.01 * scale
    close(heat[50:].sum(1), 0, atol=1e-10 * scale)
    for nothing in rates(drift, 0 * T + 0.7, mu):  # in equilibrium where reciprocal
        close(nothing[50:], 0, atol=1e-9 * scale)
        assert np.abs(nothing[:50]).max() > 0.1


NO_REST = {
    "one unstable direction, all variances positive": ([[-1, 2], [2, -1]], 1.0),
    "no noise on a hill": ([[-1, 0], [0, -1]], 0.0),
    "free": ([[1, 0], [0, 0]], 1.0),
    "going round": ([[0, 1], [-1, 0]], 1.0),
}


@pytest.mark.parametrize("case", NO_REST)
def test_what_does_not_come_to_rest_has_no_state_at_rest(dtype, case):
    drift, T = jnp.asarray(NO_REST[case][0], dtype), NO_REST[case][1]
    rest = jax.jit(lambda drift: tml.LinearSystem(drift, T).steady_state().covariance)
    assert jnp.isnan(rest(drift)).all()
    calm = 3.5 * jnp.eye(2, dtype=dtype)
    close(
        rest(drift + calm), tml.LinearSystem(drift + calm, T).steady_state().covariance, rtol=1e-5
    )
    for quantity in ("steady_state", "heat_rate", "heat_currents", "entropy_production_rate"):
        with pytest.raises(ValueError, match="drift must have eigenvalues with positive real"):
            getattr(tml.LinearSystem(drift, T), quantity)()


def test_the_density_of_a_normal_state(dtype):
    mean, covariance = np.array([0.3, -1.0, 2.0]), draw_systems(1, 3, False)[4][0]
    state, law = tml.NormalState(jnp.asarray(mean, dtype), covariance), stats.multivariate_normal
    x, exact = jnp.asarray([1.0, 0.5, -0.5], dtype), 1e-11 if dtype == jnp.float64 else 1e-5
    found, entropy = jax.jit(lambda state, x: (state.log_density(x), state.entropy))(state, x)
    close(found, law(mean, covariance).logpdf(x), rtol=exact)
    close(entropy, law(mean, covariance).entropy(), rtol=exact)
    assert found.dtype == entropy.dtype == state.covariance.dtype == dtype
    scalar = tml.NormalState(jnp.asarray(0.3, dtype), 0.5)
    close(scalar.log_density(x[0]), stats.norm(0.3, 0.5**0.5).logpdf(1.0), rtol=exact)
    close(tml.NormalState(mean, 0.5).matrix, 0.5 * np.eye(3))


ONE = np.eye(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tml.LinearSystem(np.ones((2, 3))), r"drift must be a square .* \(2, 3\)"),
        (lambda: tml.LinearSystem(np.nan * ONE), "drift must be finite"),
        (lambda: tml.LinearSystem(ONE, [1.0, -0.1]), "temperature must be finite and >= 0"),
        (lambda: tml.LinearSystem(ONE, np.ones(3)), r"temperature must .* got shape \(3,\)"),
        (lambda: tml.LinearSystem(ONE, mobility=0.0), "mobility must be finite and > 0"),
        (lambda: tml.LinearSystem(ONE, mobility=[1.0]), r"mobility must .* got shape \(1,\)"),
        (lambda: tml.LinearSystem(ONE).at(-1.0), "t must be finite and >= 0"),
        (lambda: tml.LinearSystem(ONE).at(1.0, tml.NormalState(0.0, 1.0)), "state .* 2 coord"),
        (lambda: tml.LinearSystem(ONE).heat_rate(tml.NormalState(0.0, 1.0)), "state .* got 1"),
        (lambda: tml.NormalState([0.0, 0.0], np.eye(3)), r"covariance must be .* \(3, 3\)"),
        (lambda: tml.NormalState(ONE, ONE), "covariance must be a scalar or"),
        (lambda: tml.NormalState([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]]), "finite and symmetric"),
        (lambda: tml.NormalState(np.nan, 1.0), "mean must be finite"),
        (lambda: tml.NormalState(0.0, np.inf), "covariance must be finite and symmetric"),
        (lambda: tml.NormalState([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]), "must not be negative"),
        (lambda: tml.NormalState(0.0, -1.0), "covariance must not be negative"),
    ],
)
def test_bad_arguments(x64, call, message):
    with pytest.raises(ValueError, match=message):
        call()
