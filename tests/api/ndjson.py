"""How Schemathesis writes a body of NDJSON: a line of text as it stands."""

import schemathesis

schemathesis.serializer.alias("application/x-ndjson", "text/plain")
