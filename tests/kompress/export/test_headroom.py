import json

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.export.headroom import check_export, export, merge_weights
from kompress.students import load
from kompress.students.checkpoint import pack, unpack

TEXT = "error[E0308]: mismatched types in src/main.rs:42 but do not retry"
REPO_ID = "org/name"


@pytest.fixture(scope="module")
def exported(student, tmp_path_factory):
    return export(student, tmp_path_factory.mktemp("out") / "student", REPO_ID)


def copy_of(exported, folder):
    for name in [*exported.digests, "export.json"]:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((exported.folder / name).read_bytes())
    return folder


def test_an_exported_folder_holds_what_the_client_a_hub_and_we_load(exported):
    names = {
        path.relative_to(exported.folder).as_posix()
        for path in exported.folder.rglob("*")
        if path.is_file()
    }

    assert names == {*exported.digests, "export.json"}
    assert names >= {
        "merged.pt", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "config.json", "README.md", "onnx/kompress-fp32.onnx",
        "onnx/kompress-int8-wo.onnx",
    }  # fmt: skip
    assert [path.name for path in exported.folder.parent.iterdir()] == ["student"]


def test_an_exported_folder_is_the_same_student(exported, student):
    found = load(exported.folder)

    assert found.id == exported.student_id
    assert (found.score([TEXT])[0] == student.score([TEXT])[0]).all()
    assert found.recipe == student.recipe


def test_an_exported_folder_packs_into_the_students_own_blob(
    exported, student, tmp_path
):
    student.save(tmp_path / "own")

    assert pack(exported.folder) == pack(tmp_path / "own")
    assert unpack(pack(exported.folder), tmp_path / "again") == exported.student_id


def test_a_file_beside_an_exported_student_does_no_harm(exported, tmp_path):
    folder = copy_of(exported, tmp_path)
    (folder / ".gitattributes").write_text("*.onnx filter=lfs\n")

    check_export(folder)
    assert load(folder).id == exported.student_id


@pytest.mark.parametrize(
    "name", ["merged.pt", "onnx/kompress-fp32.onnx", "model.safetensors", "README.md"]
)
def test_an_altered_file_of_an_export_is_named(exported, tmp_path, name):
    folder = copy_of(exported, tmp_path)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)

    with pytest.raises(InvalidCheckpoint, match=name):
        check_export(folder)


def test_an_exported_config_without_ours_is_refused(exported, tmp_path):
    folder = copy_of(exported, tmp_path)
    (folder / "config.json").write_text(json.dumps({"model_type": "modernbert"}))

    with pytest.raises(InvalidCheckpoint, match=r"config\.json has no 'kompress'"):
        load(folder)


def test_merged_weights_load_without_pickled_code_and_have_the_clients_keys(
    exported, tiny
):
    merged = torch.load(exported.folder / "merged.pt", weights_only=True)

    assert set(merged) == {
        "encoder_state_dict", "token_head_state_dict", "span_conv_state_dict", "config",
    }  # fmt: skip
    assert merged["config"] == tiny.model_dump(mode="json")
    assert set(merged["token_head_state_dict"]) == {"weight", "bias"}
    shapes = {
        name: tuple(value.shape)
        for name, value in merged["span_conv_state_dict"].items()
    }
    # The client's span head: 256 channels, kernels of 5 and 3.
    assert shapes == {
        "0.weight": (256, 32, 5), "0.bias": (256,),
        "2.weight": (1, 256, 3), "2.bias": (1,),
    }  # fmt: skip


