"""Folders of diffusers' UNet2DModel, UNet2DConditionModel and DiTTransformer2DModel.

    module, variables = load('path/to/folder')
    save(module, variables, 'path/to/new_folder', sample_size=32)

What they call class_labels and encoder_hidden_states is `Condition.label` and `Condition.tokens`;
labels that are vectors (class_embed_type 'projection') and the joined added conditions of SDXL
(addition_embed_type 'text_time': pooled text, then 'sinusoidal' of every id) are
`Condition.vector`. A table of labels does not say whether its last row is the null class: the
module that is read has `null_class=False`, except a DiT's.
"""

from functools import partial

from jaxcv.diffusion import unet_diffusers as unet
from jaxcv.diffusion.dit_diffusers import DIT, LEGACY
from jaxcv.interop import diffusers

KINDS = {
    'UNet2DModel': unet.PLAIN,
    'UNet2DConditionModel': unet.CONDITIONAL,
    'DiTTransformer2DModel': DIT,
    'Transformer2DModel': LEGACY,
}
load = partial(diffusers.load, KINDS)
from_tensors = partial(diffusers.from_tensors, KINDS)
save = partial(diffusers.save, KINDS)
