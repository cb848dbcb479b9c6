import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from tokenizers import (
    AddedToken,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.models.modernbert import (
    ModernBertConfig,
    ModernBertForMaskedLM,
    ModernBertModel,
)

from kompress.errors import InvalidCheckpoint
from kompress.export.headroom import merge_weights
from kompress.students.hub import MODERNBERT_REVISION
from kompress.students.pretrained import load_pretrained

TEXT = (
    "error[E0308]: don't it's naïve cafe\u0301 日本語 \U0001f600 a_b\u00a0c [SEP] "
    "|||IP_ADDRESS||| x" + "-" * 40 + " return\t\tself.value;\n    if (x != 0x1F) {\n"
) * 3


def make_tokenizer(num_added=3):
    """Build a tokenizer.json like ModernBERT's: special tokens last, NFC, no prefix."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    plain = ["|||IP_ADDRESS|||", "  ", "    "][:num_added]
    tokenizer.add_tokens([AddedToken(token, normalized=True) for token in plain])
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    tokenizer.add_special_tokens(
        [*special, AddedToken("[MASK]", lstrip=True, special=True)]
    )
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ids
    )
    return tokenizer


TOKENIZER = make_tokenizer()


def make_config(**changes):
    sizes = {
        "vocab_size": 320,
        "hidden_size": 64,
        "intermediate_size": 80,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "local_attention": 16,
        "cls_token_id": TOKENIZER.token_to_id("[CLS]"),
        "bos_token_id": TOKENIZER.token_to_id("[CLS]"),
        "sep_token_id": TOKENIZER.token_to_id("[SEP]"),
        "eos_token_id": TOKENIZER.token_to_id("[SEP]"),
        "pad_token_id": TOKENIZER.token_to_id("[PAD]"),
    }
    return ModernBertConfig(**{**sizes, **changes})


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Make a ModernBERT as transformers saves it: the folder, and the module."""
    folder = tmp_path_factory.mktemp("theirs")
    torch.manual_seed(0)
    model = ModernBertModel(make_config()).eval()
    model.save_pretrained(folder)
    TOKENIZER.save(str(folder / "tokenizer.json"))
    return folder, model


@pytest.fixture
def folder(theirs, tmp_path):
    """A copy of that folder, to be spoilt."""
    return shutil.copytree(theirs[0], tmp_path / "copy")


@pytest.fixture
def client(theirs, tmp_path):
    """A checkpoint of the client's: weights and tokenizer, no config."""
    student = load_pretrained(theirs[0], seed=5)
    place = tmp_path / "client"
    place.mkdir()
    save_file(student.model.state_dict(), place / "model.safetensors")
    shutil.copy(theirs[0] / "tokenizer.json", place)
    return place


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty hub cache, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    tensors = {key: tensor.clone() for key, tensor in tensors.items()}
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def save_merged(student, folder, span="span_conv_state_dict", **more):
    parts = {"encoder": {}, "token_head": {}, "span_conv": {}}
    for key, tensor in student.model.state_dict().items():
        part, _, name = key.partition(".")
        parts[part][name] = tensor
    content = {f"{part}_state_dict": tensors for part, tensors in parts.items()}
    content[span] = content.pop("span_conv_state_dict")
    torch.save({**content, **more}, folder / "merged.pt")


def hashes(folder):
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_same_scores(first, second):
    texts = [TEXT, "a b c"]
    for one, two in zip(first.score(texts), second.score(texts), strict=True):
        assert one == pytest.approx(two, abs=1e-6)


@pytest.mark.parametrize("words", [3, 40, 350])
def test_a_modernbert_folder_gives_the_hidden_states_of_transformers(theirs, words):
    folder, model = theirs
    student = load_pretrained(folder)
    text = (TEXT.split() * 40)[:words]
    ids = AutoTokenizer.from_pretrained(folder)(text, is_split_into_words=True)
    ids = np.array(ids["input_ids"])
    packing = student.model.pack([len(ids)])

    with torch.inference_mode():
        expected = model(torch.from_numpy(ids)[None]).last_hidden_state[0]
        hidden_RE = student.model.encoder(packing.spread(ids), packing)

    assert (hidden_RE[packing.row_T] - expected).abs().max() < 1e-5
    assert student.config.global_every == 3
    assert student.config.max_tokens == 512


def test_a_masked_lms_head_is_left_and_its_prefix_taken_off(theirs, tmp_path):
    folder, model = theirs
    lm = ModernBertForMaskedLM(make_config())
    lm.model.load_state_dict(model.state_dict())
    lm.save_pretrained(tmp_path / "lm")
    shutil.copy(folder / "tokenizer.json", tmp_path / "lm")

    assert_same_scores(load_pretrained(tmp_path / "lm"), load_pretrained(folder))


def test_heads_that_the_source_lacks_start_from_the_seed(theirs):
    folder, _ = theirs
    state = torch.get_rng_state()

    first, again, other = (load_pretrained(folder, seed=seed) for seed in (1, 1, 2))

    assert first.lineage["random_heads"] == ["token_head", "span_conv"]
    weights = [student.model.token_head.weight for student in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert first.config.span_channels == 256
    assert all(parameter.requires_grad for parameter in first.model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_quality_head_and_a_narrower_span_head_come_when_asked(theirs):
    student = load_pretrained(theirs[0], quality_head=True, span_channels=8)

    assert student.lineage["random_heads"] == [
        "token_head",
        "span_conv",
        "quality_head",
    ]
    assert student.model.span_conv[0].weight.shape == (8, 64, 5)


def test_the_source_is_read_only_and_may_change_afterwards(folder):
    before = hashes(folder)

    student = load_pretrained(folder)

    assert hashes(folder) == before
    scores = student.score([TEXT])[0]
    (folder / "model.safetensors").write_bytes(b"\0" * 10)
    assert student.score([TEXT])[0] == pytest.approx(scores, abs=0)


def test_a_saved_student_is_taken_as_it_is(theirs, tmp_path):
    student = load_pretrained(theirs[0], variant="token_head")
    student_id = student.save(tmp_path / "ours")

    again = load_pretrained(tmp_path / "ours")

    assert (again.id, again.config) == (student_id, student.config)
    assert_same_scores(again, student)
    with pytest.raises(InvalidCheckpoint, match="a token_head student; expected dual"):
        load_pretrained(tmp_path / "ours", variant="dual_head")


@pytest.mark.parametrize("span", ["span_conv_state_dict", "span_head_state_dict"])
@pytest.mark.parametrize("config", ["theirs", "ours", "beside"])
def test_merged_of_either_spelling_is_the_student_it_came_from(
    theirs, tmp_path, span, config
):
    student = load_pretrained(theirs[0], seed=7, span_channels=8)
    sizes = {
        "theirs": {"config": make_config().to_dict()},
        "ours": {"config": student.config.model_dump(mode="json")},
        "beside": {},
    }
    save_merged(student, tmp_path, span, **sizes[config])
    shutil.copy(theirs[0] / "tokenizer.json", tmp_path)
    if config == "beside":
        shutil.copy(theirs[0] / "config.json", tmp_path)

    again = load_pretrained(tmp_path)

    assert again.config == student.config
    assert again.lineage["random_heads"] == []
    assert_same_scores(again, student)


def test_the_exports_own_merged_comes_back_with_its_widened_span_head(theirs, tmp_path):
    student = load_pretrained(theirs[0], span_channels=8)
    weights = {k: v.numpy() for k, v in student.model.state_dict().items()}
    torch.save(merge_weights(weights, student.config), tmp_path / "merged.pt")
    shutil.copy(theirs[0] / "tokenizer.json", tmp_path)

    again = load_pretrained(tmp_path)

    assert again.config.span_channels == 256
    assert_same_scores(again, student)


def test_the_clients_safetensors_give_their_sizes_without_a_config(client):
    student = load_pretrained(client)

    config = student.config
    assert (config.num_layers, config.hidden_size, config.num_heads) == (4, 64, 1)
    assert (config.vocab_size, config.intermediate_size) == (320, 80)
    assert (config.local_attention, config.global_every) == (128, 3)
    assert student.lineage["random_heads"] == []


def test_a_token_head_leaves_the_sources_span_head(client):
    student = load_pretrained(client, variant="token_head")

    assert student.config.variant == "token_head"
    assert student.lineage["random_heads"] == []


def test_a_quality_head_of_the_source_is_always_taken(client):
    edit_weights(
        client,
        lambda tensors: tensors.update(
            {
                "quality_head.weight": torch.ones(1, 64),
                "quality_head.bias": torch.ones(1),
            }
        ),
    )

    student = load_pretrained(client)

    assert student.config.quality_head
    assert student.model.quality_head.weight.sum() == 64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm_bias": True}, "norm_bias is True"),
        ({"hidden_activation": "silu"}, "hidden_activation is 'silu'"),
        ({"num_hidden_layers": 3, "layer_types": None}, "unexpected: encoder.layers.3"),
        ({"num_hidden_layers": 5, "layer_types": None}, "missing: encoder.layers.4"),
        ({"vocab_size": 330}, r"tok_embeddings.weight \(320, 64\), expected \(330"),
        ({"num_attention_heads": 3}, "hidden_size 64 with 3 heads"),
        ({"cls_token_id": 4}, "cls_token_id is 4 in the config and"),
    ],
)
def test_a_config_that_does_not_fit_is_named(folder, changes, message):
    edit_json(folder / "config.json", **changes)

    with pytest.raises(InvalidCheckpoint, match=message):
        load_pretrained(folder)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_a_config_that_is_no_table_is_refused(folder, content):
    (folder / "config.json").write_bytes(content)

    with pytest.raises(InvalidCheckpoint, match=r"config\.json"):
        load_pretrained(folder)


def test_a_tokenizer_with_more_tokens_than_embeddings_is_refused(folder):
    tokenizer = make_tokenizer()
    tokenizer.add_tokens([f"word{number}" for number in range(20)])
    tokenizer.save(str(folder / "tokenizer.json"))

    with pytest.raises(InvalidCheckpoint, match=r"ids up to 3\d\d, and the weights"):
        load_pretrained(folder)


def test_a_tokenizer_whose_special_tokens_lie_elsewhere_is_refused(folder):
    make_tokenizer(num_added=2).save(str(folder / "tokenizer.json"))

    with pytest.raises(InvalidCheckpoint, match="cls_token_id is"):
        load_pretrained(folder)


def test_a_tokenizer_without_special_tokens_is_refused(folder):
    Tokenizer(models.BPE()).save(str(folder / "tokenizer.json"))

    with pytest.raises(InvalidCheckpoint, match=r"has no \[CLS\]"):
        load_pretrained(folder)


def test_the_clients_tokenizer_stands_in_for_a_missing_one(folder, cache):
    with_own = load_pretrained(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InvalidCheckpoint, match=r"has no tokenizer\.json, and answerd"):
        load_pretrained(folder)
    place = cache / "models--answerdotai--ModernBERT-base/snapshots"
    (place / MODERNBERT_REVISION).mkdir(parents=True)
    TOKENIZER.save(str(place / MODERNBERT_REVISION / "tokenizer.json"))

    assert_same_scores(load_pretrained(folder), with_own)


def test_a_hub_name_is_found_in_the_cache_and_kept_in_the_lineage(theirs, cache):
    place = cache / "models--org--bert"
    (place / "refs").mkdir(parents=True)
    (place / "refs/main").write_text("1" * 40)
    shutil.copytree(theirs[0], place / "snapshots" / ("1" * 40))

    student = load_pretrained("org/bert")

    assert student.lineage["source"] == "org/bert"
    assert_same_scores(student, load_pretrained(theirs[0]))


def test_a_source_that_is_not_there_says_what_to_do(folder):
    with pytest.raises(InvalidCheckpoint, match="does not exist; expected"):
        load_pretrained(folder / "absent")
    with pytest.raises(InvalidCheckpoint, match="is a file; expected the folder"):
        load_pretrained(str(folder / "config.json"))
    with pytest.raises(InvalidCheckpoint, match="org/absent is no folder here"):
        load_pretrained("org/absent")


@pytest.mark.parametrize("text", [TEXT, "  indented\n    more  ", "[MASK] x[MASK]"])
def test_words_get_the_ids_of_transformers_with_a_modernbert_tokenizer(theirs, text):
    tokenizer = load_pretrained(theirs[0]).tokenizer
    references = [
        AutoTokenizer.from_pretrained(theirs[0]),
        PreTrainedTokenizerFast(tokenizer_file=str(theirs[0] / "tokenizer.json")),
    ]

    tokens = tokenizer.encode(text.split())

    for reference in references:
        expected = reference(text.split(), is_split_into_words=True)
        ids = [tokenizer.cls_id, *tokens.ids_T, tokenizer.sep_id]
        assert ids == expected["input_ids"]
        words = np.repeat(np.arange(len(text.split())), tokens.num_tokens_N)
        assert expected.word_ids() == [None, *words, None]
