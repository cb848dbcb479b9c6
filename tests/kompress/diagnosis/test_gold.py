import gzip
import json

import pytest

from kompress.diagnosis.gold import Signal, read_gold_logs, read_row
from kompress.errors import InvalidConfig
from kompress.types import DROP, KEEP, UNKNOWN


def row(**fields):
    return {
        "id": "a",
        "source": "mini",
        "licence": "CC0-1.0",
        "repository": "r",
        "text": "one\ntwo\nthree\nfour",
        "gold": {"ann": [[2, 2, "E"], [1, 3, "C"]], "bob": []},
        **fields,
    }


def write(folder, name, rows):
    with gzip.open(folder / name, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(found) + "\n" for found in rows)


def test_evidence_is_kept_context_is_unknown_and_the_rest_dropped():
    log = read_row(row())

    assert log.marks["ann"].tolist() == [UNKNOWN, KEEP, UNKNOWN, DROP]
    assert log.marks["bob"].tolist() == [DROP] * 4


def test_a_lone_cr_ends_a_line_where_the_annotators_saw_it_so():
    # They see 1 "10%", 2 "50%", 3 "boom", 4 "bye"; by LF there are two lines.
    fields = {"text": "10%\r50%\rboom\r\nbye\n", "gold": {"ann": [[3, 3, "E"]]}}

    assert read_row(row(source="cidiff", **fields)).marks["ann"].tolist() == [
        KEEP,
        DROP,
    ]
    fields["gold"] = {"ann": [[2, 2, "E"]]}
    assert read_row(row(**fields)).marks["ann"].tolist() == [DROP, KEEP]


def test_spans_beyond_the_end_mark_nothing():
    log = read_row(row(gold={"ann": [[4, 9, "E"], [7, 8, "E"]]}))

    assert log.marks["ann"].tolist() == [DROP, DROP, DROP, KEEP]


def test_a_signal_has_its_value_its_aliases_and_its_file():
    found = {
        "value": " boom ",
        "aliases": ["bang", ""],
        "file": "a.py",
        "importance": "critical",
    }

    log = read_row(row(signals=[found, {"file": "b.py", "importance": "optional"}]))

    assert log.signals == (
        Signal(forms=("boom", "bang", "a.py"), is_critical=True),
        Signal(forms=("b.py",), is_critical=False),
    )


def test_all_files_of_a_folder_are_read_in_order(tmp_path):
    write(tmp_path, "b.jsonl.gz", [row(id="third", twin="ok\n")])
    write(tmp_path, "a.jsonl.gz", [row(id="first"), row(id="second")])

    logs = read_gold_logs(tmp_path)

    assert [log.name for log in logs] == ["first", "second", "third"]
    assert [log.twin for log in logs] == [None, None, "ok\n"]


def test_a_folder_without_logs_is_refused(tmp_path):
    with pytest.raises(InvalidConfig, match=r"has no \*.jsonl.gz"):
        read_gold_logs(tmp_path)


@pytest.mark.parametrize(
    "bad",
    [
        {"id": "a"},
        row(gold={"ann": [[1, 2, "X"]]}),
        row(gold={"ann": [[1, 2]]}),
        row(gold={"ann": [["one", 2, "E"]]}),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path, bad):
    write(tmp_path, "a.jsonl.gz", [row(), bad])

    with pytest.raises(InvalidConfig, match=r"a.jsonl.gz, row 2"):
        read_gold_logs(tmp_path)
