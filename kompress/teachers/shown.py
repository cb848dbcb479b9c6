"""Give a text as a model may see it: no control tokens, and no secrets outside.

The words stay where they are, only their characters change, so that a vote on the
shown text is a vote on the text. What redaction finds are well-known shapes; it is a
second fence behind a corpus' `external_ok`, not a promise.
"""

import re

from kompress.words import word_list

SHOWN_VERSION = "1"  # changes whenever any text would be shown differently
REDACTED = "REDACTED"

_BARS = "|\uff5c"  # DeepSeek's models write their tokens with the wide one
_OPENING, _CLOSING = re.compile(f"<(?=[{_BARS}])"), re.compile(f"(?<=[{_BARS}])>")
# Tokens without bars, of the families whose tokenizers we know.
_ANGLED = (
    r"s|bos|eos|pad|unk|mask|cls|sep|sys|think|human|bot|system|user|assistant|"
    r"start_of_turn|end_of_turn|start_of_image|end_of_image|image|img|audio|video|"
    r"tool_call|tool_calls|tool_response|tools|function_call|functions|"
    r"fim_prefix|fim_middle|fim_suffix|fim_pad|file_sep|filename|reponame|repo_name|"
    r"gh_stars|commit_before|commit_msg|commit_after|jupyter_start|jupyter_text|"
    r"jupyter_code|jupyter_output|empty_output|endoftext|startoftext|extra_id_\d{1,4}|"
    r"unused\d{1,4}|reserved_\d{1,4}|special_\d{1,4}|0x[0-9a-f]{2}"
)
_SQUARED = (
    r"inst|system_prompt|available_tools|tool_calls|tool_results|tool_content|args|"
    r"call_id|img|img_break|img_end|prefix|middle|suffix|think|begin_audio|audio|cls|"
    r"sep|mask|pad|unk|control_\d{1,4}|unused\d{1,4}|gmask|sop|eop"
)
_ANGLED_TOKEN = re.compile(f"<(/?(?:{_ANGLED}))>", re.IGNORECASE)
_SQUARED_TOKEN = re.compile(rf"\[(/?(?:{_SQUARED}))\]", re.IGNORECASE)
# NUL and lone surrogates cannot be sent.
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")

# Keys that say what they are.
_KEYS = re.compile(
    r"(?:A3T[A-Z0-9]|AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{16}"
    r"|gh[pousr]_\w{16,}|github_pat_\w{16,}|gl[a-z]{2,5}-[\w-]{16,}"
    r"|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|(?<=hooks\.slack\.com/)\S+"
    r"|(?<![a-zA-Z0-9])sk-[\w-]{16,}|(?<![a-zA-Z0-9])[rsp]k_(?:live|test)_\w{8,}"
    r"|whsec_\w{16,}|AIza[\w-]{30,}|ya29\.[\w-]{16,}|GOCSPX-[\w-]{16,}"
    r"|(?<![a-zA-Z0-9])hf_\w{16,}|(?<![a-zA-Z0-9])npm_\w{30,}|pypi-[\w-]{16,}"
    r"|dop_v1_\w{16,}|shp[a-z]{2}_\w{16,}|(?<![a-zA-Z0-9])SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|(?<!\w)SK[0-9a-f]{32}|(?<!\d)\d{8,10}:AA[\w-]{30,}|AGE-SECRET-KEY-1\w{16,}"
    # JSON Web Tokens: a base64 `{"`, a body, perhaps a signature.
    r"|eyJ[\w-]{8,1000}\.[\w-]{4,}(?:\.[\w-]*)?"
)
_KEY_BLOCK = re.compile(
    r"(?<=-----BEGIN )([A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)(.*?)"
    r"(?=-----END [A-Z0-9 ]*PRIVATE KEY|\Z)",
    re.DOTALL,
)
_GAP = r"[^\S\n]*"  # white space within a line
_NAMES = (
    r"(?:passw(?:or)?d|passphrase|passcode|secret)(?:[_-]\w{1,20})?|token|credentials?|"
    r"(?<=[_-])pass|(?<=db)pass|(?<![a-z])pwd(?!=[/~])|(?<=[?&])sig|"
    r"(?:api|access|secret|private|account|encryption|signing|auth|session|master)"
    r"[_-]?key(?:[_-]?id)?"
)
# A quoted value to its closing quote, otherwise the word.
_VALUE = (
    r"(?:(?P<quote>\\{0,3}[\"'`])(?P<quoted>(?:\\.|[^\\\n]){0,300}?)(?P=quote)"
    r"|(?P<bare>\S+))"
)
_NAMED = re.compile(
    rf"(?:{_NAMES})[\"'`\\\])]{{0,4}}{_GAP}"
    rf"(?::{_GAP}[a-z][\w.\[\]|]{{0,30}}{_GAP}(?==))?"  # a type: `key: str = …`
    rf"(?::=|=>|={{1,3}}|:){_GAP}{_VALUE}",
    re.IGNORECASE,
)
_FLAGGED = re.compile(
    rf"(?<!\S)--?[\w-]{{0,30}}(?:password|passwd|token|secret|api-?key)[^\S\n]+{_VALUE}",
    re.IGNORECASE,
)
_TAGGED = re.compile(
    r"<[\w:-]{0,30}(?:password|passwd|token|secret|api-?key)>(?P<bare>[^<\n]+)",
    re.IGNORECASE,
)
# A quote ends a header's value only if one began it or, as in `-H "…"`, the header;
# cookies hold quotes of their own.
_HEADER = re.compile(
    r"(?<![a-z])(?:(?:proxy-)?authorization|(?P<cookie>(?:set-)?cookie2?))"
    rf"[\"'\\]{{0,4}}{_GAP}[:=]{_GAP}"
    r"(?:(?P<quote>\\{0,3}[\"'`])(?P<quoted>(?:\\.|[^\\\n]){0,8000}?)(?P=quote)"
    r"|(?P<bare>(?(cookie)[^\n]+|[^\"'\n]+)))",
    re.IGNORECASE,
)
_BEARER = re.compile(
    r"(?<![a-z])bearer\s+(?P<bare>(?=\S*\d|\S{20})[\w.~+/=-]{8,})", re.IGNORECASE
)
# Whoever logs in by URL; the last `@` before the path ends it.
_USER_INFO = re.compile(
    r"(?<=://)(?P<bare>[^\s/]{0,500}:[^\s/]{0,500}|[^\s/?#]{1,500})(?=@)"
)
_WITH_VALUES = (_HEADER, _NAMED, _FLAGGED, _TAGGED, _BEARER, _USER_INFO)
_RUN = re.compile(r"\S+")


