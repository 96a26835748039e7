import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from app.commanding import check_commands
from app.settings import TABLES, Profile, Settings, View, load, read, settings_path
from app.settings_text import DEFAULT, lines_of, write_default
from controlplane.errors import Conflict, NotFound, Refusal, Usage
from controlplane.secrets import Reference

PATH = Path("/etc/watchfloor/settings.toml")

FULL = """
home = "acme-prod"
theme = "day"
keymap = "vim"
mouse = "off"
refresh = 5
time = "utc"
glyphs = "ascii"
password_command = ["pass", "show", "ops/{profile}"]
[keys]
"table.open" = "enter, o"
[profiles.acme-prod]
url = "postgresql://ana@db.example:5432/watchfloor"
environment = "Production"
password = "keyring:watchfloor/acme"
[profiles.lab]
url = "postgresql:///lab"
environment = "development"
[views.noisy]
noun = "tenants"
filter = "err>1%"
sort = "-errors"
columns = ["tenant", "errors"]
"""


def facts(settings: Settings) -> dict[str, object]:
    """All that was read, without the text that it was read from."""
    return {name: value for name, value in asdict(settings).items() if name != "text"}


def faults(text: str, themes: tuple[str, ...] = ()) -> tuple[str, ...]:
    with pytest.raises(Usage) as caught:
        read(text, PATH, themes)
    assert caught.value.code == "settings_invalid"
    assert all(fault in caught.value.message for fault in caught.value.why)
    return caught.value.why


def test_every_option_is_read() -> None:
    settings = read(FULL, PATH, ("day", "night"))
    expected = Settings(
        PATH,
        home="acme-prod",
        theme="day",
        keymap="vim",
        mouse="off",
        refresh=5.0,
        time="utc",
        glyphs="ascii",
        password_command=("pass", "show", "ops/{profile}"),
        keys={"table.open": ("enter", "o")},
        profiles={
            "acme-prod": Profile(
                "acme-prod",
                "postgresql://ana@db.example:5432/watchfloor",
                "production",
                True,
                Reference("keyring", "watchfloor", "acme"),
            ),
            "lab": Profile("lab", "postgresql:///lab", "development", False),
        },
        views={"noisy": View("noisy", "tenants", "err>1%", "-errors", ("tenant", "errors"))},
    )
    assert facts(settings) == facts(expected)


def test_every_value_tells_where_it_comes_from() -> None:
    settings = read(FULL, PATH)
    assert settings.source("theme") == f"{PATH}:3"
    assert settings.source("keys", "table.open") == f"{PATH}:11"
    assert settings.source("profiles", "lab", "url") == f"{PATH}:17"
    assert settings.source("profiles", "acme-prod", "read_only") == "default, because the environment is production"
    assert settings.source("profiles", "lab", "password") == "default"
    assert Settings(PATH).source("theme") == "default"
    inline = read('profiles.a = {url = "postgresql:///x", environment = "lab"}', PATH)
    assert inline.source("profiles", "a", "url") == f"{PATH}:1"
    assert inline.source("profiles", "a", "password") == "default"


def test_lines_are_found_in_every_way_to_write_toml() -> None:
    text = '# x = 1\na.b . "c=d" = """\nx = 1\n[y]\n"""\nlist = [\n  1, # ]\n  2,\n]\r\n'
    text += '[ t ."u" ]\nv = {w = 1}\n[[many]]\nk=1'
    lines = lines_of(text)
    assert lines[("a", "b", "c=d")] == 2
    assert lines[("list",)] == 6
    assert lines[("t", "u", "v")] == 11
    assert lines[("many", "k")] == 13
    assert ("x",) not in lines and ("y",) not in lines


def test_all_faults_come_at_once_with_line_key_and_expectation() -> None:
    text = """
thme = "day"
keymap = "vmi"
refresh = 0
mouse = true
home = "lba"
[profiles.lab]
url = "postgres://x/y"
environment = "lab"
read_only = "yes"
pasword = "x"
[profiles.none]
read_only = false
[views.noisy]
columns = "tenant"
"""
    found = faults(text)
    assert [fault.split(": ")[:2] for fault in found] == [
        [f"{PATH}:2", "thme"],
        [f"{PATH}:3", "keymap"],
        [f"{PATH}:4", "refresh"],
        [f"{PATH}:5", "mouse"],
        [f"{PATH}:6", "home"],
        [f"{PATH}:10", "profiles.lab.read_only"],
        [f"{PATH}:11", "profiles.lab.pasword"],
        [f"{PATH}:12", "profiles.none.environment"],
        [f"{PATH}:12", "profiles.none.url"],
        [f"{PATH}:14", "views.noisy.noun"],
        [f"{PATH}:15", "views.noisy.columns"],
    ]
    assert "did you mean 'theme'?" in found[0]
    assert "expected one of default, vim, tmux-safe; did you mean 'vim'?" in found[1]
    assert "0.2 to 3600" in found[2]
    assert "Did you mean 'lab'?" in found[4]
    assert "did you mean 'password'?" in found[6]


