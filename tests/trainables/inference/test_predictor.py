"""Class maps from photo files: plain as a trial predicts its holdout, and averaged over views as computed by hand."""

import time

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch.nn.functional import interpolate

from tests import tiny
from trainables.data import load_dataset
from trainables.data.photo_list import as_photos, list_photos
from trainables.data.photos.photo_files import decode_at_sizes as decode
from trainables.errors import UserError
from trainables.hardware.precision import choose_precision
from trainables.inference import predictor as predictor_module
from trainables.inference.evaluate import predict_maps
from trainables.inference.predictor import Predictor, load_model
from trainables.inference.tta import TestTimeAugmentation, window_corners, window_weights
from trainables.models import build_model

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = tiny.config()
CLASSES = 3


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(1)
    model = build_model(
        head=CONFIG.head, backbone=CONFIG.backbone, num_classes=CLASSES, pretrained=False, image_size=CONFIG.size
    ).train()
    for _ in range(3):  # so that norms have statistics of their own
        model(torch.randn(4, 3, *CONFIG.size))
    path = tmp_path_factory.mktemp("weights") / "best.safetensors"
    safetensors.torch.save_file({name: one.contiguous() for name, one in model.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def photos(study):
    return as_photos(load_dataset(study.root).images)


def predictor(weights, **views):
    return Predictor(CONFIG, weights, num_classes=CLASSES, views=TestTimeAugmentation(**views))


def probabilities(model, pixels):
    """float (C, h, w) of an image uint8 (h, w, 3)."""
    with torch.inference_mode():
        return model(model.normalize(torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None]))[0].softmax(0)


def test_plain_maps_are_those_that_a_trial_scores(study, weights, photos):
    model = load_model(CONFIG, weights, CLASSES)
    packed = study.open(CONFIG.size)
    rows = range(len(photos))
    expected = [
        one.numpy()
        for _, one in predict_maps(model, packed, rows, batch_size=2, precision=choose_precision(CONFIG.precision))
    ]
    found = list(predictor(weights).class_maps(photos))
    assert len(found) == len(expected)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected))
    assert len(np.unique(np.stack(found))) > 1, "a constant map would prove nothing"


def test_scales_and_flip_are_averaged_as_probabilities_of_resized_logits(weights, photos):
    model, photo = load_model(CONFIG, weights, CLASSES), photos[3]
    image = Image.open(photo.path).convert("RGB")
    total = 0
    for scale in (0.5, 1.0, 1.5):
        height, width = (round(side * scale) for side in CONFIG.size)
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        for mirrored in (False, True):
            looked_at = pixels[:, ::-1] if mirrored else pixels
            with torch.inference_mode():
                looked_at = torch.from_numpy(looked_at.copy()).permute(2, 0, 1)[None]
                logits = interpolate(model(model.normalize(looked_at)), photo.size, mode="bilinear")[0]
            total = total + (logits.flip(-1) if mirrored else logits).softmax(0)
    found = next(predictor(weights, scales=(0.5, 1.0, 1.5), flip=True).class_maps([photo]))
    assert np.mean(found == total.argmax(0).numpy()) > 0.999  # sums in another order round otherwise
    plain = next(predictor(weights).class_maps([photo]))
    assert not np.array_equal(found, plain)


def test_windows_are_blended_at_the_photos_own_size(weights, photos):
    model, photo = load_model(CONFIG, weights, CLASSES), photos[2]
    pixels = np.asarray(Image.open(photo.path).convert("RGB"))
    ramp = torch.from_numpy(window_weights(CONFIG.size))
    height, width = CONFIG.size
    total, weight = torch.zeros(CLASSES, *photo.size), torch.zeros(photo.size)
    corners = window_corners(photo.size, CONFIG.size, 0.25)
    assert len(corners) == 4
    for y, x in corners:
        seen = probabilities(model, pixels[y : y + height, x : x + width])
        total[:, y : y + height, x : x + width] += ramp * seen
        weight[y : y + height, x : x + width] += ramp
    found = next(predictor(weights, window=True, overlap=0.25).class_maps([photo]))
    assert np.mean(found == (total / weight).argmax(0).numpy()) > 0.999


