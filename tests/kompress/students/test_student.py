import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.export.headroom import export
from kompress.must_keep import classify_words
from kompress.students import Student, load
from kompress.students.engines.torch_engine import TorchEngine
from kompress.students.model import StudentModel
from kompress.students.tokenizer import WordTokenizer, train_tokenizer

ROOT = Path(__file__).parents[3]
TEXT = "error[E0308]: mismatched types\n  --> src/main.rs:42:9 expected `u32`\n"


def test_every_word_of_every_text_gets_one_score(student):
    texts = ["", "one", TEXT, "word " * 800, "x" * 5_000, " \n\t "]

    scores = student.score(texts)

    assert [len(score) for score in scores] == [len(text.split()) for text in texts]
    flat = np.concatenate(scores)
    assert flat.dtype == np.float64
    assert ((flat > 0) & (flat < 1)).all()


@pytest.mark.parametrize("text", ["one", TEXT * 30, "word " * 800 + "x" * 5_000])
@pytest.mark.parametrize("max_tokens", [1, 200, 10**6])
def test_scores_part_by_part_are_those_of_the_whole(student, text, max_tokens):
    parts = list(student.score_by_parts(text, max_tokens))

    (whole_N,) = student.score([text])
    assert parts[-1] == pytest.approx(whole_N, abs=1e-6)
    unscored = [int(np.isnan(part_N).sum()) for part_N in parts]
    assert unscored == sorted(unscored, reverse=True)
    assert unscored[-1] == 0
    # A part has one chunk of 64 tokens at least.
    assert (len(parts) == 1) == (max_tokens == 10**6 or text == "one")


def test_a_text_without_words_has_no_parts(student):
    assert list(student.score_by_parts(" \n", 100)) == []


def test_a_words_score_is_the_maximum_over_its_tokens(student):
    tokens = student.tokenizer.encode(TEXT.split())
    ids = [student.tokenizer.cls_id, *tokens.ids_T, student.tokenizer.sep_id]
    packing = student.model.pack([len(ids)])
    with torch.inference_mode():
        keep_R, span_R, _ = student.model(packing.spread(np.array(ids)), packing)
    p_R, s_R = torch.sigmoid(keep_R), torch.sigmoid(span_R)
    token_T = (p_R * (0.5 + 0.5 * s_R)).numpy()[1 : len(ids) - 1]
    ends = np.cumsum(tokens.num_tokens_N)[:-1]
    expected = [part.max() for part in np.split(token_T, ends)]

    assert student.score([TEXT])[0] == pytest.approx(expected, abs=1e-6)


def test_scores_do_not_depend_on_the_texts_around(student):
    texts = [TEXT, "word " * 300, "a b c", TEXT * 9]

    together = student.score(texts)

    for text, score in zip(texts, together, strict=True):
        assert student.score([text])[0] == pytest.approx(score, abs=1e-6)


def test_no_texts_give_no_scores(student):
    assert student.score([]) == []


def test_progress_ends_at_the_number_of_texts(student):
    seen = []

    student.score(["a b"] * 300, progress=seen.append)

    assert seen == [256, 300]


def test_without_override_the_threshold_alone_decides(student):
    short = student.compress(TEXT, override=None)

    assert (short.keep_N == (short.score_N > 0.5)).all()


def test_the_override_keeps_its_must_keep_words_whatever_their_score(student):
    short = student.compress(TEXT)

    must_N = classify_words(TEXT.split(), "headroom-0.42") != 0
    assert must_N.any()
    assert (short.keep_N == ((short.score_N > 0.5) | must_N)).all()
    assert short.text.split() == np.array(TEXT.split())[short.keep_N].tolist()


@pytest.mark.parametrize(
    ("rate", "num_kept"), [(0.0, 0), (0.5, 4), (0.75, 5), (1.0, 7)]
)
def test_a_keep_rate_is_met_exactly(student, rate, num_kept):
    # 7 words: 3.5 rounds up to 4, 5.25 down to 5.
    short = student.compress(TEXT, override=None, keep_rate=rate)

    assert short.keep_N.sum() == num_kept
    kept, dropped = short.score_N[short.keep_N], short.score_N[~short.keep_N]
    assert kept.min(initial=1) >= dropped.max(initial=0)


def test_with_an_override_its_words_come_first_within_the_rate(student):
    must_N = classify_words(TEXT.split(), "headroom-0.42") != 0

    short = student.compress(TEXT, keep_rate=6 / 7)

    assert short.keep_N.sum() == 6
    assert short.keep_N[must_N].all()


def test_an_unknown_rule_set_is_refused(student):
    with pytest.raises(InvalidConfig):
        student.compress(TEXT, override="nobody's")


def test_lines_are_kept_whole_or_not_at_all(student):
    text = "def f():\n    return 1\n\n# a comment\nValueError: odd\n"

    short = student.compress(text, unit="line", max_tokens=8)

    # 16 of 32 characters are the failure's; each other line is there as it was.
    assert "ValueError: odd\n" in short.text
    assert set(short.text.splitlines(keepends=True)) <= set(
        text.splitlines(keepends=True)
    )
    assert len(short.text) <= 32
    assert short.text.split() == [
        word for word, kept in zip(text.split(), short.keep_N, strict=True) if kept
    ]


def test_a_share_of_lines_is_one_of_the_characters(student):
    text = "aaaa\nbbbb\ncccc\ndddd\n"

    assert len(student.compress(text, unit="line", keep_rate=0.5).text) == 10
    assert student.compress(text, unit="line", keep_rate=1).text == text


def test_words_have_no_budget_of_tokens(student):
    with pytest.raises(InvalidConfig, match="max_tokens is 3"):
        student.compress("a b", max_tokens=3)


