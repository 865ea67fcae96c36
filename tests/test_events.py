import json

from durable_demo.events import EVENTS, Event, ProgressUpdate, format_timestamp


def an_update(**fields: object) -> ProgressUpdate:
    common = {"timestamp": "2025-01-19T10:30:45.123Z", "workflow_id": "w", "run_id": "r", "offset": "0"}
    return ProgressUpdate(**common, progress=45, status="iteration_2_sleeping", **fields)


def test_an_event_is_one_line_of_json_with_the_names_of_the_proposal():
    text = an_update(iteration_count=2, total_quotes_delivered=1, current_quote="Ni!\n<b>").to_json()
    assert "\n" not in text
    fields = json.loads(text)
    assert fields["event"] == "progress_update"
    assert {"timestamp", "workflow_id", "run_id", "offset", "progress", "status", "iteration_count"} <= fields.keys()
    assert {"total_quotes_delivered", "current_quote", "total_elapsed", "should_exit", "attempt"} <= fields.keys()
    assert fields["current_quote"] == "Ni!\n<b>"


def test_timestamps_are_utc_with_milliseconds_and_a_z():
    moment = an_update().moment
    assert format_timestamp(moment) == "2025-01-19T10:30:45.123Z"
    assert moment.utcoffset().total_seconds() == 0


def test_event_names_are_unique_and_each_event_is_documented():
    concrete = [cls for cls in _subclasses(Event) if "event" in vars(cls)]
    assert len(EVENTS) == len(concrete)
    for cls in EVENTS.values():
        assert cls.__doc__ is not None
        assert not cls.__doc__.startswith(cls.__name__ + "("), f"{cls.__name__} has no docstring of its own"
        for field in cls.__annotations__:
            documented = any(f"{field}:" in (base.__doc__ or "") for base in cls.__mro__)
            assert field == "event" or documented, f"{cls.__name__}.{field} is not documented"


def _subclasses(cls: type) -> list[type]:
    return [cls, *(found for child in cls.__subclasses__() for found in _subclasses(child))]
