"""farm's rules for names and words: signal to directive."""

from kompress.must_keep.rule import END, NAME_END, NAME_START, START, Rule

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


def _any_case(words: str) -> str:
    """Let each word of an alternation also start with a capital."""
    return "|".join(f"[{w[0].upper()}{w[0]}]{w[1:]}" for w in words.split("|"))


SIGNAL = [
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
]
CONSTANT = [
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
]
PATH = [
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
]
FLAG = [
    Rule(
        "flag",
        "one or two dashes and a name",
        r"(^|[^A-Za-z0-9_./)\]<>-])--?[A-Za-z][A-Za-z0-9_-]*($|[^A-Za-z0-9_>-])",
        ("-O2", "--verbose", "-n", "[--no-deps]", "`-Wall`", "--rate=3", "(-x,"),
        ("well-known", "->", "state-of-the-art", "--", "---"),
    ),
]
DOTTED = [
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
]
IDENTIFIER = [
    Rule(
        "identifier",
        "snake_case",
        r"[A-Za-z0-9]_+[A-Za-z0-9]|(^|[^A-Za-z0-9_])_+[A-Za-z]|[A-Za-z0-9]__",
        ("snake_case", "load_shard(n)", "__init__", "_private", "x_1"),
        ("_", "__", "____"),
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
]
FORMULA = [
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
        "a comparison or a connective on its own",
        r"^[(]?(==|!=|===|!==|<=|>=|&&|[|][|])$",
        ("==", "!=", "<=", "&&", "||"),
        ("=", "=====", "->", "|"),
    ),
]
DIRECTIVE = [
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
]

NAMES: tuple[Rule, ...] = (
    *SIGNAL,
    *CONSTANT,
    *PATH,
    *FLAG,
    *DOTTED,
    *IDENTIFIER,
    *FORMULA,
    *DIRECTIVE,
)
