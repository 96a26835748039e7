"""Draw the README's picture: the program itself, on its demonstration, without a terminal. `make picture`."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

from app.console import Watchfloor
from app.contexts import Context
from app.demo import folders, loading
from app.demo.estate import make
from app.demo.site import open_site
from app.settings import Settings
from backends.embedded.server import EmbeddedHome
from backends.postgres.home import Home
from backends.postgres.migrate import migrate
from controlplane.encryption import EncryptionKey, Keys, new_key
from controlplane.sealing import Sealing
from controlplane.secrets import Secret

PICTURE = Path(__file__).parent / "tenants.svg"
SIZE = (110, 26)


async def draw(conninfo: str) -> str:
    """The console's screen as SVG, sorted by errors, its first rows read."""

    async def open_context(report: object) -> Context:
        home = Home(conninfo)
        await home.open()
        return Context(home, "acme-prod", "production", True, "the picture", embedded=True)

    app = Watchfloor(Settings(path=Path("none"), theme="night"), open_context, "acme-prod/tenants")
    async with app.run_test(size=SIZE) as pilot:
        async with asyncio.timeout(30):
            while app.session.plane is None or not app.area.table.rows_held:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await pilot.press("S", "e", "S", "e", "j", "j")
            await asyncio.sleep(2.0)
        picture = app.export_screenshot(title="watchfloor")
        await app.context.home.close()
    # A font from somebody's server is not needed to look at a picture.
    return re.sub(r"@font-face \{.*?\}", "", picture, flags=re.S)


def main() -> None:
    folder, _held = folders.make()
    try:
        credentials = EmbeddedHome(folders.home(folder)).ensure()
        migrate(credentials.owner_conninfo(), admin=credentials.login_user)
        sealing = Sealing(lambda: Keys([EncryptionKey.parse(Secret(new_key(), "the picture"))]))
        loading.load(make(7, datetime.now(UTC)), open_site(credentials.owner_conninfo(), lambda words: None, sealing))
        PICTURE.write_text(asyncio.run(draw(credentials.login_conninfo())), encoding="utf-8")
    finally:
        folders.remove(folder)


if __name__ == "__main__":
    main()
