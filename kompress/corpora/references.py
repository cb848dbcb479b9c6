"""Read pairs of (text, reference): what labels are made of without a teacher.

JSONL, parquet, `datasets` folders and headroom's own logs; each is read in a stream of
bounded memory, and what cannot be a pair is reported and left out.
"""

import itertools
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import polars as pl

from kompress.alignment import align, find_variation_rate
from kompress.corpora import headroom_logs
from kompress.corpora.json_documents import Row
from kompress.corpora.lines import BadLine
from kompress.corpora.readers import (
    InvalidRow,
    encode_storable,
    json_type,
    parse_document,
    parse_rows,
    read_rows,
)
from kompress.errors import InvalidReferences
from kompress.types import Candidate, Document
from kompress.words import word_list

Format = Literal["auto", "jsonl", "parquet", "datasets", "headroom"]
FORMATS = ("auto", "jsonl", "parquet", "datasets", "headroom")
# What people call the two strings; the first that a row has counts.
TEXT_KEYS = (
    "text", "original", "prompt", "origin", "original_prompt", "original_content",
    "original_text", "tool_output", "input", "source", "document",
)  # fmt: skip
REFERENCE_KEYS = (
    "reference", "compressed", "compressed_prompt", "comp", "compressed_content",
    "compressed_text", "output", "target", "summary",
)  # fmt: skip
OTHER_KEYS = ("kind", "id", "external_id", "group_id", "split")
# Beyond this share of words that the text does not have, the reference is not of it.
MAX_VARIATION_RATE = 0.9
BATCH_ROWS = 500
CHUNK_BYTES = 2**20

_STATE, _SPLITS = "state.json", "dataset_dict.json"
_SCRIPT_CHARS = 2_000  # enough to tell in which script a text is written


@dataclass(frozen=True, slots=True)
class Reference:
    """A text with its shortened form.

    Attributes:
        text: the whole text.
        reference: what somebody kept of it; may rewrite.
        kind: what produced the text, for example `bash_output`.
        external_id: the caller's name for it.
        group_id: see `Document`.
        split: see `Document`.
    """

    text: str
    reference: str
    kind: str
    external_id: str
    group_id: str = ""
    split: str = ""


def read_references(
    path: Path,
    format: Format = "auto",  # noqa: A002  # what it is called everywhere
) -> Iterator[Reference | BadLine]:
    """Read pairs from a file or folder, one after the other.

    Args:
        path: a JSONL or parquet file, a folder that `datasets` saved to disk (all its
            splits), headroom's `ccr_store.db`, or its logs with messages.
        format: `auto` goes by the name; a line of JSONL that has messages is read as
            headroom's whatever the format.

    Yields:
        A pair, or a `BadLine` with the number of its line or row; the same text may
        come again, as it does in a log of growing conversations.

    Raises:
        InvalidReferences: the file cannot be read as what it should be.
    """
    rows = _READERS[_detect(path) if format == "auto" else format](path)
    yield from parse_rows(rows, _parse_reference)


def read_jsonl(chunks: Iterable[bytes]) -> Iterator[Reference | BadLine]:
    """Read pairs from a stream of JSONL, for example standard input.

    Args:
        chunks: pieces of the stream of any length.

    Yields:
        As `read_references`.
    """
    yield from parse_rows(_read_lines(chunks), _parse_reference)


def to_documents(
    references: Iterable[Reference | BadLine], origin: str, *, kind: str = ""
) -> Iterator[Document | BadLine]:
    """Align references and make documents that carry them.

    Args:
        references: what `read_references` yields.
        origin: who wrote them.
        kind: the documents' kind, '' for what each states.
    """
    for found in references:
        if isinstance(found, BadLine):
            yield found
            continue
        alignment = align(found.text, found.reference)
        keep_N = alignment.keep_N if alignment.is_exact else None
        yield Document(
            text=found.text,
            kind=kind or found.kind,
            external_id=found.external_id,
            group_id=found.group_id,
            split=found.split,
            candidates=(Candidate(origin, found.reference, keep_N),),
        )


def _parse_reference(row: dict[str, Any]) -> Reference:
    text_key = _find_key(row, TEXT_KEYS, "text")
    reference_key = _find_key(row, REFERENCE_KEYS, "reference")
    given = {key: row[key] for key in OTHER_KEYS if key in row}
    document = parse_document({"text": row[text_key], **given})
    reference = row[reference_key]
    _check_reference(document.text, reference, reference_key)
    return Reference(
        text=document.text,
        reference=reference,
        kind=document.kind,
        external_id=document.external_id,
        group_id=document.group_id,
        split=document.split,
    )


def _find_key(row: dict[str, Any], names: tuple[str, ...], wanted: str) -> str:
    for name in names:
        if row.get(name) is not None:
            return name
    found = ", ".join(sorted(map(str, row))[:8])[:200] or "no keys at all"
    raise InvalidRow(
        f"no {wanted} (keys found: {found!a}); expected one of {', '.join(names)}; "
        "rename the key that holds it"
    )


