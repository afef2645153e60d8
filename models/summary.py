"""One transformer layer of which only the first item's output is wanted: nothing looks at the others."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def first_output(layer: nn.TransformerEncoderLayer, items: Tensor, seen: Tensor) -> Tensor:
    """What the whole layer (norm first, GELU) gives for the first item, for a fraction of the work: (batch, width).

    items (batch, items, width), seen (batch, items) bool, False = not attended to.
    """
    pooled = items[:, 0] + layer.dropout1(_first_attention(layer.self_attn, layer.norm1(items), seen))
    further = layer.linear2(layer.dropout(F.gelu(layer.linear1(layer.norm2(pooled)))))
    output: Tensor = pooled + layer.dropout2(further)
    return output


def _first_attention(attention: nn.MultiheadAttention, items: Tensor, seen: Tensor) -> Tensor:
    """What the first item attends to, (batch, width): as the module computes it, with fewer operations."""
    batch, _, width = items.shape
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    query = F.linear(items[:, :1], weight[:width], bias[:width])
    key, value = F.linear(items, weight[width:], bias[width:]).chunk(2, dim=-1)
    heads = (batch, -1, attention.num_heads, width // attention.num_heads)
    query, key, value = (part.reshape(heads).transpose(1, 2) for part in (query, key, value))
    dropped = attention.dropout if attention.training else 0.0
    attended = F.scaled_dot_product_attention(query, key, value, seen[:, None, None], dropped)
    out: Tensor = attention.out_proj(attended.reshape(batch, width))
    return out
