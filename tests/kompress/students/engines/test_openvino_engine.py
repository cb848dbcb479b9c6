from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.students.engines.openvino_engine import OpenVinoEngine, _share_runs
from kompress.students.engines.openvino_graph import GAP


@pytest.mark.parametrize(("bits", "name"), [(32, "openvino"), (8, "openvino-int8")])
def test_scores_stay_close_to_the_exact_ones(
    config, weights, chunks, wanted, bits, name
):
    engine = OpenVinoEngine(config, weights, bits=bits, num_threads=1)

    score = engine.score_tokens(*chunks)

    assert engine.name == name
    assert score.dtype == np.float32
    # Weights times 3 make errors grow from layer to layer.
    assert np.abs(score - wanted).mean() < 0.03
    assert np.corrcoef(score, wanted)[0, 1] > 0.98


def test_short_chunks_share_a_run_and_long_ones_have_their_own():
    # 512 fills a run; 300 and 208 with a gap of 2 fill one; 700 takes its own.
    assert _share_runs([300, 512, 208, 700, 1], 512) == [[3], [1], [0, 2], [4]]


@given(st.lists(st.integers(1, 600)), st.integers(64, 512))
def test_every_chunk_is_in_one_run_that_holds_it(lengths, max_rows):
    runs = _share_runs(lengths, max_rows)

    assert sorted(chain.from_iterable(runs)) == list(range(len(lengths)))
    for run in runs:
        used = sum(lengths[chunk] + GAP for chunk in run) - GAP
        assert used <= max_rows or len(run) == 1
