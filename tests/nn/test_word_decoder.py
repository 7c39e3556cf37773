"""The decoder of words: what it sees, what it learns, and what it writes."""

import math

import pytest
import torch

from beatssl_sklearn.nn.word_decoder import CLS, END, MASK, PAD, WordDecoder, build_word_decoder

N_WORDS = 20
REPORTS = torch.tensor([[CLS, 4, 5, 6, 7, END, PAD, PAD], [CLS, 4, 9, 8, END, PAD, PAD, PAD]])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def build(seed=0, **params):
    return build_word_decoder(N_WORDS, 6, generator(seed), **{"n_dims": 32, "max_length": 12, **params})


def memory(n=2, q=3, seed=1):
    return torch.randn(n, q, 6, generator=generator(seed))


def trained(decoder, loss, n_steps=60):
    optimizer = torch.optim.Adam(decoder.parameters(), lr=5e-3)
    for _ in range(n_steps):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
    return float(value.detach())


def test_a_decoder_is_seeded_and_float32_and_begins_at_chance():
    before = torch.random.get_rng_state()
    decoder, twin, other = build(1), build(1), build(2)
    assert torch.equal(torch.random.get_rng_state(), before)
    with torch.autocast("cpu", torch.bfloat16):
        loss = decoder.loss(REPORTS, memory().bfloat16())
    assert loss.dtype == torch.float32 and float(loss.detach()) == pytest.approx(math.log(N_WORDS), abs=0.15)
    assert torch.equal(decoder.words.weight, twin.words.weight)
    assert not torch.equal(decoder.words.weight, other.words.weight)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in decoder.parameters())


def test_loss_is_the_mean_over_the_words_of_all_reports():
    decoder, u = build(), memory()
    costs = []
    for row, of_record in zip(REPORTS, u, strict=True):
        known = [word for word in row.tolist() if word != PAD]
        for at in range(1, len(known)):
            h = decoder.contextualize(torch.tensor([known[:at]]), of_record[None])[0, -1]
            costs.append(-decoder.scores(h).log_softmax(0)[known[at]])
    torch.testing.assert_close(decoder.loss(REPORTS, u), torch.stack(costs).mean())


def test_a_later_word_leaves_earlier_scores_as_they_are():
    decoder, u = build(), memory()
    changed = REPORTS.clone()
    changed[:, 3] = 15
    for causal in (True, False):
        same = (decoder.contextualize(REPORTS, u, causal) == decoder.contextualize(changed, u, causal)).all(2)
        assert same[0, :3].tolist() == [causal] * 3 and not same[0, 3:6].any()


def test_padding_and_reports_without_words_have_no_influence():
    decoder, u = build(), memory(3)
    plain = decoder.loss(REPORTS, u[:2])
    wide = torch.nn.functional.pad(REPORTS, (0, 50, 0, 1), value=PAD)
    torch.testing.assert_close(decoder.loss(wide, u), plain)
    hidden = [decoder.masked_loss(ids, u[:2], generator(3)) for ids in (REPORTS, wide[:2])]
    torch.testing.assert_close(hidden[0], hidden[1])
    # A short report beside a long one, where words see all others.
    both = decoder.contextualize(REPORTS, u[:2], causal=False)[1, :5]
    torch.testing.assert_close(both, decoder.contextualize(REPORTS[1:, :5], u[1:2], causal=False)[0])


def test_hidden_words_are_not_seen_and_each_report_has_one():
    decoder, u = build(), memory()
    seen = []
    decoder.contextualize = lambda ids, memory, causal: (
        seen.append((ids, causal)) or WordDecoder.contextualize(decoder, ids, memory, causal)
    )
    ids = torch.randint(END + 1, N_WORDS, (2, 12), generator=generator())
    ids[:, 0], ids[:, -1] = CLS, END
    for share, lowest, highest in ((1e-9, 2, 2), (0.3, 2, 14), (1.0, 20, 20)):
        decoder.masked_loss(ids, u, generator(4), share)
        shown, causal = seen.pop()
        hidden = shown == MASK
        assert not causal and hidden.any(1).all() and lowest <= int(hidden.sum()) <= highest
        assert torch.equal(shown[~hidden], ids[~hidden]) and not hidden[:, [0, -1]].any()
    # All words hidden: those of one report, told by its memory and their places alone.
    first, again = (decoder.masked_loss(REPORTS, u, generator(seed), 1.0) for seed in (0, 1))
    torch.testing.assert_close(first, again)


