"""Features of sound against librosa's figures, and tokens of text against what their papers say by hand."""

from collections import Counter
from itertools import pairwise

import librosa
import numpy as np
import pytest
import torch
from test_data import HOSTILE
from torch import nn
from training import last, recipe

import steepest as sp
from steepest.core.errors import SettingError
from steepest.core.rng import generator
from steepest.core.task import Task
from steepest.data import DataError, Spectrogram, Vocabulary, audio, bucketed, pad, pairs
from steepest.data.preprocess import fit, restored
from steepest.data.vocabulary import STOPWORDS
from steepest.train.run import train
from steepest.train.trained import load
from steepest.train.use import measure

# --- sound ---------------------------------------------------------------------------------------------------


def sounds(n: int = 3, length: int = 4000, rate: int = 8000) -> torch.Tensor:
    """A rising tone, a chord that is switched on in the middle, and noise that fades."""
    time = torch.arange(length) / rate
    rising = torch.sin(2 * torch.pi * (200 + 2000 * time) * time)
    chord = sum(torch.sin(2 * torch.pi * f * time) for f in (300, 450, 1200)) * (time > time[-1] / 2)
    noise = torch.randn(length, generator=generator(0, "noise")) * (-3 * time).exp()
    return torch.stack([rising, chord, noise][:n])


SETTINGS = [(8000, 256, 80, 40), (8000, 200, 100, 20), (16_000, 512, 160, 64), (22_050, 2048, 512, 128), (44_100, 1024, 441, 30)]


@pytest.mark.parametrize(("rate", "window", "hop", "bands"), SETTINGS)
def test_filters_and_spectra_are_those_of_librosa(rate, window, hop, bands):
    ours = audio.mel_filters(rate, window, bands)
    assert np.abs(ours.numpy() - librosa.filters.mel(sr=rate, n_fft=window, n_mels=bands, dtype=np.float64)).max() < 1e-12
    x = sounds(length=6000, rate=rate).double()
    for k, found in enumerate(audio.log_mel(x, rate, window, hop, bands)):
        mel = librosa.feature.melspectrogram(y=x[k].numpy(), sr=rate, n_fft=window, hop_length=hop, n_mels=bands, dtype=np.float64)
        assert np.abs(found.numpy() - librosa.power_to_db(mel)).max() < 1e-9


@pytest.mark.parametrize(("rate", "window", "hop", "bands"), SETTINGS)
def test_cepstral_coefficients_are_those_of_librosa(rate, window, hop, bands):
    x = sounds(length=6000, rate=rate)
    ours = audio.mfcc(x, rate, window, hop, bands, 13)
    assert ours.dtype == torch.float32 and ours.shape == (3, 13, 6000 // hop + 1)
    for k in range(3):
        theirs = librosa.feature.mfcc(y=x[k].numpy(), sr=rate, n_mfcc=13, n_fft=window, hop_length=hop, n_mels=bands)
        assert np.abs(ours[k].numpy() - theirs).max() < 5e-3  # of hundreds, in float32
        more = {"n_mfcc": 13, "n_fft": window, "hop_length": hop, "n_mels": bands}
        theirs = librosa.feature.mfcc(y=x[k].double().numpy(), sr=rate, dtype=np.float64, **more)
        assert np.abs(audio.mfcc(x[k : k + 1].double(), rate, window, hop, bands, 13)[0].numpy() - theirs).max() < 1e-8


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("width", [3, 5, 9])
def test_changes_are_those_of_librosa(order, width):
    x = torch.randn(2, 5, 20, dtype=torch.float64)
    ours = audio.delta(x, order, width)
    assert np.abs(ours.numpy() - librosa.feature.delta(x.numpy(), order=order, width=width)).max() < 1e-12
    line = torch.arange(20.0).reshape(1, 1, -1)
    assert torch.allclose(audio.delta(3 * line, 1, width), torch.full_like(line, 3.0), atol=1e-5)
    assert torch.allclose(audio.delta(line.square(), 2, width), torch.full_like(line, 2.0), atol=1e-3)


def test_a_batch_is_its_sounds_one_by_one():
    x = torch.cat([sounds(), 0.01 * sounds().flip(1)])
    step = Spectrogram(deltas=2)
    whole = step.apply(x, step.fit(x))
    assert whole.shape == (6, 39, 51) and whole.dtype == torch.float32
    assert torch.allclose(whole, torch.cat([step.apply(x[k : k + 1], {}) for k in range(6)]), atol=1e-4)
    assert torch.allclose(whole[:, 13:26], audio.delta(whole[:, :13]), atol=1e-5)


def test_more_sounds_than_are_taken_at_a_time(monkeypatch):
    from steepest.data import steps

    x = torch.randn(10, 800)
    whole = Spectrogram().apply(x, {})
    monkeypatch.setattr(steps, "SOUNDS", 3)
    assert torch.allclose(Spectrogram().apply(x, {}), whole, atol=1e-4)


def test_silence_is_finite():
    for kind in ("mfcc", "logmel"):
        assert bool(Spectrogram(kind=kind, deltas=2).apply(torch.zeros(2, 4000), {}).isfinite().all())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "mel"}, "Spectrogram.kind = 'mel' is not one of 'mfcc', 'logmel'"),
        ({"coefficients": 41}, "Spectrogram.coefficients = 41 are more than the 40 bands"),
        ({"hop": 0}, "rate, hop, bands and coefficients are at least 1, and window 2"),
        ({"window": 1}, "and window 2"),
        ({"bands": 300, "kind": "logmel"}, r"[0-9]+ bands are narrower than what the window tells apart"),
        ({"deltas": 3}, "Spectrogram.deltas = 3 is not one of 0, 1, 2"),
    ],
)
def test_spectrograms_that_cannot_be(settings, message):
    with pytest.raises(SettingError, match=message):
        Spectrogram(**settings)


