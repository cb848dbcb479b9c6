"""The farm's own must-keep rules, in the order of their categories.

A word falls into the first category, in the order of `kompress.types.CATEGORIES`, of
which one rule is found in it. `db/functions/must_keep_v03.sql` holds the same patterns;
a test compares them.
"""

from dataclasses import dataclass

# Changes whenever any word would be classified differently.
FARM_VERSION = "2"

# `farm` judges a word by its first characters: a minified file or an encoded image is
# one word of megabytes, on which searching costs the square of its length.
MAX_CHARS = 256

# Terminal escapes say how a word looks and nothing of what it says: `farm` judges it
# without them. CSI, OSC up to its end or the word's, and those of two characters, as
# ECMA-48 has them.
ESCAPES = (
    r"\u001b(\[[0-9:;<=>?]*[ -/]*[@-~]|\][^\u0007\u001b]*(\u0007|\u001b\\)?"
    r"|[@-Z\\^_])"
)

# Where a word or a part of it begins and ends …
START = r"(^|[^A-Za-z0-9_])"
END = r"($|[^A-Za-z0-9_])"
# … and a name that is not in the middle of a path, a flag or a longer name.
NAME_START = r"(^|[^A-Za-z0-9_./:-]|[^0-9]:)"
NAME_END = r"([.]?$|[^A-Za-z0-9_./-]|[.][^A-Za-z0-9_/])"

