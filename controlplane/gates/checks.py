"""The checks that a gate can have, by kind: their fields, and what each refuses."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from controlplane.alerts.model import Severity
from controlplane.evidence.signatures import check_key, check_pem
from controlplane.formatting import as_seconds
from controlplane.gates.jsonpath import check_path
from controlplane.text import showable

MAX_FRESHNESS = 366 * 86_400
HOUR, DAY = 3600, 86_400
DEFAULT_LIMIT, MAX_LIMIT = 30, 3600


def shown(value: str) -> str:
    if not showable(value):
        raise ValueError("holds characters that cannot be shown")
    return value


def _relative(value: str) -> str:
    """A file below the folder that the run is given; a gate of the home must not name others of the operator's."""
    if value.startswith(("/", "\\", "~")) or ":" in value or ".." in value.replace("\\", "/").split("/"):
        raise ValueError("a path below the folder in which the gate is run, without '..'")
    return value


def _without_semicolon(statement: str) -> str:
    """It becomes a part of another statement."""
    return statement.rstrip("; \n\t")


Line = Annotated[Annotated[str, Field(max_length=200)], AfterValidator(shown)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
Seconds = Annotated[int, BeforeValidator(as_seconds)]
File = Annotated[Annotated[str, Field(min_length=1, max_length=300)], AfterValidator(shown), AfterValidator(_relative)]
Path = Annotated[Annotated[str, Field(max_length=300)], AfterValidator(check_path)]
Number = Annotated[float | None, Field(default=None, ge=-1e15, le=1e15, allow_inf_nan=False)]


class Spec(BaseModel):
    # Built when a gate is first read: whoever acts on anything loads this module with the other operations.
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, defer_build=True)


class Check(Spec):
    """What every check has. `freshness`: for how many seconds what was found holds; `limit`: how many it may take;
    `due`: within how many an advisory check that does not pass is to be put right.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}(/[a-z][a-z0-9_.-]{0,63})?$")]
    owner: Line = ""
    means: Line = ""
    required: bool = True
    freshness: Annotated[Seconds, Field(ge=60, le=MAX_FRESHNESS)] = DAY
    limit: Annotated[Seconds, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    due: Annotated[Seconds, Field(ge=HOUR, le=MAX_FRESHNESS)] = 7 * DAY


class Limited(Check):
    """A value, and what it is held to: at most one of the three."""

    at_most: Number
    at_least: Number
    equals: Annotated[bool | float | str | None, Field(default=None)]
    unit: Annotated[Line, Field(default="", max_length=40)]

    @property
    def held(self) -> bool:
        return any(each is not None for each in (self.at_most, self.at_least, self.equals))

    @model_validator(mode="after")
    def _one_limit(self) -> Limited:
        given = [each for each in (self.at_most, self.at_least, self.equals) if each is not None]
        if len(given) > 1:
            raise ValueError("give one of at_most, at_least and equals")
        if isinstance(self.equals, float) and not math.isfinite(self.equals):
            raise ValueError("equals is a number, a text, or true or false")
        if not given and self._needs_limit():
            raise ValueError("give at_most, at_least or equals")
        return self

    def _needs_limit(self) -> bool:
        return False


class SqlCheck(Limited):
    """Without a limit the statement finds violations: it passes when there is no row. With one it gives one row, whose
    column `value` is held to it. `database`: a profile's name; left out: the home. `fast`: what is asked in fast mode
    instead, about what the rows of the trail after $1 touched; left out: the same.
    """

    kind: Literal["sql"]
    sql: Annotated[Annotated[str, Field(min_length=1, max_length=8000)], AfterValidator(_without_semicolon)]
    database: Annotated[str, Field(default="", max_length=64, pattern=r"^[A-Za-z0-9_.-]*$")]
    # Left out where it is empty, so that a definition from before it is still the same.
    fast: Annotated[
        Annotated[str, Field(max_length=8000, exclude_if=lambda text: not text)], AfterValidator(_without_semicolon)
    ] = ""

    @model_validator(mode="after")
    def _fast_of_what_changed(self) -> SqlCheck:
        if self.fast and (self.held or self.database or "$1" not in self.fast):
            raise ValueError("fast is for violations in the home, and asks about the rows of the trail after $1")
        return self


class HttpCheck(Limited):
    """`status`: those that are good. `within_ms`: how long the whole answer may take. `path`: a value in its JSON."""

    kind: Literal["http"]
    url: Annotated[str, Field(min_length=8, max_length=1000, pattern=r"^https?://")]
    status: Annotated[list[Annotated[int, Field(ge=100, le=599)]], Field(min_length=1, max_length=20)] = [200]
    within_ms: Annotated[float | None, Field(default=None, gt=0, le=3_600_000)]
    path: Path = ""

    @model_validator(mode="after")
    def _path_is_held(self) -> HttpCheck:
        if bool(self.path) != self.held:
            raise ValueError("a path needs a limit, and a limit a path")
        if "@" in self.url.partition("://")[2].partition("/")[0]:
            raise ValueError("no password belongs into a URL that is kept")
        return self


class CommandCheck(Limited):
    """A program and its words, without a shell. `exit`: the codes that are good. `path`: a value in its JSON output."""

    kind: Literal["command"]
    run: Annotated[list[Annotated[str, Field(max_length=1000)]], Field(min_length=1, max_length=50)]
    exit: Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(min_length=1, max_length=20)] = [0]
    path: Path = ""

    @model_validator(mode="after")
    def _path_is_held(self) -> CommandCheck:
        if bool(self.path) != self.held:
            raise ValueError("a path needs a limit, and a limit a path")
        return self


class ObjectiveCheck(Check):
    """`which`: a filter of the list of objectives; left out: all. `left_at_least`: percent of the budget."""

    kind: Literal["objective"]
    which: Annotated[str, Field(default="", max_length=300)]
    left_at_least: Annotated[float | None, Field(default=None, ge=-1000, le=100)]


class QueueCheck(Limited):
    """`source`: a queue of dead letters; left out: all. `oldest` is in seconds."""

    kind: Literal["queue"]
    measure: Literal["dead_letters", "oldest", "late_jobs"] = "dead_letters"
    source: Annotated[str, Field(default="", max_length=200)]

    def _needs_limit(self) -> bool:
        return True


class KeysCheck(Check):
    """The promise of rotation: no more than so many keys that are too old, or late in their rotation."""

    kind: Literal["keys"]
    at_most: Annotated[int, Field(ge=0, le=1000)] = 0


class AlertsCheck(Check):
    """Nothing fires at this severity or above."""

    kind: Literal["alerts"]
    severity: Severity = "error"


class AuditCheck(Check):
    """The trail is chained and signed, and no checkpoint is older than so many seconds."""

    kind: Literal["audit"]
    signed_within: Annotated[Seconds, Field(ge=60, le=MAX_FRESHNESS)] = DAY


class JunitCheck(Check):
    """`at_most`: how many tests may fail or end in an error; `skipped_at_most`: how many may be skipped."""

    kind: Literal["junit"]
    file: File
    at_most: Annotated[int, Field(ge=0, le=100_000)] = 0
    skipped_at_most: Annotated[int | None, Field(default=None, ge=0, le=100_000)]


class SbomCheck(Check):
    """A bill of materials in CycloneDX or SPDX JSON: every component with its name and version."""

    kind: Literal["sbom"]
    file: File
    components_at_least: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class VulnerabilitiesCheck(Check):
    """Findings of Trivy's JSON or of SARIF, by severity; a severity without a limit is not held to one."""

    kind: Literal["vulnerabilities"]
    file: File
    critical: Annotated[int | None, Field(ge=0)] = 0
    high: Annotated[int | None, Field(ge=0)] = 0
    medium: Annotated[int | None, Field(default=None, ge=0)]
    low: Annotated[int | None, Field(default=None, ge=0)]
    unknown: Annotated[int | None, Field(ge=0)] = 0


