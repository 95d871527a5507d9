"""Configs: mappings from YAML files, checked by schemas; mistakes come with their remedy."""

from ..numerics.public import publish as _publish
from .errors import (
    ConfigError as ConfigError,
    check_different as check_different,
    first_mistake as first_mistake,
)
from .read import (
    apply_override as apply_override,
    checked as checked,
    config_json as config_json,
    load_yaml as load_yaml,
    named_objects as named_objects,
    object_named as object_named,
    read_config as read_config,
    shipped_configs as shipped_configs,
)
from .settings import (
    Ensemble as Ensemble,
    Kept as Kept,
    Numbers as Numbers,
    Positive as Positive,
    Strict as Strict,
)

_publish(globals())
