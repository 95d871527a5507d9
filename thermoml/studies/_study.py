"""Studies: the base class, the shipped ones and a user's own by name, and their runs."""

import abc
import ast
import contextlib
import importlib
import inspect
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, get_type_hints

import jax
import numpy as np

from ..config import (
    ConfigError,
    Ensemble,
    checked,
    config_json,
    load_yaml,
    named_objects,
    object_named,
    read_config,
    shipped_configs,
)
from ..langevin import SimulationDiverged
from ..numerics.choices import nearest
from ..sweeps import Grid, Store, StoreError, Sweep, Task, parse_size, program_of_study
from ._drawing import draw

if TYPE_CHECKING:
    import xarray
    from distributed import Client
    from matplotlib.figure import Figure


class StudyWarning(UserWarning):
    """Something that a study could not do after its run, such as a figure."""


class AbstractStudy(abc.ABC):
    """Base of all studies: an ensemble at every point of a grid, a summary, a table and figures.

    A study is a subclass whose `config` is annotated with its schema. A shipped one is the only
    subclass in its file `studies/<topic>/<name>.py`, and configs name it by `study: <name>`; any
    other is named by `study: path/to/file.py:Class`, relative to the config, or by
    `study: module:Class`. `thermoml run` and `thermoml plot` do not tell them apart. A whole study:

    ```python
    import jax
    from pydantic import Field

    from thermoml import Estimate, Grid, Langevin, simulate
    from thermoml.config import Ensemble, Numbers
    from thermoml.plots import new_figure
    from thermoml.studies import AbstractStudy, measured, table_text
    from thermoml.sweeps import Labelled


    def spring(x, control):
        return x**2 / 2


    class Relaxation(Ensemble):
        width: Numbers  # of the start, in units of the width at rest
        t1: float = Field(default=1.0, gt=0)


    class RelaxationStudy(AbstractStudy):
        config: Relaxation

        @property
        def grid(self):
            return Grid(width=self.config.width)

        def point(self, ensemble, *, width):
            start = lambda key: width * jax.random.normal(key, ())
            system, t1 = Langevin(spring), self.config.t1
            run = simulate(system, start, t1=t1, dt=0.01, throw=False, **ensemble)
            return {"heat": Labelled(("trajectory",), run.heat[:, -1], "energy", "heat")}

        def check(self, results):
            self.refuse_lost(results, "trajectories turned non-finite; use a smaller dt")

        def summary(self, results):
            return {
                "points": [
                    parameters | {"heat": measured(entry, "heat")}
                    for _, parameters, entry in self.points(results)
                ]
            }

        def table(self, summary):
            rows = [[f"{p['width']:g}", f"{Estimate(**p['heat'])}"] for p in summary["points"]]
            return table_text([["width", "heat"], *rows])

        def figures(self, results):
            figure, (ax,) = new_figure()
            ax.errorbar(results.width, results.heat, 2 * results.heat_standard_error)
            return {"heat": figure}
    ```

    A variable with the dimension `trajectory` is averaged in the store and gets a
    `<name>_standard_error`; one without it is exact and stored once a point. Instances travel to
    other processes as their config alone.

    Attributes:
        config: checked settings, of the schema that a subclass annotates.
        static: floats of the grid that fix shapes, such as dt; see `sweep`.
        replicates: name of the dimension of the n_trajectories rows, if they are no trajectories:
            "resample", "data_set", …
        standard_errors: whether means have standard errors; by default those of trajectories.
    """

    config: Any
    static: ClassVar[tuple[str, ...]] = ()
    replicates: ClassVar[str] = "trajectory"
    standard_errors: ClassVar[bool | None] = None

    def __init__(self, config: Any):
        self.config = config

    def __reduce__(self):
        return study_from_json, (config_json(self.config),)

    @property
    @abc.abstractmethod
    def grid(self) -> Grid:
        """The parameters that change."""

    @abc.abstractmethod
    def point(self, ensemble: Mapping[str, Any], *_: Any, **parameters: Any) -> Any:
        """The results at one point of the grid, whose parameters are keywords; see `sweep`."""

    @abc.abstractmethod
    def check(self, results: "xarray.Dataset") -> None:
        """Warn of results that need care.

        Raises:
            SimulationDiverged: trajectories turned non-finite; the finite part of them is kept.
        """

    @abc.abstractmethod
    def summary(self, results: "xarray.Dataset") -> dict[str, Any]:
        """The headline numbers with their standard errors, ready for JSON."""

    @abc.abstractmethod
    def table(self, summary: Mapping[str, Any]) -> str:
        """The summary for a terminal."""

    @abc.abstractmethod
    def figures(self, results: "xarray.Dataset") -> "dict[str, Figure]":
        """The figures by file name."""

    def points(
        self, results: "xarray.Dataset"
    ) -> "Iterator[tuple[str, dict[str, Any], xarray.Dataset]]":
        """Label, parameters and results of each point."""
        for index in np.ndindex(self.grid.shape):
            entry = results.isel(dict(zip(self.grid.dims, index, strict=True)))
            yield self.grid.label(index), self.grid.point(index), entry

    def refuse_lost(self, results: "xarray.Dataset", message: str) -> None:
        """SimulationDiverged if not all trajectories are finite, with the point and a message."""
        lost = [label for label, _, entry in self.points(results) if float(entry.diverged) > 0]
        if lost:
            more = f", and at {len(lost) - 1} more points" if len(lost) > 1 else ""
            raise SimulationDiverged(f"at {lost[0]}{more}: {message}", results)


