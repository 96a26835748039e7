from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from app.homes import resolve_home
from app.profiles import connect_info, open_vault
from app.settings import Settings, read
from backends.secrets.vault import Vault
from controlplane.errors import NotFound, Usage

VALUE = "hunter2 '\\@:/%ü"


def settings(password: str = "", url: str = "postgresql://ana@db:5432/x?sslmode=require") -> Settings:
    line = f"password = '{password}'" if password else ""
    return read(f"[profiles.lab]\nenvironment = 'lab'\nurl = '{url}'\n{line}", Path("/s.toml"))


def test_the_password_joins_the_url_and_shows_nowhere(tmp_path: Path) -> None:
    here = settings("env:DB")
    info = connect_info(resolve_home("lab", {}, here), here, Vault(tmp_path, env={"DB": VALUE}))
    assert conninfo_to_dict(info.conninfo) == {
        "user": "ana",
        "host": "db",
        "port": "5432",
        "dbname": "x",
        "sslmode": "require",
        "password": VALUE,
    }
    assert info.redacted() == "postgresql://ana@db:5432/x?sslmode=require (password: env:DB)"
    assert "hunter2" not in f"{info!r} {info.redacted()} {info.why}"


def test_without_a_password_libpq_looks_for_one(tmp_path: Path) -> None:
    here = settings()
    info = connect_info(resolve_home("lab", {}, here), here, Vault(tmp_path, env={}))
    assert info.conninfo == "postgresql://ana@db:5432/x?sslmode=require"
    assert "PGPASSWORD" in info.source
    assert len(info.why) == 4 and "WATCHFLOOR_PASSWORD_LAB" in info.why[2]
    found = connect_info(resolve_home("lab", {}, here), here, Vault(tmp_path, env={"WATCHFLOOR_PASSWORD_LAB": VALUE}))
    assert conninfo_to_dict(found.conninfo)["password"] == VALUE


def test_a_place_that_the_profile_names_must_have_it(tmp_path: Path) -> None:
    here = settings("env:OTHER")
    with pytest.raises(NotFound) as caught:
        connect_info(resolve_home("lab", {}, here), here, Vault(tmp_path, env={"WATCHFLOOR_PASSWORD_LAB": VALUE}))
    assert "OTHER" in caught.value.message


def test_a_bare_url_asks_no_store(tmp_path: Path) -> None:
    here = settings()
    info = connect_info(resolve_home("postgresql:///x", {}, here), here, Vault(tmp_path, ("false",), {}))
    assert (info.conninfo, info.url) == ("postgresql:///x", "postgresql:///x")


def test_a_url_that_libpq_cannot_read_is_told_without_the_password(tmp_path: Path) -> None:
    here = settings("env:DB", "postgresql://ana@db/x?nonsense=1")
    with pytest.raises(Usage) as caught:
        connect_info(resolve_home("lab", {}, here), here, Vault(tmp_path, env={"DB": VALUE}))
    assert "nonsense" in caught.value.message and "hunter2" not in str(caught.value)


def test_an_embedded_home_is_not_connected_by_url(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="embedded"):
        connect_info(resolve_home(None, {}, settings()), settings(), Vault(tmp_path))


def test_the_programs_vault_takes_the_settings_command(frozen_environment: Path) -> None:
    here = read('password_command = ["echo", "of {profile}"]', Path("/s.toml"))
    vault = open_vault(here, before_the_screen=True)  # no terminal here: nothing is asked
    secret = vault.resolve("lab", None)
    assert secret.value == "of lab"
    assert str(frozen_environment / "config" / "watchfloor" / "secrets.age") in secret.why[1]
