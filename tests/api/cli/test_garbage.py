def test_nothing_is_deleted_unless_told_to(farm, sessions, home):
    planned = farm("gc")
    done = farm.json("gc", "--yes", "--days", "5")

    assert "would delete 0 files (0.0 MiB), 0 jobs" in planned.stdout
    assert done == {
        "deleted": True, "days": 5, "workers": 0, "jobs": 0, "events": 0,
        "answers": 0, "files": 0, "bytes": 0,
    }  # fmt: skip
    assert "days" in farm.mistake("gc", "--days", "0")
