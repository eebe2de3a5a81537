"""The core of each head against its paper read loop by loop, on two small images whose results must not mix."""

import pytest
import torch
from torch import nn

from tests.trainables.models import micro, naive
from trainables.models.backbones.backbone import build_backbone
from trainables.models.backbones.feature2pyramid import Feature2Pyramid, tapped_blocks
from trainables.models.expansive_path import ExpansivePath, up_convolution
from trainables.models.heads.base import Pyramid
from trainables.models.heads.knet import KernelUpdateHead
from trainables.models.heads.lawin import WINDOW, LargeWindowAttention, LightLargeWindowAttention
from trainables.models.heads.ocr import ObjectAttention, region_representations
from trainables.models.heads.semask import SemanticLayer
from trainables.models.heads.unetplusplus_original import OriginalUNetPlusPlusHead
from trainables.models.heads.upernet import UPerNetHead
from trainables.models.layers import PyramidPooling, two_convolutions_with_bias

torch.set_num_threads(1)


def random(layer: nn.Module) -> nn.Module:
    """All parameters and running statistics drawn anew, so that no part is hidden by a zero or one; eval mode."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn_like(parameter) / max(1, parameter[0].numel()) ** 0.5)
        for name, buffer in layer.named_buffers():
            if name.endswith("running_var"):
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    return layer.eval()


def assert_each_image_equals(result: torch.Tensor, expected: list[torch.Tensor]) -> None:
    torch.testing.assert_close(result, torch.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("window", [2, 3, None])
def test_semantic_attention(window):
    layer = random(SemanticLayer(6, num_classes=4, window=window, dropout=0.1))
    x = torch.randn(2, 4, 5, 6)
    with torch.no_grad():
        tokens, prior = layer(x)
        expected = [naive.semantic_attention(image, layer, window) for image in x]
    assert_each_image_equals(tokens, [pair[0] for pair in expected])
    assert_each_image_equals(prior, [pair[1] for pair in expected])


def test_semantic_layer_only_norms_at_first_and_yet_learns():
    layer = SemanticLayer(6, num_classes=4, window=2, dropout=0.0)
    x = torch.randn(1, 4, 4, 6)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    tokens, _ = layer(x)
    assert torch.equal(tokens, layer.norm(x))
    for _ in range(2):
        optimizer.zero_grad()
        tokens, prior = layer(x)
        ((tokens - 1) ** 3).sum().add(prior.square().sum()).backward()
        optimizer.step()
    assert [name for name, parameter in layer.named_parameters() if not parameter.grad.any()] == []


@pytest.mark.parametrize("ratio", [8, 4, 2])
def test_large_window_attention(ratio):
    layer = random(LargeWindowAttention(128, ratio))
    x = torch.randn(2, 128, 8, 16)
    with torch.no_grad():
        assert_each_image_equals(layer(x), [naive.large_window_attention(image, layer) for image in x])


@pytest.mark.parametrize("ratio", [8, 4, 2])
def test_light_contexts_are_centred_on_their_windows(ratio):
    layer = random(LightLargeWindowAttention(64, ratio))
    x = torch.randn(1, 64, 24, 32)
    with torch.no_grad():
        cells, contexts = layer.pool(x)[0], layer.contexts(x)
    row, column, per_window = 1, 2, WINDOW // ratio  # a window, and how many cells it is wide
    context = contexts[row * 4 + column]
    top, left = (WINDOW - per_window + 1) // 2, (WINDOW - per_window) // 2
    for i in range(WINDOW):
        for j in range(WINDOW):
            k, m = row * per_window + i - top, column * per_window + j - left
            inside = 0 <= k < cells.shape[1] and 0 <= m < cells.shape[2]
            assert torch.equal(context[:, i, j], cells[:, k, m] if inside else torch.zeros(64))


def test_kernel_update():
    layer = random(KernelUpdateHead(512))
    features, kernels, masks = torch.randn(2, 512, 2, 3), torch.randn(2, 3, 512), torch.randn(2, 3, 2, 3)
    with torch.no_grad():
        new, new_masks = layer(features, kernels, masks)
        expected = [naive.kernel_update(layer, *image) for image in zip(features, kernels, masks)]
    assert_each_image_equals(new, [pair[0] for pair in expected])
    assert_each_image_equals(new_masks, [pair[1] for pair in expected])


def test_object_regions_and_attention():
    layer = random(ObjectAttention())
    pixels, regions = torch.randn(2, 512, 3, 4), torch.randn(2, 5, 3, 4)
    with torch.no_grad():
        representations = region_representations(pixels, regions)
        assert_each_image_equals(representations, [*map(naive.region_representations, pixels, regions)])
        expected = [naive.object_attention(layer, *image) for image in zip(pixels, representations)]
        assert_each_image_equals(layer(pixels, representations), expected)


def test_upernets_finest_level_has_the_sum_of_all_coarser_ones():
    """Top-down, by addition (Lin et al., Feature Pyramid Networks, 2017, section 3; UPerNet's figure 4)."""
    torch.manual_seed(0)
    channels = (4, 6, 8, 10)
    head = UPerNetHead(Pyramid(channels, (4, 8, 16, 32), 1), num_classes=2, dropout=0.0).initialize().eval()
    features = [torch.randn(1, channel, 32 >> level, 48 >> level) for level, channel in enumerate(channels)]
    seen = []
    head.smooth[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        head(features)
        level = head.pooling(features[3])
        for lateral, feature in zip(reversed(head.laterals), reversed(features[:3])):
            grown = nn.functional.interpolate(level, feature.shape[-2:], mode="bilinear", align_corners=False)
            level = lateral(feature) + grown
    assert torch.allclose(seen[0], level, atol=1e-5)


@pytest.mark.parametrize("size", [(6, 12), (7, 10), (2, 3)])
def test_pyramid_pooling(size):
    layer = random(PyramidPooling(5, 4))
    x = torch.randn(2, 5, *size)
    with torch.no_grad():
        assert_each_image_equals(layer(x), [naive.pyramid_pooling(layer, image) for image in x])


@pytest.mark.parametrize("size", [(4, 6), (3, 5), (1, 1)])
def test_feature_pyramid_of_one_stride(size):
    layer = random(Feature2Pyramid(6))
    maps = [torch.randn(2, 6, *size) for _ in range(4)]
    with torch.no_grad():
        expected = [naive.feature_pyramid(layer, [x[image] for x in maps]) for image in range(2)]
        for level, result in enumerate(layer(maps)):
            assert_each_image_equals(result, [pyramid[level] for pyramid in expected])


@pytest.mark.parametrize(("depth", "blocks"), [(12, [3, 5, 7, 11]), (24, [7, 11, 15, 23]), (4, [0, 1, 2, 3])])
def test_tapped_blocks_are_the_published_ones(depth, blocks):
    assert tapped_blocks(depth) == blocks


@pytest.mark.parametrize("size", [(5, 4), (7, 7), (10, 16)])
def test_swin_blocks_pad_before_they_shift(size):
    model = random(build_backbone(micro.FAMILIES["Swin"])).model
    plain, shifted = model["layers_1"].blocks
    assert (plain.shift_size, shifted.shift_size) == ((0, 0), (3, 3))
    x = torch.randn(2, *size, 32)
    with torch.no_grad():
        for block in (plain, shifted):
            assert_each_image_equals(block._attn(x), [naive.shifted_window_attention(block, image) for image in x])


def test_every_stage_of_swin_shifts_at_its_native_size():
    model = build_backbone("swin_tiny_patch4_window7_224").model
    shifts = [block.shift_size for stage in range(4) for block in model[f"layers_{stage}"].blocks]
    assert shifts == [(0, 0), (3, 3)] * 6


def test_expansive_path_of_unet():
    """Figure 1 of the paper, from the deepest map to the finest, a value of the up-convolution at a time."""
    path = random(ExpansivePath((2, 3, 4), up=up_convolution, level=two_convolutions_with_bias))
    features = [torch.randn(2, channels, 8 >> level, 12 >> level) for level, channels in enumerate((2, 3, 4))]
    x, expected = features[2], []
    with torch.no_grad():
        for up, level, skip in zip(path.ups, path.levels, (features[1], features[0])):
            doubled = torch.zeros_like(skip)
            for row, column in torch.cartesian_prod(*map(torch.arange, skip.shape[-2:])).tolist():
                weight = up.weight[:, :, row % 2, column % 2]
                doubled[..., row, column] = x[..., row // 2, column // 2] @ weight + up.bias
            x = torch.cat([skip, doubled], dim=1)
            for convolution in (level[0], level[2]):
                x = torch.conv2d(x, convolution.weight, convolution.bias, padding=1).relu()
            expected.append(x)
        for mine, theirs in zip(path(features), expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_nested_skip_connections_of_unetplusplus():
    """Equation 1 of the paper as a recursion, and the average of all columns' probabilities."""
    head = random(OriginalUNetPlusPlusHead(Pyramid((4, 6, 8, 10), (1, 2, 4, 8), 0), num_classes=3, dropout=0.1))
    features = [torch.randn(2, channels, 16 >> level, 24 >> level) for level, channels in enumerate((4, 6, 8, 10))]

    def node(i, j):
        if j == 0:
            return features[i]
        inputs = [*(node(i, k) for k in range(j)), head.ups[f"{i}_{j}"](node(i + 1, j - 1))]
        return head.nodes[f"{i}_{j}"](torch.cat(inputs, dim=1))

    with torch.no_grad():
        columns = [head.classifiers[j - 1](node(0, j)) for j in (1, 2, 3)]
        torch.testing.assert_close(head(features).softmax(1), sum(logits.softmax(1) for logits in columns) / 3)
        outputs = [logits for _, logits in head.training_logits(features)]
    for output, column in zip(outputs, (columns[2], columns[0], columns[1]), strict=True):
        torch.testing.assert_close(output, column)
