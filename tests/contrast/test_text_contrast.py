"""Contrasts of ECGs and reports: stated values, plain loops, masks, chunks and duplicates."""

import math

import pytest
import torch

from beatssl_sklearn.contrast.text_contrast import report_infonce, sentence_beat_infonce, sentence_beat_scores


def drawn(n=5, m=None, n_beats=4, n_sentences=3, d=6, seed=0, dtype=torch.float64):
    """Beats, which of them exist, sentences, which of them exist; at least one in each row."""
    g = torch.Generator().manual_seed(seed)
    m = n if m is None else m
    beat_there = torch.rand(n, n_beats, generator=g) < 0.6
    sentence_there = torch.rand(m, n_sentences, generator=g) < 0.6
    beat_there[:, 0] = sentence_there[:, -1] = True
    beats = torch.randn(n, n_beats, d, generator=g, dtype=dtype)
    return beats, beat_there, torch.randn(m, n_sentences, d, generator=g, dtype=dtype), sentence_there


def one_score(beats, sentences, attention=4.0, factor=5.0):
    """R of one ECG and one report, word by word."""
    total = 0.0
    a = [torch.stack([b @ s for s in sentences]).softmax(0) for b in beats]
    for at, s in enumerate(sentences):
        alpha = torch.stack([attention * of_beat[at] for of_beat in a]).softmax(0)
        context = sum(share * b for share, b in zip(alpha, beats, strict=True))
        total = total + math.exp(factor * float(s @ context / (s.norm() * context.norm())))
    return math.log(total)


def cross_entropy(logits, targets):
    """By hand, mean over rows; each row of the targets is scaled to sum 1."""
    rows = [
        -sum(float(w) / float(of.sum()) * float(row[j] - row.logsumexp(0)) for j, w in enumerate(of))
        for row, of in zip(logits, targets, strict=True)
    ]
    return sum(rows) / len(rows)


@pytest.mark.parametrize(("dtype", "rel"), [(torch.float64, 2e-7), (torch.float32, 3e-6)])
def test_a_stated_value(dtype, rel):
    beats = torch.stack([torch.sin(torch.arange(6, dtype=dtype).reshape(3, 2) + i) for i in range(2)])
    sentences = torch.full((2, 2, 2), torch.nan, dtype=dtype)
    for j in range(2):
        sentences[j, : j + 1] = torch.cos(0.5 * torch.arange(2 * (j + 1), dtype=dtype).reshape(j + 1, 2) + j)
    there = torch.tensor([[True, False], [True, True]])
    loss = sentence_beat_infonce(beats, torch.ones(2, 3, dtype=torch.bool), sentences, there)
    assert loss.dtype == dtype and float(loss) == pytest.approx(3.431839, rel=rel)


@pytest.mark.parametrize("scales", [{}, {"attention_scale": 1.5, "sentence_scale": 2.0}])
def test_scores_are_those_of_a_plain_loop(scales):
    beats, beat_there, sentences, sentence_there = drawn(4, 6)
    found = sentence_beat_scores(beats, beat_there, sentences, sentence_there, **scales)
    pairs = [
        [one_score(b[exist], s[spoken], *scales.values()) for s, spoken in zip(sentences, sentence_there, strict=True)]
        for b, exist in zip(beats, beat_there, strict=True)
    ]
    torch.testing.assert_close(found, torch.tensor(pairs, dtype=torch.float64), rtol=1e-10, atol=1e-10)


def test_loss_is_the_cross_entropy_of_both_directions():
    args = drawn()
    # Reports 0 and 3 are equal; and weights that are not symmetric.
    equal = torch.eye(5, dtype=torch.bool)
    equal[0, 3] = equal[3, 0] = True
    soft = torch.rand(5, 5, generator=torch.Generator().manual_seed(1))
    soft = soft / soft.sum(1, keepdim=True)
    scores = sentence_beat_scores(*args)
    for targets in (None, equal, soft):
        by_hand = torch.eye(5) if targets is None else targets.double()
        expected = (cross_entropy(3 * scores, by_hand) + cross_entropy(3 * scores.T, by_hand.T)) / 2
        found = sentence_beat_infonce(*args, temperature_scale=3.0, targets=targets)
        assert float(found) == pytest.approx(expected, rel=1e-5)


