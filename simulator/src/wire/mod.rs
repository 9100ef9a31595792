//! What travels: inputs and outputs of the operations, with the member names of botocore's model of DRS (2020-02-26).
//! Shapes only. Members the simulator never fills are left out.

mod enums;
mod inputs;
mod job;
mod native;
mod server;

pub use enums::*;
pub use inputs::*;
pub use job::*;
pub use native::*;
pub use server::*;

use serde::Serialize;
use std::collections::BTreeMap;

/// Tags, sorted by key.
pub type Tags = BTreeMap<String, String>;

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Items<T> {
    /// The page.
    pub items: Vec<T>,
    /// More.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Answer of ListTagsForResource.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResourceTags {
    /// Tags.
    pub tags: Tags,
}
