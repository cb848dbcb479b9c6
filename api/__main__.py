"""Run the HTTP service: `python -m api`."""

import argparse

import uvicorn

from api.limits import TimedProtocol


def main() -> None:
    """Serve `api.app` until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on")
    given = parser.parse_args()
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=given.host,
        port=given.port,
        http=TimedProtocol,
    )


if __name__ == "__main__":
    main()
