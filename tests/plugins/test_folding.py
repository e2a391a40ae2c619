import torch
from torch import Tensor, nn

from facestream.plugins.folding import folded


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.tail = nn.Sequential(nn.Conv2d(4, 5, 1), nn.BatchNorm2d(5), nn.ReLU(), nn.BatchNorm2d(5))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.tail(self.norm(self.conv(x)))
        return result


def test_a_folded_network_computes_what_it_computed_before() -> None:
    torch.manual_seed(0)
    net = Net().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                assert tensor is not None
                tensor.uniform_(0.5, 2)
    x = torch.rand(2, 3, 8, 8)
    with torch.inference_mode():
        expected = net(x)
        found = folded(net)(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_only_a_normalisation_right_after_a_convolution_goes() -> None:
    kinds = [type(module) for module in folded(Net()).modules() if isinstance(module, nn.BatchNorm2d | nn.Identity)]
    assert kinds == [nn.Identity, nn.Identity, nn.BatchNorm2d]
