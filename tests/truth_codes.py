"""Truth as flags of a few words, as the codes that everything is compared with."""

import numpy as np

from kompress.types import KEEP


def coded(truth):
    """KEEP for 1 or True, DROP for 0 or False; other codes stay."""
    flags = np.asarray(truth).astype(np.uint8)
    return np.where(flags == 1, KEEP, flags).astype(np.uint8)
