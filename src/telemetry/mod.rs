//! What the program says about itself: metrics and logs. Anyone may report here.

pub mod logs;
pub mod metrics;
