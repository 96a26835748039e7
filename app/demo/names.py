"""What the tenants of the demonstration are called. All of it is invented."""

from __future__ import annotations

import random
import re
import unicodedata

# fmt: off
FIRST = (
    "Amber", "Anvil", "Arbour", "Aspen", "Atlas", "Aurora", "Beacon", "Birch", "Bramble", "Bright", "Brook", "Cairn",
    "Calder", "Candle", "Canyon", "Cedar", "Chalk", "Cinder", "Citrus", "Clover", "Cobalt", "Comet", "Copper",
    "Coral", "Cotton", "Crane", "Crescent", "Dapple", "Delta", "Dune", "Ember", "Falcon", "Fathom", "Fern", "Flint",
    "Foxglove", "Garnet", "Ginger", "Glacier", "Granite", "Harbour", "Hazel", "Heron", "Hollow", "Indigo", "Iris",
    "Ivory", "Jasper", "Juniper", "Kestrel", "Lantern", "Larch", "Lark", "Linden", "Lumen", "Lupin", "Maple",
    "Marble", "Marlin", "Meadow", "Meridian", "Mica", "Mistral", "Mosaic", "Nectar", "Nimbus", "North", "Oak", "Onyx",
    "Opal", "Orchard", "Osprey", "Otter", "Paper", "Pebble", "Pine", "Plover", "Poplar", "Prism", "Quarry", "Quartz",
    "Quill", "Raven", "Reef", "Ridge", "River", "Rowan", "Saffron", "Sable", "Sage", "Salt", "Sierra", "Silver",
    "Slate", "Sorrel", "Spruce", "Starling", "Summit", "Sycamore", "Tallow", "Teal", "Thistle", "Timber", "Topaz",
    "Tundra", "Umber", "Velvet", "Verdant", "Vesper", "Violet", "Walnut", "Willow", "Winter", "Yarrow", "Zephyr",
)
SECOND = (
    "Analytics", "Bank", "Bikes", "Books", "Cargo", "Clinics", "Commerce", "Courier", "Dental", "Devices",
    "Diagnostics", "Eats", "Education", "Energy", "Events", "Farms", "Finance", "Fleet", "Foods", "Freight", "Games",
    "Genomics", "Goods", "Health", "Homes", "Hotels", "Imaging", "Insurance", "Kitchens", "Labs", "Learning", "Legal",
    "Lighting", "Live", "Logistics", "Maps", "Marine", "Media", "Metals", "Mobility", "Motors", "Music", "Networks",
    "Optics", "Outdoors", "Parcel", "Parking", "Payments", "Pharma", "Photo", "Power", "Press", "Print", "Radio",
    "Rail", "Realty", "Robotics", "Science", "Seeds", "Signal", "Software", "Solar", "Sports", "Stays", "Storage",
    "Studios", "Supply", "Systems", "Tax", "Textiles", "Tickets", "Tools", "Trading", "Travel", "Water", "Weather",
    "Works",
)
# fmt: on
FORMS = ("", "", "", "", "", "GmbH", "AG", "Ltd", "Inc", "SAS", "BV", "AB", "Oy", "SpA", "Pty", "LLC")

# Names of many languages, and hostile ones: none may disturb the screen.
SPECIAL = (
    ("tokyo-data", "東京データ株式会社"),
    ("sakura-logistics", "さくら物流ホールディングス"),
    ("hanbit-cloud", "한빛클라우드"),
    ("yunfan-tech", "深圳云帆科技有限公司"),
    ("mussiggang", "Bäckerei Müßiggang & Söhne GmbH"),
    ("creme-et-fils", "Crème, Façade & Fils — Maison d’Été"),
    ("lodz-logistyka", "Łódzka Żegluga Śródlądowa"),
    ("angbat", "Österlens Ångbåtsrederi"),
    ("an-phu", "Công ty Cổ phần Ẩm thực An Phú"),
    ("thessaloniki-optics", "Οπτικά Θεσσαλονίκης"),
    (
        "the-honourable-society-of-extraordinarily-long-tenant-identifier",
        "The Honourable Society for the Preservation of Extraordinarily Long Display Names in Narrow Terminals, "
        "Founded in the Year of the Eighty Columns",
    ),
    ("red-alert", "Red\x1b[31m Alert\x1b]0;owned\x07 Systems"),
    ("invoice-tools", "Invoice \u202egpj.exe Tools"),
    ("markup-media", "[bold red on white]Markup[/] Media [@click=app.quit]x[/]"),
    ("two-lines", "Two\r\nLines\tand a tab"),
    ("zalgo", "Za" + "\u0301\u0316\u0347\u033e" * 12 + "lgo Networks"),
)

# fmt: off
GIVEN = (
    "ada", "alma", "bruno", "carla", "chen", "dana", "elif", "emil", "farid", "fiona", "goran", "hana", "idris",
    "ines", "jonas", "kaya", "lena", "luca", "mara", "mei", "milan", "nadia", "noor", "olga", "oscar", "pavel",
    "priya", "quentin", "rosa", "sami", "selma", "tariq", "tova", "umar", "vera", "wanda", "yara", "yusuf", "zoe",
)
FAMILY = (
    "abe", "adeyemi", "berg", "castro", "dahl", "eriksen", "farah", "fischer", "garcia", "haddad", "holm", "ito",
    "jansen", "khan", "kowalski", "laurent", "lim", "marino", "nakamura", "novak", "okafor", "olsen", "patel",
    "quist", "rossi", "sato", "schmidt", "silva", "tanaka", "torres", "ueda", "varga", "weber", "yilmaz", "zhou",
)
# fmt: on

PROJECTS = ("web", "mobile", "billing", "checkout", "internal", "partners", "reports", "sandbox", "search", "ingest")


def companies(rng: random.Random, count: int) -> list[tuple[str, str]]:
    """`count` different (id, name), the special ones among them, in no order."""
    made = dict(SPECIAL[:count])
    while len(made) < count:
        name = " ".join(filter(None, (rng.choice(FIRST), rng.choice(SECOND), rng.choice(FORMS))))
        made.setdefault(slug(" ".join(name.split()[:2])), name)
    found = list(made.items())
    rng.shuffle(found)
    return found


def slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "-", plain).strip("-")


def owner(rng: random.Random, tenant_id: str) -> str:
    """An address that no mail can ever reach."""
    domain = f"{tenant_id[:40].strip('-')}.example.{rng.choice(('com', 'org', 'net'))}"
    return f"{rng.choice(GIVEN)}.{rng.choice(FAMILY)}@{domain}"
