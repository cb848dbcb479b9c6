"""Names and numbers that generated documents are made of, drawn with a seed.

The same kinds of value stand in facts and in filler: how a word looks says little about
whether it is needed.
"""

from random import Random

PEOPLE = [
    "Amara",
    "Bea",
    "Chidi",
    "Dalia",
    "Emre",
    "Farid",
    "Greta",
    "Hana",
    "Ines",
    "Jonas",
    "Kaori",
    "Leila",
    "Marta",
    "Nadia",
    "Olu",
    "Priya",
    "Quentin",
    "Rosa",
    "Sami",
    "Tove",
    "Uma",
    "Viktor",
    "Wanda",
    "Ximena",
    "Yusuf",
    "Zora",
]
SURNAMES = [
    "Adeyemi",
    "Barros",
    "Castell",
    "Duarte",
    "Eklund",
    "Fontaine",
    "Grigore",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kowal",
    "Lindqvist",
    "Moreau",
    "Nakata",
    "Okafor",
    "Petrov",
    "Quispe",
    "Rahimi",
    "Sato",
    "Tanaka",
    "Ueda",
    "Varga",
    "Weiss",
    "Xu",
    "Yilmaz",
    "Zanetti",
]
# Plain words, for a service is often called what it does.
SERVICES = [
    "billing",
    "checkout",
    "inventory",
    "ledger",
    "shipping",
    "pricing",
    "catalog",
    "search",
    "login",
    "accounts",
    "invoices",
    "refunds",
    "payroll",
    "booking",
    "routing",
    "dispatch",
    "telemetry",
    "archive",
    "replay",
    "thumbnail",
    "export",
    "import",
    "mailer",
    "notifier",
    "scheduler",
    "indexer",
    "crawler",
    "gateway",
    "sessions",
    "profiles",
    "loyalty",
    "coupons",
    "taxes",
    "fraud",
    "risk",
    "reports",
    "audit",
    "ranking",
    "recommendations",
    "uploads",
    "transcoder",
    "subtitles",
    "warehouse",
    "returns",
    "tracking",
    "maps",
    "weather",
    "quotes",
    "trades",
    "settlement",
    "clearing",
    "onboarding",
    "consent",
    "translation",
    "feedback",
    "surveys",
    "moderation",
    "presence",
]
PARTS = [
    "worker",
    "importer",
    "consumer",
    "publisher",
    "job",
    "service",
    "writer",
    "reader",
    "cache",
    "proxy",
    "replica",
    "runner",
    "syncer",
    "collector",
    "bridge",
]
NOUNS = [
    "orders",
    "invoices",
    "customers",
    "sessions",
    "payments",
    "messages",
    "parcels",
    "tickets",
    "refunds",
    "receipts",
    "contracts",
    "vehicles",
    "sensors",
    "policies",
    "claims",
    "shipments",
    "bookings",
    "accounts",
    "images",
    "segments",
    "chunks",
    "events",
    "rows",
    "articles",
    "products",
    "suppliers",
    "students",
    "patients",
]
FIELDS = [
    "currency",
    "amount",
    "tenant",
    "region",
    "country",
    "owner",
    "email",
    "address",
    "price",
    "quantity",
    "weight",
    "status",
    "due_date",
    "tax_code",
    "iban",
    "sku",
    "locale",
    "timezone",
    "plan",
    "tier",
    "discount",
    "batch",
    "origin",
    "carrier",
    "phone",
    "surname",
    "birthday",
    "language",
    "priority",
    "deadline",
    "channel",
]
VERBS = [
    "load",
    "save",
    "fetch",
    "merge",
    "parse",
    "render",
    "submit",
    "charge",
    "refund",
    "resolve",
    "validate",
    "reserve",
    "release",
    "expand",
    "rebuild",
    "sync",
    "flush",
    "drain",
    "rotate",
    "verify",
    "decode",
    "encode",
    "allocate",
    "schedule",
    "enqueue",
    "replay",
    "reconcile",
    "import_batch",
    "apply_patch",
    "close_month",
]
REGIONS = [
    "Lisbon",
    "Oslo",
    "Nairobi",
    "Osaka",
    "Quito",
    "Tallinn",
    "Porto",
    "Leeds",
    "Denver",
    "Perth",
    "Lyon",
    "Gdansk",
    "Austin",
    "Dakar",
    "Busan",
    "Turin",
]


def person(rng: Random) -> str:
    """A first name and a surname."""
    return f"{rng.choice(PEOPLE)} {rng.choice(SURNAMES)}"


def component(rng: Random) -> str:
    """A service's name in two plain words, for example `billing importer`."""
    return f"{rng.choice(SERVICES)} {rng.choice(PARTS)}"


def hex_id(rng: Random, length: int = 12) -> str:
    """Hexadecimal digits, as of a request or a commit."""
    return f"{rng.getrandbits(4 * length):0{length}x}"


def uuid(rng: Random) -> str:
    """A random UUID's shape."""
    digits = hex_id(rng, 32)
    cuts = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
    return "-".join(digits[start:end] for start, end in cuts)


def version(rng: Random) -> str:
    """A version of three parts."""
    return f"{rng.randint(0, 14)}.{rng.randint(0, 40)}.{rng.randint(0, 19)}"


def duration(rng: Random) -> str:
    """A duration with its unit."""
    return rng.choice(
        [
            f"{rng.randint(1, 950)}ms",
            f"{rng.randint(1, 99)}s",
            f"{rng.uniform(0, 9):.2f}s",
        ]
    )


def size(rng: Random) -> str:
    """A size in bytes with its unit."""
    return f"{rng.randint(2, 980)}{rng.choice(['kB', 'MB', 'MiB', 'GiB'])}"


def ip(rng: Random) -> str:
    """A private address and a port."""
    first, second, third = (rng.randint(2, 254) for _ in range(3))
    return f"10.{first}.{second}.{third}:{rng.randint(1024, 65000)}"


def path(rng: Random) -> str:
    """An absolute path to a file of a service."""
    root = rng.choice(["/var/lib", "/srv", "/opt", "/etc", "/mnt/data", "/var/log"])
    end = rng.choice(["conf", "db", "json", "log", "yaml", "lock", "parquet", "csv"])
    return f"{root}/{rng.choice(SERVICES)}/{rng.choice(NOUNS)}.{end}"


def clock(rng: Random) -> tuple[int, int, int, int]:
    """A month, a day, an hour and a minute."""
    return (
        rng.randint(1, 12),
        rng.randint(1, 28),
        rng.randint(0, 23),
        rng.randint(0, 50),
    )
