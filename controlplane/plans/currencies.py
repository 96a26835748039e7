"""Money: the decimals of every currency of ISO 4217 (list of 2026-01-01), and how amounts are shown and read.

An amount is kept as an integer in the currency's minor unit: 9900 is 99.00 EUR, 9,900 XOF and 9.900 KWD.
"""

from __future__ import annotations

import re
from decimal import Decimal

from controlplane.errors import Usage
from controlplane.plans.refusals import CURRENCY_OTHER
from controlplane.text import clean

_PLACES = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY"
    " COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS"
    " INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR"
    " MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP"
    " STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
PLACES = {code: places for places, codes in _PLACES.items() for code in codes.split()}
"""How many decimals an amount has. Gold, test codes and the like, for which ISO gives none, are not money here."""

_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_AMOUNT = re.compile(r"([0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3}){1,5})(?:\.([0-9]{1,4}))? ([A-Z]{3})", re.ASCII)


def money(amount: int, currency: str | None) -> str:
    """ "1,234.56 EUR"; "123,456 minor units" where the currency is not known."""
    places = PLACES.get(currency or "")
    if places is None:
        return f"{amount:,} minor units" + (f" of {clean(currency, 3)}" if currency else "")
    whole, part = divmod(abs(amount), 10**places)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole:,}" + (f".{part:0{places}}" if places else "") + f" {currency}"


def check_currency(code: str) -> str:
    """Raises Usage `currency_unknown`."""
    if code not in PLACES:
        raise Usage("currency_unknown", f'"{clean(code, 20)}" is not a currency of ISO 4217.', "Write EUR, USD, JPY …")
    return code


def read_money(text: str) -> tuple[int, str]:
    """The amount and the currency of "1,234.56 EUR". Raises Usage `amount_unreadable`, `currency_unknown`."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise Usage(
            "amount_unreadable",
            f'"{clean(text, 40)}" is not an amount of money.',
            "Write it with its currency: 99.00 EUR.",
        )
    whole, part, currency = found[1].replace(",", ""), found[2] or "", check_currency(found[3])
    places = PLACES[currency]
    if len(part) > places:
        raise Usage("amount_unreadable", f'"{clean(text, 40)}": {currency} has {places} decimals.')
    return int(Decimal(f"{whole}.{part or 0}").scaleb(places)), currency


def amount_of(value: object, currency: str | None) -> int:
    """An amount as a person or a file gives it: digits alone are minor units, anything else names its currency.

    `currency`: the one that it must be in. Raises Usage `amount_unreadable`, `currency_unknown`, `currency_other`.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if not isinstance(value, str):  # 29.00 must not be taken for 29 minor units
        raise Usage(
            "amount_unreadable",
            f'"{clean(value, 40)}" is neither an integer, in minor units, nor an amount with its currency.',
            "29.00 EUR is 2900, or 29.00 EUR.",
        )
    amount, given = read_money(value)
    if given != currency:
        raise CURRENCY_OTHER(f"{clean(value, 40)} is in {given}, not in {currency or 'a currency known here'}.")
    return amount
