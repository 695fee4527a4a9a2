"""A table as Markdown."""


def markdown_table(header, rows, *, num_text_columns):
    """Lines of cells; the first so many columns align left, the others right.

    Args:
        header: list of str.
        rows: iterable of lists of str.
        num_text_columns: int.

    Returns:
        str, without a newline at its end.
    """
    numbers = len(header) - num_text_columns
    rule = ["---"] * num_text_columns + ["---:"] * numbers
    lines = [_escaped(header), rule, *map(_escaped, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _escaped(cells):
    return [cell.replace("|", r"\|") for cell in cells]
