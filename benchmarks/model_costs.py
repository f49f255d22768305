"""What each part of a C-MELT model computes and moves in a training step, in closed form: matrix products and nothing else.

Norms, activations, dropout and softmax are left out of the operations (they are below 2 %) and of the bytes, as a graph has
them that fuses each into the product beside it. A multiplication and an addition are two operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cmelt.config.settings import ModelSettings

#: fwd + bwd GFLOP a record of the authors' release at 64 text tokens, as it was measured: every place of every layer and head.
RELEASE = {
    "fusion": 49.7, "T5": 33.1, "ECG transformer": 27.3, "MEM decoder": 15.4, "MLM head": 9.7,
    "positional convolution": 8.9, "front end": 1.8,
}  # fmt: skip
RELEASE_TOTAL = 146.7
#: Pairs that the paper's run shows to its model: 300,000 steps of 128.
PAPER_VIEWS = 38.4e6


@dataclass(frozen=True)
class Product:
    """`count` matrix products [m, k] · [k, n] for each record.

    Attributes:
        gradients: how many of the two sides get one: 2, or fewer where a side is data or a table.
        weights: whether [k, n] are weights: read once a step and not once a record.
        read: values of the left side that lie in memory, where that is not m · k · count (convolutions read each value once).
        once: whether it is done once a step, whatever the batch.
    """

    m: int
    k: int
    n: int
    count: int = 1
    gradients: int = 2
    weights: bool = True
    read: int | None = None
    once: bool = False

    def operations(self, batch: int) -> tuple[int, int]:
        """Of a step, forward and backward: as many for each gradient as forward."""
        forward = 2 * self.m * self.k * self.n * self.count * (1 if self.once else batch)
        return forward, forward * self.gradients

    def values_moved(self, batch: int) -> tuple[int, int]:
        """Values read and written in a step, forward and backward, when each side is touched once a product."""
        records = 1 if self.once else batch
        left = (self.m * self.k * self.count if self.read is None else self.read) * records
        right = self.k * self.n * self.count * (1 if self.weights else records)
        forward = left + right + self.m * self.n * self.count * records
        return forward, forward * self.gradients


@dataclass(frozen=True)
class Work:
    """How much of everything a training step computes for one record.

    Attributes:
        text_tokens: word pieces, padding included where it is computed.
        kept: ECG tokens that go through the transformer, beside the class token.
        word_places: text tokens that the word head is asked at.
        frugal: what nothing is asked of is not computed: the front end at hidden tokens, positions anywhere but at kept ones,
            in the last fusion layer all but the first and the masked tokens, in the decoder's last all but the hidden ones.
    """

    text_tokens: int
    kept: int
    word_places: int
    frugal: bool

    @classmethod
    def whole(cls, settings: ModelSettings, text_tokens: int, keep: float = 0.25) -> Work:
        """As the release computes it: every place of every layer and head."""
        return cls(text_tokens, int(keep * tokens_of(settings)), text_tokens, frugal=False)

    @classmethod
    def ours(cls, settings: ModelSettings, text_tokens: int, keep: float = 0.25, masked: float = 0.25) -> Work:
        """As `CMeltModel` computes it."""
        words = max(1, round(masked * text_tokens))
        return cls(text_tokens, int(keep * tokens_of(settings)), words, frugal=True)


def tokens_of(settings: ModelSettings) -> int:
    """ECG tokens of a whole record."""
    return settings.ecg.samples // settings.ecg.samples_per_token


def products(settings: ModelSettings, work: Work) -> dict[str, list[Product]]:
    """The matrix products of each part of a model with a strided front end and a T5 encoder, all four objectives asked."""
    return {
        "front end": list(_front_end(settings, work)),
        "positional convolution": list(_positions(settings, work)),
        "ECG transformer": list(_ecg_transformer(settings, work)),
        "T5": list(_t5(settings.text.architecture, work)),
        "projections": list(_projections(settings, work)),
        "fusion": list(_fusion(settings, work)),
        "MEM decoder": list(_decoder(settings, work)),
        "MLM head": list(_word_head(settings, work)),
    }


@dataclass(frozen=True)
class Cost:
    """Operations, and values moved, of one part in a step; (forward, backward)."""

    operations: tuple[int, int]
    moved: tuple[int, int]


def costs(settings: ModelSettings, work: Work, batch: int = 1) -> dict[str, Cost]:
    """The cost of each part in a step of `batch` records."""
    found = {}
    for part, those in products(settings, work).items():
        operations = [product.operations(batch) for product in those]
        moved = [product.values_moved(batch) for product in those]
        found[part] = Cost(_sums(operations), _sums(moved))
    return found


def _sums(pairs: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(forward for forward, _ in pairs), sum(backward for _, backward in pairs)


def gflop_a_record(found: Mapping[str, Cost], batch: int) -> dict[str, float]:
    """Forward and backward, by part."""
    return {part: sum(cost.operations) / batch / 1e9 for part, cost in found.items()}


def seconds_at_best(found: Mapping[str, Cost], peak: float, bandwidth: float, value_bytes: int) -> dict[str, float]:
    """Seconds that each part of the step takes at least: the slower of computing and moving.

    Args:
        peak: operations a second; bandwidth: bytes a second.
    """
    return {
        part: max(sum(cost.operations) / peak, sum(cost.moved) * value_bytes / bandwidth) for part, cost in found.items()
    }  # fmt: skip


def _linear(tokens: int, before: int, after: int) -> Product:
    return Product(tokens, before, after)


def _attention(asked: int, context: int, width: int, heads: int, inner: int) -> Iterator[Product]:
    """What `asked` tokens ask of a context [context, width]; `inner` channels in all heads together."""
    yield from [_linear(asked, width, inner)] + [_linear(context, width, inner)] * 2
    yield Product(asked, inner // heads, context, heads, weights=False)
    yield Product(asked, context, inner // heads, heads, weights=False)
    yield _linear(asked, inner, width)


def _feed_forward(tokens: int, width: int, inner: int) -> Iterator[Product]:
    yield _linear(tokens, width, inner)
    yield _linear(tokens, inner, width)


def _front_end(settings: ModelSettings, work: Work) -> Iterator[Product]:
    ecg = settings.ecg
    length, before, window = ecg.samples, ecg.leads, ecg.leads * ecg.stem_kernel
    if work.frugal:
        # The first norm's mean and variance over the record, from the covariance of what the first stage looks at.
        yield Product(window, length // ecg.stem_kernel, window, gradients=0, weights=False)
        yield Product(ecg.stem_channels[0], window, window, gradients=1, weights=False)
        yield Product(ecg.stem_channels[0], window, 1, gradients=1, weights=False)
        length = work.kept * ecg.samples_per_token
    for place, after in enumerate(ecg.stem_channels):
        outputs = (length - ecg.stem_kernel) // 2 + 1
        yield Product(outputs, before * ecg.stem_kernel, after, gradients=2 if place else 1, read=before * length)
        length, before = outputs, after


def _positions(settings: ModelSettings, work: Work) -> Iterator[Product]:
    ecg, tokens = settings.ecg, tokens_of(settings)
    group = ecg.width // ecg.position_groups
    if not work.frugal:
        # Padded by half a kernel on both sides, an even kernel gives one output more than there are tokens.
        outputs = tokens + 1 - ecg.position_kernel % 2
        yield Product(outputs, group * ecg.position_kernel, group, ecg.position_groups, read=tokens * ecg.width)
        return
    frequencies = (tokens + ecg.position_kernel // 2) // 2 + 1
    # Cosines and sines: of the taps (whose sizes go with the waves) once a step, of the kept tokens, and back; between them
    # the product of the spectra.
    yield Product(frequencies, ecg.position_kernel, ecg.width * group, 2, once=True)
    yield Product(frequencies, work.kept, ecg.width, 2, gradients=1, weights=False)
    yield Product(1, group, group, 4 * frequencies * ecg.position_groups)
    yield Product(work.kept, frequencies, ecg.width, 2, gradients=1, weights=False)


def _ecg_transformer(settings: ModelSettings, work: Work) -> Iterator[Product]:
    ecg, tokens = settings.ecg, work.kept + 1
    for _ in range(ecg.layers):
        yield from _attention(tokens, tokens, ecg.width, ecg.heads, ecg.width)
        yield from _feed_forward(tokens, ecg.width, ecg.feed_forward)


def _t5(sizes: Mapping[str, int | str | bool | float], work: Work) -> Iterator[Product]:
    width, head, heads, inner = (int(sizes[key]) for key in ("d_model", "d_kv", "num_heads", "d_ff"))
    gated, tokens = str(sizes.get("feed_forward_proj", "relu")).startswith("gated"), work.text_tokens
    for _ in range(int(sizes["num_layers"])):
        yield from _attention(tokens, tokens, width, heads, heads * head)
        yield from _feed_forward(tokens, width, inner)
        if gated:
            yield _linear(tokens, width, inner)


def _projections(settings: ModelSettings, work: Work) -> Iterator[Product]:
    """Into the transformer, out of both encoders, and the poolers of both before fusion."""
    ecg, width = settings.ecg, settings.width
    yield _linear(work.kept if work.frugal else tokens_of(settings), ecg.stem_channels[-1], ecg.width)
    yield _linear(work.kept + 1, ecg.width, width)
    yield _linear(work.text_tokens, int(settings.text.architecture["d_model"]), width)
    yield from [_linear(1, width, width)] * 2


def _fusion(settings: ModelSettings, work: Work) -> Iterator[Product]:
    """Pairs of layers, the poolers behind them, and the match head."""
    width, fusion, ecg, text = settings.width, settings.fusion, work.kept + 1, work.text_tokens
    for own, other, asked_at_last in ((text, ecg, work.word_places + 1), (ecg, text, 1)):
        for layer in range(fusion.layers):
            asked = asked_at_last if work.frugal and layer + 1 == fusion.layers else own
            yield from _attention(asked, own, width, fusion.heads, width)
            yield from _attention(asked, other, width, fusion.heads, width)
            yield from _feed_forward(asked, width, fusion.feed_forward)
        yield _linear(1, width, width)
    yield _linear(1, 2 * width, 2)


def _decoder(settings: ModelSettings, work: Work) -> Iterator[Product]:
    decoder, tokens = settings.decoder, tokens_of(settings)
    hidden = tokens - work.kept if work.frugal else tokens + 1
    yield _linear(work.kept + 1, settings.width, decoder.width)
    for layer in range(decoder.layers):
        asked = hidden if layer + 1 == decoder.layers else tokens + 1
        yield from _attention(asked, tokens + 1, decoder.width, decoder.heads, decoder.width)
        yield from _feed_forward(asked, decoder.width, 4 * decoder.width)
    yield _linear(hidden, decoder.width, settings.ecg.samples_per_token * settings.ecg.leads)


def _word_head(settings: ModelSettings, work: Work) -> Iterator[Product]:
    yield _linear(work.word_places, settings.width, settings.width)
    yield _linear(work.word_places, settings.width, int(settings.text.architecture["vocab_size"]))
