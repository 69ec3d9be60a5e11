//! What a license's AI calls use: requests, how many at a time, money. Reserved before a call, settled
//! after it, and exact whatever happens meanwhile.

mod entries;
mod ledger;
mod wire;

#[cfg(test)]
mod tests;

pub use ledger::{Ledger, Limits, Told};
pub use wire::{
    CallAnswer, CallMeta, Confirmed, Ended, Left, Limit, OUTCOME_UNKNOWN, Record, ReserveCall,
    Settle, SettleCall, Usage,
};
