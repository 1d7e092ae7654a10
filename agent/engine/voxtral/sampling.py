"""The next token of every row, from its logits. Each row has a temperature and a share of its own."""

import torch

# Of a row's tokens only the likeliest can be drawn. What lies beyond them has no share worth naming at any temperature
# that gives sensible words, and a whole sort of 131,072 would cost as much as several layers.
CANDIDATES = 1024


def choose(logits: torch.Tensor, chances: torch.Tensor) -> torch.Tensor:
    """Tokens [rows] from logits [rows, vocabulary]; `chances` [3, rows] are temperature, top_p and a draw in 0..1.

    A temperature of 0 takes the likeliest. Else the likeliest tokens that make up `top_p` of the probability are kept,
    and the draw chooses among them by their share. No value is read by the host.
    """
    temperature, top_p, draw = chances[0], chances[1], chances[2]
    logits = logits.float()
    scaled = logits / temperature.clamp(min=1e-3)[:, None]
    likeliest, tokens = scaled.topk(min(CANDIDATES, logits.shape[-1]))
    share = (likeliest - scaled.logsumexp(-1, keepdim=True)).exp()
    reached = share.cumsum(-1)
    kept = reached - share < top_p[:, None]  # always the first
    reached = (share * kept).cumsum(-1)
    place = (reached <= draw[:, None] * reached[:, -1:]).sum(-1).minimum(kept.sum(-1) - 1)
    place = place.clamp(min=0)  # logits that are no numbers keep nothing; an index of -1 would end the whole process
    drawn = tokens.gather(-1, place[:, None])[:, 0]
    return torch.where(temperature > 0, drawn, logits.argmax(-1))
