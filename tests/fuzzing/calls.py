"""Public constructors and cheap functions, each with arguments that are right."""

import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import thermoml as tml
from thermoml import langevin, networks, perceptron, sweeps, thermodynamics


class Call(NamedTuple):
    """A function with right arguments, of which some are replaced.

    Attributes:
        function: to call.
        arguments: right ones, by name; all but functions of the library's users are replaced.
        nan: arguments that may be NaN, as results of trajectories that diverged are.
        words: other words that an error may hold in place of the argument's name.
    """

    function: Callable[..., Any]
    arguments: dict[str, Any]
    nan: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def spring(x: Any, control: Any) -> Any:
    return jnp.sum(x**2) / 2


def first(x: Any, control: Any, t: Any) -> Any:
    return jnp.ravel(x)[0]


def result(ensemble: Any, a: Any) -> Any:
    return {"y": a * jnp.ones(ensemble["n_trajectories"])}


KEY = jax.random.key(0)
TRAP = langevin.HarmonicPotential(1.0)
SYSTEM = tml.Langevin(TRAP)
PROBLEM = tml.LearningProblem(tml.Hebbian(), learning_rate=1.0, n_inputs=8, batch=3)
NOISE = np.random.default_rng(0).normal(size=(40, 2))
WORK = 0.5 + NOISE[:, 0]
DATA = networks.Data(NOISE, NOISE @ np.array([1.0, -1.0]) + 0.1 * WORK)

