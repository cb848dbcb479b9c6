"""Students between the artifact store and memory."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kompress.students import Student, load
from kompress.students.checkpoint import pack, unpack
from kompress.types import FloatArray
from worker.runtime import Runtime

# Few enough that a heartbeat never waits long, whatever the texts' length.
BATCH_TEXTS = 32


def load_student(
    runtime: Runtime, artifact_hash: str, *, engine: str = "torch"
) -> Student:
    """Load a student once per process; its content hash is verified.

    Args:
        runtime: this process.
        artifact_hash: of the checkpoint in the artifact store.
        engine: what scores, see `kompress.students.load`.

    Raises:
        ArtifactError: the checkpoint is not in the store, or was altered there.
        InvalidCheckpoint: it is in the store, but is not a whole student.
    """

    def make() -> Student:
        with tempfile.TemporaryDirectory() as folder:
            unpack(runtime.artifacts.get(artifact_hash), Path(folder))
            return load(Path(folder), engine=engine)

    return runtime.resident(f"student {artifact_hash} {engine}", make)


def save_student(runtime: Runtime, folder: Path) -> str:
    """Put a checkpoint folder into the store and return its hash."""
    return runtime.artifacts.put(pack(folder))


def score_texts(
    student: Student, contents: Sequence[str], beat: Callable[[], object]
) -> Iterator[FloatArray]:
    """Score texts in their order, a batch at a time.

    Args:
        student: scores.
        contents: any texts; which of them share a batch may change the last bits.
        beat: called for each text that was scored.

    Yields:
        (N,) scores of each text.
    """
    for start in range(0, len(contents), BATCH_TEXTS):
        for score_N in student.score(contents[start : start + BATCH_TEXTS]):
            beat()
            yield score_N
