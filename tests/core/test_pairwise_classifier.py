import torch

from rspnet_core.pretext.pairwise_classifier import PairwiseClassifier


def build(dropout: float = 0.0) -> PairwiseClassifier:
    return PairwiseClassifier(feature_dim=5, num_clips=4, num_classes=12, pair_dim=7, dropout=dropout)


def test_logits_equal_the_equations():
    """h_ij = ReLU(W [f_i, f_j] + b) for all i < j by one shared layer; then one layer over all of them."""
    classifier, features = build(), torch.randn(3, 4, 5)
    of_pair, of_all = classifier.of_pair[0], classifier.of_all[1]
    assert isinstance(of_pair, torch.nn.Linear)
    assert isinstance(of_all, torch.nn.Linear)
    for row, logits in zip(features, classifier(features), strict=True):
        hidden = []
        for i in range(4):
            for j in range(i + 1, 4):
                joined = row[i].tolist() + row[j].tolist()
                for weights, bias in zip(of_pair.weight.tolist(), of_pair.bias.tolist(), strict=True):
                    hidden.append(max(0.0, bias + sum(w * x for w, x in zip(weights, joined, strict=True))))
        expected = [
            bias + sum(w * x for w, x in zip(weights, hidden, strict=True))
            for weights, bias in zip(of_all.weight.tolist(), of_all.bias.tolist(), strict=True)
        ]
        torch.testing.assert_close(logits, torch.tensor(expected))


def test_the_order_of_clips_matters():
    """Otherwise it could not be told."""
    classifier, features = build(), torch.randn(3, 4, 5)
    assert (classifier(features) - classifier(features.flip(1))).abs().max() > 0.01


def test_dropout_is_of_hidden_numbers_while_training_alone():
    """With all weights one, logits count the 42 hidden numbers of 10: half of them, twice as large."""
    classifier = build(dropout=0.5)
    for parameter in classifier.parameters():
        torch.nn.init.constant_(parameter, float(parameter.ndim == 2))
    features = torch.ones(200, 4, 5)
    trained = classifier(features)[:, 0]
    assert set((trained % 20).tolist()) == {0.0}
    assert 400 < trained.mean() < 440
    assert len(trained.unique()) > 5
    assert classifier.eval()(features).unique().tolist() == [420.0]
