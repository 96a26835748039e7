"""`watchfloor evidence collect|verify|pack|add`: bundles are made, signed, verified without a network, and recorded."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from app.cli.asked import CHANGING, READING, Changing, Reading, chosen, opened
from app.cli.output import document, facts, say, tell
from app.cli.parameters import Parameter
from controlplane.errors import Refusal, Usage
from controlplane.evidence.bundles import BUNDLE, Report, is_name
from controlplane.formatting import count, parse_duration
from controlplane.text import clean

if TYPE_CHECKING:
    from datetime import datetime

    from app.artefacts import Described
    from controlplane.changes import ControlPlane
    from controlplane.evidence.attestations import Attested
    from controlplane.evidence.collecting import Purpose
    from controlplane.operations import Outcome

Keys = Annotated[
    tuple[str, ...],
    Parameter(help="A public key to trust; repeatable. Default: this account's own."),
]
Shared = Annotated[
    str | None, Parameter(help="Where a shared key (HMAC-SHA256) is kept: env:NAME, file:…", allow_leading_hyphen=True)
]
Given = Annotated[
    tuple[Path, ...], Parameter(name="--with", help="A file that belongs to it, such as a gate's summary.")
]
Environment = Annotated[str | None, Parameter(help="production, staging, …; default: the context's.")]
DEFAULT_SINCE = "7d"


async def collect(
    purpose: Annotated[str, Parameter(help="release or incident.")],
    subject: Annotated[str, Parameter(help="Which one: 2.4.0, INC-41.")],
    /,
    *,
    since: Annotated[str, Parameter(help="How far back: 7d, 36h.")] = DEFAULT_SINCE,
    environment: Environment = None,
    given: Given = (),
    to: Annotated[Path | None, Parameter(help="A new folder for it; default: in the evidence folder.")] = None,
    shared_key_from: Shared = None,
    unrecorded: Annotated[bool, Parameter(help="Do not record it in the home.")] = False,
    asked: Changing = CHANGING,
) -> None:
    """Collect a bundle of a release or an incident, sign it, and record it as evidence."""
    from app.artefacts import Described
    from app.cli.changing import carry_out
    from app.cli.writing import refuse_read_only
    from app.evidence import evidence_folder, signer_of
    from backends.evidence.folder import BundleWriter, clear_abandoned, collecting
    from controlplane.clock import machine_now
    from controlplane.evidence.collecting import Wanted
    from controlplane.evidence.collecting import collect as collected
    from controlplane.evidence.envelopes import Ed25519Key
    from controlplane.operations import authorise
    from controlplane.registry import named

    _check(purpose, subject, asked)
    files = list(_given(given))
    choice, settings = chosen(asked)
    signer = await asyncio.to_thread(signer_of, choice, _shared(shared_key_from))
    kept = evidence_folder(choice, settings)
    await asyncio.to_thread(clear_abandoned, kept, machine_now())
    folder = to if to is not None else collecting(kept)
    operation = named("evidence.add")
    async with opened(asked) as context:
        if not unrecorded:
            authorise(context.home, operation)
            await refuse_read_only(context)
        now = context.home.clock.now().replace(microsecond=0)
        if purpose == "incident":
            files += await _incident(context.home, subject, now)
        wanted = Wanted(_purpose(purpose), subject, environment or context.environment, now - _ago(since))
        writer = BundleWriter(folder)
        try:
            predicate = await collected(context.home, wanted, writer, signer, now, files)
        except BaseException:
            writer.discard()
            raise
        sha256, size = writer.envelope_sha256, writer.bytes
        if to is None:
            folder = writer.move(kept / sha256)
        outcome = None
        if not unrecorded:
            made = Described(
                sha256, size, f"{purpose}-{subject}"[:200].replace("/", "-"), BUNDLE, subject, None, now, "good",
                signer(predicate["trail"]).name,
            )  # fmt: skip
            request = operation.parse(_request(made, wanted.environment))
            outcome = await carry_out(context, operation, request, dataclasses.replace(asked, yes=True))
    key = signer(predicate["trail"])
    public = str(key.public) if isinstance(key, Ed25519Key) else ""
    _say_collected(predicate, folder, sha256, public, outcome, asked)


async def _incident(plane: ControlPlane, subject: str, now: datetime) -> list[tuple[str, Callable[[], Any]]]:
    """The incident's timeline and post-mortem, where the subject is one of this home."""
    from functools import partial

    from app.cli.incidents import as_json
    from controlplane.errors import NotFound
    from controlplane.incidents.postmortem import markdown
    from controlplane.incidents.reading import number_of, post_mortem

    try:
        found = await post_mortem(plane, number_of(subject) or 0, now)
    except NotFound:
        tell(f"{clean(subject, 60)} is no incident of this home: its timeline is not in the bundle")
        return []
    files = {"incident/post-mortem.md": markdown(found), "incident/post-mortem.json": as_json(found)}
    return [(name, partial(iter, [text.encode()])) for name, text in files.items()]


