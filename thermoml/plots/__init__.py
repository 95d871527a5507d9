"""Figures from labelled results. Nothing is computed here that a reader would quote."""

from ..numerics.public import publish as _publish
from ._at_rest import entropy_production, error_at_dissipation, frontier, measured_against_alpha
from ._data_refresh import refresh_distributions, refresh_indicators
from ._data_temperature import (
    real_data_heat,
    real_data_temperature,
    temperature_by_knob,
    unavoidable_by_knob,
)
from ._experiments import (
    engine_against_duration,
    engine_diagrams,
    entropy_production_distributions,
    free_energy_estimates,
    heat_between_baths,
    optimal_protocols,
    ring_densities,
    ring_transport,
    work_distributions,
)
from ._heat_engines import (
    efficiency_curves,
    engine_comparison,
    local_temperature_maps,
    temperature_profiles,
)
from ._learning_efficiency import efficiency_of_learning
from ._learning_rules import error_against_dissipation, heat_and_energy, learning_curves
from ._parameter_sweep import error_and_dissipation
from ._training_complexity import temperature_of_classes
from ._training_engine import training_engines
from ._training_transition import heat_capacities, training_diagrams
from ._tune_alpha import gradients_and_optima

__all__ = [
    "efficiency_curves",
    "efficiency_of_learning",
    "engine_against_duration",
    "engine_comparison",
    "engine_diagrams",
    "entropy_production",
    "entropy_production_distributions",
    "error_against_dissipation",
    "error_and_dissipation",
    "error_at_dissipation",
    "free_energy_estimates",
    "frontier",
    "gradients_and_optima",
    "heat_and_energy",
    "heat_between_baths",
    "heat_capacities",
    "learning_curves",
    "local_temperature_maps",
    "measured_against_alpha",
    "optimal_protocols",
    "real_data_heat",
    "real_data_temperature",
    "refresh_distributions",
    "refresh_indicators",
    "ring_densities",
    "ring_transport",
    "temperature_by_knob",
    "temperature_of_classes",
    "temperature_profiles",
    "training_diagrams",
    "training_engines",
    "unavoidable_by_knob",
    "work_distributions",
]

_publish(globals())
