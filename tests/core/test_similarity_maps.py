"""Maps by hand, the identity that makes them maps of the similarity, and where on a clip they light up."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from rspnet_core.encoders.head_kinds import HeadKind
from rspnet_core.encoders.projection_head import ProjectionHead
from rspnet_core.encoders.video_encoder import VideoEncoder, pool
from rspnet_core.evaluation.similarity_maps import EmbeddedClips, SimilarityMaps, pair_maps, upsample_maps

FEATURES, EMBEDDING = 6, 4


def random_head(kind: HeadKind) -> ProjectionHead:
    """Biases as large as weights, and batch norms whose statistics are not those of a fresh one."""
    head = ProjectionHead(feature_dim=FEATURES, embedding_dim=EMBEDDING, kind=kind)
    for tensor in [*head.parameters(), *(buffer for buffer in head.buffers() if buffer.is_floating_point())]:
        nn.init.uniform_(tensor, 0.2, 1.5) if tensor.ndim == 1 else nn.init.normal_(tensor)
    return head.eval()


def random_clips(kind: HeadKind, batch: int = 3) -> EmbeddedClips:
    return EmbeddedClips(feature_map=torch.randn(batch, FEATURES, 2, 3, 4), head=random_head(kind))


def linear_head(weight: Tensor, bias: Tensor) -> ProjectionHead:
    head = ProjectionHead(feature_dim=weight.shape[1], embedding_dim=weight.shape[0], kind="linear").eval()
    head.load_state_dict({"layers.0.weight": weight, "layers.0.bias": bias})
    return head


def layers(clips: EmbeddedClips) -> Any:
    """Of the head."""
    return clips.head.layers


def both(first: EmbeddedClips, second: EmbeddedClips) -> list[tuple[EmbeddedClips, EmbeddedClips, SimilarityMaps]]:
    of_first, of_second = pair_maps(first, second)
    return [(first, second, of_first), (second, first, of_second)]


def test_the_papers_map_by_hand():
    """Two features at two positions, a bias on each side.

    First clip: F = [2, 4; 0, 6] (positions; features), x = [3, 3], W = [[1, 0], [1, 1]], b = [0, 1]: z = [3, 7].
    Second: x = [1, 0], W = [[2, 1], [1, 0]], b = [-1, 0]: z = [1, 1].
    z_2^T W_1 = [2, 1]: 2 * 2 + 1 * 0 = 4 and 2 * 4 + 6 = 14, mean 9; z_2 . b_1 = 1; together z_1 . z_2 = 10.
    z_1^T W_2 = [13, 3]: 13 at its one position; z_1 . b_2 = -3.
    """
    first = EmbeddedClips(
        feature_map=torch.tensor([[[2.0, 4.0], [0.0, 6.0]]])[:, :, None, None],
        head=linear_head(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([0.0, 1.0])),
    )
    second = EmbeddedClips(
        feature_map=torch.tensor([1.0, 0.0])[None, :, None, None, None],
        head=linear_head(torch.tensor([[2.0, 1.0], [1.0, 0.0]]), torch.tensor([-1.0, 0.0])),
    )
    of_first, of_second = pair_maps(first, second)
    assert of_first.values.tolist() == [[[[4.0, 14.0]]]]
    assert of_second.values.tolist() == [[[[13.0]]]]
    assert (of_first.offset.item(), of_second.offset.item()) == (1.0, -3.0)
    assert of_first.similarity.item() == of_second.similarity.item() == 10.0
    norms = (58 * 2) ** 0.5
    assert of_first.cosine.item() == pytest.approx(10 / norms)
    assert of_first.cosine_values.flatten().tolist() == pytest.approx([4 / norms, 14 / norms])
    assert of_second.cosine_offset.item() == pytest.approx(-3 / norms)


def test_a_linear_heads_offset_is_its_bias_alone():
    """The map's mean equals the similarity before normalisation but for z_j . b_i, from the weights themselves."""
    for clips, other, maps in both(random_clips("linear"), random_clips("linear")):
        z_other = pool(other.feature_map) @ layers(other)[0].weight.T + layers(other)[0].bias
        expected = torch.einsum("be,ec,bcthw->bthw", z_other, layers(clips)[0].weight, clips.feature_map)
        torch.testing.assert_close(maps.values, expected)
        torch.testing.assert_close(maps.offset, z_other @ layers(clips)[0].bias, rtol=1e-4, atol=1e-4)


