"""farm's rules for figures and codes: hex, number, unit, version and id."""

from kompress.must_keep.rule import END, NAME_END, NAME_START, START, Rule

# What may come before a figure: marks, or a key such as `job=` or `"rate":`. No `/`
# and no `.`, for then it is a path's line number.
_KEY = (
    r"^([^A-Za-z0-9./]*|([^0-9/.-][^0-9/.]*)?[^0-9/.=<>!+*~-][=:(,\[\]{}<>|\"'*])"
    r"[-+~$#@]?"
)
_FIGURE = r"([0-9]+([.,_][0-9]+)?|[.][0-9]+)"
_TAIL = r"[^A-Za-z0-9_./\u0025]*[.]?[^A-Za-z0-9_./\u0025]*"
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

HEX = [
    Rule(
        "hex",
        "0x and digits",
        rf"{START}0[xX][0-9A-Fa-f]+([uUlL]*{END}|_)",
        ("0x7fff2038", "(0xDEADBEEF)", "addr=0x10,", "0xffUL;"),
        ("0xyz", "10x7f", "x0xa"),
    ),
]
NUMBER = [
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
]
UNIT = [
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
        r"|^[(\[]?([kKMGT]i?B|[mnu]s|[kMG]?Hz|k?g|m?mol|m[gLl]|mcg|mmHg|k?Wh?|px|rpm|fps"
        r"|\u0025)(/[A-Za-z]+)?[),;:]*[.]?$",
        ("64-bit", "3-way", "KiB", "ms,", "(MB/s)", "mg."),
        ("is", "g++", "a-1-bit", "in"),
    ),
]
VERSION = [
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
]
ID = [
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
]

FIGURES: tuple[Rule, ...] = (*HEX, *NUMBER, *UNIT, *VERSION, *ID)
