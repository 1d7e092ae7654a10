"""The next token of every row, from its logits. Each row has its own temperature and top-p."""

import torch

# Of a row's tokens only the likeliest can be drawn: what lies beyond them has no share worth naming at any temperature
# that gives sensible words.
CANDIDATES = 256
CHUNK = 64  # tokens of which first only the likeliest is looked at


def choose(logits: torch.Tensor, chances: torch.Tensor) -> torch.Tensor:
    """Tokens [rows] from logits [rows, vocabulary]; `chances` [3, rows] are temperature, top_p and a draw in 0..1.

    A temperature of 0 takes the likeliest. Else the likeliest tokens that make up `top_p` of the probability are kept,
    and the draw chooses among them by their share. No value is read by the host.
    """
    temperature, top_p, draw = chances[0], chances[1], chances[2]
    share, tokens = likeliest((logits / temperature.clamp(min=1e-3)[:, None]).softmax(-1))
    reached = share.cumsum(-1)
    kept = reached - share < top_p[:, None]  # always the first
    reached = (share * kept).cumsum(-1)
    place = (reached <= draw[:, None] * reached[:, -1:]).sum(-1).minimum(kept.sum(-1) - 1)
    place = place.clamp(min=0)  # logits that are no numbers keep nothing; an index of -1 would end the whole process
    drawn = tokens.gather(-1, place[:, None])[:, 0]
    return torch.where(temperature > 0, drawn, logits.argmax(-1))


def likeliest(shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The CANDIDATES largest of each row [rows, vocabulary], in order, and their tokens.

    A GPU takes as long to sort out 131,072 numbers as to compute several layers. So first come the chunks with the
    largest maxima: none of the largest numbers is in any other.
    """
    vocabulary = shares.shape[-1]
    if vocabulary % CHUNK or vocabulary <= CHUNK * CANDIDATES:
        return shares.topk(min(CANDIDATES, vocabulary))
    chunks = shares.view(len(shares), -1, CHUNK)
    chosen = chunks.amax(-1).topk(CANDIDATES, sorted=False).indices
    near = chunks.gather(1, chosen[..., None].expand(-1, -1, CHUNK)).flatten(1)
    found, places = near.topk(CANDIDATES)
    return found, chosen.gather(1, places // CHUNK) * CHUNK + places % CHUNK
