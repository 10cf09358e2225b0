"""What viewers write in live sessions, by topic; the texts are in ``comments.yaml``."""

from importlib.resources import files

import numpy as np
import pandas as pd
import yaml

from kpay_lab.world import presets as p

_TEXTS = yaml.safe_load(
    files("kpay_lab.world").joinpath("comments.yaml").read_text(encoding="utf-8")
)
TOPICS = pd.DataFrame.from_dict(_TEXTS["comments"], orient="index")
IN_CHINESE = dict(_TEXTS["topics_in_chinese"])


def write_comments(
    spec: p.WorldSpec, topics: np.ndarray, hosts: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """Write a comment for each viewer who says something.

    Parameters
    ----------
    spec : WorldSpec
        Its field has the words, its language is that of the texts.
    topics, hosts : int arrays (n,)
        What the session is about, and who is on: positions in the field's topics and in
        ``presets.HOSTS``.

    Returns
    -------
    DataFrame
        ``comment_text``, its ``topic`` (of `TOPICS`) and ``is_question``.

    Examples
    --------
    >>> spec = p.WorldSpec(field="consumer-goods", language="zh")
    >>> said = write_comments(spec, np.array([2]), np.array([0]), np.random.default_rng(3))
    >>> said["topic"].tolist(), said["comment_text"].tolist()
    (['price'], ['茶课程多少钱？'])
    """
    of_field = list(p.FIELDS[spec.field].topics.items())
    drawn = rng.choice(len(TOPICS), len(topics), p=TOPICS["share"].to_numpy())
    rows = []
    for about, topic, host in zip(drawn, topics, hosts, strict=True):
        name, words = of_field[topic]
        texts = TOPICS[spec.language].iloc[about]
        text = texts[rng.integers(len(texts))]
        word = words[rng.integers(len(words))]
        called = IN_CHINESE[name] if spec.language == "zh" else name
        filled = text.format(topic=called, word=word, host=p.HOSTS[host])
        is_question = bool(TOPICS["is_question"].iloc[about])
        rows.append((filled, TOPICS.index[about], is_question))
    return pd.DataFrame(rows, columns=["comment_text", "topic", "is_question"])
