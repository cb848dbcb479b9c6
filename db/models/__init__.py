"""Every table, imported so that `Base.metadata` is complete."""

from db.models.base import Base
from db.models.comparison import Candidate, Comparison
from db.models.corpus import Corpus, Document, DocumentBand
from db.models.endpoint import Endpoint, EndpointWorker
from db.models.gold import Gold
from db.models.job import Job, Worker
from db.models.label import Label, LabelCount
from db.models.lock import Lock
from db.models.loop import Loop, Round, Selection, ShardDocument
from db.models.quality import (
    Residual,
    RuleFit,
    RuleStat,
    VotePattern,
    VoterPair,
    VoterStat,
)
from db.models.record import ApiKey, Cost, Event, Failure, Spending
from db.models.student import Score, Student
from db.models.text import Text, TextStrata
from db.models.vote import Answer, Reservation, RoundVote, Vote
from db.models.voter import Voter

__all__ = [
    "Answer",
    "ApiKey",
    "Base",
    "Candidate",
    "Comparison",
    "Corpus",
    "Cost",
    "Document",
    "DocumentBand",
    "Endpoint",
    "EndpointWorker",
    "Event",
    "Failure",
    "Gold",
    "Job",
    "Label",
    "LabelCount",
    "Lock",
    "Loop",
    "Reservation",
    "Residual",
    "Round",
    "RoundVote",
    "RuleFit",
    "RuleStat",
    "Score",
    "Selection",
    "ShardDocument",
    "Spending",
    "Student",
    "Text",
    "TextStrata",
    "Vote",
    "VotePattern",
    "Voter",
    "VoterPair",
    "VoterStat",
    "Worker",
]
