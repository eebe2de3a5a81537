"""Numbers of things and lengths of time in words."""


def counted(number: int, one: str, several: str) -> str:
    """Return the number with the words that fit it: "1 trial", "2 trials"."""
    return f"{number} {one if number == 1 else several}"


def duration(seconds: float | None) -> str:
    """Return "3 min", "2 h 10 min" or "4 days": as exact as an estimate deserves; "unknown" for None."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{round(hours / 24)} days"


def short_duration(seconds: float | None) -> str:
    """Return the same for a column of a table, in six characters: "3 min", "2.2 h", "4 d"; "–" for None."""
    if seconds is None:
        return "–"
    if seconds < 59.5 * 60:
        return duration(seconds)
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{round(hours / 24)} d"
