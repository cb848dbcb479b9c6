import hashlib
from xml.etree import ElementTree as ET

import pytest

from api.cli.paradox.committee import Committee, describe, read_suite
from api.intake import ingest
from db.queries import loops, students
from db.queries.students import NewStudent
from kompress.config import LoopConfig, parse_config
from kompress.corpora.generators import generate
from kompress.evaluation.committee import CommitteeScore

TINY = {
    "num_layers": 1, "hidden_size": 16, "num_heads": 1, "intermediate_size": 16,
    "span_channels": 4, "vocab_size": 300, "max_tokens": 128,
}  # fmt: skip
CONFIG = {
    "base": {
        "voters": [{"name": "rules", "kind": "syntax"}],
        "evaluation": {"num_bootstraps": 20},
    }
}


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Three tiny students that learned nothing, each from another seed."""
    import torch

    from kompress.config import StudentConfig
    from kompress.students import Student
    from kompress.students.model import StudentModel
    from kompress.students.tokenizer import WordTokenizer, train_tokenizer

    config = StudentConfig(**TINY)
    tokenizer = train_tokenizer([d.text for d in generate(8, 0)], vocab_size=300)
    found = []
    for seed in range(3):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = StudentModel(config)
            # Scores spread around one half: each drops other words.
            torch.nn.init.normal_(model.token_head.weight, std=1.0)
        student = Student.from_model(
            model, WordTokenizer(tokenizer), recipe={"name": "v4"}, lineage={}
        )
        folder = tmp_path_factory.mktemp("committee") / f"s{seed}"
        student.save(folder)
        found.append(folder)
    return found


@pytest.fixture
def world(farm, home, sessions, folders):
    """A loop over generated documents, and three students of its first round."""
    from kompress.students import checkpoint

    config = parse_config(LoopConfig, CONFIG)
    ingest(sessions, "ops", generate(16, 0))
    ids = []
    with sessions.begin() as session:
        first = config.resolve(1).model_dump(mode="json")
        loop = loops.create_loop(
            session, "mine", "ops", config.model_dump(mode="json"), first
        )
        round_id = loops.rounds_of(session, loop.id)[0].id
    for seed, folder in enumerate(folders):
        blob = checkpoint.pack(folder)
        digest = hashlib.sha256(blob).hexdigest()
        place = home / "artifacts" / digest[:2] / digest
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(blob)
        with sessions.begin() as session:
            ids.append(students.store_student(session, NewStudent(
                round_id=round_id, recipe="spine", seed=seed, label_source="silver",
                artifact_hash=digest, checkpoint_id=digest, manifest_hash=digest,
                trained_text_ids=[], num_steps=1, num_tokens=10,
            )))  # fmt: skip
    return ",".join(map(str, ids))


def find(rows, subject, stratum="all", truth="gold"):
    (one,) = [
        row
        for row in rows
        if (row["subject"], row["stratum"], row["truth"]) == (subject, stratum, truth)
    ]
    return one


@pytest.mark.slow  # scores with torch
def test_a_committee_is_scored_for_every_k_beside_its_members(farm, world):
    rows = farm.json("paradox", "--students", world)

    assert {row["suite"] for row in rows} == {"planted"}
    members = world.split(",")
    gold = [r["subject"] for r in rows if (r["truth"], r["stratum"]) == ("gold", "all")]
    assert gold == [*members, "1 of 3", "2 of 3", "3 of 3"]
    committees = [find(rows, f"{k} of 3") for k in (1, 2, 3)]
    recalls = [find(rows, name)["recall"] for name in members]
    # 1 of 3 keeps what all keep, 3 of 3 what any keeps.
    assert committees[0]["recall"] <= min(recalls)
    assert committees[2]["recall"] >= max(recalls)
    assert committees[0]["keep_rate"] < committees[2]["keep_rate"]
    for row in committees:
        assert row["best"] in members
        assert row["ci_low"] <= row["difference"] <= row["ci_high"]
        assert row["collapsed"] == (row["ci_high"] < 0)


@pytest.mark.slow  # scores with torch
def test_it_is_said_in_words(farm, world):
    said = farm("paradox", "--students", world, "--suite", "planted").stdout

    assert "against gold, by balanced accuracy:" in said
    assert "against must-keep words of farm, by their recall where the member" in said
    assert "3 of 3 drops only what every student drops" in said
    assert "planted, 4 texts, against gold" in said


def test_folders_are_scored_on_ndjson_without_a_database(
    farm, folders, ndjson, monkeypatch, tmp_path
):
    monkeypatch.setenv("FARM_DATABASE_URL", "postgresql://x@127.0.0.1:1/none")
    ndjson({"text": "disk 12 is full at 0x1F"}, {"text": "all is well, 7 of 7"},
           {"text": "retry in 30 s"}, name="a.jsonl")  # fmt: skip
    names = ",".join(map(str, folders[:2]))

    rows = farm.json("paradox", "--students", names, "--suite", tmp_path,
                     "--rule-set", "kompress-r0")  # fmt: skip

    assert {row["truth"] for row in rows} == {"must_keep"}
    assert {row["rule_set"] for row in rows} == {"kompress-r0"}
    assert {row["suite"] for row in rows} == {tmp_path.name}
    assert {row["k"] for row in rows} == {None, 1, 2}


def test_a_member_that_knows_the_suite_by_heart_is_pointed_out(
    farm, folders, ndjson, tmp_path
):
    from kompress.students import Student, load

    text = "disk 12 is full"
    own = load(folders[0])
    digest = hashlib.sha256(text.encode()).hexdigest()
    knowing = Student.from_model(
        own.model, own.tokenizer, recipe={}, lineage={"texts": [digest]}
    )
    knowing.save(tmp_path / "knowing")
    suite = ndjson({"text": text}, {"text": "retry 3"}, name="docs.jsonl")

    result = farm("paradox", "--students", f"{tmp_path / 'knowing'},{folders[1]}",
                  "--suite", suite)  # fmt: skip

    assert "was trained on 1 of the 2 texts" in result.stderr


def test_a_part_of_the_documents_is_the_same_part_whatever_their_order(ndjson):
    rows = [{"text": f"line {n}"} for n in range(6)]
    one = read_suite(ndjson(*rows, name="one.jsonl"), 2)
    other = read_suite(ndjson(*rows[::-1], name="two.jsonl"), 2)

    assert one.texts == other.texts
    assert len(one.texts) == 2


def test_collapses_and_gains_are_named_by_committee():
    def standing(subject, k, stratum, low, high):
        return CommitteeScore(
            stratum=stratum, truth="gold", subject=subject, k=k, recall=1.0,
            precision=1.0, keep_rate=1.0, balanced_accuracy=0.5, best="a",
            best_value=0.6, difference=-0.1, ci_low=low, ci_high=high, num_keep=1,
            num_drop=1,
        )  # fmt: skip

    said = describe(
        Committee(
            "planted", 3, "farm", ("a", "b"),
            (
                standing("a", None, "all", None, None),
                standing("1 of 2", 1, "all", -0.3, -0.1),
                standing("1 of 2", 1, "hex", 0.1, 0.2),
                standing("2 of 2", 2, "all", -0.1, 0.1),
                standing("2 of 2", 2, "hex", None, None),
            ),
        )
    )  # fmt: skip

    assert "  1 of 2: collapsed in all; better than every member in hex" in said
    assert "  2 of 2: collapsed nowhere" in said


@pytest.mark.slow  # loads matplotlib
def test_the_picture_says_what_it_shows(farm, world, tmp_path):
    for name in ("committee.png", "committee.svg"):
        said = farm("paradox", "--students", world, "--plot", tmp_path / name).stdout
        assert f"drawn in {tmp_path / name}" in said

    assert (tmp_path / "committee.png").read_bytes().startswith(b"\x89PNG")
    text = " ".join(ET.parse(tmp_path / "committee.svg").getroot().itertext())
    for words in ("A committee of 3 students on suite planted", "k = 2", "2 of 3",
                  "balanced accuracy on gold", "keep_rate: kept words",
                  "less the best member's", "plain"):  # fmt: skip
        assert words in text


def test_a_mistake_is_explained(farm, world, folders, tmp_path):
    def mistake(students, *arguments):
        return farm.mistake("paradox", "--students", students, *arguments)

    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.jsonl").write_text("no json\n")
    one, two, _ = world.split(",")

    assert "at least two different students" in mistake(one)
    assert "at least two different students" in mistake(f"{one},{one}")
    assert "expected one of dense, agent, qa, planted" in mistake(world, "--suite", "x")
    assert "expected one of farm" in mistake(world, "--rule-set", "x")
    assert "no student" in mistake(f"{one},99").lower()
    assert "belongs to no loop" in mistake(f"{folders[0]},{folders[1]}")
    assert "holds no document" in mistake(world, "--suite", tmp_path / "empty")
    assert "bad.jsonl, line 1" in mistake(world, "--suite", tmp_path / "bad.jsonl")
    # Generated documents are of no agent's tool.
    assert "agent has no texts" in mistake(f"{one},{two}", "--suite", "agent")
