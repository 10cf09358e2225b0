"""Models that score, and the one function that ranks."""

from kpay_lab.recommend.ease import EASE
from kpay_lab.recommend.neighbours import ItemNeighbours, UserNeighbours
from kpay_lab.recommend.popularity import Baseline, Popularity, Random

MODELS = {
    "random": Random,
    "popularity": Popularity,
    "baseline": Baseline,
    "user_neighbours": UserNeighbours,
    "item_neighbours": ItemNeighbours,
    "ease": EASE,
}
