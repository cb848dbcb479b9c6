from kompress.lines.cut import cut_lines
from kompress.lines.log_lines import prepare_log, templates_of


def test_a_log_knows_its_templates_without_a_runner_s_prefix():
    text = "2026-01-02T03:04:05.1Z step 1\n2026-01-02T03:04:06.1Z step 2\n\nend"

    log = prepare_log(cut_lines(text), twin="step 7\nend\n")

    assert log.templates == ["step <n>", "", "end"]
    assert log.template_L.tolist() == [0, 0, 1, 2]
    assert log.blank_L.tolist() == [False, False, True, False]
    assert log.twin_templates == templates_of("step 9\nend") == {"step <n>", "end"}


def test_a_text_without_lines_is_a_log():
    log = prepare_log(cut_lines(""))

    assert len(log) == 0
    assert log.twin_templates is None
