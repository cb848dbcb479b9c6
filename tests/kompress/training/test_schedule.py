import pytest

from kompress.config import RecipeConfig
from kompress.training.schedule import rate_share


def shares(schedule, num_steps=10):
    recipe = RecipeConfig(schedule=schedule, warmup_share=0.2)
    return [rate_share(step, num_steps, recipe) for step in range(num_steps)]


@pytest.mark.parametrize(
    ("schedule", "fourth", "last"),
    [
        ("cosine", 0.5, 0.0380602337),  # (1 + cos(π·4/8))/2, (1 + cos(π·7/8))/2
        ("linear", 0.5, 0.125),
        ("constant", 1.0, 1.0),
    ],
)
def test_a_schedule_rises_for_two_steps_and_then_goes_its_way(schedule, fourth, last):
    found = shares(schedule)

    assert found[:3] == [0.5, 1.0, 1.0]
    assert found[6] == pytest.approx(fourth)
    assert found[9] == pytest.approx(last)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_a_training_of_one_step_takes_its_whole_rate(schedule):
    assert shares(schedule, 1) == [1.0]
