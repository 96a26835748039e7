"""The attestation of a publication: what the provider said of each file and until when it keeps it, signed by whoever
published it, so that it can be verified with no home and no network.

    PREFIX/bundles/1b4f0e…/9f86d081.dsse.json    beside the manifest of the bundle

The same facts are the same bytes, so publishing again adds one only when what the provider says is different.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controlplane.errors import Refusal
from controlplane.evidence.bundles import ENVELOPE
from controlplane.evidence.envelopes import Key, Signer, opened, seal
from controlplane.evidence.publishing import Remote, Target
from controlplane.evidence.statements import Statement, Subject
from controlplane.text import clean

PUBLICATION = "urn:watchfloor:evidence-publication:v1"
SAID = ("target", "manifest", "objects", "lock")
MAX_ATTESTATIONS = 100


@dataclass(frozen=True)
class Attested:
    """What one attestation of a bundle comes to. `signer`: the id of the key; "": none of the keys that were given has
    signed it, so nothing of it is known. `fault`: why it cannot be true of this bundle. `mode`, `until`: of the first
    lock that ends, as text; "": not all of it is locked, or that is not known.
    """

    file: str
    signer: str = ""
    target: str = ""
    mode: str = ""
    until: str = ""
    fault: str = ""


def folder_of(bundle: str) -> str:
    return f"bundles/{bundle}"


def attest(remote: Remote, attestation: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    """Sign an attestation, and publish it beside the manifest. Returns it with `signed`: where, and by which key.

    Raises Refusal `target_failed`, `published_differs`.
    """
    said = {name: attestation[name] for name in SAID}
    bundle = attestation["bundle"]
    text = seal(Statement((Subject(ENVELOPE, bundle),), PUBLICATION, said).payload(), signer)
    sha256 = hashlib.sha256(text).hexdigest()
    key = f"{folder_of(bundle)}/{sha256[:8]}.dsse.json"
    remote.create(key, text)
    there = remote.read(key)
    if there is None or b"".join(there[1]) != text:
        target = Target.parse(attestation["target"])
        raise Refusal("published_differs", f"{target} does not give back the attestation as it was published.")
    return {**attestation, "signed": {"key": key, "sha256": sha256, "signer": signer.name}}


def verify_attestations(
    found: Iterable[tuple[str, Callable[[], bytes]]], bundle: str, files: Mapping[str, str], keys: Sequence[Key]
) -> list[Attested]:
    """`found`: attestations by the names of their files; `files`: SHA-256 by path of a bundle that was verified, its
    envelope among them. Raises nothing of what an attestation may hold.
    """
    return [_verified(name, read(), bundle, files, keys) for name, read in found]


def _verified(name: str, text: bytes, bundle: str, files: Mapping[str, str], keys: Sequence[Key]) -> Attested:
    try:
        payload, signer = opened(text, keys)
    except Refusal as refusal:
        unknown = refusal.code == "envelope_unsigned"
        return Attested(name, fault="" if unknown else refusal.message)
    try:
        statement = Statement.parse(payload)
        said = statement.predicate
        told = {each["path"]: each["sha256"] for each in said["objects"]}
        lock = said["lock"] or {}
        target, mode, until = (str(each) for each in (said["target"], lock.get("mode", ""), lock.get("until", "")))
    except (Refusal, KeyError, TypeError, AttributeError):
        return Attested(name, signer.name, fault="It is no attestation of a publication.")
    fault = ""
    if statement.type != PUBLICATION or [each.sha256 for each in statement.subjects] != [bundle]:
        fault = "It is of another bundle."
    elif told != dict(files):
        fault = "It is of other files than the bundle has."
    return Attested(name, signer.name, clean(target, 300), clean(mode, 40), clean(until, 40), fault)
