"""Builds the images without an engine and starts what compose.yaml starts.

Debian's buildah, in a chroot, over a base of debootstrap: needs root, no hub and no
daemon. `make test-images` runs it; not part of `make test`.
"""

import ast
import asyncio
import configparser
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
import yaml

from api.embedded import server_binary
from db.embedded import start_postgres, stop_postgres

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
# Not worker-teacher: vLLM's image has 15 GB and needs a GPU to start.
TARGETS = ("api", "worker", "worker-train")
MISSING = [name for name in ("buildah", "debootstrap") if not shutil.which(name)]
SECRETS = {
    "POSTGRES_PASSWORD": "pg0secret",
    "REDIS_PASSWORD": "redis0secret",
    "FARM_FLOWER_PASSWORD": "flower0secret",
    "FARM_API_KEY": "",
}
HEALTHY_WITHIN_S = 180

pytestmark = [
    pytest.mark.images,
    pytest.mark.skipif(
        bool(MISSING) or os.geteuid() != 0,
        reason="needs root and `apt-get install --yes buildah debootstrap`",
    ),
]


@dataclass
class Buildah:
    """Debian's buildah with a store of its own."""

    store: Path
    containers: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments):
        places = ("--root", self.store / "root", "--runroot", self.store / "run")
        # Buildah's own choice is overlay where that works; vfs copies 16 GB.
        driver = os.environ.get("STORAGE_DRIVER", "")
        chosen = ("--storage-driver", driver) if driver else ()
        return [str(part) for part in ("buildah", *places, *chosen, *arguments)]

    def __call__(self, *arguments):
        result = subprocess.run(
            self.command(*arguments),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, (result.stdout + result.stderr)[-5_000:]
        return result.stdout.strip()

    def in_container(self, target, environment, *command):
        if target not in self.containers:
            self.containers[target] = self("from", f"farm-{target}")
        given = [f"--env={name}={value}" for name, value in environment.items()]
        return self.command(
            "run", "--isolation", "chroot", *given, self.containers[target], "--",
            *command,
        )  # fmt: skip

    def run(self, target, environment, *command):
        return subprocess.run(
            self.in_container(target, environment, *command),
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def folder():
    folder = Path(tempfile.mkdtemp(prefix="farm-images-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def buildah(folder):
    """The three images, built over a fresh Debian."""
    buildah = Buildah(folder / "store")
    try:
        build_images(buildah, folder)
        yield buildah
    finally:
        buildah("rm", "--all")
        buildah("rmi", "--all", "--force")


def build_images(buildah, folder):
    system = folder / "debian"
    subprocess.run(
        ["debootstrap", "--variant=minbase", "bookworm", str(system)],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, system, "/")
    buildah("commit", "--quiet", "--rm", container, "farm-base")
    shutil.rmtree(system)
    pip_conf, volumes = pass_on_pip(folder)
    for target in TARGETS:
        buildah(
            "build", "--quiet", "--layers", "--isolation", "chroot",
            "--file", "docker/Dockerfile",
            "--build-arg", "BASE_IMAGE=localhost/farm-base",
            "--secret", f"id=pip_conf,src={pip_conf}",
            *(f"--volume={volume}" for volume in volumes),
            "--target", target, "--tag", f"farm-{target}", ".",
        )  # fmt: skip


def pass_on_pip(folder):
    """Give builds this machine's pip configuration and the files that it names."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=True,
    )
    config = configparser.ConfigParser(interpolation=None)
    config["global"] = {}
    volumes = set()
    for line in listed.stdout.splitlines():
        name, _, literal = line.partition("=")
        value = str(ast.literal_eval(literal))
        paths = {part.removeprefix("file://") for part in value.split()}
        for path in paths:
            if path.startswith("/") and Path(path).exists():
                # The pages of an index, `simple`, link to files beside them.
                root = path.rstrip("/").removesuffix("/simple")
                volumes.add(f"{root}:/host{root}:ro")
                value = re.sub(rf"{re.escape(path)}(?=\s|$)", f"/host{path}", value)
        config["global"][name.rpartition(".")[2]] = value
    target = folder / "pip.conf"
    with target.open("w") as file:
        config.write(file)
    return target, sorted(volumes)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def forwarded(path):
    """A port of the loopback that leads to a Unix socket."""

    async def copy(reader, writer):
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def connect(reader, writer):
        up_reader, up_writer = await asyncio.open_unix_connection(path)
        await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer))

    async def serve():
        nonlocal port
        server = await asyncio.start_server(connect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        started.set()
        await server.serve_forever()

    port = 0
    started = threading.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.daemon = True  # ends with the tests: connections may still be open
    thread.start()
    assert started.wait(10)
    yield port


@pytest.fixture(scope="module")
def addresses(folder) -> Iterator[dict[str, str]]:
    """What stands in compose's environment -> where it is here."""
    home = Path(tempfile.mkdtemp(prefix="farm-"))
    url = start_postgres(home / "pg")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE ROLE farm LOGIN CREATEROLE "
            f"PASSWORD '{SECRETS['POSTGRES_PASSWORD']}'"
        )
        connection.execute("ALTER DATABASE farm OWNER TO farm")
        (sockets,) = connection.execute("SHOW unix_socket_directories").fetchone()
        (pg_port,) = connection.execute("SHOW port").fetchone()
    redis_port = free_port()
    server = subprocess.Popen(
        started_here(redis_port, home),
        env={"REDISCLI_AUTH": SECRETS["REDIS_PASSWORD"]},
        stdout=subprocess.DEVNULL,
    )
    with forwarded(f"{sockets}/.s.PGSQL.{pg_port}") as port:
        yield {
            "@postgres:5432/": f"@127.0.0.1:{port}/",
            "@redis:6379/": f"@127.0.0.1:{redis_port}/",
        }
    server.terminate()
    server.wait()
    stop_postgres(home / "pg")
    shutil.rmtree(home)


def started_here(port, folder):
    """Compose's command of Redis with this machine's server, port and folder."""
    *shell, script = SERVICES["redis"]["command"]
    binary, folder = shlex.quote(str(server_binary())), shlex.quote(str(folder))
    here = f"{binary} - --port {port} --bind 127.0.0.1 --dir {folder}"
    return [*shell, script.replace("$$", "$").replace("redis-server -", here, 1)]


def filled(parts, addresses=None):
    """Fill in variables, as compose does, and this machine's addresses."""

    def value(found):
        name, default = found[1], found[2] or ""
        return SECRETS.get(name, default.removeprefix(":-"))

    texts = [re.sub(r"\$\{(\w+)(:[?-][^}]*)?\}", value, part) for part in parts]
    for name, address in (addresses or {}).items():
        texts = [text.replace(name, address) for text in texts]
    return texts


@dataclass
class Service:
    """A service of compose.yaml, as this machine can start it."""

    target: str
    environment: dict[str, str]
    command: list[str]
    check: list[str]


def plan(name, addresses):
    about = SERVICES[name]
    names, values = zip(*about["environment"].items(), strict=True)
    command = list(about["command"])
    check = list(about["healthcheck"].get("test", []))[1:]
    if "--port" in command:  # all containers share this machine's ports
        wanted, port = command[command.index("--port") + 1], str(free_port())
        command = [port if part == wanted else part for part in command]
        check = [port if part == wanted else part for part in check]
    return Service(
        about["build"]["target"],
        dict(zip(names, filled(values, addresses), strict=True)),
        filled(command),
        check,
    )


@pytest.fixture(scope="module")
def migrated(buildah, addresses):
    """The addresses, after the one-shot service has run twice."""
    service = plan("migrate", addresses)
    for _ in range(2):
        result = buildah.run(service.target, service.environment, *service.command)
        assert result.returncode == 0, result.stdout + result.stderr
    return addresses


@contextmanager
def started(buildah, service, log):
    command = buildah.in_container(
        service.target, service.environment, *service.command
    )
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            below = psutil.Process(process.pid).children(recursive=True)
            for child in [*below, process]:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        process.wait()


def own_process(process):
    """The container's first process, below those of buildah."""
    for child in psutil.Process(process.pid).children(recursive=True):
        line = child.cmdline()
        if line and not Path(line[0]).name.startswith("buildah"):
            return child
    raise AssertionError("the container has ended")


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_holds_its_packages_and_a_user_without_rights(buildah, target):
    code = (
        "import importlib.util as u, os, pathlib\n"
        "writable = [os.access(p, os.W_OK) for p in ('/app', '/artifacts')]\n"
        "print(os.getuid(), *writable)\n"
        "print([n for n in ('torch', 'transformers', 'vllm') if u.find_spec(n)])\n"
        "print(sorted(p.name for p in pathlib.Path('/app').iterdir()))\n"
        "print(pathlib.Path('/etc/pip.conf').exists())\n"
    )

    result = buildah.run(target, {}, "python", "-c", code)
    packages = ["torch", "transformers"] if target == "worker-train" else []

    assert result.stdout.splitlines() == [
        "10001 False True",
        str(packages),
        str(["api", "db", "docker", "farm", "kompress", "migrations", "worker"]),
        "False",
    ], result.stderr


def test_farm_runs_in_the_image_of_the_api(buildah):
    result = buildah.run("api", {}, "farm", "--help")

    assert result.returncode == 0, result.stderr
    assert "migrate" in result.stdout


def test_redis_asks_for_the_password(addresses):
    port = int(addresses["@redis:6379/"].strip("@/").rpartition(":")[2])

    with redis.Redis(port=port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


@pytest.mark.parametrize(
    "name", ["api", "relay", "worker-cpu", "worker-train", "flower"]
)
def test_a_service_gets_healthy_and_ends_when_told_to(buildah, migrated, folder, name):
    service = plan(name, migrated)
    log = folder / f"{name}.log"
    check = (service.target, service.environment, *service.check)
    before = buildah.run(*check)

    with started(buildah, service, log) as process:
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        while (health := buildah.run(*check)).returncode:
            said = health.stdout + health.stderr + log.read_text()[-3_000:]
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(1)
        own_process(process).send_signal(signal.SIGTERM)
        status = process.wait(60)

    assert before.returncode == 1, before.stdout + before.stderr
    assert "Traceback" not in before.stderr
    assert health.stdout == "healthy\n"
    # Uvicorn ends cleanly and then by the signal itself.
    said = log.read_text()
    assert status == 0 or "subprocess exited on terminated" in said, said[-3_000:]
    assert "Traceback" not in said
