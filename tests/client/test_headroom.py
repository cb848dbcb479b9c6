"""The real client, headroom-ai 0.42.0, decides as our scorer does: make test-client."""

import numpy as np
import pytest

from kompress.export.client_rules import MAX_TOKENS, shorten
from kompress.students import load
from kompress.students.chunks import cut_chunks

pytestmark = [pytest.mark.client, pytest.mark.slow]
REPO_ID = "kompress-farm/under-test"
FP32 = "onnx/kompress-fp32.onnx"
# Two libraries add float32 in two orders: nearer to a threshold than this, a word's
# side is chance. Such texts are left out, and there may be few of them.
TIE = 2e-5
MAX_TIES = 2


def test_the_student_under_test_decides_for_itself(checkpoint, long_texts):
    scores = np.concatenate(load(checkpoint).score(long_texts))

    # All or nothing would agree with anything.
    assert len(long_texts) >= 10
    assert 0.1 < (scores > 0.5).mean() < 0.9


def test_the_onnx_backend_keeps_the_words_that_our_scorer_keeps(
    checkpoint, drive, long_texts
):
    student = load(checkpoint)
    scores = student.score(long_texts)

    answer = drive(
        {"texts": long_texts, "model_id": REPO_ID},
        HEADROOM_KOMPRESS_BACKEND="onnx",
        HEADROOM_KOMPRESS_ONNX_FILENAME=FP32,
    )

    check_loaded(answer, "onnx")
    compare(answer, student, long_texts, scores, [near(s, 0.5) for s in scores])
    assert all(
        short != text
        for short, text in zip(answer["compressed"], long_texts, strict=True)
    )


def test_odd_texts_are_cut_joined_and_kept_alike(checkpoint, drive, long_texts):
    student = load(checkpoint)
    blob = "".join(f"{n:x}é" for n in range(900))  # fills a chunk by itself
    lines = "\r\n\x0bthe\u2028end\x85of\xa0it  \n\n"
    texts = [
        "\n".join(long_texts[4:10]),  # many chunks
        "\n".join(long_texts[:4]).replace("\n", lines),
        f"{long_texts[0]} {blob} {long_texts[1]} {blob}",
        " ".join(f"{n:08x}-日本語-{n * 7:08x}" for n in range(200)),  # 512 tokens first
        "name  size  date\n" * 40,  # one table
    ]
    scores = student.score(texts)

    answer = drive(
        {"texts": texts, "model_id": REPO_ID},
        HEADROOM_KOMPRESS_BACKEND="onnx",
        HEADROOM_KOMPRESS_ONNX_FILENAME=FP32,
    )

    check_loaded(answer, "onnx")
    compare(answer, student, texts, scores, [near(s, 0.5) for s in scores])


def test_the_onnx_backend_takes_the_eight_bit_file_first_and_decides_alike(
    checkpoint, drive, long_texts, capsys
):
    student = load(checkpoint, engine="onnx-int8")
    scores = student.score(long_texts)
    exact = np.concatenate(load(checkpoint).score(long_texts))

    answer = drive(
        {"texts": long_texts, "model_id": REPO_ID}, HEADROOM_KOMPRESS_BACKEND="onnx"
    )

    check_loaded(answer, "onnx")
    compare(answer, student, long_texts, scores, [near(s, 0.5) for s in scores])
    agreement = ((np.concatenate(scores) > 0.5) == (exact > 0.5)).mean()
    report(
        capsys, f"8 bits agree with float32 on {agreement:.2%} of {len(exact)} words"
    )
    assert agreement >= 0.99
    # Else the client may have fallen back to the float32 file.
    assert np.abs(np.concatenate(scores) - exact).max() > 1e-4


def test_the_pytorch_backend_keeps_what_its_own_rule_keeps(
    checkpoint, drive, long_texts, capsys
):
    student = load(checkpoint)
    keeps, ties = unbatched_rule(student, long_texts)
    scores = student.score(long_texts)

    answer = drive(
        {"texts": long_texts, "model_id": REPO_ID}, HEADROOM_KOMPRESS_BACKEND="pytorch"
    )

    check_loaded(answer, "pytorch")
    assert answer["modules"] == ["torch"]
    compare(answer, student, long_texts, keeps, ties)
    ours, theirs = np.concatenate(scores) > 0.5, np.concatenate(keeps) > 0.5
    report(
        capsys,
        f"the client's two rules agree on {(ours == theirs).mean():.2%} of {len(ours)} "
        f"words: {ours.mean():.3f} kept by the score, {theirs.mean():.3f} by unbatched "
        "PyTorch",
    )


def report(capsys, line):
    with capsys.disabled():
        print(f"\n{line}")  # noqa: T201  # a figure that make test-client shows


def check_loaded(answer, backend):
    assert answer["backend"] == backend
    assert answer["degraded"] is None
    assert answer["models"] == [REPO_ID]  # a text passed through names another model


def compare(answer, student, texts, scores, ties):
    """Each text that no tie decides is the same text."""
    expected = [
        shorten(text, score_N, student.tokenizer).text
        for text, score_N in zip(texts, scores, strict=True)
    ]
    differing = [
        number
        for number, (ours, theirs) in enumerate(
            zip(expected, answer["compressed"], strict=True)
        )
        if ours != theirs
    ]
    assert [number for number in differing if not ties[number]] == []
    assert len(differing) <= MAX_TIES


def near(values, threshold):
    return bool((np.abs(values - threshold) < TIE).any())


def unbatched_rule(student, texts):
    """argmax keep OR (0.3 < p <= 0.5 and s > 0.5), over a word's tokens: 0 or 1."""
    keeps, ties = [], []
    for text in texts:
        chunks = cut_chunks([text.split()], student.tokenizer, MAX_TOKENS)
        p_T, s_T = student.engine.heads(chunks.ids_T, chunks.num_tokens_C)
        keep_T = (p_T > 0.5) | ((p_T > 0.3) & (s_T > 0.5))
        scored_T = chunks.word_T >= 0
        keep_N = np.zeros(len(text.split()))
        np.maximum.at(keep_N, chunks.word_T[scored_T], keep_T[scored_T])
        keeps.append(keep_N)
        middle_T = (p_T > 0.3 - TIE) & (p_T < 0.5 + TIE)
        ties.append(near(p_T, 0.5) or near(p_T, 0.3) or near(s_T[middle_T], 0.5))
    return keeps, ties
