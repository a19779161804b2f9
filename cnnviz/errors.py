"""The error whose message is meant for the user."""


class CnnvizError(Exception):
    """Bad input or a fault that the user can do something about.

    Its message is one sentence that says what is wrong and what to do; the command line prints
    it on one line, the app shows it in place of the result. Anything else is a defect of ours.
    """
