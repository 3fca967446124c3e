"""Diffusion models: process, parameterization, network, guidance, sampler and loss, each a page.

schedules -> Process -> spacing -> Level [n+1]; network + Parameterization -> Denoiser; sampler.
"""