def _check_reference(text: str, reference: Any, key: str) -> None:
    if not isinstance(reference, str):
        raise InvalidRow(
            f"{key} is {json_type(reference)}; expected a string; join or dump the "
            "value into one string"
        )
    num_reference, num_text = len(word_list(reference)), len(word_list(text))
    if not num_reference:
        raise InvalidRow(
            f"{key} has no words; expected what is kept of the text; leave the row "
            "out, for it would teach to drop everything"
        )
    encode_storable(reference, key)
    if num_reference > num_text:
        raise InvalidRow(
            f"{key} has {num_reference:,} words, its text {num_text:,}; expected no "
            "more than the text; check whether the two are swapped"
        )
    variation = find_variation_rate(text, reference)
    if variation > MAX_VARIATION_RATE:
        theirs, ours = _script(reference), _script(text)
        other = f", and is written in {theirs}, not {ours}" if theirs != ours else ""
        raise InvalidRow(
            f"{variation:.0%} of {key}'s words are not in its text{other}; expected "
            "words of the text; check whether it is of another text or in another "
            "language"
        )


def _script(text: str) -> str:
    """Name the script of most letters: the first word of their Unicode names."""
    letters = (char for char in text[:_SCRIPT_CHARS] if char.isalpha())
    names = Counter(unicodedata.name(char, "?").split()[0] for char in letters)
    return names.most_common(1)[0][0].capitalize() if names else "no letters"


def _read_lines(chunks: Iterable[bytes]) -> Iterator[Row]:
    for number, row in read_rows(chunks):
        if isinstance(row, BadLine) or not headroom_logs.is_log(row):
            yield number, row
            continue
        try:
            yield from ((number, each) for each in headroom_logs.read_log(row))
        except InvalidRow as refused:
            yield number, BadLine(number, str(refused))


def _read_jsonl(path: Path) -> Iterator[Row]:
    with path.open("rb") as stream:
        yield from _read_lines(iter(lambda: stream.read(CHUNK_BYTES), b""))


def _read_parquet(path: Path) -> Iterator[Row]:
    try:
        lazy = pl.scan_parquet(path)
        wanted = _columns(lazy.collect_schema().names())
        frames = lazy.select(wanted).collect_batches(chunk_size=BATCH_ROWS)
        yield from _number_rows(frames)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidReferences(
            f"{path} cannot be read as parquet ({error}); expected a whole parquet "
            "file; write it again"
        ) from error


def _read_datasets(path: Path) -> Iterator[Row]:
    """Read what `datasets` wrote with save_to_disk: Arrow streams, split by split."""
    if (path / _SPLITS).is_file():
        splits = _load_json(path / _SPLITS).get("splits")
        names = splits if isinstance(splits, list) else ()
        folders = [path / Path(str(name)).name for name in names]
    else:
        folders = [path]
    files = [file for folder in folders for file in _data_files(folder)]
    frames = (frame for file in files for frame in _read_batches(file))
    yield from _number_rows(frame.select(_columns(frame.columns)) for frame in frames)


def _read_batches(path: Path) -> Iterator[pl.DataFrame]:
    """Read an Arrow stream batch by batch: Polars would read it whole."""
    import pyarrow as pa  # noqa: PLC0415  # loads 40 MB, and only here

    try:
        with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield cast("pl.DataFrame", pl.from_arrow(batch))
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        raise InvalidReferences(
            f"{path} is truncated or no Arrow stream ({error}); expected a file "
            "that datasets' save_to_disk wrote; save the data set again"
        ) from error


def _data_files(folder: Path) -> list[Path]:
    listed = _load_json(folder / _STATE).get("_data_files")
    named = [
        item["filename"]
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, dict) and "filename" in item
    ]
    if not named:
        raise InvalidReferences(
            f"{folder / _STATE} names no data files; expected _data_files as datasets' "
            "save_to_disk writes them; save the data set again"
        )
    # Names only: a folder from elsewhere must not lead out of itself.
    files = [folder / Path(str(name)).name for name in named]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise InvalidReferences(
            f"{folder} lacks {', '.join(missing)}; expected every file that its "
            f"{_STATE} names; copy the folder whole"
        )
    return files


def _load_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidReferences(
            f"{path} cannot be read ({error}); expected a folder that datasets' "
            "save_to_disk wrote; give that folder"
        ) from error
    return found if isinstance(found, dict) else {}


def _read_headroom(path: Path) -> Iterator[Row]:
    if path.is_dir():
        files = sorted(path.glob("*.jsonl")) + sorted(path.glob("*.db"))
        if not files:
            raise InvalidReferences(
                f"{path} has no logs of headroom; expected ccr_store.db or .jsonl "
                "files; give the folder of HEADROOM_PROBE_RECORD_DIR"
            )
        rows = itertools.chain.from_iterable(map(_read_headroom, files))
        yield from rows
    elif path.suffix in (".db", ".sqlite"):
        yield from enumerate(headroom_logs.read_store(path), start=1)
    else:
        yield from _read_jsonl(path)


def _columns(names: list[str]) -> list[str]:
    """Name the columns worth reading; all of them where neither string is there."""
    known = {*TEXT_KEYS, *REFERENCE_KEYS, *OTHER_KEYS}
    return [name for name in names if name in known] or names


def _number_rows(frames: Iterable[pl.DataFrame]) -> Iterator[Row]:
    rows = (row for frame in frames for row in frame.iter_rows(named=True))
    yield from enumerate(rows, start=1)


def _detect(path: Path) -> str:
    """Tell a format by the name of a file or by what lies in a folder."""
    if path.is_dir():
        if (path / _STATE).is_file() or (path / _SPLITS).is_file():
            return "datasets"
        return "headroom"
    if path.suffix in (".db", ".sqlite"):
        return "headroom"
    return "parquet" if path.suffix in (".parquet", ".pq") else "jsonl"


_READERS = {
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
    "datasets": _read_datasets,
    "headroom": _read_headroom,
}
