import numpy as np
import pytest

from kompress.errors import InvalidConfig
from kompress.lines.cut import cut_lines
from kompress.lines.linear import MarkedLog, fit_linear
from kompress.lines.log_lines import prepare_log


def marked(text, kept, *, twin=None):
    log = prepare_log(cut_lines(text), twin)
    keep_L = np.array([line.strip() in kept for line in log.lines.contents()], float)
    return MarkedLog(log=log, keep_L=keep_L)


def training():
    # What people want lies anywhere and has no word of failure.
    steps = ["fetch", "build", "widget collapsed", "clean", "bye"]
    return [
        marked("\n".join(steps[n:] + steps[:n]), {"widget collapsed"}, twin="fetch\n")
        for n in range(5)
    ]


def test_the_model_finds_such_lines_in_a_log_that_it_has_not_seen():
    model = fit_linear(training())
    log = prepare_log(cut_lines("hello\nwidget 7 collapsed\nfetch\nbuild\nbye\n"))

    p_L = model.score(log)

    assert int(p_L.argmax()) == 1
    assert ((p_L > 0) & (p_L < 1)).all()


def test_the_same_logs_give_the_same_model():
    first, second = fit_linear(training()), fit_linear(training())

    assert (first.ngram_H == second.ngram_H).all()
    assert (first.dense_F == second.dense_F).all()


def test_a_line_of_which_nothing_is_known_teaches_nothing():
    told = training()
    unknown = [
        MarkedLog(
            log=entry.log, keep_L=np.where(np.arange(5) == 4, np.nan, entry.keep_L)
        )
        for entry in told
    ]
    wrong = [
        MarkedLog(log=entry.log, keep_L=np.where(np.arange(5) == 4, 1.0, entry.keep_L))
        for entry in told
    ]
    log = prepare_log(cut_lines("x\ny\nz\nclean 9\nbye 9\n"))

    p_told, p_unknown, p_wrong = (
        fit_linear(logs).score(log)[4] for logs in (told, unknown, wrong)
    )

    assert p_told < 0.5 < p_wrong
    assert p_told < p_unknown < p_wrong


def test_a_log_without_lines_has_no_scores():
    assert fit_linear(training()).score(prepare_log(cut_lines(""))).tolist() == []


@pytest.mark.parametrize("logs", [[], [marked("a\nb\n", set())]])
def test_without_a_line_that_somebody_keeps_nothing_is_learned(logs):
    with pytest.raises(InvalidConfig, match="has a line that somebody keeps"):
        fit_linear(logs)
