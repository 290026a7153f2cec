"""A page as a list of blocks, written as Markdown and as HTML with its pictures inside."""

import base64
import html
import pathlib
from dataclasses import dataclass

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.25em .6em;text-align:left;vertical-align:top}
th{background:#f3f3f3}img{max-width:100%}pre{background:#f6f6f6;padding:.6em;overflow-x:auto;white-space:pre-wrap}
.failed,.remarks{border:2px solid #b00020;background:#fdecef;padding:.4em 1em;margin:1em 0}
.remarks{border-color:#b8860b;background:#fff8e1}"""


@dataclass
class Heading:
    text: str


@dataclass
class Text:
    text: str


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
class Code:
    lines: list[str]


@dataclass
class Picture:
    path: pathlib.Path
    about: str


def markdown_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


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
            case Table(header, rows):
                lines += ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
                lines += ["| " + " | ".join(map(markdown_cell, row)) + " |" for row in rows]
            case Code(code):
                lines += ["```", *code, "```"]
            case Picture(path, about):
                lines += [f"![{about}](<{path.relative_to(folder)}>)"]
        lines.append("")
    return "\n".join(lines)


def html_table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in table.rows)
    return f"<table><tr>{head}</tr>\n{body}</table>"


def html_box(kind: str, title: str, messages: list[str]) -> str:
    items = "".join(f"<li>{html.escape(message)}</li>" for message in messages)
    return f'<div class="{kind}"><strong>{title}</strong><ul>{items}</ul></div>'


def to_html(title: str, blocks: list) -> str:
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for block in blocks:
        match block:
            case Heading(text):
                parts.append(f"<h2>{html.escape(text)}</h2>")
            case Text(text):
                parts.append(f"<p>{html.escape(text)}</p>")
            case Failures(messages):
                parts.append(html_box("failed", "FAILED", messages))
            case Remarks(messages):
                parts.append(html_box("remarks", "Note", messages))
            case Table():
                parts.append(html_table(block))
            case Code(code):
                parts.append("<pre>" + html.escape("\n".join(code)) + "</pre>")
            case Picture(path, about):
                data = base64.b64encode(path.read_bytes()).decode()
                parts.append(f'<p><img alt="{html.escape(about)}" src="data:image/png;base64,{data}"></p>')
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style></head>\n'
            "<body>\n" + "\n".join(parts) + "\n</body></html>\n")
