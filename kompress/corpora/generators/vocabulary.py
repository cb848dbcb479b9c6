"""Names and numbers that generated documents are made of, drawn with a seed.

Facts draw from all of it. Filler has few words of its own and takes from here only what
real filler carries as well: clocks, durations, ids, hashes, now and then a name.
"""

from random import Random
from typing import Protocol, TypeVar

PEOPLE = [
    "Amara", "Bea", "Chidi", "Dalia", "Emre", "Farid", "Greta", "Hana", "Ines",
    "Jonas", "Kaori", "Leila", "Marta", "Nadia", "Olu", "Priya", "Quentin", "Rosa",
    "Sami", "Tove", "Uma", "Viktor", "Wanda", "Ximena", "Yusuf", "Zora",
]  # fmt: skip
SURNAMES = [
    "Adeyemi", "Barros", "Castell", "Duarte", "Eklund", "Fontaine", "Grigore",
    "Haddad", "Ivanova", "Jansen", "Kowal", "Lindqvist", "Moreau", "Nakata",
    "Okafor", "Petrov", "Quispe", "Rahimi", "Sato", "Tanaka", "Ueda", "Varga",
    "Weiss", "Xu", "Yilmaz", "Zanetti",
]  # fmt: skip
# Plain words, for a service is often called what it does.
SERVICES = [
    "billing", "checkout", "inventory", "ledger", "shipping", "pricing", "catalog",
    "search", "login", "accounts", "invoices", "refunds", "payroll", "booking",
    "routing", "dispatch", "telemetry", "archive", "replay", "thumbnail", "export",
    "import", "mailer", "notifier", "scheduler", "indexer", "crawler", "gateway",
    "sessions", "profiles", "loyalty", "coupons", "taxes", "fraud", "risk",
    "reports", "audit", "ranking", "recommendations", "uploads", "transcoder",
    "subtitles", "warehouse", "returns", "tracking", "maps", "weather", "quotes",
    "trades", "settlement", "clearing", "onboarding", "consent", "translation",
    "feedback", "surveys", "moderation", "presence",
]  # fmt: skip
PARTS = [
    "worker", "importer", "consumer", "publisher", "job", "service", "writer",
    "reader", "cache", "proxy", "replica", "runner", "syncer", "collector",
    "bridge",
]  # fmt: skip
NOUNS = [
    "orders", "invoices", "customers", "sessions", "payments", "messages",
    "parcels", "tickets", "refunds", "receipts", "contracts", "vehicles", "sensors",
    "policies", "claims", "shipments", "bookings", "accounts", "images", "segments",
    "chunks", "events", "rows", "articles", "products", "suppliers", "students",
    "patients",
]  # fmt: skip
FIELDS = [
    "currency", "amount", "tenant", "region", "country", "owner", "email",
    "address", "price", "quantity", "weight", "status", "due_date", "tax_code",
    "iban", "sku", "locale", "timezone", "plan", "tier", "discount", "batch",
    "origin", "carrier", "phone", "surname", "birthday", "language", "priority",
    "deadline", "channel",
]  # fmt: skip
VERBS = [
    "load", "save", "fetch", "merge", "parse", "render", "submit", "charge",
    "refund", "resolve", "validate", "reserve", "release", "expand", "rebuild",
    "sync", "flush", "drain", "rotate", "verify", "decode", "encode", "allocate",
    "schedule", "enqueue", "replay", "reconcile", "import_batch", "apply_patch",
    "close_month",
]  # fmt: skip
REGIONS = [
    "Lisbon", "Oslo", "Nairobi", "Osaka", "Quito", "Tallinn", "Porto", "Leeds",
    "Denver", "Perth", "Lyon", "Gdansk", "Austin", "Dakar", "Busan", "Turin",
]  # fmt: skip
# What a post-mortem is about and a heartbeat never mentions.
ODDITIES = [
    "tombstone", "quorum", "watermark", "lease", "backfill", "fencing", "nonce",
    "cursor", "shard", "bloom", "journal", "snapshot", "manifest", "partition",
    "ballast", "escrow", "voucher", "rebate", "overdraft", "chargeback", "embargo",
    "tariff", "proration", "dunning", "accrual", "ledgering", "settlement",
    "reversal", "payout", "keyring", "salt", "cipher", "trust", "revocation",
    "issuer", "subject", "audience", "scope", "grant", "token", "collation",
    "codepage", "surrogate", "endianness", "padding", "sentinel", "bitmap", "trie",
    "heap", "slab", "inode", "symlink", "quota", "mount", "swap", "fragment",
    "jumbo", "congestion", "handshake", "multicast", "vacuum", "toast", "replica",
    "standby", "failover", "promotion", "election", "gossip", "hint", "repair",
]  # fmt: skip
ERRORS = [
    "IntegrityError", "SerializationFailure", "LeaseLostException",
    "QuotaExceededError", "ChecksumMismatchError", "UnknownTenantError",
    "StaleEpochError", "SchemaDriftError", "CertificateExpiredError",
    "DeadlockDetected", "DuplicateKeyException", "NotLeaderException",
    "PoisonMessageError", "TruncatedFrameError", "ClockSkewError",
    "OrphanedShardError", "IllegalTransitionException", "CurrencyMismatchError",
    "MissingGrantError", "UnbalancedLedgerError", "DecimalOverflowError",
    "UnsafeReplayError",
]  # fmt: skip
# One code base: its functions, settings and constants come up again and again.
FUNCTIONS = [
    "acquire_lease", "renew_lease", "apply_rebate", "book_chargeback",
    "close_ledger", "commit_offset", "compact_journal", "convert_currency",
    "decode_frame", "drop_partition", "elect_leader", "expand_tariff",
    "fetch_manifest", "flush_watermark", "grant_scope", "hash_payload",
    "import_batch", "issue_refund", "load_snapshot", "lock_wallet", "merge_shards",
    "migrate_tenant", "open_escrow", "parse_invoice", "post_accrual",
    "promote_replica", "purge_tombstones", "rebuild_index", "reconcile_payout",
    "refresh_token", "release_hold", "replay_events", "resolve_owner",
    "revoke_grant", "rotate_key", "round_amount", "send_receipt", "sign_manifest",
    "split_payment", "verify_checksum", "void_voucher", "write_journal",
]  # fmt: skip
KEYS = [
    "ledger.max_orders", "billing.retry_mode", "checkout.tax_code",
    "search.shard_count", "payroll.lock_ttl", "fraud.min_score",
    "gateway.idle_limit", "archive.keep_days", "risk.max_exposure",
    "mailer.batch_size", "login.token_ttl", "pricing.round_mode", "export.max_rows",
    "audit.strict_mode", "refunds.dry_run", "routing.fallback", "catalog.read_only",
    "settlement.cutoff",
]  # fmt: skip
CONSTANTS = [
    "MAX_RETRIES", "LOCK_TTL", "READ_ONLY", "STRICT_MODE", "TAX_REGION",
    "SHARD_COUNT", "DRY_RUN", "PAYOUT_CUTOFF", "LEASE_RENEWAL", "KEEP_DAYS",
    "TOKEN_TTL", "ROUND_HALF_EVEN", "FALLBACK_REGION", "ALLOW_PARTIAL",
]  # fmt: skip


