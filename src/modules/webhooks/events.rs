//! `GET /api/webhooks/events`

use super::model::EventType;
use crate::error::Result;
use crate::http::permit::{Permit, WebhooksRead};
use crate::http::reply::Data;
use celaest_domain::webhook::CATALOGUE;

/// The events that webhooks can subscribe to.
pub async fn events(_: Permit<WebhooksRead>) -> Result<Data<Vec<EventType>>> {
    let events = CATALOGUE.iter().map(|event| EventType {
        name: event.name.to_owned(),
        description: event.description.to_owned(),
        permission: event.needs().as_str().to_owned(),
        opt_in: event.opt_in,
    });
    Ok(Data::of(&events.collect::<Vec<_>>()))
}
