"""Batch normalisations folded into the convolutions before them: the same numbers in fewer steps over memory."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(net: nn.Module) -> nn.Module:
    """``net`` itself, for inference: where a module declares a convolution and right after it a normalisation of its
    outputs, they become one convolution with a bias. Only for networks that use them in that order.
    """
    net.eval()
    before: tuple[str, nn.Module] = "", net
    for name, module in list(net.named_children()):
        called, last = before
        if isinstance(module, nn.BatchNorm2d) and isinstance(last, nn.Conv2d):
            setattr(net, called, fuse_conv_bn_eval(last, module))
            setattr(net, name, nn.Identity())
        before = name, module
        folded(module)
    return net