def _say_collected(
    predicate: Mapping[str, Any], folder: Path, sha256: str, public: str, outcome: Outcome | None, asked: Reading
) -> None:
    audit = predicate["audit"]
    if asked.json:
        more = {"folder": str(folder), "sha256": sha256, "public_key": public or None}
        recorded = None if outcome is None else outcome.result["id"]
        document({"item": {**predicate, **more, "evidence": recorded}})
        return
    rows = [(each["file"].partition(".")[0], f"{count(each['rows'])} rows") for each in predicate["sections"]]
    signed = audit["signed_to"]
    words = f"signed to row {count(signed)}" if signed else "no checkpoint was signed yet"
    facts(
        [
            *rows,
            ("audit", f"{count(audit['to'] - audit['after'])} rows, {words}"),
            *([("given", " ".join(predicate["given"]))] if predicate["given"] else []),
            ("folder", str(folder)),
            ("SHA-256", sha256),
            *([("public key", public)] if public else []),
        ]
    )
    tell("not recorded" if outcome is None else f"recorded as evidence {outcome.result['id']}")


def _check(purpose: str, subject: str, asked: Changing) -> None:
    if asked.dry_run:
        raise Usage("usage", "A bundle is only collected or not.", "--unrecorded changes nothing in the home.")
    if not subject.strip() or len(subject) > 200 or not subject.isprintable():
        raise Usage("subject_unreadable", "A release or incident has a name of 1 to 200 characters.")
    _purpose(purpose)


def _purpose(text: str) -> Purpose:
    if text == "release" or text == "incident":
        return text  # type: ignore[return-value]
    raise Usage("purpose_unknown", f"A bundle is of a release or an incident, not of {clean(text, 60)}.")


def _ago(text: str) -> Any:
    from datetime import timedelta

    seconds = parse_duration(text)
    if not 1 <= seconds <= 10 * 366 * 86400:
        raise Usage("since_unreadable", "How far back is between a second and ten years.", "--since 7d")
    return timedelta(seconds=seconds)


def _shared(reference: str | None) -> str | None:
    if reference is None:
        return None
    from app.cli.passwords import first_line, resolved

    return first_line() if reference == "-" else resolved(reference, "evidence")