def show(text: str, *, external: bool) -> str:
    """Give a text as a model may see it, with exactly as many words.

    What tokenizers take for control tokens (`<|im_end|>`, `<s>`, `[INST]`) gets round
    brackets, so that a document cannot speak as the system; what cannot be sent becomes
    U+FFFD. For an endpoint outside the farm, secrets become `REDACTED`, word by word.

    Args:
        text: any string.
        external: texts leave the farm.

    Returns:
        A text of as many words, between the same white space.

    Source: ours; shapes of secrets as their issuers document them.
    """
    shown = redact(text) if external else text
    return neutralise(shown)


def show_reference(text: str, reference: str, *, external: bool) -> str:
    """Give a text's reference as a model may see it.

    A reference may keep a secret and drop the name that told it for one, so words that
    are redacted in the text are replaced here, too.

    Args:
        text: the whole text.
        reference: its shortened form; may be any string.
        external: as for `show`.

    Returns:
        A reference of as many words.
    """
    if not external:
        return neutralise(reference)
    pairs = zip(word_list(text), word_list(redact(text)), strict=True)
    hidden = {word: shown for word, shown in pairs if word != shown}
    told = _RUN.sub(lambda run: hidden.get(run[0], run[0]), reference)
    return neutralise(redact(told))


def neutralise(text: str) -> str:
    """Put round brackets where tokenizers would see a control token.

    Args:
        text: any string.

    Returns:
        A text of as many words, between the same white space.

    Source: the special tokens of published tokenizers; ours.
    """
    text = _UNSENDABLE.sub("\ufffd", text)
    if _OPENING.search(text):
        text = _RUN.sub(_blunt, text)
    return _SQUARED_TOKEN.sub(r"(\1)", _ANGLED_TOKEN.sub(r"(\1)", text))


def redact(text: str) -> str:
    """Replace what looks like a secret, word by word.

    Args:
        text: any string.

    Returns:
        A text of as many words, between the same white space.

    Source: ours; shapes of secrets as their issuers document them.
    """
    text = _KEY_BLOCK.sub(lambda block: block[1] + _cover(block[2]), text)
    text = _KEYS.sub(REDACTED, text)
    for pattern in _WITH_VALUES:
        text = pattern.sub(_cover_value, text)
    return text


def _blunt(word: re.Match[str]) -> str:
    """Blunt `<|` and `|>` where a word has both; either alone is code."""
    if _OPENING.search(word[0]) and _CLOSING.search(word[0]):
        return _CLOSING.sub(")", _OPENING.sub("(", word[0]))
    return word[0]


def _cover_value(found: re.Match[str]) -> str:
    """Cover the value of a match and leave its name."""
    groups = found.groupdict()
    name = "bare" if groups["bare"] is not None else "quoted"
    start, end = found.start(name) - found.start(), found.end(name) - found.start()
    whole = found[0]
    return whole[:start] + _cover(whole[start:end]) + whole[end:]


def _cover(secret: str) -> str:
    """Replace each run of characters; white space stays."""
    return _RUN.sub(REDACTED, secret)