LANGEVIN = {
    "Constant": Call(langevin.Constant, {"value": 1.0}),
    "Ramp": Call(tml.Ramp, {"start": 0.0, "end": 1.0, "t0": 0.0, "t1": 2.0}),
    "PiecewiseLinear": Call(
        tml.PiecewiseLinear, {"times": np.array([0.0, 1.0, 2.0]), "values": np.ones(3)}
    ),
    "between": Call(
        tml.PiecewiseLinear.between,
        {"start": 0.0, "inside": np.ones(3), "end": 1.0, "t0": 0.0, "t1": 1.0},
    ),
    "Baths": Call(tml.Baths, {"temperature": 1.0, "mobility": 1.0}),
    "Langevin": Call(
        tml.Langevin,
        {"potential": TRAP, "drive": None, "control": None, "temperature": 1.0, "mobility": 1.0},
    ),
    "HarmonicPotential": Call(langevin.HarmonicPotential, {"stiffness": 1.0, "centre": 0.0}),
    "QuadraticPotential": Call(langevin.QuadraticPotential, {"stiffness": np.eye(2)}),
    "LinearForce": Call(langevin.LinearForce, {"matrix": np.eye(2)}),
    "ExactLinear": Call(tml.ExactLinear, {"stiffness": 1.0}),
    "Histogram": Call(langevin.Histogram, {"function": first, "edges": np.array([0.0, 1.0])}),
    "Layout": Call(langevin.Layout, {"chunk": 4, "n_devices": 1, "platform": "cpu"}),
    "Batch": Call(
        lambda states: tml.simulate(SYSTEM, langevin.Batch(states), t1=0.1, dt=0.1, key=KEY),
        {"states": jnp.ones(3)},
        words=("diverged", "non-finite"),
    ),
    "simulate": Call(
        tml.simulate,
        {
            "system": SYSTEM,
            "state": 1.0,
            "t1": 0.2,
            "dt": 0.1,
            "key": KEY,
            "t0": 0.0,
            "n_trajectories": 2,
            "first_trajectory": 0,
            "integrator": tml.EulerMaruyama(),
            "save_every": 1,
            "observables": {"x": first},
            "adjoint": langevin.Direct(),
            "progress": False,
            "throw": True,
            "layout": langevin.Layout(n_devices=1),
        },
    ),
}
THERMODYNAMICS = {
    "NormalState": Call(tml.NormalState, {"mean": np.zeros(2), "covariance": np.eye(2)}),
    "LinearSystem": Call(
        tml.LinearSystem, {"drift": np.eye(2), "temperature": np.ones(2), "mobility": 1.0}
    ),
    "Axis": Call(tml.Axis, {"lower": -1.0, "upper": 1.0, "cells": 8, "boundary": "reflecting"}),
    "FokkerPlanck": Call(
        tml.FokkerPlanck, {"system": SYSTEM, "axes": tml.Axis(-4, 4, 40), "state": jnp.zeros(())}
    ),
    "Stroke": Call(tml.Stroke, {"control": 1.0, "duration": 1.0, "bath": "hot"}),
    "Cycle": Call(
        tml.Cycle,
        {
            "potential": spring,
            "strokes": [tml.Stroke(k, duration=1.0, bath="hot") for k in (1.0, 2.0)],
            "temperatures": {"hot": 1.0},
            "drive": None,
            "mobility": 1.0,
        },
    ),
    "moment_equations": Call(
        tml.moment_equations,
        {
            "system": SYSTEM,
            "start": tml.NormalState(0.0, 1.0),
            "t1": 1.0,
            "t0": 0.0,
            "saves": 1,
        },
    ),
    "jarzynski": Call(tml.jarzynski, {"work": WORK, "temperature": 1.0}),
    "bennett": Call(
        tml.bennett, {"work_forward": WORK, "work_reverse": WORK + 0.1, "temperature": 1.0}
    ),
    "crooks": Call(
        tml.crooks, {"work_forward": WORK, "work_reverse": WORK + 0.1, "temperature": 1.0}
    ),
    "integral_fluctuation": Call(tml.integral_fluctuation, {"entropy_production": WORK}),
    "uncertainty_product": Call(
        tml.uncertainty_product, {"current": WORK, "entropy_production": WORK}
    ),
    "gaussian_entropy": Call(thermodynamics.gaussian_entropy, {"samples": NOISE}),
    "knn_entropy": Call(thermodynamics.knn_entropy, {"samples": NOISE, "neighbours": 4}),
    "normal_entropy": Call(thermodynamics.normal_entropy, {"covariance": np.eye(2)}),
    "uniform_entropy": Call(thermodynamics.uniform_entropy, {"widths": np.ones(2)}),
    "truncated_normal_entropy": Call(
        thermodynamics.truncated_normal_entropy,
        {"std": 1.0, "lower": -1.0, "upper": 1.0, "mean": 0.0},
    ),
    "mixture_entropy": Call(
        thermodynamics.mixture_entropy, {"entropies": np.ones(2), "weights": np.ones(2) / 2}
    ),
    "block_entropy": Call(
        thermodynamics.block_entropy, {"entropies": np.ones(2), "counts": np.array([1, 2])}
    ),
}
PERCEPTRON = {
    "AlphaTron": Call(tml.AlphaTron, {"alpha": 0.5}),
    "LinearAlphaTron": Call(perceptron.LinearAlphaTron, {"alpha": 0.5}),
    "CustomRule": Call(
        perceptron.CustomRule, {"force": jnp.tanh, "continuous": True, "kinks": None}
    ),
    "OptimalRule": Call(tml.OptimalRule, {"error": 0.2}),
    "TrainingSet": Call(tml.TrainingSet, {"examples": np.sign(NOISE)}),
    "Perceptron": Call(tml.Perceptron, {"weights": np.ones(3)}, nan=("weights",)),
    "LearningProblem": Call(
        tml.LearningProblem,
        {
            "rule": tml.Hebbian(),
            "learning_rate": 1.0,
            "n_inputs": 8,
            "stiffness": 1.0,
            "temperature": 1.0,
            "batch": 3,
            "inputs": "binary",
        },
    ),
    "learn": Call(
        tml.learn,
        {
            "problem": PROBLEM,
            "level": tml.Reduced(0.1),
            "t1": 0.2,
            "key": KEY,
            "n_trajectories": 2,
            "save_every": 1,
            "teacher": None,
            "teachers": "single",
            "weights": None,
            "first_trajectory": 0,
            "test_inputs": None,
            "adjoint": langevin.Direct(),
            "throw": True,
            "layout": langevin.Layout(n_devices=1),
        },
    ),
    "learn, microscopic": Call(
        tml.learn,
        {
            "problem": PROBLEM,
            "level": tml.Microscopic(0.1),
            "t1": 0.2,
            "key": KEY,
            "teacher": np.ones(8),
            "weights": np.ones(8),
            "test_inputs": np.ones((2, 8)),
        },
    ),
    "MeanField": Call(tml.MeanField, {"dt": 0.1, "finite_step": False}),
    "Microscopic": Call(tml.Microscopic, {"dt": 0.1, "generator": "hash"}),
    "Reduced": Call(tml.Reduced, {"dt": 0.1, "jump_corrected": False, "generator": "hash"}),
    "LearningObjective": Call(
        tml.LearningObjective,
        {
            "build": lambda x: PROBLEM,
            "level": tml.Reduced(0.1),
            "t1": 0.2,
            "n_trajectories": 2,
            "method": "auto",
            "step": 0.02,
            "teachers": "ensemble",
        },
    ),
    "dissipation_bound": Call(
        tml.dissipation_bound, {"error": 0.2, "stiffness": 1.0, "temperature": 1.0}
    ),
    "at_dissipation": Call(perceptron.at_dissipation, {"problem": PROBLEM, "dissipation": 1.0}),
    "steady_state": Call(tml.steady_state, {"problem": PROBLEM, "exact": False}),
    "generalization_error": Call(
        perceptron.generalization_error,
        {"student": np.ones(3), "teacher": np.ones(3)},
        ("student", "teacher"),
    ),
    "label_information": Call(perceptron.label_information, {"error": 0.2}),
    "test_error": Call(
        perceptron.test_error,
        {"student": np.ones(3), "teacher": np.ones(3), "inputs": np.ones((2, 3))},
        ("student", "teacher"),
    ),
    "binary_teacher": Call(perceptron.binary_teacher, {"key": KEY, "n_inputs": 3}),
    "sphere_teacher": Call(perceptron.sphere_teacher, {"key": KEY, "n_inputs": 3}),
}
NETWORKS = {
    "Data": Call(networks.Data, {"features": NOISE, "targets": WORK, "name": "noise"}),
    "example_data": Call(tml.example_data, {"name": "diabetes"}),
    "read_csv": Call(tml.read_csv, {"path": "nowhere.csv", "target": "y"}, words=("path",)),
    "synthetic_data": Call(
        networks.synthetic_data,
        {"n_examples": 10, "spectrum": np.ones(2), "noise": 0.1, "key": KEY, "n_classes": 2},
    ),
    "classify_engine": Call(
        tml.classify_engine,
        {"activation": "tanh", "temperatures": np.ones(2), "kinks": None, "tolerance": 0.1},
    ),
    "work_efficiency": Call(tml.work_efficiency, {"activation": jnp.tanh, "temperature": 1.0}),
    "coherent_efficiency": Call(
        networks.coherent_efficiency, {"activation": jnp.tanh, "temperature": 1.0}
    ),
    "engine_balance": Call(
        networks.engine_balance, {"activation": jnp.tanh, "temperature": 1.0, "kinks": None}
    ),
    "engine_chain": Call(
        tml.engine_chain,
        {
            "activation": jnp.tanh,
            "depth": 2,
            "weight_variance": 1.0,
            "bias_variance": 0.0,
            "temperature": 1.0,
        },
    ),
    "Activation": Call(networks.Activation, {"function": jnp.tanh, "kinks": (0.0,)}),
    "Normal": Call(networks.Normal, {"std": 1.0}),
    "Uniform": Call(networks.Uniform, {"bound": 1.0}),
    "He": Call(networks.He, {"distribution": "normal"}),
    "Glorot": Call(networks.Glorot, {"distribution": "normal"}),
    "LinearLearning": Call(
        tml.LinearLearning,
        {
            "energy": tml.MeanSquaredError(),
            "data": DATA,
            "prior_stiffness": 0.1,
            "batch": None,
            "temperature": 1.0,
            "mobility": 1.0,
        },
    ),
    "Importance": Call(networks.Importance, {"n_samples": 1000, "key": KEY}),
    "Laplace": Call(
        networks.Laplace,
        {"start": None, "log_copies": 0.0, "log_determinant": "auto", "n_probes": 3, "order": 4},
    ),
    "Switching": Call(
        tml.Switching, {"t1": 1.0, "relax": 1.0, "dt": 0.1, "n_trajectories": 2, "key": KEY}
    ),
    "asymptotic_temperature": Call(
        networks.asymptotic_temperature,
        {"aspect_ratio": 0.5, "initial_variance": 1.0, "signal": 1.0, "bath_temperature": 1.0},
    ),
    "log_determinant_density": Call(networks.log_determinant_density, {"aspect_ratio": 0.5}),
    "log_copies": Call(
        lambda width, odd: networks.log_copies(2, width, odd=odd), {"width": 3, "odd": True}
    ),
    "expected_maximum": Call(networks.expected_maximum, {"count": 3}),
    "linear_temperature": Call(
        tml.linear_temperature,
        {
            "features": NOISE,
            "targets": WORK,
            "initialisation": 1.0,
            "bath_temperature": 1.0,
            "prior_stiffness": 0.0,
        },
    ),
}