def test_without_biases_the_mean_of_the_map_is_the_similarity():
    """The paper's identity to the letter."""
    first, second = random_clips("linear"), random_clips("linear")
    for clips in (first, second):
        nn.init.zeros_(layers(clips)[0].bias)
    for _, _, maps in both(first, second):
        torch.testing.assert_close(maps.values.mean(dim=(1, 2, 3)), maps.similarity)


def test_a_hidden_layer_counts_with_its_active_units():
    """For "mlp": W_2 D W_1 with D the units that the pooled feature switches on; the offset is what biases add."""
    for clips, other, maps in both(random_clips("mlp"), random_clips("mlp")):
        inner, _, outer = layers(clips)
        z_other = other.head(other.feature_map)
        for video, pooled in enumerate(pool(clips.feature_map)):
            active = torch.diag((inner.weight @ pooled + inner.bias > 0).float())
            matrix = outer.weight @ active @ inner.weight
            values = torch.einsum("c,cthw->thw", z_other[video] @ matrix, clips.feature_map[video])
            offset = z_other[video] @ (outer.weight @ active @ inner.bias + outer.bias)
            torch.testing.assert_close(maps.values[video], values, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(maps.offset[video], offset, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", get_args(HeadKind))
def test_map_and_offset_make_the_similarity(kind: HeadKind):
    """Of every kind of head, and the same similarity and cosine from both sides."""
    first, second = random_clips(kind), random_clips(kind)
    embeddings = first.head(first.feature_map), second.head(second.feature_map)
    for _, _, maps in both(first, second):
        torch.testing.assert_close(maps.similarity, (embeddings[0] * embeddings[1]).sum(dim=1))
        torch.testing.assert_close(maps.cosine, nn.functional.cosine_similarity(*embeddings))
        torch.testing.assert_close(maps.cosine_values.mean(dim=(1, 2, 3)) + maps.cosine_offset, maps.cosine)


@pytest.mark.parametrize("kind", get_args(HeadKind))
def test_the_map_tells_what_a_little_more_of_a_position_does(kind: HeadKind):
    """Features of one position a thousandth stronger: the similarity grows by a thousandth of its share."""
    first, second = random_clips(kind, batch=1), random_clips(kind, batch=1)
    first, second = (EmbeddedClips(feature_map=c.feature_map.double(), head=c.head.double()) for c in (first, second))
    stronger = first.feature_map.clone()
    stronger[:, :, 1, 2, 3] *= 1.001
    z_other = second.head(second.feature_map)
    gain = ((first.head(stronger) - first.head(first.feature_map)) * z_other).sum().item()
    maps, _ = pair_maps(first, second)
    num_positions = maps.values.numel()
    assert gain == pytest.approx(0.001 * maps.values[0, 1, 2, 3].item() / num_positions, rel=1e-3, abs=1e-6)


def test_positions_without_features_are_zero():
    """Whatever the biases: what is nowhere cannot be seen there."""
    first = random_clips("mlp")
    first.feature_map[:, :, 0, 1] = 0
    maps, _ = pair_maps(first, random_clips("mlp"))
    assert (maps.values[:, 0, 1] == 0).all()
    assert (maps.values[:, 0, 0] != 0).all()


def test_twice_the_features_make_twice_the_map_and_the_same_cosines():
    """With a linear head without bias, of either clip."""
    first, second = random_clips("linear"), random_clips("linear")
    nn.init.zeros_(layers(first)[0].bias)
    once, _ = pair_maps(first, second)
    twice, seen_from_second = pair_maps(EmbeddedClips(feature_map=2 * first.feature_map, head=first.head), second)
    torch.testing.assert_close(twice.values, 2 * once.values)
    torch.testing.assert_close(twice.cosine_values, once.cosine_values)
    torch.testing.assert_close(seen_from_second.similarity, 2 * once.similarity)


def test_each_clip_is_compared_with_its_own_partner():
    """Another order of the batch gives the maps in that order; the other clips of the batch make no difference."""
    first, second = random_clips("mlp_4_batch_norm"), random_clips("mlp_4_batch_norm")
    whole, _ = pair_maps(first, second)
    order = [2, 0]
    part, _ = pair_maps(
        *(EmbeddedClips(feature_map=clips.feature_map[order], head=clips.head) for clips in (first, second))
    )
    torch.testing.assert_close(part.values, whole.values[order])


def test_nothing_is_left_behind():
    """No gradient in the heads, none on the result, under no_grad too."""
    first, second = random_clips("mlp"), random_clips("mlp")
    with torch.no_grad():
        maps, _ = pair_maps(first, second)
    assert not any(tensor.requires_grad for tensor in vars(maps).values())
    assert all(parameter.grad is None for clips in (first, second) for parameter in clips.head.parameters())


def test_heads_in_training_mode_are_refused():
    """Batch norm would make a clip's map depend on the other clips."""
    first, second = random_clips("mlp_4_batch_norm"), random_clips("linear")
    first.head.train()
    with pytest.raises(ValueError, match="training mode; accepted is eval mode"):
        pair_maps(first, second)


class ColourCells(VideoEncoder):
    """Cells of 2 frames and 4 x 4 pixels: red, green and blue are the features, nothing is learnt."""

    feature_dim = 3

    def feature_map(self, clips: Tensor) -> Tensor:
        return nn.functional.avg_pool3d(clips, (2, 4, 4))


def test_the_map_lights_up_when_and_where_the_common_thing_is():
    """Both clips hold a red square, the first at the end, below on the left, with a green one as a distraction; the
    brightest pixel of the map at the clip's own size lies on the red square, in its frames."""
    clips = torch.zeros(2, 3, 8, 16, 20)
    clips[0, 0, 6:8, 12:16, 0:4] = 1
    clips[0, 1, 0:2, 0:4, 16:20] = 1
    clips[1, 0, 0:2, 0:4, 8:12] = 1
    head = linear_head(torch.eye(3), torch.zeros(3))
    first, second = (EmbeddedClips(feature_map=ColourCells()(clip[None]), head=head) for clip in (clips[0], clips[1]))
    of_first, of_second = pair_maps(first, second)
    whole = upsample_maps(of_first.values, num_frames=8, height=16, width=20)[0]
    assert whole.shape == (8, 16, 20)
    frame, row, column = (index[0] for index in torch.where(whole == whole.max()))
    assert (int(frame) // 2, int(row) // 4, int(column) // 4) == (3, 3, 0)
    assert of_first.values[0, 0, 0, 4] == 0
    assert of_second.values.argmax() == 2  # first frames, first row, third column


def test_upsampling_is_linear_in_time_and_space_and_keeps_the_mean():
    """Two values along each axis in turn, by hand: quarter steps between the middles of the cells, flat outside."""
    steps = [0.0, 0.25, 0.75, 1.0]
    for axis, size in ((1, (4, 1, 1)), (2, (1, 4, 1)), (3, (1, 1, 4))):
        values = torch.tensor([0.0, 1.0]).reshape([2 if place == axis else 1 for place in range(4)])
        num_frames, height, width = size
        larger = upsample_maps(values, num_frames=num_frames, height=height, width=width)
        assert larger.flatten().tolist() == steps
        assert larger.shape[1:] == size
    values = torch.randn(2, 3, 4, 5)
    larger = upsample_maps(values, num_frames=12, height=16, width=15)
    torch.testing.assert_close(larger.mean(dim=(1, 2, 3)), values.mean(dim=(1, 2, 3)))
