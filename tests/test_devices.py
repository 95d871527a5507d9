"""Sweeps and `simulate` on one, two and four devices: the same results."""

import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # three processes, each of which compiles everything anew

SCRIPT = """
import sys
from pathlib import Path
import jax
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
jax.config.update("jax_platforms", "cpu")
import jax.numpy as jnp
import numpy as np
import thermoml as tml

out, key = Path(sys.argv[2]), jax.random.key(1)


def learn(ensemble, alpha, n_inputs):
    problem = tml.LearningProblem(
        tml.AlphaTron(alpha), learning_rate=0.5, n_inputs=n_inputs, batch=3
    )
    return tml.learn(problem, tml.Microscopic(0.01), t1=0.1, save_every=5, **ensemble)


grid = tml.Grid(n_inputs=[5, 30], alpha=[0.1, 0.7])
tml.sweep(
    grid, learn, store=out / "blocks", key=key, n_trajectories=70, per_unit=64, trajectories=True
)
tml.sweep(
    tml.Grid(n_inputs=[5], alpha=[0.1, 0.7]),
    learn,
    store=out / "points",
    key=key,
    n_trajectories=13,
    trajectories=True,
)
system = tml.Langevin(
    lambda x, k: k * jnp.sum(x**2) / 2 + jnp.sum(jnp.cos(x)), control=tml.Ramp(1.0, 3.0)
)


def simulate():
    return tml.simulate(
        system,
        lambda key: jax.random.normal(key, (3,)),
        t1=1.0,
        dt=0.05,
        key=key,
        n_trajectories=50,
        save_every=10,
        observables={"mean": tml.langevin.Mean(lambda x, k, t: x)},
    )


solution = simulate()
names = ("work", "heat", "energy", "entropy_flow", "final_state")
values = {name: np.asarray(getattr(solution, name)) for name in names}
np.savez(out / "simulate.npz", mean=solution.observables["mean"], **values)
inside = jax.jit(lambda: simulate().work)()
print(len(inside.sharding.device_set), jax.device_count())
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Results by number of devices: the folders of three processes that run at the same time."""
    folders = {count: tmp_path_factory.mktemp(f"devices{count}") for count in (1, 2, 4)}
    processes = {
        count: subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(count), folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for count, folder in folders.items()
    }
    for count, process in processes.items():
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        assert output.split() == [f"{count}", f"{count}"]  # every device was used
    return folders


def files(folder):
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("sweep", ["blocks", "points"])
def test_a_sweep_leaves_the_same_store_on_any_number_of_devices(runs, sweep):
    stores = {count: files(folder / sweep / "results.zarr") for count, folder in runs.items()}
    assert len(stores[1]) > 50
    for count in (2, 4):
        assert stores[count].keys() == stores[1].keys()
        differ = [name for name, content in stores[1].items() if stores[count][name] != content]
        assert not differ, (count, differ)


def test_a_simulation_is_the_same_on_any_number_of_devices(runs):
    """To round-off: XLA may round the force of a user's potential differently by its shape."""
    one, *others = (np.load(folder / "simulate.npz") for folder in runs.values())
    for other in others:
        for name in one.files:
            np.testing.assert_allclose(other[name], one[name], rtol=2e-5, atol=2e-6, err_msg=name)
