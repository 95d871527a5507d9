"""The checker of annotations in tests: beartype, to which an int is a float, as to pyright.

Of a sequence it checks one item, and here always the same one.
"""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True, is_random=False))
