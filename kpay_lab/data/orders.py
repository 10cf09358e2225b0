"""Orders as shops export them: their state, their currency, and prices that nobody wrote down."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from kpay_lab.data.headers import columns_of, fold
from kpay_lab.data.number_cells import CURRENCY_OF
from kpay_lab.data.rows import TEXT, RawRows, printable

CALLED_OFF = (
    "cancelled canceled cancel closed close failed failure fail unpaid pending void voided "
    "expired timeout rejected declined abandoned wait_pay wait_buyer_pay waiting_payment "
    "pending_payment pending_pay awaiting_payment not_paid no_pay to_be_paid "
    "trade_closed trade_closed_by_seller order_closed order_cancelled "
    "等待付款 等待买家付款 已取消 取消 关闭 已关闭 交易关闭 订单关闭 "
    "订单取消 交易取消 未付款 未支付 待付款 待支付 支付失败 付款失败 失败 已过期 已失效 作废 "
    "已作废"
)
PAID_BACK = "refunded refund returned chargeback 已退款 退款成功 全额退款 退款完成 已退货 退货退款"
SOUND = (
    "paid completed complete success successful succeeded finished done shipped delivered "
    "confirmed received ok settled fulfilled active trade_success trade_finished order_paid "
    "wait_seller_send_goods wait_buyer_confirm_goods 已支付 已付款 支付成功 付款成功 已完成 完成 "
    "交易成功 成功 待发货 已发货 已签收 已收货 待收货 待评价 已评价 已确认 有效 已成交"
)
MEANING_OF_STATUS = {
    fold(word): meaning
    for meaning, words in (("off", CALLED_OFF), ("back", PAID_BACK), ("sound", SOUND))
    for word in words.split()
}
# What a number is written with; the rest of a cell is its currency.
NO_SIGN = r"[0-9.,'\s+\-]|\p{Z}"
SHOWN = 8


def without_called_off(orders: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Leave out orders that came to nothing, and take one that was paid back whole as that.

    Parameters
    ----------
    orders : DataFrame
        Its ``status``, if it has one, is a word such as ``paid`` or ``已取消``. An order with a
        word that is not known counts.

    Returns
    -------
    orders : DataFrame
    notes : list of str

    Examples
    --------
    >>> orders = pd.DataFrame({"user_id": ["u", "w"], "status": ["已完成", "已取消"]})
    >>> kept, notes = without_called_off(orders)
    >>> kept["user_id"].tolist(), notes
    (['u'], ['orders: 1 of status 已取消 came to nothing and are left out'])
    """
    if "status" not in orders:
        return orders, []
    meaning = orders["status"].map(_meaning_of_status, na_action="ignore")
    notes = []
    is_off = (meaning == "off").to_numpy()
    if is_off.any():
        words = _counted(orders.loc[is_off, "status"])
        notes.append(f"orders: {words} came to nothing and are left out")
    is_unknown = (meaning == "unknown").to_numpy()
    if is_unknown.any():
        words = _counted(orders.loc[is_unknown, "status"])
        notes.append(f"orders: {words} count as paid: what the status means is not known")
    kept = orders[~is_off].reset_index(drop=True)
    is_back = (meaning == "back").to_numpy()[~is_off]
    if is_back.any() and "amount" in kept:
        kept, n_filled = _paid_back(kept, is_back)
        if n_filled:
            notes.append(
                f"orders: {n_filled:,} that say they were refunded, and not how much, count as "
                "refunded whole"
            )
    return kept, notes


def _meaning_of_status(status: str) -> str:
    return MEANING_OF_STATUS.get(fold(status), "unknown")


def _counted(words: pd.Series) -> str:
    """Write how many there are of each word: ``3 of status 已取消, 1 of status closed``."""
    counts = words.value_counts()
    shown = [f"{n:,} of status {printable(str(word))}" for word, n in counts.head(SHOWN).items()]
    rest = int(counts.iloc[SHOWN:].sum())
    return ", ".join([*shown, *([f"{rest:,} of others"] if rest else [])])


def _paid_back(orders: pd.DataFrame, is_back: np.ndarray) -> tuple[pd.DataFrame, int]:
    known = orders.get("refund_amount", pd.Series(np.nan, orders.index))
    is_filled = is_back & known.isna().to_numpy() & orders["amount"].notna().to_numpy()
    refund = known.mask(is_filled, orders["amount"])
    return (orders.assign(refund_amount=refund) if is_filled.any() else orders), int(
        is_filled.sum()
    )


