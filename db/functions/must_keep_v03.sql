-- The `farm` rule set inside Postgres: the must-keep words of a text.
--
-- position is the word's number in the text, from 0, as kompress.must_keep counts it.
-- Words are split at the 29 white-space characters of Python's str.split(), listed one
-- by one because Postgres' \s misses eight of them. A word is judged without terminal
-- escapes, by its first 256 characters. The patterns are those of kompress/must_keep/farm.py, one for each
-- category in its order; a test compares them. COLLATE "C" keeps letters ASCII.
-- A text over 8 MiB is an error (bounded). A pattern splits it, which heeds time limits;
-- translate() takes seconds for such a text and heeds none.
-- No per cent sign, and no colon before a letter: drivers read those as parameters.
CREATE OR REPLACE FUNCTION must_keep(text)
RETURNS TABLE (word text, category text, "position" int)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT judged.word, judged.category, judged.number
    FROM (
        SELECT
            split.word,
            split.number,
            CASE
                WHEN head ~ '(^|[^A-Za-z0-9_])0[xX][0-9A-Fa-f]+([uUlL]*($|[^A-Za-z0-9_])|_)'
                    THEN 'hex'
                WHEN head ~ '^([^A-Za-z0-9./]*|([^0-9/.-][^0-9/.]*)?[^0-9/.=<>!+*~-][=:(,\[\]{}<>|\"''*])[-+~$#@]?([0-'
                    '9]+([.,_][0-9]+)?|[.][0-9]+)([eE][-+]?[0-9]+)?[^A-Za-z0-9_./\u0025]*[.]?[^A-Za-z0-9_./'
                    '\u0025]*$|^([^A-Za-z0-9./]*|([^0-9/.-][^0-9/.]*)?[^0-9/.=<>!+*~-][=:(,\[\]{}<>|\"''*])[-+'
                    '~$#@]?[0-9]+([.][0-9]+)?([-:/,+*=x;|)(\[\]T]+[0-9]+([.][0-9]+)?)+Z?[^A-Za-z0-9_./\u0025]*'
                    '[.]?[^A-Za-z0-9_./\u0025]*$|[\u00bc-\u00be\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u09e6-'
                    '\u09ef\u0a66-\u0a6f\u0ae6-\u0aef\u0b66-\u0b6f\u0be6-\u0bef\u0c66-\u0c6f\u0ce6-\u0cef'
                    '\u0d66-\u0d6f\u0e50-\u0e59\u0ed0-\u0ed9\u0f20-\u0f29\u1040-\u1049\u17e0-\u17e9\u1810-'
                    '\u1819\u2150-\u2188\uff10-\uff19]'
                    THEN 'number'
                WHEN head ~ '(^|[^A-Za-z0-9_.:]|[^0-9A-Fa-f]:)([0-9]+([.,_][0-9]+)?|[.][0-9]+)(ns|us|ms|s|sec|secs|min'
                    '|mins|h|hr|hrs|d|w|y|[kKMGTP]i?[Bb]?|[kKMGTP]i?[Bb](it)?s?|B|bits?|bytes?|bps|[kMG]bps|Hz'
                    '|[kMGT]Hz|x|X|px|em|rem|pt|dpi|fps|rpm|rps|qps|kg|g|mg|ug|mcg|ng|L|l|dL|mL|ml|uL|mol|mmol'
                    '|mM|uM|nM|IU|mEq|m|km|cm|mm|um|nm|in|ft|V|mV|kV|A|mA|W|mW|kW|kWh|Wh|J|kJ|eV|Pa|kPa|MPa|hP'
                    'a|bar|psi|mmHg|C|F|dB|dBm|loc|LOC)(/[A-Za-z]+)?([.:]?$|[^A-Za-z0-9_.:])|(^|[^A-Za-z0-9_.]'
                    ')([0-9]+([.,_][0-9]+)?|[.][0-9]+)(\u0025|[^ -~])|(^|[^A-Za-z0-9_.-])([0-9]+([.,_][0-9]+)?'
                    '|[.][0-9]+)-[a-z]{2,}($|[^A-Za-z0-9_])|^[(\[]?([kKMGT]i?B|[mn]s|[kMG]?Hz|k?g|m?mol|m[gLl]'
                    '|mcg|mmHg|k?Wh?|px|rpm|fps|\u0025)(/[A-Za-z]+)?[),;:]*[.]?$'
                    THEN 'unit'
                WHEN head ~ '(^|[^A-Za-z0-9_.])[vV=~^]?[0-9]+[.][0-9]+[.][0-9]+([-+.]?[A-Za-z][A-Za-z0-9.+-]*|-[0-9][0'
                    '-9A-Za-z.+-]*)?([.]?$|[.]?[^A-Za-z0-9_./])|(^|[^A-Za-z0-9_./])([vV][0-9]+([.][0-9]+)*|[A-'
                    'Za-z]+/[0-9]+([.][0-9]+)+|[A-Za-z][A-Za-z0-9_]*(-|==|>=|<=|~=)[0-9]+([.][0-9]+)+)([-+]?[a'
                    '-z]+[0-9.]*)?([.]?$|[^A-Za-z0-9_./])'
                    THEN 'version'
                WHEN head ~ '(^|[^A-Za-z0-9_.])([0-9a-f]{0}([0-9][a-f]|[a-f][0-9])[0-9a-f]{5,}|[0-9a-f]{1}([0-9][a-f]|'
                    '[a-f][0-9])[0-9a-f]{4,}|[0-9a-f]{2}([0-9][a-f]|[a-f][0-9])[0-9a-f]{3,}|[0-9a-f]{3}([0-9]['
                    'a-f]|[a-f][0-9])[0-9a-f]{2,}|[0-9a-f]{4}([0-9][a-f]|[a-f][0-9])[0-9a-f]{1,}|[0-9a-f]{5,}('
                    '[0-9][a-f]|[a-f][0-9])[0-9a-f]{0,})($|[^A-Za-z0-9_])|(^|[^A-Za-z0-9_])[0-9A-Fa-f]{8}(-[0-'
                    '9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}($|[^A-Za-z0-9_])|(^|[^A-Za-z0-9_.])([0-9]{1,3}([.][0-9]{1'
                    ',3}){3}(/[0-9]+)?(:[0-9]+)?([.]?$|[^A-Za-z0-9_])|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5,}:?($|'
                    '[^A-Za-z0-9_:])|[0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){7}($|[^A-Za-z0-9_:])|[0-9A-Fa-f:]*[0-'
                    '9][0-9A-Fa-f:]*::[0-9A-Fa-f:]*($|[^A-Za-z0-9_:])|::[0-9A-Fa-f]{1,4}($|[^A-Za-z0-9_:]))|(^'
                    '|[^A-Za-z0-9_./:-]|[^0-9]:)([A-Z][A-Z0-9]*-[0-9]+(-[0-9]+)*|[A-Z]{1,5}[0-9]{3,}|U[+][0-9A'
                    '-F]{4,6})([.]?$|[^A-Za-z0-9_./-]|[.][^A-Za-z0-9_/])|[A-Za-z0-9][@][A-Za-z0-9-]+[.][A-Za-z'
                    ']|(sha1|sha256|sha512|md5)[:-][A-Za-z0-9+/]{8}'
                    THEN 'id'
                WHEN head ~ '(^|[^A-Za-z0-9_./:-]|[^0-9]:)([Ee]rror|[Ee]rrors|[Ee]rr|[Ww]arn|[Ww]arning|[Ww]arnings|[F'
                    'f]atal|[Cc]ritical|[Pp]anic|[Pp]anicked|[Ee]xception|[Ee]xceptions|[Tt]raceback|[Ff]ail|['
                    'Ff]ails|[Ff]ailed|[Ff]ailing|[Ff]ailure|[Ff]ailures|[Ff]ault|[Ff]aults|[Aa]bort|[Aa]borte'
                    'd|[Aa]borting|[Cc]rash|[Cc]rashed|[Ss]egfault|[Kk]illed|[Tt]erminated|[Tt]imeout|[Tt]imeo'
                    'uts|[Rr]efused|[Dd]enied|[Rr]ejected|[Ii]nvalid|[Ii]llegal|[Mm]issing|[Mm]ismatch|[Mm]ism'
                    'atched|[Uu]ndefined|[Uu]ndeclared|[Uu]nresolved|[Uu]nexpected|[Uu]nhandled|[Uu]ncaught|[U'
                    'u]nable|[Uu]nreachable|[Uu]navailable|[Uu]nsupported|[Uu]nknown|[Uu]nrecognized|[Cc]orrup'
                    't|[Cc]orrupted|[Oo]verflow|[Uu]nderflow|[Dd]eadlock|[Ll]eak|[Ll]eaked|[Ll]eaks|[Cc]onflic'
                    't|[Cc]onflicts|[Vv]iolation|[Vv]iolates|[Dd]eprecated|[Ss]tale|[Bb]roken|[Bb]ad|[Ii]ncomp'
                    'atible|[Vv]ulnerability|[Vv]ulnerable|[Ee]xceeded|ERROR|ERRORS|ERR|WARN|WARNING|WARNINGS|'
                    'FATAL|CRITICAL|PANIC|PANICKED|EXCEPTION|EXCEPTIONS|TRACEBACK|FAIL|FAILS|FAILED|FAILING|FA'
                    'ILURE|FAILURES|FAULT|FAULTS|ABORT|ABORTED|ABORTING|CRASH|CRASHED|SEGFAULT|KILLED|TERMINAT'
                    'ED|TIMEOUT|TIMEOUTS|REFUSED|DENIED|REJECTED|INVALID|ILLEGAL|MISSING|MISMATCH|MISMATCHED|U'
                    'NDEFINED|UNDECLARED|UNRESOLVED|UNEXPECTED|UNHANDLED|UNCAUGHT|UNABLE|UNREACHABLE|UNAVAILAB'
                    'LE|UNSUPPORTED|UNKNOWN|UNRECOGNIZED|CORRUPT|CORRUPTED|OVERFLOW|UNDERFLOW|DEADLOCK|LEAK|LE'
                    'AKED|LEAKS|CONFLICT|CONFLICTS|VIOLATION|VIOLATES|DEPRECATED|STALE|BROKEN|BAD|INCOMPATIBLE'
                    '|VULNERABILITY|VULNERABLE|EXCEEDED)([.]?$|[^A-Za-z0-9_./-]|[.][^A-Za-z0-9_/])|(^|[^A-Za-z'
                    '0-9_/-])([A-Z][A-Za-z0-9_]*|[a-z]+)?(Error|Exception|Warning|Failure|Fault|Interrupt|Pani'
                    'c|Exit)($|[^A-Za-z0-9_.]|[.]$|[.][^a-z])|(^|[^A-Za-z0-9_])(SIG[A-Z]{2,7}|EPERM|ENOENT|ESR'
                    'CH|EINTR|EIO|ENXIO|E2BIG|ENOEXEC|EBADF|ECHILD|EAGAIN|ENOMEM|EACCES|EFAULT|EBUSY|EEXIST|EX'
                    'DEV|ENODEV|ENOTDIR|EISDIR|EINVAL|ENFILE|EMFILE|ENOTTY|EFBIG|ENOSPC|ESPIPE|EROFS|EMLINK|EP'
                    'IPE|EDOM|ERANGE|EDEADLK|ENAMETOOLONG|ENOSYS|ENOTEMPTY|ELOOP|EPROTO|EOVERFLOW|ENOTSUP|EADD'
                    'RINUSE|EADDRNOTAVAIL|ENETUNREACH|ECONNABORTED|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNRE'
                    'ACH|ENOTCONN|EPROTOTYPE|ESTALE|EDQUOT|ERESOLVE|ENOTFOUND|EAI_AGAIN|OOM|OOMKilled)($|[^A-Z'
                    'a-z0-9_])'
                    THEN 'signal'
                WHEN head ~ '(^|[^A-Za-z0-9_./:-]|[^0-9]:)[_]*([A-Z]{2,}|[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|[A-Z]{4,}[0-9]+)['
                    '_]*([.]?$|[^A-Za-z0-9_./-]|[.][^A-Za-z0-9_/])|(^|[^A-Za-z0-9_])[bcdlps-]r[w-][xsS-]([r-]['
                    'w-][xsStT-]){2}'
                    THEN 'constant'
                WHEN head ~ '[A-Za-z0-9]://|(^|[^A-Za-z0-9_])[A-Za-z]:\\|(^|[^A-Za-z0-9_/<.*)])(/[A-Za-z0-9_.@][A-Za-z'
                    '0-9_.@+-]+|/[A-Za-z0-9_.@+-]+/|(~|[.][.]?)/[A-Za-z0-9_.*@-])|[A-Za-z0-9_.@-]/[A-Za-z0-9_.'
                    '@+-]+/|(^|[^A-Za-z0-9_])(src|lib|bin|tests?|docs?|origin|upstream|refs|heads|usr|etc|var|'
                    'opt|home|app|pkg|cmd|internal|packages|build|dist|target|include|scripts|examples|feature'
                    '|feat|fix|release|hotfix|node_modules|application|image|audio|video|dev|proc|sys|tmp)/[A-'
                    'Za-z0-9_.*@-]|[0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_.*]|[A-Za-z][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]'
                    '*[0-9_.-][A-Za-z0-9_-]|[A-Za-z0-9_.@-]{2}/[^A-Za-z0-9_./<>-]*$|(^|[^A-Za-z0-9_/<.*)])/[A-'
                    'Za-z]([.]?$|[^A-Za-z0-9_/>.])|(^|[^A-Za-z0-9_])[a-z0-9@][a-z0-9_-]{2,}/[bcdfghjklmnpqrstv'
                    'wxz]{2,}($|[^A-Za-z0-9_])|(^|[^A-Za-z0-9_\\])\\\\[A-Za-z0-9_.-]+\\[A-Za-z0-9_.$-]|[A-Za-z'
                    '0-9_.$-]{2,}\\[A-Za-z0-9_.$-]{2,}\\[A-Za-z0-9_.$-]{2}|(^|[^A-Za-z0-9_.\\])([.][.]?|[A-Za-'
                    'z0-9_.-]{2,})\\[A-Zac-eg-mo-qsw-z0-9_.][A-Za-z0-9_.-]|(^|[^A-Za-z0-9_.\\])([.][.]?|src|li'
                    'b|bin|tests?|docs?|origin|upstream|refs|heads|usr|etc|var|opt|home|app|pkg|cmd|internal|p'
                    'ackages|build|dist|target|include|scripts|examples|feature|feat|fix|release|hotfix|node_m'
                    'odules|application|image|audio|video|dev|proc|sys|tmp|obj|Debug|Release)\\[A-Za-z0-9_.]|('
                    '^|[^A-Za-z0-9_])(Makefile|Dockerfile|Containerfile|Jenkinsfile|Vagrantfile|Rakefile|Gemfi'
                    'le|Procfile|Brewfile|Pipfile|Podfile|Justfile|Fastfile|Earthfile|Tiltfile|BUILD[.]bazel|C'
                    'MakeLists|Caddyfile|Guardfile)($|[^A-Za-z0-9_])|(^|[^A-Za-z0-9_])(pods?|svc|services?|dep'
                    'loy|deployments?([.]apps)?|sts|statefulsets?([.]apps)?|ds|daemonsets?([.]apps)?|rs|replic'
                    'asets?([.]apps)?|jobs?([.]batch)?|cronjobs?([.]batch)?|configmaps?|cm|secrets?|nodes?|ns|'
                    'namespaces?|pvc|pv|ingress|ing|hpa|sa|serviceaccounts?|containers?|images?|volumes?|netwo'
                    'rks?)/[A-Za-z0-9]|(^|[^A-Za-z0-9_])[a-z0-9][a-z0-9._-]*/[a-z0-9._/-]+:[A-Za-z0-9_]|[.](py'
                    '|pyi|pyc|ipynb|js|mjs|cjs|ts|tsx|jsx|vue|json|jsonl|ndjson|ya?ml|toml|ini|cfg|conf|env|md'
                    '|rst|txt|log|csv|tsv|parquet|xml|html?|s?css|svg|png|jpe?g|gif|pdf|c|h|cc|cpp|cxx|hpp|rs|'
                    'go|java|class|jar|kt|scala|rb|php|pl|lua|swift|cs|sh|bash|zsh|bat|ps1|sql|db|sqlite3?|pro'
                    'to|lock|sum|mod|so|dll|dylib|exe|bin|dat|out|o|a|obj|zip|tgz|tar|gz|xz|bz2|zst|whl|deb|rp'
                    'm|service|pem|crt|key|tf|patch|diff|bak|tmp|pid|sock|git|github|gitignore|venv|ssh|bashrc'
                    '|dockerignore|onnx|pt|safetensors)($|[^A-Za-z0-9_(])'
                    THEN 'path'
                WHEN head ~ '(^|[^A-Za-z0-9_./)\]<>-])--?[A-Za-z][A-Za-z0-9_-]*($|[^A-Za-z0-9_>-])'
                    THEN 'flag'
                WHEN head ~ '(^|[^A-Za-z0-9_.])([A-Za-z_][A-Za-z0-9_]+[.][A-Za-z0-9_]|[A-Za-z_][.][A-Za-z_][A-Za-z0-9_'
                    ']+)|[A-Za-z0-9_>)\]](::|->|[?][.]|[)\]][.])[A-Za-z_~<]|^[^A-Za-z0-9_.]*[.][A-Za-z_]{2}'
                    THEN 'dotted'
                WHEN head ~ '[A-Za-z0-9]_+[A-Za-z0-9]|(^|[^A-Za-z0-9_])_+[A-Za-z]|[A-Za-z0-9]__|[A-Za-z_][A-Za-z0-9_.-'
                    ']*=[^= -,.;:!?)\]}>~]|[A-Za-z0-9_][\"'']:[^ ]|[A-Za-z0-9_][\"'']?:(true|false|null|nil|no'
                    'ne|None|True|False|yes|no|on|off)($|[^A-Za-z0-9_])|(^|[^A-Za-z0-9_])([a-z]+[A-Z]|[A-Z][a-'
                    'z]{2,}[A-Z]|[A-Z][a-z]?[A-Z]+[a-z]{2,}|[A-Z]{2,}[a-z]{2,}[A-Z])|[A-Za-z0-9_][!]?[(]($|[^s'
                    'e]|s[^)]|e[^s]|es[^)])|(^|[^A-Za-z0-9_])([a-z][A-Za-z]*-?[0-9]|[A-Z][a-z]{2,}-?[0-9]|[A-Z'
                    ']*[ADEGJLMQRTXZ][A-Z]*[0-9])|[0-9][a-z]|[a-z]{2}[0-9]|[._''/)-][0-9]|[0-9]{2}|v[0-9]|[$]['
                    '{(]?[A-Za-z_]|(^|[^A-Za-z0-9_])[@][A-Za-z_]|`[A-Za-z_][^`]*`|(^|[^A-Za-z0-9_])''[A-Za-z_]'
                    '[A-Za-z0-9_-]*''|[A-Z]{2}([./:-]|[a-z]{2}|s$|s[^A-Za-z0-9])|[./:-][A-Z]{2}|[A-Z]{3}'
                    THEN 'identifier'
                WHEN head ~ '(^|[^A-Za-z0-9_])[0-9]*((A[cglmrstu]|B[aehikr]?|C[adeflmnorsu]?|D[bsy]|E[rsu]|F[elmr]?|G['
                    'ade]|H[efgos]?|I[nr]?|Kr?|L[airuv]|M[cdgnot]|N[abdehiop]?|O[gs]?|P[abdmortu]?|R[abefghnu]'
                    '|S[bcegimnr]?|T[abcehilms]|U|V|W|Xe|Yb?|Z[nr]|[()])[0-9]*)*(A[cglmrstu]|B[aehikr]?|C[adef'
                    'lmnorsu]?|D[bsy]|E[rsu]|F[elmr]?|G[ade]|H[efgos]?|I[nr]?|Kr?|L[airuv]|M[cdgnot]|N[abdehio'
                    'p]?|O[gs]?|P[abdmortu]?|R[abefghnu]|S[bcegimnr]?|T[abcehilms]|U|V|W|Xe|Yb?|Z[nr]|[)])[0-9'
                    ']+((A[cglmrstu]|B[aehikr]?|C[adeflmnorsu]?|D[bsy]|E[rsu]|F[elmr]?|G[ade]|H[efgos]?|I[nr]?'
                    '|Kr?|L[airuv]|M[cdgnot]|N[abdehiop]?|O[gs]?|P[abdmortu]?|R[abefghnu]|S[bcegimnr]?|T[abceh'
                    'ilms]|U|V|W|Xe|Yb?|Z[nr]|[()])[0-9]*)*($|[^A-Za-z0-9_])|(^|[^A-Za-z0-9_])(Na|K|H|Ag|Li|Ca'
                    '|Cu|Hg)(Cl|Br|F|I)($|[^A-Za-z0-9_])|[A-Za-z0-9_)\]]([*+^&|]|[*][*]|==|!=|<=|>=|<<|>>|[+*/'
                    '-]=|:=|&&|[|][|])[A-Za-z0-9_(\[-]|^[(\[]*[A-Za-z0-9_.]+[<>][A-Za-z0-9_.(-]+[)\],;:.]*$|(^'
                    '|[(\[&|])![A-Za-z_]|^[(]?(==|!=|===|!==|<=|>=|&&|[|][|]|<|>|<<|>>|:=|=~|!~|[\u2208-\u220b'
                    '\u2248\u2260-\u2267\u2282-\u2287])$'
                    THEN 'formula'
                WHEN head ~ '(^|[^A-Za-z0-9_-])([Nn]ot|[Nn]ever|[Nn]one|[Nn]othing|[Nn]either|[Nn]or|[Cc]annot|[Nn]o|['
                    'Aa]nd|[Oo]r|[Xx]or|[Uu]nless|[Ee]xcept|[Ww]ithout|[Mm]ust|[Ss]hould|[Ss]hall|[Rr]equired|'
                    '[Rr]equires|[Aa]lways|[Oo]nly|[Mm]andatory|[Aa]void|[Rr]efuse|[Pp]rohibited|[Ff]orbidden|'
                    '[Dd]isallow|[Dd]isallowed|[Ee]nsure|[Ii]nstead)($|[^A-Za-z0-9_-])|(^|[^A-Za-z0-9_])[A-Za-'
                    'z]+n[^ -&(-~]t($|[^A-Za-z0-9_])'
                    THEN 'directive'
            END AS category
        FROM (
            SELECT
                piece.word,
                left(
                    regexp_replace(
                        piece.word COLLATE "C",
                        '\u001b(\[[0-9:;<=>?]*[ -/]*[@-~]|\][^\u0007\u001b]*(\u0007|\u001b\\)?|[@-Z\\^_])',
                        '',
                        'g'
                    ),
                    256
                ) AS head,
                (row_number() OVER (ORDER BY piece.place) - 1)::int AS number
            FROM string_to_table(
                regexp_replace(
                    bounded($1),
                    E'[\u0009\u000a\u000b\u000c\u000d\u001c\u001d\u001e\u001f\u0020\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000]+',
                    ' ',
                    'g'
                ),
                ' '
            ) WITH ORDINALITY AS piece (word, place)
            WHERE piece.word <> ''
        ) AS split
    ) AS judged
    WHERE judged.category IS NOT NULL
    ORDER BY judged.number;
END
