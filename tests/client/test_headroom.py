"""The real client, headroom-ai 0.42.0, decides as our scorer does: make test-client."""

import numpy as np
import pytest

from kompress.export.client_rules import shorten
from kompress.students import load

pytestmark = [pytest.mark.client, pytest.mark.slow]
REPO_ID = "kompress-farm/under-test"
FP32 = "onnx/kompress-fp32.onnx"


def as_client(student, texts):
    scores = student.score(texts)
    return [
        shorten(text, score_N, student.tokenizer)
        for text, score_N in zip(texts, scores, strict=True)
    ]


def test_the_student_under_test_decides_for_itself(checkpoint, long_texts):
    student = load(checkpoint)
    scores = np.concatenate(student.score(long_texts))

    # All or nothing would agree with anything.
    assert len(long_texts) >= 10
    assert 0.1 < (scores > 0.5).mean() < 0.9


def test_the_onnx_backend_keeps_the_words_that_our_scorer_keeps(
    checkpoint, drive, long_texts
):
    answer = drive(
        {"texts": long_texts, "model_id": REPO_ID},
        HEADROOM_KOMPRESS_BACKEND="onnx",
        HEADROOM_KOMPRESS_ONNX_FILENAME=FP32,
    )

    assert answer["backend"] == "onnx"
    assert answer["degraded"] is None
    assert answer["models"] == [REPO_ID]
    expected = [short.text for short in as_client(load(checkpoint), long_texts)]
    assert answer["compressed"] == expected
    assert all(short != text for short, text in zip(expected, long_texts, strict=True))