@pytest.mark.parametrize(
    "line",
    [
        'password = "hunter2"',
        'password = "hunter2:hunter2"',
        'password = "evn:hunter2"',
        'password = ["hunter2"]',
        "password = hunter2",
        'password = "hunter2',
        'url = "postgresql://ana:hunter2@db/x"',
        'url = "postgresql://ana:hunter2/x@db/x"',
        'url = "postgresql://ana:hunter2?x@db/x"',
        'url = "postgresql://ana@db/x?password=hunter2"',
        'url = "postgresql://ana@db/x?sslmode=require&p%61ssword=hunter2"',
        'url = "mysql://ana:hunter2@db/x"',
    ],
)
def test_a_password_in_the_file_is_refused_and_not_repeated(line: str) -> None:
    name = line.split(" ")[0]
    rest = {"url": 'url = "postgresql:///x"', "password": 'password = "env:X"'}
    rest.pop(name)
    text = "[profiles.a]\nenvironment = 'lab'\n" + "\n".join([line, *rest.values()])
    with pytest.raises(Usage) as caught:
        read(text, PATH)
    error = caught.value
    assert "hunter2" not in f"{error} {error.hint} {error.why} {error!r} {error.__cause__!r}"
    assert f"{PATH}:3: " in error.message
    if '"h' in line and not line.endswith("r2"):
        assert "watchfloor secrets set" in error.message
    if "evn:" in line:
        assert "did you mean 'env'?" in error.message


@pytest.mark.parametrize(
    "line",
    [
        'secret = "hunter2"',
        'secret = ["hunter2"]',
        'endpoint = "https://key:hunter2@s3.example"',
        'endpoint = "https://s3.example/?sig=hunter2"',
        'target = "s3://key:hunter2@bucket"',
        'target = "s3://bucket?secret=hunter2"',
    ],
)
def test_a_secret_of_a_credential_is_never_in_the_file_or_repeated(line: str) -> None:
    rest = {"target": 'target = "s3://bucket"', "secret": 'secret = "env:X"'}
    rest.pop(line.split(" ")[0], None)
    with pytest.raises(Usage) as caught:
        read("[credentials.a]\n" + "\n".join([line, *rest.values()]), PATH)
    error = caught.value
    assert f"{PATH}:2: credentials.a." in error.message
    assert "hunter2" not in f"{error} {error.hint} {error.why} {error!r} {error.__cause__!r}"


def test_a_credential_and_a_profile_share_no_name() -> None:
    text = '[profiles]\neu = {url = "postgresql:///x", environment = "lab"}\n'
    (fault,) = faults(text + '[credentials]\nEU = {target = "s3://bucket", secret = "env:X"}')
    assert fault.startswith(f"{PATH}:4: credentials.EU:") and "like the profile 'eu'" in fault


def test_a_home_with_a_password_is_told_what_to_do() -> None:
    (fault,) = faults('home = "postgresql://ana:hunter2@db/x"')
    assert "holds a password" in fault and "PGPASSWORD" in fault and "hunter2" not in fault


@pytest.mark.parametrize("word", ["prod", "prd", "live", "prodution", "Productoin"])
def test_an_environment_that_resembles_production_does_not_open_for_writing(word: str) -> None:
    (fault,) = faults(f'[profiles.a]\nurl = "postgresql:///x"\nenvironment = "{word}"')
    assert 'write "production"' in fault


