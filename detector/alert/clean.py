"""The project's one definition of safe text, under the name that alerts use."""

from detector.clean import clean as clean
from detector.clean import show_id as show_id
