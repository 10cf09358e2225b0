"""The printed tables of document A, section 4.3, and the flow charts of both, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class WorkedCase:
    """Every number document A prints in its worked case; rows are u_1, u_2, columns v_1, v_2.

    Parameters
    ----------
    watch_time : array (2, 2)
        Printed as 30, 20, 50, 40; the unit is not printed, seconds are assumed.
    likes : array (2, 2)
    commented : bool array (2, 2)
        有 is True, 无 is False.
    interest : array (2, 2)
        The A of the rating table (section 4.3, 3); the table of A itself has no values.
    mean_interest : float
        mu.
    predicted : array (2, 2)
        P as printed.
    item_features, user_features : arrays (2, 3)
        C and D.
    content_scores : array (2, 2)
        R as printed.
    weights : three floats
        w1, w2, w3.
    ratings : array (2, 2)
        S as printed.
    """

    users: tuple[str, ...]
    items: tuple[str, ...]
    watch_time: np.ndarray
    likes: np.ndarray
    commented: np.ndarray
    interest: np.ndarray
    mean_interest: float
    predicted: np.ndarray
    item_features: np.ndarray
    user_features: np.ndarray
    content_scores: np.ndarray
    weights: tuple[float, float, float]
    ratings: np.ndarray

    def in_rows(self, matrices: Mapping[str, np.ndarray]) -> pd.DataFrame:
        """Return (2, 2) matrices as the document prints them: a row a pair, a column a matrix.

        >>> WORKED_CASE.in_rows({"printed": WORKED_CASE.predicted}).head(2)
          user content  printed
        0  u_1     v_1      0.8
        1  u_1     v_2      0.3
        """
        rows = {
            "user": np.repeat(self.users, len(self.items)),
            "content": np.tile(self.items, len(self.users)),
        }
        columns = {name: matrix.ravel() for name, matrix in matrices.items()}
        return pd.DataFrame(rows | columns)


def _printed(rows: list[list[float]]) -> np.ndarray:
    table = np.array(rows)
    table.setflags(write=False)  # what is printed stays as printed
    return table


WORKED_CASE = WorkedCase(
    users=("u_1", "u_2"),
    items=("v_1", "v_2"),
    watch_time=_printed([[30.0, 20.0], [50.0, 40.0]]),
    likes=_printed([[10, 5], [20, 15]]),
    commented=_printed([[False, False], [True, False]]),
    interest=_printed([[0.5, 0.5], [0.5, 0.5]]),
    mean_interest=0.5,
    predicted=_printed([[0.8, 0.3], [0.8, 0.3]]),
    item_features=_printed([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]]),
    user_features=_printed([[0.4, 0.5, 0.6], [0.2, 0.3, 0.4]]),
    content_scores=_printed([[0.52, 0.37], [0.60, 0.42]]),
    weights=(0.5, 0.3, 0.2),
    ratings=_printed([[0.8, 0.4], [0.8, 0.4]]),
)


@dataclass(frozen=True)
class FlowChart:
    """A flow chart: boxes at grid places (column, row from the top), and labelled arrows."""

    title: str
    boxes: dict[str, tuple[str, float, float]]
    arrows: tuple[tuple[str, str, str], ...]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the boxes and arrows, and return the Axes."""
        from kpay_lab.plots import plot_flow  # here, for matplotlib is slow to import

        return plot_flow(self.boxes, self.arrows, ax=ax, title=self.title)


def _arrows(ends: str, **words: str) -> tuple[tuple[str, str, str], ...]:
    """Return arrows from pairs of boxes such as ``AB BC``; ``BC="yes"`` puts a word on one."""
    pairs = ends.split()
    return tuple((pair[0], pair[1], words.get(pair, "")) for pair in pairs)


VIEWER_FLOW = FlowChart(
    "Document A, 2.5: from viewer to learner",
    {
        "A": ("user 用户", 0, 0),
        "B": ("live / short video\n直播 / 短视频", 1, 0),
        "C": ("interested?\n是否感兴趣", 2, 0),
        "D": ("watch 观看", 3, 0),
        "E": ("buy? 是否购买", 4, 0),
        "F": ("purchase 完成购买", 4, 1),
        "G": ("learn 学习", 3, 1),
        "H": ("feedback 反馈评价", 2, 1),
        "I": ("keep watching\n继续观看", 4, -1.5),
        "J": ("leave 退出", 2, -0.8),
    },
    _arrows(
        "AB BC CD DE EF FG GH HA EI IA CJ JA", CD="yes 是", EF="yes 是", EI="no 否", CJ="no 否"
    ),
)

SELLER_FLOW = FlowChart(
    "Document B, 2.3: from plan to service, from knowledge to analysis",
    {
        "A": ("plan content\n内容策划", 0, 0),
        "B": ("prepare\n直播准备", 1, 0),
        "C": ("present\n直播展示", 2, 0),
        "D": ("convert\n销售转化", 3, 0),
        "E": ("serve after\n售后服务", 4, 0),
        "F": ("distil knowledge\n知识提炼", 0, 1),
        "G": ("shape value\n价值塑造", 1, 1),
        "H": ("choose platform\n平台选择", 2, 1),
        "I": ("interact\n互动营销", 3, 1),
        "J": ("analyse data\n数据分析", 4, 1),
    },
    _arrows("AB BC CD DE FG GH HI IJ"),
)
