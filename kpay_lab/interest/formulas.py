"""The documents' formulas, first exactly as printed, then in a form that computes on any data.

All come from document A, section 4.2, and keep its symbols:

======  ==========================  =====================================
symbol  meaning                     shape
======  ==========================  =====================================
A       interest                    (n_users, n_items)
B       behaviour: watch time, s    (n_users, n_items)
C       content features            (n_items, n_features)
D       user features               (n_users, n_features)
P       predicted interest          (n_users, n_items)
R       score of content for users  (n_users, n_items)
S       combined score              (n_users, n_items)
mu      mean interest               one number, or (n_users,)
======  ==========================  =====================================

The document also calls the comment model C; here it is always `published_comment` or
`comment_model`. Matrices of different shapes are a ValueError that names them.
"""

from collections.abc import Callable, Iterable

import numpy as np

from kpay_lab.stats import ratio

Matrix = np.ndarray


def published_interest(A: Matrix, mu: float, identity: str = "eye") -> Matrix:
    r"""Predict interest as printed, :math:`P = A + \mu I`.

    Parameters
    ----------
    A : array of shape (n_users, n_items)
    mu : float
        The users' mean interest, one number.
    identity : {"eye", "ones"}
        Read I as the identity matrix (needs n_users = n_items) or as all ones.

    Raises
    ------
    ValueError
        If A is not a matrix, or not square under the identity reading.

    Source: document A, section 4.2.

    Examples
    --------
    >>> published_interest(np.full((2, 2), 0.5), 0.5)
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    A = _matrix("A", A)
    n_users, n_items = A.shape
    if identity == "eye" and n_users != n_items:
        raise ValueError(
            f"A is {n_users} x {n_items}: P = A + mu I has no identity matrix of that shape; "
            "use identity='ones' or predicted_interest"
        )
    return A + mu * _identity(A, identity)


def published_relevance(C: Matrix, D: Matrix, reading: str = "meaning") -> Matrix:
    r"""Score contents for users as printed, :math:`R_{ij} = C_i \cdot D_j`.

    Parameters
    ----------
    C : array of shape (n_items, n_features)
        Content features.
    D : array of shape (n_users, n_features)
        User features.
    reading : {"meaning", "indices"}
        ``meaning``: R_ij is user i's score of content j, :math:`R = D C^\top`, shape
        (n_users, n_items). ``indices``: the printed indices taken literally,
        :math:`R = C D^\top`, shape (n_items, n_users).

    Raises
    ------
    ValueError
        If C and D have different numbers of features.

    Source: document A, section 4.2.

    Examples
    --------
    >>> published_relevance([[1, 0], [0, 2]], [[3, 4]])
    array([[3., 8.]])
    """
    C = _matrix("C", C)
    D = _matrix("D", D)
    if C.shape[1] != D.shape[1]:
        raise ValueError(f"C has {C.shape[1]} features and D has {D.shape[1]}; they must agree")
    if reading not in ("meaning", "indices"):
        raise ValueError(f"reading is {reading!r}; choose 'meaning' or 'indices'")
    if reading == "meaning":
        return D @ C.T
    return C @ D.T


def published_score(R: Matrix, A: Matrix, B: Matrix, weights: tuple[float, float, float]) -> Matrix:
    """Rate as printed, :math:`S = w_1 R + w_2 A + w_3 B`.

    Parameters
    ----------
    R, A, B : arrays of one shape (n_users, n_items)
        B is watch time in seconds, while A is at most 1: unscaled, B decides the score.
    weights : three floats
        Of R, A and B.

    Raises
    ------
    ValueError
        If the shapes differ.

    Source: document A, section 4.2.

    Examples
    --------
    >>> published_score([[0.8]], [[0.5]], [[30]], (0.5, 0.3, 0.2))
    array([[6.55]])
    """
    R = _matrix("R", R)
    A = _matrix("A", A)
    B = _matrix("B", B)
    _same_shape(R=R, A=A, B=B)
    weight_of_R, weight_of_A, weight_of_B = weights
    return weight_of_R * R + weight_of_A * A + weight_of_B * B


def published_comment(A: Matrix, B: Matrix, threshold: float | None = None) -> Matrix:
    r"""Predict who comments on what as printed, by :math:`f(A, B) = A \cdot B`, cell by cell.

    Parameters
    ----------
    A, B : arrays of one shape
        Interest and watch time (seconds).
    threshold : float, optional
        If given, return True where :math:`A B > t` ("has commented").

    Raises
    ------
    ValueError
        If the shapes differ.

    Source: document A, section 4.2 and the worked table of 4.3.

    Examples
    --------
    >>> published_comment([[0.5, 0.5]], [[30, 50]])
    array([[15., 25.]])
    """
    return comment_model(A, B, np.multiply, threshold)


def predicted_interest(
    A: Matrix, mu: float | np.ndarray | None = None, identity: str = "ones"
) -> Matrix:
    r"""Predict interest with each user's own mean, :math:`P_{ij} = A_{ij} + \mu_i I_{ij}`.

    It is `published_interest` for any number of users and items.

    Parameters
    ----------
    A : array of shape (n_users, n_items)
    mu : float or array of shape (n_users,), optional
        Mean interest; by default each user's own mean.
    identity : {"ones", "eye"}
        All ones, or ones on the main diagonal of the rectangle.

    Notes
    -----
    The all-ones reading adds the same number to all items of a user, so it changes no ranking.
    """
    A = _matrix("A", A)
    n_users = A.shape[0]
    if mu is None:
        mu = A.mean(axis=1)
    means = np.asarray(mu, dtype=np.float64)
    if means.shape not in ((), (n_users,)):
        raise ValueError(
            f"mu has shape {means.shape}; give one number or one for each of {n_users} users"
        )
    mean_of_user = np.broadcast_to(means, (n_users,))
    added = mean_of_user[:, None] * _identity(A, identity)
    return A + added


def content_relevance(C: Matrix, D: Matrix, *, normalise: bool = True) -> Matrix:
    r"""Score contents for users by the cosine of their feature vectors, (n_users, n_items).

    Unlike in `published_relevance`, a content does not score higher only because its features
    are large numbers. A zero vector scores 0. Without ``normalise`` it is
    `published_relevance` with ``reading="meaning"``.
    """
    if normalise:
        C = _unit_rows(_matrix("C", C))
        D = _unit_rows(_matrix("D", D))
    return published_relevance(C, D)


def combined_score(
    R: Matrix,
    A: Matrix,
    B: Matrix,
    weights: tuple[float, float, float],
    *,
    scale: Callable[[Matrix], Matrix] | None = None,
) -> Matrix:
    """Combine R, A and B as `published_score` does, after scaling each to [0, 1].

    On one scale the weights alone decide how much each input counts.

    Parameters
    ----------
    R, A, B, weights
        As in `published_score`.
    scale : callable, optional
        Applied to each input; by default `unit_range`. ``lambda values: values`` gives
        `published_score`.
    """
    scale = scale or unit_range
    scaled_R = scale(_matrix("R", R))
    scaled_A = scale(_matrix("A", A))
    scaled_B = scale(_matrix("B", B))
    return published_score(scaled_R, scaled_A, scaled_B, weights)


def comment_model(
    A: Matrix, B: Matrix, f: Callable[[Matrix, Matrix], Matrix], threshold: float | None = None
) -> Matrix:
    """Predict comments by f(A, B), for any f of two matrices of one shape.

    With a threshold return whether each value is above it, else the values.
    """
    A = _matrix("A", A)
    B = _matrix("B", B)
    _same_shape(A=A, B=B)
    values = f(A, B)
    return values if threshold is None else values > threshold


def unit_range(values: Matrix) -> Matrix:
    """Scale a matrix to [0, 1] by its smallest and largest value; a constant matrix becomes 0.

    >>> unit_range(np.array([[20.0, 30.0, 40.0]]))
    array([[0. , 0.5, 1. ]])
    """
    low = values.min()
    span = values.max() - low
    if span == 0:
        return np.zeros_like(values)
    return (values - low) / span


def own_share(B: Matrix) -> Matrix:
    """Divide each row by its sum: the share of the user's own watch time.

    >>> own_share(np.array([[30.0, 20.0]]))
    array([[0.6, 0.4]])
    """
    B = _matrix("B", B)
    total = B.sum(axis=1, keepdims=True)
    return ratio(B, total)


def by_hand(factors: Iterable[float], values: Iterable[float]) -> str:
    """Write out a sum of products with its result, as one would on paper.

    >>> by_hand([0.4, 0.5, 0.6], [0.1, 0.2, 0.3])
    '0.4 · 0.1 + 0.5 · 0.2 + 0.6 · 0.3 = 0.32'
    """
    terms = []
    total = 0.0
    for factor, value in zip(factors, values, strict=True):
        terms.append(f"{factor:g} · {value:g}")
        total += factor * value
    return f"{' + '.join(terms)} = {total:g}"


def _matrix(name: str, values: Matrix) -> Matrix:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2:
        raise ValueError(f"{name} has {matrix.ndim} dimensions; it must be a matrix (2)")
    return matrix


def _same_shape(**matrices: Matrix) -> None:
    different_shapes = {matrix.shape for matrix in matrices.values()}
    if len(different_shapes) > 1:
        shapes = ", ".join(f"{name} is {matrix.shape}" for name, matrix in matrices.items())
        raise ValueError(f"{shapes}; all must have one shape")


def _identity(A: Matrix, identity: str) -> Matrix:
    if identity not in ("eye", "ones"):
        raise ValueError(f"identity is {identity!r}; choose 'eye' or 'ones'")
    if identity == "ones":
        return np.ones_like(A)
    return np.eye(*A.shape)


def _unit_rows(values: Matrix) -> Matrix:
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return ratio(values, length)
