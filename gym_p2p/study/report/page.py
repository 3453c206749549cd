"""The page: HTML that is made of escaped texts, and of pictures that hold nothing but escaped texts.

Players, environments and files are called by anybody; none of their texts reaches the page but through
:func:`text`. The page's own policy forbids whatever a browser might still fetch or run.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from gym_p2p.core.wire.foreign_text import printable

__all__ = ["Html", "figure", "page", "paragraph", "section", "table", "text", "tiles"]

_MAX_TEXT = 300
_MAX_PARAGRAPH = 4000


@attrs.frozen
class Html:
    """A piece of the page, as it stands there."""

    source: str


def text(value: Any) -> str:
    """Return any value as text of the page: escaped, in one line, shortened."""
    return html.escape(printable(str(value), _MAX_TEXT))


def paragraph(words: str, *, kind: str = "") -> Html:
    """Return a paragraph."""
    told = f' class="{kind}"' if kind else ""
    return Html(f"<p{told}>{html.escape(printable(words, _MAX_PARAGRAPH))}</p>")


def tiles(figures: Sequence[tuple[str, str]]) -> Html:
    """Return figures with what they count."""
    cells = "".join(f"<div><b>{text(value)}</b><span>{text(what)}</span></div>" for value, what in figures)
    return Html(f'<div class="tiles">{cells}</div>')


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Iterable[int] = ()
) -> Html:
    """Return a table that scrolls within the page; ``numbers`` are columns that are set to the right."""
    right = set(numbers)
    head = "".join(_cell("th", name, place in right, ' scope="col"') for place, name in enumerate(columns))
    body = "".join(
        "<tr>" + "".join(_cell("td", value, place in right) for place, value in enumerate(row)) + "</tr>"
        for row in rows
    )
    return Html(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(tag: str, value: Any, right: bool, more: str = "") -> str:  # noqa: FBT001 - a column's side
    shown = "-" if value is None else text(value)
    side = ' class="n"' if right else ""
    return f"<{tag}{more}{side}>{shown}</{tag}>"


def figure(svg: str, caption: str) -> Html:
    """Return a picture with what it shows."""
    return Html(f"<figure>{svg}<figcaption>{text(caption)}</figcaption></figure>")


def section(title: str, parts: Sequence[Html], *, name: str) -> Html:
    """Return a section; pictures that follow each other stand side by side where there is room."""
    body, pictures = [], []
    for part in parts:
        if part.source.startswith("<figure>"):
            pictures.append(part.source)
            continue
        body += _side_by_side(pictures)
        pictures = []
        body.append(part.source)
    body += _side_by_side(pictures)
    heading = f'<h2 id="{name}">{text(title)}</h2>'
    return Html(f'<section aria-labelledby="{name}">{heading}{"".join(body)}</section>')


def _side_by_side(pictures: Sequence[str]) -> list[str]:
    return [f'<div class="figures">{"".join(pictures)}</div>'] if pictures else []


def page(title: str, subtitle: str, parts: Sequence[Html]) -> str:
    """Return the whole page."""
    body = "\n".join(part.source for part in parts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{text(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header><h1>{text(title)}</h1><p>{text(subtitle)}</p></header>
<main>
{body}
</main>
</body>
</html>
"""


_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.25rem; background: #fff; color: #1a1a1a;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header { border-bottom: 3px solid #1a1a1a; margin-bottom: 1.25rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
header p { margin: .35rem 0 .9rem; color: #4a4a4a; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #bbb; padding-bottom: .25rem; }
p { max-width: 46rem; margin: .6rem 0; overflow-wrap: anywhere; }
p.lead { font-size: 1.15rem; }
p.good::before { content: "✓ "; font-weight: 700; }
p.bad { border-left: 4px solid #1a1a1a; padding-left: .7rem; font-weight: 600; }
p.methods { background: #f4f4f4; padding: .9rem 1rem; max-width: none; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .7rem;
  margin: 1rem 0; }
.tiles div { border: 1px solid #bbb; border-radius: .4rem; padding: .6rem .8rem; }
.tiles b { display: block; font-size: 1.55rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tiles span { color: #4a4a4a; font-size: .9rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr));
  gap: 1rem 1.5rem; margin: .8rem 0; }
figure { margin: 0; max-width: 40rem; break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { color: #4a4a4a; font-size: .9rem; line-height: 1.4; margin-top: .2rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .9rem; min-width: 60%; }
caption { text-align: left; color: #4a4a4a; padding-bottom: .3rem; }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid #ddd; vertical-align: top;
  max-width: 26rem; overflow-wrap: break-word; }
th { border-bottom: 2px solid #1a1a1a; white-space: nowrap; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
@media (max-width: 30rem) { body { padding: .75rem; } h1 { font-size: 1.35rem; }
  .tiles b { font-size: 1.25rem; }
  .tiles { grid-template-columns: 1fr 1fr; gap: .5rem; } }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } h2 { break-after: avoid; }
  .figures { grid-template-columns: 1fr 1fr; } .scroll { overflow: visible; } tr { break-inside: avoid; }
  p.methods { border: 1px solid #bbb; background: none; } }
"""
