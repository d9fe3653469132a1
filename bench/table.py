"""Markdown tables, and how numbers stand in them."""
import statistics


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def spread(values, form="{:,.0f}"):
    """The median, and behind it the lowest and the highest."""
    middle, low, high = (form.format(value) for value in (statistics.median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low} – {high})"


def ratios(above, below):
    """Pair by pair: what was measured one after the other belongs together."""
    return [a / b for a, b in zip(above, below)]
