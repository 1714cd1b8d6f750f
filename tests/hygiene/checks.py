"""All checks, in the order in which they are made: cheap ones first."""

import compiled
import documented
import source
import text

ALL = source.CHECKS + text.CHECKS + documented.CHECKS + compiled.CHECKS
