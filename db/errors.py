"""Errors of the store; each message says what was found, expected and how to fix it.

StoreError
├── NotFound          a name or id that no row has
├── Conflict          a row of that name exists and differs
├── LeaseLost         another attempt owns the job; nothing was stored
│   └── JobCancelled  nobody owns it: it was cancelled with its loop
├── SchemaOutdated    the database is not at the newest migration
└── QueryRefused      a query that the reader may not run
"""


class StoreError(Exception):
    """Anything that the store refuses; the message is meant for the user."""


class NotFound(StoreError, LookupError):
    """No row has that name or id."""


class Conflict(StoreError):
    """A row of that name exists and differs, or its state forbids the change."""


class LeaseLost(StoreError):
    """Another attempt owns the job now; this one must store nothing."""


class JobCancelled(LeaseLost):
    """The job was cancelled with its loop; this attempt must store nothing."""


class SchemaOutdated(StoreError):
    """The database is behind (or ahead of) the newest migration."""


class QueryRefused(StoreError):
    """A query that the reader may not run, or that ran too long."""