# What may come before a figure: marks, or a key such as `job=` or `"rate":`. No `/`
# and no `.`, for then it is a path's line number.
_KEY = (
    r"^([^A-Za-z0-9./]*|([^0-9/.-][^0-9/.]*)?[^0-9/.=<>!+*~-][=:(,\[\]{}<>|\"'*])"
    r"[-+~$#@]?"
)
_FIGURE = r"([0-9]+([.,_][0-9]+)?|[.][0-9]+)"
_TAIL = r"[^A-Za-z0-9_./\u0025]*[.]?[^A-Za-z0-9_./\u0025]*"
# Digits that are not ASCII's: fractions, Arabic, Indic, Thai, Lao, Tibetan, Burmese,
# Khmer, Mongolian, full-width, Roman and vulgar fractions of Unicode's number forms.
_OTHER_DIGITS = (
    r"\u00bc-\u00be\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u09e6-\u09ef"
    r"\u0a66-\u0a6f\u0ae6-\u0aef\u0b66-\u0b6f\u0be6-\u0bef\u0c66-\u0c6f"
    r"\u0ce6-\u0cef\u0d66-\u0d6f\u0e50-\u0e59\u0ed0-\u0ed9\u0f20-\u0f29"
    r"\u1040-\u1049\u17e0-\u17e9\u1810-\u1819\u2150-\u2188\uff10-\uff19"
)
_HEX_MIX = "|".join(
    f"[0-9a-f]{{{i}{',' if i == 5 else ''}}}([0-9][a-f]|[a-f][0-9])[0-9a-f]{{{5 - i},}}"
    for i in range(6)
)
_UNITS = (
    "ns|us|ms|s|sec|secs|min|mins|h|hr|hrs|d|w|y|"
    "[kKMGTP]i?[Bb]?|[kKMGTP]i?[Bb](it)?s?|B|bits?|bytes?|bps|[kMG]bps|"
    "Hz|[kMGT]Hz|x|X|px|em|rem|pt|dpi|fps|rpm|rps|qps|"
    "kg|g|mg|ug|mcg|ng|L|l|dL|mL|ml|uL|mol|mmol|mM|uM|nM|IU|mEq|"
    "m|km|cm|mm|um|nm|in|ft|V|mV|kV|A|mA|W|mW|kW|kWh|Wh|J|kJ|eV|"
    "Pa|kPa|MPa|hPa|bar|psi|mmHg|C|F|dB|dBm|loc|LOC"
)
_ELEMENTS = (
    "A[cglmrstu]|B[aehikr]?|C[adeflmnorsu]?|D[bsy]|E[rsu]|F[elmr]?|G[ade]|H[efgos]?|"
    "I[nr]?|Kr?|L[airuv]|M[cdgnot]|N[abdehiop]?|O[gs]?|P[abdmortu]?|R[abefghnu]|"
    "S[bcegimnr]?|T[abcehilms]|U|V|W|Xe|Yb?|Z[nr]"
)
_EXTENSIONS = (
    "py|pyi|pyc|ipynb|js|mjs|cjs|ts|tsx|jsx|vue|json|jsonl|ndjson|ya?ml|toml|ini|cfg|"
    "conf|env|md|rst|txt|log|csv|tsv|parquet|xml|html?|s?css|svg|png|jpe?g|gif|pdf|c|"
    "h|cc|cpp|cxx|hpp|rs|go|java|class|jar|kt|scala|rb|php|pl|lua|swift|cs|sh|bash|"
    "zsh|bat|ps1|sql|db|sqlite3?|proto|lock|sum|mod|so|dll|dylib|exe|bin|dat|out|o|a|"
    "obj|zip|tgz|tar|gz|xz|bz2|zst|whl|deb|rpm|service|pem|crt|key|tf|patch|diff|bak|"
    "tmp|pid|sock|git|github|gitignore|venv|ssh|bashrc|dockerignore|onnx|pt|safetensors"
)
_ROOTS = (
    "src|lib|bin|tests?|docs?|origin|upstream|refs|heads|usr|etc|var|opt|home|app|pkg|"
    "cmd|internal|packages|build|dist|target|include|scripts|examples|feature|feat|fix|"
    "release|hotfix|node_modules|application|image|audio|video|dev|proc|sys|tmp"
)
# Kinds of what a cluster manages, as its tools write them before a name.
_RESOURCES = (
    "pods?|svc|services?|deploy|deployments?([.]apps)?|sts|statefulsets?([.]apps)?|ds|"
    "daemonsets?([.]apps)?|rs|replicasets?([.]apps)?|jobs?([.]batch)?|cronjobs?([.]batch)?|configmaps?|cm|"
    "secrets?|nodes?|ns|namespaces?|pvc|pv|ingress|ing|hpa|sa|serviceaccounts?|"
    "containers?|images?|volumes?|networks?"
)
_BUILD_FILES = (
    "Makefile|Dockerfile|Containerfile|Jenkinsfile|Vagrantfile|Rakefile|Gemfile|"
    "Procfile|Brewfile|Pipfile|Podfile|Justfile|Fastfile|Earthfile|Tiltfile|BUILD[.]bazel|"
    "CMakeLists|Caddyfile|Guardfile"
)
_LITERALS = "true|false|null|nil|none|None|True|False|yes|no|on|off"
_SIGNALS = (
    "error|errors|err|warn|warning|warnings|fatal|critical|panic|panicked|exception|"
    "exceptions|traceback|fail|fails|failed|failing|failure|failures|fault|faults|"
    "abort|aborted|aborting|crash|crashed|segfault|killed|terminated|timeout|"
    "timeouts|refused|denied|rejected|invalid|illegal|missing|mismatch|mismatched|"
    "undefined|undeclared|unresolved|unexpected|unhandled|uncaught|unable|unreachable|"
    "unavailable|unsupported|unknown|unrecognized|corrupt|corrupted|overflow|"
    "underflow|deadlock|leak|leaked|leaks|conflict|conflicts|violation|violates|"
    "deprecated|stale|broken|bad|incompatible|vulnerability|vulnerable|exceeded"
)
_ERRNO = (
    "EPERM|ENOENT|ESRCH|EINTR|EIO|ENXIO|E2BIG|ENOEXEC|EBADF|ECHILD|EAGAIN|ENOMEM|"
    "EACCES|EFAULT|EBUSY|EEXIST|EXDEV|ENODEV|ENOTDIR|EISDIR|EINVAL|ENFILE|EMFILE|"
    "ENOTTY|EFBIG|ENOSPC|ESPIPE|EROFS|EMLINK|EPIPE|EDOM|ERANGE|EDEADLK|ENAMETOOLONG|"
    "ENOSYS|ENOTEMPTY|ELOOP|EPROTO|EOVERFLOW|ENOTSUP|EADDRINUSE|EADDRNOTAVAIL|"
    "ENETUNREACH|ECONNABORTED|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|"
    "ENOTCONN|EPROTOTYPE|ESTALE|EDQUOT|ERESOLVE|ENOTFOUND|EAI_AGAIN"
)