def _given(paths: Sequence[Path]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The names that files get in the bundle, each with its content. Raises Usage."""
    from functools import partial

    from backends.evidence.folder import pieces

    names: set[str] = set()
    for path in paths:
        name = f"with/{path.name}"
        if not is_name(name):
            raise Usage(
                "name_refused",
                f"A file of a bundle cannot be called {clean(path.name, 100)}.",
                "Letters, digits, '.', '_' and '-', at most 95.",
            )
        if name.lower() in names:
            raise Usage("name_twice", f"Two files are called {path.name}.", "Rename one.")
        if not path.is_file():
            raise Usage("evidence_missing", f"There is no file {clean(path, 400)}.")
        names.add(name.lower())
        yield name, partial(pieces, path.resolve())


def _request(made: Described, environment: str) -> dict[str, Any]:
    return {
        "sha256": made.sha256,
        "bytes": made.bytes,
        "name": made.name,
        "kind": made.kind,
        "about": made.about,
        "about_sha256": made.about_sha256,
        "environment": environment,
        "at": made.at.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00"),
        "signature": made.signature,
        "signer": made.signer,
    }


def verify(
    place: Annotated[
        str, Parameter(help="A bundle's folder, its file, or where it is published: s3://…/bundles/SHA256.json.")
    ],
    /,
    *,
    public_key: Keys = (),
    shared_key_from: Shared = None,
    asked: Reading = READING,
) -> int:
    """Verify a bundle: name the first thing that is not as it was signed (exit code 1). Only a published bundle
    needs a network.
    """
    from app.evidence import bundle_of, keys_of
    from app.settings import load
    from backends.evidence.published import PublishedBundle
    from controlplane.evidence import bundles

    settings = load()
    said = _envelope(bundle_of(place, settings))
    keys = keys_of(lambda: chosen(asked)[0], public_key, _shared(shared_key_from), said)
    bundle = bundle_of(place, settings)
    report = bundles.verify(bundle, keys)
    attested = bundle.attested(keys) if isinstance(bundle, PublishedBundle) and report.fault is None else None
    _say_verified(report, attested, asked)
    return 0 if report.fault is None and not any(each.fault for each in attested or ()) else 1


def _envelope(container: Any) -> bytes | None:
    try:
        found: bytes | None = container.envelope()
        return found
    except Refusal:
        return None  # the verification says why


def _say_verified(report: Report, attested: Sequence[Attested] | None, asked: Reading) -> None:
    """`attested`: None for a bundle that was not read where it is published."""
    if asked.json:
        more = {} if attested is None else {"attested": [dataclasses.asdict(each) for each in attested]}
        document({"item": {**dataclasses.asdict(report), **more, "held": report.fault is None}})
        return
    if (fault := report.fault) is not None:
        say(clean(f"✕ {fault.file}: {fault.words} [{fault.code}]", 600))
        return
    said = report.predicate
    say(f"● signed by the key {report.signer}, SHA-256 {report.sha256}")
    what = " ".join(str(said.get(name)) for name in ("purpose", "subject", "environment", "collected_at"))
    say(clean(f"● {what}", 400))
    say(f"● files as they were signed, and no others: {count(report.files)}, {count(report.bytes)} bytes")
    if (trail := report.trail) is not None:
        say(f"● audit rows {count(trail.after + 1)} to {count(trail.to)} are chained")
        if trail.signed_to is not None:
            say(f"● proven by a checkpoint up to row {count(trail.signed_to)}")
        if trail.signed_to is None or trail.signed_to < trail.to:
            why = report.checkpoint or "they are newer than the checkpoint"
            say(f"? the others are proven only by the bundle's own key: {clean(why, 200)}")
    if attested is not None:
        from controlplane.evidence.words import attested_lines

        for line in attested_lines(attested):
            say(line)


def pack(
    folder: Annotated[Path, Parameter(help="The bundle's folder.")],
    file: Annotated[Path, Parameter(help="The file to write; a new one.")],
    /,
    *,
    asked: Reading = READING,
) -> None:
    """Put a bundle into one file, which can be verified as it is and unpacked with tar."""
    from backends.evidence.archive import pack as packed

    size = packed(folder, file)
    if asked.json:
        document({"item": {"file": str(file), "bytes": size}})
    else:
        say(clean(f"written: {file}, {count(size)} bytes", 600))


async def add(
    path: Annotated[Path, Parameter(help="A bundle, an attestation, or any other file.")],
    /,
    *,
    kind: Annotated[str | None, Parameter(help="The kind of a file that is no attestation: junit, sarif, …")] = None,
    about: Annotated[str | None, Parameter(help="What it is about: a release, an incident.")] = None,
    environment: Environment = None,
    at: Annotated[str | None, Parameter(help="Its time; default: the time of the file.")] = None,
    public_key: Keys = (),
    shared_key_from: Shared = None,
    asked: Changing = CHANGING,
) -> None:
    """Record a file as evidence, by its SHA-256: a bundle is verified before, an attestation says itself what it is."""
    from app.artefacts import described
    from app.cli.changing import carry_out, print_outcome
    from controlplane.registry import named

    operation = named("evidence.add")
    made = await asyncio.to_thread(
        described, path, kind, lambda: chosen(asked)[0], public_key, _shared(shared_key_from)
    )
    told = {name: value for name, value in (("about", about), ("at", at), ("environment", environment)) if value}
    if made.kind == BUNDLE and (told or kind):
        raise Usage("evidence_says_itself", "A bundle itself says its kind, its time and its environment.")
    async with opened(asked) as context:
        fields = _request(made, made.environment or context.environment) | told
        outcome = await carry_out(context, operation, operation.parse(fields), asked)
    print_outcome(outcome, asked)
