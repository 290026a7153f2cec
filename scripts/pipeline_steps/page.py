"""A page as a list of blocks, written as Markdown and as one HTML file with its pictures inside.

The HTML page loads nothing and fits any window from 400 pixels on: in a narrow one, table rows become cards whose cells carry their
column's name. A cell "pass", "fail", "done", "FAILED..." or "not measured" gets a sign and a color that color-blind readers can tell apart.
SHA-256 hashes are shortened to 12 characters, with the whole hash as tooltip; Markdown and the JSON files have them whole.
"""

import base64
import html
import os
import pathlib
import re
from dataclasses import dataclass

# Pass is blue and fail vermilion (Okabe and Ito), darkened until they contrast with white 4.5 to 1.
STYLE = """*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:1.5rem auto;padding:0 1rem;color:#222;overflow-wrap:break-word}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.25rem}
.lead{font-size:1.125rem;border-left:.3rem solid #0072b2;padding-left:.75rem}
.failed,.remarks{border-left:.3rem solid #a84400;background:#fdf1ea;padding:.4rem 1rem;margin:1rem 0}
.remarks{border-color:#e69f00;background:#fff8e6}
table{border-collapse:collapse;width:100%;font-size:.875rem;margin:.75rem 0}
td,th{border:1px solid #ddd;padding:.25rem .5rem;text-align:left;vertical-align:top}th{background:#f3f3f3}
.pass{color:#005b8f;font-weight:600}.fail{color:#a84400;font-weight:600}.open{color:#666}
pre{background:#f6f6f6;padding:.5rem;white-space:pre-wrap;font-size:.8125rem}
td.long{overflow-wrap:anywhere}
figure{margin:1rem 0}.picture{overflow-x:auto}img{max-width:100%;height:auto;display:block}figcaption{color:#555;font-size:.875rem}
details{border-top:1px solid #ddd;padding:.25rem 0}summary{cursor:pointer}summary h2{display:inline;font-size:1.125rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(19rem,100%),1fr));gap:.75rem;margin:.75rem 0}
.card{border:1px solid #ddd;border-radius:.25rem;padding:.5rem .75rem;font-size:.875rem}.card h3{margin:0 0 .25rem;font-size:1rem}
.card dl{margin:0;overflow-wrap:anywhere}.card dt{color:#555}.card dd{margin:0 0 .25rem}
.bar{display:block;height:.5rem;background:#eee;margin:.125rem 0}.bar span{display:block;height:100%;background:#0072b2}
@media(max-width:44rem){img{max-width:none;width:40rem}}
@media(max-width:60rem){thead{display:none}table,tbody,tr,td{display:block}
tr{border:1px solid #ddd;border-radius:.25rem;margin:.5rem 0;padding:.25rem 0}
td{border:0;display:grid;grid-template-columns:8rem minmax(0,1fr);gap:.5rem}td:first-child{font-weight:600}
td::before{content:attr(data-column);color:#555;font-weight:400}}"""

LONG_WORD = 24  # a column can't be made as wide: it may be broken anywhere
HASH = re.compile(r"\b[0-9a-f]{64}\b")
SIGNS = {"pass": ("pass", "✓"), "done": ("pass", "✓"), "fail": ("fail", "✗"), "FAILED": ("fail", "✗"), "NOT WRITTEN": ("fail", "✗"),
         "not measured": ("open", "–")}


@dataclass
class Heading:
    """folded: in HTML, what follows up to the next heading is hidden until it is opened."""

    text: str
    folded: bool = False


@dataclass
class Text:
    text: str
    lead: bool = False


@dataclass
class Failures:
    messages: list[str]


@dataclass
class Remarks:
    """What isn't a failure, but must be seen before the tables are."""

    messages: list[str]


@dataclass
class Table:
    header: list[str]
    rows: list[list[str]]


@dataclass
class Link:
    """To a file of the page's folder; plain text where there is no such file."""

    text: str
    path: pathlib.Path


@dataclass
class Links:
    links: list[Link]


@dataclass
class Cards:
    """A table with many columns: in HTML one card per row. The first `title` cells are a card's title; of the columns in `bars`, a number's
    share of the largest is drawn as a bar; a column's cell may be a Link."""

    header: list[str]
    rows: list[list[str | Link]]
    title: int = 1
    bars: tuple[str, ...] = ()


@dataclass
class Code:
    lines: list[str]


@dataclass
class Picture:
    path: pathlib.Path
    about: str


def plain(cell: str | Link) -> str:
    return cell.text if isinstance(cell, Link) else cell


def markdown_cell(cell: str | Link) -> str:
    return plain(cell).replace("|", "\\|").replace("\n", " ")


def relative(path: pathlib.Path, folder: pathlib.Path) -> str:
    return pathlib.PurePath(os.path.relpath(path, folder)).as_posix()