def test_an_empty_text_stays_empty(student):
    short = student.compress("")

    assert (short.text, short.keep_N.shape, short.score_N.shape) == ("", (0,), (0,))


def test_a_saved_student_scores_as_before(student, tmp_path):
    student.save(tmp_path)

    copy = load(tmp_path)

    assert (copy.score([TEXT])[0] == student.score([TEXT])[0]).all()
    assert (copy.config, copy.recipe) == (student.config, student.recipe)
    assert copy.lineage == student.lineage


def test_loading_leaves_the_random_state_alone(student, tmp_path):
    student.save(tmp_path)
    before = torch.get_rng_state()

    load(tmp_path)

    assert torch.equal(torch.get_rng_state(), before)


def test_a_tokenizer_larger_than_the_model_is_refused(student):
    config = student.config.model_copy(update={"vocab_size": 300})
    tokenizer = WordTokenizer(train_tokenizer(["abcdefgh " * 9, TEXT * 3], 320))

    with pytest.raises(InvalidCheckpoint, match="tokens and the model 300"):
        Student.from_model(StudentModel(config), tokenizer, recipe={}, lineage={})


TEXTS = ("a b c d", TEXT, "e f g", "")


def test_a_corpus_rate_is_met_exactly_over_all_texts(student):
    # 4 + 7 + 3 + 0 = 14 words; 0.6 of them are 8.4, so 8.
    short = student.compress_all(TEXTS, override=None, keep_rate=0.6, per="corpus")

    keep = np.concatenate([one.keep_N for one in short])
    score = np.concatenate([one.score_N for one in short])
    assert [len(one.keep_N) for one in short] == [4, 7, 3, 0]
    assert keep.sum() == 8
    assert score[keep].min() >= score[~keep].max()


def test_equal_scores_go_to_the_earlier_text(config, tokenizer):
    # Heads of zeros score every word .375 exactly, whatever the CPU rounds.
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = StudentModel(config)
        for head in (model.token_head, model.span_conv):
            for weight in head.parameters():
                weight.zero_()
    student = Student.from_model(model, tokenizer, recipe={}, lineage={})

    short = student.compress_all(
        ["same", "same", "same"], override=None, keep_rate=0.5, per="corpus"
    )

    assert [one.keep_N.tolist() for one in short] == [[True], [True], [False]]


def test_in_a_corpus_the_overrides_words_come_first_and_count(student):
    must = [classify_words(text.split(), "headroom-0.42") != 0 for text in TEXTS]
    num_must = sum(int(mask.sum()) for mask in must)

    short = student.compress_all(TEXTS, keep_rate=(num_must + 1) / 14, per="corpus")

    assert sum(int(one.keep_N.sum()) for one in short) == num_must + 1
    for one, must_N in zip(short, must, strict=True):
        assert one.keep_N[must_N].all()


def test_many_texts_shorten_as_each_alone(student):
    together = student.compress_all(TEXTS, keep_rate=0.5)

    alone = [student.compress(text, keep_rate=0.5) for text in TEXTS]
    assert [one.text for one in together] == [one.text for one in alone]


def test_no_texts_shorten_to_none(student):
    assert student.compress_all([]) == []
    assert student.compress_all([], keep_rate=0.5, per="corpus") == []


def test_a_rate_per_something_else_is_refused(student):
    with pytest.raises(InvalidConfig, match="corpus"):
        student.compress_all(TEXTS, keep_rate=0.5, per="line")


@pytest.mark.parametrize(("engine", "tolerance"), [("onnx", 1e-5), ("onnx-int8", 0.02)])
def test_another_engine_gives_the_same_scores_without_a_module(
    student, tmp_path, engine, tolerance
):
    student.save(tmp_path)

    other = load(tmp_path, engine=engine)

    assert (other.id, other.engine.name) == (student.id, engine)
    for score, want in zip(other.score(TEXTS), student.score(TEXTS), strict=True):
        assert score == pytest.approx(want, abs=tolerance)
    with pytest.raises(InvalidConfig, match="load it with"):
        _ = other.model


def test_an_exported_folders_own_graph_is_run(student, tmp_path):
    folder = tmp_path / "export"
    narrow = student.config.model_copy(update={"max_tokens": 512})
    wide = Student(
        student.tokenizer,
        narrow,
        TorchEngine(_with_config(student.model, narrow)),
        recipe={},
        lineage={},
    )
    export(wide, folder, "org/name")

    assert load(folder, engine="onnx").score(TEXTS)[1] == pytest.approx(
        wide.score(TEXTS)[1], abs=1e-5
    )

    graph = folder / "onnx" / "kompress-fp32.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    with pytest.raises(InvalidCheckpoint, match=r"kompress-fp32.onnx differs"):
        load(folder, engine="onnx")
    graph.unlink()  # without the file the graph is written from the weights
    assert load(folder, engine="onnx").engine.name == "onnx"


def _with_config(model, config):
    with torch.random.fork_rng(devices=[]):
        copy = StudentModel(config)
    copy.load_state_dict(model.state_dict())
    return copy


def test_an_unknown_engine_is_refused(student, tmp_path):
    student.save(tmp_path)

    with pytest.raises(InvalidConfig, match="expected one of torch"):
        load(tmp_path, engine="steam")


@pytest.mark.slow
def test_scoring_without_torch_does_not_load_it(student, tmp_path):
    student.save(tmp_path)
    code = (
        "import sys\n"
        "from kompress.students import load\n"
        "import kompress.students.chunks, kompress.students.tokenizer\n"
        f"student = load({str(tmp_path)!r}, engine='onnx')\n"
        f"assert len(student.compress({TEXT!r}).keep_N) == 7\n"
        "sys.exit('torch' in sys.modules)"
    )

    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)

    assert process.returncode == 0
