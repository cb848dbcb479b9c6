import pytest
import torch

from kompress.students.matmul import MAX_ERROR, fast_matmul


def test_products_stay_exact_to_float32():
    generator = torch.Generator().manual_seed(3)
    left = torch.randn(300, 200, generator=generator)
    right = torch.randn(200, 100, generator=generator)

    with fast_matmul():
        product = left @ right

    assert (product.double() - left.double() @ right.double()).abs().max() < MAX_ERROR


def test_the_process_gets_its_setting_back_after_an_error():
    before = torch.backends.mkldnn.matmul.fp32_precision

    with pytest.raises(RuntimeError), fast_matmul():
        torch.ones(2) @ torch.ones(3)

    assert torch.backends.mkldnn.matmul.fp32_precision == before