def test_profiles_that_would_share_a_password_variable_are_refused() -> None:
    table = '{url = "postgresql:///x", environment = "lab"}'
    (fault,) = faults(f"[profiles]\neu-1 = {table}\neu_1 = {table}")
    assert "WATCHFLOOR_PASSWORD_EU_1" in fault and "'eu-1'" in fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = ", ":1: "),
        ("\n\n[a\n", ":3: "),
        ("a = 1\na = 2", ":2: "),
        (f"refresh = {'1' * 5000}", "too long"),
        (f"keys = {'[' * 5000}{']' * 5000}", "too deep"),
        ("refresh = nan", "0.2 to 3600"),
        ("refresh = true", "0.2 to 3600"),
        ("keys = 1", "expected a table"),
        ("profiles.a = 1", "expected a table, [profiles.a]"),
        ('profiles."a b" = {}', "expected a name"),
        ('keys.x = "a,,b"', "expected keys"),
        ("keys.x = 1", "expected keys"),
        ('"\\u001b[2J" = 1', "there is no such key"),
        ('views.v = {noun = "x", filter = "a\\nb"}', "printable"),
        ('theme = "dya"', "did you mean 'day'?"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, words: str) -> None:
    found = faults(text, ("day", "night"))
    assert words in found[0]
    assert all(fault.isprintable() for fault in found)


def test_the_default_text_with_every_line_uncommented_is_the_defaults() -> None:
    lines = [line[1:] if line[:1] == "#" and line[1:2] not in (" ", "") else line for line in DEFAULT.split("\n")]
    settings = read("\n".join(lines), PATH)
    assert facts(settings) == facts(Settings(PATH)) == facts(read(DEFAULT, PATH))
    named = {line.split(" ")[0].strip("[]") for line in lines if line[:1].isalpha() or line[:1] == "["}
    assert named == {name for name in Settings.__dataclass_fields__ if name not in ("path", "text")}


def test_the_examples_in_the_default_text_can_be_read() -> None:
    lines = [line[1:].lstrip() if line.startswith("#   ") else line.removeprefix("#[") for line in DEFAULT.split("\n")]
    lines = ["[keys]" if line == "keys]" else "" if line in {f"{name}]" for name in TABLES} else line for line in lines]
    settings = read("\n".join(lines), PATH)
    assert settings.keys and settings.views["noisy"].columns and settings.columns["tenants"]
    assert settings.previews == {"tenants"} and settings.commands["logs"].key == "L"
    check_commands(settings)
    assert str(settings.logs["gateway"].tenant) == "header:X-Tenant"
    archive = settings.credentials["archive"]
    assert (archive.target, str(archive.secret)) == ("s3://acme-evidence", "keyring:watchfloor/archive")
    assert settings.profiles["acme-prod"].read_only
    assert settings.profiles["acme-prod"].password == Reference("keyring", "watchfloor", "acme-prod")


def test_writing_the_default_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.toml"
    write_default(path)
    assert path.read_text() == DEFAULT
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("theme = 'mine'")
    with pytest.raises(Conflict) as caught:
        write_default(path)
    assert caught.value.code == "settings_exist"
    assert path.read_text() == "theme = 'mine'"
    write_default(path, overwrite=True)
    assert path.read_text() == DEFAULT
    assert path.with_name("settings.toml.old").read_text() == "theme = 'mine'"
    with pytest.raises(Refusal) as refused:
        write_default(path / "below-a-file")
    assert refused.value.code == "settings_unwritable"


def test_the_file_is_found_where_it_belongs(frozen_environment: Path, tmp_path: Path) -> None:
    default = frozen_environment / "config" / "watchfloor" / "settings.toml"
    assert settings_path({}) == default
    assert facts(load({})) == facts(Settings(default))
    write_default(default)
    default.write_text("\ufefftheme = 'day'\r\n", encoding="utf-8")
    assert load({}).theme == "day"
    other = tmp_path / "mine.toml"
    with pytest.raises(NotFound) as caught:
        load({"WATCHFLOOR_SETTINGS": str(other)})
    assert caught.value.code == "settings_missing" and str(other) in caught.value.message
    other.write_text("theme = 'night'")
    assert load({"WATCHFLOOR_SETTINGS": str(other)}).theme == "night"
    other.write_bytes(b"\n\xff")
    with pytest.raises(Usage) as invalid:
        load({"WATCHFLOOR_SETTINGS": str(other)})
    assert f"{other}:2: this is not UTF-8" in invalid.value.message
    with pytest.raises(Refusal) as unreadable:
        load({"WATCHFLOOR_SETTINGS": str(tmp_path)})
    assert unreadable.value.code == "settings_unreadable"


