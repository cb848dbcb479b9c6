from hashlib import sha256

import pytest
from safetensors.numpy import load_file

from kompress.errors import InvalidCheckpoint
from kompress.export.headroom import export
from kompress.export.hub_cache import write_hub_cache
from kompress.students.hub import MODERNBERT_REVISION as REVISION


@pytest.fixture(scope="module")
def exported(student, tmp_path_factory):
    return export(student, tmp_path_factory.mktemp("out") / "x", "org/name")


def test_both_repositories_lie_where_the_hubs_library_looks(exported, tmp_path):
    hub = write_hub_cache(exported, tmp_path)

    assert hub == tmp_path / "hub"
    own, base = hub / "models--org--name", hub / "models--answerdotai--ModernBERT-base"
    revision = (own / "refs/main").read_text()
    assert len(revision) == 40
    snapshot = own / "snapshots" / revision
    for name, digest in exported.digests.items():
        assert sha256((snapshot / name).read_bytes()).hexdigest() == digest
    assert (base / "refs/main").read_text() == REVISION
    assert {path.name for path in (base / "snapshots" / REVISION).iterdir()} == {
        "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors",
    }  # fmt: skip


def test_the_folder_serves_as_hf_hub_cache_too(exported, tmp_path):
    write_hub_cache(exported, tmp_path)

    assert (tmp_path / "models--org--name" / "refs" / "main").is_file()


def test_the_encoder_stands_under_transformers_names(exported, tmp_path):
    hub = write_hub_cache(exported, tmp_path)
    base = hub / "models--answerdotai--ModernBERT-base" / "snapshots" / REVISION

    found = load_file(base / "model.safetensors")

    whole = load_file(exported.folder / "model.safetensors")
    assert {f"encoder.{key}" for key in found} == {
        key for key in whole if key.startswith("encoder.")
    }


def test_writing_twice_changes_nothing(exported, tmp_path):
    write_hub_cache(exported, tmp_path)
    before = sorted(tmp_path.rglob("*"))

    write_hub_cache(exported, tmp_path)

    assert sorted(tmp_path.rglob("*")) == before


def test_another_students_tokenizer_is_not_replaced(exported, variant, tmp_path):
    hub = write_hub_cache(exported, tmp_path / "home")
    other = export(variant(vocab_size=310), tmp_path / "other", "org/other")

    with pytest.raises(InvalidCheckpoint, match="choose another folder"):
        write_hub_cache(other, tmp_path / "home")

    assert not (hub / "models--org--other").exists()


def test_another_student_of_the_same_name_is_not_replaced(exported, variant, tmp_path):
    write_hub_cache(exported, tmp_path / "home")
    other = export(variant(num_layers=2), tmp_path / "other", "org/name")

    with pytest.raises(InvalidCheckpoint, match="names revision"):
        write_hub_cache(other, tmp_path / "home")


def test_a_student_with_one_head_has_no_encoder_for_torch(variant, tmp_path):
    one = export(variant(variant="token_head"), tmp_path / "one", "org/one")

    hub = write_hub_cache(one, tmp_path / "home")

    base = hub / "models--answerdotai--ModernBERT-base" / "snapshots" / REVISION
    assert not (base / "model.safetensors").exists()
