"""Real files, real commands, real age encryption, and the real keyring library around a keyring in memory."""

import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import SecretService

from backends.secrets import sources, system_keyring
from backends.secrets.vault import Vault
from controlplane.errors import NotFound, Refusal
from controlplane.secrets import Reference
from tests.backends.age import sealed

VALUE = "hunter" + "2-ünïcode"


class InMemory(KeyringBackend):
    """Takes the place of the desktop's keyring: the same class path, the same calls."""

    priority = 5
    entries: dict[tuple[str, str], str] = {}
    calls = 0
    failing: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        type(self).calls += 1
        if self.failing:
            raise self.failing
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.failing:
            raise self.failing
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


InMemory.__module__ = "keyring.backends.SecretService"


class Plain(KeyringBackend):
    """What keyrings.alt brings: preferred by the library over all others, and it keeps plain text."""

    priority = 99
    asked: list[str] = []

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append(username)
        return VALUE

    def set_password(self, service: str, username: str, password: str) -> None:
        self.asked.append(username)

    def delete_password(self, service: str, username: str) -> None:
        self.asked.append(username)


@pytest.fixture(autouse=True)
def headless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    before = keyring.core._keyring_backend
    InMemory.entries, InMemory.calls, InMemory.failing = {}, 0, None
    Plain.asked = []
    yield
    keyring.core._keyring_backend = before


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> type[InMemory]:
    monkeypatch.setattr(SecretService, "Keyring", InMemory)
    return InMemory


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "config", env={})


