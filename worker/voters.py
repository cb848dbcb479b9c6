"""How a voter is made of its config and its snapshot."""

from kompress.config import VoterConfig
from kompress.voters import make_voter
from kompress.voters.voter import Voter
from worker.runtime import Runtime


def load_voter(runtime: Runtime, config: VoterConfig, snapshot_hash: str) -> Voter:
    """Make a voter from its config and what was fitted or declared for it.

    Args:
        runtime: where artifacts are.
        config: the voter's.
        snapshot_hash: of its snapshot in the artifact store, '' if it has none.

    Raises:
        ArtifactError: the snapshot is not in the store, or was altered there.
        InvalidConfig: the kind or a parameter is wrong, or the snapshot unreadable.
    """
    snapshot = runtime.artifacts.get(snapshot_hash) if snapshot_hash else None
    return make_voter(config.name, config.kind, config.params, snapshot)
