//! `GET /api/orders/{id}`

use super::model::Order;
use super::queries;
use crate::error::Result;
use crate::http::params::Id;
use crate::http::permit::{OrdersRead, Permit};
use crate::http::reply::Data;

/// Reads an order that the organization bought or sold.
pub async fn read(permit: Permit<OrdersRead>, Id(id): Id) -> Result<Data<Order>> {
    let order = queries::read(permit.begin(), id).await?;
    Ok(Data::raw(&order))
}
