"""Draws a dashboard from the answers to its queries: a picture to look at,
not Grafana's.

Knows as much of the format as our dashboard uses, and refuses the rest.
"""

import math

from PIL import Image, ImageDraw, ImageFont

# Everything is drawn twice as large and made smaller: smooth lines.
SCALE = 2
UNIT_WIDTH, UNIT_HEIGHT, GAP = 60, 27, 8
PAPER, CARD, BORDER, INK, FAINT, GRID = "#f4f5f5", "#ffffff", "#d8d9da", "#24292e", "#6e7681", "#e6e7e8"
COLORS = {"green": "#3d9a50", "orange": "#e08b1a", "red": "#d0322d", "blue": "#3274d9", "transparent": CARD}
SERIES = ["#3274d9", "#e0752d", "#3d9a50", "#a352cc", "#d0322d", "#0f9d9d", "#b5890b", "#e05fa0", "#6b7785", "#7a4f2a"]


def number(value):
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def formatted(value, unit, decimals=None):
    if unit == "percentunit":
        return f"{value * 100:.{decimals}f} %" if decimals is not None else f"{number(value * 100)} %"
    if unit == "bytes":
        return f"{number(value / 1048576)} MiB"
    if unit == "s":
        for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (0.001, "ms")):
            if abs(value) >= size:
                # 90 s are not "1.5 min" where whole seconds are wanted.
                shown = f"{value / size:.{decimals}f}" if decimals is not None and size == 1 else number(value / size)
                return f"{shown} {name}"
        return "0 s" if value == 0 else f"{number(value * 1e6)} µs"
    ending = {"short": "", "reqps": " req/s", "ops": " op/s", "opm": " /min"}[unit]
    return (f"{value:.{decimals}f}" if decimals is not None else number(value)) + ending


def font(size):
    return ImageFont.load_default(size * SCALE)


class Card:
    """One panel's place on the picture."""

    def __init__(self, draw, panel, box):
        self.draw, self.panel = draw, panel
        self.left, self.top, self.right, self.bottom = box
        self.defaults = panel.get("fieldConfig", {}).get("defaults", {})

    def text(self, x, y, text, size=11, fill=INK, anchor="la", width=None):
        face = font(size)
        if width is not None:
            while text and self.draw.textlength(text, face) > width * SCALE:
                text = text[:-2].rstrip() + "…" if len(text) > 2 else ""
        self.draw.text((x * SCALE, y * SCALE), text, fill, face, anchor)
        return self.draw.textlength(text, face) / SCALE

    def box(self, left, top, right, bottom, **how):
        self.draw.rectangle((left * SCALE, top * SCALE, right * SCALE, bottom * SCALE), **how)

    def line(self, points, fill, width=1.0):
        self.draw.line([(x * SCALE, y * SCALE) for x, y in points], fill, round(width * SCALE), "curve")

    def frame(self, fill=CARD):
        corners = (self.left * SCALE, self.top * SCALE, self.right * SCALE, self.bottom * SCALE)
        self.draw.rounded_rectangle(corners, 4 * SCALE, fill, BORDER, SCALE)

    def color(self, value):
        """By the thresholds."""
        chosen = "green"
        for step in self.defaults.get("thresholds", {}).get("steps", []):
            if step["value"] is None or value >= step["value"]:
                chosen = step["color"]
        return COLORS[chosen]

    def shown(self, value):
        for mapping in self.defaults.get("mappings", []):
            for key, option in mapping["options"].items():
                if float(key) == value:
                    return option["text"]
        return formatted(value, self.defaults["unit"], self.defaults.get("decimals"))

    def nothing(self):
        self.frame()
        self.title()
        text = self.defaults.get("noValue", "No data")
        self.text((self.left + self.right) / 2, (self.top + self.bottom) / 2 + 6, text, 13, FAINT, "mm", self.right - self.left - 12)

    def title(self, fill=INK):
        self.text(self.left + 8, self.top + 6, self.panel["title"], 12, fill, width=self.right - self.left - 14)


def stat(card, series):
    last = [(name, points[-1][1]) for name, points in series]
    worst = max(value for _, value in last)
    if len(last) == 1:
        worst = last[0][1]
    card.frame(card.color(worst))
    card.title("#ffffff")
    middle = (card.left + card.right) / 2
    lines = [name for name, _ in last] if card.panel["options"]["textMode"] == "name" else [card.shown(last[0][1])]
    size = 26 if len(lines) == 1 and len(lines[0]) < 14 else 14
    first = (card.top + card.bottom) / 2 + 8 - (len(lines) - 1) * 10
    for at, line in enumerate(lines):
        card.text(middle, first + 20 * at, line, size, "#ffffff", "mm", card.right - card.left - 12)


def bargauge(card, series):
    card.frame()
    card.title()
    bars = sorted(((points[-1][1], name) for name, points in series), reverse=True)
    high = max(value for value, _ in bars) or 1
    room = min(26, (card.bottom - card.top - 34) / len(bars))
    middle = card.left + (card.right - card.left) * 0.4
    for at, (value, name) in enumerate(bars):
        y = card.top + 28 + at * room
        card.text(middle - 8, y + room / 2, name, 11, INK, "rm", middle - card.left - 14)
        end = middle + (card.right - 60 - middle) * value / high
        card.box(middle, y + 3, max(end, middle + 1), y + room - 3, fill=card.color(value))
        card.text(end + 6, y + room / 2, card.shown(value), 11, INK, "lm")


