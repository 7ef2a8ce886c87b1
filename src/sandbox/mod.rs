//! A simulated Transatel.
