"""As the API does it: one thread per request, for several wait for each other longer than they compute."""

from __future__ import annotations

from app.candidates.encode import use_threads
from app.main import THREADS_OF_A_REQUEST

use_threads(THREADS_OF_A_REQUEST)