def shipped_studies() -> dict[str, Path]:
    """The files of the studies that travel with the package, by the names that configs use."""
    files = sorted(Path(__file__).parent.glob("*/[!_]*.py"))
    return {file.stem: file for file in files}


def descriptions() -> list[tuple[list[str], str]]:
    """For each shipped study the names of its configs, and the first line of its docstring.

    Files are read, not imported.
    """
    configs: dict[str, list[str]] = {}
    for name, file in shipped_configs().items():
        study = load_yaml(file.read_text(encoding="utf-8"))["study"]
        configs.setdefault(study, []).append(name)
    lines = []
    for name, file in shipped_studies().items():
        words = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        lines.append(
            (
                sorted(configs.get(name, []), key=lambda config, name=name: config != name),
                words.splitlines()[0],
            )
        )
    return lines


def study_class(reference: str) -> type[AbstractStudy]:
    """The study that a config names: a shipped one, `module:Class` or `path/to/file.py:Class`.

    Raises:
        ConfigError: there is no such study, or it is not a complete subclass of `AbstractStudy`.
    """
    shipped = shipped_studies()
    if reference in shipped:
        topic = shipped[reference].parent.name
        return _only_study(importlib.import_module(f".{topic}.{reference}", __package__))
    if ":" not in reference:
        remedy = nearest(reference, shipped)
        raise ConfigError(f"study {reference!r} is unknown{remedy}, or path/to/file.py:Class")
    try:
        named = object_named(reference)
    except ConfigError as error:
        raise ConfigError(f"study: {error}") from None
    if not (inspect.isclass(named) and issubclass(named, AbstractStudy)):
        raise ConfigError(f"study: {reference} must be a subclass of AbstractStudy, got {named!r}")
    if inspect.isabstract(named):
        missing = ", ".join(sorted(named.__abstractmethods__))
        raise ConfigError(f"study: {reference} must also define {missing}")
    return named


def _only_study(module: ModuleType) -> type[AbstractStudy]:
    """The study of a shipped file; ConfigError unless it defines one and only one."""
    studies = [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing)
        and issubclass(thing, AbstractStudy)
        and thing.__module__ == module.__name__
    ]
    if len(studies) != 1:
        raise ConfigError(f"{module.__file__} must define one AbstractStudy, got {len(studies)}")
    return studies[0]


