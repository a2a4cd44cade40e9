"""LaTeX → MathML that is safe to put on a page, whoever wrote it."""

import html
from xml.etree.ElementTree import tostring

ATTRIBUTES = {
    "xmlns", "display", "fence", "stretchy", "form", "accent", "mathvariant", "width", "height", "depth",
    "linethickness", "columnalign", "columnspacing", "rowspacing", "minsize", "maxsize", "movablelimits", "lspace",
    "rspace", "separator",
}  # fmt: skip
RELATIONS = set("⪯⪰⟹⟺⇒⇔⟶→↦∝∼≈≪≫∘⪅⪆")  # operators that the library sets as identifiers, without their space
BRACKETS = set("⟨⟩")
LARGE = {"∑", "∏", "lim", "max", "min", "sup", "inf"}  # have their limits below and above, as displayed formulas do
LIMITS = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}


def pieces(formula: str) -> list[str]:
    r"""Return a formula as MathML elements, one for each part between \qquad; [] for an empty one."""
    return [mathml(part) for part in formula.split(r"\qquad") if part.strip()]


def mathml(latex: str) -> str:
    """Return one MathML element; what the library cannot read is shown as it was written."""
    from latex2mathml.converter import convert_to_element

    try:
        root = convert_to_element(latex.strip(), display="block")
    except Exception:  # any of the library's own, or of Python's: the formula is shown, not lost
        return f"<code>{html.escape(latex.strip())}</code>"
    for element in root.iter():  # the library's own writer undoes the escaping of what a formula says
        element.text = html.unescape(element.text) if element.text else element.text
        element.attrib = {k: html.unescape(v) for k, v in element.attrib.items() if k in ATTRIBUTES}
        if element.tag == "mi" and element.text in RELATIONS | BRACKETS:
            element.tag = "mo"
            element.attrib |= {"stretchy": "false"} if element.text in BRACKETS else {}
        if element.tag in LIMITS and element[0].text in LARGE:
            element.tag = LIMITS[element.tag]
    return tostring(root, encoding="unicode")
