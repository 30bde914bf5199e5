//! Logs: for people on a terminal, JSON lines otherwise.
