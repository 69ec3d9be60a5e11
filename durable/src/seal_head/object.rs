//! The storage shell around the head of one tenant's seals.

use celaest_domain::audit::Head;
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object};

use super::rules::{Step, advanced};

/// Where the head is stored, as JSON text.
const HEAD: &str = "head";

/// The newest seal of one tenant.
#[durable_object]
pub struct SealHeadObject {
    state: State,
}

impl DurableObject for SealHeadObject {
    fn new(state: State, _: Env) -> Self {
        Self { state }
    }

    /// Answers the head after the step, if the request has one.
    async fn fetch(&self, mut req: Request) -> Result<Response> {
        // The body first: between reading and writing nothing else may happen.
        let text = req.text().await?;
        let storage = self.state.storage();
        let stored = storage.get::<String>(HEAD).await?;
        let head: Option<Head> = match &stored {
            Some(text) => serde_json::from_str(text)?,
            None => None,
        };
        let head = if text.is_empty() {
            head
        } else {
            let Ok(step) = serde_json::from_str::<Step>(&text) else {
                return Response::error("malformed step", 400);
            };
            match advanced(head.as_ref(), &step) {
                Some(next) => {
                    storage.put(HEAD, serde_json::to_string(&next)?).await?;
                    Some(next)
                }
                None => head,
            }
        };
        Ok(Response::builder().fixed(serde_json::to_vec(&head)?))
    }
}
