"""What is wrong with an installation, and how to mend it; answers where nothing else can be imported.

`examine` needs the standard library alone. Each kind of finding is looked at in a process of its own, with a
time limit: a package that ends its process, or a share that hangs, becomes a finding.
"""

from mammo_monai.doctor.examination import KINDS, Asked, examine
from mammo_monai.doctor.findings import Finding, Level, worst
from mammo_monai.doctor.hiding import at_home, for_others

__all__ = ["KINDS", "Asked", "Finding", "Level", "at_home", "examine", "for_others", "worst"]
