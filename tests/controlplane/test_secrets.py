import pytest

from controlplane.errors import Usage
from controlplane.secrets import Reference, Secret, variable


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("env:DB_PASSWORD", Reference("env", "DB_PASSWORD")),
        ("file:/run/x y", Reference("file", "/run/x y")),
        ("file:~/x", Reference("file", "~/x")),
        ("cred:db.password", Reference("cred", "db.password")),
        ("keyring:watchfloor/ana", Reference("keyring", "watchfloor", "ana")),
        ("keyring:https://db/ana", Reference("keyring", "https://db", "ana")),
        ("age:/etc/a#b.age#db", Reference("age", "/etc/a#b.age", "db")),
    ],
)
def test_a_reference_is_read_and_written_the_same(text: str, reference: Reference) -> None:
    assert Reference.parse(text) == reference
    assert str(reference) == text


def test_a_command_keeps_its_arguments_to_itself() -> None:
    reference = Reference.parse('cmd:["vault", "read", "-token=hunter2"]')
    assert reference.argv == ("vault", "read", "-token=hunter2")
    assert str(reference) == 'cmd:["vault", …]'
    assert "hunter2" not in repr(reference)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "hunter2:hunter2",
        "env:",
        "env:1hunter2",
        "env:hunter2 x",
        "file:hunter2",
        "file:/hunter2\n",
        "cred:../hunter2",
        "cred:a/hunter2",
        "keyring:hunter2",
        "keyring:/hunter2",
        "age:/hunter2",
        "age:hunter2#key",
        "age:/hunter2#",
        "cmd:hunter2",
        "cmd:[]",
        'cmd:[""]',
        'cmd:["hunter2", 1]',
        'cmd:{"hunter2": 1}',
        'cmd:["hunter2\\u0000"]',
    ],
)
def test_what_is_no_reference_is_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(Usage) as caught:
        Reference.parse(text)
    assert caught.value.code == "secret_reference_invalid"
    assert "hunter2" not in str(caught.value)
    assert "env:NAME" in caught.value.hint


def test_a_secret_shows_its_source_only() -> None:
    secret = Secret("hunter2", "env:X")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert "env:X" in repr(secret)


def test_the_variable_of_a_profile() -> None:
    assert variable("eu-prod.1") == "WATCHFLOOR_PASSWORD_EU_PROD_1"