class EvidenceCheck(Check):
    """What is recorded of a kind in the registry, no older than the check's freshness. `environment`: left out: that of
    the run. `signed`: only what whoever recorded it has verified.
    """

    kind: Literal["evidence"]
    artefact: Annotated[str, Field(pattern=r"^[!-~]{1,200}$")]
    environment: Annotated[str, Field(default="", pattern=r"^([a-z][a-z0-9_.-]{0,63})?$")]
    signed: bool = True


class SignatureCheck(Check):
    """A file, signed by this key: cosign's in PEM, or minisign's."""

    kind: Literal["signature"]
    file: File
    signature: File
    key: Annotated[Annotated[str, Field(max_length=1000)], AfterValidator(check_key)]


class ProvenanceCheck(Check):
    """SLSA provenance in a DSSE envelope: signed by one of the keys, about the file, by a builder that is allowed."""

    kind: Literal["provenance"]
    file: File
    provenance: File
    keys: Annotated[
        list[Annotated[Annotated[str, Field(max_length=1000)], AfterValidator(check_pem)]],
        Field(min_length=1, max_length=10),
    ]
    builders: Annotated[
        list[Annotated[Annotated[str, Field(min_length=1, max_length=500)], AfterValidator(shown)]],
        Field(min_length=1, max_length=20),
    ]


class ManualCheck(Check):
    """A person answers: `watchfloor gates answer`."""

    kind: Literal["manual"]
    question: Annotated[Annotated[str, Field(min_length=1, max_length=400)], AfterValidator(shown)]


AnyCheck = Annotated[
    SqlCheck
    | HttpCheck
    | CommandCheck
    | ObjectiveCheck
    | QueueCheck
    | KeysCheck
    | AlertsCheck
    | AuditCheck
    | JunitCheck
    | SbomCheck
    | VulnerabilitiesCheck
    | EvidenceCheck
    | SignatureCheck
    | ProvenanceCheck
    | ManualCheck,
    Field(discriminator="kind"),
]