def schema_of(study: type[AbstractStudy]) -> type[Ensemble]:
    """The schema of a study's settings, which its `config` is annotated with.

    Raises:
        ConfigError: there is no such annotation, or it is not a subclass of `Ensemble`.
    """
    schema = get_type_hints(study)["config"]
    if not (inspect.isclass(schema) and issubclass(schema, Ensemble)):
        raise ConfigError(
            f"study: {study.__qualname__} must annotate its settings, such as config: Settings "
            "with class Settings(Ensemble)"
        )
    return schema


def study_of(settings: Mapping[str, Any]) -> AbstractStudy:
    """The study that settings ask for, with the settings checked.

    Raises:
        ConfigError: the first mistake, in one line.
    """
    reference = settings.get("study")
    if reference is None:
        raise ConfigError("study is missing; add study: learning_rules")
    if not isinstance(reference, str):
        raise ConfigError(f"study must be a name, got {reference!r}; try study: learning_rules")
    study = study_class(reference)
    return study(checked(settings, schema_of(study)))


def load_study(source: str, *, overrides: Sequence[str] = (), quick: bool = False) -> AbstractStudy:
    """The study of a config file, or of the shipped config of that name; see `read_config`."""
    return study_of(read_config(source, overrides=overrides, quick=quick))


def study_from_json(text: str) -> AbstractStudy:
    """The study of the config in a store's attributes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the run has warned of them
        return study_of(json.loads(text))


def sweep_of(study: AbstractStudy) -> Sweep:
    """The sweep of a study, with all that a store of it must agree with; in its precision."""
    config = study.config
    return Sweep(
        Task.of(
            study.point,
            study.grid,
            n_trajectories=config.n_trajectories,
            key=jax.random.key(config.seed),
            x64=config.precision == "float64",
            static=[name for name in study.static if name in study.grid.names],
            replicates=study.replicates,
        ),
        identity=config_json(config),
        program=program_of_study(
            study,
            ("point", "grid", "static", "replicates"),
            named_objects(config.model_dump(mode="json", exclude={"study", "title"})),
        ),
        keep=config.trajectories,
        standard_errors=study.standard_errors,
        memory=parse_size(config.memory),
        per_unit=config.per_unit,
    )


def run_study(
    study: AbstractStudy,
    folder: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    same_program: bool = False,
    executor: "Client | None" = None,
) -> Mapping[str, Any]:
    """Run a study into `folder`, in this process or on a Dask client; returns the summary.

    The options are those of `sweep`. Figures are drawn last: one that cannot be drawn is a
    `StudyWarning`, and all else is kept.

    Raises:
        StoreError, SchedulerLost: see `sweep`.
        MemoryError: the config's memory does not hold one trajectory.
    """
    with _precision(study.config):
        sweep = sweep_of(study)
        with Store.claim(folder, resume=resume, overwrite=overwrite) as store:
            sweep.run(store, executor=executor, resume=resume, same_program=same_program)
            store.finish()
            results = store.load().load()
            summary = study.summary(results)
            store.write_summary(summary)
            _, failures = draw(study, results, store)
    for failure in failures:
        warnings.warn(failure, StudyWarning, stacklevel=2)
    return summary


def redraw(folder: Path) -> list[Path]:
    """Draw the figures of a finished run again; returns their files.

    Raises:
        StoreError: the folder holds no run of a config, or damaged results; or a figure could not
            be drawn, which the message names, after the others.
        ConfigError: the study of the run is a user's own, and no longer in its place.
    """
    store = Store(folder)
    results = store.open()
    try:
        study = study_from_json(results.attrs["config"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError) and "study is missing" not in str(error):
            raise
        raise StoreError(
            f"{folder} does not hold the results of a config; draw its results.zarr in Python"
        ) from None
    with _precision(study.config):
        files, failures = draw(study, results, store)
    if failures:
        raise StoreError("; ".join(failures))
    return files


def _precision(config: Ensemble) -> contextlib.AbstractContextManager:
    return jax.enable_x64(config.precision == "float64")
