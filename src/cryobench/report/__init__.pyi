from .pages.card import write_card as write_card
from .pages.report import write_report as write_report