def test_chunks_change_nothing():
    beats, beat_there, sentences, sentence_there = drawn(7, dtype=torch.float32)
    results = []
    for chunk in (None, 7, 3, 1):
        b, s = beats.clone().requires_grad_(), sentences.clone().requires_grad_()
        loss = sentence_beat_infonce(b, beat_there, s, sentence_there, chunk=chunk)
        loss.backward()
        results.append((loss.detach(), b.grad, s.grad))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-5, atol=1e-6)


def test_gradients_are_those_of_differences():
    beats, beat_there, sentences, sentence_there = drawn(3, d=4)

    def loss(b, s):
        return sentence_beat_infonce(b, beat_there, s, sentence_there, chunk=2)

    assert torch.autograd.gradcheck(loss, (beats.requires_grad_(), sentences.requires_grad_()))


def test_empty_slots_take_no_part_whatever_they_hold():
    beats, beat_there, sentences, sentence_there = drawn(dtype=torch.float32)
    spoilt = beats.masked_fill(~beat_there[..., None], torch.nan).requires_grad_()
    spoilt_sentences = sentences.masked_fill(~sentence_there[..., None], torch.inf).requires_grad_()
    loss = sentence_beat_infonce(spoilt, beat_there, spoilt_sentences, sentence_there)
    assert float(loss.detach()) == float(sentence_beat_infonce(beats, beat_there, sentences, sentence_there))
    loss.backward()
    assert not spoilt.grad[~beat_there].any() and not spoilt_sentences.grad[~sentence_there].any()
    assert spoilt.grad[beat_there].isfinite().all() and spoilt.grad[beat_there].any()


def test_opposite_beats_and_vectors_of_zeros_give_finite_numbers():
    beats = torch.tensor([[[1.0, 2.0], [-1.0, -2.0]], [[0.0, 0.0], [0.0, 0.0]]]).requires_grad_()
    # Both sentences are alike to both beats, so that the attention is even.
    sentences = torch.tensor([[[2.0, -1.0]], [[0.0, 0.0]]]).requires_grad_()
    exist = torch.ones(2, 2, dtype=torch.bool)
    scores = sentence_beat_scores(beats, exist, sentences, exist[:, :1])
    torch.testing.assert_close(scores.detach(), torch.zeros(2, 2))
    scores.sum().backward()
    assert beats.grad.isfinite().all() and sentences.grad.isfinite().all()


@pytest.mark.parametrize("order", [[2, 0, 1, 4, 3]])
def test_the_order_of_records_beats_and_sentences_does_not_count(order):
    beats, beat_there, sentences, sentence_there = drawn(n_beats=5, n_sentences=5)
    plain = sentence_beat_infonce(beats, beat_there, sentences, sentence_there)
    for mixed in (
        (beats[order], beat_there[order], sentences[order], sentence_there[order]),
        (beats[:, order], beat_there[:, order], sentences, sentence_there),
        (beats, beat_there, sentences[:, order], sentence_there[:, order]),
    ):
        torch.testing.assert_close(sentence_beat_infonce(*mixed), plain)
    wrong = sentence_beat_infonce(beats, beat_there, sentences[order], sentence_there[order])
    assert abs(float(wrong - plain)) > 1e-3


@pytest.mark.parametrize("log_scale", [-3.0, 0.5, math.log(1 / 0.07), 9.0])
def test_reports_by_hand(log_scale):
    g = torch.Generator().manual_seed(2)
    ecg, text = torch.randn(4, 3, generator=g), 20 * torch.randn(4, 3, generator=g)
    cosines = torch.nn.functional.cosine_similarity(ecg[:, None], text[None], dim=2)
    logits = cosines * min(max(math.exp(log_scale), 1), 100)
    equal = torch.eye(4, dtype=torch.bool)
    equal[1, 2] = equal[2, 1] = True
    for targets in (None, equal):
        by_hand = torch.eye(4) if targets is None else targets.float()
        expected = (cross_entropy(logits, by_hand) + cross_entropy(logits.T, by_hand.T)) / 2
        with torch.autocast("cpu", torch.bfloat16):
            found = report_infonce(ecg, text, torch.tensor(log_scale), targets)
        assert found.dtype == torch.float32 and float(found) == pytest.approx(expected, rel=1e-5)


