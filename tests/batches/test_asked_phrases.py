"""Which phrases a batch is asked for: told apart by the batch, of the archive whose words they are."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from cmelt.batches.corpus import Corpus
from cmelt.batches.phrases import load_phrases, phrase_book, save_phrases
from cmelt.config.settings import PhraseSettings
from cmelt.errors import CheckpointError, StoreError
from cmelt.publishing import published
from cmelt.text.phrases import mine_phrases
from unpickled import Canary

REPORTS = [
    "sinus rhythm. left bundle branch block",
    "sinus rhythm. normal ecg",
    "vorhofflimmern. linkstyp",
    "sinusrhythmus. linkstyp",
]
SETTINGS = PhraseSettings(least=2, share=0.9)


def corpus() -> Corpus:
    """Two archives: six English records, six German ones."""
    group = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
    store = np.array([0] * 6 + [1] * 6)
    return Corpus(np.arange(12), group, REPORTS, np.ones((12, 12), bool), 0, store)


def test_asked_phrases_are_held_by_some_and_not_by_all():
    pairs, book = corpus(), phrase_book(corpus(), SETTINGS)
    chosen = np.array([0, 3, 4, 6, 9])
    asked, held, counted = book.ask(pairs.group[chosen], pairs.store[chosen], 50, np.random.default_rng(0))
    texts = {book.phrases.texts[phrase] for phrase in asked}
    assert texts == {"left bundle branch block", "normal ecg", "vorhofflimmern", "sinusrhythmus"}
    assert (held & counted).any(0).all()
    assert (~held & counted).any(0).all()


def test_a_phrase_is_asked_of_its_own_archive_alone():
    pairs, book = corpus(), phrase_book(corpus(), SETTINGS)
    chosen = np.array([0, 3, 6, 9])
    asked, _, counted = book.ask(pairs.group[chosen], pairs.store[chosen], 50, np.random.default_rng(0))
    told = dict(zip([book.phrases.texts[phrase] for phrase in asked], counted.T.tolist(), strict=True))
    assert told["vorhofflimmern"] == [False, False, True, True]
    assert told["normal ecg"] == [True, True, False, False]


@pytest.mark.parametrize("records", [1, 2, 5, 12])
def test_what_is_asked_is_found_by_looking_at_every_phrase_and_every_record(records):
    pairs, book = corpus(), phrase_book(corpus(), SETTINGS)
    for seed in range(20):
        chosen = np.random.default_rng(seed).permutation(12)[:records]
        groups, stores = pairs.group[chosen], pairs.store[chosen]
        has, may = book.phrases.in_reports(groups), book.home[:, None] == stores  # [P, B]
        told = (has & may).any(1) & (~has & may).any(1)
        able = np.flatnonzero(told) if told.any() else np.arange(len(told))
        slow = np.random.default_rng(seed).permutation(able)[:3]
        asked, held, counted = book.ask(groups, stores, 3, np.random.default_rng(seed))
        assert asked.tolist() == slow.tolist()
        assert np.array_equal(held, has[slow].T) and np.array_equal(counted, may[slow].T)
        assert held.dtype == counted.dtype == bool


def test_no_more_are_drawn_than_asked_for_and_the_draw_is_a_function_of_the_generator():
    pairs, book = corpus(), phrase_book(corpus(), SETTINGS)
    draws = [book.ask(pairs.group, pairs.store, 2, np.random.default_rng(5))[0] for _ in range(2)]
    assert draws[0].tolist() == draws[1].tolist()
    assert len(draws[0]) == 2


def test_saved_phrases_come_back_and_an_altered_folder_is_refused(tmp_path):
    book = phrase_book(corpus(), SETTINGS)
    save_phrases(book, tmp_path / "phrases")
    again = load_phrases(tmp_path / "phrases")
    assert again.phrases.texts == book.phrases.texts
    assert np.array_equal(again.home, book.home)
    assert np.array_equal(again.phrases.in_reports(np.arange(4)), book.phrases.in_reports(np.arange(4)))
    (tmp_path / "phrases" / "texts.json").write_text("[]")
    with pytest.raises(CheckpointError):
        load_phrases(tmp_path / "phrases")


def test_phrases_are_written_one_a_line_as_they_read(tmp_path):
    """A clinician can look through them."""
    book = phrase_book(replace(corpus(), distinct=[*REPORTS[:2], "größere q-zacke. linkstyp", REPORTS[3]]), SETTINGS)
    save_phrases(book, tmp_path / "phrases")
    text = (tmp_path / "phrases" / "texts.json").read_text(encoding="utf-8")
    assert text.splitlines() == ["[", *(f'"{phrase}",' for phrase in book.phrases.texts[:-1]), f'"{book.phrases.texts[-1]}"', "]"]
    assert "größere q" in text
    assert load_phrases(tmp_path / "phrases").phrases.texts == book.phrases.texts


def test_a_pickle_in_the_place_of_the_phrases_archives_is_not_opened(tmp_path):
    """Whoever writes the folder writes its hashes, too: what numpy would unpickle it must refuse."""
    save_phrases(phrase_book(corpus(), SETTINGS), tmp_path / "phrases")
    with published(tmp_path / "forged") as staging:
        for name in ("texts.json", "held.npz"):
            shutil.copy(tmp_path / "phrases" / name, staging)
        np.save(staging / "home.npy", np.array([Canary(tmp_path / "was-here")], dtype=object), allow_pickle=True)
    with pytest.raises(CheckpointError, match=r"home\.npy holds no numbers"):
        load_phrases(tmp_path / "forged")
    assert not (tmp_path / "was-here").exists()


#: None finds the phrases that another one does.
TRIED = [
    PhraseSettings(**{"least": 2, "share": 0.9} | change)
    for change in ({}, {"longest": 2}, {"share": 1.0}, {"share": 1.0, "least": 4}, {"most": 1})
]


@pytest.mark.parametrize("settings", TRIED)
@pytest.mark.parametrize("patients", [(), tuple("aabbccddeeff"), tuple("aaabbbcccddd")])
def test_a_book_holds_what_each_archive_s_own_reports_give_under_its_settings(settings, patients):
    pairs = replace(corpus(), patients=patients)
    number = np.unique(patients, return_inverse=True)[1] if patients else None
    given = {name: getattr(settings, name) for name in ("longest", "least", "share", "most")}
    mined = [
        mine_phrases(REPORTS, pairs.group[here], None if number is None else number[here], **given)
        for here in (pairs.store == 0, pairs.store == 1)
    ]
    if not (mined[0].texts or mined[1].texts):
        with pytest.raises(StoreError, match="no phrase occurs"):
            phrase_book(pairs, settings)
        return
    book = phrase_book(pairs, settings)
    assert book.phrases.texts == (*mined[0].texts, *mined[1].texts)
    assert book.home.tolist() == [0] * len(mined[0].texts) + [1] * len(mined[1].texts) and book.home.dtype == np.int64
    reports = np.arange(len(REPORTS))
    assert np.array_equal(book.phrases.in_reports(reports), np.concatenate([one.in_reports(reports) for one in mined]))


def test_every_setting_decides_what_is_found():
    assert len({phrase_book(corpus(), settings).phrases.texts for settings in TRIED}) == len(TRIED)


def test_a_corpus_without_recurring_phrases_says_so():
    with pytest.raises(StoreError, match=r"(?s)reports.*no phrase occurs in 100 records .*lower objectives\.phrase\.least"):
        phrase_book(corpus(), PhraseSettings(least=100))


def test_no_more_phrases_are_kept_of_an_archive_than_asked_for():
    assert phrase_book(corpus(), PhraseSettings(least=2, share=0.9, most=1)).home.tolist() == [0, 1]
    assert len(phrase_book(corpus(), SETTINGS).home) > 2
