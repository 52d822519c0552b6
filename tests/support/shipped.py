# SPDX-License-Identifier: MIT
"""The rules that come with postern, as a site would have them after taking their comments away."""

import os
import re

from daemon import installed
from procs import read


def shipped(name, enforced=False):
    """The text of a file of shipped rules, with the rules that are comments in it. enforced: those
    that are only watched speak, too."""
    text = read(os.path.join(installed(), "rules.d", name))
    text = re.sub(r"^# (?=rule |    |\})", "", text, flags=re.M)
    return re.sub(r"^    observe;\n", "", text, flags=re.M) if enforced else text


__all__ = ["shipped"]
