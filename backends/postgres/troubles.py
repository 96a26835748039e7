"""The reasons why a home cannot be used, told apart by SQLSTATE, or by the message where there is none.

A failed login has no SQLSTATE (libpq passes on only its text), and a pooler gives one code for everything.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from controlplane.errors import HomeUnreachable
from controlplane.text import clean

MAX_WORDS_CHARACTERS = 300
UNSAID = "XX000"
"""The SQLSTATE that PostgreSQL gives to a system error that has no code of its own."""


class Trouble(NamedTuple):
    """`states`: prefixes of the SQLSTATEs that mean it; `words`: a pattern of the message, where there is no SQLSTATE.

    `brief` is for the header. `slow`: only a person can fix it, so retrying at once is of no use.
    """

    code: str
    brief: str
    message: str
    hint: str
    states: tuple[str, ...] = ()
    words: str = ""
    slow: bool = False


# The first match counts. {said} is what the server said, {name} the pattern's first group.
TROUBLES = (
    Trouble(
        "home_out_of_room",
        "disk full",
        "The home's disk is full ({said}): it stores nothing more until there is room; what it has is safe.",
        "Make room where PostgreSQL keeps its data; then it goes on by itself.",
        ("53100",),
        "No space left on device|Disk quota exceeded",
        slow=True,
    ),
    Trouble(
        "home_connections_used_up",
        "no connection free",
        "The home is up, but takes no more connections ({said}).",
        "Close programs that hold some, or raise the limit: max_connections, the role's CONNECTION LIMIT, or the"
        " pooler's max_client_conn and pool_size.",
        ("53300",),
        r"too many connections|too many clients|remaining connection slots|no more connections allowed"
        "|query_wait_timeout",
        slow=True,
    ),
    Trouble(
        "home_out_of_resources",
        "out of resources",
        "The home's server has run out of something ({said}).",
        "The server's log says which resource.",
        ("53000",),
        slow=True,
    ),
    Trouble(
        "home_pooler_refuses",
        "refused by pooler",
        'The pooler in front of the home refuses the startup parameter "{name}" ({said}).',
        "It comes from the URL, the service file or PGOPTIONS: leave it out there, or let the pooler ignore it: "
        "ignore_startup_parameters = {name} in pgbouncer.ini.",
        words=r"unsupported startup parameter(?: in options)?:? *\"?(\w+)",
        slow=True,
    ),
    Trouble(
        "home_database_missing",
        "no such database",
        "The server is up, but has no such database ({said}): it was dropped, renamed, or the home's name is wrong.",
        "watchfloor home status shows which one is wanted. Restore it, or make a new home: createdb, then"
        " watchfloor home migrate",
        ("3D", "57P04"),
        r"database \"?[^\"]*\"? does not exist|no such database",
        slow=True,
    ),
    Trouble(
        "home_login_refused",
        "login refused",
        "The home refused the login: the name or the password is wrong.",
        "watchfloor secrets doctor shows where the password comes from.",
        ("28P01",),
        "password authentication failed|no password supplied|SASL authentication failed|wrong password"
        "|SCRAM authentication",
        slow=True,
    ),
    Trouble(
        "home_login_refused",
        "login refused",
        "The home refused the login ({said}).",
        "Whoever runs the server can let it in: pg_hba.conf, CREATE ROLE, ALTER ROLE … LOGIN.",
        ("28",),
        r"no pg_hba\.conf entry|role \"?[^\"]*\"? does not exist|not permitted to log in|no such user"
        "|authentication failed|pg_hba.conf rejects",
        slow=True,
    ),
    Trouble(
        "not_an_operator",
        "not let in",
        "The home does not let this login in: it is not one of its operators ({said}).",
        "Ask an admin: watchfloor operators add NAME --role viewer",
        words="permission denied for database",
        slow=True,
    ),
    Trouble(
        "home_starting",
        "starting",
        "The home's PostgreSQL is starting and does not answer yet ({said}); after a crash it first replays its log.",
        "Wait: it goes on by itself.",
        ("57P03",),
        "starting up|not yet accepting connections|recovery mode|not accepting connections",
    ),
    Trouble(
        "home_stopping",
        "stopped",
        "The home's PostgreSQL is being stopped, or ended this connection ({said}).",
        "When it is up again, it goes on by itself.",
        ("57P", "25P03"),
        "shutting down|terminating connection|database is paused|database is disabled",
    ),
    Trouble(
        "home_read_only",
        "standby",
        "The home is read-only ({said}): a standby, or a database that only allows reading.",
        "Use the primary's address. Once it is promoted, it goes on by itself.",
        ("25006",),
        "session is read-only|hot standby|during recovery",
    ),
    Trouble(
        "home_pooler_alone",
        "only its pooler answers",
        "The pooler answers, but the home's PostgreSQL behind it does not ({said}).",
        "Is it running, and can the pooler reach it? The pooler's log says what happens.",
        words="server_login_retry|server login has been failing|cannot connect to server|server_connect_timeout",
    ),
    Trouble(
        "home_system_error",
        "server error",
        "The home's server met a system error ({said}).",
        "The server's log says more; a disk or a file may be damaged.",
        ("58",),
        slow=True,
    ),
    Trouble(
        "home_unreachable",
        "",
        "The home cannot be reached: {said}.",
        "Is it running, and the network up? watchfloor home status",
        ("08",),
    ),
)
AWAY = TROUBLES[-1]


def trouble_of(sqlstate: str | None, words: str) -> HomeUnreachable | None:
    """What a connection's error means; None when its SQLSTATE says that the home itself is usable."""
    telling = "" if sqlstate is None or sqlstate == UNSAID or sqlstate.startswith("08") else sqlstate
    for trouble in TROUBLES:
        if telling:
            if telling.startswith(trouble.states):
                return _told(trouble, words, "")
        elif trouble.words and (found := re.search(trouble.words, words)):
            return _told(trouble, words, found[1] if found.re.groups else "")
    return _told(AWAY, words, "") if sqlstate is None or sqlstate.startswith("08") else None


def _told(trouble: Trouble, words: str, name: str) -> HomeUnreachable:
    parts = {"said": said(words), "name": clean(name, 60)}
    return HomeUnreachable(
        trouble.code,
        trouble.message.format(**parts),
        trouble.hint.format(**parts),
        brief=trouble.brief,
        slow=trouble.slow,
    )


def said(words: str) -> str:
    """The server's own message; else libpq's first line, because the conninfo may follow."""
    found = re.search(r"(?:FATAL|ERROR|PANIC): +([^\n]*)", words)
    return clean(found[1] if found else words.strip().partition("\n")[0], MAX_WORDS_CHARACTERS).strip().rstrip(".")
