import pytest
import torch

from agent.engine.voxtral.sampling import CANDIDATES, CHUNK, choose, likeliest


def rows(logits: torch.Tensor, temperature: float, top_p: float, draws: torch.Tensor) -> torch.Tensor:
    count = len(draws)
    chances = torch.stack((torch.full((count,), temperature), torch.full((count,), top_p), draws))
    return choose(logits.expand(count, -1), chances)


def shares(tokens: torch.Tensor, size: int) -> torch.Tensor:
    return torch.bincount(tokens, minlength=size) / len(tokens)


LOGITS = torch.tensor([[2.0, 0.5, 1.0, -1.0, 0.0]])
EVEN = (torch.arange(20_000) + 0.5) / 20_000  # every draw there is, equally often


def test_without_temperature_the_likeliest_is_taken() -> None:
    assert rows(LOGITS, 0.0, 0.9, torch.tensor([0.0, 0.5, 0.999])).tolist() == [0, 0, 0]


def test_tokens_come_in_their_shares() -> None:
    expected = (LOGITS[0] / 0.7).softmax(-1)
    torch.testing.assert_close(shares(rows(LOGITS, 0.7, 1.0, EVEN), 5), expected, atol=1e-4, rtol=0)


def test_only_the_likeliest_that_make_up_top_p_are_drawn() -> None:
    probabilities = LOGITS[0].softmax(-1)  # 0.55 0.12 0.20 0.03 0.07: the first three reach 0.8
    expected = probabilities * torch.tensor([1, 1, 1, 0, 0])
    drawn = shares(rows(LOGITS, 1.0, 0.8, EVEN), 5)
    torch.testing.assert_close(drawn, expected / expected.sum(), atol=1e-4, rtol=0)


def test_the_first_token_is_kept_however_small_top_p_is() -> None:
    assert set(rows(LOGITS, 1.0, 1e-6, EVEN).tolist()) == {0}


def test_the_highest_draw_takes_the_last_that_is_kept() -> None:
    assert rows(LOGITS, 1.0, 0.8, torch.tensor([1.0 - 1e-9])).tolist() == [1]


def test_each_row_has_its_own_chances() -> None:
    logits = LOGITS.expand(3, -1)
    tokens = choose(logits, torch.tensor([[0.0, 1.0, 1.0], [1.0, 1.0, 0.5], [0.999, 0.999, 0.999]]))
    assert tokens.tolist() == [0, 3, 0]


def test_logits_that_are_no_numbers_give_some_token() -> None:
    logits = torch.cat((LOGITS, torch.full((1, 5), torch.nan)))
    chances = torch.tensor([[1.0, 1.0], [0.8, 0.8], [0.0, 0.5]])
    first, second = choose(logits, chances).tolist()
    assert first == 0
    assert 0 <= second < 5


def test_a_vocabulary_of_the_real_size() -> None:
    logits = torch.randn(2, 131_072, generator=torch.Generator().manual_seed(0))
    logits[:, 77] = 30.0
    assert choose(logits, torch.tensor([[0.0, 0.3], [0.9, 0.9], [0.5, 0.5]])).tolist() == [77, 77]
    flat = choose(torch.zeros(1, 131_072), torch.tensor([[1.0], [1.0], [0.9999]]))
    assert 0 <= int(flat) < 131_072
    assert CANDIDATES < 131_072


@pytest.mark.parametrize("seed", range(20))
def test_the_likeliest_of_many_are_found_wherever_they_are(seed: int) -> None:
    """Strewn about, or side by side in few chunks."""
    random = torch.Generator().manual_seed(seed)
    values = torch.rand(3, 131_072, generator=random)
    values[1, 1000 * seed : 1000 * seed + 2 * CANDIDATES] += 1
    values[2, ::CHUNK] += torch.rand(131_072 // CHUNK, generator=random) * (seed % 3)
    found, tokens = likeliest(values)
    torch.testing.assert_close(found, values.topk(CANDIDATES).values, rtol=0, atol=0)
    torch.testing.assert_close(found, values.gather(1, tokens), rtol=0, atol=0)
    assert all(len(set(row)) == CANDIDATES for row in tokens.tolist())
