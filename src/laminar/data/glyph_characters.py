"""Which characters the embedded pictures show: their classes, their names, and which are kept for pretraining."""

import unicodedata

from laminar.core.errors import DataError, suggest

__all__ = ["DEMO_CHARACTERS", "PRETRAINING_CHARACTERS", "character_of", "class_name"]

DEMO_CHARACTERS: dict[str, str] = {
    "airplane": "✈",
    "ampersand": "&",
    "anchor": "⚓",
    "at_sign": "@",
    "club": "♣",
    "cup": "☕",
    "dollar": "$",
    "euro": "€",
    "hash": "#",
    "heart": "♥",
    "infinity": "∞",
    "integral": "∫",
    "notes": "♫",
    "percent": "%",
    "pilcrow": "¶",
    "pound": "£",
    "question": "?",
    "root": "√",
    "scissors": "✂",
    "section": "§",
    "smiley": "☺",
    "snowman": "☃",
    "spade": "♠",
    "star": "★",
    "sun": "☀",
    "telephone": "☎",
    "umbrella": "☂",
    "yen": "¥",
}
"""Classes of the demo, the tutorials and the tests, by name. The pretrained network has seen none of them."""

_PRETRAINING_SETS = (
    "23456789",
    "ABCDEFGHJKLMNOPQRSTUVWXYZ",
    "abdefghijmnqrty",
    "ÆŒÞßŋəɣʎɮʘ",
    "ΓΔΘΛΞΠΣΦΨΩαβγδζηλμξπσω",
    "БДЖИЦЧШЩЪЫЭЮЯЂЉЊ",
    "ԲԳԴԵԶԷԹԺԻԼԽԾԿՀՁՃՄՅՇՉՊՋՎՔՖ",
    "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
    "אבגהטכלמנסעפצקרשת",
    "جدرسصطعفكلمنهويث",
    "ⴳⴻⴼⴽⵃⵅⵚⵛⵟⵣⵥ",
    "ᐁᐅᐊᒉᒋᒍᒐᒣᒥᒧᒪ",
    "±×÷≠≈≤≥⊂⊃∈∋∀∃∅∩⊕⊗⊥∴∝⊢⊨⊞⊠⋈",
    "←↑→↓↔↕↩↪↯↺⇐⇑⇒⇓⇔",
    "■▲▶▼◀◆●◐◑◒◓◢◣◤◥▣▤▥▧▨◈◎",
    "♔♕♖♗♘♙♚♛♜♝♞♟",
    "♈♉♊♋♌♍♎♏♐♑♒♓☿♀♂♃♄♅♆",
    "☰☱☲☳☴☵☶☷⚀⚁⚂⚃⚄⚅",
    "✇✌✍✒✗✚✝✠✡✤✦✱✺✾❀❍❏❖❧",
    "☄☇☌☋☐☒☚☝☡☢☣☤☥☦☧☪☫☬☭☮☯☸☽♨♭♮♻⚐⚒⚔⚕⚖⚘⚙⚛⚜⚠",
    "¢¤₡₦₩₪₫₮₱₲₴₵",
    "!*+;{}[~^",
)

PRETRAINING_CHARACTERS: str = "".join(_PRETRAINING_SETS)
"""Classes on which the shipped network is trained: never one of `DEMO_CHARACTERS`, no two that look the same."""


def class_name(character: str) -> str:
    """Return the name of a character's class, safe as a folder name.

    >>> class_name("♥"), class_name("α")
    ('heart', 'greek_small_letter_alpha')
    """
    for name, known in DEMO_CHARACTERS.items():
        if known == character:
            return name
    return unicodedata.name(character).lower().replace(" ", "_").replace("-", "_")


def character_of(name: str) -> str:
    """Return the character of a class, given as the class's name or as the character itself.

    Raises:
        DataError: no such class; the message suggests the nearest one.
    """
    if len(name) == 1:
        return name
    by_name: dict[str, str] = {
        class_name(character): character for character in (*DEMO_CHARACTERS.values(), *PRETRAINING_CHARACTERS)
    }
    if name not in by_name:
        raise DataError(f"no glyph class is called {name!r}.{suggest(name, by_name)}")
    return by_name[name]
