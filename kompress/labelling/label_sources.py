"""Labels that are no consensus: one voter's own words, and must-keep words forced.

W = words of all texts
"""

import numpy as np

from kompress.aggregation import make_aggregator
from kompress.labelling.panel import Panel, make_labels
from kompress.types import BoolArray, CodeArray, Label


def label_silver(panel: Panel) -> dict[int, Label]:
    """Take one voter at its word: of each text, the first that said anything about it.

    With one summariser these are its labels; with more, such as references of several
    origins, the order of the voters decides whose count.
    """
    silent_WM = np.isnan(panel.p_WM)
    num_words = len(panel.p_WM)
    p_W1 = np.full((num_words, 1), np.nan)
    strength_W1 = np.zeros((num_words, 1))
    heard = []
    for text_id, rows in panel.split(np.arange(num_words)).items():
        spoke = ~silent_WM[rows].all(axis=0)
        if spoke.any():
            first = int(spoke.argmax())
            p_W1[rows, 0] = panel.p_WM[rows, first]
            strength_W1[rows, 0] = panel.strength_WM[rows, first]
            heard.append(text_id)
    rule = make_aggregator("majority", {})
    posterior = rule.aggregate(p_W1, strength_W1, panel.stratum_W)
    made = make_labels(panel, posterior)
    return {text_id: made[text_id] for text_id in heard}


def correct(label: Label, codes_N: CodeArray | BoolArray) -> Label:
    """Force must-keep words, those whose code is not 0, to be kept, with certainty.

    Source: the label correction of docs/references.md, "The published line".
    """
    caught_N = codes_N != 0
    return Label(
        mean_N=np.where(caught_N, np.float16(1), label.mean_N).astype(np.float16),
        sd_N=np.where(caught_N, np.float16(0), label.sd_N).astype(np.float16),
    )
