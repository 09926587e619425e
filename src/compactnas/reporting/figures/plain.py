"""Turn a figure into one whose elements hold their own colours, for papers: programs other than browsers draw it alike.

A page's figure gets its style from `figures.css`, which has variables and a dark scheme. Here the light scheme is
written into attributes. The style sheet is ours, so only what it uses is understood: tags, classes, descendants.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from xml.etree import ElementTree as ET

from compactnas.reporting.figures.svg import stylesheet

ATTRIBUTES = (
    *("fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity"),
    *("font-size", "font-weight", "paint-order"),
)
"""Properties of the style sheet that become attributes."""
FONT = "Helvetica, Arial, sans-serif"
INHERITED = ("font-size", "font-weight")
"""Properties that children take from their parent; so do variables."""


@dataclass(frozen=True)
class Rule:
    """A rule of the style sheet: parts of its selector, such as (("text", {"cn-small"}),), and its properties."""

    parts: tuple[tuple[str, frozenset[str]], ...]
    properties: tuple[tuple[str, str], ...]

    @property
    def weight(self) -> tuple[int, int]:
        """Specificity: number of classes, then of tags."""
        return sum(len(classes) for _, classes in self.parts), sum(bool(tag) for tag, _ in self.parts)


def plain_figure(figure: ET.Element) -> ET.Element:
    """Copy a figure as an SVG document with its own colours on white. It depends on the figure alone."""
    rules, variables = _rules()
    box = (figure.get("viewBox") or "0 0 0 0").split()
    whole = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": " ".join(box),
            "width": box[2],
            "height": box[3],
            "font-family": FONT,
            "font-size": "12",
        },
    )
    whole.append(ET.Element("rect", {"width": box[2], "height": box[3], "fill": variables["--cn-card"]}))
    whole.extend(_plain(child, [figure], rules, variables, {"font-size": "12"}) for child in figure)
    return whole


def svg_bytes(figure: ET.Element) -> bytes:
    """Write a plain figure as the content of an SVG file."""
    text = ET.tostring(figure, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def _plain(
    element: ET.Element,
    above: list[ET.Element],
    rules: tuple[Rule, ...],
    variables: Mapping[str, str],
    inherited: Mapping[str, str],
) -> ET.Element:
    """Copy an element with its children, and write its style into attributes."""
    path = [*above, element]
    style: dict[str, str] = {}
    for rule in rules:
        if _fits(rule, path):
            style.update(rule.properties)
    own = dict(variables) | {name: value for name, value in style.items() if name.startswith("--")}
    passed = dict(inherited) | {name: style[name].removesuffix("px") for name in INHERITED if name in style}
    made = ET.Element(element.tag, {key: value for key, value in element.attrib.items() if key != "class"})
    for name in ATTRIBUTES:
        if name in style:
            made.set(name, _value(style[name], own))
    if element.tag in ("text", "tspan"):
        for name in INHERITED:
            if name in passed:
                made.set(name, passed[name])
    made.text, made.tail = element.text, element.tail
    made.extend(_plain(child, path, rules, own, passed) for child in element)
    return made


def _value(value: str, variables: Mapping[str, str]) -> str:
    """Replace the variables of a value, which may name others."""
    while found := re.search(r"var\((--[\w-]+)\)", value):
        value = value.replace(found[0], variables.get(found[1], "none"))
    return value.removesuffix("px")


def _fits(rule: Rule, path: list[ET.Element]) -> bool:
    """Check whether the last element of a path fits a selector, whose parts are descendants of each other."""
    *before, last = rule.parts
    if not _is(path[-1], last):
        return False
    rest = path[:-1]
    for part in reversed(before):
        while rest and not _is(rest[-1], part):
            rest = rest[:-1]
        if not rest:
            return False
        rest = rest[:-1]
    return True


def _is(element: ET.Element, part: tuple[str, frozenset[str]]) -> bool:
    tag, classes = part
    return (not tag or element.tag == tag) and classes <= set((element.get("class") or "").split())


@cache
def _rules() -> tuple[tuple[Rule, ...], dict[str, str]]:
    """Read the light scheme of the style sheet: rules from weak to strong, and variables."""
    css = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", stylesheet())
    rules: list[Rule] = []
    variables: dict[str, str] = {}
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", css):
        pairs = tuple(
            (name.strip(), value.strip()) for name, _, value in (one.partition(":") for one in body.split(";")) if value
        )
        for selector in selectors.split(","):
            if selector.strip() == ":root":
                variables.update(pairs)
                continue
            parts = tuple(_part(word) for word in selector.split())
            rules.append(Rule(parts, pairs))
    return tuple(sorted(rules, key=lambda rule: rule.weight)), variables


def _part(word: str) -> tuple[str, frozenset[str]]:
    tag, *classes = word.split(".")
    return tag, frozenset(classes)