COLUMNS = [
    f"{noun}.{field}"
    for place, noun in enumerate(NOUNS)
    for field in (FIELDS[place], FIELDS[-1 - place])
]
COMPONENTS = [
    f"{service}_{PARTS[place % len(PARTS)]}" for place, service in enumerate(SERVICES)
]
# Programs of all kinds fill their pages with the same few words.
BOILERPLATE = [
    "this is the usual state of the service",
    "everything is in order as of the last check",
    "nothing to do here until the next run",
    "all of this is as it was in the last run",
    "see the guide of the service for more about this",
    "the service is in use and the state is ok",
    "this was found to be in order as usual",
    "the last check was ok and no error was found",
    "there is more about this in the guide",
    "the next check of the service is in the next run",
]


# How many words of each list one document's facts use.
_POOLS = (
    (PEOPLE, 1),
    (SURNAMES, 1),
    (SERVICES, 1),
    (PARTS, 1),
    (NOUNS, 2),
    (FIELDS, 2),
    (VERBS, 2),
    (REGIONS, 2),
    (ODDITIES, 2),
    (ERRORS, 1),
    (FUNCTIONS, 2),
    (KEYS, 1),
    (CONSTANTS, 1),
    (COLUMNS, 2),
    (COMPONENTS, 1),
)
_T = TypeVar("_T")
_Item_co = TypeVar("_Item_co", covariant=True)


class _Sequence(Protocol[_Item_co]):
    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> _Item_co: ...


class Topic(Random):
    """Chance for one document's facts, which speak of the same few things again."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._few = [(pool, self.sample(pool, size)) for pool, size in _POOLS]

    def choice(self, seq: _Sequence[_T]) -> _T:
        """Choose from a list; of a vocabulary only from the document's own few words.

        Raises:
            IndexError: the list is empty.
        """
        for pool, few in self._few:
            if id(pool) == id(seq):
                return super().choice(few)  # type: ignore[return-value]  # of seq
        return super().choice(seq)


def boilerplate(rng: Random) -> str:
    """A sentence that says nothing."""
    return rng.choice(BOILERPLATE)


def oddity(rng: Random) -> str:
    """A plain word that routine never uses."""
    return rng.choice(ODDITIES)


def name(rng: Random) -> str:
    """A function's name in snake case."""
    return rng.choice(FUNCTIONS)


def key(rng: Random) -> str:
    """A setting's dotted name."""
    return rng.choice(KEYS)


def constant(rng: Random) -> str:
    """A constant's or a variable's name in capitals."""
    return rng.choice(CONSTANTS)


def column(rng: Random) -> str:
    """A table and its column, for example `orders.currency`."""
    return rng.choice(COLUMNS)


def code(rng: Random) -> str:
    """An error code as databases, linters and trackers write it."""
    head = rng.choice(["ORA", "PG", "TS", "ERR", "INC", "SVC", "KB"])
    return f"{head}-{rng.randint(100, 9999)}"


def source(rng: Random) -> str:
    """A source file and a line in it."""
    end = rng.choice(["py", "go", "rs", "java", "ts"])
    return f"{rng.choice(SERVICES)}/{rng.choice(NOUNS)}.{end}:{rng.randint(9, 900)}"


def person(rng: Random) -> str:
    """A first name and a surname."""
    return f"{rng.choice(PEOPLE)} {rng.choice(SURNAMES)}"


def account(rng: Random) -> str:
    """Somebody, by name or by address."""
    address = f"{rng.choice(PEOPLE).lower()}@acme.example"
    return rng.choice([address, address, person(rng)])


def component(rng: Random) -> str:
    """A service's name, for example `billing_importer`."""
    return rng.choice(COMPONENTS)


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
