//! IA-Mesh: one question, six providers.
//!
//! What is asked ([`chat`]) and what comes back is neutral; [`wire`] speaks each provider's dialect. What a
//! failure means for the next attempt is in [`failure`], who is tried first in [`choose`], what it costs in
//! [`cost`]. Prompts are [`template`]s, compared by [`diff`] and tried side by side by [`split`].

pub mod chat;
pub mod choose;
pub mod cost;
pub mod diff;
pub mod failure;
pub mod provider;
pub mod split;
pub mod task;
pub mod template;
pub mod wire;
