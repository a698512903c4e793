"""Many texts of one hand: tables of them, their mean habits, and the rule that decides who wrote them all."""
