from pathlib import Path

import pytest

from app.__main__ import _guarded
from app.homes import HomeChoice, resolve_home
from app.settings import Settings, read
from controlplane.errors import Usage
from controlplane.urls import redact, shown_url, without_secrets

PATH = Path("/etc/watchfloor/settings.toml")
PROFILES = """
[profiles.acme-prod]
url = "postgresql://ana@db/acme"
environment = "production"
"""
URL = "postgresql://ana@db.example:5432/watchfloor?sslmode=require"


def settings(home: str = "") -> Settings:
    return read(f"home = {home!r}{PROFILES}", PATH)


def test_the_order_is_option_environment_settings_embedded() -> None:
    env = {"WATCHFLOOR_HOME": "postgresql:///env"}
    assert resolve_home(URL, env, settings("/srv/home")) == HomeChoice("url", URL, None, "--home")
    assert resolve_home(None, env, settings("/srv/home")) == HomeChoice(
        "url", "postgresql:///env", None, "the environment variable WATCHFLOOR_HOME"
    )
    unset = {"WATCHFLOOR_HOME": ""}
    assert resolve_home(None, unset, settings("/srv/home")) == HomeChoice("folder", "/srv/home", None, f"{PATH}:1")
    choice = resolve_home(None, {}, settings())
    assert (choice.kind, choice.value, choice.profile) == ("folder", None, None)
    assert "nothing names a home" in choice.source


@pytest.mark.parametrize("where", ["option", "environment", "settings"])
def test_a_profile_is_named_everywhere(where: str) -> None:
    option = "acme-prod" if where == "option" else None
    env = {"WATCHFLOOR_HOME": "acme-prod"} if where == "environment" else {}
    choice = resolve_home(option, env, settings("acme-prod" if where == "settings" else ""))
    assert (choice.kind, choice.value, choice.profile) == ("url", "postgresql://ana@db/acme", "acme-prod")
    assert choice.source.endswith(f"profile acme-prod ({PATH}:3)")


def test_a_folder_is_relative_to_who_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ana")
    assert resolve_home("./x/../y", {}, settings()).value == str(tmp_path / "y")
    assert resolve_home(".", {}, settings("./x")).value == str(tmp_path)
    assert resolve_home("~/x", {}, settings()).value == "/home/ana/x"
    assert resolve_home(None, {}, settings("./x")).value == str(PATH.parent / "x")
    assert resolve_home("./x", {}, settings("./x")).value == str(tmp_path / "x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("acme-prdo", "Did you mean 'acme-prod'?"),
        ("x" * 10_000, "neither a PostgreSQL URL nor a profile"),
        ("http://db/x", "http:// is not PostgreSQL"),
        ("POSTGRESQL://db/x", "is not PostgreSQL"),
        ("host=db password=hunter2", "not written as"),
        ("postgresql://ana:hunter2@db/x", "holds a password"),
        ("postgresql://ana@db/x?oauth_client_secret=hunter2", "holds a password"),
        ("postgresql://db/a b", "%20"),
        ("postgresql://db/a\x1b[2J", "cannot be printed"),
        ("/srv/a\0b", "cannot be printed"),
        ("~nobody-of-this-name/x", "no such user"),
    ],
)
def test_nonsense_is_refused_with_what_to_write(text: str, words: str) -> None:
    for option, env in ((text, {}), (None, {"WATCHFLOOR_HOME": text})):
        if not option and not env.get("WATCHFLOOR_HOME"):
            continue
        with pytest.raises(Usage) as caught:
            resolve_home(option, env, settings())
        error = caught.value
        assert error.code == "home_invalid"
        assert words in str(error)
        assert "hunter2" not in str(error) and str(error).isprintable() and len(str(error)) < 500
    with pytest.raises(Usage):
        resolve_home(text, {}, settings())


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(Usage, match="is a file"):
        resolve_home(str(tmp_path / "f"), {}, settings())


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "postgres://db",
        "postgresql://ana@h1:5432,h2:5433/x?target_session_attrs=read-write",
        "postgresql://ana%40corp@[::1]:5432/x",
        "postgresql:///x?host=/run/postgresql&user=ana",
        "postgresql://db/x?options=-c%20search_path%3Da&passfile=/x",
        "postgresql://db:5432/x?application_name=a@b",
    ],
)
def test_urls_without_a_password_are_taken_as_they_are(url: str) -> None:
    assert redact(url) == url and shown_url(url) == url
    assert resolve_home(url, {}, settings()).value == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ana:hunter2@db/x",
        "postgresql://:hunter2@db/x",
        "postgresql://ana:hunter2:hunter2@db",
        "postgresql://ana:a?hunter2@db/x",
        "postgresql://ana:a/hunter2@db/x",
        "postgresql:///x?user=ana&sslpassword=hunter2",
        "postgresql:///x?%70assword=hunter2&user=ana",
    ],
)
def test_redacting_hides_every_way_to_write_a_password(url: str) -> None:
    assert "hunter2" not in redact(url)
    assert "•••" in redact(url)
    assert "hunter2" not in shown_url(url) and "hunter2" not in without_secrets(f"{url!r} cannot be read")


WRONG = [
    " postgresql://ana:hunter2@db/x",
    "\npostgresql://ana:hunter2@db/x",
    "postgresql:/ana:hunter2@db/x",
    "postgresql//ana:hunter2@db/x",
    "postgresql;//ana:hunter2@db/x",
    "//ana:hunter2@db/x",
    "./ana:hunter2@db/x",
    "ana:hunter2@db/x",
    "ana:hun@ter2:hunter2@db",
    "postgresql://ana:hunter2/db/x",
    "postgresql://ana:hunter2",
    "postgresql://ana@db/x?pasword=hunter2",
    "postgresql://ana@db/x&password=hunter2",
    "postgresql://ana@db/x#:hunter2@",
    "postgresql://ana:hunter2 @db/x",
    "'postgresql://ana:hunter2@db/x'",
    "http://ana:hunter2@db/x",
    " host=db password=hunter2",
    "db password = hunter2",
]


@pytest.mark.parametrize("text", WRONG)
def test_a_secret_is_never_repeated_wherever_it_stands_and_whatever_the_typo(text: str) -> None:
    assert "hunter2" not in shown_url(text)
    with pytest.raises(Usage) as caught:
        resolve_home(text, {}, settings())
        raise Usage("home_invalid", "taken as it is")  # pragma: no cover - then libpq refuses it
    assert "hunter2" not in f"{caught.value} {caught.value.why}"


@pytest.mark.parametrize("text", [text for text in WRONG if "\n" not in text])
@pytest.mark.parametrize("words", [["--home", "{}", "tenants", "list"], ["{}"], ["tenants", "list", "--hom={}"]])
def test_no_command_repeats_it(
    text: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    code = _guarded([word.replace("{}", text) for word in words])
    said = capsys.readouterr()
    assert code != 0 and "hunter2" not in said.out + said.err, said
