"""Which command mends what a lower layer refused.

Messages say what was found and what to do; commands are named on people's side alone.
"""

# A phrase of a message, and the command that does it.
COMMANDS = {
    "see the list of jobs": "farm job list",
    "only failed jobs are retried": "farm job list --status failed",
    "see the list of students": "farm student list",
    "see the list of voters": "farm voter list",
    "see the list of workers": "farm worker list",
    "take one of them, or add it": "farm corpus add",
    "expected some; add them first": "farm corpus add",
    "migrate the database": "farm migrate",
}


def advise(message: str) -> str:
    """Add the command that does what the message asks for, if there is one."""
    for phrase, command in COMMANDS.items():
        if phrase in message:
            return f"{message} (`{command}`)"
    return message
