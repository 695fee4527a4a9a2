"""What a number of a report measures, as a reader knows it."""

NAMES = {"nmi": "NMI", "map": "mAP", "j": "J", "f": "F"}


def measure_name(metric):
    """The name in print of a row's `metric`: `"nmi"` is NMI."""
    return NAMES.get(metric, metric.replace("_", " "))


def measurement_name(row):
    """A row's protocol in words, with what it measures unless that is accuracy."""
    words = row["protocol"].replace("_", " ")
    if row["metric"] == "accuracy":
        return words
    return f"{words} ({measure_name(row['metric'])})"
