"""One transformer layer of which only the first item's output is wanted: nothing looks at the others."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def first_output(layer: nn.TransformerEncoderLayer, items: Tensor, unseen: Tensor) -> Tensor:
    """What the whole layer (norm first, GELU) gives for the first item, for a fraction of the work: (batch, width).

    items (batch, items, width), unseen (batch, items) bool, True = not attended to.
    """
    normed = layer.norm1(items)
    attended, _ = layer.self_attn(normed[:, :1], normed, normed, key_padding_mask=unseen, need_weights=False)
    pooled = items[:, 0] + layer.dropout1(attended[:, 0])
    further = layer.linear2(layer.dropout(F.gelu(layer.linear1(layer.norm2(pooled)))))
    output: Tensor = pooled + layer.dropout2(further)
    return output
