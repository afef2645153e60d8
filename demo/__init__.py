"""The demonstration: a catalogue of real pictures, simulated people, and the command that runs it all."""