def test_equal_reports_are_no_negatives():
    """Two records of one report, embedded alike, cost what one costs as targets, and more as negatives."""
    ecg = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    equal = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    scale = torch.tensor(math.log(50))
    # All that is left is to choose one of two: log 2 for two of the three rows.
    assert float(report_infonce(ecg, ecg, scale, equal)) == pytest.approx(2 / 3 * math.log(2), rel=1e-5)
    gradients = []
    for targets in (equal, None):
        text = ecg.clone().requires_grad_()
        # A direction between the two reports, so that cosines have a slope.
        apart = text + torch.tensor([[0.0, 0.1], [0.0, -0.1], [0.0, 0.0]])
        report_infonce(apart.detach(), apart, scale, targets).backward()
        gradients.append(text.grad[:2, 1])
    # Told apart, the two texts move apart; as equals they move together.
    assert gradients[0][0] > 0 > gradients[0][1] and gradients[1][0] < 0 < gradients[1][1]


def test_a_row_of_zeros_does_not_count():
    g = torch.Generator().manual_seed(3)
    ecg, text, scale = torch.randn(3, 4, generator=g), torch.randn(3, 4, generator=g), torch.tensor(1.0)
    logits = torch.nn.functional.cosine_similarity(ecg[:, None], text[None], dim=2) * math.e
    expected = (cross_entropy(logits[:2], torch.eye(3)[:2]) + cross_entropy(logits.T[:2], torch.eye(3)[:2])) / 2
    assert float(report_infonce(ecg, text, scale, torch.diag(torch.tensor([1.0, 1.0, 0.0])))) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "targets"), [(0, None), (1, None), (1, torch.ones(1, 1)), (3, torch.ones(3, 3).bool())])
def test_nothing_to_tell_apart_gives_zero_with_a_gradient(n, targets):
    beats, beat_there, sentences, sentence_there = drawn(n, dtype=torch.float32)
    beats.requires_grad_(), sentences.requires_grad_()
    scale = torch.tensor(2.0, requires_grad=True)
    loss = sentence_beat_infonce(beats, beat_there, sentences, sentence_there, targets=targets)
    loss = loss + report_infonce(beats.mean(1), sentences.mean(1), scale, targets)
    loss.backward()
    assert float(loss.detach()) == 0 and not beats.grad.any() and not sentences.grad.any() and scale.grad == 0


def test_bad_input_is_named():
    beats, beat_there, sentences, sentence_there = drawn()
    no_beat, no_sentence = beat_there.clone(), sentence_there.clone()
    no_beat[3], no_sentence[1] = False, False
    with pytest.raises(ValueError, match="beat_there: row 3 has no beat"):
        sentence_beat_infonce(beats, no_beat, sentences, sentence_there)
    with pytest.raises(ValueError, match="sentence_there: row 1 has no sentence"):
        sentence_beat_infonce(beats, beat_there, sentences, no_sentence)
    with pytest.raises(ValueError, match="beat_there a bool Tensor"):
        sentence_beat_scores(beats, beat_there.float(), sentences, sentence_there)
    with pytest.raises(ValueError, match="one width"):
        sentence_beat_scores(beats[..., :2], beat_there, sentences, sentence_there)
    with pytest.raises(ValueError, match="equally many records, got 4 and 5"):
        sentence_beat_infonce(beats[:4], beat_there[:4], sentences, sentence_there)
    for name in ("attention_scale", "sentence_scale", "temperature_scale"):
        with pytest.raises(ValueError, match=f"{name} must be positive and finite, got 0"):
            sentence_beat_infonce(beats, beat_there, sentences, sentence_there, **{name: 0})
    with pytest.raises(ValueError, match="chunk must be at least 1"):
        sentence_beat_scores(beats, beat_there, sentences, sentence_there, chunk=0)
    x, scale = torch.ones(3, 2), torch.tensor(1.0)
    with pytest.raises(ValueError, match="one shape"):
        report_infonce(x, x[:2], scale)
    with pytest.raises(ValueError, match="log_scale must have one element"):
        report_infonce(x, x, torch.ones(2))
    with pytest.raises(ValueError, match=r"targets must have shape \(3, 3\)"):
        report_infonce(x, x, scale, torch.ones(2, 3))
    with pytest.raises(ValueError, match="finite and not negative"):
        report_infonce(x, x, scale, -torch.eye(3))