def test_a_photo_smaller_than_a_window_is_enlarged_to_it(weights, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (11, 40, 3), np.uint8)).save(tmp_path / "small.png")
    photo = list_photos(tmp_path).photos[0]
    assert next(predictor(weights, window=True).class_maps([photo])).shape == (11, 40)


@pytest.mark.parametrize("size", [(1, 2000), (2000, 1), (1, 1), (3, 40)])
def test_a_narrow_photo_is_not_enlarged_without_bound(weights, tmp_path, size):
    """Its long side is enlarged by the largest scale at most, its short one to a window."""
    for found, scale in zip(predictor(weights, window=True, scales=(0.5, 1.0, 1.25))._sizes(size), (0.5, 1.0, 1.25)):
        for side, length, window in zip(found, size, CONFIG.size):
            assert window <= side <= max(window, round(length * max(scale, 4)))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)).save(tmp_path / "narrow.png")
    photo = list_photos(tmp_path).photos[0]
    assert next(predictor(weights, window=True, flip=True).class_maps([photo])).shape == size


def test_windows_of_a_smaller_scale_keep_the_photos_shape(weights, photos):
    height, width = CONFIG.size
    size = round(1.25 * height), 8 * width
    sizes = predictor(weights, window=True, scales=(0.5, 1.0, 1.5))._sizes(size)
    assert sizes[0] == (height, round(8 * width / 1.25))
    assert sizes[1] == size
    assert sizes[2] == tuple(round(1.5 * side) for side in size)


def test_out_of_memory_takes_fewer_photos_at_once(weights, photos, monkeypatch):
    expected = list(predictor(weights, flip=True).class_maps(photos))
    model, tried, maps = predictor(weights, flip=True), [], Predictor._maps
    model.batch_size = model._at_once = 4

    def small(self, some, images):
        tried.append(len(some))
        if len(some) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return maps(self, some, images)

    monkeypatch.setattr(Predictor, "_maps", small)
    most = 1
    found = list(model.class_maps(photos))
    assert tried == [4, 2, *[1] * len(photos)]
    assert np.mean([np.mean(one == other) for one, other in zip(found, expected, strict=True)]) > 0.999
    most = 0
    with pytest.raises(UserError, match="runs out of memory with a single photo of up to 64x48 with flip"):
        next(model.class_maps(photos))


def test_photos_are_decoded_a_few_batches_ahead_and_no_further(weights, photos, monkeypatch):
    decoded = []
    monkeypatch.setattr(predictor_module, "usable_threads", lambda: 2)
    monkeypatch.setattr(
        predictor_module, "decode_at_sizes", lambda data, size, sizes: decoded.append(size) or decode(data, size, sizes)
    )
    model = predictor(weights)
    many = list(photos) * 5
    maps = model.class_maps(many)
    next(maps)
    time.sleep(0.5)
    ahead = 1 + predictor_module.DECODED_BATCHES  # the batch that follows the first, and those that wait
    assert model.batch_size < len(decoded) <= (1 + ahead) * model.batch_size < len(many)
    assert len(list(maps)) == len(many) - 1
    assert len(decoded) == len(many)


def test_who_takes_a_map_can_train(weights, photos):
    for _ in predictor(weights).class_maps(photos[:3]):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


def test_an_image_in_memory_gives_the_map_of_its_file(weights, photos):
    for views in ({}, {"scales": (0.5, 1.0), "flip": True}):
        model = predictor(weights, **views)
        pixels = np.asarray(Image.open(photos[0].path).convert("RGB"))
        assert np.array_equal(model.class_map(pixels), next(model.class_maps(photos[:1])))


def test_a_photo_that_breaks_off_is_named(weights, photos, tmp_path):
    whole = tmp_path / "photo.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)).save(whole)
    whole.write_bytes(whole.read_bytes()[:-1500])
    with pytest.raises(UserError, match=r"photo\.jpg is truncated"):
        list(predictor(weights).class_maps(list_photos(tmp_path).photos))


def test_weights_of_another_number_of_classes_are_named(weights):
    with pytest.raises(
        UserError, match=r"best\.safetensors does not hold a segformer .* with 5 classes: size mismatch"
    ):
        load_model(CONFIG, weights, 5)


def test_weights_that_are_no_safetensors_are_named(tmp_path):
    (tmp_path / "best.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"best\.safetensors cannot be read"):
        load_model(CONFIG, tmp_path / "best.safetensors", CLASSES)
