"""The judgement of one input: accepted, or refused in the library's own words, and in time."""

import contextlib
import dis
import re
import resource
import signal
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import jax

import thermoml as tml

PACKAGE = str(Path(tml.__file__).parent)
MOST_SECONDS, MOST_BYTES, MOST_CHARACTERS = 5.0, 2 * 10**9, 1000
_ALARM = 60  # wall-clock seconds until a call is broken off, however busy the machine is
_RAISES = {dis.opmap["RAISE_VARARGS"], dis.opmap["RERAISE"]}


class Overdue(BaseException):
    """A call that was broken off; nothing that catches `Exception` catches it."""


def is_own(error: BaseException) -> bool:
    """Whether the library itself raised an error: by class, or by the statement that did.

    The last frame of the traceback must lie in the package and stand at a `raise`. One that calls
    `float("x")` also is the last frame, but the words are Python's.
    """
    if type(error).__module__.split(".")[0] == "thermoml":
        return True
    if isinstance(error, OSError) and error.filename is not None:
        return True  # the system's words, which name the file
    last: TracebackType | None = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or not isinstance(error, ValueError | TypeError | MemoryError | OSError):
        return False
    code = last.tb_frame.f_code
    return code.co_filename.startswith(PACKAGE) and code.co_code[last.tb_lasti] in _RAISES


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """An end to calls that hang, and to memory that grows without bound."""

    def end(number: int, frame: Any) -> None:
        raise Overdue

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, _ALARM)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = re.findall(r"VmData:\s+(\d+) kB", status.read_text())
        resource.setrlimit(resource.RLIMIT_DATA, (1024 * int(line) + 4 * MOST_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _peak() -> int:
    """The most memory that this process ever occupied, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _wrong_words(error: BaseException, names: Collection[str]) -> str | None:
    """The objection to the words of a refusal, if there is one."""
    message = str(error)
    kind = type(error).__name__
    if not is_own(error):
        return f"foreign {kind}: {message:.300}"
    if not message or len(message) > MOST_CHARACTERS:
        return f"{kind} of {len(message)} characters: {message:.300}"
    if names and not any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message) for name in names):
        return f"{kind} that names none of {', '.join(sorted(names)):.80}: {message:.300}"
    return None


def objection(
    call: Callable[[], Any],
    *,
    names: Collection[str] = (),
    senseless: bool = False,
    seconds: float | None = None,
) -> str | None:
    """What is wrong with the way in which a call ends, in a line; None if nothing is.

    Args:
        call: without arguments.
        names: words of which an error must hold one, such as the argument's name.
        senseless: whether the input must be refused, because it holds NaN, say.
        seconds: of one core that the call may take, `MOST_SECONDS` if left out.
    """
    filtering = jax.config.values["jax_traceback_filtering"]
    jax.config.update("jax_traceback_filtering", "off")  # else frames of JAX are left out
    began, before = time.process_time(), _peak()
    wrong = None
    try:
        with _limits(), warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            call()
        wrong = "accepted" if senseless else None
        foreign = [w for w in warned if not w.category.__module__.startswith("thermoml")]
        if foreign and wrong is None:
            wrong = f"foreign warning: {foreign[0].message!s:.300}"
    except Overdue:
        return f"not ended after {_ALARM} s"
    except Exception as error:
        wrong = _wrong_words(error, names)
    finally:
        jax.config.update("jax_traceback_filtering", filtering)
    taken, grown = time.process_time() - began, _peak() - before
    if wrong is None and taken > (MOST_SECONDS if seconds is None else seconds):
        wrong = f"took {taken:.1f} s of a core"
    if wrong is None and grown > MOST_BYTES:
        wrong = f"took {grown / 1e9:.1f} GB of memory"
    return wrong
