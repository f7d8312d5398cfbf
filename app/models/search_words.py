"""What a search looks for: the words of a text, cut and compared in the same way whichever database finds them."""

import unicodedata

# What InnoDB calls its default stop words. No database is asked for them beside other words.
STOP_WORDS = frozenset({
    "a", "about", "an", "are", "as", "at", "be", "by", "com", "de", "en", "for", "from", "how", "i", "in", "is", "it",
    "la", "of", "on", "or", "that", "the", "this", "to", "und", "was", "what", "when", "where", "who", "will", "with",
    "www",
})  # fmt: skip
# Letters without an accent to leave out, which are still written in a plain way by who lacks them on the keyboard.
# MySQL and MariaDB compare them so, and the index of SQLite spells them so (migration 0005).
PLAIN = {
    "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D",
    "ð": "d", "Ð": "D", "ł": "l", "Ł": "L", "ħ": "h", "Ħ": "H", "²": "2", "³": "3",
}  # fmt: skip
_PLAIN = str.maketrans(PLAIN)
# InnoDB passes over words with more than innodb_ft_max_token_size (84) letters, two of which mark the end of each.
LONGEST = 82


def words(text: str) -> list[str]:
    """The words of `text` in their order, each once. Stop words are among them only when there is nothing else."""
    found: dict[str, str] = {}
    for word in "".join(mark if _is_in_words(mark) else " " for mark in text.translate(_PLAIN)).split():
        found.setdefault(_key(word[:LONGEST]), word[:LONGEST])
    found.pop("", None)  # an accent alone is no word
    return [word for key, word in found.items() if key not in STOP_WORDS] or list(found.values())


def means_only_itself(word: str) -> bool:
    """A lone letter or digit stands for no longer word: the C of USB-C is not the beginning of "case"."""
    return len(word) == 1 and _key(word).isascii()


def _key(word: str) -> str:
    """The word without case and accents, for comparing words of one search. A database compares in its own way."""
    parts = unicodedata.normalize("NFKD", word.casefold())
    return "".join(part for part in parts if unicodedata.category(part) != "Mn")


def _is_in_words(mark: str) -> bool:
    # Letters, numbers, and the marks that belong to them, which Python's own \w leaves out.
    return unicodedata.category(mark)[0] in "LNM"
