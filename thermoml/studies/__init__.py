"""Studies: from a config to results over a grid, a summary, a table and figures.

Each shipped study is a file `<topic>/<name>.py`; the folder is the list of them, and a file is
imported when a config names it.
"""

from ..numerics.public import publish as _publish
from ..numerics.tables import table_text as table_text
from ._study import (
    AbstractStudy as AbstractStudy,
    StudyWarning as StudyWarning,
    descriptions as descriptions,
    load_study as load_study,
    redraw as redraw,
    run_study as run_study,
    schema_of as schema_of,
    shipped_studies as shipped_studies,
    study_class as study_class,
    study_from_json as study_from_json,
    study_of as study_of,
    sweep_of as sweep_of,
)
from ._table import (
    measured as measured,
    sample_text as sample_text,
)

_publish(globals())
