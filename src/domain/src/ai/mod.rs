//! IA-Mesh: one question, six providers.
//!
//! What is asked ([`chat`]) and what comes back is neutral; [`wire`] speaks each provider's dialect. What a
//! failure means for the next attempt is in [`failure`], who is tried first in [`choose`].

pub mod chat;
pub mod failure;
pub mod provider;
pub mod wire;