def file_with(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def refused(vault: Vault, reference: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        vault.resolve("acme", Reference.parse(reference))
    error = caught.value
    told = "".join(traceback.format_exception(error)) + repr(error) + repr(error.why) + error.hint
    assert VALUE not in told
    return error


# --- places that a profile names ---


def test_a_file_gives_its_first_line(vault: Vault, tmp_path: Path) -> None:
    for mode in (0o400, 0o600):
        path = file_with(tmp_path / f"{mode}", f"{VALUE}\r\nsecond line\n", mode)
        secret = vault.resolve("acme", Reference.parse(f"file:{path}"))
        assert secret.value == VALUE
        assert secret.source == f"file:{path}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o700])
def test_a_file_that_others_may_touch_is_refused(vault: Vault, tmp_path: Path, mode: int) -> None:
    error = refused(vault, f"file:{file_with(tmp_path / 'x', VALUE, mode)}")
    assert error.code == "secret_unusable"
    assert "chmod 0600" in error.message and f"{mode:04o}" in error.message


def test_a_file_of_another_person_is_refused(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_with(tmp_path / "x", VALUE)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert "belongs to" in refused(vault, f"file:{path}").message


def test_what_is_not_a_small_text_file_is_refused(vault: Vault, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "is not a file" in refused(vault, f"file:{tmp_path / 'pipe'}").message
    assert "does not exist" in refused(vault, f"file:{tmp_path / 'none'}").message
    assert "larger" in refused(vault, f"file:{file_with(tmp_path / 'big', VALUE * 10_000)}").message
    assert "UTF-8" in refused(vault, f"file:{file_with(tmp_path / 'b', VALUE.encode() + bytes([255]))}").message
    assert "NUL" in refused(vault, f"file:{file_with(tmp_path / 'n', VALUE + chr(0))}").message
    assert "empty" in refused(vault, f"file:{file_with(tmp_path / 'e', '')}").message


def test_an_environment_variable(tmp_path: Path) -> None:
    vault = Vault(tmp_path, env={"DB": VALUE, "EMPTY": ""})
    assert vault.resolve("acme", Reference.parse("env:DB")).value == VALUE
    assert refused(vault, "env:EMPTY").code == "secret_not_found"


def test_a_credential_of_a_service(tmp_path: Path) -> None:
    file_with(tmp_path / "db", VALUE, 0o440)  # how systemd shows one that an access list opens
    file_with(tmp_path / "open", VALUE, 0o444)
    vault = Vault(tmp_path, env={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert vault.resolve("acme", Reference.parse("cred:db")).value == VALUE
    assert "0444" in refused(vault, "cred:open").message
    assert "CREDENTIALS_DIRECTORY" in refused(Vault(tmp_path, env={}), "cred:db").message


def python(code: str) -> str:
    import json

    return "cmd:" + json.dumps([sys.executable, "-c", code])


def test_a_command_gives_its_first_line_without_shell_or_input(vault: Vault, tmp_path: Path) -> None:
    code = f"import sys; print({VALUE!r} + str(len(sys.stdin.read()))); print('$HOME'); sys.stderr.write('noise')"
    before = os.dup(0)
    typed = os.open(file_with(tmp_path / "typed", "keys meant for the console"), os.O_RDONLY)
    try:
        os.dup2(typed, 0)
        assert vault.resolve("acme", Reference.parse(python(code))).value == VALUE + "0"
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(typed)


def test_a_command_that_prints_too_much_ends(vault: Vault) -> None:
    code = f"import sys; print({VALUE!r}); sys.stdout.write('x' * 1_000_000)"
    assert vault.resolve("acme", Reference.parse(python(code))).value == VALUE


def test_a_command_that_fails_is_named_but_not_quoted(vault: Vault) -> None:
    assert "exit code 3" in refused(vault, python(f"print({VALUE!r}); exit(3)")).message
    error = refused(vault, 'cmd:["no-such-program-here"]')
    assert error.code == "secret_not_found" and "no-such-program-here" in error.message


def test_a_slow_command_is_ended_with_all_that_it_started(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "COMMAND_SECONDS", 0.7)
    note = tmp_path / "child"
    script = f"sleep 60 & echo $! > {note}; wait"
    started = time.monotonic()
    error = refused(vault, f'cmd:["sh", "-c", "{script}"]')
    assert time.monotonic() - started < 50, "not as long as what it started"
    assert "did not finish" in error.message
    child = Path("/proc") / note.read_text().strip() / "stat"
    deadline = time.monotonic() + 5
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, "the child of the command is still running"
        threading.Event().wait(0.01)


def test_a_named_place_is_the_only_one_asked(tmp_path: Path, desktop: type[InMemory]) -> None:
    vault = Vault(tmp_path, env={"WATCHFLOOR_PASSWORD_ACME": VALUE})
    desktop.entries["watchfloor", "acme"] = VALUE
    error = refused(vault, "env:OTHER")
    assert isinstance(error, NotFound)
    assert "OTHER" in error.message and "'acme'" in error.message
    assert desktop.calls == 0


# --- the keyring ---


def test_the_keyring_is_asked_by_reference_and_pinned(vault: Vault, desktop: type[InMemory]) -> None:
    desktop.entries["other", "ana"] = VALUE
    assert vault.resolve("acme", Reference.parse("keyring:other/ana")).value == VALUE
    assert "no entry other/bo" in refused(vault, "keyring:other/bo").message
    assert type(keyring.get_keyring()) is desktop


def test_without_a_keyring_the_reason_is_told(vault: Vault) -> None:
    message = refused(vault, "keyring:other/ana").message
    assert "no system keyring works here" in message and "SecretService" in message


@pytest.mark.parametrize("way", ["installed", "environment", "configuration"])
def test_a_keyring_of_plain_text_is_never_used(
    vault: Vault, desktop: type[InMemory], monkeypatch: pytest.MonkeyPatch, frozen_environment: Path, way: str
) -> None:
    module = ModuleType("keyrings.alt.file")
    monkeypatch.setattr(Plain, "__module__", "keyrings.alt.file")
    module.PlaintextKeyring = Plain  # type: ignore[attr-defined]
    for name in ("keyrings", "keyrings.alt"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "keyrings.alt.file", module)
    name = "keyrings.alt.file.PlaintextKeyring"
    if way == "environment":
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", name)
    if way == "configuration":
        rc = frozen_environment / "config" / "python_keyring" / "keyringrc.cfg"
        file_with(rc, f"[backend]\ndefault-keyring={name}\n")
    assert type(keyring.core._detect_backend()) is Plain  # what the library would take by itself

    where = vault.store("acme", VALUE)

    assert Plain.asked == []
    if way == "environment":
        assert "PYTHON_KEYRING_BACKEND" in where and desktop.entries == {}
    else:
        assert desktop.entries == {("watchfloor", "acme"): VALUE}


@pytest.mark.parametrize(
    "name",
    ["keyring.backends.null.Keyring", "keyring.backends.fail.Keyring", "keyring.backends.chainer.ChainerBackend"],
)
def test_a_keyring_that_keeps_nothing_or_hides_others_is_refused(
    vault: Vault, desktop: type[InMemory], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", name)
    assert name in refused(vault, "keyring:watchfloor/acme").message
    assert desktop.calls == 0


def test_the_environment_may_pick_from_the_list(
    vault: Vault, desktop: type[InMemory], monkeypatch: pytest.MonkeyPatch
) -> None:
    desktop.entries["watchfloor", "acme"] = VALUE
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.SecretService.Keyring")
    assert vault.resolve("acme", Reference.parse("keyring:watchfloor/acme")).value == VALUE
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.kwallet.DBusKeyring")
    assert "kwallet" in refused(vault, "keyring:watchfloor/acme").message


def test_a_keyring_that_hangs_is_left_after_its_time_and_not_asked_again(
    vault: Vault, desktop: type[InMemory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_keyring, "KEYRING_SECONDS", 0.3)
    release = threading.Event()
    monkeypatch.setattr(desktop, "get_password", lambda *_: release.wait(30))
    try:
        assert "did not answer" in refused(vault, "keyring:watchfloor/acme").message
        monkeypatch.setattr(desktop, "get_password", lambda *_: pytest.fail("asked again"))
        assert "did not answer" in refused(vault, "keyring:watchfloor/acme").message
    finally:
        release.set()


def test_a_dismissed_prompt_is_the_last_one_and_what_it_says_is_not_repeated(
    vault: Vault, desktop: type[InMemory]
) -> None:
    desktop.failing = keyring.errors.KeyringLocked(f"dismissed {VALUE}")
    for _ in range(2):
        assert "KeyringLocked" in refused(vault, "keyring:watchfloor/acme").message
    assert desktop.calls == 1


# --- the encrypted file ---


def test_the_encrypted_file_keeps_what_no_keyring_can(vault: Vault, tmp_path: Path) -> None:
    where = vault.store("acme", VALUE)
    vault.store("other", "x")
    folder = tmp_path / "config"
    assert str(folder / "secrets.age") in where and "no system keyring" in where
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert VALUE.encode() not in path.read_bytes()
    secret = Vault(folder, env={}).resolve("acme", None)
    assert (secret.value, secret.source) == (VALUE, f"encrypted file {folder / 'secrets.age'}")
    assert secret.why[0].startswith("system keyring") and secret.why[1].endswith("found")
    assert vault.resolve("x", Reference.parse(f"age:{folder}/secrets.age#other")).value == "x"
    assert "no entry" in refused(vault, f"age:{folder}/secrets.age#missing").message


def test_two_programs_that_store_at_once_lose_nothing(tmp_path: Path) -> None:
    Vault(tmp_path, env={}).store("first", VALUE)
    threads = [
        threading.Thread(target=lambda name=f"p{n}": Vault(tmp_path, env={}).store(name, name)) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh = Vault(tmp_path, env={})
    assert [fresh.resolve(f"p{n}", None).value for n in range(8)] == [f"p{n}" for n in range(8)]


def test_a_file_that_cannot_be_opened_is_refused_and_never_overwritten(vault: Vault, tmp_path: Path) -> None:
    vault.store("acme", VALUE)
    folder = tmp_path / "config"
    path, identity = folder / "secrets.age", folder / "identity.txt"
    key, sealed = identity.read_bytes(), path.read_bytes()
    reference = f"age:{path}#acme"

    def again(expected: str) -> None:
        fresh = Vault(folder, env={})
        assert expected in refused(fresh, reference).message
        with pytest.raises(Refusal):
            fresh.store("new", VALUE)
        findings = fresh.forget("acme")
        assert [f.state for f in findings] == ["unknown", "unknown"]

    identity.chmod(0o644)
    again("chmod 0600")
    identity.chmod(0o600)
    identity.write_text("nothing here")
    again("AGE-SECRET-KEY-")
    identity.unlink()
    again("does not exist")
    file_with(identity, key)
    path.chmod(0o666)
    again("0666")
    path.chmod(0o644)  # to read what is encrypted helps nobody
    assert Vault(folder, env={}).resolve("acme", None).value == VALUE
    path.write_bytes(sealed[:-1])
    again("damaged")


def test_what_people_encrypt_themselves(tmp_path: Path) -> None:
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    file_with(tmp_path / "identity.txt", f"# mine\n{identity}\n")
    vault = Vault(tmp_path, env={})
    for text, armored in ((f'"acme" = "{VALUE}"', True), (f'{{"acme": "{VALUE}"}}', False)):
        file_with(tmp_path / "mine", pyrage.encrypt(text.encode(), [identity.to_public()], armored=armored))
        assert vault.resolve("x", Reference.parse(f"age:{tmp_path}/mine#acme")).value == VALUE
    for text in (VALUE, f"acme = {VALUE}", f'{{"acme": ["{VALUE}"]}}', f'["{VALUE}"]'):
        file_with(tmp_path / "mine", pyrage.encrypt(text.encode(), [identity.to_public()]))
        assert "mapping" in refused(vault, f"age:{tmp_path}/mine#acme").message


def test_a_passphrase_is_asked_once_and_only_where_someone_can_answer(tmp_path: Path) -> None:
    file_with(tmp_path / "secrets.age", sealed(f'acme = "{VALUE}"\nother = "x"'.encode(), "right"))
    questions: list[str] = []

    def ask(answer: str) -> Vault:
        questions.clear()
        return Vault(tmp_path, env={}, ask=lambda question: questions.append(question) or answer)  # type: ignore[func-returns-value]

    right = ask("right")
    assert right.resolve("acme", None).value == VALUE
    assert right.resolve("other", None).value == "x"
    assert len(questions) == 1 and "secrets.age" in questions[0]
    assert "no terminal" in refused(Vault(tmp_path, env={}), f"age:{tmp_path}/secrets.age#acme").message
    wrong = ask("wrong")
    for _ in range(2):
        assert "passphrase is wrong" in refused(wrong, f"age:{tmp_path}/secrets.age#acme").message
    assert len(questions) == 1


# --- the order ---


def test_the_order_is_keyring_file_environment_command(tmp_path: Path, desktop: type[InMemory]) -> None:
    command = (sys.executable, "-c", "import sys; print('command of ' + sys.argv[1])", "{profile}")
    env = {"WATCHFLOOR_PASSWORD_EU_1": "environment"}
    vault = Vault(tmp_path, command, env)
    desktop.entries["watchfloor", "eu-1"] = "keyring"
    vault._file.set("eu-1", "file")
    found = []
    for remove in (
        lambda: desktop.entries.clear(),
        lambda: vault._file.remove("eu-1"),
        lambda: env.clear(),
        lambda: None,
    ):
        secret = vault.resolve("eu-1", None)
        found.append((secret.value, secret.source.split(" ")[0], len(secret.why)))
        remove()
    assert found == [
        ("keyring", "system", 1),
        ("file", "encrypted", 2),
        ("environment", "environment", 3),
        ("command of eu-1", "password_command", 4),
    ]


def test_what_was_looked_at_is_all_named(vault: Vault, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        vault.resolve("acme", None)
    for place in (
        "system keyring",
        str(tmp_path / "config/secrets.age"),
        "WATCHFLOOR_PASSWORD_ACME",
        "password_command",
    ):
        assert place in caught.value.message
    assert len(caught.value.why) == 4
    assert "secrets set acme" in caught.value.hint


def test_forget_removes_from_every_place(vault: Vault, desktop: type[InMemory]) -> None:
    assert vault.forget("acme") == []
    vault.store("acme", VALUE)
    vault._file.set("acme", VALUE)
    gone = vault.forget("acme")
    assert [finding.state for finding in gone] == ["good", "good"]
    assert desktop.entries == {}
    with pytest.raises(NotFound):
        vault.resolve("acme", None)


@pytest.mark.parametrize("value", ["", "two\nlines", "nul\0"])
def test_what_is_no_password_is_not_stored(vault: Vault, desktop: type[InMemory], value: str) -> None:
    with pytest.raises(Refusal):
        vault.store("acme", value)
    assert desktop.entries == {}


# --- the doctor, and silence ---


def test_the_doctor_tells_everything_but_values(tmp_path: Path) -> None:
    vault = Vault(tmp_path, ("pass", VALUE), {"A": VALUE})
    findings = vault.doctor({"found": Reference("env", "A"), "lost": Reference("env", "B"), "free": None})
    by_subject = {finding.subject: finding for finding in findings}
    assert by_subject["system keyring"].state == "bad"
    assert by_subject["encrypted file"].state == "unknown"
    assert by_subject["password_command"].state == "good"
    assert by_subject["profile found"].state == "good" and "env:A" in by_subject["profile found"].text
    assert by_subject["profile lost"].state == "bad" and "B is not set" in by_subject["profile lost"].text
    assert by_subject["profile free"].state == "unknown" and "PGPASSWORD" in by_subject["profile free"].text
    assert VALUE not in repr(findings)
    vault.store("acme", VALUE)
    assert {f.subject: f.state for f in vault.doctor({})}["encrypted file"] == "good"


def test_the_doctor_tells_a_locked_keyring_from_an_open_one(tmp_path: Path, desktop: type[InMemory]) -> None:
    open_one = Vault(tmp_path, env={}).doctor({})[0]
    desktop.failing = keyring.errors.KeyringLocked()
    locked = Vault(tmp_path, env={}).doctor({})[0]
    assert (open_one.state, locked.state) == ("good", "bad")
    assert "SecretService" in open_one.text and "KeyringLocked" in locked.text


def test_nothing_is_logged_or_printed(
    vault: Vault, desktop: type[InMemory], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        vault.store("acme", VALUE)
        secret = vault.resolve("acme", None)
        command = vault.resolve("acme", Reference.parse(python(f"print({VALUE!r})")))
        vault.forget("acme")
    assert secret.value == command.value == VALUE
    assert VALUE not in f"{secret} {command!r} {caplog.text} {''.join(capfd.readouterr())} {vars(vault)}"


def test_the_library_is_loaded_only_when_asked() -> None:
    import subprocess

    code = "import backends.secrets.vault, sys; print([m for m in ('keyring', 'pyrage') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
