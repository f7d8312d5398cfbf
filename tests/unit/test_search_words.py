"""How a text is cut into the words that are looked for."""

import pytest

from app.models.search_words import LONGEST, means_only_itself, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('Sony - 55" TV', ["Sony", "55", "TV"]),
        ("men's USB-C usb_stick", ["men", "s", "USB", "C", "stick"]),
        ("tv TV Tv télé TÉLÉ", ["tv", "télé"]),
        ("Straße Øl m³ Ærø", ["Strasse", "Ol", "m3", "AEro"]),
        ("the case for a phone", ["case", "phone"]),
        ("The Who", ["The", "Who"]),
        ("हिन्दी 日本語 한국어", ["हिन्दी", "日本語", "한국어"]),
        ("+-\"*()~<>@'%_\\ 😀 \u0301", []),
        ("", []),
        ("x" * 100, ["x" * LONGEST]),
    ],
)
def test_words_are_letters_and_digits_each_once_without_stop_words_beside_others(text, found):
    assert words(text) == found


def test_a_lone_letter_or_digit_of_the_latin_script_stands_for_nothing_longer():
    assert [mark for mark in "a9éc日я" if means_only_itself(mark)] == ["a", "9", "é", "c"]
