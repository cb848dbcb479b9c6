"""The methods of others that stand beside a student."""

from kompress.evaluation.baselines.baseline import NamedBaseline
from kompress.evaluation.baselines.llmlingua2 import LLMLingua2
from kompress.evaluation.baselines.textrank import TextRank
from kompress.evaluation.baselines.voters import VoterPool, VoterScorer


def published_baselines(
    self_information: VoterPool | None, llmlingua2: LLMLingua2 | None
) -> list[NamedBaseline]:
    """Give the methods of others.

    Args:
        self_information: that voter alone, None to leave it out.
        llmlingua2: the method on some encoder, None to leave it out.
    """
    found = [NamedBaseline("baseline", "textrank", TextRank())]
    if self_information is not None:
        name = self_information.members[0].name
        scorer = VoterScorer(self_information, name)
        found.append(NamedBaseline("baseline", "self_information", scorer))
    if llmlingua2 is not None:
        found.append(NamedBaseline("baseline", "llmlingua2", llmlingua2))
    return found
