"""Many texts by one author: tables of them, their mean habits, and the rule that decides who wrote them all."""