def test_sounds_that_cannot_be():
    with pytest.raises(DataError, match=r"a spectrogram is made of sound \(N, T\), not of \(3, 1, 4000\)"):
        Spectrogram().apply(sounds().unsqueeze(1), {})
    with pytest.raises(DataError, match="8 frames are too few for changes over 9"):
        Spectrogram(deltas=1).apply(torch.randn(1, 639), {})


@pytest.mark.parametrize(
    "setting", [{"kind": "logmel"}, {"rate": 16_000}, {"window": 200}, {"hop": 81}, {"bands": 39}, {"coefficients": 12}]
)
def test_every_setting_has_an_effect(setting):
    x, base = sounds(), Spectrogram()
    a, b = base.apply(x, {}), base.replace(**setting).apply(x, {})
    assert a.shape != b.shape or float((a - b).abs().max()) > 1


def ear(width: int = 8) -> nn.Module:
    return nn.Sequential(nn.Conv1d(13, width, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(width, 2))


def test_sound_through_a_run_and_back(tmp_path):
    time, dice = torch.arange(2000) / 8000, generator(0, "tones")
    y = torch.arange(60) % 2
    x = torch.sin(2 * torch.pi * (400 + 400 * y.unsqueeze(1)) * time) + 0.1 * torch.randn(60, 2000, generator=dice)
    task = Task(model=ear, data=((x, y), (x[:20], y[:20])), metrics=["accuracy"], preprocess=[Spectrogram(), "standardize"])
    last(train(task, recipe(stop__epochs=3), folder=tmp_path))
    model = load(tmp_path, task)
    assert measure(tmp_path, "valid", task)[0]["accuracy"] == 1.0
    assert float((model(x[:20]).argmax(1) == y[:20]).double().mean()) == 1.0
    with pytest.raises(SettingError, match=r"preprocessed by Spectrogram\(\), Standardize\(\); the task now says Spectrogram\(hop=100\)"):
        load(tmp_path, task.replace(preprocess=[Spectrogram(hop=100), "standardize"]))
    assert sorted(path.suffix for path in tmp_path.iterdir() if "preprocess" in path.name) == [".json", ".safetensors"]


# --- byte pairs ----------------------------------------------------------------------------------------------

TEXTS = [
    "low low low low low lower lower newest newest newest newest newest newest widest widest widest",
    "the lowest, the newest! é\n\n  é",
]


def learned_by_hand(texts: list[str], count: int) -> list[str]:
    """Sennrich et al., Algorithm 1, as it stands there: count every pair anew for each merge."""
    words = Counter(piece for text in texts for piece in pairs.pieces(text))
    spelled = {word: list(word) for word in words}
    found = list(pairs.BYTES)
    while len(found) < 256 + count:
        counts: Counter = Counter()
        for word, letters in spelled.items():
            for pair in pairwise(letters):
                counts[pair] += words[word]
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        if "".join(best) not in found:
            found.append("".join(best))
        spelled = {word: pairs.merged(letters, best) for word, letters in spelled.items()}
    return found


@pytest.mark.parametrize("texts", [TEXTS, HOSTILE, ["aaaa aaaaa aaa aa"], ["ababab abab"], [""]])
@pytest.mark.parametrize("count", [0, 1, 7, 60])
def test_pairs_are_learned_as_the_paper_says(texts, count):
    assert pairs.learn(texts, count) == learned_by_hand(texts, count)


def test_the_first_pairs():
    learned = pairs.learn(["low low low low low", "lowest lowest", "newer newer newer newer newer newer", "wider wider wider"], 3)[256:]
    assert learned == ["er", "lo", "low"]
    assert pairs.split("newer", {x: k for k, x in enumerate([*pairs.BYTES, "er", "ne", "new"])}) == ["new", "er"]
    assert pairs.split("eeee", {x: k for k, x in enumerate([*pairs.BYTES, "ee"])}) == ["ee", "ee"]


@pytest.mark.parametrize("size", [258, 300, 400])
def test_every_text_comes_back_from_its_pairs(size):
    vocabulary = Vocabulary(tokens="pairs", size=size, length=4000).fit(TEXTS)
    assert len(vocabulary.words) <= size - 2
    for text in [*TEXTS, *HOSTILE]:
        if "\ud800" not in text:
            ids = vocabulary.numbered(text)
            assert vocabulary.text(ids) == text and (len(ids) == 0 or (int(ids.min()) > 1 and int(ids.max()) < size))
    assert len(vocabulary.numbered("lowest newest")) < len("lowest newest") or size == 258
    again = Vocabulary(tokens="pairs", size=size, length=4000).knowing(vocabulary.words)
    assert torch.equal(again(TEXTS), vocabulary(TEXTS))


def test_pairs_through_a_run_and_back(tmp_path):
    texts, y = ["a fine day 🙂", "a bad day", "fine, really fine", "bad bad é"] * 10, [0, 1, 0, 1] * 10
    task = Task(
        model=lambda: nn.Sequential(nn.Embedding(300, 8), nn.Flatten(), nn.Linear(12 * 8, 2)),
        data=((texts, y), (texts[:8], y[:8])), preprocess=[Vocabulary(tokens="pairs", size=300, length=12)],
    )  # fmt: skip
    last(train(task, recipe(stop__epochs=2), folder=tmp_path))
    model = load(tmp_path, task)
    assert model.preprocess.vocabulary.text(model.preprocess(["a fine day 🙂"])[0]) == "a fine day 🙂"
    assert model(["never seen: ж"]).shape == (1, 2)


# --- words and characters ------------------------------------------------------------------------------------


def test_words_as_they_are_written_and_without_the_little_ones():
    texts = ["The film is not good, and it IS not short"]
    assert Vocabulary().cut(texts[0]) == ["the", "film", "is", "not", "good", ",", "and", "it", "is", "not", "short"]
    assert Vocabulary(lower=False).cut(texts[0])[:3] == ["The", "film", "is"]
    assert Vocabulary(stopwords="drop").cut(texts[0]) == ["film", "not", "good", ",", "not", "short"]
    assert Vocabulary(stopwords="drop", lower=False).fit(texts).words.count("IS") == 0
    assert not STOPWORDS & {"not", "no", "never", "nor", "without"} and {"the", "yourselves"} <= STOPWORDS


def test_texts_from_numbers():
    words = Vocabulary(length=4).fit(["a b c"])
    assert words.text(words(["c a x"])[0]) == "c a \ufffd"
    letters = Vocabulary(tokens="characters").fit(["abc"])
    assert letters.text(letters.numbered("ca b")) == "ca\ufffdb"
    assert sp.data.characters(8).text(sp.data.characters(8)(["Hi\n you"])[0]) == "Hi\n you"


def test_vocabularies_that_cannot_be():
    with pytest.raises(SettingError, match="byte pairs need at least 258, one for each byte"):
        Vocabulary(tokens="pairs", size=257)
    with pytest.raises(SettingError, match=r'Vocabulary\(tokens="characters", stopwords="drop"\): only words can be dropped'):
        Vocabulary(tokens="characters", stopwords="drop")
    with pytest.raises(SettingError, match="knows no words yet"):
        Vocabulary().numbered("a")
    with pytest.raises(SettingError, match="knows no words yet"):
        Vocabulary(tokens="pairs", size=300)(["a"])


def test_a_vocabulary_that_knows_its_words_stands_beside_numbers(tmp_path):
    """A language model learns from numbers, and is asked about texts."""
    data = sp.data.language("to be or not to be. " * 60, 8)

    class Next(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(98, 98)

        def forward(self, x):
            return self.table(x).transpose(1, 2)

    task = Task(model=Next, data=data, metrics=["accuracy"], preprocess=[sp.data.characters(8)])
    last(train(task, recipe(stop__epochs=30, optimizer__lr=0.1), folder=tmp_path))
    model = load(tmp_path, task)
    characters = model.preprocess.vocabulary
    assert characters.words == sp.data.characters(8).words
    assert characters.text(model(["nb"])[:, :, :2].argmax(1)[0]) == "oe"
    assert measure(tmp_path, "valid", task)[0]["accuracy"] > 0.4
    fitted = fit([sp.data.characters(4)], sp.data.gather((["ab", "äb"] * 9, [0, 1] * 9)).train)
    assert fitted.vocabulary == sp.data.characters(4) and fitted(["äb"]).tolist() == [[1, 69, 0, 0]]  # nothing was learned
    assert restored([sp.data.characters(4)], {}, fitted.facts())(["b"]).tolist() == [[69, 0, 0, 0]]


# --- padding -------------------------------------------------------------------------------------------------


def test_padding():
    rows = [torch.tensor([5, 6, 7]), torch.tensor([], dtype=torch.int64), torch.tensor([8])]
    assert pad(rows).tolist() == [[5, 6, 7], [0, 0, 0], [8, 0, 0]]
    assert pad(rows, 2).tolist() == [[5, 6], [0, 0], [8, 0]] and pad(rows, 4).shape == (3, 4) and pad([]).shape == (0, 0)


def test_buckets_need_less_padding_and_are_still_random():
    lengths = torch.randint(1, 200, (1003,), generator=generator(0, "lengths"))
    lengths[::3] = 50

    def padded(order: torch.Tensor) -> int:
        return sum(int(lengths[run].max()) * len(run) - int(lengths[run].sum()) for run in order.split(32))

    orders = [bucketed(lengths, 32, generator(0, "order", epoch)) for epoch in range(2)]
    assert all(sorted(order.tolist()) == list(range(1003)) for order in orders)
    assert torch.equal(orders[0], bucketed(lengths, 32, generator(0, "order", 0)))
    by_chance = padded(torch.randperm(1003, generator=generator(0, "chance")))
    assert padded(orders[0]) < 0.1 * by_chance
    batches = [{frozenset(run.tolist()) for run in order.split(32)} for order in orders]
    assert len(batches[0] & batches[1]) < 28  # samples of one length change places
    means = torch.stack([lengths[run].double().mean() for run in orders[0].split(32)][:-1])
    assert abs(float(torch.corrcoef(torch.stack([means, torch.arange(31.0).double()]))[0, 1])) < 0.5  # and runs come by chance
    with pytest.raises(SettingError, match="bucketed: size = 0; a batch has at least 1"):
        bucketed(lengths, 0, generator(0, "order"))


def test_the_run_that_is_not_full_comes_last():
    order = bucketed(torch.arange(10), 4, generator(0, "order"))
    assert sorted(order[8:].tolist()) == [8, 9] and {frozenset(x.tolist()) for x in order[:8].split(4)} == {
        frozenset(range(4)),
        frozenset(range(4, 8)),
    }