def test_a_folder_that_cannot_be_one_holds_no_settings(
    frozen_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XDG_CONFIG_HOME=/dev/null, for a program that shall read none."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null")
    assert load({}).text == ""
    with pytest.raises(NotFound) as named:
        load({"WATCHFLOOR_SETTINGS": "/dev/null/settings.toml"})
    assert named.value.code == "settings_missing"


def test_no_settings_show_a_commands_arguments() -> None:
    text = (
        'password_command = ["vault", "-token=hunter2"]\n[profiles.a]\nurl = "postgresql:///x"\nenvironment = "lab"\n'
        """password = 'cmd:["vault", "-token=hunter2"]'"""
    )
    settings = read(text, PATH)
    assert settings.password_command == ("vault", "-token=hunter2")
    assert "hunter2" not in repr(settings)


def test_reading_settings_is_cheap(tmp_path: Path) -> None:
    """About 10 ms where Textual takes 190, never twice that: as a share, because machines differ; processor's time,
    best of four. And nothing but this comes with it.
    """
    path = tmp_path / "settings.toml"
    path.write_text("\n".join(line for line in FULL.split("\n") if not line.startswith("password =")))
    code = (
        "import sys, time; start = time.process_time(); import textual.app; textual = time.process_time() - start\n"
        "before = set(sys.modules); start = time.process_time()\n"
        "from app.settings import load\n"
        "from app.homes import resolve_home\n"
        "resolve_home(None, {}, load({'WATCHFLOOR_SETTINGS': sys.argv[1]}))\n"
        "print(time.process_time() - start, textual, *{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    # Compiled once, as in an installed program, and beside the tree.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
    command = [sys.executable, "-c", code, str(path)]
    outputs = [subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout for _ in range(5)]
    runs = [output.split() for output in outputs[1:]]
    assert min(float(run[0]) for run in runs) / min(float(run[1]) for run in runs) < 20 / 190
    assert set(runs[0][2:]) <= {"app", "controlplane", "encodings", "tomllib"}


def test_own_mappings_of_logs() -> None:
    text = """
[logs.gateway]
at = ["when", "time"]
at_unit = "ms"
status = "reply.code"
request = "line"
host = "vhost"
tenant = "host:1"
"""
    mapping = read(text, PATH).logs["gateway"]
    assert (mapping.at, mapping.at_unit, mapping.status) == (("when", "time"), "ms", ("reply.code",))
    assert str(mapping.tenant) == "host:1"
    same = read(text.replace('"line"', '"line" # a remark'), PATH).logs["gateway"]
    other = read(text.replace('"line"', '"lines"'), PATH).logs["gateway"]
    assert mapping.identity == same.identity != other.identity, "a log that is read otherwise is another log"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("at = 't'\nroute = 'r'", "logs.g.status: is missing"),
        ("at = 't'\nstatus = 's'", 'needs "route"'),
        ("at = 't'\nstatus = 's'\nroute = []", 'needs "route"'),
        ("at = 't'\nstatus = 's'\nroute = 7", "expected a list of texts"),
        ("at = 't'\nstatus = 's'\nroute = 'r'\nlatency_unit = 'min'", "expected one of s, ms, us, ns"),
        ("at = 't'\nstatus = 's'\nroute = 'r'\ntenant = 'cookie:x'", 'expected "field:PATH"'),
        ("at = 't'\nstatus = 's'\nroute = 'r'\ntenant = 'host'", "does not say where the host name is"),
        ("at = 't'\nstatus = 's'\nroute = 'r'\ntenant = 'header:X'", "does not say where headers are"),
        ("at = 't'\nstatus = 's'\nroute = 'r'\nheaders = 'h'", "with one *"),
        ("at = 't'\nstatus = 's'\nroute = 'r'\nlatnecy = 'l'", "did you mean 'latency'?"),
    ],
)
def test_faults_of_mappings(lines: str, words: str) -> None:
    with pytest.raises(Usage) as refused:
        read(f"[logs.g]\n{lines}\n", PATH)
    assert words in refused.value.message


@pytest.mark.parametrize("name", ["caddy", "jsonl"])
def test_a_mapping_may_not_be_called_as_a_format_is(name: str) -> None:
    with pytest.raises(Usage, match="is the name of a format"):
        read(f"[logs.{name}]\nat = 't'\nstatus = 's'\nroute = 'r'\n", PATH)
