"""callsift: hears recorded sales calls and says which customers are likely to buy."""

import os

__version__ = "0.1.0"

# ONNX Runtime reports usage to its maker, from 1.29 on also on Linux, unless told not to before it is loaded; and other
# libraries load it too. Nothing leaves the machine, so this stands where everything begins.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
