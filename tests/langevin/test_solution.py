import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermoml as tml


@pytest.fixture(scope="module")
def solution(key):
    return tml.simulate(
        tml.Langevin(lambda x, _: jnp.sum(x["a"] ** 2) + jnp.sum(x["b"] ** 2)),
        {"a": jnp.ones(2), "b": jnp.ones((2, 3))},
        t1=1.0,
        dt=0.1,
        key=key,
        n_trajectories=4,
        save_every=5,
        observables={"x": lambda x, control, t: x, "t": lambda x, control, t: t},
    )


def test_a_dataset_names_dimensions_coordinates_units_and_leaves(solution):
    data = solution.to_xarray()
    assert dict(data.sizes) == {
        "trajectory": 4,
        "time": 3,
        "x_a_dim_0": 2,
        "x_b_dim_0": 2,
        "x_b_dim_1": 3,
    }
    assert set(data.data_vars) == {
        "work",
        "heat",
        "energy",
        "entropy_flow",
        "shadow_work",
        "heat_a",
        "heat_b",
        "entropy_flow_a",
        "entropy_flow_b",
        "x_a",
        "x_b",
        "t",
    }
    np.testing.assert_array_equal(data.time, solution.times)
    np.testing.assert_array_equal(data.x_b, solution.observables["x"]["b"])
    np.testing.assert_array_equal(data.heat_a, solution.heat_by_leaf["a"])
    assert data.heat.dims == ("trajectory", "time")
    assert data.entropy_flow.attrs["units"] == "nat"
    assert all(variable.attrs["long_name"] for variable in data.variables.values())


def test_a_solution_reads_well(solution):
    text = str(solution)
    assert text.startswith("Solution of 4 trajectories at 3 saves")
    assert "0 to 1 in 10 steps" in text
    assert "t, x" in text
    assert f"{tml.Estimate.of(np.asarray(solution.heat)[:, -1])} (mean at the end)" in text
    assert "non-finite" not in text
    traced = []
    jax.jit(lambda s: traced.append(str(s)))(solution)
    assert "traced" in traced[0]


def test_a_solution_is_a_pytree(solution):
    mapped = jax.vmap(lambda work, heat: work - heat)(solution.work, solution.heat)
    doubled = jax.tree.map(lambda leaf: 2 * leaf, solution)
    np.testing.assert_array_equal(doubled.energy, 2 * solution.energy)
    np.testing.assert_allclose(mapped, solution.energy - solution.energy[:, :1], atol=1e-5)


@pytest.mark.parametrize("progress", [True, diffrax.TextProgressMeter(minimum_increase=0.1)])
def test_progress_is_shown_and_changes_nothing(key, trap, capfd, progress):
    options = {"t1": 1.0, "dt": 0.1, "key": key, "save_every": 1}
    system = tml.Langevin(trap)
    quiet = tml.simulate(system, 1.0, **options)
    assert capfd.readouterr() == ("", "")
    shown = tml.simulate(system, 1.0, progress=progress, **options)
    jax.effects_barrier()
    out = capfd.readouterr()
    assert "100" in out.out + out.err
    np.testing.assert_array_equal(shown.heat, quiet.heat)


def test_progress_works_under_jit_and_grad(key, trap, capfd):
    def end(x):
        return tml.simulate(
            tml.Langevin(trap), x, t1=0.2, dt=0.1, key=key, save_every=1, progress=True
        ).final_state[0]

    assert np.isfinite(jax.jit(jax.grad(end))(1.0))
