"""Self-contained HTML pages: text, tables and pictures in one file, no network."""

import base64
import html
import io
import json

# Pictures are laid out at the one and drawn at the other, sharp on every screen.
SCREEN_DPI = 96
PICTURE_DPI = 180
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; }
h2, h3 { overflow-wrap: anywhere; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0;
        border-top: 2px solid #1a1a1a; border-bottom: 2px solid #1a1a1a; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top; }
thead th { border-bottom: 1px solid #1a1a1a; max-width: 14rem; vertical-align: bottom; }
tbody tr + tr td { border-top: 1px solid #e4e4e4; }
td.number, th.number { text-align: right; padding: .25rem 0 .25rem .8rem; }
td.number { white-space: nowrap; } td:first-child { min-width: 6.5rem; }
tr.group th { padding-top: .8rem; border-bottom: 1px solid #999; }
.facts td { overflow-wrap: anywhere; } .facts td:first-child { overflow-wrap: normal; }
caption { caption-side: top; text-align: left; }
caption, figcaption, .note { color: #555; font-size: .9rem; }
.scroll { overflow-x: auto; }
.grid { display: grid; gap: 0 1rem; grid-template-columns:
        repeat(auto-fill, minmax(min(18rem, 100%), 1fr)); }
figure { margin: 1rem 0; } .grid figure { margin: .4rem 0; }
img { max-width: 100%; height: auto; }
@media (max-width: 36rem) {
  body { font-size: 15px; margin: 1rem auto; } table { font-size: .8rem; }
  th, td { padding-right: .4rem; } td.number, th.number { padding-left: .4rem; }
  thead th { max-width: 6.5rem; overflow-wrap: break-word; } }
@media print { body { max-width: none; margin: 0; } .scroll { overflow: visible; }
  figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; } }
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


def heading(text, *, level=2):
    """A section heading, or one below it."""
    return f"<h{level}>{html.escape(text)}</h{level}>"


def paragraph(text, *, note=False):
    """A paragraph of plain text; a note is smaller."""
    kind = ' class="note"' if note else ""
    return f"<p{kind}>{html.escape(text)}</p>"


def table(header, rows, *, numeric=(), caption=None, grouped=False):
    """A table of plain text.

    Args:
        header: sequence of str; an empty one makes a table without a header.
        rows: iterable of sequences of cells.
        numeric: indices of the columns that align right.
        caption: str or None. Stands above it.
        grouped: bool. Whether the first column becomes a line above the rows that
            share it, which keeps the table narrow.

    Returns:
        str.
    """

    def line(cells, tag):
        return "".join(
            f"<{tag}{' class=number' if index in numeric else ''}>"
            f"{html.escape(str(cell))}</{tag}>"
            for index, cell in enumerate(cells)
        )

    rows = list(rows)
    kind = "" if header else ' class="facts"'
    body, group = "", None
    if grouped:
        header, numeric = header[1:], [index - 1 for index in numeric]
    for row in rows:
        if grouped:
            first, *row = row
            if first != group:
                span = f'<th colspan="{len(header)}">{html.escape(first)}</th>'
                body += f'<tr class="group">{span}</tr>\n'
            group = first
        body += f"<tr>{line(row, 'td')}</tr>\n"
    head = f"<thead><tr>{line(header, 'th')}</tr></thead>\n" if header else ""
    if caption:
        head = f"<caption>{html.escape(caption)}</caption>\n{head}"
    inside = f"{head}<tbody>\n{body}</tbody>\n"
    return f'<div class="scroll"><table{kind}>\n{inside}</table></div>'


def encoded(figure):
    """A Matplotlib figure as JSON values: what `image` shows.

    Args:
        figure: `matplotlib.figure.Figure`.

    Returns:
        Dict: `"png"`, in base64, and `"width"` on the screen, in pixels.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=PICTURE_DPI)
    return {
        "png": base64.b64encode(buffer.getvalue()).decode(),
        "width": round(figure.get_figwidth() * SCREEN_DPI),
    }


def image(picture, caption, *, shown=True):
    """What `encoded` gave as a PNG inside the page, in its own size where that fits.

    Args:
        picture: dict.
        caption: str. Stands below it, unless `shown` is False, and is its alt text.
        shown: bool.

    Returns:
        str.
    """
    text = html.escape(caption)
    below = f"<figcaption>{text}</figcaption>" if shown else ""
    return (
        f'<figure><img src="data:image/png;base64,{picture["png"]}" alt="{text}" '
        f'width="{picture["width"]}">{below}</figure>'
    )


def picture(figure, caption, *, shown=True):
    """`image` of a Matplotlib figure."""
    return image(encoded(figure), caption, shown=shown)


def grid(parts):
    """Parts side by side, as many as the window is wide."""
    return '<div class="grid">' + "\n".join(parts) + "</div>"


def settings(values):
    """A dict of JSON values as a table: what is inside of what, and the values."""
    return table((), list(_flat(values)))


def _flat(values, path=()):
    for name, value in values.items():
        inner = (*path, str(name))
        plain = isinstance(value, dict) and not any(
            isinstance(part, dict) for part in value.values()
        )
        if plain:
            text = ", ".join(f"{key} = {_text(part)}" for key, part in value.items())
            yield ", ".join(inner), text or "–"
        elif isinstance(value, dict):
            yield from _flat(value, inner)
        else:
            yield ", ".join(inner), _text(value)


def _text(value):
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
