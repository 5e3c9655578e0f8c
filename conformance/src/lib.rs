//! What "correct" means for Gatewright.
