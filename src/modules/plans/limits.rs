//! The limits that a plan has, and a license can have instead.

/// Within what JSON numbers hold exactly.
pub const MAX_LIMIT: i64 = 1_000_000_000_000;

/// A type with these limits, after fields of its own.
macro_rules! with_limits {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$own:meta])* pub $field:ident: $kind:ty,)*
    }) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$own])* pub $field: $kind,)*
            /// Which address of a validation counts: the one it names, or the connection's.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub address_source: Option<celaest_domain::license::AddressSource>,
            /// People.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[garde(range(min = -1, max = $crate::modules::plans::limits::MAX_LIMIT))]
            pub max_users: Option<i64>,
            /// AI requests in a month.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[garde(range(min = -1, max = $crate::modules::plans::limits::MAX_LIMIT))]
            pub max_ai_requests_per_month: Option<i64>,
            /// Money for AI requests in a month, in US dollars.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[garde(range(min = -1.0, max = 1e9))]
            pub max_ai_cost_usd_per_month: Option<f64>,
            /// Storage, in GB.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[garde(range(min = -1, max = $crate::modules::plans::limits::MAX_LIMIT))]
            pub max_storage_gb: Option<i64>,
            /// AI tasks at a time.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[garde(range(min = -1, max = $crate::modules::plans::limits::MAX_LIMIT))]
            pub max_concurrent_tasks: Option<i64>,
            /// AI tasks in a batch.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[garde(range(min = -1, max = $crate::modules::plans::limits::MAX_LIMIT))]
            pub max_batch_size: Option<i64>,
        }
    };
}
pub(crate) use with_limits;
