"""Read the tables of a log, check them, and protect the people in them."""

from kpay_lab.data.door import Gate, read_log
from kpay_lab.data.log import Log
from kpay_lab.data.reading import read_tables
from kpay_lab.data.tables import Tables

__all__ = ["Gate", "Log", "Tables", "read_log", "read_tables"]
