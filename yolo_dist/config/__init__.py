"""The experiment file as typed, validated data.

Two shapes of file exist. A *run* has all sections of :class:`RunConfig`. A
*sweep* names a ``base`` run and has one entry in ``runs`` for each row of the
paper's table: the dotted differences under ``set`` and the values that the paper
reports under ``paper``; a row may have a ``base`` of its own, or be the
``same_as`` a row of another sweep, whose run it shows. No key has a default: what
a file does not say, it is asked for. The exceptions are :data:`OPTIONAL_KEYS`.
"""

from yolo_dist.config.files import differences, dump_config, load_config, rows, seeds
from yolo_dist.config.sections import OPTIONAL_KEYS, RunConfig
from yolo_dist.config.sites import REPOSITORY, Site, load_site, site_names

__all__ = [
    'OPTIONAL_KEYS', 'REPOSITORY', 'RunConfig', 'Site', 'differences', 'dump_config',
    'load_config', 'load_site', 'rows', 'seeds', 'site_names',
]
