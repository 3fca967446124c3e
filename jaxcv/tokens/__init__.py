"""Pictures as codes of a vocabulary, and models that draw them.

autoencoder   encoder, quantizer, decoder; `quantizers` names what makes the codes
stage         a trained tokenizer as other models see it
methods       priors by name: `autoregressive`, `pixelcnn`, `maskgit`, `var`
text          byte-pair encoding of what priors are told
discriminator, adversarial               what makes reconstructions sharp
"""
