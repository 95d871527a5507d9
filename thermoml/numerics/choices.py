"""Names out of a list, and the nearest one to a name that is not in it."""

import difflib
from collections.abc import Iterable


def nearest(word: object, choices: Iterable[object]) -> str:
    """The end of an error text: `; did you mean "relu"?`, or all choices if none is similar."""
    names = [str(choice) for choice in choices]
    similar = difflib.get_close_matches(str(word), names, n=1, cutoff=0.5)
    return f'; did you mean "{similar[0]}"?' if similar else f"; choose from {', '.join(names)}"


def is_choice(value: object, choices: Iterable[str]) -> bool:
    """Whether `value` is one of these words; a list or an array, say, is none."""
    return isinstance(value, str) and value in choices


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """ValueError with the nearest choice unless `value` is one of them."""
    choices = list(choices)
    if not is_choice(value, choices):
        raise ValueError(f"{name} {value!r:.80} is unknown{nearest(value, choices)}")
