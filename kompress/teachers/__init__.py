"""Language models as voters: what is asked, and how an answer becomes a vote."""

from collections.abc import Callable

from kompress.teachers.correct import Correct
from kompress.teachers.protocol import ChunkQuestion, ProtocolParams, TeacherProtocol
from kompress.teachers.quotes import Quotes
from kompress.teachers.request import Capabilities
from kompress.teachers.rewrite import Rewrite
from kompress.teachers.word_votes import WordVotes

# `pairwise` is none of them: it compares references, see `PairwiseJudge`.
PROTOCOLS: dict[str, Callable[[ProtocolParams, Capabilities], ChunkQuestion]] = {
    "word_votes": WordVotes,
    "rewrite": Rewrite,
    "quotes": Quotes,
    "correct": Correct,
}


def make_protocol(
    params: ProtocolParams, capabilities: Capabilities
) -> TeacherProtocol:
    """Make the protocol that the parameters name.

    Args:
        params: whose `protocol` is a key of `PROTOCOLS`.
        capabilities: what the engine can do; a protocol falls back by them.
    """
    question = PROTOCOLS[params.protocol](params, capabilities)
    return TeacherProtocol(question, params, capabilities)
