"""Recognition: what is in the image? Classifiers, their losses, scores and pictures.

Every model is called alike: `module.apply(variables, images, train, keys)` with images
[b h w c] in [-1, 1] and one key per sample (or None: no dropout) gives logits [b classes]; with
`features=True`, a pair with what the last layer sees, [b d].
"""

from jaxcv.recognition.cnn import CNN
from jaxcv.recognition.convnext import ConvNeXt
from jaxcv.recognition.mlp import MLP
from jaxcv.recognition.models import MODELS, SIZES, model
from jaxcv.recognition.resnet import ResNet
from jaxcv.recognition.vit import ViT

__all__ = ['CNN', 'MLP', 'MODELS', 'SIZES', 'ConvNeXt', 'ResNet', 'ViT', 'model']
