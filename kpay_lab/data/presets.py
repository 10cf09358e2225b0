"""What the six simulated fields of use are about: topics, words, kinds, prices; and who comes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Field:
    """A field of use: its topics, shares of kinds, median prices, purchases per exposure.

    The first four words of a topic and the last four are its two themes; the purchase
    rate is what the logging policy reaches without coupons.
    """

    topics: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, float]
    prices: Mapping[str, float]
    purchase_rate: float


@dataclass(frozen=True)
class Segment:
    """A kind of user; members scatter widely around it.

    ``price_pull`` is the log-odds of buying lost for each unit of log price;
    ``coupon_pull`` what a coupon adds (below 0 it puts people off).
    """

    name: str
    age: float
    hour: float
    price_pull: float
    coupon_pull: float
    kinds: Mapping[str, float]


SEGMENTS = (
    Segment("career builder", 33, 20.5, 0.5, 0.4, {"course": 0.5, "live": 0.2}),
    Segment("avid reader", 40, 7.5, 0.7, -0.1, {"book": 0.6, "report": 0.6}),
    Segment("bargain hunter", 36, 12.5, 1.1, 1.6, {"live": 0.5, "other": 0.3}),
    Segment("night browser", 29, 23.0, 0.8, 0.8, {"short_video": 0.5}),
)

N_TOPICS = 8
# Liking of each segment for each topic: two favourites, one shared with the next segment.
TOPIC_LIKING = np.array([np.roll([0.7, 0.6, 0.2, 0, 0, 0, 0, 0], 2 * s) for s in range(4)])

# Examination falls with position, as in a list read from the top: position ** -EXAMINATION.
EXAMINATION = 0.7
# What a live host or a clip adds to the log-odds of buying what it promotes.
PERSUASION = {"live": 0.9, "short_video": -0.6}
LESSONS = {"course": 8, "book": 5, "report": 3}
# Median length of the whole in seconds.
SECONDS = {"course": 10800, "book": 14400, "report": 2400, "live": 3600, "short_video": 50}
HOSTS = (
    "Li Na",
    "Wang Lei",
    "Zhang Min",
    "Liu Yang",
    "Chen Jing",
    "Yang Fan",
    "Zhao Lin",
    "Wu Xin",
)
BRANDS = ("Lantern", "Bluebridge", "Maple House", "Openfield", "Stillwater", "Nine Rivers")
OCCUPATIONS = ("student", "engineer", "teacher", "manager", "sales", "freelancer", "retired")


def _topics(text: str) -> dict[str, tuple[str, ...]]:
    rows = (line.split(":") for line in text.strip().splitlines())
    return {topic.strip(): tuple(words.split()) for topic, words in rows}


FIELDS = {
    "online-education": Field(
        _topics("""
            Python: variables loops functions classes pandas plots scraping automation
            Mathematics: algebra equations geometry proofs probability statistics sampling inference
            English: grammar vocabulary spelling reading pronunciation listening dialogue interviews
            Data science: regression features trees validation networks embeddings images language
            Writing: essays structure argument style fiction characters plot scenes
            History: dynasties emperors archives archaeology revolutions empires trade diplomacy
            Physics: motion forces energy waves atoms quanta relativity particles
            Economics: markets prices demand inflation investing bonds stocks budgeting
        """),
        {"course": 0.35, "report": 0.08, "book": 0.12, "live": 0.17, "short_video": 0.28},
        {"course": 199, "report": 59, "book": 39},
        0.021,
    ),
    "vocational-training": Field(
        _topics("""
            Accounting: ledgers invoices payroll tax audit consolidation forecasting controls
            Welding: torches joints metals safety robotics seams inspection certificates
            Nursing: hygiene wounds medication patients geriatrics rehabilitation triage ethics
            Software: coding debugging testing databases servers containers deployment monitoring
            Logistics: warehouses packing routes fleets customs imports contracts incoterms
            Catering: knives sauces baking menus service wine costing suppliers
            Design: typography colour layout logos prototypes interfaces research usability
            Teaching: lessons blackboards classrooms discipline exams curricula parents tutoring
        """),
        {"course": 0.45, "report": 0.05, "book": 0.10, "live": 0.20, "short_video": 0.20},
        {"course": 599, "report": 79, "book": 49},
        0.017,
    ),
    "hobbies": Field(
        _topics("""
            Photography: lenses light portraits landscapes editing filters printing albums
            Guitar: chords strumming tuning ballads solos scales amplifiers blues
            Gardening: seeds soil compost vegetables orchids pruning bonsai balconies
            Cooking: noodles dumplings broth spices bread cakes pastry chocolate
            Painting: sketching pencils shading perspective watercolour brushes oils canvas
            Chess: openings gambits tactics forks endgames pawns strategy tournaments
            Yoga: breathing stretching balance postures meditation relaxation mantras retreats
            Knitting: needles yarn stitches scarves patterns sweaters crochet lace
        """),
        {"course": 0.28, "report": 0.03, "book": 0.17, "live": 0.20, "short_video": 0.32},
        {"course": 99, "report": 29, "book": 35},
        0.025,
    ),
    "consumer-goods": Field(
        _topics("""
            Kitchen: pans knives kettles blenders storage jars cutlery aprons
            Skin care: cleanser serum moisturiser sunscreen masks toner fragrance lipstick
            Tea: green oolong black jasmine teapots cups strainers gifts
            Home: lamps cushions curtains rugs shelves baskets hooks mirrors
            Sports: shoes shorts shirts socks dumbbells mats ropes bottles
            Electronics: chargers cables batteries speakers headphones keyboards cameras tripods
            Children: puzzles blocks crayons dolls strollers bibs blankets cots
            Snacks: nuts seeds raisins mango crackers biscuits chocolate candy
        """),
        {"other": 0.50, "report": 0.02, "book": 0.03, "live": 0.20, "short_video": 0.25},
        {"other": 89, "report": 19, "book": 29},
        0.034,
    ),
    "consulting": Field(
        _topics("""
            Strategy: positioning competitors growth portfolios mergers valuation governance boards
            Marketing: segments campaigns channels branding pricing loyalty research surveys
            Finance: cashflow budgets funding loans derivatives hedging risk treasury
            People: hiring onboarding appraisal salaries culture conflict coaching succession
            Operations: processes waste quality suppliers capacity scheduling automation maintenance
            Law: contracts liability disputes arbitration patents trademarks privacy compliance
            Digital: cloud migration platforms data dashboards models governance security
            Sustainability: carbon emissions energy reporting packaging recycling sourcing audits
        """),
        {"course": 0.25, "report": 0.25, "book": 0.10, "live": 0.22, "short_video": 0.18},
        {"course": 1500, "report": 800, "book": 99},
        0.013,
    ),
    "health": Field(
        _topics("""
            Nutrition: protein vegetables vitamins fibre recipes diets fasting sugar
            Sleep: insomnia routines bedtime melatonin dreams naps snoring apnoea
            Fitness: squats lunges pushups strength running intervals endurance marathon
            Mind: stress anxiety worry calm therapy journaling attention mindfulness
            Heart: cholesterol pressure salt arteries rhythm exercise recovery screening
            Back: spine posture lifting discs stretching massage chairs pain
            Pregnancy: trimester cravings birth midwives infants feeding colic weaning
            Ageing: bones falls balance memory hearing vision joints carers
        """),
        {"course": 0.33, "report": 0.10, "book": 0.17, "live": 0.15, "short_video": 0.25},
        {"course": 149, "report": 49, "book": 42},
        0.022,
    ),
}


@dataclass(frozen=True)
class WorldSpec:
    """What to simulate; the same spec gives the same tables to the byte.

    ``noise`` (1 as designed) multiplies what sets users apart from their segment, and
    divides how much interest decides. ``field`` is one of `FIELDS`.
    """

    n_users: int = 2000
    n_items: int = 300
    n_days: int = 90
    seed: int = 0
    field: str = "online-education"
    noise: float = 1.0

    def __post_init__(self) -> None:
        for name, least in (("n_users", 8), ("n_items", 20), ("n_days", 7), ("seed", 0)):
            if (value := getattr(self, name)) < least:
                raise ValueError(f"{name} is {value}; a world needs {name} of {least} or more")
        if self.field not in FIELDS:
            raise ValueError(f"field is {self.field!r}; choose one of {', '.join(FIELDS)}")
        if not 0 < self.noise < np.inf:
            raise ValueError(
                f"noise is {self.noise}; it must be above 0 and finite (1 as designed)"
            )

    def streams(self) -> list[np.random.Generator]:
        """Spawn one generator a stage, so that a change in one stage leaves the others alone."""
        return np.random.default_rng(self.seed).spawn(6)
