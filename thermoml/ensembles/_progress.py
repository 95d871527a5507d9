"""Progress of a compiled run, through diffrax's progress meters."""

from typing import Any


def progress_meter(progress: Any) -> Any:
    """The diffrax meter for `progress`: True is a tqdm bar, False none, a meter is itself."""
    import diffrax

    if progress is True:
        return diffrax.TqdmProgressMeter(refresh_steps=1)
    if progress is False or progress is None:
        return diffrax.NoProgressMeter()
    if isinstance(progress, diffrax.AbstractProgressMeter):
        return progress
    raise TypeError(f"progress must be True, False or a diffrax progress meter, got {progress!r}")
