"""Find the 200 nearest neighbours of every item by the cosine of their users."""

import numpy as np
from logs import interactions

N = 200


def peer(size):
    from implicit.nearest_neighbours import CosineRecommender
    from scipy.sparse import csr_matrix

    train = csr_matrix(interactions(size)[0])
    model = CosineRecommender(K=N + 1, num_threads=1)  # it counts an item as its own neighbour
    yield
    model.fit(train, show_progress=False)
    yield
    similar = model.similarity.toarray()
    np.fill_diagonal(similar, 0)
    yield {"similar": np.sort(similar, axis=1)[:, -N:]}


def ours(size):
    from steps.shared import interest

    from kpay_lab.recommend.base import Training
    from kpay_lab.recommend.neighbours import ItemNeighbours

    training = Training.from_matrix(interest(interactions(size)[0]))
    model = ItemNeighbours(n_neighbors=N)
    yield
    model.fit(training)
    yield
    yield {"similar": np.sort(model.item_weights_.T.toarray(), axis=1)[:, -N:]}


def floor(size):
    """The sparse product of the matrix with itself."""
    train, _ = interactions(size)
    columns = train.T.tocsr()
    yield
    columns @ train
    yield


def check(peer, ours):
    np.testing.assert_allclose(ours["similar"], peer["similar"], rtol=1e-9, atol=1e-12)
    return "all similarities equal to 1e-9"
