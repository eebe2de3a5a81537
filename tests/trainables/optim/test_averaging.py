import pytest
import torch
from torch import nn

from trainables.optim import averaged


class Counted(nn.Module):
    """A weight of one value, and a table of whole numbers as Swin's blocks have one."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("table", torch.arange(169), persistent=False)


def average_of(weights, decay):
    """The average after steps that made the weight each of these values."""
    model, done = Counted(), []
    average = averaged(model, decay, lambda: len(done))
    for weight in weights:
        done.append(weight)
        model.weight.data.fill_(weight)
        average.update_parameters(model)
    return average.module


@pytest.mark.parametrize("decay", [0.9, 0.95, 0.992, 0.9995, 0.9999])
def test_tables_of_whole_numbers_stay_as_they_are(decay):
    assert torch.equal(average_of([0.0] * 30, decay).table, torch.arange(169))


def test_an_average_of_few_steps_is_not_that_of_the_first_weights():
    assert average_of([0.0] + [1.0] * 49, 0.9999).weight.item() > 0.999


def test_an_average_of_many_steps_decays_as_asked():
    late = average_of([0.0] * 200 + [1.0], 0.9).weight.item()
    assert late == pytest.approx(0.1)
    early = average_of([0.0, 1.0], 0.9).weight.item()
    assert early == pytest.approx(1 - 3 / 12)  # step 2: (1 + 2) / (10 + 2)