def to_markdown(title: str, blocks: list, folder: pathlib.Path) -> str:
    lines = [f"# {title}", ""]
    for block in blocks:
        match block:
            case Heading(text):
                lines += [f"## {text}"]
            case Text(text):
                lines += [text]
            case Failures(messages):
                lines += ["> **FAILED**", *(f"> - {message}" for message in messages)]
            case Remarks(messages):
                lines += ["> **Note**", *(f"> - {message}" for message in messages)]
            case Table(header, rows) | Cards(header, rows):
                lines += ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
                lines += ["| " + " | ".join(map(markdown_cell, row)) + " |" for row in rows]
            case Links(links):
                lines += [f"- [{link.text}](<{relative(link.path, folder)}>)" for link in links if link.path.exists()]
            case Code(code):
                lines += ["```", *code, "```"]
            case Picture(path, about):
                lines += [f"![{about}](<{path.relative_to(folder)}>)"]
        lines.append("")
    return "\n".join(lines)


def html_text(text: str) -> str:
    return HASH.sub(lambda found: f'<code title="{found[0]}">{found[0][:12]}</code>', html.escape(text))


def html_link(link: Link, folder: pathlib.Path) -> str:
    if not link.path.exists():
        return html_text(link.text)
    return f'<a href="{html.escape(relative(link.path, folder))}">{html_text(link.text)}</a>'


def with_sign(text: str) -> tuple[str, str]:
    """The class of a cell, and its HTML with a sign if it is a status."""
    for start, (kind, sign) in SIGNS.items():
        if text == start or (start.isupper() and text.startswith(start)):
            return kind, f'<b aria-hidden="true">{sign}</b> {html_text(text)}'
    return "", html_text(text)


def html_cell(column: str, cell: str) -> str:
    kind, content = with_sign(cell)
    if not kind and any(len(word) > LONG_WORD for word in HASH.sub("", cell).split()):
        kind = "long"
    return f'<td data-column="{html.escape(column)}"' + (f' class="{kind}"' if kind else "") + f"><span>{content}</span></td>"


def html_table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.header)
    body = "".join("<tr>" + "".join(map(html_cell, table.header, row)) + "</tr>\n" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def largest(cards: Cards, column: int) -> float:
    numbers = [float(plain(row[column])) for row in cards.rows if plain(row[column])]
    return max(numbers, default=0.0)


def html_cards(cards: Cards, folder: pathlib.Path) -> str:
    most = {name: largest(cards, cards.header.index(name)) for name in cards.bars}
    parts = []
    for row in cards.rows:
        facts = []
        for name, cell in list(zip(cards.header, row))[cards.title:]:
            if not plain(cell):
                continue
            kind, text = with_sign(plain(cell))
            content = html_link(cell, folder) if isinstance(cell, Link) else text
            bar = f'<span class="bar"><span style="width:{100 * float(plain(cell)) / most[name]:.1f}%"></span></span>' if most.get(name) else ""
            facts.append(f'<dt>{html.escape(name)}</dt><dd class="{kind or "fact"}">{content}{bar}</dd>')
        title = html.escape(", ".join(map(plain, row[:cards.title])))
        parts.append(f'<div class="card"><h3>{title}</h3><dl>{"".join(facts)}</dl></div>')
    return '<div class="cards">' + "\n".join(parts) + "</div>"


def html_box(kind: str, title: str, messages: list[str]) -> str:
    items = "".join(f"<li>{html_text(message)}</li>" for message in messages)
    return f'<div class="{kind}"><strong>{title}</strong><ul>{items}</ul></div>'


def html_picture(picture: Picture) -> str:
    about, data = html.escape(picture.about), base64.b64encode(picture.path.read_bytes()).decode()
    return (f'<figure><div class="picture"><img alt="{about}" src="data:image/png;base64,{data}"></div>'
            f"<figcaption>{about}</figcaption></figure>")


def html_block(block, folder: pathlib.Path) -> str:
    match block:
        case Text(text, lead):
            return f"<p{' class=lead' if lead else ''}>{html_text(text)}</p>"
        case Failures(messages):
            return html_box("failed", "✗ FAILED", messages)
        case Remarks(messages):
            return html_box("remarks", "! Note", messages)
        case Table():
            return html_table(block)
        case Cards():
            return html_cards(block, folder)
        case Links(links):
            return "<p>" + " · ".join(html_link(link, folder) for link in links if link.path.exists()) + "</p>"
        case Code(code):
            return "<pre>" + html.escape("\n".join(code)) + "</pre>"
        case Picture():
            return html_picture(block)
    raise TypeError(f"not a block: {block!r}")


def to_html(title: str, blocks: list, folder: pathlib.Path) -> str:
    parts, folded = [f"<h1>{html.escape(title)}</h1>"], False
    for block in blocks:
        if not isinstance(block, Heading):
            parts.append(html_block(block, folder))
            continue
        if folded:
            parts.append("</details>")
        folded = block.folded
        heading = f"<h2>{html.escape(block.text)}</h2>"
        parts.append(f"<details><summary>{heading}</summary>" if folded else heading)
    if folded:
        parts.append("</details>")
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n")
