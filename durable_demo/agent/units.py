"""The units of measurement that `convert_units` knows.

Factors are those of NIST Special Publication 811 (2008), appendix B.8; binary prefixes are those of IEC 80000-13.
Volumes are US customary ones unless they are called imperial; a year has 365 days.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A unit: `value` of it is `value * factor + offset` of the base unit of its kind."""

    kind: str
    symbol: str
    factor: float
    offset: float = 0.0


_FOOT, _MILE, _POUND, _GALLON = 0.3048, 1609.344, 0.45359237, 3.785411784

_TABLE: tuple[tuple[str, str, float, str], ...] = (
    ("length", "mm", 0.001, "mm millimeter millimetre"),
    ("length", "cm", 0.01, "cm centimeter centimetre"),
    ("length", "m", 1, "m meter metre"),
    ("length", "km", 1000, "km kilometer kilometre"),
    ("length", "in", _FOOT / 12, 'in inch inches ″ "'),
    ("length", "ft", _FOOT, "ft foot feet ′ '"),
    ("length", "yd", _FOOT * 3, "yd yard"),
    ("length", "mi", _MILE, "mi mile"),
    ("length", "nmi", 1852, "nmi nautical_mile"),
    ("mass", "mg", 1e-6, "mg milligram"),
    ("mass", "g", 0.001, "g gram gramme"),
    ("mass", "kg", 1, "kg kilo kilogram"),
    ("mass", "t", 1000, "t tonne ton metric_ton"),
    ("mass", "oz", _POUND / 16, "oz ounce"),
    ("mass", "lb", _POUND, "lb pound"),
    ("mass", "st", _POUND * 14, "st stone"),
    ("mass", "short tn", _POUND * 2000, "short_ton us_ton"),
    ("speed", "m/s", 1, "m/s meter/second metre/second"),
    ("speed", "km/h", 1 / 3.6, "km/h kmh kph kilometer/hour kilometre/hour km/hour"),
    ("speed", "mph", _MILE / 3600, "mph mi/h mile/hour"),
    ("speed", "kn", 1852 / 3600, "kn kt knot"),
    ("speed", "ft/s", _FOOT, "ft/s foot/second feet/second"),
    ("time", "ms", 0.001, "ms millisecond"),
    ("time", "s", 1, "s sec second"),
    ("time", "min", 60, "min minute"),
    ("time", "h", 3600, "h hr hour"),
    ("time", "d", 86400, "d day"),
    ("time", "wk", 604800, "wk week"),
    ("time", "yr", 31_536_000, "yr year"),
    ("volume", "ml", 1e-6, "ml milliliter millilitre"),
    ("volume", "cl", 1e-5, "cl centiliter centilitre"),
    ("volume", "l", 0.001, "l liter litre"),
    ("volume", "m³", 1, "m3 m³ cubic_meter cubic_metre"),
    ("volume", "tsp", _GALLON / 768_000, "tsp teaspoon"),
    ("volume", "tbsp", _GALLON / 256_000, "tbsp tablespoon"),
    ("volume", "fl oz", _GALLON / 128_000, "fl_oz fluid_ounce"),
    ("volume", "cup", _GALLON / 16_000, "cup"),
    ("volume", "pt", _GALLON / 8000, "pt pint"),
    ("volume", "qt", _GALLON / 4000, "qt quart"),
    ("volume", "gal", _GALLON / 1000, "gal gallon us_gallon"),
    ("volume", "imp gal", 0.00454609, "imp_gal imperial_gallon uk_gallon"),
    ("volume", "imp pt", 0.00454609 / 8, "imp_pt imperial_pint uk_pint"),
    ("volume", "ft³", _FOOT**3, "ft3 ft³ cubic_foot cubic_feet"),
    ("area", "cm²", 1e-4, "cm2 cm² square_centimeter square_centimetre sq_cm"),
    ("area", "m²", 1, "m2 m² square_meter square_metre sq_m"),
    ("area", "ha", 1e4, "ha hectare"),
    ("area", "km²", 1e6, "km2 km² square_kilometer square_kilometre sq_km"),
    ("area", "in²", (_FOOT / 12) ** 2, "in2 in² square_inch square_inches sq_in"),
    ("area", "ft²", _FOOT**2, "ft2 ft² square_foot square_feet sq_ft"),
    ("area", "acre", 4840 * (_FOOT * 3) ** 2, "acre"),
    ("area", "mi²", _MILE**2, "mi2 mi² square_mile sq_mi"),
    ("data", "bit", 0.125, "bit"),
    ("data", "B", 1, "b byte"),
    ("data", "kB", 1e3, "kb kilobyte"),
    ("data", "MB", 1e6, "mb megabyte"),
    ("data", "GB", 1e9, "gb gigabyte"),
    ("data", "TB", 1e12, "tb terabyte"),
    ("data", "KiB", 2**10, "kib kibibyte"),
    ("data", "MiB", 2**20, "mib mebibyte"),
    ("data", "GiB", 2**30, "gib gibibyte"),
)
_TEMPERATURES = (
    (Unit("temperature", "K", 1.0), "k kelvin"),
    (Unit("temperature", "°C", 1.0, 273.15), "c celsius centigrade"),
    (Unit("temperature", "°F", 5 / 9, 459.67 * 5 / 9), "f fahrenheit"),
)


_UNITS = {
    **{word: Unit(kind, symbol, factor) for kind, symbol, factor, words in _TABLE for word in words.split()},
    **{word: unit for unit, words in _TEMPERATURES for word in words.split()},
}
_SPELLINGS = (("°", ""), ("degrees ", ""), ("degree ", ""), ("deg ", ""), ("^", ""), (" per ", "/"), (".", ""))


def find_unit(name: str) -> Unit | None:
    """The unit of this name or symbol, in singular or plural; None if it is unknown."""
    said = " ".join(name.lower().split())
    for spelling, same in _SPELLINGS:
        said = said.replace(spelling, same)
    said = said.strip().replace(" ", "_")
    first, slash, rest = said.partition("/")
    forms = (said, said.removesuffix("s"), first.removesuffix("s") + slash + rest)
    return next((_UNITS[form] for form in forms if form in _UNITS), None)


def known_units(kind: str) -> list[str]:
    """Symbols of the units of a kind, such as "length"."""
    return list(dict.fromkeys(unit.symbol for unit in _UNITS.values() if unit.kind == kind))


def to_base(value: float, unit: Unit) -> float:
    """A value in the base unit of its kind."""
    return value * unit.factor + unit.offset


def from_base(value: float, unit: Unit) -> float:
    """A value in the base unit of its kind, in this unit."""
    return (value - unit.offset) / unit.factor
