"""The Fokker-Planck equation as a thing to call: refusals, forms of densities, derivatives."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


def bowl(x, control):
    return x**2 / 2


def quartic(x, control):
    return (x**2 - 1) ** 2


def waves(x, control):
    return 2 * jnp.cos(2 * jnp.pi * x) + jnp.sin(4 * jnp.pi * x)


def natural(lower=-6, upper=6, cells=60):
    return tml.Axis(lower, upper, cells, boundary="natural")


def ring(upper=1.0, cells=60):
    return tml.Axis(0, upper, cells, boundary="periodic")


def equation(potential=bowl, axes=None, state=None, **options):
    axes = natural() if axes is None else axes
    return tml.FokkerPlanck(tml.Langevin(potential, **options), axes, state=state)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": []}, "^axes must be one Axis or two"),
        ({"axes": [natural()] * 3}, "^axes must be one Axis or two"),
        ({"axes": [natural(), 6]}, "^axes must be one Axis or two"),
        ({"state": jnp.zeros(2)}, "^state must hold 1 numbers, one for each axis"),
        ({"axes": [natural()] * 2, "state": 0.0}, "^state must hold 2 numbers"),
        ({"temperature": 0.0}, "^temperature must be finite and > 0, .* noise on every axis"),
        ({"temperature": -0.5}, "^temperature must be finite and > 0"),
        ({"temperature": lambda t: t}, "^temperature must be finite and > 0"),
        ({"mobility": 0.0}, "^mobility must be finite and > 0"),
        ({"potential": lambda x, _: -jnp.log(x)}, "^the potential must be finite on the grid"),
        (
            {"potential": lambda x, _: x + waves(x, _), "axes": ring()},
            "^the potential must be the same at both ends of periodic axis 0, it differs by 1; ",
        ),
        ({"potential": waves, "axes": ring(1.25)}, "^the potential must be the same .* axis 0"),
        (
            {"potential": waves, "axes": ring(), "drive": lambda x, _: 0.1 * x},
            "^the drive must be the same at both ends of periodic axis 0, it differs by 0.1; ",
        ),
        (
            {"potential": lambda x, _: bowl(x[0], _) + x[1], "axes": [natural(), ring()]},
            "^the potential must be the same at both ends of periodic axis 1",
        ),
        ({"potential": lambda x, _: x}, "^the potential does not rise towards -6, .* axis 0"),
        ({"potential": lambda x, _: -bowl(x, _)}, "its density cannot be normalised there"),
        ({"potential": lambda x, _: 0 * x}, "does not rise towards -6"),
        ({"axes": natural(-6, 4)}, "^natural axis 0 is too short: at its end 4 .* 0.0004[0-9] "),
        ({"temperature": 2.0}, "^natural axis 0 is too short: at its end -6"),
    ],
)
def test_equations_that_will_not_do_are_refused(x64, options, message):
    with pytest.raises(ValueError, match=message):
        equation(**options)


@pytest.mark.usefixtures("unchecked")
def test_other_systems_are_refused():
    with pytest.raises(TypeError, match="^system must be a Langevin, got 3"):
        tml.FokkerPlanck(3, natural())


@pytest.fixture(scope="module")
def still():
    with jax.enable_x64(True):
        return equation()


@pytest.mark.parametrize(
    ("density", "options", "message"),
    [
        (jnp.ones(59), {}, r"^density must have shape \(60,\), got \(59,\)"),
        (jnp.ones(60).at[3].set(-1.0), {}, "^density must be finite and >= 0"),
        (jnp.zeros(60), {}, "^density must be positive somewhere"),
        (jnp.ones(60), {"dt": 0.3}, "^dt must divide"),
        (jnp.ones(60), {"t1": 0.0}, "^t1 must be later"),
        (jnp.ones(60), {"save_every": 3}, "^save_every must divide the 10 steps"),
    ],
)
def test_runs_that_make_no_sense_are_refused(x64, still, density, options, message):
    with pytest.raises(ValueError, match=message):
        still.evolve(density, **{"t1": 1.0, "dt": 0.1, **options})


def test_densities_that_are_nowhere_are_refused(x64, still):
    for value in (-jnp.inf, jnp.inf, jnp.nan):
        with pytest.raises(ValueError, match="^log_density must be finite somewhere"):
            still.discretise(lambda x, value=value: x + value)


def test_a_current_for_ever_needs_a_ring(x64, still):
    with pytest.raises(ValueError, match="^transport needs one periodic axis"):
        still.transport()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("potential", "axis", "bath", "steepest"),
    [
        # where U is 6 ln 10 T above its bottom
        (quartic, lambda cells: natural(-3, 3, cells), 0.3, 14.19),
        (waves, lambda cells: ring(1.0, cells), 0.5, 25.13),
    ],
    ids=["quartic", "waves"],
)
def test_a_grid_too_coarse_names_its_axis_and_the_cells_that_then_do(
    x64, potential, axis, bath, steepest
):
    def rest(cells):
        return equation(potential, axis(cells), temperature=bath).steady_state()

    with pytest.raises(ValueError, match="^axis 0 is too coarse for the drift: at ") as caught:
        rest(17)
    found = re.search(r"more than 2; use at least (\d+) cells instead of 17$", str(caught.value))
    needed = int(found[1])
    rest(needed)
    length = axis(3).upper - axis(3).lower
    assert 0.95 < needed / (steepest * length / bath / 2) < 1.1


def test_what_a_force_or_time_brings_to_the_end_of_a_natural_axis_is_seen(x64):
    with pytest.raises(ValueError, match="^natural axis 0 is too short: at its end 6 "):
        equation(drive=lambda x, _: 4.0 + 0 * x).steady_state()
    moved = equation(lambda x, c: bowl(x - c, c), control=tml.Ramp(0.0, 2.0))
    with pytest.raises(ValueError, match="^natural axis 0 is too short: at its end 6 "):
        moved.steady_state(1.0)
    start = moved.discretise(tml.NormalState(0.0, 1.0))
    with pytest.raises(ValueError, match="^natural axis 0 is too short: at its end 6 "):
        moved.evolve(start, t1=1.0, dt=0.1)
    cooled = equation(temperature=tml.Ramp(1.0, 0.0, t1=0.1))
    with pytest.raises(ValueError, match="^temperature must be finite and > 0"):
        cooled.evolve(start, t1=1.0, dt=0.1)


def test_densities_between_the_cells_are_exponentials(x64):
    """Linear in ln p, through the end of a ring and not beyond a wall."""
    axes = [natural(-6, 6, 40), ring(2 * np.pi, 16)]
    both = equation(lambda x, _: bowl(x[0], _) + jnp.cos(x[1]), axes)
    density = both.discretise(lambda x: -bowl(x[0], None) + jnp.sin(x[1]))
    np.testing.assert_allclose(np.sum(density) * both.cell, 1, rtol=1e-14)
    p, at = np.log(np.asarray(density)), both.log_density(density)
    x, y = (np.asarray(axis.centres) for axis in axes)
    shown = jax.jit(jax.vmap(at))(
        jnp.asarray(
            [
                [x[7], y[3]],
                [x[7] + 0.075, y[3]],
                [x[7], y[-1] + np.pi / 16],
                [x[7], y[2] - 2 * np.pi],
                [x[7], y[2] + 6 * np.pi],
                [-7, y[2]],
            ]
        )
    )
    expected = [
        p[7, 3],
        0.75 * p[7, 3] + 0.25 * p[8, 3],
        (p[7, -1] + p[7, 0]) / 2,
        p[7, 2],
        p[7, 2],
        p[0, 2],
    ]
    np.testing.assert_allclose(shown, expected, rtol=1e-12)


def test_samples_have_the_entropy_of_their_density(x64, still):
    density = still.steady_state()
    states = jax.random.normal(jax.random.key(5), (4000,))
    entropies = jax.jit(lambda x: tml.thermodynamics.system_entropy(x, still.log_density(density)))(
        states
    )
    error = entropies.std() / 4000**0.5
    assert abs(entropies.mean() - still.entropy(density)) < 4 * error < 0.1
    np.testing.assert_allclose(still.entropy(density), np.log(2 * np.pi * np.e) / 2, rtol=1e-3)


@pytest.mark.parametrize("shift", [-2.0, 0.0])
def test_a_normal_state_is_discretised_at_the_centres(x64, still, shift):
    x = np.asarray(still.axes[0].centres)
    expected = np.exp(-((x - shift) ** 2) / 0.8)
    expected /= expected.sum() * 0.2
    for form in (tml.NormalState(shift, 0.4), lambda x: 700 - (x - shift) ** 2 / 0.8):
        np.testing.assert_allclose(still.discretise(form), expected, rtol=1e-12)
    found = still.mean(lambda x: x**2, jnp.asarray(expected))
    np.testing.assert_allclose(found, shift**2 + 0.4, rtol=1e-8)


def test_walls_hold_a_tilted_density_in_float32():
    """exp(-fx/T), reached from a single cell, and what the force has done is heat."""
    force, bath, cells = 3.0, 0.5, 24
    walled = equation(
        lambda x, _: 0 * x,
        tml.Axis(0, 2, cells),
        drive=lambda x, _: -force + 0 * x,
        temperature=bath,
    )
    density = walled.steady_state()
    expected = np.exp(-force * np.arange(cells) * 2 / cells / bath)
    expected /= expected.sum() * 2 / cells
    np.testing.assert_allclose(density, expected, rtol=1e-5)
    start = jnp.zeros(cells).at[-1].set(7.0)
    solution = walled.evolve(start, t1=4.0, dt=0.02, save_every=100)
    for leaf in jax.tree.leaves((density, solution)):
        assert leaf.dtype == jnp.float32
    assert (solution.density >= 0).all()
    np.testing.assert_allclose(np.sum(solution.density, axis=1) * walled.cell, 1, rtol=1e-5)
    np.testing.assert_allclose(solution.density[-1], density, rtol=1e-3)
    fallen = walled.mean(lambda x: x, solution.density[0] - solution.density[-1])
    np.testing.assert_allclose(solution.heat[-1], force * fallen, rtol=2e-2)
    np.testing.assert_allclose(solution.work, solution.heat, rtol=1e-5)


def pushed(parameters):
    """Velocity, diffusion and heat of a ring, by its force and temperature."""
    force, bath = parameters
    system = tml.Langevin(waves, drive=lambda x, _: force + 0 * x, temperature=bath)
    tilted = tml.FokkerPlanck(system, ring(1.0, 40))
    moves, heat = tilted.transport(), tilted.heat_rate(tilted.steady_state())
    return jnp.stack([moves.velocity, moves.diffusion, heat[0]])


def driven(knots):
    """Work, heat, production and spread of a trap whose stiffness follows the knots."""
    control = tml.PiecewiseLinear(np.array([0.0, 0.5, 1.0]), knots)
    system = tml.Langevin(lambda x, k: k * bowl(x, None), control=control)
    moving = tml.FokkerPlanck(system, natural(-6, 6, 60))
    solution = moving.evolve(moving.discretise(tml.NormalState(0.3, 0.8)), t1=1.0, dt=0.1)
    spread = moving.mean(lambda x: x**2, solution.density[-1])
    ends = (solution.work, solution.heat, solution.entropy_production)
    return jnp.stack([*(x[-1] for x in ends), spread])


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("function", "here"),
    [(pushed, [1.5, 0.8]), (driven, [1.0, 1.4, 1.8])],
    ids=["at rest", "in time"],
)
def test_derivatives_are_those_of_finite_differences(x64, function, here):
    """And a batch of equations is solved as one by one."""
    here, way = np.array(here), np.array([1.0, -0.3, 0.8])[: len(here)]
    batch = jax.jit(jax.vmap(function))(np.stack([here, here + 1e-5 * way, here - 1e-5 * way]))
    expected = (batch[1] - batch[2]) / 2e-5
    assert abs(expected).min() > 1e-3
    value, forward = jax.jit(lambda: jax.jvp(function, (here,), (way,)))()
    np.testing.assert_allclose(value, batch[0], rtol=1e-10)
    np.testing.assert_allclose(forward, expected, rtol=1e-6)
    weights = np.array([1.0, -2.0, 0.7, 3.0])[: len(expected)]
    reverse = jax.jit(jax.grad(lambda x: weights @ function(x)))(here)
    np.testing.assert_allclose(reverse @ way, weights @ expected, rtol=1e-6)


def test_an_equation_known_outside_is_checked_and_solved_inside_a_trace(x64, still):
    shown = []

    @jax.jit
    def run(density):
        solution = still.evolve(density, t1=0.1, dt=0.1)
        shown.append(str(solution))
        return solution.density[-1], still.steady_state()

    np.testing.assert_allclose(*run(still.steady_state()), rtol=1e-9)
    assert shown == ["FokkerPlanckSolution (traced)"]
    moved = equation(lambda x, c: bowl(x - c, c), control=tml.Ramp(0.0, 2.0))
    with pytest.raises(ValueError, match="^natural axis 0 is too short"):
        jax.jit(lambda density: moved.evolve(density, t1=1.0, dt=0.1))(jnp.ones(60))
