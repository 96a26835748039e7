"""Where this machine keeps bundles, and what it signs and verifies them with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.credentials import opening
from app.embedded import folder_of
from app.notary import own_key
from controlplane.audit.checkpoints import PublicKey
from controlplane.errors import Refusal, Usage
from controlplane.evidence.envelopes import Ed25519Key, Ed25519Signer, Envelope, Key, SharedKey, Signer
from controlplane.evidence.statements import Statement
from controlplane.text import clean

if TYPE_CHECKING:
    from app.homes import HomeChoice
    from app.settings import Settings
    from backends.evidence.publisher import Publisher
    from controlplane.evidence.bundles import Container


def evidence_folder(choice: HomeChoice, settings: Settings) -> Path:
    """The folder that bundles of this home are kept in, each under the SHA-256 of its envelope."""
    if settings.evidence:
        return settings.path.parent / Path(settings.evidence).expanduser()
    if choice.kind == "folder":
        return folder_of(choice) / "evidence"
    from platformdirs import user_data_path

    return user_data_path("watchfloor", appauthor=False) / "evidence"


def publisher_of(choice: HomeChoice, settings: Settings) -> Publisher:
    """What a worker of this home publishes with here."""
    from backends.evidence.publisher import Publisher
    from controlplane.evidence.publishing import Target

    allowed = [Target.parse(each) for each in settings.publish_to]
    return Publisher(evidence_folder(choice, settings), allowed, opening(settings), sign=signer_of(choice, None))


def signer_of(choice: HomeChoice, shared: str | None) -> Callable[[str], Signer]:
    """Signs for a trail, with the shared key or else with this account's own. Blocks; raises Refusal."""
    if shared is not None:
        key = SharedKey.of(shared)
        return lambda origin: key
    private = own_key(choice, make=True)
    assert private is not None
    return lambda origin: Ed25519Signer.of(private, origin)


def keys_of(
    choice: Callable[[], HomeChoice], public: Sequence[str], shared: str | None, envelope: bytes | None
) -> list[Key]:
    """The keys whose signatures count: those that were given, else this account's own. Raises Usage, Refusal."""
    keys: list[Key] = [Ed25519Key(PublicKey.parse(text)) for text in public]
    if shared is not None:
        keys.append(SharedKey.of(shared))
    if keys:
        return keys
    own = own_key(choice(), make=False)
    if own is None:
        raise Usage(
            "public_key_needed",
            "No key to trust: this account has none of its own.",
            "--public-key NAME+ID+KEY, as evidence collect and audit checkpoint print it",
        )
    return [Ed25519Key(own.public(origin)) for origin in _said(envelope)]


def _said(envelope: bytes | None) -> list[str]:
    """Which trail an envelope says that it is of. Only our own key is held against it, whatever it says."""
    try:
        said = Statement.parse(Envelope.parse(envelope or b"").payload).predicate.get("trail")
    except Refusal:
        return []
    return [said] if isinstance(said, str) and said and not any(each in said for each in " +\n") else []


def bundle_of(place: str, settings: Settings) -> Container:
    """A bundle by its folder, its file, or the address of its manifest. Raises Usage, Refusal."""
    if "://" in place:
        from backends.evidence.published import PublishedBundle

        return PublishedBundle.at(place, opening(settings))
    return container_of(Path(place))


def container_of(path: Path) -> Container:
    """A bundle's folder or file. Raises Usage `evidence_missing`."""
    from backends.evidence.archive import BundleArchive
    from backends.evidence.folder import BundleFolder

    if path.is_dir():
        return BundleFolder(path)
    if not path.is_file():
        raise Usage("evidence_missing", f"There is no file or folder {clean(path, 400)}.")
    return BundleArchive(path)
