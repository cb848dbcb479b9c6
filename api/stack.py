"""Run the farm's programs as one group: restart what ends, stop all together.

Each program runs in a process group of its own, so that Ctrl-C in the terminal reaches
only this process, which then ends the others in order. What a killed `farm up` left
behind is ended by the next one.
"""

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import psutil

from api.errors import StackRunning

# A worker hands its jobs back within worker.settings.soft_shutdown_s, 20 s, and its
# supervisor is patient with it for another 10 s.
STOP_TIMEOUT_S = 40.0
# A program that ran this long starts again at once; otherwise ever later.
HEALTHY_S = 30.0
MAX_DELAY_S = 30.0
POLL_S = 0.05
# Which groups run, for the stack that comes after a killed one.
PID_FILE = "stack.json"


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the group.

    Attributes:
        name: names its log file.
        arguments: what to execute, no shell.
        environment: what it gets on top of this process' environment.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    num_quick_exits: int = 0
    restart_at: float = 0.0


@dataclass(slots=True)
class Stack:
    """The group, as a context manager: started on entry, stopped on exit.

    Attributes:
        programs: started in this order, stopped in the reverse one.
        home: the data folder; logs go to `home/logs/NAME.log`.
        watch: looks after what the programs need; gives a line about each change.
    """

    programs: Sequence[Program]
    home: Path
    watch: Callable[[], list[str]] = list
    _running: list[_Running] = field(default_factory=list)
    _lock: TextIO | None = None

    def __enter__(self) -> Self:
        """Start every program.

        Raises:
            StackRunning: another process runs the stack of this home.
        """
        self._take_home()
        self._running = [_Running(program) for program in self.programs]
        try:
            for running in self._running:
                self._launch(running)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop every program."""
        self.stop()

    def log_file(self, name: str) -> Path:
        """Give the file that a program's output goes to."""
        return self.home / "logs" / f"{name}.log"

    def tend(self) -> list[str]:
        """Restart what has ended; call it about twice a second.

        Returns:
            A line for people about each program that ended, and what `watch` says.
        """
        messages = self.watch()
        now = time.monotonic()
        for running in self._running:
            if running.process is None:
                if now >= running.restart_at:
                    self._launch(running)
                continue
            status = running.process.poll()
            if status is not None:
                # Children that outlived it would do its successor's work twice.
                _signal_group(running.process.pid, signal.SIGKILL)
                messages.append(self._plan_restart(running, status, now))
        return messages

    def gave_up(self, num_exits: int = 5) -> str:
        """Name a program that ended `num_exits` times right after its start, or ''."""
        for running in self._running:
            if running.num_quick_exits >= num_exits:
                return running.program.name
        return ""

    def stop(self) -> None:
        """End every program: SIGTERM, patience, SIGKILL; in reverse order of start."""
        pids = [r.process.pid for r in self._running if r.process is not None]
        _end_groups(list(reversed(pids)))
        for running in self._running:
            if running.process is not None:
                running.process.wait()
                running.process = None
        self._running = []
        if self._lock is not None:
            self._pid_file.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    @property
    def _pid_file(self) -> Path:
        return self.home / PID_FILE

    def _take_home(self) -> None:
        self._lock = _lock_home(self.home)
        _end_groups(_read_leftovers(self._pid_file))

    def _launch(self, running: _Running) -> None:
        program = running.program
        with self.log_file(program.name).open("ab") as log:
            running.process = subprocess.Popen(  # noqa: S603  # our own programs
                program.arguments,
                env={**os.environ, **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        running.started_at = time.monotonic()
        groups = {
            str(other.process.pid): _started(other.process.pid)
            for other in self._running
            if other.process is not None
        }
        self._pid_file.write_text(json.dumps(groups))

    def _plan_restart(self, running: _Running, status: int, now: float) -> str:
        healthy = now - running.started_at >= HEALTHY_S
        running.num_quick_exits = 0 if healthy else running.num_quick_exits + 1
        delay_s = min(MAX_DELAY_S, 0.5 * 2.0**running.num_quick_exits)
        running.process = None
        running.restart_at = now + delay_s
        name = running.program.name
        return (
            f"{name} ended with {_describe_exit(status)} and starts again in "
            f"{delay_s:.0f} s; its output is in {self.log_file(name)}"
        )


def end_leftovers(home: Path) -> None:
    """End what a killed stack of this home left behind, and with it its ports.

    Raises:
        StackRunning: another process runs the stack of this home.
    """
    with _lock_home(home):
        _end_groups(_read_leftovers(home / PID_FILE))


def _lock_home(home: Path) -> TextIO:
    """Take a home; closing the file gives it back."""
    (home / "logs").mkdir(parents=True, exist_ok=True)
    lock = (home / "stack.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise StackRunning(
            f"a farm is running in {home}; stop it with Ctrl-C there, or set FARM_HOME "
            "to another folder"
        ) from None
    return lock


def _describe_exit(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit code {status}"


def _end_groups(pids: list[int]) -> None:
    """End process groups by their leaders, politely first."""
    for pid in pids:
        # The leader alone: it ends its children in its own order.
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while any(_started(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for pid in pids:  # also children that outlived their leader
        _signal_group(pid, signal.SIGKILL)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _read_leftovers(path: Path) -> list[int]:
    """List groups that a killed stack left; a reused process id is left alone."""
    try:
        groups = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return []
    return [int(pid) for pid, start in groups.items() if start == _started(int(pid))]


def _started(pid: int) -> float:
    """Give when a process started (so that a reused id is noticed), 0 if it is dead."""
    try:
        process = psutil.Process(pid)
        dead = process.status() == psutil.STATUS_ZOMBIE
        return 0.0 if dead else float(process.create_time())
    except psutil.NoSuchProcess:
        return 0.0