@dataclass(frozen=True, slots=True)
class Rule:
    r"""One pattern of one category, searched in a single word.

    Patterns stay in the common subset of Python's `re`, Rust's `regex` and Postgres'
    regular expressions: ASCII, no look-around, no `\b \d \w \s`, no back-reference,
    boolean (so first-match against longest-match cannot matter). Groups are plain
    `(…)`, for `(?:` reads as a bound parameter in SQL tools; so does a literal per
    cent sign, which is written `\u0025`.

    Attributes:
        category: a name of `kompress.types.CATEGORIES`.
        name: what the pattern looks for.
        pattern: the regular expression.
        catches: words that must fall into this category.
        spares: words that this category must not take.
    """

    category: str
    name: str
    pattern: str
    catches: tuple[str, ...]
    spares: tuple[str, ...] = ()


def _any_case(words: str) -> str:
    """Let each word of an alternation also start with a capital."""
    return "|".join(f"[{w[0].upper()}{w[0]}]{w[1:]}" for w in words.split("|"))


FARM: tuple[Rule, ...] = (
    Rule(
        "hex",
        "0x and digits",
        rf"{START}0[xX][0-9A-Fa-f]+([uUlL]*{END}|_)",
        ("0x7fff2038", "(0xDEADBEEF)", "addr=0x10,", "0xffUL;"),
        ("0xyz", "10x7f", "x0xa"),
    ),
    Rule(
        "number",
        "a figure",
        rf"{_KEY}{_FIGURE}([eE][-+]?[0-9]+)?{_TAIL}$",
        ("42.", "42", "3.14", "-5", "(404)", "1,234", "job=39382", "1e-5", "#17"),
        ("3.28.33", "12ms", "utf8", "a.py:10"),
    ),
    Rule(
        "number",
        "a date, a time, a range, several figures",
        rf"{_KEY}[0-9]+([.][0-9]+)?([-:/,+*=x;|)(\[\]T]+[0-9]+([.][0-9]+)?)+Z?{_TAIL}$",
        ("2026-11-20", "18:45:07,586", "10-20", "3/4", "2026-11-20T18:45:07Z", "1,7"),
        ("1.2.3", "10.0.0.1"),
    ),
    Rule(
        "number",
        "a figure of another script",
        rf"[{_OTHER_DIGITS}]",
        ("٣٤٥", "１２３", "５％", "१२", "½", "３月"),
        ("abc", "不要"),
    ),
    Rule(
        "unit",
        "a figure with its unit",
        rf"(^|[^A-Za-z0-9_.:]|[^0-9A-Fa-f]:){_FIGURE}({_UNITS})(/[A-Za-z]+)?"
        r"([.:]?$|[^A-Za-z0-9_.:])",
        ("12ms", "lease=23.1s", "(4GiB)", "16x", "500mg,", "100KB/s", "5s."),
        ("1st", "4th", "case_18s"),
    ),
    Rule(
        "unit",
        "a share or a figure with a sign beyond ASCII",
        rf"(^|[^A-Za-z0-9_.]){_FIGURE}(\u0025|[^ -~])",
        ("99.6%", "(50%)", "37°C", "3µs"),
        ("v1%",),
    ),
    Rule(
        "unit",
        "a figure and a name, or a unit after its figure",
        rf"(^|[^A-Za-z0-9_.-]){_FIGURE}-[a-z]{{2,}}{END}"
        r"|^[(\[]?([kKMGT]i?B|[mn]s|[kMG]?Hz|k?g|m?mol|m[gLl]|mcg|mmHg|k?Wh?|px|rpm|fps"
        r"|\u0025)(/[A-Za-z]+)?[),;:]*[.]?$",
        ("64-bit", "3-way", "KiB", "ms,", "(MB/s)", "mg."),
        ("is", "us", "g++", "a-1-bit", "in"),
    ),
    Rule(
        "version",
        "three figures, or more with a suffix",
        r"(^|[^A-Za-z0-9_.])[vV=~^]?[0-9]+[.][0-9]+[.][0-9]+"
        r"([-+.]?[A-Za-z][A-Za-z0-9.+-]*|-[0-9][0-9A-Za-z.+-]*)?([.]?$|[.]?[^A-Za-z0-9_./])",
        ("3.28.33", "v1.2.3", "(0.42.0)", "1.0.0-rc.1", "==2.13.0", "1.2.3."),
        ("10.0.0.1", "3.14"),
    ),
    Rule(
        "version",
        "v and figures, or a name and figures",
        r"(^|[^A-Za-z0-9_./])([vV][0-9]+([.][0-9]+)*|[A-Za-z]+/[0-9]+([.][0-9]+)+"
        r"|[A-Za-z][A-Za-z0-9_]*(-|==|>=|<=|~=)[0-9]+([.][0-9]+)+)"
        r"([-+]?[a-z]+[0-9.]*)?([.]?$|[^A-Za-z0-9_./])",
        ("v2", "v1.4", "HTTP/1.1", "torch>=2.9", "numpy==2.4.1", "openssl-3.0.2"),
        ("vs", "v", "a/2"),
    ),
    Rule(
        "id",
        "a hash",
        rf"(^|[^A-Za-z0-9_.])({_HEX_MIX}){END}",
        (
            "a6698d935fde",
            "(3f2a9c1)",
            "commit:9fceb02d0ae598e95dc970b74767f19372d61af8",
        ),
        ("defaced", "a1b2", "deadbeef"),
    ),
    Rule(
        "id",
        "a UUID",
        rf"{START}[0-9A-Fa-f]{{8}}(-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}{END}",
        ("550e8400-e29b-41d4-a716-446655440000",),
    ),
    Rule(
        "id",
        "a network address",
        r"(^|[^A-Za-z0-9_.])([0-9]{1,3}([.][0-9]{1,3}){3}(/[0-9]+)?(:[0-9]+)?([.]?$|[^A-Za-z0-9_])"
        r"|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5,}:?($|[^A-Za-z0-9_:])"
        r"|[0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){7}($|[^A-Za-z0-9_:])"
        r"|[0-9A-Fa-f:]*[0-9][0-9A-Fa-f:]*::[0-9A-Fa-f:]*($|[^A-Za-z0-9_:])"
        r"|::[0-9A-Fa-f]{1,4}($|[^A-Za-z0-9_:]))",
        ("10.0.0.1", "127.0.0.1:5432", "00:1a:2b:3c:4d:5e", "fe80::1", "10.0.0.0/8,"),
        ("std::vec", "a::b_c", "x.h:98:22:", "fade::add"),
    ),
    Rule(
        "id",
        "a code of capitals and figures",
        rf"{NAME_START}([A-Z][A-Z0-9]*-[0-9]+(-[0-9]+)*|[A-Z]{{1,5}}[0-9]{{3,}}|U[+][0-9A-F]{{4,6}}){NAME_END}",
        ("CVE-2024-3094", "JIRA-123", "error[E0308]:", "TS2304:", "U+00E9", "[C0114]"),
        ("C9H8O4", "H2O", "CO2"),
    ),
    Rule(
        "id",
        "a mail address or a digest",
        r"[A-Za-z0-9][@][A-Za-z0-9-]+[.][A-Za-z]|(sha1|sha256|sha512|md5)[:-][A-Za-z0-9+/]{8}",
        ("<dev@example.org>", "sha256:abcdefgh", "sha512-Zm9vYmFyYmF6"),
        ("@app.task",),
    ),
    Rule(
        "signal",
        "a word of trouble",
        rf"{NAME_START}({_any_case(_SIGNALS)}|{_SIGNALS.upper()}){NAME_END}",
        (
            "error[unused]:",
            "ERROR",
            "FATAL:",
            "Traceback",
            "panicked",
            "failed.",
            "warning:",
        ),
        (
            "error-prone",
            "/var/log/error.log",
            "on_error",
            "--error",
            "terror",
            "errorless",
        ),
    ),
    Rule(
        "signal",
        "an exception's class",
        r"(^|[^A-Za-z0-9_/-])([A-Z][A-Za-z0-9_]*|[a-z]+)?"
        r"(Error|Exception|Warning|Failure|Fault|Interrupt|Panic|Exit)"
        r"($|[^A-Za-z0-9_.]|[.]$|[.][^a-z])",
        (
            "ValueError",
            "binascii.Error:",
            "java.lang.NullPointerException",
            "RuntimeError(",
        ),
        ("ErrorBoundary", "/src/ValueError.java"),
    ),
    Rule(
        "signal",
        "a signal or an errno",
        rf"{START}(SIG[A-Z]{{2,7}}|{_ERRNO}|OOM|OOMKilled){END}",
        ("SIGSEGV", "ENOENT:", "(ECONNREFUSED)", "SIGKILL,", "OOMKilled"),
        ("SIGNATURE_SIZE", "SIGNIFICANTLY"),
    ),
    Rule(
        "constant",
        "capitals",
        rf"{NAME_START}[_]*([A-Z]{{2,}}|[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|[A-Z]{{4,}}[0-9]+)[_]*{NAME_END}",
        ("HTTP", "MAX_RETRIES", "(EOF)", "EXC_BAD_ACCESS", '"GET', "__FILE__", "NULL;"),
        ("README.md", "A", "CO2", "/ETC"),
    ),
    Rule(
        "constant",
        "a file's mode",
        r"(^|[^A-Za-z0-9_])[bcdlps-]r[w-][xsS-]([r-][w-][xsStT-]){2}",
        ("drwxr-xr-x", "-rw-r--r--", "(-rwxr-xr-x)"),
        ("----------", "dr-who"),
    ),
    Rule(
        "path",
        "a URL or a drive",
        r"[A-Za-z0-9]://|(^|[^A-Za-z0-9_])[A-Za-z]:\\",
        (
            "https://pypi.org/simple",
            "(redis://localhost)",
            r"C:\Users\dev",
            "file:///tmp",
        ),
        ("://",),
    ),
    Rule(
        "path",
        "rooted, or below here or home",
        r"(^|[^A-Za-z0-9_/<.*)])(/[A-Za-z0-9_.@][A-Za-z0-9_.@+-]+|/[A-Za-z0-9_.@+-]+/"
        r"|(~|[.][.]?)/[A-Za-z0-9_.*@-])",
        ("/usr/lib/x", "/etc", "~/.ssh", "./run", "../a", '"/home/dev"', "p=/tmp"),
        ("and/or", "</div>", "//", "n/a", "/*"),
    ),
    Rule(
        "path",
        "relative",
        rf"[A-Za-z0-9_.@-]/[A-Za-z0-9_.@+-]+/|{START}({_ROOTS})/[A-Za-z0-9_.*@-]"
        r"|[0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_.*]"
        r"|[A-Za-z][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]*[0-9_.-][A-Za-z0-9_-]"
        r"|[A-Za-z0-9_.@-]{2}/[^A-Za-z0-9_./<>-]*$",
        (
            "src/main",
            "a/b/c.py",
            "worker/stages/",
            "origin/main",
            "my_app/views",
            "b/x.py",
        ),
        ("and/or", "true/false", "I/O", "either/or.", "<br/>"),
    ),
    Rule(
        "path",
        "rooted, of one letter, or a short name without a vowel",
        r"(^|[^A-Za-z0-9_/<.*)])/[A-Za-z]([.]?$|[^A-Za-z0-9_/>.])"
        rf"|{START}[a-z0-9@][a-z0-9_-]{{2,}}/[bcdfghjklmnpqrstvwxz]{{2,}}{END}",
        ("/x", "(/q)", "lodash/fp", "core/fs"),
        ("n/a", "</p>", "w/o", "km/h"),
    ),
    Rule(
        "path",
        "with backslashes",
        r"(^|[^A-Za-z0-9_\\])\\\\[A-Za-z0-9_.-]+\\[A-Za-z0-9_.$-]"
        r"|[A-Za-z0-9_.$-]{2,}\\[A-Za-z0-9_.$-]{2,}\\[A-Za-z0-9_.$-]{2}"
        r"|(^|[^A-Za-z0-9_.\\])([.][.]?|[A-Za-z0-9_.-]{2,})\\[A-Zac-eg-mo-qsw-z0-9_.][A-Za-z0-9_.-]"
        rf"|(^|[^A-Za-z0-9_.\\])([.][.]?|{_ROOTS}|obj|Debug|Release)\\[A-Za-z0-9_.]",
        (
            r"\\server\share",
            r"src\main\java",
            r"build\out",
            r"..\lib",
            r"bin\Debug",
            r"src\new",
        ),
        (r"\d+", r"one\nTwo", r"\n", r"a\b", r"\bfoo\b"),
    ),
    Rule(
        "path",
        "a build file, a resource of a cluster, an image and its tag",
        rf"{START}({_BUILD_FILES}){END}|{START}({_RESOURCES})/[A-Za-z0-9]"
        rf"|{START}[a-z0-9][a-z0-9._-]*/[a-z0-9._/-]+:[A-Za-z0-9_]",
        (
            "Makefile",
            "(Dockerfile)",
            "pod/nginx",
            "job.batch/a",
            "foo/bar:latest",
        ),
        ("and/or", "and/or:", "makefile", "podium"),
    ),
    Rule(
        "path",
        "a file by its extension",
        rf"[.]({_EXTENSIONS})($|[^A-Za-z0-9_(])",
        (
            "README.md",
            "case_18_1.py:10:",
            "*.json",
            "libc.so.6",
            ".gitignore",
            "(setup.cfg)",
        ),
        ("e.g.", "json.loads(", "no.", "obj.key("),
    ),
    Rule(
        "flag",
        "one or two dashes and a name",
        r"(^|[^A-Za-z0-9_./)\]<>-])--?[A-Za-z][A-Za-z0-9_-]*($|[^A-Za-z0-9_>-])",
        ("-O2", "--verbose", "-n", "[--no-deps]", "`-Wall`", "--rate=3", "(-x,"),
        ("well-known", "->", "state-of-the-art", "--", "---"),
    ),
    Rule(
        "dotted",
        "names joined by a dot",
        r"(^|[^A-Za-z0-9_.])([A-Za-z_][A-Za-z0-9_]+[.][A-Za-z0-9_]"
        r"|[A-Za-z_][.][A-Za-z_][A-Za-z0-9_]+)",
        (
            "os.path",
            "np.array(",
            "self.x",
            "worker.gpu1[1510]",
            "(db.engine)",
            "x.shape",
        ),
        ("e.g.", "i.e.", "end.", "etc.)", "wait...what"),
    ),
    Rule(
        "dotted",
        "a member or a scope",
        r"[A-Za-z0-9_>)\]](::|->|[?][.]|[)\]][.])[A-Za-z_~<]|^[^A-Za-z0-9_.]*[.][A-Za-z_]{2}",
        ("std::vector<int>", "node->next", "user?.name", ".collect();", "f(x).y"),
        ("a:b", "...and", "->"),
    ),
    Rule(
        "identifier",
        "snake_case",
        r"[A-Za-z0-9]_+[A-Za-z0-9]|(^|[^A-Za-z0-9_])_+[A-Za-z]|[A-Za-z0-9]__",
        ("snake_case", "load_shard(n)", "__init__", "_private", "x_1"),
        ("_", "__", "____"),
    ),
    Rule(
        "identifier",
        "a key and its value",
        r"[A-Za-z_][A-Za-z0-9_.-]*=[^= -,.;:!?)\]}>~]"
        r"|[A-Za-z0-9_][\"']:[^ ]"
        rf"|[A-Za-z0-9_][\"']?:({_LITERALS})($|[^A-Za-z0-9_])",
        (
            "user=root",
            "tty=ssh",
            "status=M",
            "stat=Deferred:",
            "overlap:false",
            '{"ok":false}',
            '"enabled":false',
            "debug=false",
            '{"name":"x"}',
        ),
        ("a==b", "=", "x=", "note:this", "false", "::on"),
    ),
    Rule(
        "identifier",
        "camelCase",
        rf"{START}([a-z]+[A-Z]|[A-Z][a-z]{{2,}}[A-Z]|[A-Z][a-z]?[A-Z]+[a-z]{{2,}}|[A-Z]{{2,}}[a-z]{{2,}}[A-Z])",
        ("lowerCamel", "CamelCase", "(MyClass)", "HTTPServer", "iPhone", "useState,"),
        ("NaCl", "Word", "PhD", "IDs"),
    ),
    Rule(
        "identifier",
        "a call",
        r"[A-Za-z0-9_][!]?[(]($|[^se]|s[^)]|e[^s]|es[^)])",
        ("foo()", "print(x)", "len(", "main(argc,", 'println!("a'),
        ("file(s)", "class(es)", "(aside)", "match(es):"),
    ),
    Rule(
        "identifier",
        "letters with figures",
        rf"{START}([a-z][A-Za-z]*-?[0-9]|[A-Z][a-z]{{2,}}-?[0-9]"
        rf"|[A-Z]*[ADEGJLMQRTXZ][A-Z]*[0-9])|[0-9][a-z]|[a-z]{{2}}[0-9]|[._'/)-][0-9]"
        r"|[0-9]{2}|v[0-9]",
        (
            "python3",
            "gpu1",
            "utf-8",
            "Cuda12",
            "EC2",
            "x86",
            "3rd",
            "10baseT",
            "IPv6",
            "22,...57}",
        ),
        ("CO2", "C9H8O4", "H2O"),
    ),
    Rule(
        "identifier",
        "a variable, a decorator, a quoted name",
        r"[$][{(]?[A-Za-z_]|(^|[^A-Za-z0-9_])[@][A-Za-z_]"
        r"|`[A-Za-z_][^`]*`|(^|[^A-Za-z0-9_])'[A-Za-z_][A-Za-z0-9_-]*'",
        ("$home", "${name}", "@dataclass", "`foo`", "'requests'", "$(pwd)"),
        ("don't", "'tis", "$", "@"),
    ),
    Rule(
        "identifier",
        "capitals inside another word",
        r"[A-Z]{2}([./:-]|[a-z]{2}|s$|s[^A-Za-z0-9])|[./:-][A-Z]{2}|[A-Z]{3}",
        ("TCP/IP", "OAuth", "URLs", "(XMLs)"),
        ("I/O", "Word", "CO2", "CaCO3"),
    ),
    Rule(
        "formula",
        "a chemical formula",
        rf"{START}[0-9]*(({_ELEMENTS}|[()])[0-9]*)*({_ELEMENTS}|[)])[0-9]+"
        rf"(({_ELEMENTS}|[()])[0-9]*)*{END}|{START}(Na|K|H|Ag|Li|Ca|Cu|Hg)(Cl|Br|F|I){END}",
        ("C9H8O4", "H2O", "CO2", "(NaCl)", "CaCO3", "Fe2O3,", "2H2O"),
        ("Cat", "no", "Word"),
    ),
    Rule(
        "formula",
        "operands joined by an operator",
        r"[A-Za-z0-9_)\]]([*+^&|]|[*][*]|==|!=|<=|>=|<<|>>|[+*/-]=|:=|&&|[|][|])[A-Za-z0-9_(\[-]",
        ("n+1", "a*b", "x^2", "a==b", "i+=1", "x:=y"),
        ("C++", "a-b", "a/b"),
    ),
    Rule(
        "formula",
        "a comparison of two operands, a negated name",
        r"^[(\[]*[A-Za-z0-9_.]+[<>][A-Za-z0-9_.(-]+[)\],;:.]*$|(^|[(\[&|])![A-Za-z_]",
        ("1>2", "a<b", "i<n", "(x>y)", "!done", "(!ok"),
        ("<b>text</b>", "vector<int>", "a->b", "x=>y", "wow!", "!="),
    ),
    Rule(
        "formula",
        "a comparison or a connective on its own",
        r"^[(]?(==|!=|===|!==|<=|>=|&&|[|][|]|<|>|<<|>>|:=|=~|!~"
        r"|[\u2208-\u220b\u2248\u2260-\u2267\u2282-\u2287])$",
        ("==", "!=", "<=", "&&", "||", ">", "<", ">>", ":=", "=~", "≤", "≠"),
        ("=", "=====", "->", "|"),
    ),
    Rule(
        "directive",
        "a word that turns or binds the sentence",
        rf"(^|[^A-Za-z0-9_-])({_any_case('not|never|none|nothing|neither|nor|cannot|no|and|or|xor|unless|except|without|must|should|shall|required|requires|always|only|mandatory|avoid|refuse|prohibited|forbidden|disallow|disallowed|ensure|instead')})($|[^A-Za-z0-9_-])",
        (
            "not",
            "Never",
            "must",
            "unless",
            "except",
            "only",
            "and/or",
            "(or",
            "without,",
        ),
        ("nothingness", "read-only", "knot", "order", "android"),
    ),
    Rule(
        "directive",
        "a contracted not",
        rf"{START}[A-Za-z]+n[^ -&(-~]t{END}",
        ("don't", "can't", "Isn't", "won’t"),
        ("ain-t", "it's", "pint"),
    ),
)
