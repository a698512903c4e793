"""What people read: one page a case, self-contained and without script, rendered from data that others hand in.

``pages`` is the one place that renders; ``case_page`` says what the page of a case shows; ``templates/`` how.
"""
