"""The values of an agent's slots: from the words heard to what tools are given, and to what the agent says. Pure
functions of the time at which the caller spoke.

Tools get a date as 2026-12-04, a time as 15:30, and everything else as it was said.
"""

from datetime import date, datetime, time

from agent.engine.embedded import dates, times
from config.hours import Hours, covers
from config.intent import FIELD
from config.slots import SlotType

DAY_BEGINS, DAY_ENDS = time(7), time(19)  # "at eight" is in the morning, "at six" in the evening


class SlotValues:
    """The slots of one dialogue; `hours` are the agent's opening hours."""

    def __init__(self, slots: dict[str, SlotType], hours: Hours) -> None:
        self._types = slots
        self._hours = hours

    def resolve(self, heard: dict[str, str], known: dict[str, str], now: datetime) -> dict[str, str]:
        """The values that the caller means, `now` in the agent's time zone. Days that cannot be are left out: 30
        February, and yesterday unless the slot may be in the past. `known` are the slots filled before: the day tells
        which half of it "at three" can be in."""
        values: dict[str, str] = {}
        for name, words in sorted(heard.items(), key=lambda item: self._types[item[0]].type == "time"):
            match self._types[name].type:
                case "date":
                    value = self._date(words, now, past=self._types[name].past)
                case "time":
                    parts = [dates.part_of_day(heard[day]) for day in heard if self._types[day].type == "date"]
                    value = self._time(words, known | values, next(filter(None, parts), ""))
                case _:
                    value = words
            if value:
                values[name] = value
        return values

    def dates_over(self, heard: dict[str, str], now: datetime) -> bool | None:
        """Why `resolve` leaves a date out: True where the day is over, False where there is no such day, None where it
        leaves none out."""
        over: bool | None = None
        for name, words in heard.items():
            if self._types[name].type == "date" and not self._date(words, now, past=self._types[name].past):
                over = dates.date_of(words, now.date()) is not None
        return over

    def spoken(self, name: str, value: str, now: datetime) -> str:
        """A value as the agent says it: numbers digit by digit, dates with their year if it is another one."""
        match self._types[name].type if name in self._types else "":
            case "date":
                day = date.fromisoformat(value)
                return dates.spoken(day, year=day.year != now.year)
            case "time":
                return times.spoken(time.fromisoformat(value))
            case "spell":
                return ", ".join(value)
        return " ".join(value) if value.isdecimal() else value

    def filled(self, text: str, slots: dict[str, str], now: datetime) -> str:
        """A text with its slots filled in; of those that were not asked for nothing is said."""
        for name in FIELD.findall(text):
            if name in slots or name in self._types:
                value = slots.get(name, "")
                text = text.replace(f"{{{name}}}", self.spoken(name, value, now) if value else "")
        return text

    @staticmethod
    def _date(words: str, now: datetime, *, past: bool) -> str:
        day = dates.date_of(words, now.date())
        return day.isoformat() if day and (past or day >= now.date()) else ""

    def _time(self, words: str, known: dict[str, str], part: str) -> str:
        """Of the two times that "at three" may mean the one in the `part` of the day that the date names, else in the
        opening hours, else by day."""
        may_be = times.times_of(words)
        if part and len(may_be) > 1:
            may_be = times.times_of(f"{words} {'at night' if part == 'night' else f'in the {part}'}") or may_be
        days = [date.fromisoformat(value) for name, value in known.items() if self._types[name].type == "date"]
        weekday = days[0].weekday() if len(days) == 1 else None
        for fits in (
            lambda at: covers(self._hours, weekday, at),
            lambda at: DAY_BEGINS <= at < DAY_ENDS,
        ):
            if len(fitting := [at for at in may_be if fits(at)]) == 1:
                return fitting[0].isoformat("minutes")
        return may_be[-1].isoformat("minutes") if may_be else ""
