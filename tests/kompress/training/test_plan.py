from kompress.students import Student, load
from kompress.training import train


def test_a_parent_from_elsewhere_is_named_by_its_own_lineage(texts, recipe, tmp_path):
    def run(folder, init):
        return train(
            texts[:2],
            recipe,
            tokenizer_json=None,
            init=init,
            epochs=1,
            seed=0,
            folder=tmp_path / folder,
            resume=None,
            progress=lambda *_: None,
        )

    own = load(run("own", None).folder)
    foreign = Student.from_model(
        own.model, own.tokenizer, recipe={}, lineage={"source": "org/name"}
    )

    of_ours = load(run("of_ours", own).folder).lineage
    of_theirs = load(run("of_theirs", foreign).folder).lineage

    assert (of_ours["parent"], of_ours["pretrained"]) == (own.id, None)
    assert (of_theirs["parent"], of_theirs["pretrained"]) == (
        None,
        {"source": "org/name"},
    )
