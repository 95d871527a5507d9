"""Training by optimisers: against matrix powers, optax by hand, and Yaida's relation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import thermoml as tml

close = np.testing.assert_allclose
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(20, 3))
VALUES = FEATURES @ [1.0, -0.5, 0.2] + 0.5 * RNG.normal(size=20)


def linear(**options):
    return tml.LinearLearning(
        tml.MeanSquaredError(), (FEATURES, VALUES), prior_stiffness=0.1, **options
    )


def mlp(**options):
    network = eqx.nn.MLP(3, "scalar", 4, 1, activation=jnp.tanh, key=jax.random.key(0))
    return tml.NetworkLearning(
        network, tml.MeanSquaredError(), (FEATURES, VALUES), prior_stiffness=0.1, **options
    )


def test_full_batches_are_a_power_of_a_matrix(x64):
    run = tml.networks.optimise(
        linear(), jnp.zeros(3), optax.sgd(0.2), steps=30, save_every=10, key=jax.random.key(0)
    )
    stiffness = FEATURES.T @ FEATURES / 20 + 0.1 * np.eye(3)
    lowest = np.linalg.solve(stiffness, FEATURES.T @ VALUES / 20)
    assert run.steps.tolist() == [0, 10, 20, 30]
    for i, step in enumerate(run.steps):
        theta = lowest - np.linalg.matrix_power(np.eye(3) - 0.2 * stiffness, int(step)) @ lowest
        close(run.energy[0, i], linear().total_energy(jnp.asarray(theta)), rtol=1e-12)
    close(run.final_state[0], theta, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", [optax.adam(0.01), optax.sgd(0.05, momentum=0.9)])
def test_any_optimiser_of_optax(x64, optimiser):
    system = mlp(batch=5)
    run = tml.networks.optimise(system, tml.networks.Normal(0.5), optimiser, steps=7,
                       key=jax.random.key(3), n_trajectories=2)  # fmt: skip
    own = jax.random.split(jax.random.fold_in(jax.random.key(3), 1))[1]  # of minibatches
    zero = tml.networks.optimise(system, tml.networks.Normal(0.5), optax.sgd(0.0), steps=1,
                        key=jax.random.key(3), n_trajectories=2)  # fmt: skip
    state = jax.tree.map(lambda leaf: leaf[1], zero.final_state)
    memory = optimiser.init(state)
    for number in range(7):
        rows = system.draw(jax.random.fold_in(own, number))
        slope = jax.grad(
            lambda s, rows=rows: (
                system.data_energy(s, system.features[rows], system.targets[rows])
                + system.prior_energy(s)
            )
        )(state)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            update, memory = optimiser.update(slope, memory, state)
        state = optax.apply_updates(state, update)
    for one, other in zip(jax.tree.leaves(run.final_state), jax.tree.leaves(state), strict=True):
        close(one[1], other, rtol=1e-9, atol=1e-12)
    close(run.energy[1, -1], system.total_energy(state), rtol=1e-9)


@pytest.fixture(scope="module")
def rested():
    with jax.enable_x64(True):
        system = mlp(batch=4)
        return system, tml.networks.optimise(
            system, tml.networks.Normal(0.5), optax.sgd(0.1), steps=4000, key=jax.random.key(1),
            n_trajectories=200, measure_from=1500,
        )  # fmt: skip


@pytest.mark.slow
def test_yaidas_relation_holds_in_each_layer_at_rest(x64, rested):
    _, run = rested
    for value, error in run.stationarity(0.1).values():
        assert abs(value) < 4 * error  # a false alarm in 8000 keys for two layers
    for name, (value, error) in run.virial_temperature().items():
        assert value > 20 * error, name
        off, off_error = run.stationarity(0.2)[name]  # of another rate
        assert abs(off) > 20 * off_error


@pytest.mark.slow
def test_before_rest_it_does_not_hold(x64):
    system = mlp(batch=4)
    run = tml.networks.optimise(system, tml.networks.Normal(2.0), optax.sgd(0.1), steps=20,
                       measure_from=0, key=jax.random.key(1), n_trajectories=200)  # fmt: skip
    assert max(abs(v) / e for v, e in run.stationarity(0.1).values()) > 10


@pytest.mark.slow
def test_the_noise_of_minibatches_is_the_virial_less_the_mean_gradient(x64, rested):
    r"""⟨θ·g⟩ = (η/2)⟨|g|²⟩, and ⟨|g|²⟩ = tr C + ⟨|∂E|²⟩."""
    system, run = rested
    warm = tml.networks.gradient_noise_temperature(
        system, run.final_state, learning_rate=0.1, batch=4
    )
    slopes = jax.lax.map(jax.grad(system.total_energy), run.final_state, batch_size=50)
    split = tml.networks.layers(system)
    squares = jax.vmap(lambda s: split.totals(jax.tree.map(jnp.square, s)))(slopes)
    for name, (virial, error) in run.virial_temperature().items():
        mean = 0.05 * squares[name] / split.sizes[name]
        mean_error = jnp.std(mean) / 200**0.5
        value, noise_error = warm[name]
        # State by state |∂E|² and tr C vary; both errors are of 200 states
        spread = jnp.sqrt(error**2 + mean_error**2 + noise_error**2)
        assert abs(virial - value - jnp.mean(mean)) < 4 * spread < 0.5 * virial


@pytest.mark.slow
def test_trajectories_do_not_depend_on_their_number(x64):
    few, many = (
        tml.networks.optimise(
            mlp(batch=3),
            tml.networks.Normal(0.5),
            optax.sgd(0.1),
            steps=5,
            key=jax.random.key(2),
            n_trajectories=n,
        )
        for n in (2, 5)
    )
    close(few.energy, many.energy[:2], rtol=1e-12)
    assert abs(many.energy[0, 0] - many.energy[1, 0]) > 1e-3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"save_every": 3}, ValueError, "save_every must divide the 10 steps"),
        ({"measure_from": 10}, ValueError, "measure_from must be below the 10 steps, got 10"),
        ({"n_trajectories": 0}, ValueError, "n_trajectories must be at least 1"),
        ({"optimiser": 0.1}, TypeError, r"optimiser must be one of optax.*got 0.1"),
        ({"start": "he"}, ValueError, "initialisation must be one of"),
        ({"start": 3.0j}, TypeError, "an initialisation must be"),
    ],
)
def test_refusals(options, error, message):
    options = {"optimiser": optax.sgd(0.1), "start": tml.networks.Normal(), "steps": 10} | options
    optimiser, start = options.pop("optimiser"), options.pop("start")
    with pytest.raises(error, match=message):
        tml.networks.optimise(mlp(), start, optimiser, key=jax.random.key(0), **options)


MORE = {
    "lbfgs": optax.lbfgs(),
    "polyak": optax.polyak_sgd(),
    "plateau": optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau()),
    "backtracking": optax.chain(
        optax.sgd(1.0), optax.scale_by_backtracking_linesearch(max_backtracking_steps=10)
    ),
    "several steps": optax.MultiSteps(optax.sgd(0.3), every_k_schedule=2),
    "several steps, converted": optax.MultiSteps(optax.sgd(0.3), 2).gradient_transformation(),
    "decay": optax.adamw(optax.cosine_decay_schedule(0.1, 30)),
    "masked": optax.masked(optax.sgd(0.1), True),
    "finite": optax.apply_if_finite(optax.sgd(0.1), 3),
}


@pytest.mark.parametrize("name", MORE)
def test_optimisers_that_take_more_than_the_gradient(x64, name):
    run = tml.networks.optimise(
        linear(), jnp.zeros(3), MORE[name], steps=30, save_every=10, key=jax.random.key(0)
    )
    stiffness = FEATURES.T @ FEATURES / 20 + 0.1 * np.eye(3)
    lowest = linear().total_energy(np.linalg.solve(stiffness, FEATURES.T @ VALUES / 20))
    gaps = np.asarray(run.energy[0]) - float(lowest)
    assert (np.diff(gaps[:2]) < 0).all()
    assert -1e-12 < gaps[-1] < 0.3 * gaps[0]
    if name in ("lbfgs", "backtracking"):
        assert gaps[-1] < 1e-8
    if name.startswith("several"):
        plain = tml.networks.optimise(
            linear(), jnp.zeros(3), optax.sgd(0.3), steps=15, key=jax.random.key(0)
        )
        close(run.final_state, plain.final_state, rtol=1e-8)  # optax sums in float32


def test_divergence_is_an_error_that_holds_the_run():
    options = {"steps": 40, "save_every": 10, "key": jax.random.key(0), "n_trajectories": 2}
    train = lambda **more: tml.networks.optimise(
        linear(), jnp.ones(3), optax.sgd(1e3), **options, **more
    )
    with pytest.raises(tml.SimulationDiverged, match="smaller learning rate") as failure:
        train()
    quiet = train(throw=False)
    for run in (failure.value.solution, quiet):
        assert (np.asarray(run.diverged_step) > 0).all()
        energies = np.asarray(run.energy)
        assert np.isfinite(energies[:, 0]).all()
        assert np.isnan(energies[:, -1]).all()
    fine = tml.networks.optimise(linear(), jnp.ones(3), optax.sgd(0.1), **options)
    assert fine.diverged_step.tolist() == [-1, -1]
