"""Self-contained HTML pages: text, tables and pictures in one file, no network."""

import base64
import html
import io
import json

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: left; }
td.number, th.number { text-align: right; }
.scroll { overflow-x: auto; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; }
figcaption, .note { color: #555; font-size: .9rem; }
pre { background: #f5f5f5; padding: .7rem; overflow-x: auto; font-size: .85rem; }
"""


def page(title, parts):
    """A whole HTML document.

    Args:
        title: str. Heading and window title.
        parts: iterable of HTML fragments, as the other functions of this file give.

    Returns:
        str.
    """
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{html.escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def heading(text):
    """A section heading."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text, *, note=False):
    """A paragraph of plain text; a note is smaller."""
    kind = ' class="note"' if note else ""
    return f"<p{kind}>{html.escape(text)}</p>"


def table(header, rows, *, numeric=()):
    """A table of plain text; columns whose index is in `numeric` align right."""

    def line(cells, tag):
        return "".join(
            f"<{tag}{' class=number' if index in numeric else ''}>"
            f"{html.escape(str(cell))}</{tag}>"
            for index, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{line(row, 'td')}</tr>\n" for row in rows)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{line(header, "th")}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table></div>"
    )


def picture(figure, caption):
    """A Matplotlib figure as a PNG inside the page; the caption is its alt text too."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode()
    text = html.escape(caption)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{text}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def settings(values):
    """A dict of JSON values, readable."""
    text = json.dumps(values, indent=2, ensure_ascii=False)
    return f"<pre>{html.escape(text)}</pre>"
