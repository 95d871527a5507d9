"""Real data in a config: sets that ship with scikit-learn, and users' own files."""

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from ..networks import Data, example_data, read_csv
from ._strict import Strict

# Features that vary, among the first two classes too, and classes; loading them takes a while.
_SHIPPED = {"diabetes": (10, 0), "breast_cancer": (30, 2), "digits": (52, 10)}


class RealData(Strict):
    """A data set, and what of it is learned.

    One that ships with scikit-learn by its `name`; or a CSV `file` (a path from where the command
    runs) whose `target` is to be learned from the other columns, or from `features`; `kind` says
    whether whole numbers are labels. `components` keeps the first principal components of the
    standardised features, `classes` the first classes. Classifications get an intercept, and need
    the prior. `sha256` is that of the file, found when the config is read: results of another file
    are not resumed.
    """

    name: Literal["diabetes", "breast_cancer", "digits"] | None = None
    file: str | None = None
    target: str | None = None
    features: tuple[str, ...] | None = None
    kind: Literal["regression", "classification"] | None = None
    components: int | None = Field(default=None, ge=1)
    classes: int | None = Field(default=None, ge=2)
    prior_stiffness: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    sha256: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _identify(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or not isinstance(given.get("file"), str):
            return given
        try:
            found = hashlib.sha256(Path(given["file"]).read_bytes()).hexdigest()
        except OSError as error:
            raise ValueError(f"file {given['file']} cannot be read: {error.strerror}") from None
        if given.get("sha256") not in (None, found):
            raise ValueError(
                f"file {given['file']} is no longer what it was, its sha256 is {found}; bring it "
                "back, or run the config anew"
            )
        return {**given, "sha256": found}

    @model_validator(mode="after")
    def _check_parts(self):
        if (self.name is None) == (self.file is None):
            raise ValueError("give the name of a data set, or the file of your own")
        own = {"target": self.target, "features": self.features, "kind": self.kind}
        if self.file is None:
            for key, value in own.items():
                if value is not None:
                    raise ValueError(f"{key} belongs to a file; {self.name} is known")
        elif self.target is None:
            raise ValueError(f"target must name the column of {self.file} that is to be learned")
        most, n_classes = self._facts
        if self.components is not None and self.components > most:
            raise ValueError(
                f"components must be at most {most} for {self.known_as}, got {self.components}"
            )
        if self.classes is not None and self.classes > n_classes:
            raise ValueError(
                f"classes must be at most {n_classes} for {self.known_as}, got {self.classes}"
                if n_classes
                else f"classes do not belong to {self.known_as}, a regression; leave them out"
            )
        if self.classifies and self.prior_stiffness == 0:
            raise ValueError(
                f"{self.known_as} needs prior_stiffness > 0: without a prior e^(-E/τ) of classes "
                "that are separable or shift together cannot be normalised"
            )
        return self

    def load(self) -> Data:
        """The data as they are, of the classes that are learned."""
        if self.file is None:
            data = example_data(str(self.name))
        else:
            data = read_csv(
                self.file, target=str(self.target), features=self.features, kind=self.kind
            )
        if self.classes is None:
            return data
        rows = np.flatnonzero(np.asarray(data.targets) < self.classes)
        return Data(
            np.asarray(data.features)[rows],
            np.asarray(data.targets)[rows],
            feature_names=data.feature_names,
            class_names=data.class_names[: self.classes],
            name=data.name,
        )

    @functools.cached_property
    def _facts(self) -> tuple[int, int]:
        """How many features vary, and of how many classes; 0 for a regression."""
        if self.file is None:
            return _SHIPPED[str(self.name)]
        data = self.model_copy(update={"classes": None}).load()
        return data.drop_constant().n_features, data.n_classes

    @property
    def n_examples(self) -> int:
        """How many examples there are."""
        return self.load().n_examples

    @property
    def n_inputs(self) -> int:
        """How many features are learned from."""
        return self.components or self._facts[0]

    @property
    def known_as(self) -> str:
        """What the data set is called; of a file, with what is learned from it."""
        return str(self.name) if self.file is None else f"{Path(self.file).stem}: {self.target}"

    @property
    def classifies(self) -> bool:
        """Whether targets are labels."""
        return self._facts[1] > 0

    @property
    def n_classes(self) -> int:
        """How many classes are learned; 0 for a regression."""
        return self.classes or self._facts[1]

    @property
    def label(self) -> str:
        """How figures and tables call it."""
        some = self.classes not in (None, self._facts[1])
        classes = f", {self.classes} classes" if some else ""
        components = "" if self.components is None else f", {self.components} components"
        return f"{self.known_as.replace('_', ' ')}{classes}{components}"
