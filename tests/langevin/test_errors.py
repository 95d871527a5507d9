import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml

QUARTIC = lambda x, control: jnp.sum(x**4)


@pytest.fixture
def simulate(key, trap):
    def run(state=None, potential=trap, run_system=None, **options):
        names = ("temperature", "mobility", "drive", "control")
        baths = {name: options.pop(name) for name in names if name in options}
        system = tml.Langevin(potential, **baths) if run_system is None else run_system
        start = jnp.ones(2) if state is None else state
        return tml.simulate(system, start, **{"t1": 1.0, "dt": 0.1, "key": key, **options})

    return run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": 0.3}, "^dt must divide"),
        ({"dt": -0.1}, "^dt must be finite and > 0"),
        ({"t1": 0.0}, "^t1 must be later than t0"),
        ({"t1": np.nan}, "^t1 must be finite"),
        ({"save_every": 3}, "^save_every must divide the 10 steps"),
        ({"save_every": 0}, "^save_every must be at least 1"),
        ({"n_trajectories": 0}, "^n_trajectories must be at least 1"),
        ({"temperature": -1.0}, "^temperature must be finite and >= 0, got -1"),
        ({"temperature": jnp.array([1.0, -1.0])}, "^temperature must be finite and >= 0"),
        ({"temperature": np.nan}, "^temperature must be finite"),
        ({"temperature": lambda t: 0.5 - t}, "^temperature must be finite and >= 0"),
        ({"mobility": -1.0}, "^mobility must be finite and >= 0"),
        ({"temperature": jnp.ones(3)}, r"^temperature of shape \(3,\) does not broadcast"),
        ({"temperature": "hot"}, "^temperature must be a number"),
        ({"temperature": {"a": 1.0}}, "^temperature must be a number, an array, a function"),
        ({"drive": lambda x, _: jnp.sum(x)}, "^the drive must return a force like the state"),
        ({"state": {}}, "^state must hold at least one array"),
        (
            {"state": tml.langevin.Batch(jnp.ones(3)), "n_trajectories": 2},
            "^n_trajectories must be left",
        ),
        (
            {"state": tml.langevin.Batch({"a": jnp.ones(3), "b": jnp.ones(2)})},
            "same leading trajectory",
        ),
        ({"state": tml.langevin.Batch(1.0)}, "same leading trajectory"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_values_that_do_not_fit_are_named(simulate, options, message):
    with pytest.raises(ValueError, match=message):
        simulate(**options)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"potential": lambda x, _: x**2}, "potential must return a scalar"),
        ({"potential": 3.0}, "^potential must be callable"),
        ({"drive": 3.0}, "^drive must be callable"),
        ({"control": 3.0}, "^control must be callable"),
        ({"control": lambda t: 1.0 if t < 0.5 else 2.0}, "^control must .* not branch on t .* jnp"),
        ({"state": jnp.arange(2)}, "^every leaf of state must be a floating"),
        ({"state": 1}, "^every leaf of state must be a floating"),
        ({"n_trajectories": 2.0}, "^n_trajectories must be a whole number"),
        ({"save_every": 2.0}, "^save_every must be a whole number"),
        ({"observables": {"x": 3.0}}, r"^observables\['x'\] must be a function"),
        ({"progress": "bar"}, "^progress must be True, False or a diffrax"),
        ({"run_system": QUARTIC}, "^system must be a Langevin"),
        ({"dt": "0.1"}, "^dt must be a number"),
        ({"integrator": tml.EulerMaruyama}, "integrator must be"),
        ({"adjoint": tml.langevin.Direct}, "adjoint must be"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_types_that_do_not_fit_are_named(simulate, options, message):
    with pytest.raises(TypeError, match=message):
        simulate(**options)


def test_a_negative_temperature_inside_a_trace_is_found_at_run_time(simulate):
    heat = eqx.filter_jit(lambda T: simulate(temperature=T).heat)
    with pytest.raises(eqx.EquinoxRuntimeError, match="temperature and mobility must be finite"):
        heat(jnp.asarray(-1.0))


@pytest.fixture
def explode(simulate):
    """T = 0 from x = 1 and 40 on x⁴: 1 stays near, 40 runs away in a few steps of .01."""
    return lambda **options: simulate(
        tml.langevin.Batch(jnp.array([[1.0], [40.0]])),
        potential=QUARTIC,
        temperature=0.0,
        t1=0.2,
        dt=0.01,
        save_every=1,
        **options,
    )


@pytest.mark.usefixtures("unchecked")
def test_a_run_that_diverges_names_step_and_trajectory_and_keeps_the_good_part(explode):
    with pytest.raises(tml.SimulationDiverged, match="^trajectory 1 turned non-finite") as caught:
        explode()
    solution = caught.value.solution
    step = int(solution.stats["diverged_step"][1])
    assert f"at step {step} " in str(caught.value)
    np.testing.assert_array_equal(
        solution.result, [tml.langevin.Result.SUCCESSFUL, tml.langevin.Result.NON_FINITE]
    )
    for values in (solution.energy, solution.heat, solution.work):
        finite = np.isfinite(values)
        assert finite[0].all()
        np.testing.assert_array_equal(finite[1], np.arange(21) <= step)
    assert step > 0
    assert "1 of 2 trajectories turned non-finite" in str(solution)


def test_a_run_that_diverges_gives_nan_where_it_may_not_raise(explode):
    quiet = explode(throw=False)
    np.testing.assert_array_equal(quiet.result, [0, 1])
    traced = jax.jit(lambda: explode().heat)()
    np.testing.assert_array_equal(np.isnan(traced), np.isnan(quiet.heat))
    assert np.isnan(traced[1, -1])
