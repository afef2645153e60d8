import torch
from torch import nn

from models.summary import first_output


def test_the_first_output_is_that_of_the_whole_layer():
    layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True).eval()
    items, unseen = torch.randn(6, 5, 8), torch.rand(6, 5) < 0.3
    unseen[:, 0] = False

    whole = layer(items, src_key_padding_mask=unseen)

    assert torch.allclose(first_output(layer, items, ~unseen), whole[:, 0], atol=1e-5)
