"""``python -m pylstm``."""

import sys

from pylstm.cli import main

sys.exit(main())
