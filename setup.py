"""Packaging: `pip install -e .` gives everything the main job needs, and no more."""

from setuptools import find_packages, setup

# Ranges that the tests have run on; jax 0.11 needs Python 3.12.
REQUIRED = [
    'absl-py>=2.1,<3',
    'array-record>=0.7,<1',
    'chex>=0.1.90,<0.2',
    'flax>=0.12,<0.13',
    'grain>=0.2.15,<0.3',
    'imageio-ffmpeg>=0.5,<1',
    'importlib-resources>=6,<8',  # tensorflow-datasets needs it without saying so
    'jax>=0.10,<0.12',
    'jaxlib>=0.10,<0.12',
    'jaxtyping>=0.3,<0.4',
    'matplotlib>=3.9,<4',
    'ml-collections>=1.0,<2',
    'numpy>=2.0,<3',
    'optax>=0.2.6,<0.3',
    'orbax-checkpoint>=0.12,<0.13',
    'pillow>=11,<14',
    'safetensors>=0.5,<1',
    'scikit-image>=0.25,<0.27',  # photographs and faces that ship in the wheel
    'scikit-learn>=1.6,<2',  # the handwritten digits
    'scipy>=1.13,<2',
    'tensorflow-datasets>=4.9.9,<5',
]
# Environments; agents and the pure interface need none of them.
RL = [
    'ale-py>=0.11,<0.13',
    'gymnasium>=1.1,<1.4',
    'gymnax>=1.0.1,<2',
    'navix>=0.7.4,<0.8',
]
TEST = [
    *RL,
    'hypothesis>=6.100,<7',
    'nbclient>=0.10,<1',
    'nbformat>=5.10,<6',
    'ipykernel>=6.29,<8',
    'pytest>=8,<10',
    'pytest-xdist>=3.6,<4',
    'ruff>=0.8,<1',
    'tensorboardX>=2.6.2,<3',  # checks the event files that we write
]
# Independent references. Install torch (a CPU build) first, so that nothing replaces it.
ORACLES = [
    'torch==2.13.0',
    'diffusers==0.42.1',
    'transformers==5.23.0',
    'rlax>=0.1.9,<0.2',
    'stable-baselines3==2.9.2',
    'vector-quantize-pytorch==1.32.0',
    'gsply==0.4.6',
    'opencv-python-headless==4.14.0.94',
    'plyfile==1.1.5',
    'pycolmap==4.2.0',
    'trimesh==5.2.0',
    'PySide6_WebEngine==6.12.0.140',  # Chromium, which shows the pages of splats
    'quickjs==1.19.4',
]

setup(
    name='jaxcv',
    version='0.1.0',
    description='Functional research framework for computer vision in JAX and Flax',
    license='Apache-2.0',
    python_requires='>=3.11',
    packages=find_packages(include=['jaxcv', 'jaxcv.*', 'experiments', 'experiments.*']),
    package_data={'jaxcv.splat.viewer': ['assets/*']},
    install_requires=REQUIRED,
    extras_require={'rl': RL, 'test': TEST, 'oracles': ORACLES},
)
