import io
import json
import tarfile

import pytest

from kompress.errors import InvalidCheckpoint
from kompress.students import checkpoint, load
from kompress.students.checkpoint import FILES, MANIFEST, pack, read_folder, unpack


@pytest.fixture
def folder(student, tmp_path):
    student.save(tmp_path / "student")
    return tmp_path / "student"


def tar_of(members):
    blob = io.BytesIO()
    with tarfile.open(fileobj=blob, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return blob.getvalue()


def test_a_student_saved_twice_has_one_id_and_one_blob(student, tmp_path):
    first, second = (student.save(tmp_path / name) for name in "ab")

    assert first == second
    assert len(first) == 64
    assert pack(tmp_path / "a") == pack(tmp_path / "b")


def test_a_loaded_student_has_the_id_that_saving_gave(student, folder):
    assert load(folder).id == student.id


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_found_and_named(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)

    with pytest.raises(InvalidCheckpoint, match=f"{name} differ from the sha256"):
        load(folder)


def test_missing_and_foreign_files_are_named(folder):
    (folder / "recipe.json").unlink()
    (folder / "model.pkl").write_bytes(b"x")

    with pytest.raises(
        InvalidCheckpoint, match=r"missing recipe\.json; foreign model\.pkl"
    ):
        load(folder)


def test_a_truncated_weight_file_is_found(folder):
    content = (folder / checkpoint.WEIGHTS).read_bytes()
    (folder / checkpoint.WEIGHTS).write_bytes(content[: len(content) // 2])

    with pytest.raises(InvalidCheckpoint, match=r"model\.safetensors differ"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: b"{", "cannot be read"),
        (lambda content: b"[]", "cannot be read"),
        (lambda content: content.replace(b'"format": 1', b'"format": 2'), "format 2"),
        (lambda content: content + b" ", "was edited"),
    ],
)
def test_an_edited_manifest_is_refused(folder, change, message):
    path = folder / MANIFEST
    path.write_bytes(change(path.read_bytes()))

    with pytest.raises(InvalidCheckpoint, match=message):
        load(folder)


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(InvalidCheckpoint, match="is no folder"):
        load(tmp_path / "nothing")


def test_saving_beside_foreign_files_is_refused(student, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(InvalidCheckpoint, match=r"already holds notes\.txt"):
        student.save(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", b"{}", None),  # every size has a default: other tensors
        ("config.json", b'{"hidden": 3}', "hidden: Extra inputs"),
        ("config.json", b"[", "cannot be loaded"),
        ("model.safetensors", b"\x80\x04K\x01.", "cannot be loaded"),  # a pickle
        ("tokenizer.json", b"{}", "tokenizer.json cannot be read"),
    ],
)
def test_contents_that_are_no_student_are_refused(folder, name, content, message):
    files = read_folder(folder)[1] | {name: content}
    checkpoint.write_folder(folder, files)

    with pytest.raises(InvalidCheckpoint, match=message or "size mismatch"):
        load(folder)


def test_a_packed_student_unpacks_to_the_same_student(student, folder, tmp_path):
    assert unpack(pack(folder), tmp_path / "copy") == student.id
    assert load(tmp_path / "copy").id == student.id


def test_a_packed_student_holds_no_times_and_no_owners(folder):
    with tarfile.open(fileobj=io.BytesIO(pack(folder))) as tar:
        members = tar.getmembers()

    assert [member.name for member in members] == sorted((*FILES, MANIFEST))
    assert {(m.mtime, m.uid, m.gid, m.uname) for m in members} == {(0, 0, 0, "")}


@pytest.mark.parametrize("name", ["../config.json", "/etc/config.json", "a/b", "x"])
def test_a_blob_with_a_foreign_name_writes_nothing(folder, tmp_path, name):
    blob = tar_of([(tarfile.TarInfo(name), b"x")])

    with pytest.raises(InvalidCheckpoint, match="nothing was written"):
        unpack(blob, tmp_path / "copy")

    assert not (tmp_path / "copy").exists()


def test_a_blob_with_a_link_writes_nothing(tmp_path):
    link = tarfile.TarInfo("config.json")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"

    with pytest.raises(InvalidCheckpoint, match="only plain files"):
        unpack(tar_of([(link, b"")]), tmp_path / "copy")


def test_a_cut_or_alien_blob_is_refused(folder, tmp_path):
    blob = pack(folder)

    for broken in (b"", b"hello" * 500, blob[: len(blob) // 2]):
        with pytest.raises(InvalidCheckpoint):
            unpack(broken, tmp_path / "copy")


def test_files_of_other_names_are_not_saved(tmp_path):
    with pytest.raises(InvalidCheckpoint, match="foreign notes"):
        checkpoint.write_folder(tmp_path, {"notes": b""})


def test_the_manifest_lists_every_file(folder):
    manifest = json.loads((folder / MANIFEST).read_bytes())

    assert sorted(manifest["files"]) == sorted(FILES)