@pytest.mark.parametrize("n", [0, 2])
@pytest.mark.parametrize("ids", [[PAD, PAD, PAD], [PAD]])
def test_no_words_give_zero_with_a_gradient(n, ids):
    decoder, u = build(), memory(n).requires_grad_()
    rows = torch.tensor([ids] * n, dtype=torch.int64).view(n, len(ids))
    loss = decoder.loss(rows, u) + decoder.masked_loss(rows, u, generator())
    loss.backward()
    assert float(loss.detach()) == 0 and u.grad is not None
    assert all(p.grad is not None and not p.grad.any() for p in decoder.parameters())


def test_two_reports_are_learned_and_written():
    decoder, u = build(), memory()
    assert trained(decoder, lambda: decoder.loss(REPORTS, u)) < 0.05
    written = decoder.generate(u, 10)
    assert written == [[4, 5, 6, 7], [4, 9, 8]]
    # What is written comes from the memory.
    assert decoder.generate(u.flip(0), 10) == written[::-1]
    assert decoder.generate(u, 2) == [[4, 5], [4, 9]]
    assert all(9 not in words for words in decoder.generate(u, 10, blocked_ids=[9]))
    assert decoder.generate(u[:0]) == []


def test_hidden_words_are_learned_from_the_memory():
    decoder, u, draws = build(), memory(), generator(5)
    trained(decoder, lambda: decoder.masked_loss(REPORTS, u, draws, 0.5))
    with torch.no_grad():
        assert float(decoder.masked_loss(REPORTS, u, draws, 1.0)) < 0.1
        assert float(decoder.masked_loss(REPORTS, u.flip(0), draws, 1.0)) > 1


def test_each_word_written_is_the_likeliest_after_those_before():
    decoder, u = build(n_layers=3), memory(6)
    with torch.no_grad():
        # Far from chance, so that the words written vary.
        decoder.words.weight *= 20
        decoder.positions.weight *= 100
    written = decoder.generate(u, blocked_ids=[6])
    assert len({len(words) for words in written}) > 1 and len({w for words in written for w in words}) > 6
    for words, of_record in zip(written, u, strict=True):
        ids = torch.tensor([[CLS, *words]])
        scores = decoder.scores(decoder.contextualize(ids, of_record[None])[0])
        scores[:, [PAD, MASK, CLS, 6]] = -torch.inf
        expected = [*words, END] if len(words) < 11 else [*words, int(scores[-1].argmax())]
        assert scores.argmax(1).tolist() == expected


def test_writing_without_an_end_stops_at_the_longest_report():
    decoder, u = build(), memory()
    assert [len(words) for words in decoder.generate(u, blocked_ids=[END])] == [11, 11]
    assert not {PAD, MASK, CLS, END} & set(decoder.generate(u, 5, [END])[0])


def test_bad_input_is_named():
    decoder, u = build(), memory()
    for ids, message in (
        (REPORTS.int(), "int64"),
        (REPORTS[:1], "int64"),
        (REPORTS + 15, r"ids must lie between 0 and 19, got 15 to 24"),
        (REPORTS[:, 1:], "ids must begin with the start"),
        (REPORTS[:, [0, 7, 1]], "padding, 0, on the right only"),
        (torch.full((2, 13), CLS), "at most 12 per report, got 13"),
    ):
        with pytest.raises(ValueError, match=message):
            decoder.loss(ids, u)
    with pytest.raises(ValueError, match="share must be above 0"):
        decoder.masked_loss(REPORTS, u, generator(), 0.0)
    with pytest.raises(ValueError, match="max_length must be an integer from 1 to 11, got 12"):
        decoder.generate(u, 12)
    with pytest.raises(ValueError, match="blocked_ids must lie between 0 and 19"):
        decoder.generate(u, blocked_ids=[20])
    for params, message in (
        ({"n_words": 4}, "n_words must be more than 4"),
        ({"n_heads": 3}, "n_heads must divide the width 32, got 3"),
        ({"n_layers": 0}, "n_layers"),
        ({"max_length": 0}, "max_length"),
        ({"n_memory": 0}, "n_memory"),
    ):
        with pytest.raises(ValueError, match=message):
            WordDecoder(**{"n_words": N_WORDS, "n_memory": 6, "n_dims": 32, **params})
