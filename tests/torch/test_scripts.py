"""Programs in the shape of public ones, with ``torch.nn`` and one import changed: a word-language model, a char-rnn."""

import io

import pytest

torch = pytest.importorskip("torch")

import pylstm.datasets  # noqa: E402  (after the skip)
import pylstm.torch  # noqa: E402

TEXT = pylstm.datasets.manual_topics()[:12_000]
SPACES = {"torch.nn": torch.nn, "pylstm.torch": pylstm.torch}


def indices(parts):
    """Numbers of `parts`, and how many there are."""
    places = {part: k for k, part in enumerate(sorted(set(parts)))}
    return torch.tensor([places[part] for part in parts]), len(places)


def detached(state):
    return tuple(map(detached, state)) if isinstance(state, tuple) else state.detach()


class Words(torch.nn.Module):
    """Embedding, two layers, a decoder whose weights are those of the embedding."""

    def __init__(self, space, kind, count, width):
        super().__init__()
        self.encoder = torch.nn.Embedding(count, width)
        self.rnn = getattr(space, kind)(width, width, 2)
        self.decoder = torch.nn.Linear(width, count)
        self.decoder.weight = self.encoder.weight
        torch.nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        torch.nn.init.zeros_(self.decoder.bias)

    def forward(self, words, hidden=None):
        y, hidden = self.rnn(self.encoder(words), hidden)
        return torch.log_softmax(self.decoder(y).flatten(0, 1), 1), hidden


def train_words(space, kind):
    """Losses of training with states carried from piece to piece, and the trained model's on the first, read anew."""
    torch.manual_seed(1)
    data, count = indices(TEXT.split())
    rows = data[: len(data) // 8 * 8].view(8, -1).t().contiguous()
    model, losses, hidden = Words(space, kind, count, 24), [], None
    for start in range(0, min(len(rows) - 1, 120), 15):
        words, targets = rows[start : start + 15], rows[start + 1 : start + 16]
        words = words[: len(targets)]
        model.zero_grad()
        hidden = None if hidden is None else detached(hidden)
        y, hidden = model(words, hidden)
        loss = torch.nn.functional.nll_loss(y, targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for weight in model.parameters():
            weight.data.add_(weight.grad, alpha=-2.0)
        losses.append(loss.item())
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    with torch.serialization.safe_globals(
        [Words, torch.nn.Embedding, torch.nn.Linear, torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN]
    ):
        read = torch.load(file, weights_only=True).eval()
    read.rnn.flatten_parameters()
    with torch.no_grad():
        return [*losses, torch.nn.functional.nll_loss(read(rows[:15])[0], rows[1:16].flatten()).item()]


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_word_language_model(kind):
    theirs, ours = (train_words(space, kind) for space in SPACES.values())
    assert theirs[-2] < theirs[0] - 0.03
    assert ours == pytest.approx(theirs, abs=1e-4)


def train_characters(space, kind):
    """Losses of training on random pieces, one call of the layers a character, and what the model writes after it."""
    torch.manual_seed(2)
    data, count = indices(TEXT)
    embedding, rnn, head = torch.nn.Embedding(count, 20), getattr(space, kind)(20, 20, 2), torch.nn.Linear(20, count)
    optimiser = torch.optim.Adam([*embedding.parameters(), *rnn.parameters(), *head.parameters()], lr=0.01)
    losses = []
    for _ in range(12):
        starts = torch.randint(len(data) - 21, (6,)).tolist()
        pieces = torch.stack([data[start : start + 21] for start in starts])
        hidden = torch.zeros(2, 6, 20)
        hidden = (hidden, hidden) if kind == "LSTM" else hidden
        loss = 0
        optimiser.zero_grad()
        for t in range(20):
            y, hidden = rnn(embedding(pieces[:, t]).view(1, 6, -1), hidden)
            loss = loss + torch.nn.functional.cross_entropy(head(y.view(6, -1)), pieces[:, t + 1])
        loss.backward()
        optimiser.step()
        losses.append(loss.item() / 20)
    written, hidden = [0], None
    for _ in range(10):
        y, hidden = rnn(embedding(torch.tensor(written[-1])).view(1, 1, -1), hidden)
        written.append(int(head(y.view(-1)).argmax()))
    return losses, written


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_character_model_that_calls_once_a_step(kind):
    (theirs, written), (ours, also) = (train_characters(space, kind) for space in SPACES.values())
    assert theirs[-1] < theirs[0] - 0.1
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert also == written
