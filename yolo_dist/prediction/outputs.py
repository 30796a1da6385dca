"""What a prediction leaves: pictures, files of Pascal VOC, JSON."""
from pathlib import Path

import cv2

from yolo_dist.errors import InputError
from yolo_dist.runs.run_directory import write_json, write_utf8
from yolo_dist.whole_files import check_writable, make_folder, write_whole

_PICTURE_SUFFIXES = ('.jpg', '.jpeg', '.png')
_MAX_JPEG_SIDE_PX = 65_500
_JPEG_QUALITY = 95


class Outputs:
    """Where results go; each file is there whole or not at all.

    Args:
        directory (str): For pictures and files of VOC; absent or empty. ``None`` writes none.
        json_file (str): ``None`` writes none.

    Raises:
        InputError: If ``directory`` holds anything, or a place cannot be written.
    """

    def __init__(self, directory, json_file):
        self._directory = None if directory is None else Path(directory)
        self._json_file = None if json_file is None else Path(json_file)
        if self._directory is not None:
            make_folder(self._directory)
            if any(self._directory.iterdir()):
                raise InputError(f'{directory}: is not empty; choose another place for the '
                                 'outputs, or remove what is there')
        if self._json_file is not None:
            check_writable(self._json_file)

    @property
    def wants_pictures(self):
        return self._directory is not None

    def write_picture(self, name, img):
        """Write a picture as JPEG or PNG, as its name ends; with another ending as PNG.

        Args:
            name (str): Below the directory.
            img (ndarray): uint8 ``(3, H, W)``, RGB.
        """
        path = self._directory / name
        # Frames have no ending.
        if path.suffix.lower() not in _PICTURE_SUFFIXES:
            path = path.with_name(path.name + ('.png' if path.suffix else '.jpg'))
        if path.suffix.lower() != '.png' and max(img.shape) > _MAX_JPEG_SIDE_PX:
            path = path.with_name(f'{path.name}.png')
        pixels = cv2.cvtColor(img.transpose(1, 2, 0), cv2.COLOR_RGB2BGR)
        settings = () if path.suffix.lower() == '.png' else (
            cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)
        _, data = cv2.imencode(path.suffix.lower(), pixels, settings)
        make_folder(path.parent)
        with write_whole(path) as partial:
            partial.write_bytes(data)

    def write_voc(self, records, class_names):
        """Write ``comp4_det_test_<class>.txt`` of each class, as VOC's development kit reads it.

        Lines are ``image_id score xmin ymin xmax ymax``, in pixels counted from 1, as Darknet
        writes them.

        Args:
            records (list of dict): Pictures as in the JSON file.
            class_names (sequence of str): Classes in label order.
        """
        files = [f'comp4_det_test_{name.replace("/", "%2F")}.txt' for name in class_names]
        lines = {file: [] for file in files}  # classes of one name share a file
        for record in records:
            for found in record['objects']:
                lines[files[found['label']]].append(_voc_line(record, found))
        for file, of_class in lines.items():
            write_utf8(self._directory / file, ''.join(of_class))

    def write_json(self, content):
        """Write the JSON file."""
        write_json(self._json_file, content)


def _voc_line(record, found):
    bbox, width, height = found['bbox'], record['width'], record['height']
    corners = (min(bbox['x_min'] + 1, width), min(bbox['y_min'] + 1, height),
               min(bbox['x_max'] + 1, width), min(bbox['y_max'] + 1, height))
    return (f'{record["image_id"]} {found["score"]:.6f} '
            + ' '.join(f'{corner:.2f}' for corner in corners) + '\n')
