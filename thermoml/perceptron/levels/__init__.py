"""Levels of description: microscopic, reduced, mean field."""

from ...numerics.public import publish as _publish
from ._initial import (
    binary_teacher as binary_teacher,
    check_teachers as check_teachers,
    sphere_teacher as sphere_teacher,
)
from ._level import (
    AbstractLevel as AbstractLevel,
    Request as Request,
)
from ._mean_field import (
    MeanField as MeanField,
)
from ._microscopic import (
    Microscopic as Microscopic,
)
from ._reduced import (
    Reduced as Reduced,
)
from ._score import (
    score_of_learning as score_of_learning,
)

_publish(globals())
