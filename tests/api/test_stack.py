import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from api.errors import StackRunning
from api.stack import Program, Stack, end_leftovers

ROOT = Path(__file__).parents[2]
SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


def program(name, *arguments, **environment):
    return Program(name, arguments or SLEEP, environment)


def pids(home):
    return [int(pid) for pid in json.loads((home / "stack.json").read_text())]


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_every_program_ends_with_the_stack(tmp_path):
    with Stack([program("a"), program("b")], tmp_path):
        started = pids(tmp_path)
        assert [is_alive(pid) for pid in started] == [True, True]

    assert [is_alive(pid) for pid in started] == [False, False]
    assert not (tmp_path / "stack.json").exists()


def test_an_error_inside_ends_the_programs_too(tmp_path):
    with pytest.raises(ValueError, match="mine"), Stack([program("a")], tmp_path):
        started = pids(tmp_path)
        raise ValueError("mine")

    assert not is_alive(started[0])


def test_output_goes_to_a_log_file_and_the_environment_is_passed_on(tmp_path):
    code = "import os, sys; print(os.environ['COLOUR']); sys.stderr.write('oops')"
    speaker = program("speaker", sys.executable, "-c", code, COLOUR="blue")

    with Stack([speaker], tmp_path) as stack:
        log = stack.log_file("speaker")
        wait_for(lambda: "oops" in log.read_text())

    assert log == tmp_path / "logs" / "speaker.log"
    assert log.read_text().split() == ["blue", "oops"]


def test_a_program_that_was_killed_starts_again(tmp_path):
    with Stack([program("a")], tmp_path) as stack:
        first = pids(tmp_path)[0]
        os.kill(first, signal.SIGKILL)
        wait_for(stack.tend)
        wait_for(lambda: stack.tend() or pids(tmp_path) != [first])

        assert is_alive(pids(tmp_path)[0])


def test_a_message_names_the_program_its_end_and_its_log(tmp_path):
    quitter = program("quitter", sys.executable, "-c", "raise SystemExit(3)")

    with Stack([quitter], tmp_path) as stack:
        messages = []
        wait_for(lambda: messages.extend(stack.tend()) or messages)

        assert messages == [
            (
                "quitter ended with exit code 3 and starts again in 1 s; "
                f"its output is in {tmp_path}/logs/quitter.log"
            )
        ]
        assert stack.gave_up(num_exits=1) == "quitter"
        assert stack.gave_up(num_exits=2) == ""


def test_two_stacks_cannot_share_a_home(tmp_path):
    with (
        Stack([program("a")], tmp_path),
        pytest.raises(StackRunning, match="FARM_HOME"),
        Stack([program("b")], tmp_path),
    ):
        pass


def test_what_a_killed_stack_left_is_ended_by_the_next(tmp_path):
    code = (
        "import sys, time, pathlib\n"
        "from api.stack import Program, Stack\n"
        "sleep = (sys.executable, '-c', 'import time; time.sleep(600)')\n"
        "with Stack([Program('a', sleep, {})], pathlib.Path(sys.argv[1])):\n"
        "    print('up', flush=True)\n"
        "    time.sleep(600)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert owner.stdout.readline() == b"up\n"
    left = pids(tmp_path)[0]
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert is_alive(left)

    with Stack([], tmp_path):
        assert not is_alive(left)


def test_a_process_that_reused_an_id_is_left_alone(tmp_path):
    bystander = subprocess.Popen(SLEEP, start_new_session=True)
    (tmp_path / "stack.json").write_text(json.dumps({str(bystander.pid): 1.0}))

    try:
        with Stack([], tmp_path):
            assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_logs_are_appended_to(tmp_path):
    (tmp_path / "logs").mkdir()
    Path(tmp_path / "logs" / "a.log").write_text("before\n")

    with Stack([program("a")], tmp_path):
        pass

    assert (tmp_path / "logs" / "a.log").read_text().startswith("before\n")


def test_children_of_a_program_that_was_killed_end_with_it(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "child = subprocess.Popen(sleep)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with Stack([program("a", sys.executable, "-c", code)], tmp_path) as stack:
        wait_for(lambda: stack.log_file("a").read_text())
        child = int(stack.log_file("a").read_text())
        os.kill(pids(tmp_path)[0], signal.SIGKILL)
        wait_for(stack.tend)

        wait_for(lambda: not is_alive(child))


def test_what_a_killed_stack_left_is_ended_before_anything_else(tmp_path):
    code = (
        "import sys; from pathlib import Path; from api.stack import Program, Stack\n"
        "import time\n"
        f"with Stack([Program('a', {SLEEP!r}, {{}})], Path({str(tmp_path)!r})):\n"
        "    time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as killed:
        wait_for(lambda: (tmp_path / "stack.json").exists() and pids(tmp_path))
        (left,) = pids(tmp_path)
        with pytest.raises(StackRunning):
            end_leftovers(tmp_path)
        killed.kill()
    assert is_alive(left)

    end_leftovers(tmp_path)

    assert not is_alive(left)


def test_what_the_programs_need_is_looked_after(tmp_path):
    with Stack([program("a")], tmp_path, lambda: ["redis had ended"]) as stack:
        assert stack.tend() == ["redis had ended"]