def test_a_widened_span_head_gives_the_same_scores(exported, tiny):
    weights = load_file(exported.folder / "model.safetensors")
    narrow = nn.Sequential(
        nn.Conv1d(32, 8, 5, padding=2), nn.GELU(), nn.Conv1d(8, 1, 3, padding=1)
    )
    wide = nn.Sequential(
        nn.Conv1d(32, 256, 5, padding=2), nn.GELU(), nn.Conv1d(256, 1, 3, padding=1)
    )
    narrow.load_state_dict(
        {
            key.removeprefix("span_conv."): torch.from_numpy(value)
            for key, value in weights.items()
            if key.startswith("span_conv.")
        }
    )
    wide.load_state_dict(merge_weights(weights, tiny)["span_conv_state_dict"])
    hidden = torch.randn(1, 32, 40, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        assert torch.allclose(wide(hidden), narrow(hidden), atol=1e-6)


def test_both_onnx_files_score_as_the_student_does(exported, student):
    tokens = student.tokenizer.encode(TEXT.split())
    ids = [student.tokenizer.cls_id, *tokens.ids_T, student.tokenizer.sep_id]
    feed = {
        "input_ids": np.array([ids], dtype=np.int64),
        "attention_mask": np.ones((1, len(ids)), dtype=np.int64),
    }
    ends = np.cumsum(tokens.num_tokens_N)[:-1]
    score_N = student.score([TEXT])[0]

    for name, tolerance in (("kompress-fp32", 1e-5), ("kompress-int8-wo", 0.02)):
        session = onnxruntime.InferenceSession(exported.folder / f"onnx/{name}.onnx")
        (score_BS,) = session.run(["final_scores"], feed)
        found = [part.max() for part in np.split(score_BS[0, 1:-1], ends)]
        assert found == pytest.approx(score_N, abs=tolerance)


def test_a_folder_that_holds_something_is_left_alone(student, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")

    with pytest.raises(InvalidCheckpoint, match="holds something already"):
        export(student, tmp_path, REPO_ID)

    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_an_empty_folder_is_taken_even_from_inside(student, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    found = export(student, ".", REPO_ID)

    names = {path.name for path in tmp_path.iterdir()}
    assert names == {name.partition("/")[0] for name in found.digests} | {"export.json"}
    check_export(tmp_path)


def test_a_failed_export_leaves_nothing_behind(variant, tmp_path):
    student = variant()
    with torch.no_grad():
        student.model.token_head.bias[0] = torch.nan

    with pytest.raises(InvalidCheckpoint, match="finite"):
        export(student, tmp_path / "deep" / "out", REPO_ID)

    assert list((tmp_path / "deep").iterdir()) == []


def test_a_student_with_one_head_has_no_merged_weights(variant, tmp_path):
    student = variant(variant="token_head")

    found = export(student, tmp_path / "out", REPO_ID)

    assert "merged.pt" not in found.digests
    assert "no `merged.pt`" in (found.folder / "README.md").read_text()
    assert load(found.folder).score([TEXT])[0] == pytest.approx(
        student.score([TEXT])[0]
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"max_tokens": 256}, "256 tokens"), ({"span_channels": 300}, "300 span")],
)
def test_a_student_that_the_client_would_run_otherwise_is_refused(
    variant, tmp_path, changes, words
):
    with pytest.raises(InvalidCheckpoint, match=words):
        export(variant(**changes), tmp_path / "out", REPO_ID)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("repo_id", ["", "name", "a/b/c", "../a/b", "org/-x", "o/é"])
def test_a_repo_id_that_no_hub_takes_is_refused(student, tmp_path, repo_id):
    with pytest.raises(InvalidConfig, match="org/name"):
        export(student, tmp_path / "out", repo_id)


def test_another_engine_has_no_weights_to_export(exported, tmp_path):
    with pytest.raises(InvalidConfig, match="torch"):
        export(load(exported.folder, engine="onnx"), tmp_path / "out", REPO_ID)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_transformers_takes_the_folder_and_computes_our_hidden_states(
    exported, student
):
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(exported.folder)
    model = AutoModel.from_pretrained(
        exported.folder, key_mapping={r"^encoder\.": ""}, attn_implementation="eager"
    ).eval()

    ids = tokenizer(TEXT.split(), is_split_into_words=True)["input_ids"]
    tokens = student.tokenizer.encode(TEXT.split())
    assert ids == [student.tokenizer.cls_id, *tokens.ids_T, student.tokenizer.sep_id]
    packing = student.model.pack([len(ids)])
    with torch.inference_mode():
        theirs = model(torch.tensor([ids])).last_hidden_state[0]
        ours = student.model.encoder(packing.spread(np.array(ids)), packing)
        ours = ours[packing.row_T]
    assert torch.allclose(theirs, ours, atol=1e-5)
