"""The command line: thermoml run | plot | info | bench."""

import contextlib
import json
import os
import platform
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import jax
import typer

from .config import ConfigError
from .langevin import SimulationDiverged
from .numerics.cores import usable_cores
from .numerics.tables import table_text
from .sweeps import ClusterError, SchedulerLost, Store, StoreError, connected, local_workers

app = typer.Typer(
    name="thermoml",
    help="The thermodynamics of learning: run a study from a config, draw it, time the machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


# Errors whose message is meant for a user; any other is named with its type.
_MENDABLE = (
    ClusterError,
    ConfigError,
    MemoryError,
    SchedulerLost,
    SimulationDiverged,
    StoreError,
)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """One line on stderr for every error, with exit code 2; warnings as lines, too.

    The traceback of an error that is not meant for a user goes to a file, which the line names.
    """
    printed = set()

    def show(message, category, filename, lineno, file=None, line=None):
        if str(message) not in printed:
            printed.add(str(message))
            _say(f"warning: {_one_line(message)}")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", DeprecationWarning)  # of libraries: nothing a user can mend
        warnings.showwarning = show
        try:
            yield
        except _MENDABLE as error:
            _say(f"error: {_one_line(error) or type(error).__name__}")
            raise typer.Exit(2) from None
        except typer.Exit:
            raise
        except Exception as error:
            _say(f"error: {_unexpected(error)}")
            raise typer.Exit(2) from None


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def _unexpected(error: Exception) -> str:
    """The message of an error that we did not foresee, and where its traceback is."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    words = first if isinstance(error, ValueError) and first else f"{type(error).__name__}: {first}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="thermoml-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError:
        return f"{words:.500}"
    return f"{words:.500}; if this is no mistake of yours, report it with {file.name}"


def _say(line: str) -> None:
    """A line on stderr, if anyone reads it."""
    with contextlib.suppress(OSError, ValueError):
        typer.echo(line, err=True)


def _print(text: str) -> None:
    """Text on stdout; a full or closed one is said once, and harms nothing."""
    try:
        typer.echo(text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        _say(f"warning: nothing can be printed ({reason}); files are written all the same")
        sys.stdout = open(os.devnull, "w")


def _check_devices() -> None:
    """ConfigError unless JAX finds the devices that it is told to use.

    Raises:
        ConfigError: it does not; the message says why.
    """
    try:
        jax.devices()
    except Exception as error:
        wanted = os.environ.get("JAX_PLATFORMS", "")
        if not wanted:
            names = ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS", "CUDA_VISIBLE_DEVICES")
            present = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
            remedy = f"; unset {' or '.join(present)}" if present else ""
            raise ConfigError(f"no device found by JAX{remedy} ({_one_line(error):.160})") from None
        kind = "GPU" if {"cuda", "rocm", "gpu"} & set(wanted.split(",")) else "device"
        raise ConfigError(
            f"no {kind} found by JAX for JAX_PLATFORMS={wanted}; unset JAX_PLATFORMS or install "
            "what it needs, such as thermoml[cuda]"
        ) from None


@contextlib.contextmanager
def _stoppable(folder: Path) -> Iterator[None]:
    """Ctrl-C and SIGTERM end a run with one line; its finished units are in the store."""

    def terminate(number, frame):
        raise KeyboardInterrupt(number)

    earlier = None
    with contextlib.suppress(ValueError):  # only a main thread may handle signals
        earlier = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as stop:
        number = stop.args[0] if stop.args else signal.SIGINT
        _say(f"stopped; --resume goes on from the finished units in {folder}")
        raise typer.Exit(128 + number) from None
    finally:
        if earlier is not None:
            signal.signal(signal.SIGTERM, earlier)


@contextlib.contextmanager
def _executor(scheduler: str | None, workers: int | None) -> Iterator[Any]:
    """A Dask client, or None for this process."""
    if scheduler:
        with connected(scheduler) as client:
            yield client
    elif workers:
        with local_workers(workers) as client:
            yield client
    else:
        yield None


@app.command()
def run(
    config: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped config.")],
    out: Annotated[
        Path | None, typer.Option(help="Results directory  (default: results/CONFIG)")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key; may be given repeatedly."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Use the config's quick settings.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Finish the run in the directory, or begin it.")
    ] = False,
    same_program: Annotated[
        bool,
        typer.Option(
            "--same-program",
            help="With --resume: own code is that of the results, though this cannot be told.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results in the directory.")
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run on the workers of this Dask scheduler."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of local worker processes (Dask)."),
    ] = None,
) -> None:
    """Run a study: writes results.zarr, summary.json and figures, and prints a table."""
    with _plain_errors():
        for one, other, names in (
            (resume, overwrite, "--resume and --overwrite"),
            (scheduler, workers, "--scheduler and --workers"),
        ):
            if one and other:
                raise ConfigError(f"{names} exclude each other; give one of them")
        _check_devices()
        from .studies import load_study, run_study

        study = load_study(config, overrides=set_ or (), quick=quick)
        folder = out or Path("results") / Path(config).stem
        with _stoppable(folder), _executor(scheduler, workers) as executor:
            summary = run_study(
                study,
                folder,
                overwrite=overwrite,
                resume=resume,
                same_program=same_program,
                executor=executor,
            )
            _print(study.table(summary))
            _print(f"Results, summary.json and figures are in {folder}")
            study.check(Store(folder).open())


@app.command()
def plot(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The directory of a finished run.")],
) -> None:
    """Draw the figures of a finished run again."""
    with _plain_errors():
        _check_devices()
        from .studies import redraw

        for file in redraw(folder):
            _print(str(file))


@app.command()
def info() -> None:
    """Print versions, devices, and the shipped configs with their studies."""
    with _plain_errors():
        _print(f"python      {platform.python_version()} on {platform.platform()}")
        for name in ("thermoml", "jax", "jaxlib", "equinox", "diffrax", "xarray", "zarr"):
            _print(f"{name:<11} {version(name)}")
        _check_devices()
        _print(f"backend     {jax.default_backend()}")
        for device in jax.devices():
            _print(f"device      {device.id}: {device.device_kind}")
        from .studies import descriptions

        rows = [[", ".join(names) or "(no config)", line] for names, line in descriptions()]
        _print(f"\n{table_text([['config', 'study'], *rows])}")


@app.command()
def bench(
    n_trajectories: Annotated[int, typer.Option(min=1, help="M, students.")] = 1024,
    n_inputs: Annotated[int, typer.Option(min=1, help="N, weights of each.")] = 1000,
    batch: Annotated[int, typer.Option(min=1, help="B, fresh inputs in each step.")] = 30,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="S, time steps.  (default: as many as make 6e8 products)"),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each program, in turns.")] = 5,
    program: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only these; may be given repeatedly  (default: all)."),
    ] = None,
    grow: Annotated[
        bool, typer.Option("--grow", help="How time grows with M, N, B and S, too.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="A file to keep the times in.")] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="A file of an earlier run, or another checkout, run in the same turns."),
    ] = None,
) -> None:
    """Compare the speed of the microscopic level with NumPy, plain JAX, diffrax and PyTorch."""
    with _plain_errors():
        from . import bench as benchmarks

        sizes = n_trajectories, n_inputs, batch
        work = benchmarks.Workload(*sizes, steps or benchmarks.usual_steps(*sizes))
        chosen = program or list(benchmarks.PROGRAMS)
        try:
            before = None
            checkout = against if against is not None and against.is_dir() else None
            if against is not None and checkout is None:
                before = benchmarks.Report.from_json(json.loads(against.read_text()))
            report = benchmarks.measure(work, chosen, rounds, checkout=checkout)
            _print(str(report))
            if before is not None:
                _print(benchmarks.against(report, before))
            if out is not None:
                out.write_text(json.dumps(report.as_json(), indent=1) + "\n")
            if grow:
                _print(benchmarks.growth(work, chosen[0], rounds))
        except (OSError, ValueError) as error:
            raise ConfigError(str(error)) from None


def main() -> None:
    """The entry point of the `thermoml` command."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell
            setattr(sys, name, open(os.devnull, "w"))
    os.environ["MPLBACKEND"] = "agg"  # figures are files; no other backend is ever needed
    # One CPU device per core, which trajectories are shared over; only before JAX's first use.
    if "JAX_NUM_CPU_DEVICES" not in os.environ:
        jax.config.update("jax_num_cpu_devices", len(usable_cores()))
    try:
        app()
    except SystemExit as done:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # a full disk: Python would say so once more at its end
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        # After an interrupt compiled code may still be running, which nothing can stop or wait for.
        if done.code in (130, 143):
            os._exit(done.code)
        raise


if __name__ == "__main__":
    main()
