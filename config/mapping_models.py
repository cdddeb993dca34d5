"""`Mapped` and `Unify` as a file declares them: checked against the metric catalogue and its units, for settings and editors."""

from __future__ import annotations

import difflib
import math
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from config.mapping import Mapped, Unify
from config.metrics import METRICS
from config.units import known, scale


def _path(text: str) -> str:
    if text != text.strip() or text.startswith(".") or text.endswith(".") or ".." in text:
        raise ValueError("it should be a dotted path into the record, such as data.heart.bpm")
    return text


def _metric(text: str) -> str:
    if text.startswith("="):
        return "=" + _path(text[1:])
    if text not in METRICS:
        near = difflib.get_close_matches(text, METRICS, 3, 0.4) or METRICS
        raise ValueError(
            f"there is no metric {text!r}; {'near it are' if near is not METRICS else 'metrics are'} {', '.join(near)}"
        )
    return text


Path = Annotated[str, Field(max_length=200), AfterValidator(_path)]
NeededPath = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_path)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Reading(_Strict):
    """One reading that each record may hold."""

    metric: Annotated[str, AfterValidator(_metric)] = Field(
        description="Name in the metric catalogue; `=path` reads it from the record.", examples=["heart_rate"]
    )
    value: NeededPath = Field(description="Where its number is.", examples=["data.bpm"])
    time: NeededPath = Field(description="Where its moment is.", examples=["measured_at"])
    unit: str = Field("", max_length=60, description="Unit it comes in; `=path` reads it from the record.", examples=["[lb_av]"])
    offset: Path = Field("", description="Where the UTC offset of a time without one is.", examples=["utc_offset"])
    device: Path = Field("", description="Where the device's name is.", examples=["device.name"])
    end: Path = Field("", description="Where its end is: a sleep needs one, unless its time is a date.", examples=["ended_at"])
    factor: float = Field(1.0, description="The number is multiplied by it first.", examples=[0.001])
    stream: str = Field("", description="Only for records of this stream; empty: of every one.", examples=["heart"])

    @model_validator(mode="after")
    def _understood(self) -> Self:
        if not math.isfinite(self.factor) or self.factor == 0:
            raise ValueError("the factor should be a number other than 0")
        if self.metric in METRICS and not self.unit.startswith("=") and scale(self.metric, self.unit) is None:
            raise ValueError(f"{self.metric} does not come in {self.unit!r}; it may in {', '.join(known(self.metric))}")
        return self

    def mapped(self) -> Mapped:
        """The same for a normalizer."""
        return Mapped(**self.model_dump())


class Unified(_Strict):
    """Where a record says what every unified record says: dotted paths."""

    source_id: Path = Field("", description="Its identity in the source; empty: the record's own.", examples=["id"])
    name: Path = Field("", examples=["title"])
    value: Path = Field("", examples=["data.bpm"])
    unit: Path = Field("", examples=["unit"])
    description: Path = Field("", examples=["note"])
    occurred_at: Path = Field("", examples=["measured_at"])
    created_at: Path = Field("", examples=["created_at"])
    updated_at: Path = Field("", examples=["updated_at"])
    deleted: Path = Field(
        "", description="Anything there but null, false, 0 or an empty text: it is gone.", examples=["deleted_at"]
    )
    event_id: Path = Field("", description="Its identity over every transport.", examples=["event_id"])

    def unify(self) -> Unify:
        """The same for what makes unified records."""
        return Unify(**self.model_dump())
