"""Methods for `jaxcv.diffusion.sampling.sample`, by name: each of them works on any process."""

from collections.abc import Callable, Mapping

from jaxcv.diffusion.samplers import (
    ddim,
    ddpm,
    dpm_solver,
    heun,
    langevin,
    multistep,
    unipc,
)
from jaxcv.diffusion.samplers.ddim import invert
from jaxcv.diffusion.sampling import Sampler
from jaxcv.errors import choose, construct

SAMPLERS: Mapping[str, Callable[..., Sampler]] = {
    'ddpm': ddpm.ddpm,
    'ddim': ddim.ddim,
    'euler': ddim.ddim,  # the same method: see ddim.py
    'euler_ancestral': ddim.euler_ancestral,
    'heun': heun.heun,
    'dpmpp_1s': dpm_solver.dpmpp_1s,
    'dpmpp_2s': dpm_solver.dpmpp_2s,
    'dpmpp_2m': dpm_solver.dpmpp_2m,
    'dpmpp_2m_sde': dpm_solver.dpmpp_2m_sde,
    'unipc': unipc.unipc,
    'pndm': multistep.pndm,
    'lms': multistep.lms,
    'annealed_langevin': langevin.annealed_langevin,
    'predictor_corrector': langevin.predictor_corrector,
}


def sampler(name: str, **fields) -> Sampler:
    """By name, with the fields of its function: sampler('ddim', eta=0.5)."""
    function = SAMPLERS[choose(name, SAMPLERS, 'the sampler')]
    return construct(function, fields, f'sampler {name!r}')


__all__ = ['SAMPLERS', 'invert', 'sampler']