def _sweep(**arguments: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return tml.sweep(store=folder + "/store", progress=False, **arguments)


SWEEPS = {
    "Grid": Call(lambda a: tml.Grid(a=a), {"a": [1.0, 2.0]}),
    "Grid.zip": Call(lambda a, b: tml.Grid.zip(a=a, b=b), {"a": [1.0, 2.0], "b": [1, 2]}),
    "parse_size": Call(sweeps.parse_size, {"memory": "1GB"}),
    "sweep": Call(
        _sweep,
        {
            "grid": {"a": [1.0]},
            "function": result,
            "key": KEY,
            "n_trajectories": 2,
            "static": (),
            "trajectories": False,
            "replicates": "trajectory",
            "standard_errors": None,
            "memory": "1GB",
            "per_unit": None,
        },
    ),
    "tune": Call(
        tml.tune,
        {
            "objective": lambda x: (x - 2) ** 2,
            "parameters": 0.0,
            "optimiser": None,
            "max_steps": 3,
            "tolerance": 1e-3,
        },
    ),
    "load": Call(tml.load, {"path": "nowhere.tml"}, words=("file",)),
    "Estimate": Call(
        tml.Estimate, {"mean": 1.0, "standard_error": 0.1}, nan=("mean", "standard_error")
    ),
}
# They search or compile for many seconds, accepted or not.
SLOW = {"at_dissipation", "steady_state", "classify_engine", "engine_chain", "expected_maximum"}
SLOW |= {"linear_temperature", "learn", "learn, microscopic", "OptimalRule", "tune"}
CALLS = LANGEVIN | THERMODYNAMICS | PERCEPTRON | NETWORKS | SWEEPS
