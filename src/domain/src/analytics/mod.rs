//! Numbers of a business over time: which period is asked about, and what the numbers mean.

pub mod period;
pub mod roi;
