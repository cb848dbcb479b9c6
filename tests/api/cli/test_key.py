from db.queries import keys


def test_a_key_is_shown_once_and_works_until_it_is_revoked(farm, sessions):
    key = farm.json("key", "add", "ann")["key"]

    (row,) = farm.json("key", "list")
    with sessions() as session:
        assert keys.check_key(session, key) == "ann"
    farm("key", "revoke", "ann")
    with sessions() as session:
        assert keys.check_key(session, key) is None
    assert key not in str(row)
    assert row["name"] == "ann"


def test_the_key_alone_goes_to_standard_output(farm):
    result = farm("key", "add", "bob")

    assert result.stdout.startswith("farm_")
    assert len(result.stdout.split()) == 1
    assert "not shown again" in result.stderr


def test_a_name_is_used_once(farm):
    farm("key", "add", "ann")

    assert "ann" in farm.mistake("key", "add", "ann")
    assert "ann" in farm.mistake("key", "revoke", "bob")