def with_prices(
    rows: RawRows, price_of: Mapping[str, Mapping[str, float]], renames: Mapping[str, str]
) -> tuple[RawRows, Counter[str]]:
    """Fill the amounts that orders lack with the price of what they name.

    Parameters
    ----------
    rows : RawRows
        The orders of one file.
    price_of : mapping of their column to (value → amount)
        See `mapping.LogMapping`.
    renames : mapping
        Columns that were given a meaning: their name → ours.

    Returns
    -------
    rows : RawRows
        With a column of amounts.
    counts : Counter
        How many amounts were filled from each column, and under ``<column>=<value>`` how many
        orders name something without a price.
    """
    counts: Counter[str] = Counter()
    for theirs, prices in price_of.items():
        folded = [fold(name) for name in rows.header]
        if fold(theirs) in folded:
            named = _text(rows.cells[folded.index(fold(theirs))])
            rows = _filled(rows, theirs, pc.utf8_trim_whitespace(named), prices, renames, counts)
    return rows, counts


def _filled(
    rows: RawRows,
    theirs: str,
    named: pa.Array,
    prices: Mapping[str, float],
    renames: Mapping[str, str],
    counts: Counter[str],
) -> RawRows:
    header = list(rows.header)
    cells = list(rows.cells)
    present = columns_of("orders", header, renames).get("amount", [])
    if not present:
        header.append("amount")
        cells.append(pa.repeat(pa.scalar("", TEXT), len(rows)))
    position = header.index(present[0]) if present else len(header) - 1
    own = _text(cells[position])
    lacks = pc.equal(pc.utf8_trim_whitespace(own), "").to_numpy(zero_copy_only=False)
    amounts = own.to_pylist()
    for row in np.flatnonzero(lacks):
        value = named[row].as_py()
        if value in prices:
            amounts[row] = repr(prices[value])
            counts[theirs] += 1
        elif value:
            counts[f"{theirs}={value}"] += 1
    cells[position] = pa.array(amounts, TEXT)
    return replace(rows, header=header, cells=cells)


def price_notes(counts: Counter[str]) -> list[str]:
    """Say how many amounts are prices that a mapping gave, and what has none."""
    notes = []
    for place, n in counts.items():
        if "=" in place:
            notes.append(f"orders: {n:,} have no amount, and {printable(place)} has no price")
        else:
            column = printable(place)
            notes.append(
                f"orders: {n:,} amounts are the price of their {column} (mapping.price_of), which "
                "is assumed and not what was paid; every sum of money rests on it"
            )
    return notes


def currencies(rows: RawRows, renames: Mapping[str, str]) -> np.ndarray:
    """Return the currency of each order, '' where neither a column nor a sign says it.

    Examples
    --------
    >>> cells = [pa.array(["¥9", "$5", "7"], TEXT)]
    >>> currencies(RawRows("orders", ["amount"], cells, np.arange(3)), {}).tolist()
    ['CNY', 'USD', '']
    """
    present = columns_of("orders", rows.header, renames)
    found = np.full(len(rows), "", dtype=object)
    for column in ("amount", "currency"):  # a column of currencies goes before signs
        for name in present.get(column, [])[:1]:
            texts = _text(rows.cells[rows.header.index(name)])
            signs = pc.replace_substring_regex(texts, NO_SIGN, "")
            of_text = {sign: _currency(sign) for sign in pc.unique(signs).to_pylist()}
            said = np.array([of_text[sign] for sign in signs.to_pylist()], dtype=object)
            found = np.where(said != "", said, found)
    return found


def _currency(sign: str) -> str:
    plain = sign.casefold().replace("￥", "¥")
    if plain in CURRENCY_OF:
        return CURRENCY_OF[plain]
    is_code = len(plain) == 3 and plain.isascii() and plain.isalpha()
    return plain.upper() if is_code else ""


def foreign_rows(found: Sequence[np.ndarray], currency: str) -> np.ndarray:
    """Return which orders are in another currency than the one that counts.

    Parameters
    ----------
    found : sequence of arrays
        From `currencies`, one a file.
    currency : str
        The one that counts; '' where nobody said it.

    Raises
    ------
    ValueError
        If there are several, and nobody said which one counts.
    """
    of_row = np.concatenate([np.array([], dtype=object), *found])
    tally = Counter(one for one in of_row.tolist() if one)
    if currency:
        return (of_row != "") & (of_row != currency)
    if len(tally) > 1:
        shown = " and ".join(f"{one} ({n:,} orders)" for one, n in tally.most_common())
        most = tally.most_common(1)[0][0]
        raise ValueError(
            f"orders: the amounts are in {shown}, and sums of them mean nothing; convert them to "
            f"one, or write mapping: {{currency: {most}}} to leave the other amounts out"
        )
    return np.zeros(len(of_row), dtype=bool)


def _text(cells: pa.Array) -> pa.Array:
    return pc.cast(cells, TEXT).fill_null("")
