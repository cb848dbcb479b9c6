"""The kinds of jobs and the queues they wait in; used by both sides of the broker."""

# In the order of a round. A stage's name is its job kind and, with the prefix, its
# Celery task: stable strings, apart from the names of functions.
STAGES = (
    "select",
    "pilot",
    "teach",
    "escalate",
    "nominate",
    "compare",
    "choose",
    "count",
    "fit",
    "aggregate",
    "judge",
    "self_label",
    "train",
    "evaluate",
    "residuals",
    "conclude",
)
# Stages that ask a voter: its texts, or pairs of references.
ASKING = ("teach", "compare")
TASK_PREFIX = "farm."
# The newest `jobs.args` layout of each stage that this code can read and write.
ARGS_VERSION = 2

CONTROL = "control"
CPU = "cpu"
TRAIN = "train"
TEACH = "teach."

_QUEUES = {
    "select": CONTROL,
    "pilot": CPU,
    "escalate": CONTROL,
    "nominate": CPU,
    "choose": CPU,
    "count": CPU,
    "fit": CPU,
    "aggregate": CPU,
    "judge": CPU,
    "self_label": TRAIN,
    "train": TRAIN,
    "evaluate": TRAIN,
    "residuals": TRAIN,
    "conclude": CONTROL,
}


def task_name(stage: str) -> str:
    """Give the Celery task that runs a stage, for example `farm.teach`."""
    return TASK_PREFIX + stage


def queue_of(stage: str, voter: str = "") -> str:
    """Give the queue a job waits in; what asks a voter waits in the voter's.

    Raises:
        KeyError: the stage is not one of `STAGES`.
    """
    return TEACH + voter if stage in ASKING else _QUEUES[stage]