def state_timeline(card, series, start, end):
    card.frame()
    card.title()
    left, right = card.left + 110, card.right - 10
    room = (card.bottom - card.top - 48) / len(series)
    for at, (name, points) in enumerate(sorted(series)):
        y = card.top + 26 + at * room
        card.text(left - 6, y + room / 2, name, 10, INK, "rm", 100)
        place = lambda when: left + (right - left) * (when - start) / (end - start)
        since = 0
        for i in range(1, len(points) + 1):
            if i < len(points) and points[i][1] == points[since][1]:
                continue
            until = points[i][0] if i < len(points) else points[-1][0]
            value = points[since][1]
            a, b = place(points[since][0]), place(until)
            card.box(a, y + 2, b, y + room - 2, fill=card.color(value))
            if b - a > 50:
                card.text((a + b) / 2, y + room / 2, card.shown(value), 10, "#ffffff", "mm")
            since = i
    times(card, left, right, card.bottom - 18, start, end)


def times(card, left, right, y, start, end):
    for part in range(5):
        x = left + (right - left) * part / 4
        card.text(x, y, f"{(end - start) * part / 4:.0f} s", 9, FAINT, ["la", "ma", "ma", "ma", "ra"][part])


def step_of(high, low):
    """A round distance between lines, about four of them."""
    raw = (high - low) / 4
    size = 10 ** math.floor(math.log10(raw))
    return next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)


def timeseries(card, series, start, end):
    card.frame()
    card.title()
    values = [value for _, points in series for _, value in points]
    low = min([*values, card.defaults.get("min", math.inf)])
    high = max([*values, card.defaults.get("max", -math.inf)])
    if high <= low:
        limits = [one["value"] or 0 for one in card.defaults.get("thresholds", {}).get("steps", [])]
        high = low + (max([0, *limits]) or 1 if low == 0 else abs(low) * 0.1)
    step = step_of(high, low)
    low, high = math.floor(low / step) * step, math.ceil(high / step - 1e-9) * step
    # The legend, in as many lines as it needs.
    entries, x, line = [], card.left + 10, 0
    for at, (name, _) in enumerate(series):
        width = min(card.draw.textlength(name, font(10)) / SCALE + 26, card.right - card.left - 20)
        if x + width > card.right - 6 and x > card.left + 10:
            x, line = card.left + 10, line + 1
        if line < 3:
            entries.append((x, line, at, name, width))
        x += width
    legend = 15 * (min(line, 2) + 1)
    left, right, top, bottom = card.left + 68, card.right - 12, card.top + 28, card.bottom - legend - 26
    across = lambda when: left + (right - left) * (when - start) / (end - start)
    up = lambda value: bottom - (bottom - top) * (value - low) / (high - low)
    for i in range(round((high - low) / step) + 1):
        value = low + i * step
        card.line([(left, up(value)), (right, up(value))], GRID, 0.7)
        card.text(left - 6, up(value), formatted(0 if abs(value) < step / 100 else value, card.defaults["unit"]), 9, FAINT, "rm")
    if card.defaults.get("custom", {}).get("thresholdsStyle"):
        limits = [(one["value"], one["color"]) for one in card.defaults["thresholds"]["steps"] if one["value"] is not None]
        for value, color in limits:
            color = COLORS[color] if color != "transparent" else COLORS["red"]
            if low <= value <= high:
                x = left
                while x < right:
                    card.line([(x, up(value)), (min(x + 6, right), up(value))], color, 1.2)
                    x += 10
    for at, (_, points) in enumerate(series):
        parts = [[]]
        for before, point in zip([points[0], *points], points):
            if point[0] - before[0] > 2.5:
                parts.append([])
            parts[-1].append((across(point[0]), up(point[1])))
        for part in parts:
            if len(part) > 1:
                card.line(part, SERIES[at % len(SERIES)], 1.6)
            elif part:
                card.box(part[0][0] - 1, part[0][1] - 1, part[0][0] + 1, part[0][1] + 1, fill=SERIES[at % len(SERIES)])
    for x, line, at, name, width in entries:
        y = card.bottom - legend - 5 + 15 * line
        card.box(x, y + 5, x + 10, y + 8, fill=SERIES[at % len(SERIES)])
        card.text(x + 14, y, name, 10, INK, width=width - 16)
    times(card, left, right, bottom + 4, start, end)


def draw(dashboard, answers, start, end, caption):
    """`answers`: panel id → [(name, [(time, value)])]. Returns an image."""
    panels = dashboard["panels"]
    units = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    width, head = 24 * UNIT_WIDTH + GAP, 30
    height = head + units * UNIT_HEIGHT + GAP
    image = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((GAP * SCALE, 8 * SCALE), caption, FAINT, font(11))
    for panel in panels:
        at = panel["gridPos"]
        left, top = GAP + at["x"] * UNIT_WIDTH, head + at["y"] * UNIT_HEIGHT
        card = Card(pen, panel, (left, top, left + at["w"] * UNIT_WIDTH - GAP, top + at["h"] * UNIT_HEIGHT - GAP))
        kind, series = panel["type"], answers.get(panel["id"], [])
        if kind == "row":
            card.text(left + 2, top + 4, panel["title"], 14)
        elif not series:
            card.nothing()
        elif kind == "stat":
            stat(card, series)
        elif kind == "bargauge":
            bargauge(card, series)
        elif kind == "state-timeline":
            state_timeline(card, series, start, end)
        elif kind == "timeseries":
            timeseries(card, series, start, end)
        else:
            raise AssertionError(f"a panel of type {kind} cannot be drawn")
    return image.resize((width, height), Image.Resampling.LANCZOS)


def rows(dashboard, titles):
    """Where the rows with these titles end, in the picture's pixels."""
    ends = [panel["gridPos"]["y"] for panel in dashboard["panels"] if panel["type"] == "row" and panel["title"] not in titles]
    return 30 + min(ends) * UNIT_HEIGHT


def save(image, file):
    """Few colors are enough, and a third of the size."""
    image.quantize(255, dither=Image.Dither.NONE).save(file, optimize=True)
