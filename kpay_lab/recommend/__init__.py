"""Models that score, and the one function that ranks."""

from kpay_lab.recommend.als import ALS
from kpay_lab.recommend.content import ContentBased
from kpay_lab.recommend.ease import EASE
from kpay_lab.recommend.forest import RandomForest
from kpay_lab.recommend.markov import Markov
from kpay_lab.recommend.mix import Blend
from kpay_lab.recommend.neighbours import ItemNeighbours, UserNeighbours
from kpay_lab.recommend.popularity import Baseline, Popularity, Random

# Each can be made by its name alone; a `mix.Mix` is made of them and must be told its parts.
MODELS = {
    "random": Random,
    "popularity": Popularity,
    "baseline": Baseline,
    "content": ContentBased,
    "blend": Blend,
    "forest": RandomForest,
    "user_neighbours": UserNeighbours,
    "item_neighbours": ItemNeighbours,
    "ease": EASE,
    "als": ALS,
    "markov": Markov,
}

# By what a model takes to build, explain and keep running.
SIMPLEST_FIRST = (
    "random",
    "popularity",
    "baseline",
    "content",
    "item_neighbours",
    "user_neighbours",
    "markov",
    "ease",
    "als",
    "spark_als",
    "blend",
    "mix",
    "forest",
)
