import pytest
import torch

from kompress.training.precision import autocast, choose_precision, repeatable

CPU = torch.device("cpu")


def test_auto_takes_bfloat16_only_where_the_cpu_multiplies_it():
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()

    assert choose_precision("auto", CPU) == (
        torch.bfloat16 if native else torch.float32
    )
    assert choose_precision("auto", torch.device("meta")) == torch.float32


@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
def test_what_is_asked_for_is_done(asked):
    dtype = choose_precision(asked, CPU)

    with autocast(CPU, dtype):
        product = torch.ones(2, 2) @ torch.ones(2, 2)

    assert product.dtype == getattr(torch, asked)


def test_the_process_gets_its_own_back_after_an_error():
    before = torch.get_num_threads(), torch.get_rng_state()

    with pytest.raises(ZeroDivisionError), repeatable(CPU, 1):
        torch.rand(3)
        assert torch.are_deterministic_algorithms_enabled()
        raise ZeroDivisionError

    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert not torch.are_deterministic_algorithms_enabled()
