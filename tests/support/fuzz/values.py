"""Values that readers trip over."""

from __future__ import annotations

import math
from random import Random
from typing import Any

EXTREMES = (
    *(0, -1, 1, 2, 3, 127, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**40, 2**53, 2**63 - 1, 2**63, 2**64),
    *(-(2**31), -(2**63), 10**12, 10**18, 10**19, 10**400, -(10**400)),
    *(0.0, -0.0, 0.5, 1e-320, 1e38, 1e39, 1e308, -1e308, math.inf, -math.inf, math.nan),
)
TEXTS = (
    *("", " ", "\n", "\x00", "\ud800", "a" * 5000, "é" * 300, "\u202e", "../../x", "/etc/passwd", "C:\\x", "~", "."),
    *("<script>alert(1)</script>", "{{7*7}}", "%s%n", "None", "nan", "NaN", "-", "1e999", "0x10", "true", "null"),
    *("train", "test", "genotype", "float32", "O", "|O", "<U0", "|V8", "<f8", "<i8", "(1,)", "[('a','<i4')]"),
)
TOKENS = (
    *("null", "true", "false", "NaN", "Infinity", "-Infinity", '"x"', "[]", "{}", "[[]]", '{"":0}', "\\", '"', "'"),
    *("&a", "*a", "<<: *a", "!!python/object/apply:os.getcwd []", "!!binary =", "!!timestamp x", "!!int ''", "!!set"),
    *("!!float x", "!!bool x", "!!omap [a]", "2001-99-99", "1:60:60", "? [a]", "- -", "|", ">", "%", "@", "---", "..."),
    *("class_path", "init_args", "\t", "\x0b", "\x85", "\u2028", "\x00", "\ufeff", "0b", "0o9", "1_0", "~", "#"),
    *("'\\d'", "10L", "()", "(1,)*3", "b''", "{1:2}", "lambda: 0", "-" * 100, "<U0", "|O", "<U99999999", "V0"),
)


FINITE = tuple(one for one in EXTREMES if abs(one) < 2**65)


def number(random: Random) -> float:
    """A number at an edge of some type, or beside it; finite, and small enough to be packed into bytes."""
    return random.choice(FINITE) + random.choice((0, 0, 0, 1, -1))


def value(random: Random, depth: int = 0) -> Any:
    """Any JSON value."""
    kind = random.randrange(8 if depth < 3 else 6)
    if kind < 2:
        return random.choice(EXTREMES)
    if kind < 4:
        return random.choice(TEXTS)
    if kind < 6:
        return random.choice((None, True, False, [], {}))
    inner = [value(random, depth + 1) for _ in range(random.choice((1, 2, 5)))]
    return inner if kind == 6 else {str(random.choice(TEXTS))[:40]: one for one in inner}
