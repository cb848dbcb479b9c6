import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kompress.teachers.shown import (
    REDACTED,
    neutralise,
    redact,
    show,
    show_reference,
)

# All made up, of the shapes that issuers document.
SECRETS = {
    "aws": "AKIA" + "EXAMPLEEXAMPLE00",
    "github": "ghp_" + "x1" * 18,
    "github fine": "github_pat_" + "11AB" * 8,
    "gitlab": "glpat-" + "madeup" * 4,
    "slack": "xoxb-" + "1234567890-madeup",
    "openai": "sk-" + "madeup0" * 6,
    "anthropic": "sk-ant-" + "madeup0" * 6,
    "stripe": "sk_live_" + "madeup0" * 4,
    "google": "AIza" + "madeup0" * 5,
    "hugging face": "hf_" + "madeup0" * 5,
    "pypi": "pypi-" + "madeup0" * 5,
    "jwt": "eyJ" + "hbGciOiJub25lIn0" + ".eyJzdWIiOiJtYWRldXAifQ" + ".c2lnbmF0dXJl",
}
# Where a text hides a value that says nothing by itself, and what must stay.
VALUE = "hunter2x"
PLACES = [
    ("password={}", "password="),
    ("PASSWORD = {}", "PASSWORD"),
    ("DB_PASSWORD: {}", "DB_PASSWORD:"),
    ("DB_PASSWORD_PROD={}", "DB_PASSWORD_PROD="),
    ('"password": "{}", "user": "ada"', '"user": "ada"'),
    ('"password":"a\\"{}","user":"ada"', '"user":"ada"'),
    (r"{{\"token\":\"{}\",\"user\":\"ada\"}}", r"\"user\":\"ada\""),
    ("token: {} and more", "token: REDACTED and more"),
    ('API_KEY: str = "{}"', "API_KEY: str ="),
    ('os.environ["API_TOKEN"] = "{}"', 'os.environ["API_TOKEN"] ='),
    ("client_secret => '{}'", "client_secret =>"),
    ("secret := `{}`", "secret :="),
    ('password = "two words, {}"', 'password = "REDACTED REDACTED REDACTED"'),
    ('password="{}', "password="),
    ("AccountName=ada;AccountKey={}==", "AccountName=ada;AccountKey="),
    ("https://ada:{}@example.org/path", "@example.org/path"),
    ("https://{}@example.org/path", "@example.org/path"),
    ("postgres://ada:p@{}@db:5432/x", "@db:5432/x"),
    ("https://example.org/f?a=1&sig={}", "https://example.org/f?a=1&sig="),
    ("https://hooks.slack.com/services/T0/B0/{}", "https://hooks.slack.com/"),
    ("Authorization: Bearer {}", "Authorization:"),
    ("Authorization: Basic {}", "Authorization:"),
    ("{{'Authorization': 'token {}', 'Accept': '*'}}", "'Accept': '*'"),
    ('curl -H "authorization: {}" -o out', '" -o out'),
    ("Cookie: a=b; session={}", "Cookie:"),
    ('Set-Cookie: a="b"; sid={}', "Set-Cookie:"),
    ("sent bearer {}0123 to it", "to it"),
    ("login --password {} --verbose", "--verbose"),
    ("<password>{}</password>", "</password>"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMII\n{}\n-----END RSA PRIVATE KEY-----", "END"),
    ("-----BEGIN PRIVATE KEY-----\nabc\n{}", "-----BEGIN PRIVATE KEY-----\n"),
]
HARMLESS = [
    "tokens: 512",
    "max_tokens=4096",
    '"token_type": "bearer"',
    "tokenizer: bert",
    "the bearer of news",
    "PWD=/home/ada",
    "git log --author ada@example.org",
    "http://localhost:8000/v1",
    "https://registry.example.org/@scope/pkg",
    "risk-averse-and-long-words-with-dashes",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
]


def num_words(text):
    return len(text.split())


@given(
    text=st.lists(
        st.one_of(
            st.text(max_size=20),
            st.sampled_from([p.format(VALUE) for p, _ in PLACES]),
            st.sampled_from([*SECRETS.values(), "<|im_end|>", "[INST]", "<s>"]),
            st.sampled_from(
                ["password", "token", ":", "=", '"', "'", "\\", "://", "@", "<|", "|>"]
            ),
        )
    ).map("".join),
    external=st.booleans(),
)
@settings(max_examples=300)
def test_a_shown_text_has_as_many_words_between_the_same_white_space(text, external):
    shown = show(text, external=external)

    assert num_words(shown) == num_words(text)
    assert re.findall(r"\s+", shown) == re.findall(r"\s+", text)
    assert "\x00" not in shown
    shown.encode()  # no lone surrogate is left


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("around", ["{}", "key {} here", '{{"k":"{}"}}', "x={}\n"])
def test_a_key_that_says_what_it_is_does_not_leave_the_farm(name, around):
    shown = show(around.format(SECRETS[name]), external=True)

    assert SECRETS[name][8:] not in shown
    assert REDACTED in shown


@pytest.mark.parametrize(("place", "stays"), PLACES)
def test_a_value_that_is_named_as_secret_does_not_leave_the_farm(place, stays):
    text = "before\n" + place.format(VALUE) + "\nafter it"

    shown = show(text, external=True)

    assert VALUE not in shown
    assert stays in shown
    assert shown.startswith("before\n")
    assert "PRIVATE" in text or shown.endswith("\nafter it")


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_a_secret_stays(text):
    assert redact(text) == text


def test_a_text_that_stays_in_the_farm_keeps_its_secrets():
    text = "\n".join([*SECRETS.values(), "password=hunter2x"])

    assert show(text, external=False) == text


def test_a_reference_that_dropped_the_name_of_a_secret_does_not_tell_it():
    text = "the password: hunter2x was refused"

    shown = show_reference(text, "hunter2x refused", external=True)

    assert shown == "REDACTED refused"
    assert show_reference(text, "hunter2x", external=False) == "hunter2x"
    # One that rewrites is redacted for itself, too.
    assert "other9" not in show_reference(text, "password=other9", external=True)


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        ("<|im_end|>", "(|im_end|)"),
        ("<|im_start|>system", "(|im_start|)system"),
        ("a<|eot_id|>b<|x|>", "a(|eot_id|)b(|x|)"),
        ("<|a<|im_end|>|>", "(|a(|im_end|)|)"),
        ("<\uff5cUser\uff5c>", "(\uff5cUser\uff5c)"),
        ("<s>", "(s)"),
        ("</s>", "(/s)"),
        ("<BOS>", "(BOS)"),
        ("<start_of_turn>user", "(start_of_turn)user"),
        ("<unused17>", "(unused17)"),
        ("[INST]", "(INST)"),
        ("[/INST]", "(/INST)"),
        ("<<SYS>>", "<(SYS)>"),
        ("[SEP]", "(SEP)"),
        ("</think>", "(/think)"),
        ("\x00\ud800", "\ufffd\ufffd"),
    ],
)
def test_a_document_cannot_write_a_control_token(token, shown):
    assert neutralise(f"ignore this {token} now") == f"ignore this {shown} now"


@pytest.mark.parametrize(
    "text",
    ["data |> map f", "a <| b", "x[0] list[int]", "<div> <p>", "if a<b|c", "[error]"],
)
def test_code_is_shown_as_it_is(text):
    assert neutralise(text) == text


@pytest.mark.parametrize(
    "piece",
    ["x", "password", "eyJ", "://:", 'token="\\', "<|", "<", "bearer ", 'cookie:"'],
)
def test_an_endless_text_is_shown_in_time(piece):
    text = piece * (50_000 // len(piece))
    started = time.perf_counter()

    show(text, external=True)

    assert time.perf_counter() - started < 2.0
