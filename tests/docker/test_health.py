import contextlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from db.engine import make_engine
from db.queries.activity import seconds_since_last
from docker import health


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        opened = self.headers.get("Authorization") == "right"
        body = b"" if opened else b"the database does not answer"
        self.send_response(200 if opened else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def url():
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/readyz"
        server.shutdown()
        thread.join()


def test_a_page_that_answers_200_is_healthy(url):
    assert health.check_url(url, "right") == ""


def test_a_refusal_is_shown_with_its_reason(url):
    fault = health.check_url(url)

    assert fault == f"{url} gave 503: the database does not answer"


def test_a_port_that_nothing_listens_on_is_unhealthy(url):
    fault = health.check_url("http://127.0.0.1:1/readyz")

    assert fault.startswith("http://127.0.0.1:1/readyz does not answer")


def test_a_relay_is_healthy_while_it_talks_to_the_database(database_url, monkeypatch):
    monkeypatch.setenv("FARM_DATABASE_URL", database_url)
    before = health.check_relay()
    engine = make_engine(database_url, application_name="farm relay")
    with engine.connect():
        during = health.check_relay()
        monkeypatch.setattr(health, "MAX_SILENCE_S", -1.0)
        silent = health.check_relay()
    engine.dispose()

    assert before == "the relay has no connection to Postgres"
    assert during == ""
    assert silent.startswith("the relay was last heard of")


def test_a_database_that_is_away_makes_the_relay_unhealthy(monkeypatch):
    monkeypatch.setenv("FARM_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    assert health.check_relay().startswith("Postgres does not answer")


def test_another_programs_connection_does_not_count(sessions, database_url):
    engine = make_engine(database_url, application_name="farm api")
    with engine.connect(), sessions() as session:
        relay = seconds_since_last(session, "farm relay")
        api = seconds_since_last(session, "farm api")
    engine.dispose()

    assert relay is None
    assert 0 <= api < 10


def test_a_command_line_without_a_kind_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["health"])

    with contextlib.suppress(SystemExit):
        health.main()

    assert "required: kind" in capsys.readouterr().err
