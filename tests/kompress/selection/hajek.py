"""What a sample chosen unequally says of the whole corpus: the oracle of SQL's figure.

n = sampled documents
"""

import numpy as np


def hajek_ratio(kept_n, total_n, pi_n):
    """Estimate sum(kept) / sum(total) of the corpus, with its standard error.

    R = sum(k/pi) / sum(t/pi) and
    se^2 = n/(n-1) sum((1-pi) ((k - R t)/pi)^2) / sum(t/pi)^2.

    Source: design §9; Hájek 1971, variance after Hájek 1964.
    """
    weighted_total = (total_n / pi_n).sum()
    value = (kept_n / pi_n).sum() / weighted_total
    n = pi_n.size
    deviation_n = (kept_n - value * total_n) / pi_n
    variance = n / (n - 1) * ((1 - pi_n) * deviation_n**2).sum()
    return value, np.sqrt(variance) / weighted_total
